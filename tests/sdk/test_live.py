"""Callbacks push without waiting, one consumer iterates, and both ends may stop at any time."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from recognitions import Fake

import primus_sdk
from primus_sdk import ClosedError, Live, Recognition, Stream, StreamError, WindowError
from primus_sdk.streaming.recognition import Rules
from primus_sdk.windowing.windows import WindowStream

SECOND = 1_000_000_000


def samples(seconds: float, rate: float = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    times = (np.arange(int(seconds * rate)) * SECOND / rate).astype(np.int64)
    return times, np.random.default_rng(seed).normal(0, 2, (len(times), 3)) + np.array([0, 9.8, 0])


def live_of(fake: Fake | None = None, hop: float = 0.5, **options) -> Live:
    return Live(Stream(fake or Fake(), WindowStream(hop), Rules()), **options)


@pytest.fixture(scope="module")
def expected() -> list[Recognition]:
    stream = Stream(Fake(), WindowStream(0.5), Rules())
    stream.push_accelerometer(*samples(12))
    found = stream.push_gyroscope(*samples(12, 69, seed=1)) + stream.flush()
    assert len(found) == 15
    return found


def assert_same(found: list[Recognition], expected: list[Recognition]) -> None:
    assert [r.window.start_ns for r in found] == [r.window.start_ns for r in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.window.imu.tobytes() == other.window.imu.tobytes()
        assert one.embedding.tobytes() == other.embedding.tobytes()


def push_from_two_threads(live: Live) -> list[threading.Thread]:
    """Sample by sample; the last thread to end closes."""
    left = threading.Semaphore(1)

    def work(push, times, values) -> None:
        for time, value in zip(times.tolist(), values.tolist(), strict=True):
            push(time, value)
        if not left.acquire(blocking=False):
            live.close()

    threads = [
        threading.Thread(target=work, args=(live.push_accelerometer, *samples(12))),
        threading.Thread(target=work, args=(live.push_gyroscope, *samples(12, 69, seed=1))),
    ]
    for thread in threads:
        thread.start()
    return threads


def test_what_two_threads_push_one_consumer_iterates_over(expected: list[Recognition]) -> None:
    live = live_of()
    threads = push_from_two_threads(live)
    assert_same(list(live), expected)
    assert live.overflowed == 0
    assert not any(thread.join(10) or thread.is_alive() for thread in threads)


def test_the_consumer_may_be_asynchronous(expected: list[Recognition]) -> None:
    async def run() -> list[Recognition]:
        live = live_of()
        push_from_two_threads(live)
        return [r async for r in live]

    assert_same(asyncio.run(run()), expected)


def test_a_waiting_consumer_is_woken_by_a_push_and_leaves_the_event_loop_free() -> None:
    async def run() -> list[Recognition]:
        live, found = live_of(), []

        async def consume() -> None:
            async for recognition in live:
                found.append(recognition)

        task = asyncio.create_task(consume())
        await asyncio.sleep(0)
        times, values = samples(6)
        live.push(times, np.hstack([values, values]))
        while not found:
            await asyncio.sleep(0.001)
        live.close()
        await task
        return found

    assert len(asyncio.run(run())) == 3


def test_a_push_does_not_wait_for_the_encoder() -> None:
    go_on, begun = threading.Event(), threading.Event()
    live = live_of(Fake(lambda: (begun.set(), go_on.wait(20))))
    found: list[Recognition] = []
    consumer = threading.Thread(target=lambda: found.extend(live))
    consumer.start()
    times, values = samples(12)
    live.push(times[:600], np.hstack([values, values])[:600])
    assert begun.wait(20)
    live.push(times[600:], np.hstack([values, values])[600:])  # or it would wait here, and go_on never come
    live.close()
    go_on.set()
    consumer.join(20)
    assert len(found) == 15


def test_where_nobody_consumes_the_oldest_are_dropped_and_counted() -> None:
    times, values = samples(60)
    rows = np.hstack([values, values])
    for size in (1, 7, 999, 6000):
        live = live_of(hop=1.0, capacity=2000)
        for start in range(0, len(times), size):
            live.push(times[start : start + size], rows[start : start + size])
        assert live.overflowed == 2 * 6000 - 2000
        live.close()
        starts = [r.window.start_ns / SECOND for r in live]
        # The newest 1000 of each sensor, give or take the 64 that one may be ahead of the other.
        assert len(starts) in (5, 6)
        assert 49.9 < starts[0] < 50.7
    assert live.stream.newest_ns is None


def test_a_push_larger_than_the_capacity_keeps_its_newest_samples() -> None:
    live = live_of(hop=1.0, capacity=1000)
    live.push_gyroscope(*samples(60))
    live.close()
    assert list(live) == []
    assert live.overflowed == 5000
    assert live.stream.dropped.unpaired > 0 or live.stream.counts.windows == 0


def test_what_is_pushed_may_be_written_to_afterwards(expected: list[Recognition]) -> None:
    live = live_of()
    for push, (times, values) in (
        (live.push_accelerometer, samples(12)),
        (live.push_gyroscope, samples(12, 69, seed=1)),
    ):
        push(times, values)
        times[:], values[:] = 0, 0
    live.close()
    assert_same(list(live), expected)


def test_after_close_a_push_is_a_closed_error_and_the_iteration_is_over() -> None:
    with live_of() as live:
        pass
    with pytest.raises(ClosedError, match="after close"):
        live.push_accelerometer(0, [0.0, 9.8, 0.0])
    assert list(live) == []
    live.close()
    assert list(live) == []


@pytest.mark.parametrize(
    ("push", "given"),
    [
        ("push_accelerometer", (1.5, [0, 9.8, 0])),
        ("push_accelerometer", ([1, 2], [[0, 9.8, 0]])),
        ("push_accelerometer", ([1], [[0, 9.8]])),
        ("push_accelerometer", ([1], [["a", "b", "c"]])),
        ("push_accelerometer", ([1], [[0, 9.8, 0]], [[0, 9.8]])),
        ("push_gyroscope", ([1], [[0, 0, 0], [0, 0, 0]])),
        ("push_gyroscope", ([[1]], [[0, 0, 0]])),
        ("push", ([1], [[0, 0, 0]])),
        ("push", ([1], np.zeros((1, 1, 6)))),
    ],
)
def test_a_malformed_push_raises_in_its_own_thread_and_nothing_of_it_is_taken(push, given) -> None:
    live = live_of()
    with pytest.raises(StreamError):
        getattr(live, push)(*given)
    live.close()
    assert list(live) == []
    assert live.stream.newest_ns is None


def test_a_push_of_no_samples_is_none() -> None:
    live = live_of()
    live.push([], [])
    live.push_accelerometer([], [])
    live.close()
    assert list(live) == []


def test_an_error_of_recognition_is_the_consumers_and_it_may_go_on() -> None:
    times, values = samples(20)
    rows = np.hstack([values, values])
    rows[500:1000] = 100
    live, found, errors = live_of(hop=5.0), [], 0
    live.push(times, rows)
    live.close()
    while True:
        try:
            found.extend(r.window.start_ns // SECOND for r in live)
            break
        except WindowError:
            errors += 1
    assert (found, errors) == ([0, 10, 15], 1)


def test_after_an_error_of_one_sensors_samples_the_others_are_still_taken() -> None:
    (times, values), live, found = samples(30), live_of(hop=5.0), []
    values[1000:1500] = 100
    live.push_gyroscope(times[:2000], values[:2000])
    live.push_accelerometer(times[:600], values[:600])
    found.append(next(live))
    live.push_gyroscope(times[2000:], values[2000:])
    live.push_accelerometer(times[600:], values[600:])
    live.close()
    with pytest.raises(WindowError):
        found.extend(live)
    found.extend(live)
    assert [r.window.start_ns // SECOND for r in found] == [0, 5, 15, 20, 25]


def test_of_slow_sensors_nothing_that_was_queued_is_lost() -> None:
    times, values = samples(1500, rate=20)  # 60,000 samples: as much as the queue holds, and 25 minutes
    rows = np.hstack([values, values])
    live, stream = live_of(hop=5.0), Stream(Fake(), WindowStream(5.0), Rules())
    whole = stream.push(times, rows) + stream.flush()
    live.push(times, rows)
    live.close()
    assert_same(list(live), whole)
    assert live.overflowed == live.stream.dropped.unpaired == 0


@pytest.mark.parametrize("close_it", [lambda live, recogniser: recogniser.close(), lambda live, _: live.stream.close()])
def test_closing_the_recogniser_or_the_stream_wakes_a_waiting_consumer(folder: Path, close_it) -> None:
    recogniser = primus_sdk.load(folder)
    live = Live(recogniser.stream())
    ends: list[object] = []

    def consume() -> None:
        try:
            ends.append(list(live))
        except ClosedError as error:
            ends.append(error)

    async def aconsume() -> None:
        with pytest.raises(ClosedError):
            await anext(asynchronous)

    thread = threading.Thread(target=consume)
    thread.start()
    asynchronous = Live(recogniser.stream())

    async def run() -> None:
        task = asyncio.create_task(aconsume())
        await asyncio.sleep(0.01)
        close_it(asynchronous, recogniser)
        await asyncio.wait_for(task, 20)

    asyncio.run(run())
    close_it(live, recogniser)
    thread.join(20)
    assert [type(end) for end in ends] == [ClosedError]
    for waits in (live, asynchronous):
        with pytest.raises(ClosedError):
            next(waits)
        waits.close()
        assert list(waits) == []


def test_a_consumer_that_is_cancelled_loses_nothing(expected: list[Recognition]) -> None:
    async def run() -> None:
        begun, go_on = threading.Event(), threading.Event()
        live, found = live_of(Fake(lambda: (begun.set(), go_on.wait(20)))), []

        async def consume() -> None:
            async for recognition in live:
                found.append(recognition)

        waiting = asyncio.create_task(consume())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        working = asyncio.create_task(consume())
        live.push_accelerometer(*samples(12))
        live.push_gyroscope(*samples(12, 69, seed=1))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        working.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await working
        live.close()
        found += [r async for r in live]
        assert_same(found, expected)

    asyncio.run(run())


def test_a_push_after_the_consumers_event_loop_is_over_is_nobodys_error() -> None:
    live = live_of()

    async def run() -> None:
        waiting = asyncio.ensure_future(anext(live))
        await asyncio.sleep(0.01)
        waiting.cancel()

    asyncio.run(run())
    times, values = samples(6)
    live.push(times, np.hstack([values, values]))
    live.close()
    assert len(list(live)) == 3


def test_gravity_that_comes_apart_is_added_and_may_come_and_go(expected: list[Recognition]) -> None:
    (times, values), gyroscope = samples(12), samples(12, 69, seed=1)
    gravity = np.tile([0, 9.8, 0], (len(times), 1))
    apart = np.arange(len(times)) % 3 == 0
    whole = Stream(Fake(), WindowStream(0.5), Rules())
    whole.push_accelerometer(times, np.where(apart[:, np.newaxis], values - gravity + gravity, values))
    live = live_of()
    for time, value, down, is_apart in zip(times, values, gravity, apart, strict=True):
        if is_apart:
            live.push_accelerometer(int(time), value - down, down)
        else:
            live.push_accelerometer(int(time), value)
    live.push_gyroscope(*gyroscope)
    live.close()
    assert_same(list(live), whole.push_gyroscope(*gyroscope) + whole.flush())
    assert len(expected) == 15


@pytest.mark.parametrize("capacity", [0, -1, 1.5])
def test_a_capacity_below_one_is_refused(capacity) -> None:
    with pytest.raises(StreamError, match="capacity"):
        live_of(capacity=capacity)


def test_a_recogniser_keeps_no_live_that_nobody_uses(folder: Path) -> None:
    with primus_sdk.load(folder) as recogniser:
        forgotten = weakref.ref(Live(recogniser.stream()))
        gc.collect()
        assert forgotten() is None
