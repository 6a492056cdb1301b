"""`primus-evaluate`: what an encoder is worth on people it has not seen, by the paper's protocol, and its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from primus_models.commands._evaluation_progress import progress
from primus_models.commands._evaluation_table import show
from primus_models.errors import EvaluationError
from primus_models.evaluation import data as datasets
from primus_models.evaluation import entrants, plots, results
from primus_models.evaluation.cache import Cache
from primus_models.evaluation.candidates import Encoder, Named
from primus_models.evaluation.measure import measure, trained_on
from primus_models.evaluation.protocol import ALL, MODES, SHOTS, Plan, chosen_mode
from primus_models.evaluation.standard import BATCH, EPOCHS, STEPS, Effort
from primus_sdk.commands._cli import FloatRange, click, command, echo
from primus_sdk.commands._destinations import check_file, check_store
from primus_sdk.commands._progress import phase
from primus_sdk.runtimes import NAMES

EXAMPLES = """\b
Examples:
  primus-evaluate run --data classyglass-1AB.tar.xz tempo primus --baselines -o results.json --plot fewshot.png
  primus-evaluate run --data watch ours=a.safetensors bundle/ --runtime onnxruntime --runtime litert
  primus-evaluate run --data watch ours=a.safetensors --standard --shots 1,5,10 -o fig4.json
  primus-evaluate run --data prepared/realworld PRIMUS@10%=a.safetensors PRIMUS@100%=b.safetensors -o share.json
  primus-evaluate plot results.json --figure 4 -o fig4.png
  primus-evaluate plot share.json --figure 6 --shots 500 -o fig6.png
"""
_FILE = click.Path(path_type=Path, dir_okay=False)
_FIGURES = ("4", "5", "6", "confusion")


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Measure encoders by few-shot recognition of people they have not seen, and draw what was measured."""


def _shots(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    names = [part.strip() for part in text.split(",")]
    if not all(name == ALL or (name.isascii() and name.isdigit() and 1 <= int(name) <= 10**9) for name in names):
        raise click.BadParameter(f"{text!r} is no list of numbers from 1 on, or {ALL}, such as 1,5,10,{ALL}")
    return tuple(names)


@command(name="run", epilog=EXAMPLES)
@click.argument("encoders", nargs=-1, metavar="[[NAME=]CHECKPOINT|BUNDLE]...")
@click.option(
    "--data",
    required=True,
    metavar="PATH",
    help="A prepared folder, ClassyGlass (its folder or archive), a folder of recordings, or watch.",
)
@click.option("--dataset", type=click.Choice(datasets.KINDS), default="auto", show_default=True, help="What PATH is.")
@click.option(
    "--users",
    metavar="A,B,...|all|held-out",
    help="The people to measure on. [default: those that no encoder here was trained on, as far as their files say; "
    "all where none says so, or fewer than two are left]",
)
@click.option(
    "--split",
    "mode",
    type=click.Choice(["auto", *MODES]),
    default="auto",
    show_default=True,
    help="Who is tested: the publishers' split, users drawn in each trial, halves, or folds that test "
    "everyone once. auto: published where there is one, else users.",
)
@click.option(
    "--shots",
    default=",".join([*map(str, SHOTS), ALL]),
    show_default=True,
    callback=_shots,
    help="Labelled windows of each label.",
)
@click.option("--trials", type=click.IntRange(1, 10_000), default=5, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws people and shots.")
@click.option(
    "--test-share",
    type=FloatRange(0, 1, min_open=True, max_open=True),
    default=round(1 / 3, 3),
    show_default=True,
    help="Of the people, for --split users.",
)
@click.option("--folds", type=click.IntRange(2), help="For --split folds. [default: one a person, at most 10]")
@click.option("--baselines", is_flag=True, help="Random weights, handcrafted features and guessing beside them.")
@click.option(
    "--standard",
    is_flag=True,
    help="Standard training (Fig. 4) beside them: the network from random weights, trained end to end on the shots of "
    "each trial. Minutes for 1,5,10 shots; hours for hundreds.",
)
@click.option(
    "--standard-steps",
    type=click.IntRange(1),
    default=STEPS,
    show_default=True,
    help=f"Of each such training, of {BATCH} windows; more where the epochs are.",
)
@click.option(
    "--standard-epochs", type=click.IntRange(1), default=EPOCHS, show_default=True, help="Passes over all shots."
)
@click.option(
    "--probe",
    "probes",
    type=click.Choice(entrants.PROBES),
    multiple=True,
    default=("head",),
    show_default=True,
    help="What reads embeddings: the SDK's head, the paper's, scikit-learn's; repeatable.",
)
@click.option("--text-embeddings", type=_FILE, help="Of the class names (safetensors), for zero shots.")
@click.option(
    "--backend",
    type=click.Choice(["auto", "torch", "numpy"]),
    default="auto",
    show_default=True,
    help="What runs checkpoints; auto: PyTorch if installed, which is faster.",
)
@click.option(
    "--runtime",
    "runtimes",
    type=click.Choice(NAMES),
    multiple=True,
    help="What runs bundles; repeatable. [default: the first that is installed]",
)
@click.option("-o", "--output", type=_FILE, help="The results file (JSON) to write.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="What a killed run goes on from. [default: OUTPUT.cache beside it; none without -o]",
)
@click.option("--plot", type=_FILE, help="Draw Fig. 4 of it (PNG).")
@click.option("--json", "as_json", is_flag=True, help="Print the results file instead of tables.")
def run(
    encoders: tuple[str, ...], data: str, dataset: datasets.Kind, users: str | None, output: Path | None,
    cache: Path | None, plot: Path | None, as_json: bool, baselines: bool, probes: tuple[entrants.ProbeName, ...],
    text_embeddings: Path | None, backend: str, runtimes: tuple[str, ...], standard: bool, standard_steps: int,
    standard_epochs: int, **options: Any,
) -> None:  # fmt: skip
    """Measure checkpoints (files, or names of released ones) and bundles on labelled people.

    The default checkpoint is taken if none is given.

    A probe is fitted on a few windows of each label from some people and tested on others'; accuracy and macro F1 are
    means over the trials with standard errors, and all candidates get the same trials. NAME@SHARE=PATH says what share
    of its pretraining windows had text or video (Fig. 6).
    """
    check_file(output)
    check_file(plot)
    cache = cache or (output.with_name(f"{output.name}.cache") if output else None)
    if cache is not None:
        check_store(cache)
    named = [Named.parse(text) for text in encoders]
    everybody = datasets.read(data, dataset, as_json)
    choice = entrants.Choice(
        tuple(dict.fromkeys(probes)), None if backend == "auto" else backend, runtimes, text_embeddings  # type: ignore[arg-type]
    )  # fmt: skip
    with phase("loading encoders", as_json):
        opened = entrants.opened(named, choice)
    found = _people(everybody, users, opened)
    plan = _plan(found, **options)
    contestants = entrants.encoders(opened, choice, found.labels)
    if baselines:
        more, missing = entrants.baselines(named, choice.backend)
        contestants += more
        if missing:
            echo(missing, err=True)
    for one in contestants if not as_json else ():
        echo(f"{one.candidate.about.name}: {one.candidate.about.how}", err=True)
    with progress(as_json) as report:
        if standard:
            contestants.append(entrants.standard(named, found, Effort(standard_steps, standard_epochs), report))
        kept = Cache(cache, found.sha256() if cache else "")
        measured = measure(found, contestants, plan, kept, report)
    if output is not None:
        results.save(measured, output)
    if plot is not None:
        plots.few_shot([measured], plot)
    if as_json:
        echo(json.dumps(measured.to_json(), ensure_ascii=False))
        return
    show(measured)
    for file in (output, plot):
        if file is not None:
            echo(f"wrote {file}")


@command(name="plot", epilog=EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="RESULTS...")
@click.option(
    "--figure",
    type=click.Choice(_FIGURES),
    default="4",
    show_default=True,
    help="4: curves over shots; 5: bars; 6: over the share of aligned windows; or confusion matrices.",
)
@click.option("-o", "--output", required=True, type=_FILE, help="The picture (PNG) to write.")
@click.option("--shots", help="For figures 5 and 6 and confusions. [default: the most that all were measured at]")
@click.option(
    "--metric",
    type=click.Choice(["accuracy", "macro-f1", "both"]),
    default="both",
    show_default=True,
    help="For figures 4, 5 and 6.",
)
@click.option("--candidate", "candidates", multiple=True, metavar="NAME", help="Only these, in this order; repeatable.")
def plot(
    files: tuple[Path, ...], figure: str, output: Path, shots: str | None, metric: plots.Metric,
    candidates: tuple[str, ...],
) -> None:  # fmt: skip
    """Draw one or several results files in one picture; those of one data set share a panel."""
    check_file(output)
    found = plots.chosen([results.load(file) for file in files], candidates)
    if figure == "4":
        plots.few_shot(found, output, metric)
    elif figure == "5":
        plots.ablations(found, output, metric, shots)
    elif figure == "6":
        plots.aligned(found, output, metric, shots)
    else:
        plots.confusions(found, output, shots)
    echo(f"wrote {output}")


for subcommand in (run, plot):
    main.add_command(subcommand)


def _people(data: datasets.Labelled, users: str | None, encoders: Sequence[Encoder]) -> datasets.Labelled:
    """The people to measure on.

    Raises:
        EvaluationError: one of them is not there, or nobody is left.
    """
    if users == "all":
        return data
    if users in (None, "held-out"):
        known = frozenset[str]().union(*(trained_on(encoder.about, data) for encoder in encoders))
        wanted = datasets.unseen(data, known)
        if users is None and len(wanted) < 2:  # there is nobody to learn from and another to test: results will warn
            return data
    else:
        wanted = [user.strip() for user in users.split(",")]
    if not wanted:
        raise EvaluationError(f"of the {len(data.users)} people nobody is held out; say --users all, or name them")
    return data if set(wanted) == set(data.users) else data.only(wanted)


def _plan(
    data: datasets.Labelled, *, mode: str, shots: tuple[str, ...], trials: int, seed: int, test_share: float,
    folds: int | None,
) -> Plan:  # fmt: skip
    chosen: Any = chosen_mode(data) if mode == "auto" else mode
    counts = tuple(sorted({int(name) for name in shots if name != ALL}))
    return Plan(chosen, counts, ALL in shots, trials, seed, test_share, folds or 0)


if __name__ == "__main__":
    main()
