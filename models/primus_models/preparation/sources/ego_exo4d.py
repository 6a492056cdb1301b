"""Ego-Exo4D: takes with Aria glasses, what narrators say of them, and the glasses' video.

    takes.json                                        a list of takes: take_uid, root_dir, duration_sec, ...
    annotations/atomic_descriptions_{train,val}.json  ds, take_cam_id_map, annotations: take_uid -> a list, one entry an
                                                      annotator, each with descriptions: text, timestamp (s), subject
    <root_dir>/*_noimagestreams.vrs                   the IMU, stream 1202-1
    <root_dir>/frame_aligned_videos/*_214-1.mp4       what the glasses saw

Nothing of this data set was seen: it is under licence. From facts handed down of the published code: the layout above,
windows of a description's time +-2.5 s that are moved inside and start on a whole second, the first annotator, lists of
bad windows. From the publishers' pages (docs.ego-exo4d-data.org, data/metadata and annotations/atomic_descriptions):
participant_uid (a number, may be missing), task_name, parent_task_name, and that subject is "C" (who wears the glasses)
or "O" (someone else). Assumed: the whole second is the one before (rounded down); descriptions of someone else say
nothing of the wearer's head, and are left out and counted unless `others` asks for them, as the published code does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from primus_models.errors import DataSetError
from primus_models.preparation.prepared import Split, Take
from primus_models.preparation.sources import narrations, vrs
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.documents import (
    first_of,
    inside,
    number,
    read_json,
    speakable,
    stamp,
    words,
)
from primus_models.preparation.sources.narrated import Narrated, Narration, checked_hop, checked_length, cut, read_bad
from primus_models.preparation.sources.resampling import grid_of

_SPLITS: tuple[Split, ...] = ("train", "val")
_KEYS = {"ds", "take_cam_id_map", "annotations"}
_SHORT_S = 1.0  # by which an IMU may end before its take without being called cut short


@dataclass(frozen=True)
class EgoExo4D:
    """Ego-Exo4D on disk.

    Attributes:
        path: the folder with takes.json.
        splits: whose annotations to read. annotator: which of a take's, from 0.
        others: also take descriptions of someone else than the wearer.
        bad_windows: a file that lists windows to leave out.
        unnarrated_hop_s: windows where nothing is said, so many whole seconds apart, also of takes without annotation;
            None: none.
        stream: of the IMU.
    """

    path: Path
    splits: tuple[Split, ...] = _SPLITS
    annotator: int = 0
    others: bool = False
    bad_windows: Path | None = None
    unnarrated_hop_s: int | None = None
    stream: str = vrs.STREAM

    def __post_init__(self) -> None:
        checked_hop(self.unnarrated_hop_s)
        if not self.splits or set(self.splits) - set(_SPLITS):
            raise DataSetError(f"the splits are {self.splits!r}; Ego-Exo4D describes train and val")
        if self.annotator < 0:
            raise DataSetError(f"the annotator is {self.annotator}; they count from 0")

    @property
    def name(self) -> str:
        """The name of its form."""
        return "ego-exo4d"

    def takes(self) -> Iterable[Take]:
        """Takes with annotations, and where un-narrated windows are asked for all others, too."""
        index = self._index()
        return [entry.take for entry in index.values() if entry.described or self.unnarrated_hop_s is not None]

    def read(self, take: Take) -> TakeWindows:
        """The windows of one take: one a narration, and those where nothing is said."""
        entry = self._index().get(take.name)
        if entry is None:
            raise DataSetError(f"{self.path} has no take {take.name}")
        if entry.folder is None:
            raise DataSetError(f"the take {take.name} is annotated, but takes.json does not list it with its root_dir")
        checked_length(take.name, entry.seconds)
        folder = inside(self.path, entry.folder)
        file = first_of(folder, "*_noimagestreams.vrs")
        if file is None:
            raise DataSetError(f"{folder} has no *_noimagestreams.vrs: the take is not downloaded, or only half of it")
        imu = vrs.read(file, self.stream)
        video = first_of(folder / "frame_aligned_videos", "*_214-1.mp4")
        grid = grid_of(imu.accelerometer, imu.gyroscope)
        seconds = imu.duration_s if entry.seconds is None else entry.seconds
        wanted = Narrated(
            take.name, seconds, entry.narrations, entry.label, self.unnarrated_hop_s,
            _bad(self.bad_windows, stamp(self.bad_windows) if self.bad_windows else None),
        )  # fmt: skip
        windows = cut(grid, wanted, video)
        windows.left_out.update({f"{take.name}: {what}": why for what, why in entry.left_out})
        if imu.invalid:
            windows.left_out[f"{take.name}: records"] = f"{imu.invalid} of {file.name} are invalid"
        if imu.duration_s < seconds - _SHORT_S:
            windows.left_out[f"{take.name}: IMU"] = (
                f"{file.name} ends at {imu.duration_s:.1f} s of {seconds:.1f} s: half downloaded?"
            )
        if video is None:
            windows.left_out[f"{take.name}: video"] = "there is no frame_aligned_videos/*_214-1.mp4"
        return windows

    def _index(self) -> dict[str, _Entry]:
        files = (_takes_file(self.path), *(_annotations_file(self.path, split) for split in self.splits))
        return _index(self.path, self.splits, self.annotator, self.others, tuple(map(stamp, files)))


@dataclass(frozen=True)
class _Entry:
    """What the JSON files say of a take; folder is None where takes.json does not list it."""

    take: Take
    folder: str | None
    seconds: float | None
    label: str | None
    described: bool
    narrations: tuple[Narration, ...]
    left_out: tuple[tuple[str, str], ...]


def _takes_file(root: Path) -> Path:
    return root / "takes.json"


def _annotations_file(root: Path, split: Split) -> Path:
    return root / "annotations" / f"atomic_descriptions_{split}.json"


@lru_cache(maxsize=2)
def _index(root: Path, splits: tuple[Split, ...], annotator: int, others: bool, _: object) -> dict[str, _Entry]:
    """Every take by its uid: files of hundreds of megabytes, read once a process, of which little is kept."""
    described: dict[str, tuple[Split, Any]] = {}
    for split in splits:
        file = _annotations_file(root, split)
        for uid, entries in _annotations(read_json(file, "descriptions"), file).items():
            described[uid] = (split, _narrations(entries, annotator, others))
    index = {}
    for take in _takes(read_json(_takes_file(root), "the list of takes"), _takes_file(root)):
        uid = words(take.get("take_uid")) or ""
        split, (said, left_out) = described.pop(uid, ("", ((), ())))
        index[uid] = _Entry(
            Take(uid, words(take.get("participant_uid")) or uid, split),
            words(take.get("root_dir")),
            number(take.get("duration_sec")),
            words(take.get("task_name")) or words(take.get("parent_task_name")),
            split != "",
            said,
            left_out,
        )
    for uid, (split, (said, left_out)) in described.items():
        index[uid] = _Entry(Take(uid, uid, split), None, None, None, True, said, left_out)
    return index


def _takes(listed: Any, file: Path) -> list[dict[str, Any]]:
    if not isinstance(listed, list) or not all(
        isinstance(take, dict) and words(take.get("take_uid")) and words(take.get("root_dir")) for take in listed
    ):
        raise DataSetError(f"{file} is no list of takes, each with take_uid and root_dir: is it of another version?")
    return listed


def _annotations(content: Any, file: Path) -> dict[str, list[Any]]:
    keys = set(content) if isinstance(content, dict) else set()
    if not keys >= _KEYS or not isinstance(content["ds"], str) or not isinstance(content["annotations"], dict):
        found = ", ".join(sorted(keys))[:100] or type(content).__name__
        raise DataSetError(
            f"{file} is of another version: expected an object with {', '.join(sorted(_KEYS))} (ds a text, annotations "
            f"an object by take_uid), found {found}"
        )
    annotations: dict[str, Any] = content["annotations"]
    for uid, entries in annotations.items():
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and isinstance(entry.get("descriptions"), list) for entry in entries
        ):
            raise DataSetError(f"{file} is of another version: {uid!r:.60} is no list of entries with descriptions")
    return annotations


def _narrations(
    entries: list[dict[str, Any]], annotator: int, others: bool
) -> tuple[tuple[Narration, ...], tuple[tuple[str, str], ...]]:
    """One annotator's descriptions, and what was left out of them."""
    if len(entries) <= annotator:
        return (), (("annotator", f"number {annotator} asked for (from 0), of {len(entries)}"),)
    said, broken, of_others = [], 0, 0
    for one in entries[annotator]["descriptions"]:
        text = one.get("text") if isinstance(one, dict) else None
        second = number(one.get("timestamp")) if isinstance(one, dict) else None
        caption = narrations.ego_exo4d(speakable(text)) if isinstance(text, str) else None
        if caption is None or second is None:
            broken += 1
        elif one.get("subject", "C") != "C" and not others:
            of_others += 1
        else:
            said.append(Narration(second, caption))
    counted = ((broken, "broken narrations", "without text or time"), (of_others, "narrations", "of someone else"))
    return tuple(said), tuple((what, f"{count} {why}") for count, what, why in counted if count)


@lru_cache(maxsize=1)
def _bad(file: Path | None, _: object) -> frozenset[str]:
    return read_bad(file)
