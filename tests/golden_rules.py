"""Golden vectors beside the streams: rules over windows, and all those of the modules that are named here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import golden
import golden_bouts
import golden_errors
import golden_folds
import golden_heads
import golden_mounts
import golden_poses
import numpy as np
from golden import pairs, table, write_pairs, write_table

from primus_sdk.recogniser import Recogniser
from primus_sdk.streaming.recognition import Rules, SequenceRecogniser
from primus_sdk.windowing.quality import Quality
from primus_sdk.windowing.windows import Window

SEQUENCES = {
    "plain": {"smoothing": 1, "reject_below": 0.0, "rest_gate": False},
    "rejecting": {"smoothing": 1, "reject_below": 0.5, "rest_gate": False},
    "smoothed": {"smoothing": 3, "reject_below": 0.5, "rest_gate": False},
    "gated": {"smoothing": 1, "reject_below": 0.0, "rest_gate": True},
    "gated_and_smoothed": {"smoothing": 4, "reject_below": 0.45, "rest_gate": True},
}
LABELS = ("nod", "still", "walk")
SAID = ("label", "likeliest", "probability", "held")
MODULES = (golden_heads, golden_mounts, golden_poses, golden_errors, golden_folds, golden_bouts)
COUNT = len(SEQUENCES) + sum(module.COUNT for module in MODULES)


def write(root: Path, recogniser: Recogniser) -> None:
    """Make all inputs and write what the SDK gives for them."""
    for name in ("heads", "sequences", "mount", "poses", "errors", "folds", "bouts"):
        (root / name).mkdir(parents=True)
    golden_heads.write(root / "heads", recogniser)
    _write_sequences(root / "sequences")
    golden_mounts.write(root / "mount")
    golden_poses.write(root / "poses")
    golden_errors.write(root, recogniser)
    golden_folds.write(root / "folds")
    golden_bouts.write(root / "bouts")


def check(root: Path, recogniser: Recogniser) -> list[str]:
    """What the SDK does not give as it is written, in words."""
    wrong = golden_heads.check(root / "heads") + golden_mounts.check(root / "mount")
    for name in SEQUENCES:
        rows = table(root / "sequences" / f"{name}.csv")
        for n, (row, said) in enumerate(zip(rows, sequence(root / "sequences", name), strict=True)):
            close = abs(float(row["probability"]) - said[2]) <= 1e-9
            if not close or [row["label"], row["likeliest"], row["held"]] != [*map(golden.text, (*said[:2], said[3]))]:
                wrong.append(f"sequence {name}, window {n}: {said}")
    wrong += golden_poses.check(root / "poses") + golden_errors.check(root, recogniser)
    return wrong + golden_folds.check(root / "folds") + golden_bouts.check(root / "bouts")


def _write_sequences(folder: Path) -> None:
    random = np.random.default_rng(4)
    powers = np.exp(random.normal(0, 1.2, (24, 3)))
    values = np.round(powers / powers.sum(axis=1, keepdims=True), 3)
    values[:, 2] = np.round(1 - values[:, 0] - values[:, 1], 3)
    values[1], values[2] = (0.3, 0.2, 0.5), (0.4, 0.4, 0.2)  # as much as is asked for; and two as likely
    still = [n in (3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 20, 21, 22) for n in range(24)]
    rows = [[still[n], n in (9, 13), int(n >= 21), *values[n].tolist()] for n in range(24)]
    for name, options in SEQUENCES.items():
        write_pairs(folder / f"{name}.txt", options)
        header = ["is_still", "after_reset", "head", *LABELS]
        write_table(folder / f"{name}.csv", header, rows)
        said = sequence(folder, name)
        write_table(
            folder / f"{name}.csv", [*header, *SAID], [[*row, *more] for row, more in zip(rows, said, strict=True)]
        )


def sequence(folder: Path, name: str) -> list[list[Any]]:
    """Label, likeliest, its probability and held, of each window."""
    rows, options = table(folder / f"{name}.csv"), pairs(folder / f"{name}.txt")
    values = np.array([[float(row[label]) for label in LABELS] for row in rows])
    # An embedding that is its window's number, and heads that look it up.
    heads = [
        SimpleNamespace(labels=LABELS, mount=None, probabilities=lambda e: values[e[..., 0].astype(int)]) for _ in "ab"
    ]
    numbered: Callable[[Any], np.ndarray] = lambda imu: np.full(512, np.asarray(imu)[0, 0], np.float32)  # noqa: E731
    fake: Any = SimpleNamespace(head=heads[0], closed=False, embed=numbered)
    rules = Rules(int(options["smoothing"]), options["reject_below"], bool(options["rest_gate"]))
    recogniser, said = SequenceRecogniser(fake, rules, None), []
    for n, row in enumerate(rows):
        fake.head = heads[int(row["head"])]
        quality = Quality(1.0, 0.02, 50.0, 50.0, 0.0, 0.0, row["is_still"] == "1", row["after_reset"] == "1")
        done = recogniser.one(Window(np.full((6, 250), n, np.float32), n, n + 5, quality))
        assert done.prediction is not None
        said.append([done.prediction.label, done.prediction.likeliest, done.prediction.probability, done.held])
    return said
