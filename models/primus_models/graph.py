"""The one description of an encoder: a short list of steps with their weights.

An architecture (`primus_models.architectures`) builds a `Graph` from a checkpoint's tensors.
`primus_models.reference` runs it in NumPy, and each export format lowers the same steps to its own operators, so a
new architecture never touches an exporter.

Values are named and written once. Shapes are per window, without the batch axis: a sequence is `(channels, time)`, a
vector `(features,)`. The input is always `imu`, `(6, 250)`; `embedding` is always among the outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import GraphError

Array: TypeAlias = NDArray[np.float32]
Shape: TypeAlias = tuple[int, ...]
UnaryOp: TypeAlias = Literal["relu", "gelu", "tanh", "sigmoid", "square", "sqrt", "log"]
BinaryOp: TypeAlias = Literal["add", "sub", "mul", "maximum", "minimum"]

INPUT = "imu"
EMBEDDING = "embedding"
PROBABILITIES = "probabilities"
CHANNELS = 6
WINDOW = 250
EMBEDDING_SIZE = 512


@dataclass(frozen=True, eq=False)
class GroupNorm:
    """Normalise each group of channels over channels and time, then scale and shift each channel.

    x `(C, T)` or `(C,)`; weight and bias `(C,)`; variance is the biased one, as in PyTorch.
    """

    x: str
    out: str
    groups: int
    weight: Array
    bias: Array
    eps: float = 1e-5


@dataclass(frozen=True, eq=False)
class Conv1d:
    """Cross-correlate over time. x `(I, T)`, weight `(O, I, K)`, bias `(O,)` or none; zero padding on both sides."""

    x: str
    out: str
    weight: Array
    bias: Array | None = None
    stride: int = 1
    dilation: int = 1
    padding: int = 0


@dataclass(frozen=True)
class MaxPool1d:
    """Maximum over `kernel` positions, stride `kernel`; a remainder at the end is left out."""

    x: str
    out: str
    kernel: int


@dataclass(frozen=True)
class AdaptiveAvgPool1d:
    """Average bins of near-equal width so that `size` positions come out; `size` may exceed the input's length."""

    x: str
    out: str
    size: int


@dataclass(frozen=True, eq=False)
class GRU:
    """One GRU layer over the *first* axis of x, giving the last hidden state `(H,)`.

    x `(steps, I)`; weight_ih `(3H, I)`, weight_hh `(3H, H)`, biases `(3H,)`, rows ordered r, z, n as in PyTorch; the
    state starts at zero, and n is `tanh(W_in x + b_in + r * (W_hn h + b_hn))` (ONNX calls this
    `linear_before_reset=1`).
    """

    x: str
    out: str
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array

    @property
    def hidden(self) -> int:
        """H, the size of the hidden state."""
        return int(self.weight_hh.shape[1])


@dataclass(frozen=True, eq=False)
class Linear:
    """`weight @ x + bias` on the last axis. x `(..., I)`, weight `(O, I)`, bias `(O,)` or none."""

    x: str
    out: str
    weight: Array
    bias: Array | None = None


@dataclass(frozen=True)
class Unary:
    """One function on each number. `gelu` is the exact one (error function)."""

    op: UnaryOp
    x: str
    out: str


@dataclass(frozen=True, eq=False)
class Binary:
    """`a op b`, where b is another value's name or a constant; shapes broadcast as in NumPy."""

    op: BinaryOp
    a: str
    b: str | Array
    out: str


@dataclass(frozen=True)
class Reduce:
    """Mean, sum or maximum over one axis of a sequence, which goes, or stays with size 1 where it is to be kept.

    Axis 1 (time) leaves `(C,)`, axis 0 (channels) `(T,)`; kept, `(C, 1)` and `(1, T)`.
    """

    op: Literal["mean", "sum", "max"]
    x: str
    out: str
    axis: Literal[0, 1] = 1
    keep: bool = False


@dataclass(frozen=True)
class Concat:
    """Join values along an axis; all others must agree."""

    xs: tuple[str, ...]
    out: str
    axis: Literal[0, 1] = 0


@dataclass(frozen=True)
class Slice:
    """Positions `start` to `stop` (exclusive, positive) of an axis."""

    x: str
    out: str
    start: int
    stop: int
    axis: Literal[0, 1] = 0


@dataclass(frozen=True)
class Transpose:
    """Exchange a sequence's two axes: `(C, T)` to `(T, C)`."""

    x: str
    out: str


@dataclass(frozen=True)
class Reshape:
    """The same numbers in their order, in another shape of one or two axes."""

    x: str
    out: str
    shape: Shape


@dataclass(frozen=True)
class Frames:
    """Overlapping stretches of a sequence: `(C, T)` to `(F C, size)`, F = (T - size) // hop + 1.

    A frame's C rows lie side by side, the earliest frame first; what is left over at the end is left out.
    """

    x: str
    out: str
    size: int
    hop: int


@dataclass(frozen=True)
class Softmax:
    """Softmax over a vector."""

    x: str
    out: str


Step: TypeAlias = (
    GroupNorm | Conv1d | MaxPool1d | AdaptiveAvgPool1d | GRU | Linear
    | Unary | Binary | Reduce | Concat | Slice | Transpose | Reshape | Frames | Softmax
)  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """The steps in the order they run, the values they give, and every value's shape.

    Raises:
        GraphError: a step reads a value that no earlier step wrote, writes one twice, or gets shapes it cannot take.
    """

    steps: tuple[Step, ...]
    outputs: tuple[str, ...] = (EMBEDDING,)
    shapes: dict[str, Shape] = field(init=False)

    def __post_init__(self) -> None:
        shapes: dict[str, Shape] = {INPUT: (CHANNELS, WINDOW)}
        for step in self.steps:
            for name in inputs_of(step):
                if name not in shapes:
                    raise GraphError(f"step {type(step).__name__} reads {name!r}, which no earlier step writes")
            if step.out in shapes:
                raise GraphError(f"two steps write {step.out!r}; every value is written once")
            shapes[step.out] = _shape_of(step, shapes)
        for name in self.outputs:
            if name not in shapes:
                raise GraphError(f"output {name!r} is written by no step")
        object.__setattr__(self, "shapes", shapes)

    def with_head(self, weight: Array, bias: Array, temperature: float = 1.0) -> Graph:
        """The same graph with `probabilities` beside the embedding: softmax((W e + b) / temperature).

        W `(K, 512)`, b `(K,)`.
        """
        tempered = (weight / temperature).astype(np.float32), (bias / temperature).astype(np.float32)
        steps = (Linear(EMBEDDING, "logits", *tempered), Softmax("logits", PROBABILITIES))
        return replace(self, steps=self.steps + steps, outputs=(*self.outputs, PROBABILITIES))


def inputs_of(step: Step) -> tuple[str, ...]:
    """The names of the values that a step reads."""
    if isinstance(step, Concat):
        return step.xs
    if isinstance(step, Binary):
        return (step.a, step.b) if isinstance(step.b, str) else (step.a,)
    return (step.x,)


def conv_length(length: int, step: Conv1d) -> int:
    """Positions that come out of a convolution over `length` positions."""
    span = step.dilation * (int(step.weight.shape[2]) - 1) + 1
    return (length + 2 * step.padding - span) // step.stride + 1


def frame_starts(length: int, step: Frames) -> range:
    """Where the frames of `length` positions begin."""
    return range(0, length - step.size + 1, step.hop)


def adaptive_pool_matrix(length: int, size: int) -> Array:
    """Adaptive average pooling as a constant `(length, size)` matrix: `y = x @ matrix`.

    Bin i averages positions floor(i * length / size) to ceil((i + 1) * length / size), as PyTorch does. Every runtime
    multiplies matrices; not every one has the pooling.
    """
    matrix = np.zeros((length, size), np.float32)
    for i in range(size):
        start, stop = i * length // size, -(-(i + 1) * length // size)
        matrix[start:stop, i] = 1 / (stop - start)
    return matrix


def _expect(ok: bool, step: Step, what: str) -> None:
    if not ok:
        raise GraphError(f"step {type(step).__name__} -> {step.out!r}: {what}")


def _shape_of(step: Step, shapes: dict[str, Shape]) -> Shape:
    ins: Sequence[Shape] = [shapes[name] for name in inputs_of(step)]
    x = ins[0]
    match step:
        case GroupNorm():
            _expect(step.weight.shape == step.bias.shape == (x[0],), step, f"weight and bias must be ({x[0]},)")
            _expect(x[0] % step.groups == 0, step, f"{x[0]} channels do not split into {step.groups} groups")
            return x
        case Conv1d():
            _expect(len(x) == 2 and step.weight.ndim == 3, step, "needs a sequence and a weight of three axes")
            _expect(
                step.weight.shape[1] == x[0],
                step,
                f"weight takes {step.weight.shape[1]} channels, gets {x[0]}",
            )
            _expect(conv_length(x[1], step) > 0, step, f"{x[1]} positions are too few for the kernel")
            return (step.weight.shape[0], conv_length(x[1], step))
        case MaxPool1d():
            _expect(len(x) == 2 and x[1] >= step.kernel, step, f"cannot pool {x} by {step.kernel}")
            return (x[0], x[1] // step.kernel)
        case AdaptiveAvgPool1d():
            _expect(len(x) == 2, step, "needs a sequence")
            return (x[0], step.size)
        case GRU():
            h = step.hidden
            _expect(len(x) == 2, step, "needs a sequence")
            _expect(step.weight_ih.shape == (3 * h, x[1]), step, f"weight_ih must be ({3 * h}, {x[1]})")
            _expect(step.weight_hh.shape == (3 * h, h), step, f"weight_hh must be ({3 * h}, {h})")
            return (h,)
        case Linear():
            _expect(
                step.weight.shape[1] == x[-1],
                step,
                f"weight takes {step.weight.shape[1]} features, gets {x[-1]}",
            )
            return (*x[:-1], step.weight.shape[0])
        case Binary():
            other = ins[1] if isinstance(step.b, str) else step.b.shape
            try:
                return tuple(np.broadcast_shapes(x, other))
            except ValueError:
                raise GraphError(f"step Binary -> {step.out!r}: {x} and {other} do not broadcast") from None
        case Reduce():
            _expect(len(x) == 2, step, "needs a sequence")
            if step.keep:
                return (x[0], 1) if step.axis == 1 else (1, x[1])
            return (x[1 - step.axis],)
        case Concat():
            _expect(all(len(s) == len(x) > step.axis for s in ins), step, "values differ in rank")
            joined = sum(s[step.axis] for s in ins)
            return (*x[: step.axis], joined, *x[step.axis + 1 :])
        case Slice():
            _expect(0 <= step.start < step.stop <= x[step.axis], step, f"{step.start}:{step.stop} is outside {x}")
            return (*x[: step.axis], step.stop - step.start, *x[step.axis + 1 :])
        case Transpose():
            _expect(len(x) == 2, step, "needs a sequence")
            return (x[1], x[0])
        case Reshape():
            _expect(len(step.shape) in (1, 2), step, f"a shape of {len(step.shape)} axes; expected one or two")
            _expect(math.prod(step.shape) == math.prod(x), step, f"{x} has not as many numbers as {step.shape}")
            return step.shape
        case Frames():
            _expect(len(x) == 2 and 1 <= step.size <= x[1], step, f"cannot cut frames of {step.size} from {x}")
            _expect(step.hop >= 1, step, f"a hop of {step.hop}; expected 1 or more")
            return (len(frame_starts(x[1], step)) * x[0], step.size)
        case Unary() | Softmax():
            return x
