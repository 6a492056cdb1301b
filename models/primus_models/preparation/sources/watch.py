"""seglearn's watch data, by the SDK's reader: what was seen of them stands in `primus_sdk.recordings.watch`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from primus_models.preparation.sources.recorded import ReadWhole
from primus_sdk.recordings import Recording, Report, watch


@dataclass(frozen=True)
class Watch(ReadWhole):
    """The watch data; path: the file `watch_dataset.npy`, or None: the one of the installed seglearn."""

    path: Path | None = None
    name: ClassVar[str] = "watch"

    def recordings(self, report: Report) -> Iterable[Recording]:
        """See `ReadWhole`."""
        return watch.read(self.path)
