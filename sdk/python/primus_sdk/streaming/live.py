"""Sensor callbacks in, recognitions out: pushes that never wait, and one consumer that iterates."""

from __future__ import annotations

import functools
import itertools
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.errors import ClosedError, StreamError
from primus_sdk.streaming.recognition import Recognition
from primus_sdk.streaming.stream import Sensor, Stream, in_thread
from primus_sdk.windowing import pushed

if TYPE_CHECKING:
    import asyncio

DEFAULT_CAPACITY = 60_000
"""Samples of one sensor: five minutes of two sensors at 100 Hz."""
_BY_TURNS = 64
_TOGETHER = 4096  # samples of a sensor: of slow ones, more would be the ten minutes that one may run ahead of the other


class _Samples(NamedTuple):
    sensor: Sensor
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    gravity: NDArray[np.float64] | None


class Live:
    """Takes samples from any thread at once, and gives recognitions to one consumer, a `for` or an `async for`.

    with Live(recogniser.stream()) as live:
        sensor.on_accelerometer(live.push_accelerometer)  # (timestamps_ns, values), from any thread
        sensor.on_gyroscope(live.push_gyroscope)
        for recognition in live: ...

    A push checks shapes and types, copies, and returns: it never waits for the encoder. Where the consumer is too slow
    the oldest samples are dropped and counted in `overflowed`; the stream sees a gap. `close` ends the iteration once
    all that was pushed is recognised. Errors of recognition (WindowError, HeadError, and ClosedError once the
    recogniser or the stream was closed) are raised to the consumer, which may go on with the next recognition.
    """

    def __init__(self, stream: Stream, capacity: int = DEFAULT_CAPACITY) -> None:
        """Push into `stream`, which nobody else pushes into; keep up to `capacity` samples (of one sensor each).

        Raises:
            StreamError: the capacity is below 1, or the stream is none.
        """
        self._stream = arguments.instance(stream, Stream, "what is pushed into", StreamError)
        self._capacity = arguments.whole(capacity, "the capacity", "1 sample or more", StreamError, 1)
        self._changed = threading.Condition()
        self._queue: deque[_Samples] = deque()
        self._queued = 0
        self._overflowed = 0
        self._closed = self._flushed = False
        self._sleeper: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._merged: deque[_Samples] = deque()  # the consumer's, as is what is done
        self._done: deque[Recognition] = deque()
        stream.when_closed(self)

    @property
    def stream(self) -> Stream:
        """The stream that is pushed into, for its `dropped`, `counts` and `newest_ns`."""
        return self._stream

    @property
    def overflowed(self) -> int:
        """Samples (of one sensor each) that were dropped since the consumer was too slow."""
        return self._overflowed

    def push_accelerometer(self, timestamps_ns: ArrayLike, values: ArrayLike, gravity: ArrayLike | None = None) -> None:
        """Add accelerometer samples; as `Stream.push_accelerometer`.

        Raises:
            StreamError: shapes or types are wrong; none of these samples is then taken.
            ClosedError: `close` was called.
        """
        times = pushed.times(timestamps_ns)
        acceleration = _matrix(values, len(times), 3, "accelerometer values")
        apart = None if gravity is None else _matrix(gravity, len(times), 3, "gravity values")
        self._put(_Samples("accelerometer", times, acceleration, apart))

    def push_gyroscope(self, timestamps_ns: ArrayLike, values: ArrayLike) -> None:
        """Add gyroscope samples; as `push_accelerometer`."""
        times = pushed.times(timestamps_ns)
        self._put(_Samples("gyroscope", times, _matrix(values, len(times), 3, "gyroscope values"), None))

    def push(self, timestamps_ns: ArrayLike, rows: ArrayLike, gravity: ArrayLike | None = None) -> None:
        """Add samples of both sensors, rows `(n, 6)`; as `push_accelerometer`."""
        times = pushed.times(timestamps_ns)
        samples = _matrix(rows, len(times), 6, "rows")
        apart = None if gravity is None else _matrix(gravity, len(times), 3, "gravity values")
        parts = []
        for start in range(0, len(times), _BY_TURNS):  # so that what may be dropped is the oldest of both
            part = slice(start, start + _BY_TURNS)
            down = None if apart is None else apart[part]
            parts.append(_Samples("accelerometer", times[part], samples[part, :3], down))
            parts.append(_Samples("gyroscope", times[part], samples[part, 3:], None))
        self._put(*parts)

    def close(self) -> None:
        """Take no more samples; the iteration ends once all that was pushed is recognised."""
        with self._changed:
            self._closed = True
            self._wake()

    def wake(self) -> None:
        """Look again whether the recogniser or the stream was closed; they call this."""
        with self._changed:
            self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Recognition]:
        return self

    def __next__(self) -> Recognition:
        while not self._done:
            with self._changed:
                self._changed.wait_for(self._anything)
                work = self._work()
            if work is None:
                raise StopIteration
            self._recognise(work)
        return self._done.popleft()

    def __aiter__(self) -> AsyncIterator[Recognition]:
        return self

    async def __anext__(self) -> Recognition:
        while not self._done:
            await self._sleep()
            with self._changed:
                if not self._anything():
                    continue
                work = self._work()
            if work is None:
                raise StopAsyncIteration
            await in_thread(functools.partial(self._recognise, work))
        return self._done.popleft()

    def _put(self, *samples: _Samples) -> None:
        with self._changed:
            if self._closed:
                raise ClosedError("samples were pushed after close(); make another Live(recogniser.stream())")
            for part in samples:
                if len(part.times):
                    self._queue.append(part)
                    self._queued += len(part.times)
            while (excess := self._queued - self._capacity) > 0:
                oldest = self._queue.popleft()
                gone = min(excess, len(oldest.times))
                if gone < len(oldest.times):
                    self._queue.appendleft(_without(oldest, gone))
                self._queued -= gone
                self._overflowed += gone
            self._wake()

    def _wake(self) -> None:
        self._changed.notify_all()
        sleeper, self._sleeper = self._sleeper, None
        if sleeper is not None:
            loop, future = sleeper
            try:
                loop.call_soon_threadsafe(_set, future)
            except RuntimeError:  # its loop is over, and the consumer with it; no concern of the thread that pushes
                return

    async def _sleep(self) -> None:
        """Wait, without a thread, until there may be something to do."""
        import asyncio

        loop = asyncio.get_running_loop()
        with self._changed:
            if self._anything():
                return
            future = loop.create_future()
            self._sleeper = (loop, future)
        await future

    def _anything(self) -> bool:
        return bool(self._queue or self._merged) or self._closed or self._stream.closed or self._stream.pending

    def _work(self) -> list[_Samples] | None:
        """All samples that came since; None: it is over. Under the lock."""
        if self._merged:  # of before an error; meanwhile the queue is bounded
            return []
        if self._queue:
            work, self._queued = list(self._queue), 0
            self._queue.clear()
            return work
        if not self._closed:
            self._stream.check_open()  # raises, unless it is for what an error left behind that this woke
        return None if self._flushed else []

    def _recognise(self, work: list[_Samples]) -> None:
        """Push what came and, where that is nothing, end the stream; after an error the next call goes on."""
        self._merged += _merged(work)
        if not self._merged:
            if not self._closed:
                self._done += self._stream.push(_NO_TIMES, _NO_ROWS)  # what came of those before an error
                return
            self._done += self._stream.flush()
            self._flushed = True
        while self._merged:
            sensor, times, values, gravity = self._merged.popleft()
            try:
                if sensor == "accelerometer":
                    self._done += self._stream.push_accelerometer(times, values, gravity)
                else:
                    self._done += self._stream.push_gyroscope(times, values)
            except ClosedError:  # what was queued is lost
                self._merged.clear()
                raise


_NO_TIMES, _NO_ROWS = np.zeros(0, np.int64), np.zeros((0, 6))


def _merged(samples: list[_Samples]) -> Iterator[_Samples]:
    """Each sensor's samples in few pushes: the order between the sensors does not matter, and many small ones cost."""
    together: list[_Samples] = []
    counts = {"accelerometer": 0, "gyroscope": 0}
    for part in samples:
        if together and counts[part.sensor] + len(part.times) > _TOGETHER:
            yield from _by_sensor(together)
            together, counts = [], dict.fromkeys(counts, 0)
        together.append(part)
        counts[part.sensor] += len(part.times)
    yield from _by_sensor(together)


def _by_sensor(samples: list[_Samples]) -> Iterator[_Samples]:
    by_sensor = sorted(samples, key=lambda part: part.sensor)
    for (sensor, bare), group in itertools.groupby(by_sensor, key=lambda part: (part.sensor, part.gravity is None)):
        parts = list(group)
        gravity = None if bare else np.concatenate([part.gravity for part in parts if part.gravity is not None])
        yield _Samples(
            sensor,
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.values for part in parts]),
            gravity,
        )


def _matrix(values: ArrayLike, count: int, width: int, name: str) -> NDArray[np.float64]:
    """Values as (n, width), one row for each of `count` times."""
    samples = pushed.floats(values)
    if samples.ndim == 1:
        samples = samples[np.newaxis] if samples.size else samples.reshape(0, width)
    if samples.ndim != 2 or samples.shape[1] != width:
        raise StreamError(f"{name} have the shape {samples.shape}; expected (n, {width}) or ({width},)")
    if len(samples) != count:
        raise StreamError(f"{count} timestamps for {len(samples)} {name}; expected as many")
    return samples


def _without(samples: _Samples, oldest: int) -> _Samples:
    """The samples but for the oldest; not copied, unless that frees more than it costs."""
    copy = 2 * oldest >= len(samples.times)

    def rest(column: NDArray[Any]) -> NDArray[Any]:
        return column[oldest:].copy() if copy else column[oldest:]

    gravity = None if samples.gravity is None else rest(samples.gravity)
    return _Samples(samples.sensor, rest(samples.times), rest(samples.values), gravity)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
