"""RealWorld (HAR): 15 people, 8 activities, phones at 7 places of the body, about 50 Hz (Sztyler and Stuckenschmidt).

    proband<n>/data/acc_<activity>_csv.zip    in it acc_<activity>_<position>.csv: id, attr_time (ms), attr_x, attr_y,
    proband<n>/data/gyr_<activity>_csv.zip    attr_z; of the gyroscope Gyroscope_<activity>_<position>.csv

Nothing of this data set was seen. From facts handed down: the layout above, that some zips hold zips, one a recording.
From what others who read it wrote down: the names Gyroscope_...; that of probands 4, 7 and 14 climbing is in zips of
zips, acc_climbingup_1_csv.zip to _3_ (the gyroscope's first without a number), whose files are named without a number
first, then acc_climbingup_2_head.csv; that some single recordings are numbered 2 (proband 4's walking and others); that
a few sensors are missing (proband 2's climbing up at the forearm). From its description: acceleration is Android's
(m/s^2, gravity included), rotation rad/s. So a recording's number is what its file's name says, else its zip's, else 1,
and both sensors of one number belong together. Units are checked: 1 g would be refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from primus_models.errors import DataSetError, NoWindowError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.recorded import Recorded, checked_gravity, take_windows, together
from primus_models.preparation.sources.zipped import Member, members
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, Samples, csv_table

ACTIVITIES = {
    "climbingdown": "climbing down",
    "climbingup": "climbing up",
    "jumping": "jumping",
    "lying": "lying",
    "running": "running",
    "sitting": "sitting",
    "standing": "standing",
    "walking": "walking",
}
"""The data's own names of the activities -> the labels."""
POSITIONS = ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist")

_COLUMNS = ("attr_time", "attr_x", "attr_y", "attr_z")
_SENSORS = {"acc": "accelerometer", "gyr": "gyroscope"}
_FILE = re.compile(r"(acc|gyr|gyroscope)_([a-z]+?)(?:_(\d{1,4}))?_([a-z]+)\.csv", re.IGNORECASE)
_ZIP = re.compile(r"[a-z]+_[a-z]+_(\d{1,4})_csv\.zip", re.IGNORECASE)
_PROBAND = re.compile(r"proband(\d{1,4})")


@dataclass(frozen=True)
class RealWorld(Recorded):
    """RealWorld (HAR) on disk.

    Attributes:
        path: the folder with proband1 and so on.
        position: where the phone was.
    """

    path: Path
    position: str = "head"
    name: ClassVar[str] = "realworld"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.position not in POSITIONS:
            raise DataSetError(f"the position is {self.position!r}; expected one of {', '.join(POSITIONS)}")

    def takes(self) -> Iterable[Take]:
        """What each proband did: one take an activity of which either sensor's zip is there."""
        try:
            found = sorted(
                (int(match[1]), activity)
                for folder in self.path.iterdir()
                if (match := _PROBAND.fullmatch(folder.name))
                for activity in ACTIVITIES
                if any(_zip(folder, kind, activity).is_file() for kind in _SENSORS)
            )
        except OSError as error:
            raise DataSetError(f"cannot look into {self.path}: {error.strerror or error}") from error
        if not found:
            raise DataSetError(f"there is no proband1/data/acc_walking_csv.zip or its like in {self.path}")
        return [Take(f"proband{number}/{activity}", f"proband{number}") for number, activity in found]

    def read(self, take: Take) -> TakeWindows:
        """The windows of one activity, of all its recordings."""
        proband, _, activity = take.name.partition("/")
        if not _PROBAND.fullmatch(proband) or activity not in ACTIVITIES:
            raise DataSetError(f"RealWorld has no take {take.name!r:.100}")
        left_out: dict[str, str] = {}
        sensors = {kind: self._sensor(proband, kind, activity, left_out) for kind in _SENSORS}
        whole = not left_out  # both zips are there, and so is all that is in them
        if [len(found) for found in sensors.values()] == [1, 1]:
            # A single recording may be numbered with one sensor and not with the other.
            sensors = {kind: {1: next(iter(found.values()))} for kind, found in sensors.items()}
        parts = []
        for number in sorted(sensors["acc"].keys() | sensors["gyr"].keys()):
            name = f"{take.name}/{number}"
            try:
                parts.append(self._part(name, take.user, ACTIVITIES[activity], sensors, number))
            except DataSetError as error:
                left_out.setdefault(name, str(error))
        if not parts:
            why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items()) or "no file of it is there"
            raise (NoWindowError if whole else DataSetError)(f"{take.name} has no window at the {self.position}: {why}")
        return together(parts, left_out)

    def _part(
        self, name: str, user: str, label: str, sensors: dict[str, dict[int, Samples]], number: int
    ) -> TakeWindows:
        for kind, sensor in _SENSORS.items():
            if number not in sensors[kind]:
                raise DataSetError(f"the {sensor}'s file is missing, or cannot be read")
        acceleration = sensors["acc"][number]
        checked_gravity(acceleration)
        return take_windows(
            Recording(name, user, label, acceleration, sensors["gyr"][number]), self.hop_s, self.captions
        )

    def _sensor(self, proband: str, kind: str, activity: str, left_out: dict[str, str]) -> dict[int, Samples]:
        """One sensor's samples by the number of the recording; what cannot be read is named."""
        file = _zip(self.path / proband, kind, activity)
        found: dict[int, Samples] = {}
        try:
            for member in members(file):
                match = _FILE.fullmatch(member.name)
                if match is None or match[2].lower() != activity or match[4].lower() != self.position:
                    continue
                within = _ZIP.fullmatch(member.within)
                number = int(match[3] or (within[1] if within else 1))
                try:
                    if number in found:
                        raise DataSetError(f"{member.where} is a second file of recording {number}")
                    found[number] = _samples(member, f"{proband}/{activity}/{number}", left_out)
                except DataSetError as error:
                    left_out[f"{proband}/{activity}/{kind} {member.within} {member.name}"] = str(error)
        except DataSetError as error:
            left_out[f"{proband}/{activity}/{kind}"] = str(error)
        return found


def _zip(folder: Path, kind: str, activity: str) -> Path:
    return folder / "data" / f"{kind}_{activity}_csv.zip"


def _samples(member: Member, recording: str, left_out: dict[str, str]) -> Samples:
    try:
        table = csv_table.read(io.BytesIO(member.content()), member.where, _COLUMNS, "ms")
    except RecordingError as error:
        raise DataSetError(str(error)) from error
    if len(table.timestamps_ns) < 2:
        raise DataSetError(f"{member.where} has {len(table.timestamps_ns)} rows that can be used")
    if table.left_out:
        left_out[f"{recording}: {member.name}"] = f"{table.left_out} rows: a value is missing or not finite"
    if table.cut_short:
        left_out[f"{recording}: end of {member.name}"] = csv_table.CUT_SHORT
    return Samples(table.timestamps_ns, table.values)
