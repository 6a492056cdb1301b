"""How far one sensor's grid points may be complete, told from its samples' times alone.

Working on samples costs far more than taking them, so they wait until a window can be due. When that is follows from
few numbers, which every push brings up to date: plain integers, as NumPy costs more than it saves on a handful.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from primus_sdk.windowing.kernel import Ints
from primus_sdk.windowing.ordering import steps
from primus_sdk.windowing.resample import LONGEST_PERIOD_NS, SensorResampler

_NEVER = -(1 << 62)
_FEW = 256  # samples: up to so many, a loop is as quick as NumPy
_RECENT = 32  # samples of which the times are known; at 1000 Hz about a dozen wait to be put in order
_SLACK_NS = 500_000  # by as much samples dropped as repeated, and rounding, may raise a period above its longest step


class Reach:
    """What is known of one sensor's samples before they are worked on.

    Attributes:
        newest: the latest time since the clock was last set back; None before the first sample.
        unsure: what becomes of the samples that wait, only the work itself can tell.
    """

    def __init__(self, reorder_ns: int, reset_ns: int) -> None:
        self._reorder, self._reset = reorder_ns, reset_ns
        self._recent: deque[int] = deque(maxlen=_RECENT)  # ascending, and later than any sample that is not in it
        self.forget()

    def forget(self) -> None:
        """Know that the stream has ended."""
        self.newest: int | None = None
        self.unsure = False
        self._out = self._known = _NEVER
        self._longest = 0
        self._recent.clear()

    def note(self, times: Sequence[int]) -> None:
        """Know of samples, in their order of arrival, that are finite."""
        if (newest := self.newest) is None:
            if not times:
                return
            newest, self.unsure = times[0], True
        reset, in_order_at_once, recent = self._reset, 2 * self._reorder, self._recent
        for time in times:
            moved = time - newest
            if moved > 0:
                recent.append(time)
                if moved > self._longest:
                    self._longest = moved
                if moved > in_order_at_once:
                    self._out = time
                    self.unsure = self.unsure or moved > reset
                newest = time
            else:
                recent.clear()
                if -moved > reset:  # the clock was set back
                    newest, self.unsure = time, True
                    self._out = self._known = _NEVER
        self.newest = newest

    def note_array(self, times: Ints) -> None:
        """As `note`, of any number."""
        if len(times) > _FEW:
            if self.newest is None:
                self.note((int(times[0]),))
                times = times[1:]
            moved = steps(times, self.newest or 0)
            longest = int(moved.max())
            if moved.min() > 0 and longest <= 2 * self._reorder:
                self._recent.extend(times[-_RECENT:].tolist())
                self.newest, self._longest = int(times[-1]), max(self._longest, longest)
                return
        self.note(times.tolist())

    def until(self, resampler: SensorResampler, waiting: int) -> int:
        """No point can be complete whose kernel reaches this far; `waiting` samples wait to be worked on."""
        if self.newest is None:
            return _NEVER
        if resampler.period and not resampler.may_renew(waiting):
            period = resampler.period
        elif resampler.period:
            # A new period is a mean of steps, and so no longer than the longest.
            period = min(max(resampler.period, self._longest + _SLACK_NS), LONGEST_PERIOD_NS)
        else:
            period = LONGEST_PERIOD_NS
        horizon = max(self.newest - self._reorder, self._out)
        for time in reversed(self._recent):
            if time <= horizon:
                horizon = time
                break
        return max(self._known, horizon + period)

    def worked(self, resampler: SensorResampler) -> None:
        """Know that all samples were worked on."""
        self.unsure = False
        self._known = resampler.reach or _NEVER
        self._longest = resampler.longest_step()
