"""Integer tensors and operators: activations in 16 bits, weights in 8, sums wider, no floating point anywhere.

Every activation is symmetric: a number is `scale * q`, q in -32767 to 32767.
"""

from __future__ import annotations

import numpy as np

from primus_export.formats.tflite.writer import Quantization, Subgraph
from primus_export.rounding import Matrix, round_matrix
from primus_models.graph import Array

TOP = 32767
ROOM = 1.25
"""How much more than calibration saw an activation may hold before it saturates."""
UNIT = 1 / 32768
"""The scale that the kernels of tanh and the logistic function give their results in."""
GATE = 8 / 32768
"""The scale of their arguments: beyond -8 to 8 both are flat to 16 bits, or nearly so."""


def scale_of(values: Matrix) -> float:
    """The scale at which 16 bits hold these values, and a little more."""
    return float(max(np.abs(values).max(), 1e-6) * ROOM / TOP)


class Integers:
    """Adds integer operators to a subgraph; tensors are known by their number, and their scales are kept here."""

    def __init__(self, sub: Subgraph) -> None:
        self.sub = sub
        self._scales: dict[int, float] = {}

    def tensor(self, shape: tuple[int, ...], scale: float, name: str = "") -> int:
        """An int16 activation."""
        index = self.sub.tensor(shape, np.int16, name, Quantization((scale,)))
        self._scales[index] = scale
        return index

    def constant(self, values: Array | Matrix) -> int:
        """An int16 constant, at the finest scale that holds it."""
        scale = float(max(np.abs(values).max(), 1e-12) / TOP)
        index = self.sub.constant(np.rint(values / scale).astype(np.int16), "", Quantization((scale,)))
        self._scales[index] = scale
        return index

    def scale(self, index: int) -> float:
        """A tensor's scale."""
        return self._scales[index]

    def requantize(self, x: int, scale: float, to_int8: bool = False, name: str = "") -> int:
        """The same numbers at another scale, or in 8 bits."""
        shape = self.sub.shape(x)
        if to_int8:
            out = self.sub.tensor(shape, np.int8, name, Quantization((scale,)))
            self._scales[out] = scale
        else:
            out = self.tensor(shape, scale, name)
        self.sub.op("QUANTIZE", (x,), (out,), 2, "QuantizeOptions")
        return out

    def binary(self, builtin: str, a: int, b: int, scale: float) -> int:
        """ADD, SUB or MUL with broadcasting."""
        version, options, fields = {
            "ADD": (3, "AddOptions", {"potScaleInt16": False}),
            "SUB": (5, "SubOptions", {"potScaleInt16": False}),
            "MUL": (4, "MulOptions", {}),
        }[builtin]
        out = self.tensor(tuple(np.broadcast_shapes(self.sub.shape(a), self.sub.shape(b))), scale)
        self.sub.op(builtin, (a, b), (out,), version, options, **fields)
        return out

    def unary(self, builtin: str, x: int, scale: float, version: int = 3) -> int:
        """A function of each number."""
        out = self.tensor(self.sub.shape(x), scale)
        self.sub.op(builtin, (x,), (out,), version)
        return out

    def mean(self, x: int, axis: int, scale: float) -> int:
        """The mean over an axis, which stays with size 1."""
        shape = tuple(1 if at == axis else size for at, size in enumerate(self.sub.shape(x)))
        out = self.tensor(shape, scale)
        self.sub.op("MEAN", (x, self.sub.ints([axis])), (out,), 3, "ReducerOptions", keepDims=True)
        return out

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        """The same numbers in another shape."""
        out = self.tensor(shape, self.scale(x))
        self.sub.op("RESHAPE", (x, self.sub.ints(shape)), (out,), 1, "ReshapeOptions", newShape=list(shape))
        return out

    def transpose(self, x: int) -> int:
        """A matrix turned."""
        rows, columns = self.sub.shape(x)
        out = self.tensor((columns, rows), self.scale(x))
        self.sub.op("TRANSPOSE", (x, self.sub.ints([1, 0])), (out,), 4, "TransposeOptions")
        return out

    def convolution(
        self, x: int, kernel: Array, bias: Array | Matrix, positions: int, scale: float, **fields: int
    ) -> int:
        """CONV_2D of `(1, 1, T, I)` with kernel `(O, I, K)`, a scale for each output; gives `(1, 1, positions, O)`."""
        size, channels, taps = kernel.shape
        rounded = round_matrix(kernel.transpose(0, 2, 1).reshape(size, -1), 8)
        scales = rounded.scales[:, 0].astype(np.float64)
        codes = rounded.codes.reshape(size, 1, taps, channels)
        weight = self.sub.constant(codes, "", Quantization(tuple(scales.tolist())))
        steps = scales * self.scale(x)
        wide = np.rint(bias / steps).astype(np.int64)
        offset = self.sub.constant(wide, "", Quantization(tuple(steps.tolist())))
        out = self.tensor((1, 1, positions, size), scale)
        options = {"padding": 1, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1} | fields
        self.sub.op("CONV_2D", (x, weight, offset), (out,), 4, "Conv2DOptions", **options)
        return out

    def dense(self, x: int, weight: Array, bias: Array | Matrix | None, scale: float) -> int:
        """`x @ weight.T + bias` of `(N, I)`: a convolution of one tap, which takes a scale for each row everywhere."""
        rows, width = self.sub.shape(x)
        offset = np.zeros(len(weight)) if bias is None else bias
        product = self.convolution(self.reshape(x, (1, 1, rows, width)), weight[:, :, np.newaxis], offset, rows, scale)
        return self.reshape(product, (rows, len(weight)))
