"""Recordings of Project Aria's glasses: one VRS file, or a folder of them, in folders named by what was done.

    FOLDER/<label>/<name>.vrs    or    FOLDER/<name>.vrs, without a label

What was seen of VRS files stands in `vrs`; this layout is PRIMUS's own. All are taken to be of one wearer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from primus_models.errors import DataSetError, NoWindowError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources import vrs
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.documents import inside
from primus_models.preparation.sources.recorded import Recorded, take_windows
from primus_sdk.recordings import Recording
from primus_sdk.recordings.folder import WEARER


@dataclass(frozen=True)
class Aria(Recorded):
    """VRS files on disk.

    Attributes:
        path: one file, or the folder.
        stream: of the IMU.
    """

    path: Path
    stream: str = vrs.STREAM
    name: ClassVar[str] = "aria"

    def takes(self) -> Iterable[Take]:
        """Every VRS file."""
        if self.path.is_file():
            return [Take(self.path.name, WEARER)]
        try:
            files = sorted(f for form in ("*.vrs", "*/*.vrs") for f in self.path.glob(form) if f.is_file())
        except OSError as error:
            raise DataSetError(f"cannot look into {self.path}: {error.strerror or error}") from error
        if not files:
            raise DataSetError(f"there is no VRS file at {self.path}; expected one, or <label>/<name>.vrs in a folder")
        return [Take(file.relative_to(self.path).as_posix(), WEARER) for file in files]

    def read(self, take: Take) -> TakeWindows:
        """The windows of one file."""
        file = self.path if self.path.is_file() else inside(self.path, take.name)
        imu = vrs.read(file, self.stream)
        label = "" if self.path.is_file() or file.parent == self.path else file.parent.name
        recording = Recording(take.name, take.user, label, imu.accelerometer, imu.gyroscope)
        try:
            windows = take_windows(recording, self.hop_s, self.captions)
        except NoWindowError as error:
            # Half a download opens as a whole file does: a short one may be longer the next time.
            raise DataSetError(str(error)) from error
        if imu.invalid:
            windows.left_out[f"{take.name}: records"] = f"{imu.invalid} are invalid"
        return windows
