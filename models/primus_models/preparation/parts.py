"""One take as a file of its own, from when it was read until all takes are put together: `.parts/<key>.safetensors`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import DataSetError, NoWindowError, PreparedError
from primus_models.graph import Array
from primus_models.preparation.mapping import Failed, why
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.base import DataSet, TakeWindows, no_windows
from primus_sdk.tensor_file import TensorFile

_FILE = TensorFile(
    kind="part of a prepared data set",
    format="primus-part",
    version=1,
    types={"windows": "<f4", "start_ns": "<i8", "label": "<i8", "caption": "<i8", "video_start_s": "<f8"},
    optional=frozenset({"video_start_s"}),
    largest=8 << 30,
    error=PreparedError,
)


@dataclass(frozen=True, eq=False)
class Part:
    """What one take gave.

    windows: float32 (n, 6, 250). start_ns: int64 (n,). label, caption: int64 (n,), places in `labels` and `captions`,
    -1 for none. video: its file, "" for none. video_start_s: float64 (n,), NaN for none.
    """

    take: Take
    windows: Array
    start_ns: NDArray[np.int64]
    label: NDArray[np.int64]
    caption: NDArray[np.int64]
    labels: tuple[str, ...]
    captions: tuple[str, ...]
    video: str
    video_start_s: NDArray[np.float64]
    left_out: dict[str, str]


def key_of(source: str, take: Take, options: Mapping[str, Any]) -> str:
    """The name of a take's part: a hash of all that decides what is in it beside the recording itself."""
    whole = json.dumps([_FILE.version, source, asdict(take), dict(options)], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class PartMaker:
    """Reads a take of a data set and gives its part's bytes, or why there is none; it can be pickled with its data."""

    data_set: DataSet

    def __call__(self, take: Take) -> bytes | Failed:
        """Read one take; what is wrong with it must not stop the others. One without a window is a part, too."""
        try:
            return packed(take, self.data_set.read(take))
        except NoWindowError as error:
            return packed(take, no_windows({take.name: why(error)}))
        except Exception as error:  # whatever a reader raises on a damaged file
            return Failed(why(error))


def packed(take: Take, found: TakeWindows) -> bytes:
    """A take's windows as a part's bytes, the same for the same windows.

    Raises:
        DataSetError: the arrays do not fit each other.
    """
    _check(take, found)
    label, labels = _places(found.labels)
    caption, captions = _places(found.captions)
    tensors: dict[str, NDArray[Any]] = {
        "windows": found.windows, "start_ns": found.start_ns, "label": label, "caption": caption,
    }  # fmt: skip
    metadata = {"take": asdict(take), "labels": labels, "captions": captions, "left_out": found.left_out, "video": ""}
    if found.video is not None:
        tensors["video_start_s"] = np.asarray(found.video.start_s, np.float64)
        metadata["video"] = str(found.video.file.absolute())
    return _FILE.pack(tensors, {name: json.dumps(value, sort_keys=True) for name, value in metadata.items()})


def read_part(file: Path) -> Part:
    """Open a part.

    Raises:
        PreparedError: it is damaged or of another version.
    """
    tensors, metadata = _FILE.unpack(_FILE.read(file))
    said = {name: json.loads(metadata[name]) for name in ("take", "labels", "captions", "left_out", "video")}
    count = len(tensors["windows"])
    return Part(
        Take(**said["take"]),
        tensors["windows"],
        tensors["start_ns"],
        tensors["label"],
        tensors["caption"],
        tuple(said["labels"]),
        tuple(said["captions"]),
        said["video"],
        tensors.get("video_start_s", np.full(count, np.nan)),
        said["left_out"],
    )


def is_whole(file: Path) -> bool:
    """Whether a part is there, undamaged."""
    try:
        read_part(file)
    except PreparedError:
        return False
    return True


def _places(names: Sequence[str | None]) -> tuple[NDArray[np.int64], list[str]]:
    """Each name's place among the different ones, -1 for none; and those, in the order in which they first come."""
    order: dict[str, int] = {}
    places = [-1 if name is None else order.setdefault(name, len(order)) for name in names]
    return np.array(places, np.int64), list(order)


def _check(take: Take, found: TakeWindows) -> None:
    windows, count = found.windows, len(found.start_ns)
    if windows.dtype != np.float32 or windows.shape != (count, 6, 250):
        raise DataSetError(f"{take.name}: windows are {windows.dtype} {windows.shape}; expected float32 (n, 6, 250)")
    if found.start_ns.dtype != np.int64 or not np.isfinite(windows).all():
        raise DataSetError(f"{take.name}: a window holds NaN or infinity, or the starts are no int64")
    others = [len(found.labels), len(found.captions), *([] if found.video is None else [len(found.video.start_s)])]
    if any(length != count for length in others):
        raise DataSetError(f"{take.name}: {count} windows, but labels, captions and places in the video are {others}")
