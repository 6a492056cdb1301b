"""The weights file of a package, read without coremltools' own reader so that it is read as Core ML documents it.

A 64-byte header, then for each tensor a 64-byte record (sentinel, type, size in bytes, offset of the data), to
which the program's offsets point. Everything is little-endian; 4-bit values lie two to a byte, the first in the
low half.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_export.errors import ExportError

SENTINEL = 0xDEADBEEF
TYPES = {1: np.float16, 2: np.float32, 3: np.uint8, 4: np.int8, 14: np.int32}
INT4 = 8


def tensor(weights: bytes, offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """The tensor whose record lies at `offset`; 4-bit values come as int8.

    Raises:
        ExportError: there is no such record, or it does not hold that many values.
    """
    if offset + 64 > len(weights):
        raise ExportError(f"the program refers to byte {offset} of a weights file of {len(weights)} bytes")
    sentinel, kind, size, start = struct.unpack_from("<IIQQ", weights, offset)
    if sentinel != SENTINEL or (kind not in TYPES and kind != INT4) or start + size > len(weights):
        raise ExportError(f"there is no readable tensor at byte {offset} of the weights file")
    count = math.prod(shape)
    data = np.frombuffer(weights, np.uint8, size, start)
    if kind == INT4:
        halves = np.stack((data & 15, data >> 4), axis=1).reshape(-1)[:count].astype(np.int8)
        values: NDArray[Any] = np.where(halves > 7, halves - 16, halves).astype(np.int8)
    else:
        values = data.view(np.dtype(TYPES[kind]).newbyteorder("<"))
    if values.size != count:
        raise ExportError(
            f"the tensor at byte {offset} of the weights file holds {values.size} values, the program wants {count}"
        )
    return values.reshape(shape)
