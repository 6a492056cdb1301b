"""ClassyGlass 1A and 1B, by the SDK's reader: what was seen of them stands in `primus_sdk.recordings.classyglass`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from primus_models.errors import DataSetError, NoWindowError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.documents import stamp
from primus_models.preparation.sources.recorded import HOP_S, Collected, checked_hop, collect
from primus_sdk.recordings import classyglass
from primus_sdk.recordings.classyglass_labels import EXPERIMENTS

_WITHOUT_PAIR = frozenset({173, 325, 326, 327})
"""Experiments of the label sheets that were published without a usable pair of files."""


@dataclass(frozen=True)
class ClassyGlass:
    """ClassyGlass on disk.

    Attributes:
        path: the published folder or its archive.
        hop_s: from one window's start to the next one's, seconds.
        captions: each window is also said to be "a person is <label>".
    """

    path: Path
    hop_s: float = HOP_S
    captions: bool = False

    def __post_init__(self) -> None:
        checked_hop(self.hop_s)

    @property
    def name(self) -> str:
        """The name of its form."""
        return "classyglass"

    def takes(self) -> Iterable[Take]:
        """Every experiment of the label sheets, there or not: whether it is, only reading the archive tells."""
        if not self.path.exists():
            raise DataSetError(f"there is nothing at {self.path}; give the ClassyGlass folder or its archive")
        return [Take(f"classyglass-{experiment}", user) for experiment, (user, _) in sorted(EXPERIMENTS.items())]

    def read(self, take: Take) -> TakeWindows:
        """The windows of one experiment; the first call reads them all, since an archive is read in one pass."""
        collected = _collected(self, stamp(self.path))
        _, _, text = take.name.rpartition("-")
        experiment = int(text) if text.isascii() and text.isdecimal() else -1
        user, _ = EXPERIMENTS.get(experiment, ("", ""))
        # The reader names what it left out by its folder and number, or by the file.
        for name, why in collected.unusable.items():
            if name == f"User{user}/{experiment}" or name.startswith(f"User{user}/{experiment}_"):
                kind = NoWindowError if experiment in _WITHOUT_PAIR else DataSetError
                raise kind(f"{name}: {why}")
        return collected.read(take)


@lru_cache(maxsize=1)
def _collected(data: ClassyGlass, _: object) -> Collected:
    return collect(lambda report: classyglass.read(data.path, report), data.hop_s, data.captions)
