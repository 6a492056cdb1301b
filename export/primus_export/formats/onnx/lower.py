"""Every step of a graph as ONNX operators (opset 13), and the model around them."""

from __future__ import annotations

from math import gcd

import numpy as np
import onnx
from onnx import helper

from primus_export.calibration import Seen
from primus_export.errors import LoweringError
from primus_export.formats.base import Precision
from primus_export.formats.onnx.builder import MICROSOFT, Builder, declare
from primus_export.formats.onnx.gru import lower_gru
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
)

OPSET = 13
"""The first in which Split and Squeeze take their sizes as inputs; nothing here needs a newer one."""
_IR_VERSION = 7
_UNARY = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "sqrt": "Sqrt", "log": "Log"}
_BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "maximum": "Max", "minimum": "Min"}


def lower(graph: Graph, precision: Precision, calibration: Array) -> onnx.ModelProto:
    """The graph as an ONNX model: `imu` `(batch, 6, 250)` in, `(batch, *shape)` out, any batch.

    calibration `(n, 6, 250)` guides the rounding of int8 and int4.

    Raises:
        LoweringError: a step of a kind that this format does not know.
    """
    builder = Builder(precision, graph.shapes, Seen(graph, calibration))
    for step in graph.steps:
        _lower(builder, step)
    for name in graph.outputs:
        builder.flat(name)
    made = {out for node in builder.nodes for out in node.output}
    inner = [name for name in graph.shapes if name in made and name not in graph.outputs]
    body = helper.make_graph(
        builder.nodes,
        "encoder",
        [declare(INPUT, graph.shapes[INPUT])],
        [declare(name, graph.shapes[name]) for name in graph.outputs],
        builder.initializers,
        value_info=[declare(name, graph.shapes[name]) for name in inner],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    if builder.own_operators:
        opsets.append(helper.make_opsetid(MICROSOFT, 1))
    return helper.make_model(body, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="primus-export")


def _lower(builder: Builder, step: Step) -> None:
    match step:
        case GroupNorm():
            _group_norm(builder, step)
        case Conv1d():
            _conv(builder, step)
        case MaxPool1d():
            kernel = [1, step.kernel]
            image = builder.form(step.x, "image")
            builder.node("MaxPool", [image], builder.write(step.out, "image"), kernel_shape=kernel, strides=kernel)
        case AdaptiveAvgPool1d():
            pool = adaptive_pool_matrix(builder.shapes[step.x][1], step.size)
            inputs = [builder.flat(step.x), builder.constant(pool, f"{step.out}.pool")]
            builder.node("MatMul", inputs, builder.write(step.out))
        case GRU():
            lower_gru(builder, step)
        case Linear():
            _linear(builder, step)
        case Unary():
            _unary(builder, step)
        case Binary():
            _binary(builder, step)
        case Reduce():
            _reduce(builder, step)
        case Concat():
            builder.node("Concat", [builder.flat(x) for x in step.xs], builder.write(step.out), axis=step.axis + 1)
        case Slice():
            _slice(builder, builder.flat(step.x), step.axis, step.start, step.stop, builder.write(step.out))
        case Transpose():
            builder.turn(step.x, step.out)
        case Reshape():
            shape = builder.integers([0, *step.shape], f"{step.out}.shape")
            builder.node("Reshape", [builder.flat(step.x), shape], builder.write(step.out))
        case Frames():
            _frames(builder, step)
        case Softmax():
            builder.node("Softmax", [builder.flat(step.x)], builder.write(step.out), axis=-1)
        case _:
            raise LoweringError(
                f"the onnx format cannot lower a step of kind {type(step).__name__}; add it in formats/onnx/lower.py"
            )


def _group_norm(builder: Builder, step: GroupNorm) -> None:
    # Groups become the channels of an instance norm; the true channels get their scale and shift afterwards.
    out, shape = step.out, builder.shapes[step.x]
    grouped = builder.integers([0, step.groups, -1], f"{out}.grouped")
    x = builder.node("Reshape", [builder.flat(step.x), grouped], builder.temporary(f"{out}.groups"))
    # At rest, gravity on all axes alike, the mean is a hundred times what remains without it, and float32 keeps too few
    # bits of it (an error of 2e-5 in the embedding). So it is taken away here, and what is left of it by the norm.
    mean = builder.node("ReduceMean", [x], builder.temporary(f"{out}.mean"), axes=[2], keepdims=1)
    x = builder.node("Sub", [x, mean], builder.temporary(f"{out}.centred"))
    one = builder.constant(np.ones(step.groups, np.float32), f"{out}.one")
    zero = builder.constant(np.zeros(step.groups, np.float32), f"{out}.zero")
    x = builder.node(
        "InstanceNormalization", [x, one, zero], builder.temporary(f"{out}.normed"), epsilon=float(step.eps)
    )
    x = builder.node(
        "Reshape", [x, builder.integers([0, *shape], f"{out}.shape")], builder.temporary(f"{out}.unscaled")
    )
    per_channel = (-1,) + (1,) * (len(shape) - 1)
    x = builder.node(
        "Mul",
        [x, builder.weight(step.weight.reshape(per_channel), f"{out}.weight")],
        builder.temporary(f"{out}.scaled"),
    )
    builder.node("Add", [x, builder.weight(step.bias.reshape(per_channel), f"{out}.bias")], builder.write(out))


def _conv(builder: Builder, step: Conv1d) -> None:
    out = step.out
    if step.weight.shape[2] == step.stride == 1 and not step.padding and builder.common(step.x) == "turned":
        matrix = builder.filters(step, f"{out}.weight", lambda filters: filters[:, :, 0].T)
        _product(builder, builder.form(step.x, "turned"), matrix, step.bias, builder.write(out, "turned"))
        return
    weight = builder.filters(step, f"{out}.weight", lambda filters: filters[:, :, np.newaxis])
    inputs = [builder.form(step.x, "image"), weight]
    if step.bias is not None:
        inputs.append(builder.weight(step.bias, f"{out}.bias"))
    builder.node(
        "Conv", inputs, builder.write(out, "image"), kernel_shape=[1, step.weight.shape[2]],
        strides=[1, step.stride], dilations=[1, step.dilation], pads=[0, step.padding, 0, step.padding],
    )  # fmt: skip


def _reduce(builder: Builder, step: Reduce) -> None:
    x, out, axes = builder.flat(step.x), builder.write(step.out), [step.axis + 1]
    if step.op == "sum":  # the only one whose axes are an input in this opset
        builder.node("ReduceSum", [x, builder.integers(axes, f"{step.out}.axis")], out, keepdims=int(step.keep))
    else:
        operator = {"mean": "ReduceMean", "max": "ReduceMax"}[step.op]
        builder.node(operator, [x], out, axes=axes, keepdims=int(step.keep))


def _slice(builder: Builder, x: str, axis: int, start: int, stop: int, out: str) -> str:
    bounds = (("start", start), ("stop", stop), ("axis", axis + 1))
    inputs = [x, *(builder.integers([value], f"{out}.{what}") for what, value in bounds)]
    return builder.node("Slice", inputs, out)


def _frames(builder: Builder, step: Frames) -> None:
    """One node that picks blocks, of which size and hop are multiples: half the time of a Slice for each frame."""
    out, (channels, time), block = step.out, builder.shapes[step.x], gcd(step.size, step.hop)
    starts = np.array(frame_starts(time, step))
    used = int(starts[-1]) + step.size
    x, blocks = builder.flat(step.x), used // block
    if used < time:
        x = _slice(builder, x, 1, 0, used, builder.temporary(f"{out}.used"))
    by_block = builder.integers([0, channels * blocks, block], f"{out}.by_block")
    x = builder.node("Reshape", [x, by_block], builder.temporary(f"{out}.blocks"))
    of_frame = starts[:, np.newaxis, np.newaxis] // block + np.arange(step.size // block)
    picked = of_frame + blocks * np.arange(channels)[:, np.newaxis]  # (frames, channels, blocks of a frame)
    indices = builder.constant(picked.reshape(-1), f"{out}.picked")
    x = builder.node("Gather", [x, indices], builder.temporary(f"{out}.overlapping"), axis=1)
    shape = builder.integers([0, *builder.shapes[out]], f"{out}.shape")
    builder.node("Reshape", [x, shape], builder.write(out))


def _product(builder: Builder, x: str, matrix: str, bias: Array | None, out: str) -> None:
    if bias is None:
        builder.node("MatMul", [x, matrix], out)
        return
    x = builder.node("MatMul", [x, matrix], builder.temporary(f"{out}.product"))
    builder.node("Add", [x, builder.weight(bias, f"{out}.bias")], out)


def _linear(builder: Builder, step: Linear) -> None:
    x, out = builder.flat(step.x), step.out
    quantized = builder.quantizes(step.weight)
    if quantized and step.x in builder.exact:
        builder.product(x, step.weight, step.bias, builder.write(out), builder.seen.rows(step.x))
        return
    matrix = builder.matrix(step.weight, f"{out}.weight", quantized, step.x)
    _product(builder, x, matrix, step.bias, builder.write(out))


def _unary(builder: Builder, step: Unary) -> None:
    form = builder.common(step.x)
    x, out = builder.form(step.x, form), builder.write(step.out, form)
    if step.op == "square":
        builder.node("Mul", [x, x], out)
    elif step.op == "gelu" and builder.own_operators:
        builder.node("Gelu", [x], out, MICROSOFT)  # what ONNX Runtime makes of the five below, each time that it loads
    elif step.op == "gelu":
        # x / sqrt(2), erf, + 1, * x, * 0.5 in this order: runtimes that have the whole as one operator know it so.
        number = {n: builder.constant(np.array(n, np.float32), f"{out}.number") for n in (2**0.5, 1.0, 0.5)}
        y = builder.node("Div", [x, number[2**0.5]], builder.temporary(f"{out}.scaled"))
        y = builder.node("Erf", [y], builder.temporary(f"{out}.erf"))
        y = builder.node("Add", [y, number[1.0]], builder.temporary(f"{out}.gate"))
        y = builder.node("Mul", [x, y], builder.temporary(f"{out}.gated"))
        builder.node("Mul", [y, number[0.5]], out)
    else:
        builder.node(_UNARY[step.op], [x], out)


def _binary(builder: Builder, step: Binary) -> None:
    if isinstance(step.b, str) and builder.shapes[step.a] == builder.shapes[step.b]:
        form = builder.common(step.a, step.b)
        both = [builder.form(name, form) for name in (step.a, step.b)]
        builder.node(_BINARY[step.op], both, builder.write(step.out, form))
        return
    a = _ranked(builder, step.a, step.out)
    b = (
        _ranked(builder, step.b, step.out)
        if isinstance(step.b, str)
        else builder.constant(step.b.astype(np.float32), f"{step.out}.constant")
    )
    builder.node(_BINARY[step.op], [a, b], builder.write(step.out))


def _ranked(builder: Builder, name: str, out: str) -> str:
    """The value with ones between its batch axis and its shape, so that it broadcasts as it would without a batch."""
    missing = len(builder.shapes[out]) - len(builder.shapes[name])
    if missing == 0:
        return builder.flat(name)
    axes = builder.integers(range(1, 1 + missing), f"{out}.axes")
    return builder.node("Unsqueeze", [builder.flat(name), axes], builder.temporary(f"{name}.broad"))
