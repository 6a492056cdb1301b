"""The GRU loop in integers: the state in 16 bits, the recurrent weights in 8."""

from __future__ import annotations

import numpy as np

from primus_export.calibration import Seen
from primus_export.formats.tflite.integers import GATE, UNIT, Integers, scale_of
from primus_export.rounding import Matrix
from primus_models.graph import GRU


def integer_gru(integers: Integers, x: int, step: GRU, seen: Seen) -> int:
    """Lower a GRU over x `(steps, I)`; gives the last state `(1, H)` as int16 of scale 1/32768."""
    sub, hidden = integers.sub, step.hidden
    steps = sub.shape(x)[0]
    inner = np.where(np.arange(3 * hidden) < 2 * hidden, 0, step.bias_hh)  # only n needs it inside the reset's product
    outer = step.bias_ih + step.bias_hh - inner
    input_scale = scale_of(seen.rows(step.x) @ step.weight_ih.T + outer)
    inputs = integers.dense(x, step.weight_ih, outer, input_scale)

    def variables(graph: Integers) -> tuple[int, int, int]:
        return (
            graph.sub.tensor((1,), np.int32, "step"),
            graph.tensor((1, hidden), UNIT, "state"),
            graph.tensor((steps, 3 * hidden), input_scale, "inputs"),
        )

    condition = Integers(sub.model.subgraph("gru_condition"))
    carried = variables(condition)
    going = condition.sub.tensor((1,), np.bool_)
    condition.sub.op("LESS", (carried[0], condition.sub.ints([steps])), (going,), 1, "LessOptions")
    condition.sub.interface(carried, (going,))

    body = Integers(sub.model.subgraph("gru_body"))
    counter, h, table = variables(body)
    counted = body.sub.tensor((1,), np.int32)
    body.sub.op("ADD", (counter, body.sub.ints([1])), (counted,), 1, "AddOptions")
    state = _next_state(body, h, _row(body, table, counter), step, inner, seen)
    body.sub.interface((counter, h, table), (counted, state, table))

    first = integers.constant(np.zeros((1, hidden)))
    start = integers.requantize(first, UNIT)
    outputs = variables(integers)
    sub.op(
        "WHILE", (sub.ints([0]), start, inputs), outputs, 1, "WhileOptions",
        condSubgraphIndex=condition.sub.index, bodySubgraphIndex=body.sub.index,
    )  # fmt: skip
    return outputs[1]


def _row(body: Integers, table: int, counter: int) -> int:
    width = body.sub.shape(table)[1]
    row = body.tensor((1, width), body.scale(table))
    body.sub.op("GATHER", (table, counter), (row,), 4, "GatherOptions")
    return row


def _split(body: Integers, value: int) -> tuple[int, int, int]:
    width = body.sub.shape(value)[1] // 3
    r, z, n = (body.tensor((1, width), body.scale(value)) for _ in range(3))
    body.sub.op("SPLIT", (body.sub.ints([1]), value), (r, z, n), 4, "SplitOptions", numSplits=3)
    return r, z, n


def _next_state(body: Integers, h: int, x: int, step: GRU, bias: Matrix, seen: Seen) -> int:
    scale = scale_of(seen.states(step) @ step.weight_hh.T + bias)
    (x_r, x_z, x_n), (h_r, h_z, h_n) = _split(body, x), _split(body, body.dense(h, step.weight_hh, bias, scale))
    r = body.unary("LOGISTIC", body.binary("ADD", x_r, h_r, GATE), UNIT)
    z = body.unary("LOGISTIC", body.binary("ADD", x_z, h_z, GATE), UNIT)
    n = body.unary("TANH", body.binary("ADD", x_n, body.binary("MUL", r, h_n, scale), GATE), UNIT)
    kept = body.binary("MUL", z, body.binary("SUB", h, n, 2 * UNIT), 2 * UNIT)
    return body.binary("ADD", n, kept, UNIT)
