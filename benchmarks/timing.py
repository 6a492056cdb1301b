"""Interleaved timing: every candidate runs once a round, so that a busy moment falls on all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Microseconds a call: the median, and how wide the middle of the distribution is."""

    median: float
    p5: float
    p95: float


def interleaved(candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 20) -> dict[str, Timing]:
    """Time each candidate `rounds` times, in turn; the order is shuffled anew each round by a fixed seed."""
    rng = np.random.default_rng(0)
    names = list(candidates)
    for call in candidates.values():
        for _ in range(warm_up):
            call()
    taken: dict[str, list[int]] = {name: [] for name in names}
    gc.disable()
    try:
        for _ in range(rounds):
            for index in rng.permutation(len(names)):
                call = candidates[names[index]]
                # What ran before has filled the caches with its own weights; a device that calls one model does not
                # pay for that.
                call()
                start = time.perf_counter_ns()
                call()
                taken[names[index]].append(time.perf_counter_ns() - start)
    finally:
        gc.enable()
    return {name: _summary(values) for name, values in taken.items()}


def _summary(nanoseconds: list[int]) -> Timing:
    p5, median, p95 = np.percentile(np.array(nanoseconds) / 1000, [5, 50, 95])
    return Timing(float(median), float(p5), float(p95))
