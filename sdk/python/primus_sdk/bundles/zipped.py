"""A bundle that is a zip: its members, by name. Apart, since `zipfile` is imported only where one is read."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import TypeVar

from primus_sdk.bundles.manifest import MANIFEST, MAX_BUNDLE_BYTES, MAX_FILES, is_safe_path
from primus_sdk.bundles.sealing import check_zip
from primus_sdk.errors import BundleError, BundleNotFoundError

_T = TypeVar("_T")
Reader = Callable[[str, int], bytes]
"""Reads a file of the bundle by name, at most so many bytes; raises BundleNotFoundError where there is none."""


def read(path: str, read_by: Callable[[Reader], _T]) -> _T:
    """What `read_by` makes of the zip's members.

    Raises:
        BundleError: it is too large, or damaged, or has members that no bundle has.
        BundleNotFoundError: it lacks a member that is asked for.
    """
    with open(path, "rb") as stream:
        content = stream.read(MAX_BUNDLE_BYTES + 1)
    if len(content) > MAX_BUNDLE_BYTES:
        raise BundleError(f"the file is larger than any bundle ({MAX_BUNDLE_BYTES >> 20} MiB)")
    check_zip(content)
    # What zipfile raises on bytes that are no valid zip is not documented as a whole; all of it means the same here.
    damage = (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        RuntimeError,
        ValueError,
        OSError,
        LookupError,
    )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return read_by(_reader(archive))
    except BundleError:
        raise
    except damage as error:
        raise BundleError(f"the zip is damaged ({error}): copy the bundle anew") from error


def _reader(archive: zipfile.ZipFile) -> Reader:
    members = archive.infolist()
    names = {member.filename for member in members}
    if len(names) != len(members) or len(members) > 2 * MAX_FILES:
        raise BundleError("the zip holds two members of one name, or far too many")
    for name in names:
        if not is_safe_path(name.removesuffix("/")):
            raise BundleError(f"the zip holds a member named {name!r}, which points outside a bundle")

    def reader(path: str, limit: int) -> bytes:
        if path not in names:
            raise BundleNotFoundError(f"the zip lacks {path}{_hint(names)}")
        member = archive.getinfo(path)
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(
                f"{path} is encrypted, or packed otherwise than stored or deflated: zip the folder plainly"
            )
        with archive.open(member) as stream:
            return stream.read(limit)

    return reader


def _hint(names: set[str]) -> str:
    nested = [name for name in names if name.endswith(f"/{MANIFEST}")]
    return f"; it holds {nested[0]}: zip what is in the folder, not the folder" if nested else "; is it a whole bundle?"
