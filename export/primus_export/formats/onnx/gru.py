"""The recurrence: ONNX's GRU operator in float, a Scan around one quantized product in int8 and int4.

No quantizer touches the GRU operator, and unrolling would pack one copy of the recurrent weights a step. A Scan's body
holds them once. Reading them is what takes the time at batch 1, so a byte a weight instead of four makes it quick.

In int8 a window's embedding does not depend on the windows beside it. A state rounded to integers remembers the last
bit of every float before it, so the product must be exact: whole numbers on a scale that is the same for every window.
Ours is, since a GRU's state stays within -1 and 1.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from primus_export.formats.onnx.builder import Builder, declare
from primus_models.graph import GRU, Array


def lower_gru(builder: Builder, step: GRU) -> None:
    """The last hidden state `(batch, H)` of a value `(batch, steps, I)`."""
    x = builder.node("Transpose", [builder.flat(step.x)], builder.temporary(f"{step.out}.steps"), perm=[1, 0, 2])
    if builder.quantizes(step.weight_hh):
        _scan(builder, step, x)
        builder.exact.add(step.out)
    else:
        _operator(builder, step, x)


def _operator(builder: Builder, step: GRU, x: str) -> None:
    def gates(rows: Array) -> Array:  # ONNX orders them z, r, n
        r, z, n = np.split(rows, 3)
        return np.concatenate([z, r, n])[None]

    biases = np.concatenate([gates(step.bias_ih), gates(step.bias_hh)], axis=1)
    large = builder.quantizes(step.weight_ih)
    inputs = [
        x,
        builder.matrix(step.weight_ih, f"{step.out}.weight_ih", large, step.x, gates),
        builder.weight(gates(step.weight_hh), f"{step.out}.weight_hh"),
        builder.weight(biases, f"{step.out}.biases"),
    ]
    last = builder.temporary(f"{step.out}.last")
    builder.split("GRU", inputs, ["", last], hidden_size=step.hidden, linear_before_reset=1)
    builder.node("Squeeze", [last, builder.integers([0], f"{step.out}.direction")], builder.write(step.out))


def _scan(builder: Builder, step: GRU, x: str) -> None:
    size, out = step.hidden, step.out
    large = builder.quantizes(step.weight_ih)
    shares = []
    for gate, rows in (("rz", step.weight_ih[: 2 * size]), ("n", step.weight_ih[2 * size :])):
        matrix = builder.matrix(rows, f"{out}.input_{gate}", large, step.x)
        shares.append(builder.node("MatMul", [x, matrix], builder.temporary(f"{out}.x_{gate}")))
    bias = builder.constant(step.bias_ih[2 * size :], f"{out}.bias_n")
    x_n = builder.node("Add", [shares[1], bias], builder.temporary(f"{out}.x_n"))
    inputs = [_zeros(builder, x, size, out), shares[0], x_n]
    builder.split("Scan", inputs, [builder.write(out)], body=_body(builder, step), num_scan_inputs=2)


def _zeros(builder: Builder, x: str, size: int, out: str) -> str:
    """`(batch, size)` zeros, the batch read from x `(steps, batch, I)`."""
    shape = builder.node("Shape", [x], builder.temporary(f"{out}.shape"))
    batch = builder.node("Gather", [shape, builder.integers([1], f"{out}.axis")], builder.temporary(f"{out}.batch"))
    sizes = [batch, builder.integers([size], f"{out}.size")]
    shape = builder.node("Concat", sizes, builder.temporary(f"{out}.shape"), axis=0)
    return builder.node("ConstantOfShape", [shape], builder.temporary(f"{out}.start"))


def _body(outer: Builder, step: GRU) -> onnx.GraphProto:
    """One step: state and the input's share in, state out.

    The biases of r and z ride on the product, which adds one anyway; n's cannot: r scales the recurrent part alone.
    """
    size = step.hidden
    body = Builder(outer.precision, outer.shapes, outer.seen, prefix=f"{step.out}.step.")
    name = body.temporary
    h, x_rz, x_n, h_next = name("h"), name("x_rz"), name("x_n"), name("h_next")
    bias = step.bias_hh.copy()
    bias[: 2 * size] += step.bias_ih[: 2 * size]
    # int4 is for these weights alone. They are most of the file, and at 4 bits the others cost more than they save: a
    # trained encoder falls from cosine .9997 to .9988 with its head in 4 bits.
    seen = outer.seen.states(step)
    if outer.precision == "int4":
        sums = body.product(h, step.weight_hh, bias, name("sums"), seen, bits=4)
    else:
        sums = body.bounded_product(h, step.weight_hh, bias, name("sums"), seen)
    h_rz, h_n = body.split(
        "Split", [sums, body.integers([2 * size, size], "gates_and_new")], [name("h_rz"), name("h_n")], axis=1
    )
    rz = body.node("Sigmoid", [body.node("Add", [h_rz, x_rz], name("rz_sum"))], name("rz"))
    r, z = body.split("Split", [rz, body.integers([size, size], "reset_and_update")], [name("r"), name("z")], axis=1)
    n = body.node("Add", [body.node("Mul", [r, h_n], name("r_h_n")), x_n], name("n_sum"))
    n = body.node("Tanh", [n], name("n"))
    kept = body.node("Mul", [z, body.node("Sub", [h, n], name("change"))], name("kept"))
    body.node("Add", [kept, n], h_next)
    inputs = [declare(h, (size,)), declare(x_rz, (2 * size,)), declare(x_n, (size,))]
    inner, outputs = [declare(sums, (3 * size,))], [declare(h_next, (size,))]
    return helper.make_graph(body.nodes, f"{step.out}.step", inputs, outputs, body.initializers, value_info=inner)
