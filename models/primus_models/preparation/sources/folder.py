"""A folder of one's own labelled recordings, by the SDK's reader: `primus_sdk.recordings.folder` says of what form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from primus_models.errors import DataSetError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.recorded import HOP_S, Collected, checked_hop, collect
from primus_sdk.recordings import folder
from primus_sdk.recordings.sensor_logger import Device


@dataclass(frozen=True)
class Folder:
    """One's own recordings.

    Attributes:
        path: the folder, with a folder for each label, or an index.
        hop_s: from one window's start to the next one's, seconds.
        captions: each window is also said to be "a person is <label>".
        device: of Sensor Logger's exports: "headphone" or "phone"; None: the headphone where there is one.
    """

    path: Path
    hop_s: float = HOP_S
    captions: bool = False
    device: Device | None = None

    def __post_init__(self) -> None:
        checked_hop(self.hop_s)
        if self.device not in (None, "headphone", "phone"):
            raise DataSetError(f"the device is {self.device!r}; expected 'headphone' or 'phone'")

    @property
    def name(self) -> str:
        """The name of its form."""
        return "folder"

    def takes(self) -> Iterable[Take]:
        """Every recording; all are read for it, since the reader tells no other way what there is. Few have many."""
        return _collected(self).takes

    def read(self, take: Take) -> TakeWindows:
        """The windows of one recording, as it was when the folder was first looked at."""
        return _collected(self).read(take)


@lru_cache(maxsize=1)
def _collected(data: Folder) -> Collected:
    return collect(lambda report: folder.read(data.path, report, data.device), data.hop_s, data.captions)
