"""Windows that are passed over with an error: nothing else is lost, nothing piles up, and nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import nullcontext

import numpy as np
import pytest
from recognitions import Fake

from primus_sdk import ClosedError, Live, Stream, WindowError
from primus_sdk.streaming.recognition import Rules
from primus_sdk.windowing.windows import WindowStream

SECOND = 1_000_000_000


def samples(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    times = np.arange(int(seconds * 100)) * (SECOND // 100)
    return times, np.random.default_rng(0).normal(0, 2, (len(times), 3)) + np.array([0, 9.8, 0])


def stream_of(fake: Fake, hop: float) -> Stream:
    return Stream(fake, WindowStream(hop), Rules())


def live_of(hop: float, **options) -> Live:
    return Live(stream_of(Fake(), hop), **options)


def refusing(*refused: float) -> Fake:
    """Refuses the windows that begin at these seconds, told by the first sample's z, which holds its second."""
    fake = Fake()

    def embed(windows):
        if round(float(windows[2, 0]), 1) in refused:
            raise WindowError("made to fail")
        return np.zeros(512, np.float32)

    fake.embed = embed
    return fake


def counting(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows of both sensors whose z is the time in seconds: of a line the grid's points are the line."""
    times = np.arange(int(seconds * 100)) * (SECOND // 100)
    rows = np.zeros((len(times), 6))
    rows[:, 2] = times / SECOND
    return times, rows


def test_what_a_push_completed_beside_a_refused_window_comes_with_the_next() -> None:
    stream, (times, rows) = stream_of(refusing(1.0, 2.0), hop=1.0), counting(12)
    with pytest.raises(WindowError, match="made to fail") as raised:
        stream.push(times[:900], rows[:900])
    assert raised.value.__notes__ == ["(and 1 more windows were passed over)"]
    assert stream.pending
    assert [r.window.start_ns // SECOND for r in stream.push(times[900:], rows[900:])] == [0, 3, 4, 5, 6]
    assert not stream.pending
    assert [r.window.start_ns // SECOND for r in stream.flush()] == [7]


def test_nothing_piles_up_where_every_push_has_windows_that_are_refused() -> None:
    times, rows = counting(60)
    refused = [round(second * 0.1, 1) for second in range(0, 600, 2)]
    stream, found, errors, most = stream_of(refusing(*refused), hop=0.1), [], 0, 0
    for start in range(0, len(times), 50):  # five windows a push
        try:
            found += stream.push(times[start : start + 50], rows[start : start + 50])
        except WindowError as error:
            errors += 1 + (int(error.__notes__[0].split()[1]) if hasattr(error, "__notes__") else 0)
        most = max(most, len(stream._waiting) + len(stream._done))
    assert most <= 10
    with pytest.raises(WindowError) as last:
        stream.flush()
    errors += 1 + (int(last.value.__notes__[0].split()[1]) if hasattr(last.value, "__notes__") else 0)
    found += stream.flush()
    assert len(found) == stream.counts.encoded
    assert errors == stream.counts.windows - stream.counts.encoded
    assert [r.window.start_ns for r in found] == sorted(r.window.start_ns for r in found)
    assert (len(found), errors) == (275, 276)


def test_a_push_of_windows_that_are_all_refused_raises_each_time() -> None:
    stream, (times, rows) = stream_of(refusing(*[float(second) for second in range(20)]), hop=1.0), counting(20)
    for start in range(0, 2000, 100):
        with pytest.raises(WindowError) if start >= 500 else nullcontext():
            stream.push(times[start : start + 100], rows[start : start + 100])


def test_closed_in_mid_push_the_windows_after_it_are_one_error_and_those_before_come_with_flush() -> None:
    times, rows = counting(20)
    fake, seen = Fake(), []
    fake.before = lambda: seen.append(0) or (len(seen) == 4 and setattr(fake, "closed", True))
    stream = stream_of(fake, hop=1.0)
    with pytest.raises(ClosedError) as raised:
        stream.push(times, rows)
    assert raised.value.__notes__
    with pytest.raises(ClosedError):  # of the window that was waiting for its last samples
        stream.flush()
    assert [r.window.start_ns // SECOND for r in stream.flush()] == [0, 1, 2, 3]
    assert stream.flush() == []


def test_after_an_error_what_is_complete_comes_without_another_push() -> None:
    times, values = samples(20)
    rows = np.hstack([values, values])
    rows[:500] = 100
    live = live_of(hop=5.0)
    live.push(times, rows)
    with pytest.raises(WindowError):
        next(live)
    assert [next(live).window.start_ns // SECOND for _ in range(2)] == [5, 10]

    async def rest() -> int:
        other = live_of(hop=5.0)
        other.push(times, rows)
        with pytest.raises(WindowError):
            await anext(other)
        return (await anext(other)).window.start_ns // SECOND

    assert asyncio.run(rest()) == 5


def test_memory_is_bounded_where_the_consumer_stops_at_each_error() -> None:
    live = live_of(hop=1.0, capacity=20_000)
    times, rows = np.arange(120_000) * (SECOND // 100), np.full((120_000, 6), 100.0)  # every window is refused
    for start in range(0, len(times), 10_000):
        live.push(times[start : start + 10_000], rows[start : start + 10_000])
        with contextlib.suppress(WindowError):
            next(live)
        assert sum(len(part.times) for part in (*live._queue, *live._merged)) <= 2 * 20_000
    assert live.overflowed > 0


def test_after_stream_and_live_are_closed_one_error_ends_it() -> None:
    times, values = samples(300)
    live = live_of(hop=5.0)
    live.push(times, np.hstack([values, values]))
    live.stream.close()
    live.close()
    errors = 0
    while True:
        try:
            found = list(live)
            break
        except ClosedError:
            errors += 1
    assert (errors, found) == (1, [])
