"""ClassyGlass 1A and 1B, by the SDK's reader: what was seen of them stands in `primus_sdk.recordings.classyglass`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from primus_models.errors import DataSetError, NoWindowError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.recorded import ReadWhole
from primus_sdk.recordings import Recording, Report, classyglass
from primus_sdk.recordings.classyglass_labels import EXPERIMENTS

_WITHOUT_PAIR = frozenset({173, 325, 326, 327})
"""Experiments of the label sheets that were published without a usable pair of files."""


@dataclass(frozen=True)
class ClassyGlass(ReadWhole):
    """ClassyGlass on disk; path: the published folder or its archive."""

    path: Path
    name: ClassVar[str] = "classyglass"

    def recordings(self, report: Report) -> Iterable[Recording]:
        """See `ReadWhole`."""
        return classyglass.read(self.path, report)

    def takes(self) -> Iterable[Take]:
        """Every experiment of the label sheets, there or not: whether it is, only reading the archive tells."""
        if not self.path.exists():
            raise DataSetError(f"there is nothing at {self.path}; give the ClassyGlass folder or its archive")
        return [Take(f"classyglass-{experiment}", user) for experiment, (user, _) in sorted(EXPERIMENTS.items())]

    def read(self, take: Take) -> TakeWindows:
        """The windows of one experiment; the first call reads them all, since an archive is read in one pass."""
        collected = self.collected()
        _, _, text = take.name.rpartition("-")
        experiment = int(text) if text.isascii() and text.isdecimal() else -1
        user, _ = EXPERIMENTS.get(experiment, ("", ""))
        # The reader names what it left out by its folder and number, or by the file.
        for name, why in collected.unusable.items():
            if name == f"User{user}/{experiment}" or name.startswith(f"User{user}/{experiment}_"):
                kind = NoWindowError if experiment in _WITHOUT_PAIR else DataSetError
                raise kind(f"{name}: {why}")
        return collected.read(take)
