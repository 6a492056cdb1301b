"""What was pushed for one sensor: kept as it came, and brought to SI units and the training data's axes when due."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk.errors import StreamError
from primus_sdk.windowing import pushed
from primus_sdk.windowing.kernel import Floats, Ints
from primus_sdk.windowing.ordering import Taken

LARGEST_VALUE: Final = 1e5
"""In SI units; far beyond any sensor, far below what would overflow."""
_END_OF_RANGE: Final = 0.999


class Intake:
    """One sensor's samples that nobody has looked at yet.

    Attributes:
        invalid: samples dropped since a value was not finite, or beyond any sensor.
        waiting: samples that `drain` has yet to give.
        newest: the newest time that came since the clock was last set back; None before the first sample.
    """

    def __init__(self, name: str, matrix: Floats, full_range: float | None, smallest_range: float) -> None:
        """Take samples whose product with `matrix` is in SI units.

        A sample is at the end of the range where an axis reaches `full_range`; where that is not known, where an axis
        repeats the sample before and is at or beyond `smallest_range`, the smallest that sensors have. All in the
        sensor's unit.
        """
        self.invalid = self.waiting = 0
        self.newest: int | None = None
        self._name, self._matrix = name, matrix
        diagonal = bool((matrix == np.eye(3) * matrix[0, 0]).all())
        self._factor = float(matrix[0, 0]) if diagonal else None
        self._full_range, self._smallest_range = full_range, smallest_range
        self._before = np.full((3, 1), np.nan)
        self._chunks: list[tuple[Ints, Floats]] = []
        self._times: list[int] = []
        self._rows: list[tuple[float, float, float]] = []

    def check(self, times: Ints, values: ArrayLike) -> Floats:
        """Values as (n, 3), one for each time.

        Raises:
            StreamError: another shape, or no numbers.
        """
        samples = pushed.floats(values)
        if samples.ndim == 1:
            samples = samples[np.newaxis] if samples.size else samples.reshape(0, 3)
        if samples.ndim != 2 or samples.shape[1] != 3:
            raise StreamError(f"{self._name} values have the shape {samples.shape}; expected (n, 3) or (3,)")
        if len(samples) != len(times):
            raise StreamError(f"{len(times)} timestamps for {len(samples)} {self._name} samples; expected as many")
        return samples

    def add(self, times: Ints, values: Floats) -> None:
        """Keep checked samples."""
        self._seal()
        self._chunks.append((times, values))
        self.waiting += len(times)

    def add_one(self, time: int, values: tuple[float, float, float]) -> None:
        """Keep one checked sample."""
        self._times.append(time)
        self._rows.append(values)
        self.waiting += 1

    def drain(self) -> Taken | None:
        """All that waits, in SI units, in the order in which it came; None where nothing does."""
        self._seal()
        if not self._chunks:
            return None
        chunks, self._chunks, self.waiting = self._chunks, [], 0
        times = chunks[0][0] if len(chunks) == 1 else np.concatenate([times for times, _ in chunks])
        raw = np.concatenate([values.T for _, values in chunks], axis=1)
        if not raw.size:
            return None
        with np.errstate(all="ignore"):  # what overflows is found to be invalid next
            values = self._converted(raw)
        full = self._at_end_of_range(raw)
        self._before = raw[:, -1:]
        if not (values.max() <= LARGEST_VALUE and values.min() >= -LARGEST_VALUE):  # in this form NaN counts as well
            valid = (np.abs(values) <= LARGEST_VALUE).all(axis=0)
            self.invalid += int(np.count_nonzero(~valid))
            if not valid.any():
                return None
            return Taken(times[valid], values[:, valid], full[valid])
        return Taken(times, values, full)

    def _seal(self) -> None:
        if self._times:
            self._chunks.append((np.array(self._times, np.int64), np.array(self._rows, np.float64)))
            self._times, self._rows = [], []

    def _converted(self, raw: Floats) -> Floats:
        if self._factor is not None:
            return raw if self._factor == 1 else raw * self._factor
        # Spelt out: a matrix product may sum in another order for another number of samples.
        x, y, z = raw
        return np.stack([row[0] * x + row[1] * y + row[2] * z for row in self._matrix])

    def _at_end_of_range(self, raw: Floats) -> NDArray[np.int64]:
        limit = self._smallest_range if self._full_range is None else self._full_range * _END_OF_RANGE
        if raw.max() < limit and raw.min() > -limit:
            return np.zeros(raw.shape[1], np.int64)
        far = np.abs(raw) >= limit
        if self._full_range is None:
            far &= raw == np.concatenate([self._before, raw[:, :-1]], axis=1)
        return np.asarray(far.any(axis=0), np.int64)
