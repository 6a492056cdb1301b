"""Labelled recordings on disk, brought into one form: two sensors, each with its own clock, in m/s^2 and rad/s."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Samples:
    """What one sensor delivered.

    Attributes:
        timestamps_ns: int64 (n,), nanoseconds on the recording's clock; as delivered: not steady, perhaps not sorted.
        values: float64 (n, 3), x y z; m/s^2 with gravity for an accelerometer, rad/s for a gyroscope.
    """

    timestamps_ns: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """Seconds between the first and the last sample; 0 when there are none."""
        if len(self.timestamps_ns) == 0:
            return 0.0
        return float(self.timestamps_ns[-1] - self.timestamps_ns[0]) / 1e9


@dataclass(frozen=True)
class Recording:
    """One person doing one thing.

    Attributes:
        name: unique within its data set.
        user: who wore the sensor; data are split by it, so that nobody is both trained on and tested on.
        label: what the person did throughout.
        accelerometer: m/s^2, gravity included.
        gyroscope: rad/s.
    """

    name: str
    user: str
    label: str
    accelerometer: Samples
    gyroscope: Samples


@dataclass
class Report:
    """What a reader took and what it left out; a reader fills the one it is given as it goes.

    Attributes:
        read: recordings handed out.
        skipped: name of the experiment or file -> why it was left out.
        notes: name of a recording that was read -> what was decided about it, or left out of it.
    """

    read: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.read} recordings read, {len(self.skipped)} left out"]
        return "\n".join(lines + [f"  {name}: {text}" for name, text in (self.skipped | self.notes).items()])
