"""A matrix product in each precision: what linear layers, the GRU and the adaptive pooling are made of.

8-bit FULLY_CONNECTED with a scale per row needs operator version 12, which runtimes before TensorFlow 2.17 refuse or,
worse, compute wrongly. So the integers are multiplied as they are, and a MUL after the product gives each row its
scale: the accuracy of a scale per row, on every runtime. (With version 12 the loop is 4 % faster: not enough for a
second kind of file.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from primus_export.formats.base import MIN_QUANTIZED, Precision
from primus_export.formats.tflite.writer import Quantization, Subgraph
from primus_export.rounding import Matrix, round_matrix
from primus_models.graph import Array

FLOAT_VERSION = 1
HYBRID_VERSION = 9  # int8 weights; float activations, quantized in the kernel to the range that each row has
INT4_VERSION = 10  # 4-bit weights, a scale for each row
HALF_VERSION = 3  # DEQUANTIZE from float16
BYTE_VERSION = 2  # DEQUANTIZE from int8


def dense(
    sub: Subgraph,
    x: int,
    weight: Array,
    bias: Array | None,
    precision: Precision,
    name: str,
    inputs: Callable[[], Matrix] | None = None,
) -> int:
    """`x @ weight.T + bias`: x a tensor `(N, I)`, weight `(O, I)`; gives the tensor `(N, O)`.

    inputs: gives what x holds in use, `(n, I)`; asked where the weights are quantized, which then are rounded for it.
    """
    rows = sub.shape(x)[0]
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    if precision in ("int8", "int4") and weight.size >= MIN_QUANTIZED:
        quantized = _quantized8 if precision == "int8" else _quantized4
        return quantized(sub, x, weight, bias, name, inputs() if inputs else None)
    stored = weights(sub, weight, precision, name)
    out = sub.tensor((rows, len(weight)), name=name)
    _fully_connected(sub, (x, stored, sub.floats(bias, f"{name}/bias")), out, FLOAT_VERSION)
    return out


def weights(sub: Subgraph, weight: Array, precision: Precision, name: str) -> int:
    """A constant float32 weight; in fp16 stored in half and widened once, when the interpreter prepares."""
    if precision != "fp16":
        return sub.floats(weight, f"{name}/weight")
    half = sub.constant(weight.astype(np.float16), f"{name}/weight_half")
    full = sub.tensor(weight.shape, name=f"{name}/weight")
    sub.op("DEQUANTIZE", (half,), (full,), HALF_VERSION, "DequantizeOptions")
    return full


def widened(sub: Subgraph, codes: NDArray[np.int8], name: str) -> int:
    """Constant int8 as float32 whole numbers, widened once, when the interpreter prepares."""
    stored = sub.constant(codes, f"{name}/weight_int8", Quantization((1.0,)))
    full = sub.tensor(codes.shape, name=f"{name}/weight")
    sub.op("DEQUANTIZE", (stored,), (full,), BYTE_VERSION, "DequantizeOptions")
    return full


def _quantized8(sub: Subgraph, x: int, weight: Array, bias: Array, name: str, inputs: Matrix | None) -> int:
    rounded = round_matrix(weight, 8, inputs)
    scales = rounded.scales[:, 0]
    shape = (sub.shape(x)[0], len(weight))
    product, out = sub.tensor(shape, name=f"{name}/unscaled"), sub.tensor(shape, name=name)
    stored = sub.constant(rounded.codes, f"{name}/weight", Quantization((1.0,)))
    scaled_bias = sub.floats(bias / scales, f"{name}/bias")
    _fully_connected(sub, (x, stored, scaled_bias), product, HYBRID_VERSION, asymmetric=True)
    factors = sub.floats(scales[np.newaxis], f"{name}/scales")
    sub.op("MUL", (product, factors), (out,), 1, "MulOptions")
    return out


def _quantized4(sub: Subgraph, x: int, weight: Array, bias: Array, name: str, inputs: Matrix | None) -> int:
    # The 4-bit kernels came with a scale per row, and LiteRT's delegate insists on it before 1.4 and is slow without
    # until 2.3: here the old and the new agree the other way round.
    rounded = round_matrix(weight, 4, inputs)
    scales = Quantization(tuple(rounded.scales[:, 0].tolist()))
    out = sub.tensor((sub.shape(x)[0], len(weight)), name=name)
    operands = (x, sub.constant_int4(rounded.codes, f"{name}/weight", scales), sub.floats(bias, f"{name}/bias"))
    _fully_connected(sub, operands, out, INT4_VERSION, asymmetric=True)
    return out


def _fully_connected(
    sub: Subgraph, inputs: tuple[int, int, int], out: int, version: int, asymmetric: bool = False
) -> None:
    options = "FullyConnectedOptions"
    sub.op("FULLY_CONNECTED", inputs, (out,), version, options, asymmetricQuantizeInputs=asymmetric)
