"""A small builder of TFLite files: tensors, constants, operators, subgraphs, one flatbuffer at the end.

The schema comes as Python classes with ai-edge-litert; nothing is converted, so an export needs no TensorFlow and
no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import ArrayLike, NDArray

ALIGNMENT = 16
"""Of every constant, from the file's start: kernels read the mapped file in place, Arm faults on unaligned reads."""

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}

INT8, INT16 = schema.TensorType.INT8, schema.TensorType.INT16


@dataclass(frozen=True)
class Quantization:
    """What a stored integer means, `scale * (q - zero_point)`: one scale for all, or one for each index of `axis`."""

    scale: tuple[float, ...]
    zero_point: int = 0
    axis: int = 0


class Model:
    """A TFLite model in the making; `subgraphs[0]` is the one that runs."""

    def __init__(self, description: str) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = description
        self._model.buffers = [schema.BufferT()]  # buffer 0 means "no data"
        self._model.operatorCodes = []
        self._model.subgraphs = []
        self._model.signatureDefs = []
        self._buffers: dict[bytes, int] = {}
        self._codes: dict[tuple[int, int], int] = {}

    def subgraph(self, name: str) -> Subgraph:
        """A new, empty subgraph."""
        graph = schema.SubGraphT()
        graph.name = name
        graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [], [], []
        self._model.subgraphs.append(graph)
        return Subgraph(self, graph, len(self._model.subgraphs) - 1)

    def buffer(self, content: bytes) -> int:
        """The index of a buffer with these bytes; equal bytes are stored once."""
        if content not in self._buffers:
            stored = _AlignedBuffer()
            stored.data = content
            self._buffers[content] = len(self._model.buffers)
            self._model.buffers.append(stored)
        return self._buffers[content]

    def code(self, builtin: str, version: int) -> int:
        """The index of an operator code, entered when first used."""
        number = getattr(schema.BuiltinOperator, builtin)
        if (number, version) not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = number
            code.deprecatedBuiltinCode = min(number, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
            code.version = version
            self._codes[number, version] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        return self._codes[number, version]

    def signature(self, graph: Subgraph, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """Declare a subgraph's inputs and outputs, by name, as the signature `serving_default`."""
        graph.interface(list(inputs.values()), list(outputs.values()))
        signature = schema.SignatureDefT()
        signature.signatureKey = "serving_default"
        signature.subgraphIndex = graph.index
        signature.inputs = [_tensor_map(name, index) for name, index in inputs.items()]
        signature.outputs = [_tensor_map(name, index) for name, index in outputs.items()]
        self._model.signatureDefs.append(signature)

    def to_bytes(self) -> bytes:
        """The finished file; the same calls always give the same bytes."""
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


class Subgraph:
    """Operators over numbered tensors, added in the order they run."""

    def __init__(self, model: Model, graph: Any, index: int) -> None:
        self.model = model
        self.index = index
        self._graph = graph
        self._constants: dict[tuple[object, ...], int] = {}

    def tensor(
        self,
        shape: Sequence[int],
        dtype: type[np.generic] = np.float32,
        name: str = "",
        quantization: Quantization | None = None,
    ) -> int:
        """A tensor that an operator, or the caller, fills."""
        return self._add(shape, _TYPES[np.dtype(dtype)], 0, name, quantization)

    def constant(self, values: NDArray[Any], name: str = "", quantization: Quantization | None = None) -> int:
        """A tensor with stored values; the same values with the same meaning are entered once."""
        array = np.ascontiguousarray(values)
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return self._stored(little_endian, array.shape, _TYPES[array.dtype], name, quantization)

    def floats(self, values: ArrayLike, name: str = "") -> int:
        """A float32 constant."""
        return self.constant(np.asarray(values, np.float32), name)

    def ints(self, values: ArrayLike) -> int:
        """An int32 constant: an axis, a shape, a counter's limit."""
        return self.constant(np.asarray(values, np.int32))

    def constant_int4(self, values: NDArray[np.int8], name: str, quantization: Quantization) -> int:
        """Values of -8 to 7, stored two to a byte, the first in the low half."""
        nibbles = values.reshape(-1).view(np.uint8) & 0x0F
        packed = (nibbles[0::2] | (nibbles[1::2] << 4)).tobytes()
        return self._stored(packed, values.shape, schema.TensorType.INT4, name, quantization)

    def op(
        self,
        builtin: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        version: int = 1,
        options: str | None = None,
        **fields: object,
    ) -> None:
        """Add one operator. `options` is the schema's table for it (`Conv2DOptions`), `fields` what is set there."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self.model.code(builtin, version)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for name, value in fields.items():
                if not hasattr(operator.builtinOptions, name):
                    raise AttributeError(f"{options} has no field {name!r}")
                setattr(operator.builtinOptions, name, value)
        self._graph.operators.append(operator)

    def interface(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Say which tensors come from outside and which go there, in order."""
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)

    def name(self, index: int, name: str) -> None:
        """Name a tensor after it was made."""
        self._graph.tensors[index].name = name

    def shape(self, index: int) -> tuple[int, ...]:
        """A tensor's shape."""
        return tuple(self._graph.tensors[index].shape)

    def _stored(
        self, content: bytes, shape: Sequence[int], kind: int, name: str, quantization: Quantization | None
    ) -> int:
        buffer = self.model.buffer(content)
        key = (buffer, kind, tuple(shape), quantization)
        if key not in self._constants:
            self._constants[key] = self._add(shape, kind, buffer, name, quantization)
        return self._constants[key]

    def _add(self, shape: Sequence[int], kind: int, buffer: int, name: str, quantization: Quantization | None) -> int:
        tensor = schema.TensorT()
        tensor.shape = [int(size) for size in shape]
        tensor.hasRank = True
        tensor.type = kind
        tensor.buffer = buffer
        tensor.name = name or f"t{self.index}_{len(self._graph.tensors)}"
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(scale) for scale in quantization.scale]
            tensor.quantization.zeroPoint = [quantization.zero_point] * len(quantization.scale)
            tensor.quantization.quantizedDimension = quantization.axis
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose bytes start at a multiple of `ALIGNMENT`, which the generated class does not see to."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802  the generated code calls it by this name
        builder.StartVector(1, len(self.data), ALIGNMENT)
        builder.head -= len(self.data)
        builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


def _tensor_map(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry
