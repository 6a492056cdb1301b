"""Interleaved timing: the candidates take turns, so that a busy moment of the machine falls on all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

WARM_UP = 2
"""Calls before the timed ones of a turn: what ran before has filled the caches with its own weights."""
TIMED = 5
"""Timed calls of a turn."""


@dataclass(frozen=True)
class Timing:
    """Microseconds a call: the median, and how wide the middle of the distribution is."""

    median: float
    p5: float
    p95: float


def interleaved(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Give each candidate one turn a round, in an order shuffled anew each round by a fixed seed."""
    rng = np.random.default_rng(0)
    names = list(candidates)
    taken: dict[str, list[int]] = {name: [] for name in names}
    gc.disable()
    try:
        for _ in range(rounds):
            for index in rng.permutation(len(names)):
                _turn(candidates[names[index]], taken[names[index]])
    finally:
        gc.enable()
    return {name: _summary(values) for name, values in taken.items()}


def _turn(call: Callable[[], object], taken: list[int]) -> None:
    for _ in range(WARM_UP):
        call()
    for _ in range(TIMED):
        start = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - start)


def _summary(nanoseconds: list[int]) -> Timing:
    p5, median, p95 = np.percentile(np.array(nanoseconds) / 1000, [5, 50, 95])
    return Timing(float(median), float(p5), float(p95))
