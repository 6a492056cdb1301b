"""Golden vectors of bouts and examples: what becomes of each window between begin and end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden
import numpy as np
from recognitions import ENCODER, SECOND, Clock

from primus_sdk.calibration.calibrator import Calibrator
from primus_sdk.errors import CalibrationError
from primus_sdk.streaming.recognition import Recognition
from primus_sdk.windowing.quality import Quality
from primus_sdk.windowing.windows import Window

Line = list[Any]


def _at(seconds: float | None) -> Line:
    return ["newest", None if seconds is None else round(seconds * SECOND)]


def _window(
    start: float,
    after_reset: bool = False,
    held: bool = False,
    coverage: float = 1.0,
    saturated: float = 0.0,
    hz: tuple[float, float] = (50.0, 50.0),
) -> Line:
    first = round(start * SECOND)
    return ["window", first, first + 5 * SECOND, after_reset, held, coverage, saturated, *hz]


def _windows(*starts: float) -> list[Line]:
    return [_window(start) for start in starts]


BEGIN, END, UNDO = ["begin", "walk"], ["end"], ["undo"]
SCENARIOS: dict[str, tuple[float, list[Line]]] = {
    # The least rate, and what happens.
    "begin_and_end": (
        45.0,
        [
            *[_at(10), *_windows(4), END, BEGIN, ["begin", "run"], *_windows(8, 9.98, 10, 11)],
            *[_at(17), END, END, *_windows(12, 12.02, 12.04, 13), ["begin", ""], ["begin", "x" * 201]],
            *[["begin", "x" * 200], UNDO],
        ],
    ),
    "quality": (
        45.0,
        [
            *[_at(0), BEGIN, _window(0, coverage=0.9), _window(1, coverage=0.896), _window(2, saturated=0.02)],
            *[_window(3, saturated=0.024), _window(4, hz=(45.0, 45.0)), _window(5, hz=(44.9, 50.0))],
            *[_window(6, hz=(50.0, 44.9)), _window(7, held=True, coverage=0.5)],
            *[_window(8, coverage=0.5, saturated=0.5), _window(9, saturated=0.5, hz=(20.0, 20.0)), _window(10)],
        ],
    ),
    "slow_sensors": (20.0, [_at(0), BEGIN, _window(0, hz=(20.0, 25.0)), _window(1, hz=(19.9, 25.0))]),
    "near": (
        45.0,
        [
            *[_at(0), BEGIN, *_windows(0, 0.48, 0.5), _window(1, held=True), *_windows(1.02, 1.5, 1.52)],
            *[_at(6.5), END, _at(7), BEGIN, *_windows(2, 7, 7.4, 7.5)],
        ],
    ),
    "late_windows_of_two_bouts": (
        45.0,
        [
            *[_at(0), BEGIN, _at(6), END, ["begin", "run"], _at(8), END, _at(8.02), BEGIN, _at(12.98), END],
            *[_at(12.98), ["begin", "run"], *_windows(0, 1, 1.02, 6, 8.02), _at(18), *_windows(12.96, 12.98, 13)],
        ],
    ),
    "late_windows_of_the_same_time": (
        45.0,
        [_at(0), BEGIN, _at(6), END, ["begin", "run"], _at(6), END, _at(6), ["begin", "nod"], *_windows(0, 1, 6)],
    ),
    "late_windows_of_two_long_bouts": (
        45.0,
        [_at(0), BEGIN, _at(6), END, ["begin", "run"], _at(12), END, *_windows(0, 1, 4, 6, 7)],
    ),
    "where_two_bouts_would_do": (
        45.0,
        [_at(0), BEGIN, _at(10), END, _at(None), ["begin", "run"], _at(14), *_windows(4, 8), END, *_windows(9)],
    ),
    "after_reset": (
        45.0,
        [
            *[_at(0), BEGIN, *_windows(0, 1), _at(20), _window(10, after_reset=True), *_windows(11), _at(16), END],
            *[*_windows(12), _at(20), BEGIN, _at(30), _window(20), END, _window(25, after_reset=True)],
        ],
    ),
    "set_back_in_a_bout": (
        45.0,
        [
            *[_at(1000), BEGIN, _at(1006), *_windows(1000, 1001), _at(7), _window(2, after_reset=True)],
            *[*_windows(2.3, 3), _at(8), END, *_windows(1002, 3.02)],
        ],
    ),
    "set_back_by_less_than_a_window": (
        45.0,
        [_at(0), BEGIN, _at(12), END, *_windows(0, 3), _window(6, after_reset=True), *_windows(7)],
    ),
    "set_back_after_a_bout": (
        45.0,
        [
            *[_at(1000), BEGIN, _at(1010), *_windows(1000), END, *_windows(1001), _window(2, after_reset=True)],
            *_windows(3, 1003),
        ],
    ),
    "set_back_and_the_first_window_refused": (
        45.0,
        [_at(1000), BEGIN, _at(1010), END, *_windows(1000, 1001, 1001, 1002), BEGIN, *_windows(1010, 1009, 1009.5)],
    ),
    "set_back_before_begin": (
        45.0,
        [_at(1005), *_windows(1000), _at(3), BEGIN, _window(1, after_reset=True), *_windows(2, 3, 4)],
    ),
    "set_back_by_little_before_end": (
        45.0,
        [
            *[_at(0), BEGIN, _at(10), *_windows(0, 5), _at(9.98), END, *_windows(4.94)],
            *[_at(20), BEGIN, _at(30), *_windows(20, 25), _at(29.96), END, *_windows(24.94)],
        ],
    ),
    "set_back_before_the_end_of_a_bout": (
        45.0,
        [_at(0), BEGIN, _at(10), END, *_windows(0), _at(9.9), *_windows(1), _at(10), *_windows(2)],
    ),
    "flush": (
        45.0,
        [
            *[BEGIN, *_windows(1), _at(7), *_windows(2), _at(None), END, *_windows(3, 4)],
            *[_at(20), _window(14, after_reset=True), *_windows(15), BEGIN, _at(None), END, *_windows(20)],
            *[_at(27), ["begin", "run"], *_windows(21, 22), _window(27, after_reset=True), *_windows(28)],
        ],
    ),
    "flush_and_the_first_window_refused": (
        45.0,
        [_at(0), BEGIN, _at(6), *_windows(0), _at(None), END, *_windows(1), _at(12), *_windows(7)],
    ),
    "flush_and_begin": (
        45.0,
        [_at(0), BEGIN, _at(6), *_windows(0), _at(None), END, *_windows(1), ["begin", "run"], *_windows(2), END],
    ),
    "before_1970": (
        45.0,
        [
            *[BEGIN, *_windows(-20), _at(-14), END, UNDO],
            *[_at(-9), BEGIN, *_windows(-10, -9, -8), _at(-3), END, *_windows(-7.98, -7.96)],
        ],
    ),
    "rename": (
        45.0,
        [
            *[_at(0), BEGIN, *_windows(0), ["rename", "walk", "stroll"], *_windows(1), ["rename", "run", "walk"]],
            *[_at(8), END, ["rename", "walk", "stroll"], *_windows(2), ["begin", "nod"], ["rename", "walk", "nod"]],
            *[["rename", "stroll", ""], _at(14), *_windows(8), ["rename", "nod", "stroll"], *_windows(9)],
        ],
    ),
    "remove": (
        45.0,
        [
            *[_at(0), BEGIN, *_windows(0, 1), ["remove", "walk"], _at(8), END, ["begin", "run"], *_windows(2)],
            *[["remove", "walk"], *_windows(3, 8), ["remove", "walk"], ["remove", "run"], _at(16), END, *_windows(9)],
            *[["remove", "run"], *_windows(10)],
        ],
    ),
    "undo": (
        45.0,
        [
            *[UNDO, _at(0), BEGIN, *_windows(0, 1), _at(8), END, _at(8), ["begin", "run"], *_windows(8), UNDO, UNDO],
            *[*_windows(2, 9), END, _at(20), BEGIN, *_windows(20), _at(26), END, UNDO, *_windows(20.5)],
            *[BEGIN, *_windows(26)],
        ],
    ),
}  # fmt: skip
COUNT = len(SCENARIOS)


def write(folder: Path) -> None:
    """Write all scenarios, with what the SDK gives to each line and the examples at the end."""
    for name, (least_hz, lines) in SCENARIOS.items():
        said = played(least_hz, [list(map(golden.text, line)) for line in lines])
        rows = [["least_hz", least_hz], *said]
        text = "".join(",".join(map(golden.text, row)) + "\n" for row in rows)
        (folder / f"{name}.csv").write_text(text, "utf-8", newline="\n")


def check(folder: Path) -> list[str]:
    """What the SDK gives otherwise than it is written, in words."""
    wrong = []
    for name in SCENARIOS:
        (_, least_hz), *lines = read(folder, name)
        said = [list(map(golden.text, row)) for row in played(float(least_hz), [asked(line) for line in lines])]
        if said != lines:
            odd = [f"{n + 2}: {one}" for n, (one, line) in enumerate(zip(said, lines, strict=False)) if one != line]
            wrong.append(f"bouts {name}: {'; '.join(odd) or 'another number of examples'}")
    return wrong


def read(folder: Path, name: str) -> list[list[str]]:
    """The lines of a scenario."""
    return [line.split(",") for line in (folder / f"{name}.csv").read_text("utf-8").splitlines()]


def asked(line: list[str]) -> list[str]:
    """A line without what must come out."""
    return [] if line[0] in ("example", "left_out") else line if line[0] == "newest" else line[:-1]


def played(least_hz: float, lines: list[list[str]]) -> list[Line]:
    """Each line with what came out; then the examples, and how many windows were left out of them and why."""
    clock = Clock(None)
    calibrator = Calibrator(ENCODER, clock, least_hz=least_hz)
    does: dict[str, Callable[..., Any]] = {
        name: getattr(calibrator, name) for name in ("begin", "end", "undo", "remove", "rename")
    }
    said: list[Line] = []
    for line in filter(None, lines):
        kind, *words = line
        if kind == "newest":
            clock.newest_ns = None if words[0] == "none" else int(words[0])
            said.append(line)
            continue
        came: str | None = None
        try:
            if kind == "window":
                came = calibrator.add(_recognition(words))
            else:
                does[kind](*words)
        except CalibrationError as error:
            came = type(error).__name__
        said.append([*line, came])
    found = calibrator.examples
    for label, number, (start, end) in zip(found.labels, found.bouts.tolist(), found.times_ns.tolist(), strict=True):
        said.append(["example", label, number, start, end])
    return [*said, *(["left_out", reason, count] for reason, count in sorted(calibrator.left_out.items()))]


def _recognition(words: list[str]) -> Recognition:
    start, end = map(int, words[:2])
    after_reset, held = (word == "1" for word in words[2:4])
    coverage, saturated, *hz = map(float, words[4:8])
    quality = Quality(coverage, 0.02, *hz, 0.0, saturated, False, after_reset)
    return Recognition(
        Window(np.zeros((6, 250), np.float32), start, end, quality), None, np.zeros(512, np.float32), held
    )
