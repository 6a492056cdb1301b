"""What was pushed for one sensor: kept as it came, and brought to SI units and the training data's axes when due."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk.errors import StreamError
from primus_sdk.windowing import pushed
from primus_sdk.windowing.kernel import Floats, Ints
from primus_sdk.windowing.ordering import Taken
from primus_sdk.windowing.pushed import LARGEST_TIME
from primus_sdk.windowing.reach import Reach

LARGEST_VALUE: Final = 1e5
"""In SI units; far beyond any sensor, far below what would overflow."""
_END_OF_RANGE: Final = 0.999
_NOTHING: Final = (-np.inf, np.inf)  # the highest and the lowest of no values
_FEW: Final = 256  # samples: of more, the quick check is none


class Intake:
    """One sensor's samples that nobody has looked at yet.

    Attributes:
        invalid: samples dropped since a value was not finite, or beyond any sensor.
        waiting: samples that `drain` has yet to give.
        reach: what their times tell.
    """

    def __init__(
        self, name: str, matrix: Floats, full_range: float | None, smallest_range: float, reach: Reach
    ) -> None:
        """Take samples whose product with `matrix` is in SI units.

        A sample is at the end of the range where an axis reaches `full_range`; where that is not known, where an axis
        repeats the sample before and is at or beyond `smallest_range`, the smallest that sensors have. All in the
        sensor's unit.
        """
        self.invalid = self.waiting = 0
        self.reach = reach
        self._name, self._matrix = name, matrix
        # No sample of smaller values is beyond any sensor.
        self._valid = LARGEST_VALUE / float(np.abs(matrix).sum(axis=1).max())
        diagonal = bool((matrix == np.eye(3) * matrix[0, 0]).all())
        self._factor = float(matrix[0, 0]) if diagonal else None
        self._full_range, self._smallest_range = full_range, smallest_range
        self._before = np.full((3, 1), np.nan)
        self._chunks: list[tuple[Ints, Floats]] = []
        self._bounds: tuple[float, float] | None = _NOTHING  # of all values that wait; None where not known
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
        highest, lowest = (float(values.max()), float(values.min())) if len(times) else _NOTHING  # NaN where any is
        if self._bounds is not None:
            self._bounds = max(highest, self._bounds[0]), min(lowest, self._bounds[1])
        if len(times) and highest < self._valid and lowest > -self._valid:  # in this form NaN fails
            self.reach.note_array(times)
        else:
            finite = np.isfinite(np.abs(values).max(axis=1), out=np.empty(len(times), np.int64))  # NaN is the largest
            self.reach.note_array(times[finite.nonzero()[0]])
            self.reach.unsure = True
            self._bounds = None

    def add_plain(self, times: Any, values: Any) -> bool:
        """Keep samples as most callers have them, checked the quick way; False where they are anything else.

        That is an int and three floats, or a few of them as arrays of int64 (n,) and float64 (n, 3).
        """
        if type(times) is int:
            return self._add_one(times, values)
        if (
            type(times) is not np.ndarray
            or type(values) is not np.ndarray
            or times.dtype != np.int64
            or values.dtype != np.float64
            or times.ndim != 1
            or values.shape != (len(times), 3)
            or not 0 < len(times) <= _FEW
        ):
            return False
        stamps = times.tolist()
        if max(stamps) >= LARGEST_TIME or min(stamps) <= -LARGEST_TIME:
            return False
        kept = values.copy()
        flat = kept.ravel()
        if not np.vdot(flat, flat) < self._valid**2:  # NaN as well; vdot, unlike dot, does not warn of what overflows
            return False
        if self._times:
            self._seal()
        self._chunks.append((times.copy(), kept))
        self._bounds = None
        self.waiting += len(stamps)
        self.reach.note(stamps)
        return True

    def _add_one(self, time: int, values: Any) -> bool:
        if type(values) not in (tuple, list) or len(values) != 3 or not -LARGEST_TIME < time < LARGEST_TIME:
            return False
        x, y, z = values
        if not (type(x) is float and type(y) is float and type(z) is float):
            return False
        self._times.append(time)
        self._rows.append((x, y, z))
        self.waiting += 1
        most = self._valid
        if -most < x < most and -most < y < most and -most < z < most:
            self.reach.note((time,))
        else:
            if isfinite(x) and isfinite(y) and isfinite(z):
                self.reach.note((time,))
            self.reach.unsure = True
        return True

    def drain(self) -> Taken | None:
        """All that waits, in SI units, in the order in which it came; None where nothing does."""
        self._seal()
        if not self._chunks:
            return None
        chunks, self._chunks, self.waiting = self._chunks, [], 0
        bounds, self._bounds = self._bounds, _NOTHING
        times = chunks[0][0] if len(chunks) == 1 else np.concatenate([times for times, _ in chunks])
        raw = np.concatenate([values.T for _, values in chunks], axis=1)
        if not raw.size:
            return None
        highest, lowest = (float(raw.max()), float(raw.min())) if bounds is None else bounds
        with np.errstate(all="ignore"):  # what overflows is found to be invalid next
            values = self._converted(raw)
        full = self._at_end_of_range(raw, highest, lowest)
        self._before = raw[:, -1:].copy()
        if not (highest < self._valid and lowest > -self._valid):
            # As whole numbers, not as masks: `kernel.less` says why.
            largest = np.abs(values).max(axis=0)  # NaN where any is
            valid = np.less_equal(largest, LARGEST_VALUE, out=np.empty(len(times), np.int64)).nonzero()[0]
            if len(valid) < len(times):
                self.invalid += len(times) - len(valid)
                if not len(valid):
                    return None
                return Taken(times[valid], values[:, valid], full[valid])
        return Taken(times, values, full)

    def _seal(self) -> None:
        if self._times:
            self._chunks.append((np.array(self._times, np.int64), np.array(self._rows, np.float64)))
            self._times, self._rows = [], []
            self._bounds = None

    def _converted(self, raw: Floats) -> Floats:
        if self._factor is not None:
            return raw if self._factor == 1 else raw * self._factor
        # Spelt out: a matrix product may sum in another order for another number of samples.
        x, y, z = raw
        return np.stack([row[0] * x + row[1] * y + row[2] * z for row in self._matrix])

    def _at_end_of_range(self, raw: Floats, highest: float, lowest: float) -> NDArray[np.int64]:
        limit = self._smallest_range if self._full_range is None else self._full_range * _END_OF_RANGE
        if highest < limit and lowest > -limit:
            return np.zeros(raw.shape[1], np.int64)
        far = np.greater_equal(np.abs(raw), limit, out=np.empty(raw.shape, np.int64))
        if self._full_range is None:
            before = np.concatenate([self._before, raw[:, :-1]], axis=1)
            far &= np.equal(raw, before, out=np.empty(raw.shape, np.int64))
        answer: NDArray[np.int64] = far.max(axis=0)
        return answer
