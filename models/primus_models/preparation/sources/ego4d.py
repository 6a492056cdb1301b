"""Ego4D: hours of first-person video, of which some have an IMU (GoPros on the head, mostly), with narrations.

    ego4d.json                   videos: a list of video_uid, duration_sec, has_imu, fb_participant_id, scenarios, ...
    annotations/narration.json   video_uid -> narration_pass_1 and _2, each with narrations: timestamp_sec,
                                 narration_text, annotation_uid, timestamp_frame
    imu/<video_uid>.csv          component_idx, component_timestamp_ms, canonical_timestamp_ms, gyro_x, gyro_y, gyro_z,
                                 accl_x, accl_y, accl_z; about 200 Hz
    full_scale/<video_uid>.mp4   the video; or its smaller form, video_540ss/<video_uid>.mp4

Everything but ego4d.json may lie in a folder v2 or v1, as the publishers' downloader leaves it.

Nothing of this data set was seen: it is under licence. From the publishers' page (ego4d-data.org, docs/data/imu):
the CSV's columns and rate; that canonical times are the video's own and may be missing, that rows may come out of
order, that accelerations are missing in some files, that nothing is calibrated. From facts handed down: narration.json
and passes 1 and 2. From what others who read it wrote down: the keys of ego4d.json, the folders' names, that narrations
begin with "#C C" (the wearer) or "#O" (someone else, left out and counted). Assumed: m/s^2 with gravity and rad/s, of
which the first is checked. The publishers split by benchmark only, so no split is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from primus_models.errors import DataSetError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources import narrations
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.documents import first_of, number, read_json, speakable, stamp, words
from primus_models.preparation.sources.narrated import Narrated, Narration, checked_hop, checked_length, cut, read_bad
from primus_models.preparation.sources.recorded import checked_gravity
from primus_models.preparation.sources.resampling import grid_of
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Samples, csv_table

_COLUMNS = ("canonical_timestamp_ms", "accl_x", "accl_y", "accl_z", "gyro_x", "gyro_y", "gyro_z")
_FOLDERS = ("", "v2", "v1")
_PASSES = (1, 2)


@dataclass(frozen=True)
class Ego4D:
    """Ego4D on disk.

    Attributes:
        path: the folder with ego4d.json.
        passes: whose narrations to read: 1, 2 or both.
        bad_windows: a file that lists windows to leave out, `<video_uid>_<start>_<end>`.
        unnarrated_hop_s: windows where nothing is said, so many whole seconds apart; None: none.
    """

    path: Path
    passes: tuple[int, ...] = _PASSES
    bad_windows: Path | None = None
    unnarrated_hop_s: int | None = None

    def __post_init__(self) -> None:
        checked_hop(self.unnarrated_hop_s)
        if not self.passes or set(self.passes) - set(_PASSES):
            raise DataSetError(f"the passes are {self.passes!r}; Ego4D has 1 and 2")

    @property
    def name(self) -> str:
        """The name of its form."""
        return "ego4d"

    def takes(self) -> Iterable[Take]:
        """Videos that have an IMU and are narrated, or where un-narrated windows are asked for, all with an IMU."""
        index = self._index()
        return [v.take for v in index.values() if v.has_imu and (v.narrated or self.unnarrated_hop_s is not None)]

    def read(self, take: Take) -> TakeWindows:
        """The windows of one video."""
        video = self._index().get(take.name)
        if video is None:
            raise DataSetError(f"{self.path} has no video {take.name}")
        checked_length(take.name, video.seconds)
        file = _found(self.path, f"imu/{take.name}.csv")
        if file is None:
            raise DataSetError(f"there is no imu/{take.name}.csv in {self.path}: not downloaded, or it has no IMU")
        left_out = {f"{take.name}: {what}": why for what, why in video.left_out}
        accelerometer, gyroscope = _imu(file, take.name, left_out)
        grid = grid_of(accelerometer, gyroscope)
        seen = _found(self.path, f"full_scale/{take.name}.mp4") or _found(self.path, f"video_540ss/{take.name}.mp4")
        wanted = Narrated(
            take.name, grid.end_s if video.seconds is None else video.seconds, video.narrations, video.label,
            self.unnarrated_hop_s, read_bad(self.bad_windows),
        )  # fmt: skip
        windows = cut(grid, wanted, seen)
        windows.left_out.update(left_out)
        if seen is None:
            windows.left_out[f"{take.name}: video"] = f"there is no full_scale/{take.name}.mp4"
        return windows

    def _index(self) -> dict[str, _Video]:
        listed = _found(self.path, "ego4d.json") or self.path / "ego4d.json"
        said = next(
            (f for name in ("annotations/narration.json", "narration.json") if (f := _found(self.path, name))),
            self.path / "annotations" / "narration.json",
        )
        return _index(listed, said, self.passes, (stamp(listed), stamp(said)))


@dataclass(frozen=True)
class _Video:
    """What the JSON files say of a video."""

    take: Take
    seconds: float | None
    label: str | None
    has_imu: bool
    narrated: bool
    narrations: tuple[Narration, ...]
    left_out: tuple[tuple[str, str], ...]


@lru_cache(maxsize=2)
def _index(listed: Path, said: Path, passes: tuple[int, ...], _: object) -> dict[str, _Video]:
    """Every video by its uid: files of hundreds of megabytes, read once a process, of which little is kept."""
    content, spoken = read_json(listed, "the list of videos"), read_json(said, "narrations")
    videos = content.get("videos") if isinstance(content, dict) else None
    if not isinstance(videos, list) or not all(isinstance(v, dict) and _is_uid(v.get("video_uid")) for v in videos):
        raise DataSetError(f"{listed} has no list `videos`, each with a video_uid: is it of another version?")
    if not isinstance(spoken, dict) or not all(isinstance(one, dict) for one in spoken.values()):
        raise DataSetError(f"{said} is no object of videos by their uid: is it of another version?")
    if spoken and not any(f"narration_pass_{n}" in one for one in spoken.values() for n in _PASSES):
        raise DataSetError(f"{said} has no narration_pass_1 or _2 of any video: is it of another version?")
    index = {}
    for video in videos:
        uid = video["video_uid"]
        told, left_out = _narrations(spoken[uid], passes) if uid in spoken else ((), ())
        scenarios = video.get("scenarios")
        alone = scenarios[0] if isinstance(scenarios, list) and len(scenarios) == 1 else None
        index[uid] = _Video(
            Take(uid, words(video.get("fb_participant_id")) or uid), number(video.get("duration_sec")), words(alone),
            video.get("has_imu") is not False, uid in spoken, told, left_out,
        )  # fmt: skip
    return index


def _is_uid(value: Any) -> bool:
    """Whether it is a text that can be part of a file's name, and of no other folder's."""
    return isinstance(value, str) and 0 < len(value) < 100 and value.replace("-", "").replace("_", "").isalnum()


def _narrations(
    spoken: dict[str, Any], passes: tuple[int, ...]
) -> tuple[tuple[Narration, ...], tuple[tuple[str, str], ...]]:
    """The narrations of the passes asked for, and what was left out of them."""
    told, broken, of_others = [], 0, 0
    for number_of_pass in passes:
        one_pass = spoken.get(f"narration_pass_{number_of_pass}")
        listed = one_pass.get("narrations") if isinstance(one_pass, dict) else None
        for one in listed if isinstance(listed, list) else []:
            text = one.get("narration_text") if isinstance(one, dict) else None
            second = number(one.get("timestamp_sec")) if isinstance(one, dict) else None
            caption = narrations.ego4d(speakable(text)) if isinstance(text, str) else None
            if caption is None or second is None or not isinstance(text, str):
                broken += 1
            elif narrations.is_of_another(text):
                of_others += 1
            else:
                told.append(Narration(second, caption))
    counted = ((broken, "broken narrations", "without text or time"), (of_others, "narrations", "of someone else"))
    return tuple(told), tuple((what, f"{count} {why}") for count, what, why in counted if count)


def _imu(file: Path, name: str, left_out: dict[str, str]) -> tuple[Samples, Samples]:
    """Both sensors, in order of the video's time."""
    try:
        with file.open("rb") as stream:
            table = csv_table.read(stream, str(file), _COLUMNS, "ms")
    except OSError as error:
        raise DataSetError(f"cannot read {file}: {error.strerror or error}") from error
    except RecordingError as error:
        raise DataSetError(str(error)) from error
    if len(table.timestamps_ns) < 2:
        raise DataSetError(f"{file} has {len(table.timestamps_ns)} rows with a time and both sensors")
    if table.left_out:
        left_out[f"{name}: rows"] = f"{table.left_out} of the IMU lack a time on the video's clock, or a sensor"
    if table.cut_short:
        left_out[f"{name}: end"] = csv_table.CUT_SHORT
    order = np.argsort(table.timestamps_ns, kind="stable")
    times, values = table.timestamps_ns[order], table.values[order]
    accelerometer = Samples(times, values[:, :3])
    try:
        checked_gravity(accelerometer)
    except DataSetError as error:
        raise DataSetError(f"{file}: {error}") from error
    return accelerometer, Samples(times, values[:, 3:])


def _found(root: Path, name: str) -> Path | None:
    """A file that is there and not empty, in the root or in a version's folder."""
    head, _, tail = name.rpartition("/")
    return next((file for folder in _FOLDERS if (file := first_of(root / folder / head, tail))), None)
