"""Golden vectors of the mount from use: a walk on tilted glasses, and windows of known numbers at each limit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import golden
import golden_heads
import golden_inputs
import numpy as np
from golden import floats, pairs, table, write_floats, write_pairs, write_table

from primus_sdk.calibration.mount import MountLearner
from primus_sdk.errors import CalibrationError
from primus_sdk.windowing.quality import Quality
from primus_sdk.windowing.windows import Window

SECOND = 1_000_000_000
GIVEN = ["start_ns", "coverage", "saturated", "x", "y", "z", "size", "bounce", "sway"]


@dataclass(frozen=True)
class Walk:
    """A window: gravity's direction and size, and by how much its 250 samples differ in turn.

    bounce: the size is that much more in even samples and less in odd ones. sway: x is that much more in 25 samples
    and less in the next 25. start_s: None where the window comes as numbers alone.
    """

    direction: tuple[float, float, float] = (0.0, 0.96, 0.28)
    size: float = 9.8
    bounce: float = 2.0
    sway: float = 0.0
    start_s: float | None = None
    coverage: float = 1.0
    saturated: float = 0.0

    def row(self) -> list[Any]:
        start = None if self.start_s is None else round(self.start_s * SECOND)
        return [start, self.coverage, self.saturated, *self.direction, self.size, self.bounce, self.sway]


def _around(degrees: float, places: int, place: int) -> tuple[float, float, float]:
    """A direction at an angle to +y, one of so many around it."""
    angle, around = math.radians(degrees), 2 * math.pi * place / places
    side = math.sin(angle)
    return round(side * math.cos(around), 4), round(math.cos(angle), 4), round(side * math.sin(around), 4)


def _ring(degrees: float, places: int = 6) -> list[Walk]:
    return [Walk(_around(degrees, places, place)) for place in range(places)]


def _at(windows: Iterable[Walk], *starts: float) -> list[Walk]:
    return [replace(window, start_s=start) for window, start in zip(windows, starts, strict=True)]


def _wandering(count: int, slow: int) -> list[Walk]:
    """Windows whose direction goes round while its angle changes once, so that each way to bin them shows."""
    return [Walk(_around(30 if n < slow else 8 + n % 5, 7, n)) for n in range(count)]


def _upside(degrees: float) -> list[Walk]:
    return [Walk(_around(degrees, 5, 1)) for _ in range(3)]


CASES: dict[str, tuple[float, list[Walk]]] = {
    # Needed seconds, and the windows.
    "quality": (
        5.0,
        _at(
            [
                Walk(coverage=0.9),
                Walk(coverage=0.896, direction=(0.28, 0.96, 0.0)),
                Walk(saturated=0.004, direction=(0.28, 0.96, 0.0)),
            ],
            *(0, 5, 10),
        ),
    ),
    "bounce": (5.0, [replace(w, bounce=b) for w, b in zip(_ring(15, 4), (0.799, 0.801, 3.99, 4.01), strict=True)]),
    "gravity": (5.0, [replace(w, size=s) for w, s in zip(_ring(15, 4), (8.32, 8.35, 11.27, 11.29), strict=True)]),
    "sway": (5.0, [Walk(size=8.0, sway=5.0, bounce=1.5), Walk((0.0, 0.8, 0.6), size=10.5, sway=5.0, bounce=1.5)]),
    "times": (15.0, _at(_ring(20), 0, 1, 2, 2, 1, 9)),
    "times_after_one_that_did_not_serve": (
        10.0,
        _at([Walk(), Walk((0.28, 0.96, 0.0), bounce=0.5), Walk((0.0, 0.8, 0.6))], 0, 4, 6),
    ),
    "numbers_between_times": (10.0, [Walk(start_s=0), Walk((0.28, 0.96, 0.0)), Walk((0.0, 0.8, 0.6), start_s=1)]),
    "needed_exactly": (10.0, _ring(20, 2)),
    "needed_almost": (10.0, _at(_ring(20, 2), 0, 4.98)),
    "spread_38": (10.0, _ring(38)),
    "spread_42": (10.0, _ring(42)),
    "spread_of_half": (10.0, [*_ring(12, 2), *_ring(34, 2)]),
    "directions_within_a_bin": (
        9.0,
        _at([Walk(), *(Walk(_around(40, 3, n)) for n in (0, 1, 0, 1, 1)), *_ring(10, 3)], *range(9)),
    ),
    "bins_of_fifths_of_a_second": (15.2, _at(_wandering(52, 27), *(round(n / 5, 1) for n in range(52)))),
    "bins_added_up": (60.0, _wandering(246, 90)),
    "lying_110": (10.0, _upside(110)),
    "lying_134": (10.0, _upside(134)),
    "upside_down_136": (10.0, _upside(136)),
    "upside_down_150": (10.0, _upside(150)),
    "upside_down": (10.0, [Walk((0.0, -1.0, 0.0))] * 2),
}
COUNT = 1 + len(CASES)


def write(folder: Path) -> None:
    """Make all windows and write what the SDK learns from them."""
    write_floats(folder / "windows.f32", [_tilted(n) for n in range(14)])
    write_pairs(folder / "mount.txt", {"needed_s": 60.0} | learnt(60.0, walked(folder))[1])
    for name, (needed, walks) in CASES.items():
        (folder / name).mkdir()
        rows = [walk.row() for walk in walks]
        write_table(folder / name / "windows.csv", GIVEN, rows)
        served, said = learnt(needed, windows(folder / name))
        given = [[*row, did] for row, did in zip(rows, served, strict=True)]
        write_table(folder / name / "windows.csv", [*GIVEN, "served"], given)
        write_pairs(folder / name / "mount.txt", {"needed_s": needed} | said)


def check(folder: Path) -> list[str]:
    """What the SDK learns otherwise than it is written, in words."""
    wrong = _differing("mount", learnt(60.0, walked(folder))[1], pairs(folder / "mount.txt"))
    for name in CASES:
        expected = pairs(folder / name / "mount.txt")
        served, said = learnt(expected["needed_s"], windows(folder / name))
        wrong += _differing(f"mount {name}", said, expected)
        if list(map(golden.text, served)) != [row["served"] for row in table(folder / name / "windows.csv")]:
            wrong.append(f"mount {name}: served {served}")
    return wrong


def _differing(name: str, said: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    near = {"served": 0, "seconds": 1e-9, "spread_degrees": 1e-4, "rotation": 1e-6}
    same = {
        key: value == expected[key]
        if isinstance(value, str) or isinstance(expected[key], str)
        else np.allclose(value, expected[key], rtol=0, atol=near[key])
        for key, value in said.items()
    }
    return [f"{name}: {key} is {said[key]}" for key in said if not same[key]]


def learnt(needed: float, shown: Iterable[Window | np.ndarray]) -> tuple[list[bool], dict[str, Any]]:
    """Which windows served, and what was learnt from them; the spread also where the rotation is refused."""
    learner = MountLearner(needed)
    served = [learner.add(window) for window in shown]
    said: dict[str, Any] = {
        "served": sum(served),
        "seconds": learner.seconds,
        "spread_degrees": learner.spread_degrees,
    }
    try:
        said["rotation"] = tuple(learner.rotation().ravel().tolist())
    except CalibrationError as error:
        said["rotation"] = type(error).__name__
    return served, said


def walked(folder: Path) -> np.ndarray:
    """The windows of the walk, as numbers alone."""
    return floats(folder / "windows.f32", 6, 250)


def windows(folder: Path) -> list[Window | np.ndarray]:
    """The windows of a case; as numbers alone where they have no start."""
    shown: list[Window | np.ndarray] = []
    signs = (-1.0) ** np.arange(250)
    sides = (-1.0) ** (np.arange(250) // 25)
    for row in table(folder / "windows.csv"):
        value = {key: float(row[key]) for key in GIVEN[1:]}
        imu = np.zeros((6, 250))
        imu[:3] = np.outer([value["x"], value["y"], value["z"]], value["size"] + signs * value["bounce"])
        imu[0] += sides * value["sway"]
        quality = Quality(value["coverage"], 0.02, 50.0, 50.0, 0.0, value["saturated"], False, False)
        numbers = imu.astype(np.float32)
        if row["start_ns"] == "none":
            shown.append(numbers)
        else:
            start = int(row["start_ns"])
            shown.append(Window(numbers, start, start + 5 * SECOND, quality))
    return shown


def _tilted(n: int) -> np.ndarray:
    turn = np.array(golden_inputs.TILT).reshape(3, 3).T
    window = golden_heads.windows_of("walk" if n != 5 else "still", 100 + n)
    return np.vstack([turn @ window[:3], turn @ window[3:]]).astype(np.float32)
