"""`primus-calibrate`: fit a head on labelled recordings, keep it in a store, look at it, and roll back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk import load
from primus_sdk.calibration.admission import LEAST_HZ
from primus_sdk.calibration.fit import LEAST_C, MOST_C, fit_head
from primus_sdk.commands import _confusion, _describe, _labelled
from primus_sdk.commands._cli import FloatRange, click, command, echo
from primus_sdk.commands._destinations import check_plot, check_store
from primus_sdk.commands._kinds import load_head
from primus_sdk.commands._labelled import Labelled
from primus_sdk.commands._progress import phase
from primus_sdk.commands._scores import scores
from primus_sdk.commands._text import people
from primus_sdk.commands._validated import Validated, validated
from primus_sdk.errors import CalibrationError
from primus_sdk.heads.head import Head
from primus_sdk.heads.store import KEEP, HeadStore
from primus_sdk.windowing.windows import WindowStream

EXAMPLES = """\b
Examples:
  primus-calibrate fit --dataset watch --store heads
  primus-calibrate fit recordings --prior factory.safetensors --store heads
  primus-calibrate evaluate recordings --store heads --plot confusion.png
  primus-calibrate show --store heads
  primus-calibrate roll-back --store heads
"""
_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_STORE = click.option("--store", type=_FOLDER, required=True, help="The folder that the heads are kept in.")
_STORE_OR_HEAD = click.option("--store", type=_FOLDER, help="The folder that the heads are kept in.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")


def _data_options(function: Any) -> Any:
    """What `fit` and `evaluate` share: where the windows come from, and what embeds them."""
    for option in (
        click.option("--least-hz", type=FloatRange(20, 49), default=LEAST_HZ, show_default=True,
                     help="Windows with fewer samples a second are left out; lower it for slow sensors."),
        click.option("--hop", type=float, default=1.0, show_default=True, help="Seconds from window to window."),
        click.option("--runtime", help="onnxruntime, litert, ... [default: the first that is installed]"),
        click.option("--bundle", type=click.Path(path_type=Path),
                     help="A bundle of primus-export. [default: the released one]"),
        click.option("--dataset", type=click.Choice(_labelled.DATASETS), default="folder", show_default=True,
                     help="folder: DATA holds <label>/<name>.csv or .zip, or recordings.csv (file,label,user); watch "
                          "comes with pip; classyglass: DATA is its folder or archive."),
        click.argument("data", required=False),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group(
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Fit the head that names activities, evaluate it, and keep its versions."""


@command(name="fit", epilog=EXAMPLES)
@_data_options
@_STORE
@click.option("--prior", type=_FILE, help="A head to start from; its labels stay, new ones are added.")
@click.option("--c", type=FloatRange(LEAST_C, MOST_C),
              help="How freely the head follows the windows. [default: what did best on held-out people]")  # fmt: skip
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of the cross-validation.")
@click.option("--keep", type=click.IntRange(2), default=KEEP, show_default=True, help="Versions kept in the store.")
@_JSON
def fit(store: Path, prior: Path | None, c: float | None, folds: int, keep: int, as_json: bool, **options: Any) -> None:
    """Fit a head on labelled recordings, validate it, and save it.

    What is printed before it is saved is cross-validated: by people where each label was done by two or more of them,
    else by recordings.
    """
    check_store(store)
    before = None if prior is None else load_head(prior)
    windows, encoder = _windows(before, as_json, **options)
    mount = None if before is None else before.mount
    with phase("fitting the head", as_json):
        head = fit_head(windows.embeddings, windows.labels, encoder, c=c, prior=before, mount=mount)
    with phase(f"cross-validating in {folds} folds", as_json):
        found, why = _validation(windows, encoder, folds, c, before)
    if not as_json:
        left_out = sum(windows.left_out.values())
        echo(f"{len(windows.labels)} windows of {people(len(set(windows.users)))}; {left_out} left out")
        if found is None:
            echo(f"not cross-validated: {why}", err=True)
        else:
            _confusion.show(found.scores, f"cross-validated, {found.folds} folds by {found.by}")
    version = HeadStore(store, keep).save(head)
    if as_json:
        told = None if found is None else _confusion.as_json(found.scores) | {"by": found.by, "folds": found.folds}
        result = {"store": str(store), "version": version, "windows": len(windows.labels)}
        echo(json.dumps({
            **result, "left_out": windows.left_out, "cross_validated": told, "head": _describe.as_json(head)
        }))  # fmt: skip
    else:
        echo(f"saved as version {version} in {store}; it is now the current one")


@command(name="evaluate", epilog=EXAMPLES)
@_data_options
@_STORE_OR_HEAD
@click.option("--head", type=_FILE, help="A head's file, instead of a store's current head.")
@click.option("--plot", type=_FILE, help="Draw the confusion matrix (PNG).")
@_JSON
def evaluate(store: Path | None, head: Path | None, plot: Path | None, as_json: bool, **options: Any) -> None:
    """Say how often a head is right on labelled recordings."""
    check_plot(plot)
    chosen = _chosen(store, head)
    windows, _ = _windows(chosen, as_json, **options)
    best = chosen.probabilities(windows.embeddings).argmax(axis=1)
    recognised = [chosen.labels[place] for place in best]
    result = scores(windows.labels, recognised)
    unknown = sorted(set(windows.labels) - set(chosen.labels))
    right = np.array(windows.labels) == np.array(recognised)
    by_user = {user: float(right[np.array(windows.users) == user].mean()) for user in dict.fromkeys(windows.users)}
    if as_json:
        shares = {user: round(share, 4) for user, share in by_user.items()}
        extra = {"left_out": windows.left_out, "unknown_labels": unknown, "accuracy_by_user": shares}
        echo(json.dumps(_confusion.as_json(result) | extra))
    else:
        _confusion.show(result, f"of {people(len(by_user))}; {sum(windows.left_out.values())} windows left out")
        if unknown:
            echo(f"the head does not know {', '.join(unknown)}: these windows count as wrong", err=True)
    if plot is not None:
        _confusion.draw(plot, result, f"head of {chosen.created}, {len(chosen.labels)} labels")
        if not as_json:
            echo(f"wrote {plot}")


@command(name="show", epilog=EXAMPLES)
@click.argument("head", required=False, type=_FILE)
@_STORE_OR_HEAD
@_JSON
def show(head: Path | None, store: Path | None, as_json: bool) -> None:
    """Say what a head knows, or which heads a store keeps. HEAD is a head's file."""
    if (head is None) == (store is None):
        raise click.UsageError("give a head's file, or --store FOLDER")
    if head is not None:
        found = load_head(head)
        echo(json.dumps(_describe.as_json(found)) if as_json else _describe.text(found))
        return
    assert store is not None  # refused above
    versions = HeadStore(store).history()
    if as_json:
        echo(json.dumps({"store": str(store), "versions": [_describe.version_as_json(v) for v in versions]}))
        return
    for version in versions:
        echo(_describe.version_line(version))
    current = next(version.head for version in versions if version.current)
    echo("" if current is None else f"\n{_describe.text(current)}")


@command(name="roll-back", epilog=EXAMPLES)
@_STORE
@click.option("--to", type=click.IntRange(1), help="A version that `show` lists. [default: the one before]")
@_JSON
def roll_back(store: Path, to: int | None, as_json: bool) -> None:
    """Make an older head the current one; no whole head is deleted."""
    heads = HeadStore(store)
    version = heads.roll_back(to)
    head = heads.load(version)
    if as_json:
        echo(json.dumps({"store": str(store), "version": version, "head": _describe.as_json(head)}))
    else:
        echo(f"version {version} of {head.created} is now the current one: {', '.join(head.labels)}")


for subcommand in (fit, evaluate, show, roll_back):
    main.add_command(subcommand)


def _windows(
    head: Head | None,
    quiet: bool,
    *,
    data: str | None,
    dataset: str,
    bundle: Path | None,
    runtime: str | None,
    hop: float,
    least_hz: float,
) -> tuple[Labelled, str]:
    """The data's windows, embedded under the mount of a head that reads them, and the encoder's sha256."""
    if data is None and dataset != "watch":
        raise click.UsageError("give a folder of labelled recordings, or --dataset watch")
    WindowStream(hop)  # what is wrong is said before the recordings are read
    with load(bundle, runtime) as recogniser:
        encoder = recogniser.manifest.encoder_sha256
        if head is not None:
            head.check_encoder(encoder)
        recordings = _labelled.read(dataset, data, quiet)
        mount = None if head is None else head.mount
        found = _labelled.embedded(recogniser, recordings, hop, mount=mount, least_hz=least_hz, quiet=quiet)
    return found, encoder


def _validation(
    windows: Labelled, encoder: str, folds: int, c: float | None, prior: Head | None
) -> tuple[Validated | None, str]:
    """How well the head does on what it was not fitted on; none, and why, where there is too little for that."""
    try:
        return validated(windows, encoder, folds, c, prior), ""
    except CalibrationError as error:
        return None, str(error)


def _chosen(store: Path | None, head: Path | None) -> Head:
    if (head is None) == (store is None):
        raise click.UsageError("give either --store FOLDER or --head FILE")
    if head is not None:
        return load_head(head)
    assert store is not None  # refused above
    return HeadStore(store).load()
