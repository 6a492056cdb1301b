"""A live stream: sensor samples in, recognitions out."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Literal, Self, TypeAlias, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.errors import ClosedError, PrimusError, StreamError
from primus_sdk.runtimes.base import closed
from primus_sdk.streaming.recognition import Counts, Embedder, Recognition, Rules, SequenceRecogniser, Sleeper, Sleepers
from primus_sdk.windowing import pushed
from primus_sdk.windowing.quality import Dropped
from primus_sdk.windowing.windows import Window, WindowStream

__all__ = ["Counts", "Embedder", "Push", "Recognition", "Sensor", "Stream", "in_thread", "push_to"]

Sensor = Literal["accelerometer", "gyroscope", "both"]
Push: TypeAlias = tuple[Sensor, ArrayLike, ArrayLike]
"""What a source gives: a sensor, timestamps `(n,)` in ns and values `(n, 3)`, of both `(n, 6)`; or one of each."""

_PUSHES = "pushes (sensor, timestamps_ns, values)"
_T = TypeVar("_T")


class Stream:
    """Takes samples as they come, cuts them into windows, and recognises each; made by `Recogniser.stream`.

    Each window is embedded alone, so that recognitions are the same bit for bit however the samples are cut into
    pushes. What smoothing, rejection and the rest gate do is told in `primus_sdk.streaming.recognition`.

    Every push raises StreamError as `WindowStream` does, and ClosedError once the recogniser or the stream was closed
    (`flush` only where a window waits that nobody can recognise any more). Where a window is complete, it raises
    WindowError if its values are not in m/s^2 with gravity and rad/s, and HeadError if the head now in use was fitted
    with another mount than the stream was made with. Such a window is passed over, and what else the push completed
    comes with the next push or `flush`. Of several that one push passes over, the first's error is raised, and a note
    on it says how many more there were. Where the push before raised as well, what has been recognised meanwhile is
    given first, and the error is raised by the push after: so nothing piles up.

    A stream may be used from several threads, as accelerometer and gyroscope callbacks may be: one waits while the
    other's window is recognised. Which push a window comes out of depends on who was first, the windows do not. `Live`
    is for callbacks that must not wait. One recogniser may serve several streams at once.
    """

    def __init__(
        self,
        recogniser: Embedder,
        windows: WindowStream,
        rules: Rules,
        mount: NDArray[np.float64] | None = None,
    ) -> None:
        """Recognise each window that `windows` gives; see `Recogniser.stream`."""
        self._recogniser = recogniser
        self._windows = windows
        self._mount = mount
        self._sequence = SequenceRecogniser(recogniser, rules, mount)
        self._lock = threading.Lock()
        self._closed = False
        self._sleepers = Sleepers()
        self._waiting: deque[Window] = deque()
        self._done: deque[Recognition] = deque()
        self._error: PrimusError | None = None  # of windows that were passed over, and is still to be raised
        self._more = 0  # windows beside that error's
        self._raised = False  # whether the call before raised such an error

    @property
    def closed(self) -> bool:
        """Whether it or its recogniser was closed."""
        return self._closed or self._recogniser.closed

    @property
    def mount(self) -> NDArray[np.float64] | None:
        """The `(3, 3)` rotation of the head in use when the stream was made; None: that head had none.

        Samples were turned by it after `Sensors.mount`. A head fitted on this stream's embeddings carries it.
        """
        return self._mount

    @property
    def dropped(self) -> Dropped:
        """Samples that no window will show, counted."""
        with self._lock:
            return self._windows.dropped

    @property
    def pending(self) -> bool:
        """Whether recognitions, or an error, of an earlier push come with the next one."""
        return bool(self._done or self._error or self._waiting)

    @property
    def counts(self) -> Counts:
        """Windows so far, and for how many of them the encoder was run."""
        with self._lock:
            return self._sequence.counts

    @property
    def newest_ns(self) -> int | None:
        """The latest time of a finite sample of either sensor, since its clock was last set back.

        None before the first, and after `flush`.
        """
        with self._lock:
            return self._windows.newest_ns

    def push_accelerometer(
        self, timestamps_ns: ArrayLike, values: ArrayLike, gravity: ArrayLike | None = None
    ) -> list[Recognition]:
        """Add accelerometer samples: timestamps `(n,)` in ns and values `(n, 3)`, or one of each.

        Where a device reports gravity apart from the movement, `gravity` has the values' shape and unit.
        """
        return self._all(lambda: self._windows.push_accelerometer(timestamps_ns, values, gravity))

    def push_gyroscope(self, timestamps_ns: ArrayLike, values: ArrayLike) -> list[Recognition]:
        """Add gyroscope samples: timestamps `(n,)` in ns and values `(n, 3)`, or one of each."""
        return self._all(lambda: self._windows.push_gyroscope(timestamps_ns, values))

    def push(self, timestamps_ns: ArrayLike, rows: ArrayLike, gravity: ArrayLike | None = None) -> list[Recognition]:
        """Add samples of both sensors: timestamps `(n,)` in ns and rows `(n, 6)`, or one of each."""
        return self._all(lambda: self._windows.push(timestamps_ns, rows, gravity))

    def flush(self) -> list[Recognition]:
        """End the stream: recognise the windows that were waiting for their last samples. It may be used anew."""
        return self._all(self._windows.flush, ending=True)

    def over(self, source: Iterable[Push]) -> Iterator[Recognition]:
        """The recognitions of all that a source gives, as they come; at its end the stream is flushed.

        source: gives `(sensor, timestamps_ns, values)`, the sensor being "accelerometer", "gyroscope" or "both".

        An error of a push, of a window or of the source ends the iterator, not the stream: `over` may be called again
        with the rest of the source. Recognitions that were not asked for come with whatever the stream is used for
        next.
        """
        if not isinstance(source, Iterable):
            raise arguments.wrong(source, "the source", _PUSHES, StreamError)
        for given in source:
            sensor, times, values = pushed.parts(given)
            self._keep(functools.partial(push_to, self._windows, sensor, times, values))
            yield from self._kept()
        self._keep(self._windows.flush, ending=True)
        yield from self._kept()

    async def aover(self, source: AsyncIterable[Push]) -> AsyncIterator[Recognition]:
        """As `over`, for a source and a consumer that are asynchronous: the encoder runs in a thread.

        A task that is cancelled meanwhile first lets the push under way end, so nothing that the source gave is lost.
        """
        if not isinstance(source, AsyncIterable):
            raise arguments.wrong(source, "the source", f"asynchronous {_PUSHES}", StreamError)
        async for given in source:
            sensor, times, values = pushed.parts(given)
            push = functools.partial(push_to, self._windows, sensor, times, values)
            await in_thread(functools.partial(self._keep, push))
            for recognition in self._kept():
                yield recognition
        await in_thread(functools.partial(self._keep, self._windows.flush, ending=True))
        for recognition in self._kept():
            yield recognition

    def close(self) -> None:
        """Take no more samples: a call under way ends as it would have, every later push raises ClosedError.

        `flush` still gives the windows that were waiting.
        """
        self._closed = True
        self._sleepers.wake()

    def when_closed(self, sleeper: Sleeper) -> None:
        """Wake `sleeper` once the stream or its recogniser is closed; it is held weakly."""
        self._sleepers.add(sleeper)
        self._recogniser.when_closed(sleeper)

    def check_open(self) -> None:
        """Raise ClosedError where the stream or its recogniser was closed."""
        if self._closed:
            raise ClosedError("the stream was closed; make another one: recogniser.stream()")
        if self._recogniser.closed:
            raise closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all(self, cut: Callable[[], list[Window]], *, ending: bool = False) -> list[Recognition]:
        with self._lock:
            self._recognise(cut, ending)
            return list(self._kept()) if self._done else []

    def _keep(self, cut: Callable[[], list[Window]], *, ending: bool = False) -> None:
        with self._lock:
            self._recognise(cut, ending)

    def _kept(self) -> Iterator[Recognition]:
        """What is done, each taken out only when it is asked for: the rest stays for later.

        Needs no lock: whatever thread takes a recognition out, no other one gets it.
        """
        while True:
            try:
                recognition = self._done.popleft()
            except IndexError:  # not asked for first, as another thread may take it
                return
            yield recognition

    def _recognise(self, cut: Callable[[], list[Window]], ending: bool) -> None:
        if (self._closed or self._recogniser.closed) and not ending:
            self.check_open()
        self._waiting += cut()
        while self._waiting:
            try:
                self._done.append(self._sequence.one(self._waiting.popleft()))
            except PrimusError as error:
                if self._error is None:
                    self._error = error
                else:
                    self._more += 1
        if self._error is None or (self._raised and self._done and not ending):
            self._raised = False
            return
        first, more = self._error, self._more
        self._error, self._more, self._raised = None, 0, True
        if more:
            first.add_note(f"(and {more} more windows were passed over)")
        raise first


def push_to(windows: WindowStream, sensor: Sensor, timestamps_ns: ArrayLike, values: ArrayLike) -> list[Window]:
    """Push samples of the sensor that is named.

    Raises:
        StreamError: there is no such sensor; or as `WindowStream`.
    """
    if not isinstance(sensor, str):
        raise arguments.wrong(sensor, "a push's sensor", "a text", StreamError)
    if sensor == "both":
        return windows.push(timestamps_ns, values)
    if sensor == "accelerometer":
        return windows.push_accelerometer(timestamps_ns, values)
    if sensor == "gyroscope":
        return windows.push_gyroscope(timestamps_ns, values)
    raise StreamError(f"there is no sensor {sensor!r}; expected one of {', '.join(map(repr, get_args(Sensor)))}")


async def in_thread(work: Callable[[], _T]) -> _T:
    """The result of `work`, run in a thread; a task that is cancelled meanwhile first waits for its end."""
    import asyncio  # here, since it costs as much as the rest of the SDK's import

    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # seen, or it would be reported as forgotten
        raise
