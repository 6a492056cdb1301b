"""The prepared form: a folder of arrays that are read by memory map, whatever data set they came from.

    prepared.json        format, schema version, source, recordings, labels, towers, what was left out, hashes
    windows.npy          float32 (n, 6, 250): m/s^2 with gravity, then rad/s; 50 Hz
    index.npy            int64 (4, n): recording, start_ns, label, caption; -1 where a window has no label or caption
    captions.json        the m different captions
    videos.json          a list, recording by recording: the absolute path of its video file, or null
    videos.npy           float64 (n,), window by window: seconds from the video's first frame to its start; NaN for none
    towers/TOWER/text.npy    float32 (m, d), L2-normalised: caption by caption
    towers/TOWER/video.npy   float32 (n, d), L2-normalised: window by window; NaN where there is no video

videos.json and videos.npy tell a video tower that is added later where its frames are. `load` opens neither; no hash is
kept of them, for paths are of one machine.
All arrays are NumPy's own format without pickles: nothing in them is ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import PreparedError, PreparedNotFoundError
from primus_models.graph import Array

FORMAT, SCHEMA_VERSION = "primus-prepared", 1
MANIFEST, WINDOWS, INDEX, CAPTIONS, TOWERS = "prepared.json", "windows.npy", "index.npy", "captions.json", "towers"
Split = Literal["train", "val", "test", ""]
"""What the data set's publishers made of a recording; "" where they made nothing of it."""


@dataclass(frozen=True)
class Take:
    """One recording of a data set: its name, who wore the sensor, and the publishers' split."""

    name: str
    user: str
    split: Split = ""


@dataclass(frozen=True, eq=False)
class Tower:
    """Embeddings of one frozen tower, made once; rows are L2-normalised.

    text: float32 (m, d), of each caption; None where the tower reads no text.
    video: float32 (n, d), of each window, NaN where it has no video; None where the tower sees no video.
    """

    name: str
    text: Array | None
    video: Array | None


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared data set; the arrays are memory maps that only what is asked for is read of.

    Attributes:
        windows: float32 (n, 6, 250).
        recording: int64 (n,), place in `recordings`. start_ns: int64 (n,), on the recording's clock.
        label: int64 (n,), place in `labels`, or -1. caption: int64 (n,), place in `captions`, or -1.
        left_out: recordings and windows that could not be used, by name, and why.
    """

    source: str
    windows: Array
    recording: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    label: NDArray[np.int64]
    caption: NDArray[np.int64]
    recordings: tuple[Take, ...]
    labels: tuple[str, ...]
    captions: tuple[str, ...]
    towers: dict[str, Tower] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def users(self) -> NDArray[np.str_]:
        """Who each window is of: (n,)."""
        return np.array([recording.user for recording in self.recordings])[self.recording]

    @property
    def splits(self) -> NDArray[np.str_]:
        """The publishers' split of each window: (n,)."""
        return np.array([recording.split for recording in self.recordings])[self.recording]

    def tower(self, name: str) -> Tower:
        """The embeddings of a tower.

        Raises:
            PreparedError: there are none of that name; says which there are and how to make them.
        """
        if name not in self.towers:
            known = ", ".join(sorted(self.towers)) or "none"
            raise PreparedError(
                f"no embeddings of the tower {name!r} are prepared (there are: {known}); primus-prepare makes them"
            )
        return self.towers[name]


def load(path: str | os.PathLike[str]) -> Prepared:
    """Open a prepared data set.

    Raises:
        PreparedNotFoundError: nothing is there, or preparing did not come to its end.
        PreparedError: of another version, or arrays that do not fit each other.
    """
    folder = Path(path)
    manifest = _manifest(folder)
    try:
        index = _array(folder / INDEX, np.int64, (4, None))
        windows = _array(folder / WINDOWS, np.float32, (index.shape[1], 6, 250))
        captions = json.loads((folder / CAPTIONS).read_text("utf-8"))
        recordings = tuple(Take(r["name"], r["user"], r["split"]) for r in manifest["recordings"])
        labels = tuple(map(str, manifest["labels"]))
        towers = {
            name: Tower(
                name,
                _array(folder / TOWERS / name / "text.npy", np.float32, (len(captions), size)) if text else None,
                _array(folder / TOWERS / name / "video.npy", np.float32, (len(windows), size)) if video else None,
            )
            for name, (size, text, video) in (
                (k, (v["size"], v["text"], v["video"])) for k, v in manifest["towers"].items()
            )
        }
        source, left_out = str(manifest["source"]), dict(manifest["left_out"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PreparedError(f"{folder} is damaged ({error}); prepare it again") from error
    for column, end, least in ((0, len(recordings), 0), (2, len(labels), -1), (3, len(captions), -1)):
        if len(windows) and not (index[column].min() >= least and index[column].max() < end):
            raise PreparedError(f"{folder / INDEX} names what is not there; prepare it again")
    return Prepared(
        source, windows, index[0], index[1], index[2], index[3], recordings, labels, tuple(captions), towers, left_out
    )  # fmt: skip


def manifest_of(prepared: Prepared, hashes: Mapping[str, str], made: Mapping[str, Any]) -> dict[str, Any]:
    """What `prepared.json` says; `hashes` by file, `made`: how (command, versions of the tools)."""
    towers = {
        name: {
            "size": int((tower.text if tower.text is not None else tower.video).shape[1]),  # type: ignore[union-attr]
            "text": tower.text is not None,
            "video": tower.video is not None,
        }
        for name, tower in prepared.towers.items()
    }
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "source": prepared.source,
        "windows": len(prepared),
        "recordings": [asdict(recording) for recording in prepared.recordings],
        "labels": list(prepared.labels),
        "towers": towers,
        "left_out": prepared.left_out,
        "sha256": dict(hashes),
        "made": dict(made),
    }


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if not file.is_file():
        raise PreparedNotFoundError(
            f"there is no prepared data set at {folder} ({MANIFEST} is missing): run primus-prepare"
        )
    try:
        manifest = json.loads(file.read_text("utf-8"))
        kind = (manifest["format"], manifest["schema_version"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PreparedError(f"{file} cannot be read ({error}); prepare the data anew") from error
    if kind != (FORMAT, SCHEMA_VERSION):
        raise PreparedError(
            f"{file} is {kind[0]} version {kind[1]}; this version reads {FORMAT} {SCHEMA_VERSION}: upgrade primus-imu"
        )
    return dict(manifest)


def _array(file: Path, dtype: Any, shape: tuple[int | None, ...]) -> NDArray[Any]:
    array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    fits = len(array.shape) == len(shape) and all(w is None or w == n for w, n in zip(shape, array.shape, strict=True))
    if array.dtype != dtype or not fits:
        raise ValueError(f"{file.name} is {array.dtype} {array.shape}; expected {np.dtype(dtype)} {shape}")
    return array
