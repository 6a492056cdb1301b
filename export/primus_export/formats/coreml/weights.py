"""Matrices as small integers with scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from primus_models import reference
from primus_models.graph import GRU, Array, Graph

BLOCK = 32
"""Weights of a row that share one scale at 4 bits: what Apple's own tools use by default."""
MOMENT_WINDOWS = 64
"""Calibration windows that the second moments are taken over: 2048 states of the paper's GRU, four times its size."""
DAMPING = 0.1
"""Of the mean second moment, added to each: keeps the rounding fit for windows unlike the calibration's."""

Moments = NDArray[np.float64]


def int8_rows(matrix: Array) -> tuple[NDArray[np.int8], Array]:
    """`(O, I)` as int8 `(O, I)` and a scale a row `(O, 1)`, so that rows may differ in size by any factor."""
    scale = _scale(matrix, 127)
    return np.rint(matrix / scale).clip(-127, 127).astype(np.int8), scale


def int4_blocks(matrix: Array, moments: Moments) -> tuple[NDArray[np.int8], Array]:
    """`(O, I)` as integers of -7 to 7, with a scale a block `(O, I / BLOCK)`, or a row if BLOCK does not divide I.

    Columns are rounded one after another, and each one's error is made good in those still to come, as far as what
    the matrix multiplies, with second moments `(I, I)`, goes together (GPTQ, arXiv 2210.17323).
    """
    rows, columns = matrix.shape
    block = BLOCK if columns % BLOCK == 0 else columns
    damped = moments + DAMPING * np.trace(moments) / columns * np.eye(columns) + 1e-12 * np.eye(columns)
    shares = np.linalg.cholesky(np.linalg.inv(damped)).T
    left = matrix.astype(np.float64)
    values, scales = np.zeros((rows, columns), np.int8), np.zeros((rows, columns // block), np.float32)
    for i in range(columns):
        if i % block == 0:
            scales[:, i // block] = _best_scale(left[:, i : i + block].astype(np.float32), 7)[:, 0]
        scale = scales[:, i // block].astype(np.float64)
        values[:, i] = np.rint(left[:, i] / scale).clip(-7, 7)
        error = (left[:, i] - values[:, i] * scale) / shares[i, i]
        left[:, i + 1 :] -= np.outer(error, shares[i, i + 1 :])
    return values, scales


def state_moments(graph: Graph, windows: Array) -> dict[str, Moments]:
    """The second moments `(H, H)` of each GRU's states over windows `(n, 6, 250)`, by the step's output."""
    windows = windows[:: max(1, len(windows) // MOMENT_WINDOWS)][:MOMENT_WINDOWS]
    values = reference.run_all(graph, windows)
    moments = {}
    for step in graph.steps:
        if isinstance(step, GRU):
            states = np.concatenate(reference.gru_states(step, values[step.x]))
            moments[step.out] = states.T @ states / len(states)
    return moments


def _scale(rows: Array, largest: int, share: float = 1.0) -> Array:
    peak = np.abs(rows).max(axis=1, keepdims=True) * np.float32(share)
    return np.where(peak > 0, peak / np.float32(largest), np.float32(1)).astype(np.float32)


def _best_scale(blocks: Array, largest: int) -> Array:
    """Each row's scale, of a few that clip its largest weights, with the least squared error."""
    scales = np.stack([_scale(blocks, largest, share) for share in (1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)])
    rounded = np.rint(blocks / scales).clip(-largest, largest) * scales
    best = np.square(rounded - blocks).sum(axis=2, keepdims=True).argmin(axis=0, keepdims=True)
    chosen: Array = np.take_along_axis(scales, best, axis=0)[0]
    return chosen
