"""A bundle read into memory, each byte checked before anything looks at it.

Every file that the manifest lists is read once, held against its size and sha256, and kept: what was hashed is what
the runtime gets. Files that the manifest does not list are never opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from primus_sdk import arguments
from primus_sdk.bundles.manifest import MANIFEST, SEAL, Manifest, Model
from primus_sdk.bundles.sealing import check_manifest, seal_manifest, seal_zip
from primus_sdk.errors import BundleError, BundleNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MANIFEST", "RELEASED", "SEAL", "Bundle", "read", "released", "seal_manifest", "seal_zip"]

_MAX_MANIFEST_BYTES = 4 << 20
_MAX_SEAL_BYTES = 4096

Reader = Callable[[str, int], bytes]
"""Reads a file of the bundle by name, at most so many bytes; raises BundleNotFoundError where there is none."""


class Bundle(NamedTuple):
    """A bundle whose every byte was checked: what it says of itself, and its files by path."""

    manifest: Manifest
    files: dict[str, bytes]

    def content_of(self, model: Model) -> dict[str, bytes]:
        """The files of one model, by their path in the bundle."""
        return {path: self.files[path] for path in self.manifest.files_of(model)}


RELEASED: Final = os.path.join(os.path.dirname(os.path.dirname(__file__)), "released")
"""The bundle that comes with the package: the released encoder, int8, for ONNX Runtime and for LiteRT."""


def released() -> Path:
    """`RELEASED`, for whoever works with paths."""
    from pathlib import Path  # not for every start

    return Path(RELEASED)


def read(path: str | os.PathLike[str]) -> Bundle:
    """Read and check a bundle, a folder or a zip.

    Raises:
        BundleNotFoundError: nothing is there, or a file of the bundle is missing.
        BundleError: no path, no bundle, of a newer schema, truncated, or altered in any bit.
    """
    path = arguments.path(path, "the bundle", BundleError)
    try:
        if os.path.isdir(path):
            return _read(_folder_reader(path))
        if os.path.isfile(path):
            from primus_sdk.bundles import zipped  # not for every start

            return zipped.read(path, _read)
    except BundleError as error:
        raise type(error)(f"{path}: {error}") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error})") from error
    raise BundleNotFoundError(f"there is no bundle at {path}; primus-export makes one")


def _read(reader: Reader) -> Bundle:
    content = reader(MANIFEST, _MAX_MANIFEST_BYTES)
    check_manifest(content, reader(SEAL, _MAX_SEAL_BYTES))
    manifest = Manifest.parse(content)
    files: dict[str, bytes] = {}
    for path, entry in manifest.files.items():
        files[path] = reader(path, entry.bytes + 1)
        if len(files[path]) != entry.bytes:
            found = "more" if len(files[path]) > entry.bytes else f"{len(files[path])} bytes"
            raise BundleError(f"{path} has {found}, its manifest says {entry.bytes}: copy the bundle anew")
        if hashlib.sha256(files[path]).hexdigest() != entry.sha256:
            raise BundleError(f"{path} is not what was exported (its sha256 differs): copy the bundle anew")
    return Bundle(manifest, files)


def _folder_reader(folder: str) -> Reader:
    def reader(path: str, limit: int) -> bytes:
        file = os.path.join(folder, path)
        if not os.path.isfile(file):
            raise BundleNotFoundError(f"the bundle lacks {path}; is the folder a whole bundle?")
        with open(file, "rb") as stream:
            return stream.read(limit)

    return reader
