"""A folder of heads: the current one, the older ones to roll back to, and no moment at which none is whole.

    head-00000001.safetensors ...   the heads, each file written once and never changed
    index.json                      which heads there are, by sha256, and which were current one after the other
    .lock                           locked by whoever writes, and freed by the system when that process dies

A head is saved when the index that names it is, in one step. What no index names is a save that was killed, and is
swept by the next one. Readers take no lock, unless others write so fast that they see no moment's store without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from primus_sdk import arguments
from primus_sdk.errors import HeadError, OutputError
from primus_sdk.files import write_atomically
from primus_sdk.heads.head import Head
from primus_sdk.heads.index import INDEX, LAST_VERSION, Entry, Index
from primus_sdk.heads.lock import locked

KEEP = 10
_FILE = re.compile(r"head-(\d{8,9})\.safetensors")
_TEMPORARY = re.compile(r"\.(head-\d+\.safetensors|index\.json)\..+")  # as `write_atomically` names them
_LOCK = ".lock"
_MAX_BYTES = 64 << 20
_TRIES = 20

_T = TypeVar("_T")


@dataclass(frozen=True)
class StoredHead:
    """One version in a store: its number, whether it is the current one, and the head.

    Where its file is damaged, `head` is none and `damage` says how.
    """

    version: int
    current: bool
    head: Head | None
    damage: str = ""


class HeadStore:
    """The heads in a folder; several processes and threads may use it at once.

    Each save gets the next version number, counted from 1. `keep` versions stay: the current one always, those that
    were rolled back from go first, then those that were current the longest ago.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = KEEP) -> None:
        """Use a folder, which the first `save` makes.

        Raises:
            HeadError: `keep` is below 2: there would be nothing to roll back to; or the folder is no path, or its name
                holds a zero byte.
        """
        expected = "2 or more, the current head and one to roll back to"
        self._folder = Path(arguments.path(folder, "the folder", HeadError))
        self._keep = arguments.whole(keep, "keep", expected, HeadError, 2)
        if "\0" in str(self._folder):
            raise arguments.wrong(str(self._folder), "the folder", "a name without zero bytes", HeadError)

    def save(self, head: Head) -> int:
        """Make `head` the current one; returns its version. Killed at any moment, it leaves the old one or this one.

        Raises:
            OutputError: the folder cannot be written; the old head stays.
            HeadError: the store was written by a newer version, or has given the last of its version numbers.
        """
        content = arguments.instance(head, Head, "what is saved", HeadError).to_bytes()
        with self._locked():
            index = self._whole_index() or self._index_of_what_is_there()
            if index.next_version > LAST_VERSION:
                raise HeadError(f"{self._folder} has no version numbers left; save in a new folder")
            if index.entries:
                self._sweep(index)  # before anything is written, so that killed saves never pile up
            else:
                self._commit(index)  # so that a store without an index is one that lost it
            version = index.next_version
            write_atomically(self._path(version), content)
            self._commit(index.with_current(Entry(version, hashlib.sha256(content).hexdigest()), self._keep))
            return version

    def load(self, version: int | None = None) -> Head:
        """Read the current head, or that of a version.

        Raises:
            HeadError: none was saved, there is no such version, or its file is damaged; then `roll_back` helps.
        """
        version = None if version is None else _version(version)

        def read(index: Index) -> Head | None:
            entry = index.find(version)
            try:
                return self._read(entry)
            except OSError as error:
                # Another process may have saved so often since that this version is gone: look again.
                if self._index() != index:
                    return None
                raise self._damaged(entry, error.strerror or str(error)) from error

        return self._of_one_moment(read)

    def history(self) -> list[StoredHead]:
        """Every version that is kept, oldest first.

        Raises:
            HeadError: none was saved, or the index is damaged; then `roll_back` helps.
        """

        def read(index: Index) -> list[StoredHead] | None:
            index.find(None)
            versions = [self._stored(entry, index) for entry in index.entries]
            # Where another process saved meanwhile, what is listed may be gone: look again.
            return versions if self._index() == index else None

        return self._of_one_moment(read)

    def roll_back(self, to: int | None = None) -> int:
        """Make an older head the current one: version `to`, or the newest whole one of those current before.

        Returns the version. No whole head is deleted: `roll_back(to=...)` goes forward again as well. Where the index
        is damaged, it is made anew from the heads that are there, and the newest whole one becomes the current.

        Raises:
            HeadError: there is nothing to roll back to, or that version is damaged too.
            OutputError: the folder cannot be written.
        """
        to = None if to is None else _version(to)
        if not self._folder.is_dir():
            raise HeadError(f"no head was saved in {self._folder}")
        with self._locked():
            index = self._whole_index()
            trail = index.trail[:-1] if index else ()
            if index is None:
                index = self._index_of_what_is_there()
                trail = index.trail
            for version in reversed(trail) if to is None else [to]:
                entry = index.find(version)
                try:
                    self._read(entry)
                except (HeadError, OSError) as error:
                    if to is not None:
                        raise HeadError(f"version {to} cannot be rolled back to: {error}") from error
                    continue
                self._commit(index.rolled_back(version))
                return version
        raise HeadError(f"there is no older whole head in {self._folder} to roll back to; calibrate anew")

    def _path(self, version: int) -> Path:
        return self._folder / f"head-{version:08d}.safetensors"

    def _read(self, entry: Entry) -> Head:
        with self._path(entry.version).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise self._damaged(entry, "it is not what was saved")
        try:
            return Head.from_bytes(content)
        except HeadError as error:
            raise self._damaged(entry, str(error)) from error

    def _stored(self, entry: Entry, index: Index) -> StoredHead:
        head, damage = None, ""
        try:
            head = self._read(entry)
        except HeadError as error:
            damage = str(error)
        except OSError as error:
            damage = str(self._damaged(entry, error.strerror or str(error)))
        return StoredHead(entry.version, entry.version == index.find(None).version, head, damage)

    def _of_one_moment(self, read: Callable[[Index], _T | None]) -> _T:
        """What `read` makes of the index; where it gives none, again with the new index, and at last under the lock."""
        for _ in range(_TRIES):
            if (found := read(self._index())) is not None:
                return found
        with contextlib.suppress(OutputError), self._locked():  # a folder that cannot be written cannot be locked
            if (found := read(self._index())) is not None:
                return found
        raise HeadError(f"{self._folder} changes faster than it can be read; try again")

    def _damaged(self, entry: Entry, how: str) -> HeadError:
        return HeadError(
            f"{self._path(entry.version)} is damaged ({how}); roll_back(), or "
            f"primus-calibrate roll-back --store {self._folder}, makes an older head the current one"
        )

    def _index(self) -> Index:
        """The index, for readers.

        Raises:
            HeadError: there is none, it is damaged, or a newer version's.
        """
        content = self._index_bytes()
        if content is None and not self._head_files():
            raise HeadError(f"no head was saved in {self._folder}")
        if content is None:
            raise HeadError(
                f"{self._folder} lost its {INDEX}; roll_back(), or primus-calibrate roll-back "
                f"--store {self._folder}, makes it anew from the heads that are there"
            )
        try:
            return Index.from_bytes(content)
        except HeadError as error:
            raise HeadError(f"{self._folder / INDEX}: {error}") from error

    def _whole_index(self) -> Index | None:
        """The index, for writers; none where there is none or it is damaged.

        Raises:
            HeadError: it is a newer version's, or cannot be read.
        """
        content = self._index_bytes() or b""
        Index.check_version(content)
        with contextlib.suppress(HeadError):
            return Index.from_bytes(content)
        return None

    def _index_bytes(self) -> bytes | None:
        try:
            with (self._folder / INDEX).open("rb") as file:
                return file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HeadError(f"cannot read {self._folder / INDEX}: {error.strerror or error}") from error

    def _index_of_what_is_there(self) -> Index:
        """An index of the whole heads in the folder, each of them current in turn."""
        found, newest = [], 0
        for name, version in sorted(self._head_files().items(), key=lambda item: item[1]):
            if version < LAST_VERSION:  # a file that is no whole head must not use up all numbers
                newest = version
            try:
                content = (self._folder / name).read_bytes()
            except OSError as error:
                raise HeadError(f"cannot read {self._folder / name}: {error.strerror or error}") from error
            with contextlib.suppress(HeadError):
                Head.from_bytes(content)
                found.append(Entry(version, hashlib.sha256(content).hexdigest()))
                newest = version
        return Index(tuple(found), tuple(entry.version for entry in found), newest + 1)

    def _commit(self, index: Index) -> None:
        """The one step that changes what is current; heads that it does not name are gone by it."""
        write_atomically(self._folder / INDEX, index.to_bytes())
        self._sweep(index)

    def _sweep(self, index: Index) -> None:
        """Delete heads that the index does not name, and what killed writes left; under the lock nobody else writes."""
        kept = {self._path(entry.version).name for entry in index.entries}
        stray = [name for name in self._head_files() if name not in kept]
        for name in stray + [name for name in self._names() if _TEMPORARY.fullmatch(name)]:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _head_files(self) -> dict[str, int]:
        """The heads' files and the versions that they are called by, whether or not the index names them.

        What is called by a number that no save gives, or spells it otherwise, is none of them.
        """
        matches = {name: _FILE.fullmatch(name) for name in self._names()}
        versions = {name: int(match[1]) for name, match in matches.items() if match}
        return {
            name: version
            for name, version in versions.items()
            if 1 <= version <= LAST_VERSION and name == self._path(version).name
        }

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self._folder.iterdir()]
        except OSError:
            return []

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock."""
        with contextlib.ExitStack() as stack:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(self._folder / _LOCK))
            except OSError as error:
                raise OutputError(
                    f"cannot write in {self._folder}: {error.strerror or error}; choose a folder that can be written"
                ) from error
            yield


def _version(value: object) -> int:
    """A number that a version can have.

    Raises:
        HeadError: it is another, or none.
    """
    return arguments.whole(value, "the version", f"a whole number, 1 to {LAST_VERSION}", HeadError, 1, LAST_VERSION)
