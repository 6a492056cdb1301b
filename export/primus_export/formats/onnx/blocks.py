"""Weights in few bits as MatMulNBits takes them: blocks of a row, each with its own scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from primus_export.rounding import Bits, Matrix, round_matrix
from primus_models.graph import Array

_WIDEST = 256
_NARROWEST = 16
_INT4_BLOCK = 32


@dataclass(frozen=True, eq=False)
class Blocks:
    """A matrix `(O, I)` as MatMulNBits takes it: value = (code - 2^(bits-1)) * scale of its block.

    codes: uint8 `(O, blocks, size * bits / 8)`, the lower half of a byte first; scales: float32 `(O * blocks,)`.
    """

    codes: NDArray[np.uint8]
    scales: Array
    size: int
    bits: Bits


def pack(weight: Array, bits: Bits, inputs: Matrix | None = None) -> Blocks:
    """The matrix `(O, I)` in blocks along I, rounded for its inputs `(n, I)`; the last one is padded with zeros."""
    size = _block_size(weight.shape[1]) if bits == 8 else _INT4_BLOCK
    rounded = round_matrix(weight, bits, inputs, size)
    rows, count = rounded.scales.shape
    padded = np.zeros((rows, count * size), np.int8)
    padded[:, : weight.shape[1]] = rounded.codes
    packed = (padded.reshape(rows, count, size).astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    if bits == 4:
        packed = packed[..., 0::2] | (packed[..., 1::2] << 4)
    return Blocks(packed, rounded.scales.reshape(-1), size, bits)


def _block_size(inputs: int) -> int:
    # Wide blocks run fastest (256: a quarter less time than 32), unless most of one were padding.
    sizes = [_WIDEST >> shift for shift in range(5)]
    return next((size for size in sizes if -inputs % size <= inputs // 8), _NARROWEST)
