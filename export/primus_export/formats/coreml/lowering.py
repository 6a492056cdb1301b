"""From a graph to a Core ML program (MIL), step by step. Import it within `coremltools_quietly`.

Every value carries a leading axis of 1 for the one window. Shapes are written so that no operator depends on that 1,
which lets the interpreter run many windows at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813  (Apple's own name for it)
from coremltools.converters.mil.mil import Function, Program, types

from primus_export.calibration import Seen
from primus_export.errors import LoweringError
from primus_export.formats.base import MIN_QUANTIZED, Options
from primus_export.formats.coreml.targets import Target
from primus_export.formats.filters import int4_filters
from primus_export.rounding import Matrix, Rounded, round_matrix
from primus_models.graph import (
    CHANNELS,
    GRU,
    INPUT,
    WINDOW,
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
    inputs_of,
)

Var: TypeAlias = Any  # a MIL value; coremltools is not typed

PRODUCTS = (Conv1d, AdaptiveAvgPool1d, GRU, Linear)
"""Steps that fp16 runs in float16."""
BLOCK = 32
"""Weights of a row that share one scale at 4 bits: what Apple's own tools use by default."""
FULL_UNARY = ("square", "sqrt", "log")
"""Functions that leave float16's range, or its digits, where the others do not."""


def build(graph: Graph, options: Options, target: Target) -> Any:
    """The graph as a MIL program: input `imu` float32 `(1, 6, 250)`, outputs float32 `(1, ...)` under their names."""
    mb.name_count.clear()  # names are numbered from a global count; from zero, the same graph gets the same names
    opset = ct.target[target.name.replace("ios", "iOS")]
    with Function({INPUT: mb.placeholder(shape=(1, CHANNELS, WINDOW), dtype=types.fp32)}, opset) as function:
        lowering = _Lowering(graph, options, target, function.inputs[INPUT])
        for step in graph.steps:
            lowering.add(step)
        function.set_outputs([lowering.output(name) for name in graph.outputs])
    program = Program()
    program.add_function("main", function)
    return program


class _Lowering:
    def __init__(self, graph: Graph, options: Options, target: Target, imu: Var) -> None:
        self.graph, self.precision, self.target = graph, options.precision, target
        self.seen = Seen(graph, options.calibration)
        self.vars: dict[str, Var] = {INPUT: imu}
        # Each value in float32 (False) and in float16 (True), as far as made.
        self.halves = {False: self.vars, True: dict[str, Var]()}
        self.half = False  # whether the step at hand runs in float16

    def add(self, step: Step) -> None:
        self.half = self._runs_half(step)
        name = f"{step.out}_value" if step.out in self.graph.outputs else step.out
        self.halves[self.half][step.out] = self._lower(step, name)

    def output(self, name: str) -> Var:
        if name in self.vars:
            return mb.identity(x=self.vars[name], name=name)
        return mb.cast(x=self.halves[True][name], dtype="fp32", name=name)

    def _runs_half(self, step: Step) -> bool:
        """fp16 multiplies by weights in float16; norms, sums and powers stay float32; the rest follows its inputs."""
        if self.precision != "fp16" or isinstance(step, GroupNorm | Reduce | Softmax):
            return False
        if isinstance(step, PRODUCTS):
            return True
        if isinstance(step, Unary) and step.op in FULL_UNARY:
            return False
        return all(name in self.halves[True] for name in inputs_of(step))

    def _value(self, name: str) -> Var:
        made = self.halves[self.half]
        if name not in made:
            dtype = "fp16" if self.half else "fp32"
            made[name] = mb.cast(x=self.halves[not self.half][name], dtype=dtype, name=f"{name}_{dtype}")
        return made[name]

    def _constant(self, array: Array) -> Array:
        return np.ascontiguousarray(array, np.float16 if self.half else np.float32)

    def _matrix(self, matrix: Array, name: str, inputs: Callable[[], Matrix], recurrent: bool = False) -> Var:
        """A weight matrix at the export's precision, as a value that operators take for a constant.

        inputs: gives what it is multiplied with in use. int4 takes recurrent weights alone to 4 bits, the others to 8:
        they are most of the file and its least sensitive part.
        """
        if matrix.size < MIN_QUANTIZED or self.precision in ("fp32", "fp16"):
            return mb.const(val=self._constant(matrix), name=name)
        if self.precision == "int4" and recurrent:
            block = BLOCK if matrix.shape[1] % BLOCK == 0 else None
            rounded = round_matrix(matrix, 4, inputs(), block)
            data = mb.const(val=rounded.codes.astype(types.np_int4_dtype), name=f"{name}_data")
            return mb.constexpr_blockwise_shift_scale(data=data, scale=rounded.scales, name=name)
        return self._restored(round_matrix(matrix, 8, inputs()), name)

    def _restored(self, rounded: Rounded, name: str) -> Var:
        """Weights `(O, ...)` kept in 8 bits, each row with a scale of its own, as a value that operators take."""
        if self.target.blockwise:
            scales = rounded.scales.reshape(-1, *[1] * (rounded.codes.ndim - 1))
            return mb.constexpr_blockwise_shift_scale(data=rounded.codes, scale=scales, name=name)
        return mb.constexpr_affine_dequantize(
            quantized_data=rounded.codes, scale=rounded.scales[:, 0], zero_point=np.int8(0), axis=np.int32(0), name=name
        )

    def _filters(self, step: Conv1d, name: str) -> Var | Array:
        """A convolution's filters `(O, I, K)`; in int4 large ones in 8 bits."""
        rounded = int4_filters(self.precision, step, self.seen)
        return self._constant(step.weight) if rounded is None else self._restored(rounded, name)

    def _gru_weights(self, step: GRU, name: str, arrange: Callable[[Array], Array]) -> tuple[Var, Var]:
        """Of the input and of the state, the gates' rows rearranged."""
        return (
            self._matrix(arrange(step.weight_ih), f"{name}_weight_ih", lambda: self.seen.rows(step.x)),
            self._matrix(arrange(step.weight_hh), f"{name}_weight_hh", lambda: self.seen.states(step), recurrent=True),
        )

    def _lower(self, step: Step, name: str) -> Var:
        x = self._value(inputs_of(step)[0])
        match step:
            case GroupNorm():
                return self._group_norm(step, x, name)
            case Conv1d():
                bias = {} if step.bias is None else {"bias": self._constant(step.bias)}
                return mb.conv(
                    x=x, weight=self._filters(step, f"{name}_weight"),
                    strides=[step.stride], dilations=[step.dilation],
                    pad_type="custom", pad=[step.padding, step.padding], groups=1, name=name, **bias,
                )  # fmt: skip
            case MaxPool1d():
                return mb.max_pool(x=x, kernel_sizes=[step.kernel], strides=[step.kernel], pad_type="valid", name=name)
            case AdaptiveAvgPool1d():
                matrix = adaptive_pool_matrix(self.graph.shapes[step.x][1], step.size)
                return mb.matmul(x=x, y=self._constant(matrix), name=name)
            case GRU():
                return self._gru(step, x, name) if self.target.gru_op else self._gru_loop(step, x, name)
            case Linear():
                bias = {} if step.bias is None else {"bias": self._constant(step.bias)}
                weight = self._matrix(step.weight, f"{name}_weight", lambda: self.seen.rows(step.x))
                return mb.linear(x=x, weight=weight, name=name, **bias)
            case Unary():
                return (
                    mb.gelu(x=x, mode="EXACT", name=name) if step.op == "gelu" else getattr(mb, step.op)(x=x, name=name)
                )
            case Binary():
                return self._binary(step, x, name)
            case Reduce():
                reduce = getattr(mb, f"reduce_{step.op}")
                return reduce(x=x, axes=[step.axis + 1], keep_dims=step.keep, name=name)
            case Concat():
                return mb.concat(values=[self._value(part) for part in step.xs], axis=step.axis + 1, name=name)
            case Slice():
                return self._slice(x, step.axis, step.start, step.stop, name)
            case Frames():
                starts = frame_starts(self.graph.shapes[step.x][1], step)
                frames = [self._slice(x, 1, start, start + step.size, f"{name}_{start}") for start in starts]
                return mb.concat(values=frames, axis=1, name=name)
            case Transpose():
                return mb.transpose(x=x, perm=[0, 2, 1], name=name)
            case Reshape():
                return mb.reshape(x=x, shape=[-1, *step.shape], name=name)
            case Softmax():
                return mb.softmax(x=x, axis=-1, name=name)
        raise LoweringError(f"the coreml format cannot express step {type(step).__name__} -> {step.out!r}")

    def _group_norm(self, step: GroupNorm, x: Var, name: str) -> Var:
        shape = self.graph.shapes[step.x]
        per_channel = (1, -1) + (1,) * (len(shape) - 1)
        grouped = mb.reshape(x=x, shape=[-1, step.groups, int(np.prod(shape)) // step.groups], name=f"{name}_grouped")
        normed = mb.layer_norm(x=grouped, axes=[2], epsilon=np.float32(step.eps), name=f"{name}_normed")
        whole = mb.reshape(x=normed, shape=[-1, *shape], name=f"{name}_whole")
        scaled = mb.mul(x=whole, y=self._constant(step.weight.reshape(per_channel)), name=f"{name}_scaled")
        return mb.add(x=scaled, y=self._constant(step.bias.reshape(per_channel)), name=name)

    def _binary(self, step: Binary, a: Var, name: str) -> Var:
        rank = len(self.graph.shapes[step.out]) + 1
        if isinstance(step.b, str):
            b = self._ranked(self._value(step.b), rank, f"{name}_b")
        else:
            b = self._constant(step.b.reshape((1,) * (rank - step.b.ndim) + step.b.shape))
        return getattr(mb, step.op)(x=self._ranked(a, rank, f"{name}_a"), y=b, name=name)

    def _ranked(self, x: Var, rank: int, name: str) -> Var:
        """Broadcasting aligns last axes, so a value of lower rank grows behind the window's axis."""
        missing = list(range(1, 1 + rank - x.rank))
        return mb.expand_dims(x=x, axes=missing, name=name) if missing else x

    def _slice(self, x: Var, axis: int, start: int, stop: int, name: str) -> Var:
        begin, end, whole = [0] * x.rank, [0] * x.rank, [True] * x.rank
        begin[axis + 1], end[axis + 1], whole[axis + 1] = start, stop, False
        return mb.slice_by_index(x=x, begin=begin, end=end, begin_mask=whole, end_mask=whole, name=name)

    def _gru(self, step: GRU, x: Var, name: str) -> Var:
        """The system's GRU (iOS 18): gates ordered r, n, z; `bias` is the recurrent one."""

        def reordered(rows: Array) -> Array:
            r, z, n = np.split(rows, 3)
            return np.concatenate((r, n, z))

        weight_ih, weight_hh = self._gru_weights(step, name, reordered)
        steps_first = mb.transpose(x=x, perm=[1, 0, 2], name=f"{name}_steps")
        return mb.gru(
            x=steps_first,
            initial_h=self._constant(np.zeros((1, step.hidden), np.float32)),
            weight_ih=weight_ih,
            weight_hh=weight_hh,
            input_bias=self._constant(reordered(step.bias_ih)),
            bias=self._constant(reordered(step.bias_hh)),
            reset_after=True,
            name=name,
        )[1]

    def _gru_loop(self, step: GRU, x: Var, name: str) -> Var:
        """The same as a loop over the steps; the input's products are made once, before it."""
        weight_ih, weight_hh = self._gru_weights(step, name, lambda rows: rows)
        bias_hh = mb.const(val=self._constant(step.bias_hh), name=f"{name}_bias_hh")
        inputs = mb.linear(x=x, weight=weight_ih, bias=self._constant(step.bias_ih), name=f"{name}_inputs")
        steps = self.graph.shapes[step.x][0]

        def more(t: Var, h: Var) -> Var:
            return mb.less(x=t, y=np.int32(steps), name=f"{name}_more")

        def advance(t: Var, h: Var) -> tuple[Var, Var]:
            row = mb.squeeze(x=mb.gather(x=inputs, indices=t, axis=1, name=f"{name}_at"), axes=[1], name=f"{name}_row")
            x_r, x_z, x_n = mb.split(x=row, num_splits=3, axis=1, name=f"{name}_x")
            products = mb.linear(x=h, weight=weight_hh, bias=bias_hh, name=f"{name}_products")
            h_r, h_z, h_n = mb.split(x=products, num_splits=3, axis=1, name=f"{name}_h")
            r = mb.sigmoid(x=mb.add(x=x_r, y=h_r, name=f"{name}_r_sum"), name=f"{name}_r")
            z = mb.sigmoid(x=mb.add(x=x_z, y=h_z, name=f"{name}_z_sum"), name=f"{name}_z")
            n_sum = mb.add(x=x_n, y=mb.mul(x=r, y=h_n, name=f"{name}_reset"), name=f"{name}_n_sum")
            n = mb.tanh(x=n_sum, name=f"{name}_n")
            kept = mb.mul(x=z, y=mb.sub(x=h, y=n, name=f"{name}_change"), name=f"{name}_kept")
            return mb.add(x=t, y=np.int32(1), name=f"{name}_next"), mb.add(x=n, y=kept, name=f"{name}_state")

        start = (np.zeros(1, np.int32), self._constant(np.zeros((1, step.hidden), np.float32)))
        return mb.while_loop(_cond=more, _body=advance, loop_vars=start, name=name)[1]
