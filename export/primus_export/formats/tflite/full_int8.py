"""The whole encoder in integers, int8 in and out, for microcontrollers and NPUs.

Each sensor of each window goes in stretched over its own range (`primus_sdk.runtimes.quantization`). One scale for all
windows cannot do: at rest the gyroscope would be all zeros (cosine .3 to .8).
The first GroupNorm takes any shift and scale of a sensor out again, so the model need not be told; its `eps`, 1e-5 of a
unit that is not known any more, is left out. Activations have 16 bits: norms and recurrent state are too coarse in 8.
"""

from __future__ import annotations

import numpy as np

from primus_export.calibration import Seen
from primus_export.errors import LoweringError
from primus_export.formats.tflite.integer_gru import integer_gru
from primus_export.formats.tflite.integers import Integers, scale_of
from primus_export.formats.tflite.writer import INT8, INT16, Model, Quantization
from primus_export.rounding import Matrix
from primus_models.graph import (
    GRU,
    INPUT,
    AdaptiveAvgPool1d,
    Array,
    Conv1d,
    Graph,
    GroupNorm,
    Linear,
    MaxPool1d,
    Softmax,
    Step,
    adaptive_pool_matrix,
)  # fmt: skip
from primus_sdk.runtimes.quantization import stretched

SENSORS = 2
INPUT_TOP = 127
SPAN = 2000
"""The largest group's deviation over the smallest that is still normed in full."""


def lower_to_integers(graph: Graph, calibration: Array) -> bytes:
    """The graph as a TFLite file with int8 input and outputs; ranges come from calibration `(n, 6, 250)`.

    Raises:
        LoweringError: a step has no form in integers, or the graph does not begin by norming each sensor by itself.
    """
    model = Model("PRIMUS encoder, integers only")
    sub = model.subgraph("main")
    imu = sub.tensor((1, *graph.shapes[INPUT]), np.int8, INPUT, Quantization((1.0,)))
    lowering = _Lowering(graph, Integers(sub), Seen(graph, calibration), imu)
    for step in graph.steps:
        lowering.step(step)
    outputs = {name: lowering.output(name) for name in graph.outputs}
    model.signature(sub, {INPUT: imu}, outputs)
    return model.to_bytes()


class _Lowering:
    def __init__(self, graph: Graph, integers: Integers, seen: Seen, imu: int) -> None:
        self.graph, self.integers, self.seen, self.imu = graph, integers, seen, imu
        self._rows: dict[str, int] = {}
        self._pixels: dict[str, int] = {}
        self._bytes: dict[str, int] = {}  # what is int8 already

    def rows(self, name: str) -> int:
        """A value as `(C, T)`, or `(1, F)`."""
        if name == INPUT:
            raise LoweringError("--io int8 needs an encoder that begins by norming each sensor by itself")
        if name not in self._rows:
            channels, time = self.graph.shapes[name]
            flat = self.integers.reshape(self._pixels[name], (time, channels))
            self._rows[name] = self.integers.transpose(flat)
        return self._rows[name]

    def pixels(self, name: str) -> int:
        """A sequence as `(1, 1, T, C)`."""
        if name not in self._pixels:
            channels, time = self.graph.shapes[name]
            turned = self.integers.transpose(self.rows(name))
            self._pixels[name] = self.integers.reshape(turned, (1, 1, time, channels))
        return self._pixels[name]

    def output(self, name: str) -> int:
        """The value in 8 bits, under its name."""
        if name not in self._bytes:
            scale = float(np.abs(self.seen.values[name]).max() / INPUT_TOP)
            self._bytes[name] = self.integers.requantize(self.rows(name), scale, to_int8=True)
        self.integers.sub.name(self._bytes[name], name)
        return self._bytes[name]

    def step(self, step: Step) -> None:
        scale = scale_of(self.seen.values[step.out])
        match step:
            case GroupNorm() if step.x == INPUT:
                self._rows[step.out] = self._input_norm(step)
            case GroupNorm():
                self._rows[step.out] = self._norm(step, self.rows(step.x), self.seen.values[step.x])
            case Conv1d(padding=0):
                _, positions = self.graph.shapes[step.out]
                bias = np.zeros(len(step.weight), np.float32) if step.bias is None else step.bias
                self._pixels[step.out] = self.integers.convolution(
                    self.pixels(step.x), step.weight, bias, positions, scale,
                    strideW=step.stride, dilationWFactor=step.dilation,
                )  # fmt: skip
            case MaxPool1d():
                self._pixels[step.out] = self._max_pool(step)
            case AdaptiveAvgPool1d():
                matrix = adaptive_pool_matrix(self.graph.shapes[step.x][1], step.size)
                self._rows[step.out] = self.integers.dense(self.rows(step.x), matrix.T, None, scale)
            case GRU():
                self._rows[step.out] = integer_gru(self.integers, self.rows(step.x), step, self.seen)
            case Linear():
                self._rows[step.out] = self.integers.dense(self.rows(step.x), step.weight, step.bias, scale)
            case Softmax():
                self._bytes[step.out] = self._softmax(step)
            case _:
                raise LoweringError(
                    f"step {type(step).__name__} -> {step.out!r} has no form in integers; export it with float32 input"
                )

    def _input_norm(self, step: GroupNorm) -> int:
        if step.groups % SENSORS:
            raise LoweringError("--io int8 needs a first norm that keeps the accelerometer and the gyroscope apart")
        shape = self.graph.shapes[INPUT]
        sub = self.integers.sub
        wide = self.integers.tensor((1, *shape), 1.0)
        sub.op("CAST", (self.imu,), (wide,), 3, "CastOptions", inDataType=INT8, outDataType=INT16)
        # QUANTIZE would do both, but older runtimes have no int8 to int16.
        ones = self.integers.constant(np.ones((1, 1)))
        wide = self.integers.binary("MUL", self.integers.reshape(wide, shape), ones, 1 / 256)
        windows = stretched(self.seen.values[INPUT].astype(np.float32), INPUT_TOP)
        return self._norm(step, wide, windows.astype(np.float64))

    def _norm(self, step: GroupNorm, x: int, values: Matrix) -> int:
        """Values `(n, ...)`: what x holds on the calibration windows.

        A group's size differs a thousandfold between rest and a shock, and its square a millionfold: more than 16 bits
        hold. So it is first divided by its mean deviation, as `c * r * r` with `r = 1 / sqrt(mean |c|)`, and only then
        squared.
        """
        integers, shape = self.integers, self.integers.sub.shape(x)
        groups = values.reshape(len(values), step.groups, -1)
        c = groups - groups.mean(axis=2, keepdims=True)
        deviation = np.abs(c).mean(axis=2, keepdims=True)
        r = 1 / np.sqrt(np.maximum(deviation, deviation.max() / SPAN))
        even = c * r * r
        variance = np.square(even).mean(axis=2, keepdims=True)
        scales = {"c": scale_of(c), "deviation": scale_of(deviation), "r": scale_of(r), "even": scale_of(even)}

        grouped = integers.reshape(x, (step.groups, shape[0] * shape[1] // step.groups))
        mean = integers.mean(grouped, 1, integers.scale(grouped))
        centred = integers.binary("SUB", grouped, mean, scales["c"])
        size = integers.mean(integers.unary("ABS", centred, scales["c"]), 1, scales["deviation"])
        size = self._not_zero(size)
        root = integers.unary("RSQRT", size, scales["r"])
        half = integers.binary("MUL", centred, root, scale_of(c * r))
        evened = integers.binary("MUL", half, root, scales["even"])
        squares = integers.binary("MUL", evened, evened, scale_of(np.square(even)))
        spread = integers.mean(squares, 1, scale_of(variance))
        spread = self._not_zero(spread)
        inverse = integers.unary("RSQRT", spread, scale_of(1 / np.sqrt(np.maximum(variance, 0.5))))
        normed = integers.reshape(
            integers.binary("MUL", evened, inverse, scale_of(even / np.sqrt(np.maximum(variance, 1e-6)))), shape
        )
        out = scale_of(self.seen.values[step.out])
        per_channel = (-1, 1) if shape[0] == len(step.weight) else (1, -1)
        weight = integers.constant(step.weight.reshape(per_channel))
        bias = integers.constant(step.bias.reshape(per_channel))
        return integers.binary("ADD", integers.binary("MUL", normed, weight, out), bias, out)

    def _not_zero(self, x: int) -> int:
        """Plus the least step: a sensor that stands still would be divided by zero."""
        step = self.integers.scale(x)
        return self.integers.binary("ADD", x, self.integers.constant(np.full((1, 1), step)), step)

    def _max_pool(self, step: MaxPool1d) -> int:
        x = self.pixels(step.x)
        size, positions = self.graph.shapes[step.out]
        out = self.integers.tensor((1, 1, positions, size), self.integers.scale(x))
        self.integers.sub.op(
            "MAX_POOL_2D", (x,), (out,), 3, "Pool2DOptions",
            padding=1, strideW=step.kernel, strideH=1, filterWidth=step.kernel, filterHeight=1,
        )  # fmt: skip
        return out

    def _softmax(self, step: Softmax) -> int:
        sub = self.integers.sub
        peak = float(np.abs(self.seen.values[step.x]).max())
        logits = self.integers.requantize(self.rows(step.x), peak / INPUT_TOP, to_int8=True)
        out = sub.tensor(sub.shape(logits), np.int8, "", Quantization((1 / 256,), -128))
        sub.op("SOFTMAX", (logits,), (out,), 2, "SoftmaxOptions", beta=1.0)
        return out
