"""Steps to operators. A value is kept in the layout that its writer gave and turned only when a reader wants the other.

`rows`: a sequence `(C, T)`, or a vector as `(1, F)`, as in the graph itself. `pixels`: `(1, 1, T, C)`, an image one
pixel high, what the convolutions and poolings take.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from primus_export.calibration import Seen
from primus_export.errors import LoweringError
from primus_export.formats.base import Precision
from primus_export.formats.filters import int4_filters
from primus_export.formats.tflite.dense import dense, weights, widened
from primus_export.formats.tflite.gru import gru
from primus_export.formats.tflite.writer import Model, Subgraph
from primus_models.graph import (
    GRU,
    INPUT,
    AdaptiveAvgPool1d,
    Array,
    Binary,
    Concat,
    Conv1d,
    Frames,
    Graph,
    GroupNorm,
    Linear,
    MaxPool1d,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Step,
    Transpose,
    Unary,
    adaptive_pool_matrix,
    frame_starts,
)  # fmt: skip

Layout: TypeAlias = Literal["rows", "pixels"]

_UNARY = {
    "relu": ("RELU", None),
    "gelu": ("GELU", "GeluOptions"),
    "tanh": ("TANH", None),
    "sigmoid": ("LOGISTIC", None),
    "square": ("SQUARE", "SquareOptions"),
    "sqrt": ("SQRT", None),
    "log": ("LOG", None),
}
_BINARY = {
    "add": ("ADD", "AddOptions"),
    "sub": ("SUB", "SubOptions"),
    "mul": ("MUL", "MulOptions"),
    "maximum": ("MAXIMUM", "MaximumMinimumOptions"),
    "minimum": ("MINIMUM", "MaximumMinimumOptions"),
}


def lower(graph: Graph, precision: Precision, calibration: Array) -> bytes:
    """The graph as a TFLite file with float input and output.

    calibration `(n, 6, 250)` guides the rounding of int8 and int4.
    """
    model = Model(f"PRIMUS encoder, {precision}")
    sub = model.subgraph("main")
    imu = sub.tensor((1, *graph.shapes[INPUT]), name=INPUT)
    lowering = _Lowering(graph, sub, precision, Seen(graph, calibration))
    lowering.put(INPUT, "rows", lowering.reshape(imu, graph.shapes[INPUT]))
    for step in graph.steps:
        lowering.step(step)
    outputs = {name: lowering.output(name) for name in graph.outputs}
    model.signature(sub, {INPUT: imu}, outputs)
    return model.to_bytes()


class _Lowering:
    def __init__(self, graph: Graph, sub: Subgraph, precision: Precision, seen: Seen) -> None:
        self.graph, self.sub, self.precision, self.seen = graph, sub, precision, seen
        self._values: dict[tuple[str, Layout], int] = {}

    def put(self, name: str, layout: Layout, tensor: int) -> None:
        self._values[name, layout] = tensor

    def get(self, name: str, layout: Layout = "rows") -> int:
        """The value in the layout asked for, turned at its first use."""
        if (name, layout) not in self._values:
            channels, time = self.graph.shapes[name]
            if layout == "rows":
                flat = self.reshape(self._values[name, "pixels"], (time, channels))
                self.put(name, "rows", self.transpose(flat))
            else:
                turned = self.transpose(self._values[name, "rows"])
                self.put(name, "pixels", self.reshape(turned, (1, 1, time, channels)))
        return self._values[name, layout]

    def output(self, name: str) -> int:
        """The value with its batch axis and its name, for the caller."""
        value, shape = self.get(name), self.graph.shapes[name]
        if self.sub.shape(value) != (1, *shape):
            value = self.reshape(value, (1, *shape))
        self.sub.name(value, name)
        return value

    def step(self, step: Step) -> None:
        match step:
            case GroupNorm():
                self.put(step.out, "rows", self._group_norm(step))
            case Conv1d():
                self.put(step.out, "pixels", self._conv(step))
            case MaxPool1d():
                self.put(step.out, "pixels", self._max_pool(step))
            case AdaptiveAvgPool1d():
                matrix = adaptive_pool_matrix(self.graph.shapes[step.x][1], step.size)
                pooled = dense(self.sub, self.get(step.x), matrix.T, None, "fp32", step.out)
                self.put(step.out, "rows", pooled)
            case GRU():
                self.put(step.out, "rows", gru(self.sub, self.get(step.x), step, self.precision, self.seen))
            case Linear():
                self.put(step.out, "rows", self._linear(step))
            case Unary():
                self._unary(step)
            case Binary():
                self.put(step.out, "rows", self._binary(step))
            case Reduce():
                self.put(step.out, "rows", self._reduce(step))
            case Concat():
                self.put(step.out, "rows", self._concat(step))
            case Slice():
                self.put(step.out, "rows", self._slice(step))
            case Transpose():
                self._transpose(step)
            case Reshape():
                self.put(step.out, "rows", self.reshape(self.get(step.x), self._rows_shape(step.out)))
            case Frames():
                self.put(step.out, "rows", self._frames(step))
            case Softmax():
                self.put(step.out, "rows", self._softmax(step))

    def op(
        self, builtin: str, inputs: tuple[int, ...], shape: tuple[int, ...], options: str | None, **fields: object
    ) -> int:
        """One float operator of version 1 with one result."""
        out = self.sub.tensor(shape)
        self.sub.op(builtin, inputs, (out,), 1, options, **fields)
        return out

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        target = self.sub.ints(shape)
        return self.op("RESHAPE", (x, target), shape, "ReshapeOptions", newShape=list(shape))

    def transpose(self, x: int) -> int:
        rows, columns = self.sub.shape(x)
        return self.op("TRANSPOSE", (x, self.ints(1, 0)), (columns, rows), "TransposeOptions")

    def ints(self, *values: int) -> int:
        return self.sub.ints(values)

    def axis(self, name: str, axis: int) -> int:
        """An axis of the graph's value as an axis of its tensor: a vector has one more in front."""
        return axis + 2 - len(self.graph.shapes[name])

    def _group_norm(self, step: GroupNorm) -> int:
        shape = self.sub.shape(self.get(step.x))
        grouped_shape = (step.groups, shape[0] * shape[1] // step.groups)
        per_group = (step.groups, 1)
        x = self.reshape(self.get(step.x), grouped_shape)
        mean = self.op("MEAN", (x, self.ints(1)), per_group, "ReducerOptions", keepDims=True)
        centred = self.op("SUB", (x, mean), grouped_shape, "SubOptions")
        squares = self.op("MUL", (centred, centred), grouped_shape, "MulOptions")
        variance = self.op("MEAN", (squares, self.ints(1)), per_group, "ReducerOptions", keepDims=True)
        eps = self.sub.floats([[step.eps]])
        scale = self.op("RSQRT", (self.op("ADD", (variance, eps), per_group, "AddOptions"),), per_group, None)
        normed = self.reshape(self.op("MUL", (centred, scale), grouped_shape, "MulOptions"), shape)
        per_channel = (-1, 1) if len(self.graph.shapes[step.x]) == 2 else (1, -1)
        weight = self.sub.constant(step.weight.reshape(per_channel))
        bias = self.sub.constant(step.bias.reshape(per_channel))
        return self.op("ADD", (self.op("MUL", (normed, weight), shape, "MulOptions"), bias), shape, "AddOptions")

    def _linear(self, step: Linear) -> int:
        # In int4 only the recurrence, read once a step and most of the file, goes below 8 bits.
        precision: Precision = "int8" if self.precision == "int4" else self.precision
        x = self.get(step.x)
        return dense(self.sub, x, step.weight, step.bias, precision, step.out, lambda: self.seen.rows(step.x))

    def _conv(self, step: Conv1d) -> int:
        x = self.get(step.x, "pixels")
        channels, time = self.graph.shapes[step.x]
        if step.padding:
            pads = self.sub.ints([[0, 0], [0, 0], [step.padding] * 2, [0, 0]])
            x = self.op("PAD", (x, pads), (1, 1, time + 2 * step.padding, channels), "PadOptions")
        kernel = step.weight.transpose(0, 2, 1)[:, None]  # (O, I, K) to (O, 1, K, I)
        bias = np.zeros(len(kernel), np.float32) if step.bias is None else step.bias
        size, positions = self.graph.shapes[step.out]
        shape, rounded = (1, 1, positions, size), int4_filters(self.precision, step, self.seen)
        if rounded is None:
            scales, stored = None, weights(self.sub, kernel, self.precision, step.out)
        else:
            # The scales are for what it gives: fewer numbers, and old runtimes know no scale for each filter.
            scales = rounded.scales[:, 0]
            stored, bias = widened(self.sub, rounded.codes.transpose(0, 2, 1)[:, None], step.out), bias / scales
        out = self.op(
            "CONV_2D", (x, stored, self.sub.floats(bias)), shape, "Conv2DOptions",
            padding=1, strideW=step.stride, strideH=1, dilationWFactor=step.dilation, dilationHFactor=1,
        )  # fmt: skip
        return out if scales is None else self.op("MUL", (out, self.sub.floats(scales)), shape, "MulOptions")

    def _max_pool(self, step: MaxPool1d) -> int:
        size, positions = self.graph.shapes[step.out]
        return self.op(
            "MAX_POOL_2D", (self.get(step.x, "pixels"),), (1, 1, positions, size), "Pool2DOptions",
            padding=1, strideW=step.kernel, strideH=1, filterWidth=step.kernel, filterHeight=1,
        )  # fmt: skip

    def _unary(self, step: Unary) -> None:
        builtin, options = _UNARY[step.op]
        layout: Layout = "rows" if (step.x, "rows") in self._values else "pixels"
        x = self.get(step.x, layout)
        self.put(step.out, layout, self.op(builtin, (x,), self.sub.shape(x), options))

    def _binary(self, step: Binary) -> int:
        a = self.get(step.a)
        if isinstance(step.b, str):
            b = self.get(step.b)
        else:
            b = self.sub.floats(np.atleast_2d(step.b))
        shape = self.graph.shapes[step.out]
        if len(shape) > 2:
            raise LoweringError(f"step Binary -> {step.out!r} gives {shape}; TFLite lowers up to two axes")
        builtin, options = _BINARY[step.op]
        return self.op(builtin, (a, b), (1,) * (2 - len(shape)) + shape, options)

    def _reduce(self, step: Reduce) -> int:
        x = self.get(step.x)
        size = self.sub.shape(x)[1 - step.axis]
        kept = (size, 1) if step.axis == 1 else (1, size)
        builtin = {"mean": "MEAN", "sum": "SUM", "max": "REDUCE_MAX"}[step.op]
        reduced = self.op(builtin, (x, self.ints(step.axis)), kept, "ReducerOptions", keepDims=True)
        return self.reshape(reduced, (1, size)) if step.axis == 1 and not step.keep else reduced

    def _concat(self, step: Concat) -> int:
        operands = tuple(self.get(name) for name in step.xs)
        axis = self.axis(step.out, step.axis)
        shape = self._rows_shape(step.out)
        return self.op("CONCATENATION", operands, shape, "ConcatenationOptions", axis=axis)

    def _slice(self, step: Slice) -> int:
        shape, begin = self._rows_shape(step.out), [0, 0]
        begin[self.axis(step.out, step.axis)] = step.start
        return self.op("SLICE", (self.get(step.x), self.ints(*begin), self.ints(*shape)), shape, "SliceOptions")

    def _transpose(self, step: Transpose) -> None:
        # Turned, rows are what pixels hold already; they are turned in earnest when something asks for rows.
        time, channels = self.graph.shapes[step.x]
        self.put(step.out, "pixels", self.reshape(self.get(step.x), (1, 1, time, channels)))

    def _frames(self, step: Frames) -> int:
        channels, time = self.graph.shapes[step.x]
        x, shape = self.get(step.x), (channels, step.size)
        frames = [
            self.op("SLICE", (x, self.ints(0, start), self.ints(*shape)), shape, "SliceOptions")
            for start in frame_starts(time, step)
        ]
        whole = self.graph.shapes[step.out]
        return self.op("CONCATENATION", tuple(frames), whole, "ConcatenationOptions", axis=0)

    def _softmax(self, step: Softmax) -> int:
        x = self.get(step.x)
        return self.op("SOFTMAX", (x,), self.sub.shape(x), "SoftmaxOptions", beta=1.0)

    def _rows_shape(self, name: str) -> tuple[int, ...]:
        shape = self.graph.shapes[name]
        return (1,) * (2 - len(shape)) + shape
