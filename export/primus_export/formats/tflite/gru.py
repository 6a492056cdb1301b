"""The GRU as one WHILE operator, whose body holds the recurrent weights once.

Unrolled, the same layer is hundreds of operators, and XNNPACK packs a copy of the weights for every step: they fall
out of the cache, and the layer takes eight times as long. What the input contributes to the gates is computed for all
steps before the loop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from primus_export.calibration import Seen
from primus_export.formats.base import Precision
from primus_export.formats.tflite.dense import dense
from primus_export.formats.tflite.writer import Subgraph
from primus_export.rounding import Matrix
from primus_models.graph import GRU


def gru(sub: Subgraph, x: int, step: GRU, precision: Precision, seen: Seen) -> int:
    """Lower a GRU over x `(steps, I)`; gives the last state as a tensor `(1, H)`.

    In int4 the input weights, few and fragile, keep 8 bits.
    """
    steps, hidden = sub.shape(x)[0], step.hidden
    # r and z only ever see the sum of both biases; n needs its recurrent one inside the reset gate's product.
    bias = step.bias_ih + np.where(np.arange(3 * hidden) < 2 * hidden, step.bias_hh, 0)
    inputs = dense(
        sub, x, step.weight_ih, bias, "int8" if precision == "int4" else precision, f"{step.out}/input",
        lambda: seen.rows(step.x),
    )  # fmt: skip
    condition = _condition(sub, steps, hidden)
    body = _body(sub, steps, step, precision, lambda: seen.states(step))
    first = sub.ints([0])
    zeros = sub.floats(np.zeros((1, hidden)))
    counted, state = sub.tensor((1,), np.int32), sub.tensor((1, hidden), name=step.out)
    passed = sub.tensor((steps, 3 * hidden))
    sub.op(
        "WHILE", (first, zeros, inputs), (counted, state, passed), 1, "WhileOptions",
        condSubgraphIndex=condition.index, bodySubgraphIndex=body.index,
    )  # fmt: skip
    return state


def _loop_inputs(sub: Subgraph, steps: int, hidden: int) -> tuple[int, int, int]:
    return (
        sub.tensor((1,), np.int32, "step"),
        sub.tensor((1, hidden), name="state"),
        sub.tensor((steps, 3 * hidden), name="inputs"),
    )


def _condition(parent: Subgraph, steps: int, hidden: int) -> Subgraph:
    sub = parent.model.subgraph("gru_condition")
    variables = _loop_inputs(sub, steps, hidden)
    going = sub.tensor((1,), np.bool_)
    sub.op("LESS", (variables[0], sub.ints([steps])), (going,), 1, "LessOptions")
    sub.interface(variables, (going,))
    return sub


def _body(parent: Subgraph, steps: int, step: GRU, precision: Precision, states: Callable[[], Matrix]) -> Subgraph:
    """One step: h' = n + z * (h - n)."""
    sub, hidden = parent.model.subgraph("gru_body"), step.hidden
    counter, h, inputs = _loop_inputs(sub, steps, hidden)
    counted = sub.tensor((1,), np.int32)
    sub.op("ADD", (counter, sub.ints([1])), (counted,), 1, "AddOptions")
    x = sub.tensor((1, 3 * hidden))
    sub.op("GATHER", (inputs, counter), (x,), 1, "GatherOptions")
    bias = np.where(np.arange(3 * hidden) < 2 * hidden, 0, step.bias_hh)
    recurrent = dense(sub, h, step.weight_hh, bias, precision, "recurrent", states)

    def vector() -> int:
        return sub.tensor((1, hidden))

    def split(value: int) -> tuple[int, int, int]:
        parts = (vector(), vector(), vector())
        sub.op("SPLIT", (sub.ints([1]), value), parts, 1, "SplitOptions", numSplits=3)
        return parts

    def apply(builtin: str, options: str | None, *operands: int) -> int:
        out = vector()
        sub.op(builtin, operands, (out,), 1, options)
        return out

    (x_r, x_z, x_n), (h_r, h_z, h_n) = split(x), split(recurrent)
    r = apply("LOGISTIC", None, apply("ADD", "AddOptions", x_r, h_r))
    z = apply("LOGISTIC", None, apply("ADD", "AddOptions", x_z, h_z))
    n = apply("TANH", None, apply("ADD", "AddOptions", x_n, apply("MUL", "MulOptions", r, h_n)))
    kept = apply("MUL", "MulOptions", z, apply("SUB", "SubOptions", h, n))
    state = apply("ADD", "AddOptions", n, kept)
    sub.interface((counter, h, inputs), (counted, state, inputs))
    return sub
