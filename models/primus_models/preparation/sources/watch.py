"""seglearn's watch data, by the SDK's reader: what was seen of them stands in `primus_sdk.recordings.watch`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.documents import stamp
from primus_models.preparation.sources.recorded import HOP_S, Collected, checked_hop, collect
from primus_sdk.recordings import watch


@dataclass(frozen=True)
class Watch:
    """The watch data.

    Attributes:
        path: the file `watch_dataset.npy`, or None: the one of the installed seglearn.
        hop_s: from one window's start to the next one's, seconds.
        captions: each window is also said to be "a person is <label>".
    """

    path: Path | None = None
    hop_s: float = HOP_S
    captions: bool = False

    def __post_init__(self) -> None:
        checked_hop(self.hop_s)

    @property
    def name(self) -> str:
        """The name of its form."""
        return "watch"

    def takes(self) -> Iterable[Take]:
        """The 140 recordings; one file of a few megabytes holds them all."""
        return _collected(self, stamp(self.path) if self.path else None).takes

    def read(self, take: Take) -> TakeWindows:
        """The windows of one recording."""
        return _collected(self, stamp(self.path) if self.path else None).read(take)


@lru_cache(maxsize=1)
def _collected(data: Watch, _: object) -> Collected:
    return collect(lambda report: watch.read(data.path), data.hop_s, data.captions)
