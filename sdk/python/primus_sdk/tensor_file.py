"""Files of our own: safetensors whose metadata hold a format name, a version, and the sha256 of all that they say."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from primus_sdk.errors import PrimusError
from primus_sdk.files import safetensors_bytes

Tensors = dict[str, NDArray[Any]]


class TensorFile(NamedTuple):
    """One kind of file.

    Attributes:
        kind: what it is called in errors, as in "head".
        format: the metadata's `format`.
        version: the metadata's `schema_version`; another is refused.
        types: the tensors that it holds, each with its little-endian NumPy type.
        optional: those of them that may be absent.
        largest: bytes; a larger file is refused before it is read.
        error: what is raised.
    """

    kind: str
    format: str
    version: int
    types: Mapping[str, str]
    optional: frozenset[str]
    largest: int
    error: type[PrimusError]

    def pack(self, tensors: Tensors, metadata: Mapping[str, str]) -> bytes:
        """The file's bytes, the same for the same content."""
        whole = {**metadata, "format": self.format, "schema_version": str(self.version)}
        return safetensors_bytes(tensors, {**whole, "sha256": self.sha256(tensors, whole)})

    def read(self, path: str | os.PathLike[str]) -> bytes:
        """The file's bytes, and no more than one too many.

        Raises:
            error: it is not there, or cannot be read.
        """
        try:
            with open(path, "rb") as file:
                return file.read(self.largest + 1)
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            where, why = os.fspath(path), getattr(error, "strerror", None) or error
            raise self.error(f"cannot read a {self.kind} from {where}: {why}") from error

    def unpack(self, content: bytes) -> tuple[Tensors, dict[str, str]]:
        """The tensors and the metadata, once they are known to be whole.

        Raises:
            error: no file of this kind, of a newer schema, truncated, or altered in any bit.
        """
        tensors, metadata = self._opened(content)
        if metadata.get("format") != self.format:
            raise self.error(f"this is no PRIMUS {self.kind}: its metadata lacks format={self.format!r}")
        if metadata.get("schema_version") != str(self.version):
            raise self.error(
                f"the {self.kind} has schema {metadata.get('schema_version')!r}, this version reads {self.version}: "
                "upgrade primus-imu"
            )
        stated = metadata.pop("sha256", "")
        if stated != self.sha256(tensors, metadata):
            raise self.error(f"the {self.kind} was altered: its sha256 does not fit its content; take a whole copy")
        return tensors, metadata

    def sha256(self, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
        """The hash that the metadata carries as `sha256`.

        Over the metadata without it, as JSON with sorted keys and no spaces, in UTF-8; then for each tensor, by name: a
        zero byte, name, a zero byte, shape as `[2,512]`, a zero byte, its numbers, little-endian.
        """
        text = json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode())
        for name in sorted(tensors):
            shape = json.dumps(tensors[name].shape, separators=(",", ":"))
            digest.update(f"\0{name}\0{shape}\0".encode())
            digest.update(np.ascontiguousarray(tensors[name], self.types[name]).tobytes())
        return digest.hexdigest()

    def _opened(self, content: bytes) -> tuple[Tensors, dict[str, str]]:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        if not isinstance(content, bytes | bytearray | memoryview):
            raise self.error(f"a {self.kind} is read from bytes, not from {type(content).__name__}")
        content = bytes(content)  # the library takes nothing else
        if len(content) > self.largest:
            raise self.error(f"the file is larger than any {self.kind} ({self.largest >> 20} MiB)")
        try:
            tensors: Tensors = load(content)
            # The library gives metadata from files only; the header of bytes it has just checked is safe to read.
            text = content[8 : 8 + int.from_bytes(content[:8], "little")]
            header = json.loads(text)
        except (SafetensorError, ValueError, LookupError, RecursionError) as error:
            raise self.error(f"this is no {self.kind}, or not a whole one ({error})") from error
        if min(text) < 0x20:  # a tab or line end in place of a space would mean the same, and yet be an alteration
            raise self.error(f"the {self.kind} was altered: its header holds a control character")
        held = {name: str(tensor.dtype) for name, tensor in sorted(tensors.items())}
        wanted = {name: str(np.dtype(kind)) for name, kind in sorted(self.types.items())}
        if not set(wanted) - self.optional <= set(held) <= set(wanted) or not held.items() <= wanted.items():
            maybe = ", ".join(sorted(self.optional))
            raise self.error(f"a {self.kind} holds {wanted} ({maybe} if it has one); this file holds {held}")
        return tensors, dict(header.get("__metadata__") or {})
