"""The resampler's kernel: a sinc under a Kaiser window, tabulated."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

GRID_NS = 20_000_000
"""Distance of the grid points: 50 Hz."""
HALF_WIDTH_NS = 100_000_000
"""Reach of the kernel to either side, and so the longest wait for a grid point."""

_TABLE_SHIFT = 14  # tabulated every 2^14 ns and interpolated: within 3e-7 of its formula

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def kernel(distance: Ints, period: Ints) -> Floats:
    """The kernel at these distances (taps, points), for each point's period (points,)."""
    cell = np.minimum(distance, HALF_WIDTH_NS) >> _TABLE_SHIFT
    share = (distance - (cell << _TABLE_SHIFT)) / (1 << _TABLE_SHIFT)
    known = np.unique(period)
    if len(known) == 1:
        table, slope = _table(max(int(known[0]), GRID_NS))
        weight = table[cell] + share * slope[cell]
    else:
        weight = np.empty(distance.shape)
        for one in known.tolist():
            table, slope = _table(max(one, GRID_NS))
            these = period == one
            weight[:, these] = table[cell[:, these]] + share[:, these] * slope[cell[:, these]]
    return np.where(distance <= HALF_WIDTH_NS, weight, 0.0)


@lru_cache(maxsize=64)
def _table(period_ns: int) -> tuple[Floats, Floats]:
    """The kernel every 2^14 ns, and its slopes, with the cutoff at half of 1 / period."""
    distance = np.arange((HALF_WIDTH_NS >> _TABLE_SHIFT) + 2) << _TABLE_SHIFT
    # At slow rates few samples are in reach: a steeper fall-off for a less perfect damping.
    beta = min(6.25, 10 - period_ns / 8e6)
    taper = np.i0(beta * np.sqrt(np.maximum(0, 1 - (distance / HALF_WIDTH_NS) ** 2))) / np.i0(beta)
    table = np.sinc(distance / period_ns) * taper
    return table[:-1], np.diff(table)
