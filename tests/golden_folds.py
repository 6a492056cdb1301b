"""Golden vectors of cross-validation: which fold tests a window, and which folds are fitted without it besides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import golden
import numpy as np
from golden import table, write_table

from primus_sdk.calibration import validation
from primus_sdk.errors import CalibrationError

SECOND = 1_000_000_000
GIVEN, SAID = ["label", "group", "start_ns", "end_ns"], ["tested_in", "left_out_of"]


@dataclass(frozen=True)
class Windows:
    """So many of a label in a group, a hop apart from a start on, each 5 s."""

    label: str
    group: int
    count: int
    start_s: float | None = None
    hop_s: float = 1.0

    def rows(self) -> list[list[Any]]:
        if self.start_s is None:
            return [[self.label, self.group, None, None]] * self.count
        starts = [round((self.start_s + n * self.hop_s) * SECOND) for n in range(self.count)]
        return [[self.label, self.group, start, start + 5 * SECOND] for start in starts]


CASES: dict[str, tuple[int, list[Windows]]] = {
    # Folds, and the windows in their order.
    "more_folds_than_groups": (5, [Windows("a", g, 5) for g in (1, 2)] + [Windows("b", g, 5) for g in (3, 4)]),
    "labels_share_groups": (2, [Windows("ab"[n % 2], 1 + n // 2, 1) for n in range(6)]),
    "one_bout_of_either": (5, [Windows("a", 1, 20, 100.0), Windows("b", 2, 20, 200.0)]),
    "one_bout_in_no_order": (
        3,
        [Windows("a", 1, 7, 106.0, -1.0), Windows("a", 1, 4, 120.0, 2.5), Windows("b", 1, 3, 0, 5)],
    ),
    "a_label_alone_among_others": (
        3,
        [
            Windows("nod", 1, 2, 0.0),
            Windows("walk", 1, 2, 20.0),
            Windows("walk", 2, 6, 60.0),
            Windows("walk", 3, 3, 100.0),
            Windows("nod", 1, 9, 140.0, 2.5),
            Windows("walk", 4, 3, 180.0),
        ],
    ),
    "largest_group_first": (
        3,
        [
            Windows("a", 1, 1),
            Windows("b", 2, 4),
            Windows("a", 3, 2),
            Windows("b", 4, 4),
            Windows("a", 5, 4),
            Windows("b", 6, 1),
            Windows("a", 7, 2),
            Windows("b", 7, 2),
        ],
    ),
    "shares_of_labels": (
        2,
        [
            Windows("c", 1, 1),
            Windows("c", 2, 1),
            Windows("a", 2, 2),
            Windows("a", 3, 2),
            Windows("c", 3, 4),
            Windows("c", 4, 2),
            Windows("a", 4, 3),
        ],
    ),
    "as_many_stretches_as_go": (5, [Windows("a", 1, 10, 100.0), Windows("b", 2, 1, 200.0), Windows("b", 3, 1, 300.0)]),
    "too_short_to_cut": (5, [Windows("a", 1, 5, 100.0), Windows("b", 2, 20, 200.0)]),
    "touching_windows": (
        2,
        [Windows("a", 1, 2, 100.0, 5.0), Windows("b", 2, 2, 200.0, 4.98), Windows("b", 3, 1, 300.0)],
    ),
    "without_times": (5, [Windows("a", 1, 5), Windows("b", 2, 5), Windows("b", 3, 5)]),
    "nothing_left_of_a_label": (
        2,
        [
            Windows("a", 1, 1),
            Windows("b", 1, 1),
            Windows("b", 2, 1),
            Windows("c", 2, 1),
            Windows("a", 3, 1),
            Windows("c", 3, 1),
        ],
    ),
}
COUNT = len(CASES)


def write(folder: Path) -> None:
    """Make all cases and write the SDK's folds."""
    rows = []
    for name, (folds, parts) in CASES.items():
        given = [row for part in parts for row in part.rows()]
        write_table(folder / f"{name}.csv", GIVEN, given)
        error, said = assigned(folder / f"{name}.csv", folds)
        write_table(
            folder / f"{name}.csv", [*GIVEN, *SAID], [[*row, *more] for row, more in zip(given, said, strict=True)]
        )
        rows.append([name, folds, error])
    write_table(folder / "folds.csv", ["name", "folds", "error"], rows)


def check(folder: Path) -> list[str]:
    """What the SDK assigns otherwise than it is written, in words."""
    wrong = []
    for row in table(folder / "folds.csv"):
        error, said = assigned(folder / f"{row['name']}.csv", int(row["folds"]))
        expected = [[line[key] for key in SAID] for line in table(folder / f"{row['name']}.csv")]
        if error != row["error"] or said != expected:
            wrong.append(f"folds {row['name']}: {error}, {said}")
    return wrong


def assigned(path: Path, folds: int) -> tuple[str, list[list[str]]]:
    """The error or none; and of each window the fold that tests it and those that are fitted without it besides."""
    rows = table(path)
    times: list[Any] = [None, None]
    if rows[0]["start_ns"] != "none":
        times = [np.array([int(row[key]) for row in rows]) for key in ("start_ns", "end_ns")]
    nothing = [["none", "none"] for _ in rows]
    try:
        tested, banned = validation._folds(
            [row["label"] for row in rows],
            validation._places([row["group"] for row in rows]),
            validation._times(*times, len(rows)),
            folds,
        )
    except CalibrationError as error:
        return type(error).__name__, nothing
    out: list[list[int]] = [[] for _ in rows]
    for fold, (test, left_out) in enumerate(zip(tested, banned, strict=True)):
        for place in test:
            assert nothing[place][0] == "none", "tested twice"
            nothing[place][0] = golden.text(fold)
        for place in left_out:
            out[place].append(fold)
    return "none", [[fold, " ".join(map(str, left)) or "none"] for (fold, _), left in zip(nothing, out, strict=True)]
