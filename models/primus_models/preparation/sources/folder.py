"""A folder of one's own labelled recordings, by the SDK's reader: `primus_sdk.recordings.folder` says of what form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from primus_models.errors import DataSetError
from primus_models.preparation.sources.recorded import ReadWhole
from primus_sdk.recordings import Recording, Report, folder
from primus_sdk.recordings.sensor_logger import Device


@dataclass(frozen=True)
class Folder(ReadWhole):
    """One's own recordings.

    Attributes:
        path: the folder, with a folder for each label, or an index.
        device: of Sensor Logger's exports: "headphone" or "phone"; None: the headphone where there is one.
    """

    path: Path
    device: Device | None = None
    name: ClassVar[str] = "folder"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device not in (None, "headphone", "phone"):
            raise DataSetError(f"the device is {self.device!r}; expected 'headphone' or 'phone'")

    def recordings(self, report: Report) -> Iterable[Recording]:
        """See `ReadWhole`."""
        return folder.read(self.path, report, self.device)
