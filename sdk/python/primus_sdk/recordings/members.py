"""The files of an exported recording, out of its folder or zip: nothing is unpacked, only what is asked for is read."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from primus_sdk.errors import RecordingError

_MOST_MEMBERS = 10_000
_MOST_BYTES = 2 << 30  # of one file, unpacked: three days of one sensor at 100 Hz
_MOST_TIMES_SMALLER = 200  # numbers pack to a fifth; a bomb to a thousandth
_SMALL = 16 << 20  # bytes that may pack as well as they like
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError, LookupError,
           NotImplementedError)  # fmt: skip


class Members:
    """The files of one recording, by their name in lower case."""

    def __init__(self, path: Path, known: frozenset[str]) -> None:
        """Look what is there: of a zip only the member list is read.

        Args:
            path: a folder that holds the files, or a zip of them or of the one folder that does.
            known: the names to look for, in lower case.

        Raises:
            RecordingError: nothing is there, it is no zip, or it holds several recordings or names that point outside.
        """
        self._path, self._archive = path, None
        self._places: dict[str, str] = {}
        try:
            if path.is_dir():
                for file in sorted(path.iterdir()):
                    if file.name.lower() in known and file.is_file():
                        self._add(file.name.lower(), str(file))
            elif path.is_file():
                self._archive = zipfile.ZipFile(path)
                self._list(self._archive, known)
            else:
                raise RecordingError(f"there is nothing at {path}")
        except RecordingError:
            self.close()
            raise
        except _DAMAGE as error:
            self.close()
            raise RecordingError(f"{path} cannot be read as a zip ({error}): export it anew") from error

    @property
    def names(self) -> frozenset[str]:
        """What of the known names is there."""
        return frozenset(self._places)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Read one of them, as a stream.

        Raises:
            RecordingError: it is damaged, encrypted, or unpacks to more than any recording.
        """
        where = f"{self._path}, {PurePosixPath(self._places[name]).name}"
        try:
            with self._stream(self._places[name], where) as stream:
                yield stream
        except RecordingError:
            raise
        except _DAMAGE as error:
            raise RecordingError(f"{where} is damaged ({error}): export it anew") from error

    def close(self) -> None:
        """Close the zip; a second call does nothing."""
        if self._archive is not None:
            self._archive.close()

    def _stream(self, place: str, where: str) -> BinaryIO:
        if self._archive is None:
            file = Path(place)
            size, packed = file.stat().st_size, _MOST_BYTES
        else:
            member = self._archive.getinfo(place)
            size, packed = member.file_size, member.compress_size
            if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise RecordingError(f"{where} is encrypted, or packed otherwise than stored or deflated")
        if size > _MOST_BYTES or (size > _SMALL and size > packed * _MOST_TIMES_SMALLER):
            raise RecordingError(f"{where} unpacks to {size} bytes, more than a recording of its kind can")
        # A zip member gives no more than the size that was declared, whatever its data unpack to.
        return file.open("rb") if self._archive is None else self._archive.open(place)  # type: ignore[return-value]

    def _list(self, archive: zipfile.ZipFile, known: frozenset[str]) -> None:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise RecordingError(f"{self._path} holds {len(members)} members, far more than a recording")
        folders = set()
        for member in members:
            parts = member.filename.split("/")
            if ".." in parts or "\\" in member.filename or ":" in parts[0] or parts[0] == "":
                raise RecordingError(
                    f"{self._path} holds a member named {member.filename!r:.100}, which points outside"
                )
            if parts[-1].lower() in known:
                folders.add("/".join(parts[:-1]))
                self._add(parts[-1].lower(), member.filename, len(folders))
        if len(folders) > 1:
            raise RecordingError(
                f"{self._path} holds {len(folders)} recordings ({', '.join(sorted(folders))[:100]}); unpack it "
                "and give one of its folders"
            )

    def _add(self, name: str, place: str, folders: int = 1) -> None:
        if folders == 1 and name in self._places:
            raise RecordingError(f"{self._path} holds two files named {name}, but for their case")
        self._places[name] = place
