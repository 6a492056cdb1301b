"""Weights in 8 and 4 bits: one scale for the tensor, the rows' own factors kept apart.

8-bit FULLY_CONNECTED with a scale per row needs operator version 12, which runtimes before TensorFlow 2.17 refuse or,
worse, compute wrongly. So every row is brought to the same size first, the whole matrix gets one scale, and a MUL after
the product gives the rows their factors back: the accuracy of a scale per row, on every runtime. (With version 12 the
loop is 4 % faster: not enough for a second kind of file.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from primus_models.graph import Array

Matrix = NDArray[np.float64]

DAMPING = 0.01
"""Added to the inputs' second moment, in units of its mean diagonal: how little rounding trusts the calibration."""
BLOCK = 32
"""Columns rounded before their effect on all later ones is worked out at once; changes the speed, not the result."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A matrix as `factors[:, None] * scale * q`; q `(O, I)` int8, factors `(O,)` float32."""

    q: NDArray[np.int8]
    factors: Array
    scale: float


def quantize_rows(weight: Array, bits: int, inputs: Matrix | None = None) -> Rows:
    """Symmetric quantization of each row of a matrix `(O, I)`, in 8 bits or 4.

    inputs `(n, I)`: what the matrix is multiplied with in use. With them, each weight's rounding error is made good by
    the weights of the same row that are still to be rounded, as far as their inputs go together (GPTQ, arXiv
    2210.17323): a tenth to a hundredth of the error in 4 bits.
    """
    top = 2 ** (bits - 1) - 1
    peaks = np.abs(weight.astype(np.float64)).max(axis=1, keepdims=True)
    peaks[peaks == 0] = 1.0
    if bits == 4:
        peaks = peaks * _best_clip(weight / peaks, top)
    unit = weight / peaks * top
    rounded = _clamp(unit, top) if inputs is None else _round_together(unit, inputs, top)
    return Rows(rounded.astype(np.int8), peaks[:, 0].astype(np.float32), 1 / top)


def _clamp(values: Matrix, top: int) -> Matrix:
    return np.clip(np.rint(values), -top, top)


def _best_clip(unit: Matrix, top: int) -> Matrix:
    """How far in to pull each row's ends so that the squared error of rounding is least; unit `(O, I)` in [-1, 1]."""
    clips = np.arange(0.6, 1.001, 0.02)
    errors = [np.square(_clamp(unit / clip * top, top) * clip / top - unit).sum(axis=1) for clip in clips]
    best: Matrix = clips[np.argmin(errors, axis=0)]
    return best[:, np.newaxis]


def _round_together(unit: Matrix, inputs: Matrix, top: int) -> Matrix:
    moment = inputs.T @ inputs / len(inputs)
    moment += (DAMPING * np.mean(np.diag(moment)) + 1e-12) * np.eye(len(moment))
    order = np.argsort(-np.diag(moment), kind="stable")  # what matters most first, while all others can still give way
    upper = np.linalg.cholesky(np.linalg.inv(moment[np.ix_(order, order)])).T
    left = np.asfortranarray(unit[:, order])
    rounded, errors = np.empty_like(left), np.empty_like(left)
    for start in range(0, len(order), BLOCK):
        stop = min(start + BLOCK, len(order))
        for at in range(start, stop):
            rounded[:, at] = _clamp(left[:, at], top)
            errors[:, at] = (left[:, at] - rounded[:, at]) / upper[at, at]
            left[:, at + 1 : stop] -= np.outer(errors[:, at], upper[at, at + 1 : stop])
        left[:, stop:] -= errors[:, start:stop] @ upper[start:stop, stop:]  # the block's whole effect, in one product
    return rounded[:, np.argsort(order)]
