"""Embeddings of a prepared data set's captions and videos by frozen towers, made once, block by block."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from primus_models.errors import DataSetError, PreparedError, TowerError
from primus_models.graph import Array
from primus_models.preparation.mapping import Failed, Mapper, Report, why
from primus_models.preparation.writing import ArrayFile, kept
from primus_models.towers.base import Opened, Opener, TextTower, VideoTower
from primus_models.towers.frames import window_frames
from primus_sdk.files import write_atomically
from primus_sdk.tensor_file import TensorFile

TEXTS, WINDOWS = 256, 32
"""Captions and windows of a block. An embedding's last bits depend on its neighbours: blocks are always the same."""
_FILE = TensorFile(
    kind="block of embeddings",
    format="primus-block",
    version=1,
    types={"rows": "<f4"},
    optional=frozenset(),
    largest=1 << 30,
    error=PreparedError,
)

J = TypeVar("J")


@functools.lru_cache(maxsize=4)
def opened(opener: Opener) -> Opened:
    """A tower, which a process opens but once.

    Raises:
        TowerError: see `primus_models.towers.opening.open_tower`.
    """
    return opener()


def text_tower(opener: Opener) -> TextTower:
    """The text side of a tower.

    Raises:
        TowerError: it cannot be opened, or has none.
    """
    tower = opened(opener).text
    if tower is None:
        raise TowerError(f"{opener} reads no text; give it as a video tower only")
    return tower


def video_tower(opener: Opener) -> VideoTower:
    """The video side of a tower.

    Raises:
        TowerError: it cannot be opened, or has none.
    """
    tower = opened(opener).video
    if tower is None:
        raise TowerError(f"{opener} sees no video; give it as a text tower only")
    return tower


@dataclass(frozen=True)
class TextMaker:
    """Embeds a block of texts; it can be pickled."""

    opener: Opener

    def __call__(self, texts: tuple[str, ...]) -> Array | Failed:
        """Rows `(n, d)`."""
        try:
            tower = text_tower(self.opener)
            return _checked(tower.embed(texts), (len(texts), tower.size), tower.name)
        except Exception as error:  # on a cluster, an error itself comes back as something else
            return Failed(why(error), fatal=True)


@dataclass(frozen=True)
class VideoBlock:
    """Windows of one recording: its place, the first one's row, its file, and where in it they begin (s)."""

    recording: int
    row: int
    file: str
    start_s: tuple[float, ...]


@dataclass(frozen=True)
class VideoMaker:
    """Embeds a block of windows; it can be pickled."""

    opener: Opener

    def __call__(self, block: VideoBlock) -> Array | Failed:
        """Rows `(n, d)`, NaN where a window has no frame; or what is wrong with the video."""
        start_s = np.array(block.start_s)
        placed = np.flatnonzero(np.isfinite(start_s))
        try:
            tower = video_tower(self.opener)
            found = window_frames(Path(block.file), start_s[placed], tower.side)
            rows = _nothing(len(start_s), tower.size)
            there = [place for place, frames in enumerate(found) if frames is not None]
            if there:
                frames = np.stack([frames for frames in found if frames is not None])
                rows[placed[there]] = _checked(tower.embed(frames), (len(there), tower.size), tower.name)
        except DataSetError as error:
            return Failed(why(error))
        except Exception as error:  # on a cluster, an error itself comes back as something else
            return Failed(why(error), fatal=True)
        return rows


@dataclass
class VideoResult:
    """How many windows have no video, and by recording what is wrong with a file. sha256: of the array."""

    sha256: str
    without: int = 0
    failed: dict[int, str] = field(default_factory=dict)


def embed_texts(file: Path, work: Path, opener: Opener, captions: Sequence[str], mapper: Mapper, report: Report) -> str:
    """Write the captions' embeddings `(m, d)`, of which blocks at `work` are not made again; the file's sha256.

    Raises:
        TowerError: the tower gives what cannot be used. OutputError: the folder cannot be written.
    """
    tower = text_tower(opener)
    blocks = [tuple(captions[at : at + TEXTS]) for at in range(0, len(captions), TEXTS)]
    files = [work / f"text-{_hash(block)}.safetensors" for block in blocks]
    made = _made(blocks, files, TextMaker(opener), mapper, report, f"captions with {tower.name}", _gpus(opener))
    for _ in made:
        raise AssertionError("a text that fails ends the run")
    with kept(file.parent):
        with ArrayFile(file, "<f4", (len(captions), tower.size)) as array:
            for block in files:
                array.append(_rows(block))
        return array.name_it()


def embed_videos(
    file: Path, work: Path, opener: Opener, blocks: Sequence[VideoBlock], count: int, mapper: Mapper, report: Report
) -> VideoResult:
    """Write the windows' embeddings `(count, d)`, NaN for those of no block and of damaged videos.

    Raises:
        TowerError: the tower gives what cannot be used. OutputError: the folder cannot be written.
    """
    tower, result = video_tower(opener), VideoResult("")
    files = [work / f"video-{_hash([block.file, block.start_s])}.safetensors" for block in blocks]
    made = _made(blocks, files, VideoMaker(opener), mapper, report, f"videos with {tower.name}", _gpus(opener))
    for place, failure in made:
        result.failed[blocks[place].recording] = failure.why
    with kept(file.parent):
        with ArrayFile(file, "<f4", (count, tower.size)) as array:
            for block, stored in zip(blocks, files, strict=True):
                array.append(_nothing(block.row - array.rows, tower.size))
                failed = block.recording in result.failed
                rows = _nothing(len(block.start_s), tower.size) if failed else _rows(stored)
                array.append(rows)
            array.append(_nothing(count - array.rows, tower.size))
        result.sha256 = array.name_it()
    with_video = np.load(file, mmap_mode="r")[:, 0] if tower.size else np.zeros(count)
    result.without = int(np.isnan(with_video).sum())
    return result


def _made(
    jobs: Sequence[J],
    files: Sequence[Path],
    maker: Callable[[J], Array | Failed],
    mapper: Mapper,
    report: Report,
    what: str,
    gpus: float,
) -> Iterator[tuple[int, Failed]]:
    """Make the blocks that are not there or damaged; those that failed, by place."""
    missing = [place for place, file in enumerate(files) if not _is_whole(file)]
    report.begin(what, len(jobs), len(jobs) - len(missing))
    for at, result in mapper.map(maker, [jobs[place] for place in missing], gpus):
        if isinstance(result, Failed):
            if result.fatal:
                raise TowerError(f"{what}: {result.why}")
            yield missing[at], result
        else:
            with kept(files[missing[at]].parent):
                files[missing[at]].parent.mkdir(parents=True, exist_ok=True)
                write_atomically(files[missing[at]], _FILE.pack({"rows": result}, {}))
        report.step()


def _rows(file: Path) -> Array:
    tensors, _ = _FILE.unpack(_FILE.read(file))
    return tensors["rows"]


def _is_whole(file: Path) -> bool:
    try:
        _rows(file)
    except PreparedError:
        return False
    return True


def _checked(rows: Array, shape: tuple[int, int], name: str) -> Array:
    """The rows, if they are what a tower's are.

    Raises:
        TowerError: another shape or type, or not of length 1.
    """
    if rows.dtype != np.float32 or rows.shape != shape:
        raise TowerError(f"the tower {name} gave {rows.dtype} {rows.shape}; expected float32 {shape}")
    if not np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3):
        raise TowerError(f"the tower {name} gave embeddings that are not of length 1")
    return rows


def _nothing(count: int, size: int) -> Array:
    return np.full((count, size), np.nan, np.float32)


def _hash(block: object) -> str:
    return hashlib.sha256(json.dumps(block).encode()).hexdigest()[:32]


def _gpus(opener: Opener) -> float:
    return 1 if str(getattr(opener, "device", "cpu")).startswith("cuda") else 0
