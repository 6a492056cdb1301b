"""What preparing needs of any data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from primus_models.graph import Array
from primus_models.preparation.prepared import Take


@dataclass(frozen=True)
class Video:
    """A take's video file, and where in it each of the take's windows lies.

    file: any that PyAV opens. start_s: float64 (n,), seconds from the video's first frame; a window is 5 s.
    """

    file: Path
    start_s: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TakeWindows:
    """What one take gives.

    windows: float32 (n, 6, 250), m/s^2 with gravity and rad/s, 50 Hz. start_ns: int64 (n,), on the take's clock.
    labels: what was done in each window, or None. captions: what a narrator says of it, cleaned, or None.
    video: where there is one. left_out: windows and parts of the take that could not be used, by name, and why.
    """

    windows: Array
    start_ns: NDArray[np.int64]
    labels: tuple[str | None, ...]
    captions: tuple[str | None, ...]
    video: Video | None = None
    left_out: dict[str, str] = field(default_factory=dict)


def no_windows(left_out: dict[str, str]) -> TakeWindows:
    """What a take gives that has no window; left_out: its name, and why."""
    return TakeWindows(np.zeros((0, 6, 250), np.float32), np.zeros(0, np.int64), (), (), left_out=left_out)


class DataSet(Protocol):
    """A published data set on disk. It can be pickled: on a cluster other processes read its takes."""

    @property
    def name(self) -> str:
        """The name of its form, as in `primus-prepare ego-exo4d`."""
        ...

    def takes(self) -> Iterable[Take]:
        """All takes, found quickly: no recording is opened.

        Raises:
            DataSetError: the folder is not of this data set, or its annotations are of another version.
        """
        ...

    def read(self, take: Take) -> TakeWindows:
        """The windows of one take.

        Raises:
            NoWindowError: it is as its publishers left it, and gives no window: it is left out for good.
            DataSetError: it is missing, half-downloaded or damaged; says which file and why. The same command tries
                it again.
        """
        ...
