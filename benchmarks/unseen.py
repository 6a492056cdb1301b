"""An encoder beside handcrafted features on people, places and activities that it was not trained on.

    python benchmarks/unseen.py --data classyglass-1AB.tar.xz -o unseen
    python benchmarks/unseen.py --data classyglass-1AB.tar.xz -o unseen --split studies --trials 20 --json
    python benchmarks/unseen.py --data classyglass-1AB.tar.xz -o unseen --learn-mounts
    python benchmarks/unseen.py --data classyglass-1AB.tar.xz -o unseen-primus --architecture primus

Every split trains an encoder anew by the released recipe on some people, exports it as int8, and measures the bundle
through the SDK on the others, few-shot, beside logistic regression and a random forest on features made by hand:

    studies    trained on all of ClassyGlass 1A (12 people, 11 activities), measured on all of 1B (15 other people in
               another place, 15 activities, of which 4 were never seen)
    people-N   every fifth person from the N-th on is left out: five splits that measure everybody once

A trial parts the people measured on at random in two; shots are drawn from each half, and the other is tested. The
differences are of the same trials, with the standard error of their mean. With `--learn-mounts` everybody's windows are
first turned by the mount that the SDK learns from them (`primus_sdk.MountLearner`), for all candidates. The folder
keeps what was done: the same command goes on, and `unseen.png` and one `SPLIT.json` (as of primus-evaluate) for each
split stand in it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import torch

from primus_export.export import Request, export
from primus_models.checkpoint import load, save_checkpoint
from primus_models.data import Signal, read_classyglass
from primus_models.evaluation import plots, results
from primus_models.evaluation.cache import Cache
from primus_models.evaluation.candidates import Handcrafted, Named, open_encoder
from primus_models.evaluation.data import Labelled, from_signals
from primus_models.evaluation.measure import Contestant, measure
from primus_models.evaluation.probes import DeviceHead, forest, logistic
from primus_models.evaluation.protocol import ALL, Plan
from primus_models.finishing import finish
from primus_models.train import RECIPES, train
from primus_sdk import MountLearner
from primus_sdk.errors import CalibrationError, PrimusError

SHOTS = (1, 5, 10, 50, 100)
FIRST_STUDY = range(1, 13)
"""The people of ClassyGlass 1A; 13 to 27 are those of 1B."""
FOLDS = 5
SPLITS = ("studies", *(f"people-{fold}" for fold in range(1, FOLDS + 1)))


def left_out(split: str, users: list[str]) -> set[str]:
    """The people whom the encoder of a split is not trained on."""
    if split == "studies":
        return {user for user in users if int(user) not in FIRST_STUDY}
    return set(users[int(split.removeprefix("people-")) - 1 :: FOLDS])


def trained(split: str, known: list[Signal], recipe: Any, folder: Path) -> Path:
    """The int8 bundle of a split's encoder."""
    checkpoint, bundle = folder / f"{split}.safetensors", folder / split
    if not checkpoint.exists():
        say(f"{split}: training on {len({s.user for s in known})} people")
        run = train(recipe, known, folder / f"{split}.state", lambda line: say(f"{split}: {line}"))
        record = {"data": "classyglass", "users_trained_on": sorted({s.user for s in known}, key=int)}
        finished, _ = finish(run.checkpoint(record), known, "", recipe.linear_share)
        save_checkpoint(finished, checkpoint)
        (folder / f"{split}.state").unlink()
    if not bundle.exists():
        export(Request(load(checkpoint), ["onnx"], "int8", bundle))
    return bundle


def mounted(data: Labelled) -> Labelled:
    """The same windows, each person's turned by the mount that the SDK learns from them, where it can."""
    array = data.array.copy()
    for user in data.users:
        learner, rows = MountLearner(), data.rows[data.user == user]
        for window in array[rows]:
            learner.add(window)
        try:
            rotation = learner.rotation()
        except CalibrationError as error:
            say(f"{data.source}: no mount is learnt of {user}: {error}")
        else:
            array[rows] = np.kron(np.eye(2), rotation).astype(np.float32) @ array[rows]  # both sensors alike
    return replace(data, array=array)


def measured(
    split: str, signals: list[Signal], recipe: Any, trials: int, folder: Path, mounts: bool = False
) -> results.Results:
    """A split's figures; with `mounts`, of windows turned by them."""
    users = sorted({signal.user for signal in signals}, key=int)
    out = left_out(split, users)
    bundle = trained(split, [s for s in signals if s.user not in out], recipe, folder)
    data = replace(from_signals("classyglass", [s for s in signals if s.user in out]), source=split)
    if mounts:
        split, data = f"{split}-mounts", mounted(data)
    encoder = open_encoder(Named(bundle, f"{recipe.architecture}, int8"), runtime="onnxruntime")
    contestants = [Contestant(encoder, (DeviceHead(),)), Contestant(Handcrafted(), (logistic(), forest()))]
    found = measure(
        data, contestants, Plan("halves", SHOTS, True, trials), Cache(folder / f"{split}.cache", data.sha256()),
        lambda what, done, total: say(f"{split}: {what} {done}/{total}") if done == total else None,
    )  # fmt: skip
    results.save(found, folder / f"{split}.json")
    return found


def differences(found: results.Results) -> dict[str, dict[str, dict[str, float | None]]]:
    """By yardstick and shots: how far the encoder is ahead in accuracy, and the standard error of that."""
    encoder, *yardsticks = found.entries
    ahead: dict[str, dict[str, dict[str, float | None]]] = {}
    for other in yardsticks:
        pairs = {shots: found.difference(encoder, other, shots) for shots in found.shots}
        ahead[other.name] = {
            shots: {"accuracy": both[0].value, "error": both[0].error, "macro_f1": both[1].value,
                    "macro_f1_error": both[1].error}
            for shots, both in pairs.items() if both is not None
        }  # fmt: skip
    return ahead


def show(split: str, found: results.Results) -> None:
    """A split's table."""
    counts = [name for name in found.shots if name == ALL or int(name)]
    people = len(found.data.users)
    print(f"\n{split}: {people} people, {len(found.data.labels)} activities; accuracy / macro F1, %, +- standard error")
    print(f"{'shots':34}" + "".join(f"{name:>22}" for name in counts))
    for entry in found.entries:
        row(entry.name, [(s.accuracy.value, s.accuracy.error, s.macro_f1.value) for s in map(entry.scores.get, counts)])
    for name, ahead in differences(found).items():
        row(f"ahead of {name.removeprefix('handcrafted, ')}", [tuple(ahead[s].values())[:3] for s in counts], "+")


def row(name: str, cells: list[Any], sign: str = "") -> None:
    """One line of it."""
    texts = [f"{100 * a:{sign}.1f} +- {100 * (e or 0):.1f} / {100 * f:{sign}.1f}" for a, e, f in cells]
    print(f"{name:34}" + "".join(f"{text:>22}" for text in texts))


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="ClassyGlass: its archive or folder")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the folder for what is made")
    parser.add_argument("--architecture", choices=list(RECIPES), default="tempo", help="whose recipe (default tempo)")
    parser.add_argument("--split", action="append", choices=SPLITS, help="only this; repeatable (default: all)")
    parser.add_argument("--trials", type=int, default=8, help="partings of the people (default 8)")
    parser.add_argument("--epochs", type=int, help="passes over the data, instead of the recipe's")
    parser.add_argument("--learn-mounts", action="store_true", help="turn everybody's windows by the mount learnt")
    parser.add_argument("--json", action="store_true", help="print the differences as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = RECIPES[options.architecture]
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        signals = read_classyglass(options.data)
        found: dict[str, results.Results] = {}
        for split in options.split or SPLITS:
            found[split] = measured(split, signals, recipe, options.trials, options.output, options.learn_mounts)
            if not options.json:
                show(split, found[split])
        picture = options.output / ("unseen-mounts.png" if options.learn_mounts else "unseen.png")
        plots.few_shot(list(found.values()), picture, "accuracy")
    except (PrimusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({split: differences(one) for split, one in found.items()}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
