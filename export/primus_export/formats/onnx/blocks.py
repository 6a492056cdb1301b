"""Weights in few bits: whole rows for those that are restored on loading, blocks of a row for MatMulNBits.

All are symmetric. Each row (or block) has its own scale, so rows that differ widely in size lose nothing to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from primus_models.graph import Array

Bits = Literal[4, 8]

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


def quantize_rows(weight: Array, inputs_axis: int) -> tuple[NDArray[np.int8], Array]:
    """int8 codes, and one scale for all inputs of an output: weight = codes * scales, to half a scale."""
    scales = _nonzero(np.abs(weight).max(axis=inputs_axis, keepdims=True) / np.float32(127))
    return np.rint(weight / scales).astype(np.int8), scales


def quantize_blocks(weight: Array, bits: Bits) -> Blocks:
    """The matrix `(O, I)` in blocks along I; the last one is padded with zeros."""
    size = _block_size(weight.shape[1]) if bits == 8 else _INT4_BLOCK
    count = -(-weight.shape[1] // size)
    padded = np.zeros((weight.shape[0], count * size), np.float32)
    padded[:, : weight.shape[1]] = weight
    blocks = padded.reshape(len(weight), count, size)
    largest = np.abs(blocks).max(axis=2, keepdims=True)
    # The largest weight sets the scale, at 4 bits too: clipping it leaves less squared error in the weights, but the
    # embedding of the worst window suffers (cosine .9987 instead of .9998 on a trained encoder).
    scales = _nonzero(largest / np.float32(2 ** (bits - 1) - 1))
    codes = np.rint(blocks / scales) + 2 ** (bits - 1)
    packed = codes.astype(np.uint8)
    if bits == 4:
        packed = packed[..., 0::2] | (packed[..., 1::2] << 4)
    return Blocks(packed, scales.reshape(-1), size, bits)


def _block_size(inputs: int) -> int:
    # Wide blocks run fastest (256: a quarter less time than 32), unless most of one were padding.
    sizes = [_WIDEST >> shift for shift in range(5)]
    return next((size for size in sizes if -inputs % size <= inputs // 8), _NARROWEST)


def _nonzero(scales: Array) -> Array:
    return np.where(scales > 0, scales, np.float32(1)).astype(np.float32)
