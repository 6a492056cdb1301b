"""Streams at the limits of rules: a step, a value or a time on either side of each number that the contract names.

Made so that an SDK that takes one of these numbers for another, or `<` for `<=`, gives other windows or counts. The
signals are smooth functions of the time, whatever the order in which samples come.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from golden_inputs import BOOT, MS, Case, Row

SECOND = 1000 * MS
GRID = 20 * MS


def acceleration(time: int) -> list[float]:
    s = time / SECOND
    return [round(2 * math.sin(5 * s), 3), round(9.8 + 1.5 * math.sin(9 * s + 1), 3), round(1.2 * math.cos(7 * s), 3)]


def rotation(time: int) -> list[float]:
    s = time / SECOND
    return [round(part, 3) for part in (0.8 * math.sin(6 * s), 0.5 * math.sin(11 * s + 1), 0.4 * math.cos(8 * s))]


def rows(side: int, times: Iterable[int]) -> list[Row]:
    """One sensor's samples, one every 20 ms as they come, whatever their timestamps say."""
    value = (acceleration, rotation)[side]
    return [Row(BOOT + n * GRID, time, value(time)) for n, time in enumerate(times)]


def both(times: Sequence[int]) -> tuple[list[Row], list[Row]]:
    return rows(0, times), rows(1, times)


def every(step: int, first: int, last: int) -> list[int]:
    return list(range(first, last, step))


def stepped(steps: Iterable[int], until: int) -> list[int]:
    """Times from 0 on, so far apart."""
    return list(itertools.takewhile(lambda time: time < until, itertools.accumulate(steps, initial=0)))


def replaced(samples: list[Row], first: int, values: Sequence[list[float]]) -> list[Row]:
    part = [Row(row.arrival, row.t, value) for row, value in zip(samples[first:], values, strict=False)]
    return [*samples[:first], *part, *samples[first + len(values) :]]


# -- Samples


def saturation() -> list[Case]:
    """1.9 g and 240 deg/s where no range is declared, the same axis as in the sample before, whatever became of it."""
    nan = math.nan
    a, g = both(every(GRID, 0, 10_300 * MS))
    pairs = [[18.0, 9.0, 1.0], [18.0, 9.1, 1.1], [1.0, 9.0, 1.0], [18.8, 9.0, 1.0], [18.8, 8.0, 1.1], [1.0, 9.0, 1.0]]
    pairs += [[20.0, 9.0, 1.0], [1.0, 20.0, 2.0], [1.0, 8.0, 2.1], [20.0, 9.0, 1.0], [-20.0, 9.2, 1.0]]
    pairs += [[1.0, 9.0, 1.0], [21.0, 9.0, 1.0], [20.0, nan, 1.0], [20.0, 8.0, 1.0], [1.0, 9.0, 1.0]]
    turns = [[3.6, 0.0, 0.0], [3.6, 0.1, 0.1], [0.0, 0.3, 0.0], [4.3, 0.0, 0.0], [4.3, 0.1, 0.1], [0.0, 0.1, 0.2]]
    undeclared = Case("limits_saturated", replaced(a, 10, pairs), replaced(g, 260, turns), {"hop_s": 5.0})
    a, g = both(every(GRID, 0, 5_200 * MS))
    apart = [
        Row(row.arrival, row.t, [round(x / 10, 4), round(y / 10 - 1, 4), round(z / 10, 4), 0.0, 1.0, 0.0])
        for row in a
        for x, y, z in [row.values]
    ]
    ends = [[1.998, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 0.0], [1.95, 0.0, 0.0, 0.0, 1.0, 0.0]]
    ends += [[1.95, 0.1, 0.1, 0.0, 1.0, 0.0], [0.1, 1.1, 0.0, 0.0, 1.0, 0.0], [1.99, 0.0, 0.0, 0.0, 1.0, 0.1]]
    declared = {"accelerometer_unit": "g", "accelerometer_range": 2.0}
    return [undeclared, Case("limits_saturated_declared", replaced(apart, 10, ends), g, declared)]


def validity() -> Case:
    """1e5 in SI units; what is invalid moves no time."""
    a, g = both(every(GRID, 0, 300 * MS))
    in_g = [Row(row.arrival, row.t, [round(value / 9.8, 3) for value in row.values]) for row in a]
    in_g = replaced(in_g, 3, [[20_000.0, 1.0, 0.0], [1_500.0, 1.0, 0.0]])
    for place, time in ((5, 3 * SECOND), (6, -9 * SECOND)):
        in_g.insert(place, Row(in_g[place].arrival, time, [math.nan, 0.0, 0.0]))
    return Case("limits_invalid", in_g, replaced(g, 3, [[1e5, 0.0, 0.0], [0.0, 100_001.0, 0.0]]), {
        "accelerometer_unit": "g"
    })  # fmt: skip


# -- Order


def order() -> list[Case]:
    """10 and 20 ms, 0.1 ms, 1 s: the reorder window, twice of it, a repetition, the reset; in their order."""
    start = every(10 * MS, 0, SECOND)
    last = start[-1]
    ms = [20, 15, 35, 30, 60, 55, 65, 58, 75, 75.1, 75.25, 75.3, 65.28, 60.01, 75.3 - 1000]
    steps = [last + round(step * MS) for step in ms]
    on = every(10 * MS, last + 90 * MS, last + 400 * MS)
    late = [*every(10 * MS, 0, 200 * MS), 225 * MS, 225 * MS - 50_000]  # both late and repeated
    return [
        Case("limits_order", rows(0, [*start, *steps, *on]), rows(1, [*start, *on])),
        Case("limits_late_before_repeated", rows(0, late), rows(1, every(10 * MS, 0, 200 * MS))),
    ]


# -- The grid


def periods() -> list[Case]:
    """How a period is rounded, and kept within 0.5 and 50 ms; which steps are none of its steps."""
    halves = itertools.chain([10_250_000, 10_249_999] * 16, itertools.repeat(10 * MS))
    long = {5: 100 * MS, 9: 100 * MS, 13: 100 * MS, 7: 95 * MS, 8: 95 * MS}
    quick = itertools.chain([200_000] * 40, itertools.repeat(10 * MS))
    changing = [40] * 32 + [10] * 64 + [70] + [10] * 13 + [70] + [10] * 49 + [40] * 200
    return [
        Case("limits_period_rounded_down", *both([time + 3 * MS for time in stepped(halves, 5_200 * MS)])),
        Case(
            "limits_period_of_slow_steps",
            *both(stepped((long.get(n, 25_010_000) for n in itertools.count()), 5_400 * MS)),
        ),
        Case("limits_12_5_hz", *both(every(80 * MS, 0, 5_300 * MS))),
        Case("limits_8_hz", *both(every(125 * MS, 0, 5_300 * MS))),
        Case("limits_burst_of_5_khz", *both(stepped(quick, 5_300 * MS))),
        Case("limits_rate_changes", *both(stepped((step * MS for step in changing), 6_300 * MS))),
    ]


def gaps() -> list[Case]:
    """5/4 of 20 ms or of the period; 100 ms; 1 s; a gap over a window's end."""
    slow, quick = {20: 25 * MS, 30: 24_500_000, 35: 34 * MS}, {35: 34 * MS}
    return [
        Case("limits_gap_at_55_hz", *both(stepped((slow.get(n % 40, 18 * MS) for n in range(400)), 5_300 * MS))),
        Case("limits_gap_at_200_hz", *both(stepped((quick.get(n % 60, 5 * MS) for n in range(1200)), 5_300 * MS))),
        Case("limits_gap_of_100_ms", *both(every(10 * MS, 0, 2_000 * MS) + every(10 * MS, 2_090 * MS, 5_300 * MS))),
        Case("limits_silence_of_1_s", *both(every(10 * MS, 0, 2_000 * MS) + every(10 * MS, 2_990 * MS, 5_300 * MS))),
        Case("limits_gap_over_the_end", *both(every(10 * MS, 0, 4_900 * MS) + every(10 * MS, 5_300 * MS, 6_300 * MS))),
    ]  # fmt: skip


def ends() -> list[Case]:
    """Segments without a point, a run of one window exactly, times before 1970."""
    bursts = [2_001 * MS + n * 3 * MS for n in range(5)]  # over before the next multiple of 20 ms
    return [
        Case("limits_short_segments", *both([*every(10 * MS, 0, 100 * MS), *bursts, 4_007 * MS, 6_000 * MS])),
        Case("limits_exactly_250_points", *both(every(GRID, 0, 5_000 * MS))),
        Case("limits_before_1970", *both(every(10 * MS, -2_505 * MS, 2_805 * MS))),
    ]


# -- Two sensors


def clocks() -> list[Case]:
    """Clocks that are set back apart: the 50 points that one waits for the other, and what a flush forgets."""
    twice = every(GRID, 10 * SECOND, 11 * SECOND) + every(GRID, 8 * SECOND, 8_300 * MS)
    twice += every(GRID, 6 * SECOND, 13 * SECOND)
    alone = [*every(GRID, 10 * SECOND, 11 * SECOND), 8 * SECOND, *every(GRID, 6 * SECOND, 14 * SECOND)]
    adopted = every(GRID, 10 * SECOND, 11 * SECOND) + every(GRID, 9 * SECOND, 16 * SECOND)
    equal = every(GRID, 10 * SECOND, 11 * SECOND) + every(GRID, 8 * SECOND, 9 * SECOND)
    equal += every(GRID, 6 * SECOND, 10 * SECOND)
    waiting = every(GRID, 10 * SECOND, 11 * SECOND) + every(GRID, 8 * SECOND, 8_600 * MS)
    anew = [every(GRID, 20 * SECOND, 21 * SECOND) + every(GRID, 18 * SECOND, 21 * SECOND)]
    anew += [[20 * SECOND, *every(GRID, 18 * SECOND, 23 * SECOND)]]
    return [
        Case("limits_set_back_twice", rows(0, twice), rows(1, steady(twice))),
        Case("limits_set_back_twice_with_one_sample_between", rows(0, alone), rows(1, steady(alone))),
        Case(
            "limits_set_back_after_adoption",
            rows(0, adopted),
            rows(1, every(GRID, 10 * SECOND, 13 * SECOND) + every(GRID, 11 * SECOND, 16 * SECOND)),
        ),
        Case(
            "limits_waiting_ends_with_equal_epochs",
            rows(0, equal),
            rows(1, every(GRID, 10 * SECOND, 11_600 * MS) + every(GRID, 8_600 * MS, 12 * SECOND)),
        ),
        *[
            Case(
                f"limits_flush_while_waiting_{number}",
                rows(0, [*waiting, *times]),
                rows(1, [*steady(waiting), *(time + 10 * SECOND for time in steady(times))]),
                flush_at=len(waiting) * GRID,
            )
            for number, times in enumerate(anew, 1)
        ],
    ]


def steady(times: Sequence[int]) -> list[int]:
    """As many times, 20 ms apart, from 10 s on: of the sensor whose clock nothing happens to."""
    return [10 * SECOND + n * GRID for n in range(len(times))]


# -- Rest


def rest() -> list[Case]:
    """0.06 m/s^2 and 0.01 rad/s, of the three axes together and of both sensors."""
    made = {"still": (0.055, 0.009), "accelerometer": (0.066, 0.0), "gyroscope": (0.0, 0.012)}
    made |= {"accelerometer_alone": (0.9, 0.0), "gyroscope_alone": (0.0, 0.3)}
    times = every(GRID, 0, 5_200 * MS)
    cases = []
    for name, (moves, turns) in made.items():
        a = [Row(BOOT + n * GRID, t, [swing(n, moves), 9.8, 0.0]) for n, t in enumerate(times)]
        g = [Row(BOOT + n * GRID, t, [swing(n + 5, turns), 0.0, 0.0]) for n, t in enumerate(times)]
        cases.append(Case(f"limits_rest_{name}", a, g))
    axes = [
        Row(BOOT + n * GRID, t, [swing(n, 0.05), round(9.8 + swing(n + 3, 0.05), 6), swing(n + 9, 0.05)])
        for n, t in enumerate(times)
    ]
    resting = [Row(BOOT + n * GRID, t, [0.0, 0.0, 0.0]) for n, t in enumerate(times)]
    return [*cases, Case("limits_rest_three_axes_together", axes, resting)]


def swing(number: int, deviation: float) -> float:
    """Something like white noise of this standard deviation."""
    return round(deviation * math.sqrt(2) * math.sin(2.399 * number * number + 1.3 * number), 6)


def cases() -> list[Case]:
    groups: list[Any] = [saturation(), [validity()], order(), periods(), gaps(), ends(), clocks(), rest()]
    return [case for group in groups for case in group]
