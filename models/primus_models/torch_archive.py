"""The zip that `torch.save` writes: one pickle, and one entry of raw numbers for each storage."""

from __future__ import annotations

import math
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from primus_models.errors import CheckpointError, CheckpointNotFoundError
from primus_models.pickle_reader import LARGEST_PICKLE, TensorRef, Value, read_pickle

_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLE = re.compile(r"([^/]+)/data\.pkl")
_KEY = re.compile(r"[0-9]{1,9}")
# A GRU's weights may share one storage, and a whole model may; the encoder's own have 5.5 MB.
_LARGEST_STORAGE = 1 << 30
_LARGEST_TENSOR = 256 << 20


@dataclass(frozen=True)
class _Kind:
    stored: str
    shift: int = 0  # bfloat16 is the upper half of a float32


_KINDS = {
    "FloatStorage": _Kind("f4"), "DoubleStorage": _Kind("f8"), "HalfStorage": _Kind("f2"),
    "BFloat16Storage": _Kind("u2", 16),
    "LongStorage": _Kind("i8"), "IntStorage": _Kind("i4"), "ShortStorage": _Kind("i2"), "CharStorage": _Kind("i1"),
    "ByteStorage": _Kind("u1"), "BoolStorage": _Kind("?"),
}  # fmt: skip


class TorchArchive:
    """An open archive. Nothing is unpacked, and entries' names never become paths.

    Raises:
        CheckpointNotFoundError: there is no file.
        CheckpointError: it is truncated, of PyTorch's old format, compressed, or no archive of `torch.save` at all.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise CheckpointNotFoundError(f"there is no checkpoint file at {self.path}")
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise self._error(self._no_zip(error)) from error
        try:
            self._root = self._find_root()
            self._order = self._byte_order()
        except CheckpointError:
            self._zip.close()
            raise

    def __enter__(self) -> TorchArchive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def value(self) -> Value:
        """What was saved, with `TensorRef`s for tensors and inert records for objects."""
        try:
            return read_pickle(self._entry("data.pkl", LARGEST_PICKLE))
        except CheckpointError as error:
            raise self._error(str(error)) from error

    def tensor(self, tensor: TensorRef) -> NDArray[np.generic]:
        """A tensor's numbers, as a fresh array of its own kind; bfloat16 comes as float32.

        Raises:
            CheckpointError: the storage is missing, of an unknown kind, not of the size it claims, or larger than 1
            GiB.
        """
        storage = tensor.storage
        kind = _KINDS.get(storage.kind)
        if kind is None:
            raise self._error(f"it keeps a tensor in torch.{storage.kind}, which this reader does not know")
        dtype = np.dtype(kind.stored).newbyteorder(self._order)
        if math.prod(tensor.shape) * dtype.itemsize > _LARGEST_TENSOR:
            raise self._error(f"a tensor of shape {tensor.shape} is larger than any encoder's")
        if not _KEY.fullmatch(storage.key):
            raise self._error(f"a storage is named {storage.key[:40]!r}; torch.save names them by numbers")
        content = self._entry(f"data/{storage.key}", _LARGEST_STORAGE)
        if len(content) != storage.count * dtype.itemsize:
            raise self._error(
                f"storage {storage.key} has {len(content)} bytes where "
                f"{storage.count} numbers of {dtype.itemsize} bytes were promised"
            )
        flat = np.frombuffer(content, dtype)
        # The bounds were checked when the pickle was read, against the count that the bytes now agree with.
        if 0 in tensor.shape:
            return np.zeros(tensor.shape, dtype.newbyteorder("="))
        view = as_strided(flat[tensor.offset :], tensor.shape, [stride * dtype.itemsize for stride in tensor.strides])
        native = view.astype(dtype.newbyteorder("="))
        return (native.astype(np.uint32) << kind.shift).view(np.float32) if kind.shift else native

    def _error(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: {what}")

    def _no_zip(self, error: Exception) -> str:
        try:
            with self.path.open("rb") as file:
                beginning = file.read(16)
        except OSError:
            return f"it cannot be read ({error})"
        if beginning.startswith(_LEGACY_MAGIC):
            return "it is in PyTorch's format of before 1.6; load it with PyTorch and save it again with torch.save"
        if beginning.startswith(b"PK"):
            return f"it is cut short or damaged ({error}); fetch it again"
        return "it is no .ckpt as torch.save writes it (a zip archive); is it the right file?"

    def _find_root(self) -> str:
        names = [info.filename for info in self._zip.infolist()]
        roots = [match[1] for name in names if (match := _PICKLE.fullmatch(name))]
        if len(roots) != 1:
            raise self._error(
                f"it is a zip with {len(roots)} data.pkl where torch.save writes one; it is no PyTorch checkpoint"
            )
        if len(set(names)) != len(names):
            raise self._error("it holds two entries of one name; torch.save writes no such file")
        return roots[0]

    def _byte_order(self) -> Literal["<", ">"]:
        if f"{self._root}/byteorder" not in self._zip.NameToInfo:
            return "<"
        order = self._entry("byteorder", 16)
        if order not in (b"little", b"big"):
            raise self._error(f"its byte order is {order!r}; little or big was expected")
        return "<" if order == b"little" else ">"

    def _entry(self, name: str, largest: int) -> bytes:
        info = self._zip.NameToInfo.get(f"{self._root}/{name}")
        if info is None:
            raise self._error(f"its entry {name} is missing; fetch it again")
        # torch.save never compresses; an uncompressed entry cannot be larger than the file that holds it.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise self._error(f"its entry {name} is compressed; torch.save writes no such file")
        if info.file_size > largest:
            raise self._error(f"its entry {name} has {info.file_size} bytes; at most {largest} are expected")
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, NotImplementedError) as error:
            raise self._error(f"its entry {name} cannot be read ({error}); fetch it again") from error
