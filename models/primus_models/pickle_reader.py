"""Read what lies in a PyTorch `.ckpt` without PyTorch, and without ever building or calling what its pickle asks for.

A pickle is a program: on loading, it may import any function and call it. Here its opcodes, as the standard library's
`pickletools` decodes them, drive a small stack machine that knows text, numbers, lists, tuples, dicts and tensors.
Whatever else it names becomes a `Global`, and whatever it makes of one an `Opaque`: two records without behaviour.
The machine imports nothing, looks nothing up by name but the few entries of `_REBUILD`, and calls nothing else, so no
pickle can run code whichever opcode it tries.

Tensors come as `TensorRef`s; their numbers are read only when asked for, within bounds that are checked first.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from primus_models.errors import CheckpointError

# What pickles of real checkpoints need is under 2 MB; this bounds memory to about 2 GB and time to half a minute.
LARGEST_PICKLE = 16 << 20
_MOST_AXES = 16

Value: TypeAlias = Any  # None, bool, int, float, str, bytes, list, tuple, dict, or one of the records below


@dataclass(frozen=True, eq=False)
class Global:
    """A class or function that the pickle names. It is neither looked up nor imported."""

    module: str
    name: str


@dataclass(frozen=True, eq=False)
class Opaque:
    """An object that the pickle would have built; `of` says what from."""

    of: str


@dataclass(frozen=True, eq=False)
class StorageRef:
    """Where a tensor's numbers lie: the archive's entry `data/<key>`, `count` numbers of a torch storage class."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True, eq=False)
class TensorRef:
    """A tensor not yet read; offset and strides count numbers, and every position lies inside the storage."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """Pickle's marker on the stack."""


def read_pickle(content: bytes) -> Value:
    """The value that a pickle describes, with inert records in place of objects.

    Raises:
        CheckpointError: it is no pickle, truncated, larger than 16 MiB, or describes a tensor that reaches outside
        its storage.
    """
    if len(content) > LARGEST_PICKLE:
        raise CheckpointError(
            f"its pickle has {len(content)} bytes; at most {LARGEST_PICKLE} are expected of a checkpoint"
        )
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except CheckpointError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, RecursionError, MemoryError) as error:
        raise CheckpointError(
            f"its pickle is damaged ({type(error).__name__}: {str(error)[:200]}); fetch it again"
        ) from error
    raise CheckpointError("its pickle has no end; fetch it again")


# Opcodes whose decoded argument is the value itself.
_CONSTANTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_NEW: dict[str, Callable[[], Value]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: Opaque("set"),
    "MARK": _Mark,
}


class _Machine:
    """The stack and the memo. Every step only moves values, or makes containers and records."""

    def __init__(self) -> None:
        self.stack: list[Value] = []
        self.memo: dict[int, Value] = {}

    def pop(self) -> Value:
        value = self.stack.pop()
        if isinstance(value, _Mark):
            raise CheckpointError("its pickle is damaged (a marker where a value was expected); fetch it again")
        return value

    def pop_to_mark(self) -> list[Value]:
        values: list[Value] = []
        while not isinstance(value := self.stack.pop(), _Mark):
            values.append(value)
        return values[::-1]

    def step(self, name: str, argument: Value) -> None:
        push = self.stack.append
        if name in _CONSTANTS:
            push(argument)
        elif name in _NEW:
            push(_NEW[name]())
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            push(self.memo[int(argument)])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[int(argument)] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            push(tuple([self.pop() for _ in range(int(name[-1]))][::-1]))
        elif name in ("PROTO", "FRAME"):
            pass
        elif name in ("POP", "POP_MARK", "DUP"):
            self._move(name)
        elif name in _FROM_ITEMS or name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"):
            self._collect(name)
        else:
            self._object(name, argument)

    def _move(self, name: str) -> None:
        if name == "POP":
            self.stack.pop()
        elif name == "POP_MARK":
            self.pop_to_mark()
        else:
            self.stack.append(self.stack[-1])

    def _collect(self, name: str) -> None:
        if name in _FROM_ITEMS:
            self.stack.append(_FROM_ITEMS[name](self.pop_to_mark()))
            return
        count = {"APPEND": 1, "SETITEM": 2}.get(name)
        items = self.pop_to_mark() if count is None else [self.pop() for _ in range(count)][::-1]
        target = self.stack[-1]
        # Exact types: these are the machine's own containers. Items of anything else go nowhere.
        if type(target) is list and name in ("APPEND", "APPENDS"):
            target.extend(items)
        elif type(target) is dict and name in ("SETITEM", "SETITEMS"):
            target.update(_dict_of(items))
        elif not isinstance(target, Opaque | Global):
            raise CheckpointError(f"its pickle is damaged ({name} on a {type(target).__name__}); fetch it again")

    def _object(self, name: str, argument: Value) -> None:
        """The opcodes that would import, call or build something: records are all that they make."""
        push = self.stack.append
        if name == "GLOBAL":
            module, _, attribute = argument.partition(" ")
            push(Global(module, attribute))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            push(
                Global(str(module), str(attribute))
                if isinstance(module, str) and isinstance(attribute, str)
                else Opaque("global")
            )
        elif name == "BINPERSID":
            push(_storage(self.pop()))
        elif name == "REDUCE":
            arguments, function = self.pop(), self.pop()
            push(_rebuild(function, arguments))
        elif name in ("NEWOBJ", "NEWOBJ_EX"):
            parts = [self.pop() for _ in range(2 if name == "NEWOBJ" else 3)]
            push(Opaque(_described(parts[-1])))
        elif name == "BUILD":
            self.pop()  # the state that would be set on the object below: left out
            self.stack[-1]
        elif name in ("INST", "OBJ"):
            self.pop_to_mark()
            push(Opaque(str(argument)))
        elif name in ("EXT1", "EXT2", "EXT4", "PERSID"):
            push(Opaque(name))
        else:
            raise CheckpointError(f"its pickle uses {name}, which no checkpoint needs; it is not a published one")


def _dict_of(items: list[Value]) -> dict[Value, Value]:
    if len(items) % 2:
        raise CheckpointError("its pickle is damaged (a key without a value); fetch it again")
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _key(key: Value) -> Value:
    """Keys that hash cheaply and by value stay themselves; any other becomes a record of its own."""
    return key if isinstance(key, str | int | float | bytes | None) else Opaque(_described(key))


def _described(value: Value) -> str:
    return f"{value.module}.{value.name}" if isinstance(value, Global) else type(value).__name__


def _storage(identifier: Value) -> StorageRef | Opaque:
    """A persistent id `("storage", class, key, location, count)`: where a storage lies."""
    match identifier:
        case ("storage", Global(module="torch", name=kind), str(key), _, int(count)):
            return StorageRef(kind, key, count)
    return Opaque("persistent id")


def _rebuild(function: Value, arguments: Value) -> Value:
    if isinstance(function, Global) and isinstance(arguments, tuple):
        rebuild = _REBUILD.get((function.module, function.name))
        if rebuild is not None:
            return rebuild(arguments)
    return Opaque(_described(function))


def _tensor(arguments: tuple[Value, ...]) -> TensorRef | Opaque:
    """`_rebuild_tensor_v2(storage, offset, size, stride, ...)`."""
    match arguments:
        case (StorageRef() as storage, int(offset), tuple(shape), tuple(strides), *_):
            pass
        case _:
            return Opaque("torch._utils._rebuild_tensor_v2")
    numbers = [offset, *shape, *strides, storage.count]
    if len(shape) != len(strides) or len(shape) > _MOST_AXES or any(type(n) is not int or n < 0 for n in numbers):
        raise CheckpointError("it describes a tensor with impossible sizes or strides; it is damaged or made to harm")
    reach = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if 0 not in shape and reach >= storage.count:
        raise CheckpointError(
            f"it describes a tensor {shape} "
            f"that reaches outside its storage of {storage.count} numbers; it is damaged or made to harm"
        )
    return TensorRef(storage, offset, shape, strides)


def _parameter(arguments: tuple[Value, ...]) -> Value:
    """`_rebuild_parameter(tensor, ...)`: the tensor itself."""
    return (
        arguments[0] if arguments and isinstance(arguments[0], TensorRef) else Opaque("torch._utils._rebuild_parameter")
    )


_FROM_ITEMS: dict[str, Callable[[list[Value]], Value]] = {
    "LIST": list,
    "TUPLE": tuple,
    "DICT": _dict_of,
    "FROZENSET": lambda _: Opaque("frozenset"),
}
_REBUILD: dict[tuple[str, str], Callable[[tuple[Value, ...]], Value]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    # An empty one, filled by SETITEMS. One made from a list, as old pickles do, is not needed by any checkpoint.
    ("collections", "OrderedDict"): lambda arguments: Opaque("collections.OrderedDict") if arguments else {},
}
