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
_CELL = 1 << _TABLE_SHIFT
_LAST_CELL = (HALF_WIDTH_NS >> _TABLE_SHIFT) + 2  # zero from end to end

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def less(values: Ints | int, than: Ints | int) -> Ints:
    """All bits (-1) where a value is less, else 0; the two differ by less than 2^63.

    Whole numbers where others take masks: NumPy keeps seven freed buffers of every size below 1 KB, so masks of few
    hundred samples, each of as many bytes, would in a day become megabytes.
    """
    difference = np.subtract(values, than)
    return np.right_shift(difference, 63, out=difference)


def kernel(distance: Ints, period: Ints | int) -> Floats:
    """The kernel at these distances (taps, points), 0 to 200 ms, for each point's period (points,) or that of all.

    Beyond its reach of 100 ms it falls to zero within 2^14 ns; where that matters, the caller cuts it off.
    """
    cell = distance >> _TABLE_SHIFT
    share = (distance & (_CELL - 1)).astype(np.float64)
    share *= 1 / _CELL
    if isinstance(period, int):
        return _interpolated(_table(max(period, GRID_NS)), cell, share)
    weight = np.empty(distance.shape)
    for one in np.unique(period).tolist():
        these = np.flatnonzero(less(np.abs(period - one), 1))
        weight[:, these] = _interpolated(_table(max(one, GRID_NS)), cell[:, these], share[:, these])
    return weight


def _interpolated(table: Floats, cell: Ints, share: Floats) -> Floats:
    """The kernel at this share of the way from these cells to the next ones; `share` is spent."""
    near = table.take(cell, axis=0, mode="clip")  # beyond the last cell it is the last
    share *= near[..., 1]
    share += near[..., 0]
    return share


@lru_cache(maxsize=4)  # 100 KB each; one serves all sensors of 50 Hz and more
def _table(period_ns: int) -> Floats:
    """The kernel every 2^14 ns and its rise from there to the next, side by side (cells, 2).

    With the cutoff at half of 1 / period, and zero beyond its reach.
    """
    distance = np.arange(_LAST_CELL) << _TABLE_SHIFT
    # At slow rates few samples are in reach: a steeper fall-off for a less perfect damping.
    beta = min(6.25, 10 - period_ns / 8e6)
    inside = 1 - (distance / HALF_WIDTH_NS) ** 2
    # One entry lies beyond the reach; the last cell is interpolated towards it, so the curve goes on there.
    taper = np.where(inside >= 0, np.i0(beta * np.sqrt(np.maximum(0, inside))), 1 + beta**2 * inside / 4) / np.i0(beta)
    table = np.zeros(_LAST_CELL + 2)
    table[:_LAST_CELL] = np.sinc(distance / period_ns) * taper
    return np.stack([table[:-1], np.diff(table)], axis=1)
