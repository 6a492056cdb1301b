"""How well a window was measured, what was left out, and what a stream does about faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from primus_sdk import arguments
from primus_sdk.errors import StreamError

SLOW_HZ = 49.0
"""Below it a sensor is too slow for the 50 Hz grid; a little under 50, since no clock is exact."""


class Quality(NamedTuple):
    """How well a window was measured.

    Attributes:
        coverage: share of the window, 0 to 1, that lies in no gap longer than the policy fills, of either sensor.
        largest_gap_s: longest time between two consecutive samples of one sensor, seconds.
        accelerometer_hz: samples a second that the accelerometer delivered in the window.
        gyroscope_hz: the same of the gyroscope.
        jitter_ms: standard deviation of the time from sample to sample, milliseconds, gaps of over 100 ms left out;
            of the sensor where it is greater.
        saturated: share of the samples, 0 to 1, that reached the end of their sensor's range; of the sensor where it is
            greater.
        still: nothing moved but by breath and pulse (`windowing.motion`): the glasses lie, or the head is at rest.
        after_reset: the stream started anew since the window before (or, for the first, since the first sample).
    """

    coverage: float
    largest_gap_s: float
    accelerometer_hz: float
    gyroscope_hz: float
    jitter_ms: float
    saturated: float
    still: bool
    after_reset: bool

    @property
    def undersampled(self) -> bool:
        """A sensor delivered fewer than 50 samples a second (49, as no clock is exact): fast movement is lost."""
        return min(self.accelerometer_hz, self.gyroscope_hz) < SLOW_HZ


class Dropped(NamedTuple):
    """What was lost of the samples so far.

    Attributes:
        repeated: samples within 0.1 ms of another.
        late: samples older than the newest by more than the reorder window, and by no more than the reset; or older
            than one that came more than twice the reorder window after all before it.
        invalid: samples that are NaN, infinite, or larger than any sensor measures.
        unpaired: grid points (20 ms) at which only one sensor delivered.
        short: grid points of runs that were over before they had a window, and samples that, between silences longer
            than the reset, are alone or lie between two grid points, and so give none.
    """

    repeated: int = 0
    late: int = 0
    invalid: int = 0
    unpaired: int = 0
    short: int = 0


@dataclass(frozen=True)
class FaultPolicy:
    """What a stream does about gaps and about samples out of order.

    Attributes:
        fill_s: a gap of up to this many seconds is filled and counts as measured; a longer one is filled too, but
            lowers the coverage of the windows over it. 0.02 to 1.
        reset_s: after a longer silence, or a longer step back of the clock, the stream starts anew. `fill_s` to 4.
        reorder_s: a sample older than the newest by up to this many seconds is put in its place; one older still is
            dropped and counted as late, as is one older than a sample that came more than twice as long after all
            before it: slow sensors, and the end of a gap, wait for nobody. 0 to 0.5. Above 0.01 it delays each window
            by about as much as it is longer.

    Raises:
        StreamError: a value is out of its range.
    """

    fill_s: float = 0.1
    reset_s: float = 1.0
    reorder_s: float = 0.01

    def __post_init__(self) -> None:
        fill_s = self._check("fill_s", 0.02, 1.0)
        self._check("reset_s", max(fill_s, 0.1), 4.0)
        self._check("reorder_s", 0.0, 0.5)

    def _check(self, name: str, least: float, most: float) -> float:
        return arguments.number(getattr(self, name), name, f"{least} to {most} s", StreamError, least, most)
