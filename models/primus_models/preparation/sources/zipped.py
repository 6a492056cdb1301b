"""The files in a zip, and in the zips within it: nothing is unpacked to disk, and no more than a recording's size."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from primus_models.errors import DataSetError

DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError, LookupError,
          NotImplementedError)  # fmt: skip
"""What a broken zip makes Python's reader raise."""

_MOST_MEMBERS = 10_000
_MOST_BYTES = 256 << 20  # of one member, unpacked: ten hours of one sensor at 50 Hz
_MOST_TIMES_SMALLER = 200  # numbers pack to a fifth; a bomb to a thousandth
_SMALL = 1 << 20  # bytes that may pack as well as they like


class Member:
    """A file in a zip: its name without folders, the name of the inner zip that it is in, and its content."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, within: str = "") -> None:
        self._archive, self._info = archive, info
        self.name = _base(info)
        self.within, self.where = within, f"{where}, {self.name}"

    def content(self) -> bytes:
        """All of it.

        Raises:
            DataSetError: damaged, encrypted, or more than any recording.
        """
        info = self._info
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataSetError(f"{self.where} is encrypted, or packed otherwise than stored or deflated")
        size = info.file_size
        if size > _MOST_BYTES or (size > _SMALL and size > info.compress_size * _MOST_TIMES_SMALLER):
            raise DataSetError(f"{self.where} unpacks to {size} bytes, more than a recording of its kind can")
        try:
            # A zip member gives no more than the size that was declared, whatever its data unpack to.
            return self._archive.read(info)
        except DAMAGE as error:
            raise DataSetError(f"{self.where} is damaged ({error}): download it again") from error


def members(file: Path) -> Iterator[Member]:
    """Every CSV file of a zip and of the zips in it (these one level deep). To be used one by one.

    Raises:
        DataSetError: it is missing, no zip, or damaged.
    """
    try:
        with file.open("rb") as stream:
            for member in _listed(stream, str(file)):
                if member.name.lower().endswith(".csv"):
                    yield member
                elif member.name.lower().endswith(".zip"):
                    inner = _listed(io.BytesIO(member.content()), member.where, member.name)
                    yield from (one for one in inner if one.name.lower().endswith(".csv"))
    except OSError as error:
        raise DataSetError(f"cannot read {file}: {error.strerror or error}") from error


def _listed(stream: BinaryIO, where: str, within: str = "") -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(stream)
    except DAMAGE as error:
        raise DataSetError(f"{where} is no zip, or cut short ({error}): download it again") from error
    with archive:
        if len(archive.infolist()) > _MOST_MEMBERS:
            raise DataSetError(f"{where} holds {len(archive.infolist())} members, far more than a recording")
        for info in archive.infolist():
            # macOS puts files that begin with a dot beside what it packs.
            if not info.is_dir() and not _base(info).startswith("."):
                yield Member(archive, info, where, within)


def _base(info: zipfile.ZipInfo) -> str:
    return info.filename.replace("\\", "/").rsplit("/", 1)[-1]
