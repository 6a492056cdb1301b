"""A whole take on the 50 Hz grid, and windows out of it at any of its points: the very windows of a live stream.

A narration's window begins at its own time, not a hop after the last one. So both sensors go through the parts that
`primus_sdk.windowing.WindowStream` is made of, once, and windows are slices of what comes out: bit for bit what a
stream would cut there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from primus_models.errors import DataSetError
from primus_models.graph import WINDOW, Array
from primus_sdk.recordings import Samples
from primus_sdk.windowing.intake import LARGEST_VALUE
from primus_sdk.windowing.kernel import GRID_NS
from primus_sdk.windowing.ordering import Taken, joined
from primus_sdk.windowing.pairing import Pairer
from primus_sdk.windowing.resample import SensorResampler

MOST_OVERRUN = 5
"""Points (100 ms) by which a window may overrun the take; they are zero."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A take at 50 Hz, in runs: between two of them lies a gap of more than a second, or a clock set back.

    Attributes:
        runs: of each, its first point's time in units of 20 ms, and float32 (6, n): m/s^2, then rad/s.
    """

    runs: tuple[tuple[int, Array], ...]

    @property
    def end_s(self) -> float:
        """When the last point's 20 ms are over, seconds; 0 of an empty grid."""
        return (self.runs[-1][0] + self.runs[-1][1].shape[1]) * GRID_NS / 1e9 if self.runs else 0.0

    def window(self, start_ns: int) -> Array:
        """The 5 s from there: float32 (6, 250), zero padded where they overrun the end by at most 100 ms.

        Args:
            start_ns: a multiple of 20 ms.

        Raises:
            DataSetError: it begins before the take, overruns it by more, or a gap of over a second lies in it.
        """
        first = start_ns // GRID_NS
        for place, (begin, values) in enumerate(self.runs):
            at, points = first - begin, values.shape[1]
            if not 0 <= at < points:
                continue
            missing = max(0, at + WINDOW - points)
            if not missing:
                return values[:, at : at + WINDOW].copy()
            if place < len(self.runs) - 1:
                raise DataSetError("a gap of the IMU of more than a second lies in it")
            if missing > MOST_OVERRUN:
                raise DataSetError(f"the IMU ends {missing / 50:.2f} s before it does; at most 0.1 s is padded")
            return np.pad(values[:, at:], ((0, 0), (0, missing)))
        if not self.runs or first >= self.runs[-1][0] + self.runs[-1][1].shape[1]:
            raise DataSetError(f"the IMU ends at {self.end_s:.2f} s, before it begins")
        if first < self.runs[0][0]:
            raise DataSetError(f"the IMU begins at {self.runs[0][0] / 50:.2f} s, after it does")
        raise DataSetError("it begins in a gap of the IMU of more than a second")


def grid_of(accelerometer: Samples, gyroscope: Samples) -> Grid:
    """Resample both sensors (m/s^2 and rad/s, times ascending but for small disorder), as a stream of default policy.

    Samples that are not finite, or beyond any sensor, are left out, as a stream does.
    """
    points = []
    for samples in (accelerometer, gyroscope):
        with np.errstate(invalid="ignore"):
            good = (np.abs(samples.values) <= LARGEST_VALUE).all(axis=1)  # in this form NaN fails as well
        resampler = SensorResampler()
        taken = Taken(samples.timestamps_ns[good], samples.values[good].T.copy(), np.zeros(good.sum(), np.int64))
        done = [
            part for part in (resampler.push(taken) if good.any() else None, resampler.finish()) if part is not None
        ]
        points.append(joined(done) if done else None)
    # All at once: of a sensor that runs far ahead of the other, a later push would drop the oldest points.
    pairs = Pairer().push(points[0], points[1])
    if not pairs:
        return Grid(())
    run = np.concatenate([pair.run for pair in pairs])
    number = np.concatenate([pair.number for pair in pairs])
    values = np.concatenate([pair.values for pair in pairs], axis=1).astype(np.float32)
    edges = [0, *(np.flatnonzero(np.diff(run)) + 1).tolist(), len(run)]
    return Grid(tuple((int(number[a]), values[:, a:b]) for a, b in itertools.pairwise(edges)))
