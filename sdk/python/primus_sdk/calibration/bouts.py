"""When a wearer did what: begin ... end by the clock of a stream, and which of its windows lie wholly within."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from primus_sdk.errors import CalibrationError
from primus_sdk.windowing.kernel import GRID_NS
from primus_sdk.windowing.windows import Window

WINDOW_NS = 5_000_000_000
_WAITING = 64
_EVER, _FLUSHED = -(1 << 62), 1 << 62


@dataclass
class Bout:
    """One begin ... end.

    Attributes:
        number: counts up from bout to bout.
        label: what the wearer does.
        begin_ns: no window before it belongs here.
        end_ns: nor one after it; none while the bout goes on.
        taken_ns: start of the newest window that was taken as an example.
    """

    number: int
    label: str
    begin_ns: int
    end_ns: int | None = None
    taken_ns: int | None = None


class Bouts:
    """The bout that goes on, and those that ended so lately that windows may still come for them.

    Windows are shown to `around` in the stream's order. Where the clock steps back, a bout that goes on does so by the
    new clock, and those that have ended take no more windows. A step is seen by the first window after it, which says
    `after_reset` and starts before the one before it ended; by any window that does not start after the one before it,
    as the first may have been refused and never be shown; or, at `begin` or `end`, by a newest sample that lies before
    that window's last.
    """

    def __init__(self) -> None:
        self.current: Bout | None = None
        self._ended: deque[Bout] = deque(maxlen=_WAITING)
        self._seen: Window | None = None  # the newest, by the present clock

    def begin(self, number: int, label: str, newest_ns: int | None) -> None:
        """A bout starts at the stream's newest sample; with its first, where there was none yet.

        Raises:
            CalibrationError: one goes on.
        """
        if self.current is not None:
            raise CalibrationError(f"{self.current.label!r} is going on; end() it before {label!r} begins")
        self._check_step(newest_ns)
        self._end_flushed()
        self.current = Bout(number, label, _EVER if newest_ns is None else newest_ns)

    def end(self, newest_ns: int | None) -> None:
        """The bout that goes on stops at the stream's newest sample; with its last, where it was flushed since.

        Raises:
            CalibrationError: none goes on.
        """
        if self.current is None:
            raise CalibrationError("no bout is going on; begin(label) one first")
        self._check_step(newest_ns)
        bout, self.current = self.current, None
        bout.end_ns = _FLUSHED if newest_ns is None else newest_ns
        if bout.end_ns + GRID_NS - bout.begin_ns >= WINDOW_NS:
            self._ended.append(bout)

    def around(self, window: Window, newest_ns: int | None) -> Bout | None:
        """The bout that the window lies wholly within; its last point is 20 ms before its end.

        newest_ns: of the stream, now. Where it lies before the end of a bout, the clock was set back since, and no
        window that comes is known to be of that bout.
        """
        anew, seen = window.quality.after_reset, self._seen
        if seen is not None and (window.start_ns <= seen.start_ns or (anew and window.start_ns < seen.end_ns)):
            self._step_back()
        if anew or newest_ns is not None:  # samples came since, and the first window after the flush may be refused
            self._end_flushed()
        self._seen = window
        while self._ended and (self._ended[0].end_ns or 0) <= window.start_ns:
            self._ended.popleft()
        for bout in (*self._ended, *([self.current] if self.current else [])):
            end_ns = _FLUSHED if bout.end_ns is None else bout.end_ns
            set_back = newest_ns is not None and newest_ns < end_ns < _FLUSHED
            if bout.begin_ns <= window.start_ns and window.end_ns - GRID_NS <= end_ns and not set_back:
                return bout
        return None

    def forget(self, number: int) -> None:
        """Let no more windows come for a bout; where it goes on it is given up."""
        if self.current is not None and self.current.number == number:
            self.current = None
        self._drop(lambda bout: bout.number == number)

    def forget_ended(self, label: str) -> None:
        """Let no more windows come for the ended bouts of a label."""
        self._drop(lambda bout: bout.label == label)

    def rename(self, label: str, to: str) -> None:
        """Give the ended bouts of a label another one."""
        for bout in self._ended:
            bout.label = to if bout.label == label else bout.label

    def _end_flushed(self) -> None:
        """Let no more windows come for what was open to a flush's last one."""
        self._drop(lambda bout: bout.end_ns == _FLUSHED)

    def _drop(self, gone: Callable[[Bout], bool]) -> None:
        self._ended = deque((bout for bout in self._ended if not gone(bout)), _WAITING)

    def _check_step(self, newest_ns: int | None) -> None:
        if newest_ns is not None and self._seen is not None and newest_ns + GRID_NS < self._seen.end_ns:
            self._step_back()

    def _step_back(self) -> None:
        self._ended.clear()
        self._seen = None
        if self.current is not None:
            self.current.begin_ns, self.current.taken_ns = _EVER, None
