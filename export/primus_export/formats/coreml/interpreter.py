"""A saved package run in NumPy, so that an export is checked where Core ML itself is not: everywhere but on macOS.

It reads the file: the program from its protobuf, the weights from theirs, and every operator is computed from the
arguments that were saved. Values that the program declares float16 are rounded to it after each operator, as they
are stored on a device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_export.errors import ExportError
from primus_export.formats.coreml import blob, package
from primus_export.formats.coreml.operators import OPERATORS, Arguments
from primus_models.graph import Array

Values = dict[str, NDArray[Any]]
IMMEDIATE = {
    1: ("bools", np.bool_), 10: ("bytes", np.float16), 11: ("floats", np.float32), 21: ("bytes", np.int8),
    23: ("ints", np.int32), 31: ("bytes", np.uint8),
}  # fmt: skip
"""MIL's data types: the protobuf field that holds literal values, and NumPy's type."""
INT4, STRING = 25, 2
DTYPES = {number: np.dtype(dtype) for number, (_, dtype) in IMMEDIATE.items()} | {INT4: np.dtype(np.int8)}


class Interpreter:
    """A package, ready to run.

    Raises:
        ExportError: it cannot be read, or holds an operator or type that this interpreter does not know.
    """

    def __init__(self, path: Path) -> None:
        spec, self._folder = package.read(path)
        self._files: dict[str, bytes] = {}
        function = spec.mlProgram.functions["main"]
        self._block = function.block_specializations[function.opset]
        self._inputs = [value.name for value in function.inputs]
        self._constants: Values = {}

    def run(self, imu: Array) -> dict[str, Array]:
        """The outputs for windows `(n, 6, 250)`, where the program says `(1, 6, 250)`."""
        self._windows = len(imu)
        (name,) = self._inputs
        outputs = self._run_block(self._block, [(name, imu.astype(np.float32))], {})
        return dict(zip(self._block.outputs, outputs, strict=True))

    def _run_block(self, block: Any, inputs: list[tuple[str, NDArray[Any]]], outer: Values) -> list[NDArray[Any]]:
        values = {**outer, **dict(inputs)}
        for operation in block.operations:
            if operation.type == "while_loop":
                results = self._loop(operation, values)
            elif operation.type == "const" or operation.type.startswith("constexpr_"):
                results = self._constant(operation, values)
            else:
                results = self._apply(operation, self._arguments(operation, values))
            for declared, result in zip(operation.outputs, results, strict=True):
                self._check(declared, result)
                values[declared.name] = result
        return [values[name] for name in block.outputs]

    def _constant(self, operation: Any, values: Values) -> list[NDArray[Any]]:
        """Constants are made once, whichever block (a loop's body included) they stand in."""
        name = operation.outputs[0].name
        if name not in self._constants:
            if operation.type == "const":
                self._constants[name] = self._literal(operation.attributes["val"])
            else:
                (self._constants[name],) = self._apply(operation, self._arguments(operation, values))
        return [self._constants[name]]

    def _arguments(self, operation: Any, values: Values) -> dict[str, Any]:
        """By name: inputs (a list where there are several), and the attributes that older operators keep theirs in."""
        arguments: dict[str, Any] = {
            name: self._literal(value) for name, value in operation.attributes.items() if name != "name"
        }
        for name, argument in operation.inputs.items():
            bound = [
                values[binding.name] if binding.WhichOneof("binding") == "name" else self._literal(binding.value)
                for binding in argument.arguments
            ]
            arguments[name] = bound if name in ("values", "loop_vars") else bound[0]
        return arguments

    def _apply(self, operation: Any, arguments: dict[str, Any]) -> list[NDArray[Any]]:
        if operation.type not in OPERATORS:
            raise ExportError(f"the package holds operator {operation.type!r}, which cannot be checked here")
        dtypes = [_dtype(declared) for declared in operation.outputs]
        wide = {name: _widened(value) for name, value in arguments.items()}
        results = OPERATORS[operation.type](Arguments(wide, _rounding(dtypes[0])))
        return [result.astype(dtype) for result, dtype in zip(results, dtypes, strict=True)]

    def _loop(self, operation: Any, values: Values) -> list[NDArray[Any]]:
        condition, body = operation.blocks
        state: list[NDArray[Any]] = self._arguments(operation, values)["loop_vars"]
        while True:
            (more,) = self._run_block(condition, self._bind(condition, state), values)
            if not more.all():
                return state
            state = self._run_block(body, self._bind(body, state), values)

    def _bind(self, block: Any, state: list[NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
        return [(declared.name, value) for declared, value in zip(block.inputs, state, strict=True)]

    def _check(self, declared: Any, result: NDArray[Any]) -> None:
        """A value must be what the program declares, but for the window's axis."""
        if declared.type.tensorType.dataType == STRING:
            return
        shape = _shape(declared.type)
        fits = len(shape) == result.ndim and all(
            want == got or (want == 1 and got == self._windows) for want, got in zip(shape, result.shape, strict=True)
        )
        if not fits or result.dtype != _dtype(declared):
            raise ExportError(
                f"value {declared.name!r} is declared {shape} {_dtype(declared)}, is {result.shape} {result.dtype}"
            )

    def _literal(self, value: Any) -> Any:
        shape, kind = _shape(value.type), value.type.tensorType.dataType
        if value.WhichOneof("value") == "blobFileValue":
            stored = blob.tensor(self._file(value.blobFileValue.fileName), value.blobFileValue.offset, shape)
            if stored.dtype != DTYPES[kind]:
                raise ExportError(f"a constant is declared {DTYPES[kind]}, its weights are stored as {stored.dtype}")
            return stored
        literal = value.immediateValue.tensor
        if kind == STRING:
            return literal.strings.values[0]
        if kind not in IMMEDIATE:
            raise ExportError(f"the package holds a constant of data type {kind}, which cannot be checked here")
        field, dtype = IMMEDIATE[kind]
        stored = getattr(literal, field).values
        return (np.frombuffer(stored, dtype) if field == "bytes" else np.array(stored, dtype)).reshape(shape)

    def _file(self, name: str) -> bytes:
        if name not in self._files:
            try:
                self._files[name] = Path(name.replace("@model_path", str(self._folder), 1)).read_bytes()
            except OSError as error:
                raise ExportError(f"the package's weights cannot be read ({error}); export it again") from error
        return self._files[name]


def _shape(value_type: Any) -> tuple[int, ...]:
    return tuple(dimension.constant.size for dimension in value_type.tensorType.dimensions)


def _dtype(declared: Any) -> np.dtype[Any]:
    kind = declared.type.tensorType.dataType
    if kind not in DTYPES:
        raise ExportError(f"value {declared.name!r} has data type {kind}, which cannot be checked here")
    return DTYPES[kind]


def _widened(value: Any) -> Any:
    """float16 as float32: operators sum in float32, and their results are rounded."""
    if isinstance(value, list):
        return [_widened(part) for part in value]
    return value.astype(np.float32) if getattr(value, "dtype", None) == np.float16 else value


def _rounding(dtype: np.dtype[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Round to float16 and back where that is what the operator works in, for those with values of their own inside."""
    if dtype != np.float16:
        return lambda x: x
    return lambda x: x.astype(np.float16).astype(np.float32)


def chunks(windows: Array, size: int = 256) -> Iterator[Array]:
    """The windows in parts, to bound the memory that a run takes."""
    for start in range(0, len(windows), size):
        yield windows[start : start + size]
