"""How numbers go into and come out of a model whose input and outputs are int8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_sdk.bundles.manifest import Quantization

_SENSORS = 2


def stretched(windows: NDArray[np.float32], peak: int = 127) -> NDArray[np.int8]:
    """Windows `(n, 6, 250)` as int8: each sensor of each window stretched over its own range, -peak to peak.

    With low and high the least and the greatest number in a sensor's three channels and 250 samples,
    `q = round((x - (low + high) / 2) * 2 * peak / (high - low))`, halves to even; zeros for a sensor that gives one
    number alone. One scale for all windows cannot do: at rest the gyroscope gives a thousandth of what a head shake
    does. The encoder is blind to a sensor's shift and scale (its first step norms each sensor by itself), so it need
    not be told either.
    """
    sensors = windows.astype(np.float64).reshape(len(windows), _SENSORS, -1)
    low, high = sensors.min(axis=2, keepdims=True), sensors.max(axis=2, keepdims=True)
    q = np.rint((sensors - (low + high) / 2) * (2 * peak / np.maximum(high - low, 1e-9)))
    integers: NDArray[np.int8] = q.astype(np.int8).reshape(windows.shape)
    return integers


def dequantized(output: NDArray[Any], by: Quantization | None) -> NDArray[np.float32]:
    """An output in float32, whether the model gave it so or in integers."""
    if by is None:
        return output.astype(np.float32, copy=False)
    return (output.astype(np.float32) - by.zero_point) * np.float32(by.scale)
