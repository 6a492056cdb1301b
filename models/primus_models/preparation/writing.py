"""The files of the prepared form: arrays written row after row, and parts put together into them.

Nothing is held in memory but what is small; a file gets its name once it is whole, and prepared.json gets its own last.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import DataSetError
from primus_models.preparation.parts import Part, read_part
from primus_models.preparation.prepared import CAPTIONS, INDEX, WINDOWS, Take
from primus_sdk.errors import OutputError
from primus_sdk.files import write_atomically

VIDEOS, VIDEO_STARTS = "videos.json", "videos.npy"
"""Each recording's video file, or null; and float64 (n,), the second in it at which each window begins, or NaN."""
UNFINISHED = ".unfinished"


class ArrayFile:
    """A .npy file of a shape known before, written row after row; it appears whole or not at all.

    A memory map would be shorter, but a full disk ends a process that writes to one without a word.
    """

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape, self.rows = path, np.dtype(dtype), shape, 0
        self._temporary = path.with_name(path.name + UNFINISHED)
        self._digest = hashlib.sha256()

    def __enter__(self) -> ArrayFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("wb")
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(_Both(self._file, self._digest), header)
        return self

    def append(self, rows: NDArray[Any]) -> None:
        """Write the next rows."""
        content = np.ascontiguousarray(rows, self.dtype).tobytes()
        self._file.write(content)
        self._digest.update(content)
        self.rows += len(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._file:
                if kind is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if kind is None and self.rows != self.shape[0]:
                raise AssertionError(f"{self.path.name}: {self.rows} rows were written of {self.shape[0]}")
        except BaseException:
            self._drop()
            raise
        if kind is not None:
            self._drop()

    def _drop(self) -> None:
        with contextlib.suppress(OSError):
            self._temporary.unlink()

    def name_it(self) -> str:
        """Give the file its name; its sha256."""
        self._temporary.replace(self.path)
        return self._digest.hexdigest()


@dataclass
class _Both:
    """A file and a hash that are written to at once."""

    file: Any
    digest: Any

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return int(self.file.write(content))


@dataclass
class Assembled:
    """What parts were put together into.

    empty: takes that gave no window. hashes: sha256 by file.
    """

    recordings: list[Take] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)


@dataclass
class _Gathered:
    """What is small of all parts."""

    columns: list[NDArray[np.int64]] = field(default_factory=list)
    captions: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    videos: list[str | None] = field(default_factory=list)
    starts: list[NDArray[np.float64]] = field(default_factory=list)


def assemble(folder: Path, files: Sequence[Path], invalid: Path) -> Assembled:
    """Put parts together into the arrays of the prepared form, in the order of the files.

    invalid: the file that says that the arrays belong together; it is removed before the first of them changes.

    Raises:
        DataSetError: no part has a window. PreparedError: a part is damaged.
        OSError: the folder cannot be written, or the disk is full.
    """
    result, small = Assembled(), _Gathered()
    for file in files:
        _gather(read_part(file), result, small)
    if not small.columns:
        name, reason = min(result.left_out.items())
        raise DataSetError(f"none of {len(files)} takes gives a window; of {name}: {reason}")
    index = np.concatenate(small.columns, axis=1)
    result.labels = tuple(sorted(small.labels))
    index[2] = _renamed(index[2], [result.labels.index(label) for label in small.labels])
    count = index.shape[1]
    with (
        ArrayFile(folder / WINDOWS, "<f4", (count, 6, 250)) as windows,
        ArrayFile(folder / INDEX, "<i8", index.shape) as columns,
        ArrayFile(folder / VIDEO_STARTS, "<f8", (count,)) as starts,
    ):
        columns.append(index)
        for file in files:
            windows.append(read_part(file).windows)
        for some in small.starts:
            starts.append(some)
    texts = {
        CAPTIONS: json.dumps(list(small.captions), ensure_ascii=False, indent=0).encode(),
        VIDEOS: json.dumps(small.videos, indent=0).encode(),
    }
    for name, content in texts.items():
        write_atomically(folder / (name + UNFINISHED), content)
    invalid.unlink(missing_ok=True)  # a full disk came before this; from here on files only get their names
    for name in texts:
        (folder / (name + UNFINISHED)).replace(folder / name)
    result.hashes = {WINDOWS: windows.name_it(), INDEX: columns.name_it()}
    result.hashes[CAPTIONS] = hashlib.sha256(texts[CAPTIONS]).hexdigest()
    starts.name_it()
    return result


def _gather(part: Part, result: Assembled, small: _Gathered) -> None:
    name, count = part.take.name, len(part.windows)
    for what, reason in part.left_out.items():
        result.left_out[what if what.startswith(name) else f"{name} {what}"] = reason
    if count == 0:
        result.empty.append(name)
        result.left_out.setdefault(name, "it gives no window")
        return
    caption = [small.captions.setdefault(text, len(small.captions)) for text in part.captions]
    label = [small.labels.setdefault(text, len(small.labels)) for text in part.labels]
    recording = np.full(count, len(result.recordings))
    columns = (recording, part.start_ns, _renamed(part.label, label), _renamed(part.caption, caption))
    small.columns.append(np.stack(columns).astype(np.int64))
    small.videos.append(part.video or None)
    small.starts.append(part.video_start_s)
    result.recordings.append(part.take)


def _renamed(places: NDArray[np.int64], names: Sequence[int]) -> NDArray[np.int64]:
    """Places in one list as places in another; -1 stays."""
    return np.array([*names, -1], np.int64)[places]


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Say of what cannot be written that all that was prepared is still there.

    Raises:
        OutputError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        why = str(error) if isinstance(error, OutputError) else f"cannot write in {folder}: {error.strerror or error}"
        why = why.removesuffix("; choose a folder that can be written")
        raise OutputError(f"{why}; what is prepared so far stays: make room and run the same command again") from error
