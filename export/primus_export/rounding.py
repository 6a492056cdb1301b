"""Matrices as small integers with scales, rounded so that what they are multiplied with in use shows it least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from primus_models.graph import Array

Matrix: TypeAlias = NDArray[np.float64]
Bits: TypeAlias = Literal[4, 8]

DAMPING = 0.1
"""Added to the inputs' second moments, in units of their mean: how little the rounding trusts the calibration.

At a tenth of it, windows unlike the calibration's fare worse: a trained encoder in 4 bits, cosine .9984 for .9992.
"""
_LARGEST_TRAINED = 7
"""The largest code of weights that were trained in 4 bits."""
_EXACT = 1e-5
"""How far a code may be off a whole number by the rounding of floats."""
_TOGETHER = 32
"""Columns rounded before their effect on all later ones is worked out at once; changes the speed, not the result."""


@dataclass(frozen=True, eq=False)
class Rounded:
    """A matrix `(O, I)` as integers, each times the scale of its block: a run of columns of one row.

    codes: int8 `(O, I)`, -127 to 127 (4 bits: -7 to 7); scales: float32 `(O, blocks)`, never 0.
    """

    codes: NDArray[np.int8]
    scales: Array


def round_matrix(
    weight: Array, bits: Bits, inputs: Matrix | None = None, block: int | None = None, top: int | None = None
) -> Rounded:
    """A matrix `(O, I)` in 8 bits or 4, symmetric, each block's scale set by its largest weight.

    inputs `(n, I)`: what the matrix is multiplied with in use. With them, each weight's rounding error is made good by
    the weights of the same row that are still to be rounded, as far as their inputs go together (GPTQ, arXiv
    2210.17323). block: columns that share a scale, the last block may be narrower; left out, the whole row. top: the
    largest code; left out, the largest of so many bits. Weights that are whole numbers of 4 bits times a scale already
    stay what they are.
    """
    top = top or 2 ** (bits - 1) - 1
    columns = weight.shape[1]
    block = block or columns
    # Nothing is clipped: that would leave less squared error in the weights, but no less in an encoder's embedding.
    peaks = np.maximum.reduceat(np.abs(weight), np.arange(0, columns, block), axis=1)
    tops = _grids(weight, peaks, block, top)
    scales = np.where(peaks > 0, peaks / tops, np.float32(1)).astype(np.float32)
    steps = np.repeat(scales.astype(np.float64), block, axis=1)[:, :columns]
    wide = weight.astype(np.float64)
    codes = _nearest(wide, steps, top) if inputs is None else _round_together(wide, steps, top, inputs)
    return Rounded(codes.astype(np.int8), scales)


def _grids(weight: Array, peaks: Array, block: int, top: int) -> Array:
    """The code of each block's largest weight, `(O, blocks)`: `top`, or less where that gives every weight exactly.

    Weights that were trained as few whole numbers times a scale (`primus_models.pretraining.quantized`) are taken as
    those, although the largest of a block is seldom the largest of its row.
    """
    tops = np.full_like(peaks, top)
    whole = np.zeros(peaks.shape, bool)
    starts = np.arange(0, weight.shape[1], block)
    for code in range(min(top, _LARGEST_TRAINED), 0, -1):
        steps = np.repeat(np.where(peaks > 0, peaks / np.float32(code), np.float32(1)), block, axis=1)
        codes = weight / steps[:, : weight.shape[1]]
        off = np.maximum.reduceat(np.abs(codes - np.rint(codes)), starts, axis=1)
        found = (off < _EXACT) & ~whole
        tops[found], whole = code, whole | found
    return tops


def _nearest(values: Matrix, steps: Matrix, top: int) -> Matrix:
    return np.clip(np.rint(values / steps), -top, top)


def _round_together(weight: Matrix, steps: Matrix, top: int, inputs: Matrix) -> Matrix:
    moments = inputs.T @ inputs / len(inputs)
    moments += (DAMPING * np.mean(np.diag(moments)) + 1e-12) * np.eye(len(moments))
    order = np.argsort(-np.diag(moments), kind="stable")  # what matters most first, while all others can still give way
    upper = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    left, steps = np.asfortranarray(weight[:, order]), np.asfortranarray(steps[:, order])
    codes, errors = np.empty_like(left), np.empty_like(left)
    for start in range(0, len(order), _TOGETHER):
        stop = min(start + _TOGETHER, len(order))
        for at in range(start, stop):
            codes[:, at] = _nearest(left[:, at], steps[:, at], top)
            errors[:, at] = (left[:, at] - codes[:, at] * steps[:, at]) / upper[at, at]
            left[:, at + 1 : stop] -= np.outer(errors[:, at], upper[at, at + 1 : stop])
        left[:, stop:] -= errors[:, start:stop] @ upper[start:stop, stop:]
    return codes[:, np.argsort(order)]
