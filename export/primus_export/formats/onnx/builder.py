"""Collects the nodes and initializers of one ONNX graph, and knows how each precision stores a weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from primus_export.calibration import Seen
from primus_export.formats.base import MIN_QUANTIZED, Precision
from primus_export.formats.filters import int4_filters
from primus_export.formats.onnx.blocks import pack
from primus_export.rounding import Bits, Matrix, round_matrix
from primus_models.graph import INPUT, Array, Conv1d, Shape

MICROSOFT = "com.microsoft"
"""ONNX Runtime's own operators, in int8 and int4 only, which need them: MatMulNBits and MatMulIntegerToFloat."""
Form: TypeAlias = Literal["flat", "image", "turned"]
"""A sequence `(C, T)` as it is; as an image `(C, 1, T)`, since ONNX Runtime's fast convolutions and poolings are those
for images; or turned, `(T, C)`, as a product over the channels takes it. A vector is flat."""
FORMS: tuple[Form, ...] = get_args(Form)
BATCH = "batch"
FLOAT = onnx.TensorProto.FLOAT
_INTEGER_ACTIVATIONS = 4
_TOP = 127
_SAFE_WEIGHT = 64
"""On x86 without VNNI two products of an unsigned and a signed byte are summed in 16 bits: 2 * 255 * 64 still fits."""


class Builder:
    """One graph being built: the model's, or the body of its Scan.

    A value of the graph may be there in several forms. `form` names it in one, and changes another only where that one
    is missing.
    """

    def __init__(self, precision: Precision, shapes: dict[str, Shape], seen: Seen, prefix: str = "") -> None:
        self.precision = precision
        self.shapes = shapes
        self.seen = seen
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.exact: set[str] = set()
        """Values that are sums of whole numbers: their bits are the same whatever windows are computed beside them."""
        self._prefix = prefix
        self._taken: set[str] = set(shapes)
        self._constants: dict[tuple[str, Shape, bytes], str] = {}
        self._forms: dict[tuple[str, Form], str] = {(INPUT, "flat"): INPUT}

    def node(self, operator: str, inputs: Sequence[str], out: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; gives the output's name."""
        return self.split(operator, inputs, [out], domain, **attributes)[0]

    def split(
        self, operator: str, inputs: Sequence[str], outs: Sequence[str], domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs; an empty name leaves one out."""
        name = next(out for out in outs if out)
        self.nodes.append(helper.make_node(operator, inputs, outs, name=name, domain=domain, **attributes))
        return list(outs)

    def temporary(self, near: str) -> str:
        """A name that is not in use yet."""
        first = name = self._prefix + near.removeprefix(self._prefix)
        count = 1
        while name in self._taken:
            count, name = count + 1, f"{first}.{count}"
        self._taken.add(name)
        return name

    def constant(self, array: NDArray[Any], near: str) -> str:
        """An initializer, as it is; equal ones are one, which a runtime would otherwise make of them on each load."""
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = name = self.temporary(near)
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return self._constants[key]

    def integers(self, values: Sequence[int], near: str) -> str:
        """A list of numbers that an operator takes as an input: a shape, axes, lengths."""
        return self.constant(np.array(values, np.int64), near)

    def weight(self, array: Array, near: str) -> str:
        """A weight in float32; fp16 files hold it as float16. Runtimes fold the cast away when they load the file."""
        if self.precision != "fp16":
            return self.constant(array.astype(np.float32), near)
        half = self.constant(array.astype(np.float16), f"{near}.fp16")
        return self.node("Cast", [half], self.temporary(near), to=FLOAT)

    def matrix(
        self,
        weight: Array,
        near: str,
        quantize: bool,
        multiplies: str,
        arrange: Callable[[NDArray[Any]], NDArray[Any]] = np.transpose,
    ) -> str:
        """A matrix `(O, I)` in float32, for a product with many rows of the value that it multiplies.

        Quantized means stored as int8 and restored once, on loading: for such products float32 is the faster.
        arrange: from `(O, I)`, and the scales' `(O, 1)`, to what the operator takes.
        """
        if not quantize:
            return self.weight(arrange(weight), near)
        rounded = round_matrix(weight, 8, self.seen.rows(multiplies))
        codes = self.constant(arrange(rounded.codes), f"{near}.int8")
        scales = self.constant(arrange(rounded.scales), f"{near}.scales")
        whole = self.node("Cast", [codes], self.temporary(near), to=FLOAT)
        return self.node("Mul", [whole, scales], self.temporary(near))

    def filters(self, step: Conv1d, near: str, arrange: Callable[[NDArray[Any]], NDArray[Any]]) -> str:
        """A convolution's filters in float32; in int4 large ones are int8, restored on loading.

        arrange: from `(O, I, K)`, and the scales' `(O, 1, 1)`, to what the operator takes.
        """
        rounded = int4_filters(self.precision, step, self.seen)
        if rounded is None:
            return self.weight(arrange(step.weight), near)
        codes = self.constant(arrange(rounded.codes), f"{near}.int8")
        scales = self.constant(arrange(rounded.scales[:, :, None]), f"{near}.scales")
        whole = self.node("Cast", [codes], self.temporary(near), to=FLOAT)
        return self.node("Mul", [whole, scales], self.temporary(near))

    @property
    def own_operators(self) -> bool:
        """Whether the file is for ONNX Runtime alone, so that its own operators may stand in it."""
        return self.precision in ("int8", "int4")

    def quantizes(self, weight: Array) -> bool:
        """Whether this matrix is large enough to be kept in few bits, in a precision that does."""
        return self.own_operators and weight.size >= MIN_QUANTIZED

    def product(self, x: str, weight: Array, bias: Array | None, out: str, seen: Matrix, bits: Bits = 8) -> str:
        """`x @ weight.T + bias` for a vector, by MatMulNBits; the weights stay in few bits, x becomes int8.

        For exact x only: what differs in its last bit would now and then be rounded to another int8, and a window in a
        batch give a thousandth more than alone. seen `(n, I)`: what x holds in use.
        """
        blocks = pack(weight, bits, seen)
        inputs = [x, self.constant(blocks.codes, f"{out}.int{bits}"), self.constant(blocks.scales, f"{out}.scales")]
        if bias is not None:
            inputs += ["", "", self.constant(bias.astype(np.float32), f"{out}.bias")]
        rows, columns = weight.shape
        return self.node(
            "MatMulNBits", inputs, out, MICROSOFT,
            N=rows, K=columns, bits=bits, block_size=blocks.size, accuracy_level=_INTEGER_ACTIVATIONS,
        )  # fmt: skip

    def bounded_product(self, x: str, weight: Array, bias: Array, out: str, seen: Matrix) -> str:
        """`x @ weight.T + bias` for vectors within -1 and 1: both sides as int8, summed exactly.

        One scale for every x: a row's result has the same bits whatever the rows beside it. seen `(n, I)`: as in
        `product`.
        """
        rounded = round_matrix(weight, 8, seen, top=_SAFE_WEIGHT)
        scales = rounded.scales.reshape(-1)
        step = self.constant(np.array(1 / _TOP, np.float32), f"{out}.step")
        # Unsigned, since runtimes have their fast kernels for unsigned times signed.
        middle = self.constant(np.array(_TOP + 1, np.uint8), f"{out}.middle")
        codes = self.node("QuantizeLinear", [x, step, middle], self.temporary(f"{out}.codes"))
        # With a scale for each row the operator is a fifth slower on a window alone. It gets 1, and a Mul follows.
        one = self.constant(np.array(1, np.float32), f"{out}.one")
        unscaled = self.constant(bias / scales, f"{out}.bias")
        matrix = self.constant(rounded.codes.T, f"{out}.int8")
        inputs = [codes, matrix, step, one, middle, "", unscaled]
        units = self.node("MatMulIntegerToFloat", inputs, self.temporary(f"{out}.units"), MICROSOFT)
        return self.node("Mul", [units, self.constant(scales, f"{out}.scales")], out)

    def write(self, name: str, form: Form = "flat") -> str:
        """Say that the next node writes this value of the graph in a form; gives the name that it must write."""
        self._forms[name, form] = name if form == "flat" else self.temporary(f"{name}.{form}")
        return self._forms[name, form]

    def turn(self, x: str, out: str) -> None:
        """Say that a value is another with its axes exchanged: no node is needed before another form is asked for."""
        self._forms[out, "turned"] = self.flat(x)

    def has(self, name: str, form: Form) -> bool:
        """Whether a value is there in a form."""
        return (name, form) in self._forms

    def common(self, *names: str) -> Form:
        """The form to compute with where any will do: one that all these values have, else flat."""
        return next((form for form in FORMS if all(self.has(name, form) for name in names)), "flat")

    def form(self, name: str, form: Form) -> str:
        """A value of the graph in a form; where it is missing, it is made of another."""
        if self.has(name, form):
            return self._forms[name, form]
        match form:
            case "flat" if self.has(name, "image"):
                axis = self.integers([2], f"{name}.axis")
                return self.node("Squeeze", [self._forms[name, "image"], axis], self.write(name))
            case "flat":
                return self.node("Transpose", [self._forms[name, "turned"]], self.write(name), perm=[0, 2, 1])
            case "turned":
                return self.node("Transpose", [self.flat(name)], self.write(name, form), perm=[0, 2, 1])
            case "image" if self.common(name) == "turned":
                axis = self.integers([1], f"{name}.image_axis")
                lines = self.node("Unsqueeze", [self._forms[name, "turned"], axis], self.temporary(f"{name}.lines"))
                return self.node("Transpose", [lines], self.write(name, form), perm=[0, 3, 1, 2])
            case "image":
                axis = self.integers([2], f"{name}.image_axis")
                return self.node("Unsqueeze", [self.flat(name), axis], self.write(name, form))

    def flat(self, name: str) -> str:
        """A value of the graph as `(batch, *shape)`."""
        return self.form(name, "flat")


def declare(name: str, shape: Shape) -> onnx.ValueInfoProto:
    """The declaration of a float32 value, the batch before its shape."""
    return helper.make_tensor_value_info(name, FLOAT, [BATCH, *shape])
