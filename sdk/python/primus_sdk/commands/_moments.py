"""Where the windows lie on a picture's axis of time: recordings one after the other, and gaps as long as they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_sdk.commands._session import Step

WINDOW_S = 5.0
_SHORT_S = 300  # a picture of less is in seconds


@dataclass(frozen=True, eq=False)
class Moments:
    """Where each of n windows is drawn on the axis, (n,) each, ascending, in `unit` ("minutes" or "seconds").

    A window is drawn over the last hop of its 5 s, for it is recognised when it is over: what is above a moment was
    known at it. A recording begins where the one before ended; so does what comes after a clock that was set back.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    unit: str

    @property
    def end(self) -> float:
        """Where the last window ends; 0 without any."""
        return float(self.ends[-1]) if len(self.ends) else 0.0

    def bars(self, labels: Sequence[str]) -> list[tuple[float, float, str]]:
        """Start, width and label of each stretch of equal labels without a gap."""
        bars: list[tuple[float, float, str]] = []
        for start, end, label in zip(self.starts.tolist(), self.ends.tolist(), labels, strict=True):
            if bars and bars[-1][2] == label and np.isclose(sum(bars[-1][:2]), start):
                bars[-1] = (bars[-1][0], end - bars[-1][0], label)
            else:
                bars.append((start, end - start, label))
        return bars

    def columns(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], Any]:
        """Edges (m + 1,) and values (K, m) that tile the axis: each window's (K, n), and masked columns for gaps."""
        edges, places = [0.0], []
        for place, (start, end) in enumerate(zip(self.starts.tolist(), self.ends.tolist(), strict=True)):
            if start > edges[-1] + 1e-9:
                edges.append(start)
                places.append(-1)
            edges.append(end)
            places.append(place)
        taken = np.array(places)
        return np.array(edges), np.ma.masked_array(
            values[:, taken], np.broadcast_to(taken < 0, (len(values), len(taken)))
        )


def moments(steps: Sequence[Step], hop: float, unit: str = "") -> Moments:
    """Lay out the windows of one take after the other, `hop` seconds apart where there is no gap."""
    ends: list[float] = []
    offset = free = 0.0  # where the take begins, and where nothing is yet
    for before, step in zip([None, *steps], steps, strict=False):
        if before is None or before.take is not step.take:
            offset = free
        elif offset + step.start_s + WINDOW_S <= ends[-1]:
            offset = free - step.start_s
        free = offset + step.start_s + WINDOW_S
        ends.append(free)
    stops = np.array(ends, np.float64)
    starts = np.maximum(stops - min(hop, WINDOW_S), np.append(0.0, stops[:-1]))  # of windows after a reset, too
    unit = unit or ("seconds" if free < _SHORT_S else "minutes")
    scale = {"seconds": 1.0, "minutes": 60.0}[unit]
    return Moments(starts / scale, stops / scale, unit)


def axis_words(when: Moments, hop: float) -> str:
    """What the axis shows, for its label."""
    drawn = f"{min(hop, WINDOW_S):g} s"
    return f"{when.unit} streamed; each 5 s window is drawn over its last {drawn} (its label is known when it ends)"
