"""A stream's pushes, iterators, threads and end; what its recognitions say is in test_recognition."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import primus_sdk
from primus_sdk import ClosedError, Counts, Dropped, Head, Recogniser, Recognition, Sensors, Stream, StreamError
from primus_sdk.streaming.recognition import Rules
from primus_sdk.windowing.windows import WindowStream

SECOND = 1_000_000_000
QUARTER = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


def samples(seconds: float, rate: float = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    times = (np.arange(int(seconds * rate)) * SECOND / rate).astype(np.int64)
    return times, np.random.default_rng(seed).normal(0, 2, (len(times), 3)) + np.array([0, 9.8, 0])


def source(seconds: float = 12, piece: int = 40):
    """Pushes of both sensors by turns."""
    accelerometer, gyroscope = samples(seconds), samples(seconds, 69, seed=1)
    for start in range(0, len(accelerometer[0]), piece):
        part = slice(start, start + piece)
        yield "accelerometer", accelerometer[0][part], accelerometer[1][part]
        yield "gyroscope", gyroscope[0][part], gyroscope[1][part]


async def asynchronous(pushes):
    for push in pushes:
        yield push


class Fake:
    """Embeds a window as its mean; `before` is called before each embedding."""

    def __init__(self, before=lambda: None) -> None:
        self.head, self.closed, self.before = None, False, before

    def embed(self, windows):
        self.before()
        return np.full(512, windows.mean(), np.float32)

    def when_closed(self, sleeper) -> None:
        pass


def stream_of(fake: Fake, hop: float = 0.5) -> Stream:
    return Stream(fake, WindowStream(hop), Rules())


def pushed(stream: Stream, pushes) -> list[Recognition]:
    by_sensor = {"accelerometer": stream.push_accelerometer, "gyroscope": stream.push_gyroscope, "both": stream.push}
    return [r for sensor, times, values in pushes for r in by_sensor[sensor](times, values)] + stream.flush()


def assert_same(found: list[Recognition], expected: list[Recognition]) -> None:
    assert [r.window.start_ns for r in found] == [r.window.start_ns for r in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.window.quality == other.window.quality
        assert one.window.imu.tobytes() == other.window.imu.tobytes()
        assert one.embedding.tobytes() == other.embedding.tobytes()


@pytest.fixture
def recogniser(folder: Path):
    with primus_sdk.load(folder) as recogniser:
        yield recogniser


@pytest.fixture(scope="module")
def expected() -> list[Recognition]:
    found = pushed(stream_of(Fake()), source())
    assert len(found) == 15
    return found


def test_over_a_source_gives_what_pushes_and_flush_give(expected: list[Recognition]) -> None:
    assert_same(list(stream_of(Fake()).over(source())), expected)


def test_over_rows_of_both_sensors_and_single_samples() -> None:
    times, values = samples(7)
    rows = np.hstack([values, values])
    whole = pushed(stream_of(Fake()), [("both", times, rows)])
    assert len(whole) > 3
    one_by_one = (("both", int(time), row) for time, row in zip(times, rows, strict=True))
    assert_same(list(stream_of(Fake()).over(one_by_one)), whole)


def test_recognitions_of_over_that_were_not_asked_for_come_next(expected: list[Recognition]) -> None:
    stream, pushes = stream_of(Fake()), source(piece=600)
    first = stream.over(pushes)
    found = [next(first)]
    first.close()
    assert_same(found + list(stream.over(pushes)), expected)


def test_after_an_error_over_goes_on_with_the_rest(expected: list[Recognition]) -> None:
    stream, good = stream_of(Fake()), list(source())
    pushes = iter([*good[:9], ("gyroscope", [1.5], [[0, 0, 0]]), ("magnetometer", [1], [[0, 0, 0]]), *good[9:]])
    found: list[Recognition] = []
    for message in ("whole nanoseconds", "there is no sensor 'magnetometer'"):
        with pytest.raises(StreamError, match=message):
            found.extend(stream.over(pushes))
    assert_same(found + list(stream.over(pushes)), expected)


def test_aover_gives_the_same(expected: list[Recognition]) -> None:
    async def run() -> list[Recognition]:
        return [r async for r in stream_of(Fake()).aover(asynchronous(source()))]

    assert_same(asyncio.run(run()), expected)


def test_aover_leaves_the_event_loop_free_while_the_encoder_runs() -> None:
    free, waited = threading.Event(), []

    async def other() -> None:
        free.set()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        fake = Fake(lambda: (loop.call_soon_threadsafe(free.set), waited.append(free.wait(20))))
        assert [r async for r in stream_of(fake).aover(asynchronous(source(6)))]

    asyncio.run(run())
    assert waited
    assert all(waited)


def test_a_cancelled_aover_loses_nothing_and_leaves_the_stream_usable(expected: list[Recognition]) -> None:
    async def run() -> None:
        begun, go_on = threading.Event(), threading.Event()
        fake = Fake(lambda: (begun.set(), go_on.wait(20)))
        stream, pushes, found = stream_of(fake), source(), []

        async def consume() -> None:
            async for recognition in stream.aover(asynchronous(pushes)):
                found.append(recognition)

        task = asyncio.create_task(consume())
        while not begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        asyncio.get_running_loop().call_later(0.01, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        found += [r async for r in stream.aover(asynchronous(pushes))]
        assert_same(found, expected)

    asyncio.run(run())


def test_two_threads_may_push_one_sensor_each(expected: list[Recognition]) -> None:
    for _ in range(5):
        stream, found = stream_of(Fake()), []

        def work(sensor: str, stream: Stream = stream, found: list[Recognition] = found) -> None:
            push = stream.push_accelerometer if sensor == "accelerometer" else stream.push_gyroscope
            for of, times, values in source(piece=7):
                if of == sensor:
                    found.extend(push(times, values))

        run_threads([lambda w=work: w("accelerometer"), lambda w=work: w("gyroscope")])
        found += stream.flush()
        assert_same(sorted(found, key=lambda r: r.window.start_ns), expected)


def test_a_push_of_one_thread_waits_for_that_of_another() -> None:
    inside, overlaps = threading.Lock(), []

    class Slow(WindowStream):
        def push_accelerometer(self, *given):
            return self.alone(super().push_accelerometer, given)

        def push_gyroscope(self, *given):
            return self.alone(super().push_gyroscope, given)

        def alone(self, push, given):
            overlaps.append(not inside.acquire(blocking=False))
            time.sleep(0.002)
            done = push(*given)
            inside.release()
            return done

    stream = Stream(Fake(), Slow(), Rules())
    times, values = samples(1)

    def work(push) -> None:
        for start in range(0, 100, 10):
            push(times[start : start + 10], values[start : start + 10])

    run_threads([lambda: work(stream.push_accelerometer), lambda: work(stream.push_gyroscope)])
    assert overlaps == [False] * 20


def test_no_recognition_comes_twice_or_never_where_one_thread_iterates_and_others_push() -> None:
    for _ in range(5):
        stream, found = stream_of(Fake(lambda: time.sleep(0.0005)), 0.02), [[], [], []]
        pushes = list(source(9, 10))
        accelerometer = [push for push in pushes if push[0] == "accelerometer"]
        gyroscope = [push for push in pushes if push[0] == "gyroscope"]

        def iterate(pushes=accelerometer, stream=stream, found=found[0]) -> None:
            found += stream.over(iter(pushes))

        def push_all(pushes=gyroscope, stream=stream, found=found[1]) -> None:
            for _, times, values in pushes:
                found += stream.push_gyroscope(times, values)

        run_threads([iterate, push_all])
        found[2] += stream.flush()
        # `over` flushes at its end, so which windows there are depends on the turns; that each comes once does not.
        every = [id(recognition.window) for part in found for recognition in part]
        assert len(every) == len(set(every)) == stream.counts.windows


def test_one_recogniser_serves_several_streams_at_once(recogniser: Recogniser) -> None:
    alone = pushed(recogniser.stream(0.5), source())
    found: dict[int, list[Recognition]] = {}
    run_threads([lambda n=n: found.update({n: pushed(recogniser.stream(0.5), source())}) for n in range(4)])
    for number in range(4):
        assert_same(found[number], alone)


def test_closing_the_recogniser_during_pushes_gives_closed_errors_only(folder: Path) -> None:
    for _ in range(5):
        recogniser = primus_sdk.load(folder)
        begun, ends = threading.Barrier(5), []

        def work(recogniser: Recogniser = recogniser, begun: threading.Barrier = begun, ends=ends) -> None:
            try:
                stream = recogniser.stream(0.02)
                begun.wait()
                for _ in range(1000):
                    pushed(stream, source(6))
            except BaseException as error:
                ends.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.wait()
        recogniser.close()
        for thread in threads:
            thread.join(20)
        assert [type(end) for end in ends] == [ClosedError] * 4


def test_a_closed_stream_takes_no_more_but_gives_what_was_waiting(expected: list[Recognition]) -> None:
    pushes = list(source())
    with stream_of(Fake()) as stream:
        found = [r for push in pushes for r in getattr(stream, f"push_{push[0]}")(*push[1:])]
    assert stream.closed
    for push in (stream.push_accelerometer, stream.push_gyroscope):
        with pytest.raises(ClosedError, match="the stream was closed"):
            push(*pushes[0][1:])
    assert_same(found + stream.flush(), expected)


def test_a_stream_knows_its_newest_sample_its_counts_and_what_was_dropped() -> None:
    stream = stream_of(Fake(), hop=1.0)
    assert (stream.newest_ns, stream.counts, stream.dropped) == (None, Counts(), Dropped())
    times, values = samples(6)
    values[9] = np.nan
    stream.push_accelerometer(times, values)
    assert stream.newest_ns == times[-1]
    stream.push_gyroscope(times, values)
    assert stream.dropped == Dropped(invalid=2)
    assert stream.counts == Counts(windows=1, encoded=1, held=0)
    stream.flush()
    assert stream.counts.windows == 2
    assert stream.newest_ns is None


def test_gravity_that_comes_apart_is_added() -> None:
    times, values = samples(6)
    gravity = np.tile([0, 9.8, 0], (len(times), 1))
    together, apart = stream_of(Fake()), stream_of(Fake())
    together.push_gyroscope(times, values)
    apart.push_gyroscope(times, values)
    whole = together.push_accelerometer(times, values - gravity + gravity) + together.flush()
    assert_same(apart.push_accelerometer(times, values - gravity, gravity) + apart.flush(), whole)
    rows = stream_of(Fake())
    assert_same(rows.push(times, np.hstack([values - gravity, values]), gravity) + rows.flush(), whole)


def test_at_rest_the_encoder_is_spared_and_the_stream_counts_it(recogniser: Recogniser) -> None:
    times = np.arange(2000) * (SECOND // 100)
    rows = np.tile([0, 9.8, 0, 0, 0, 0], (2000, 1)) + np.random.default_rng(0).normal(0, 1e-3, (2000, 6))
    recogniser.head = made_head(recogniser)
    stream, always = recogniser.stream(1.0, rest_gate=True), recogniser.stream(1.0)
    found = stream.push(times, rows) + stream.flush()
    assert [r.held for r in found] == [False] + [True] * 15
    assert stream.counts == Counts(windows=16, encoded=1, held=15)
    assert not any(r.held for r in always.push(times, rows))


def made_head(recogniser: Recogniser, mount: np.ndarray | None = None) -> Head:
    weight = np.random.default_rng(0).normal(size=(2, 512))
    return Head(("a", "b"), weight, np.zeros(2), recogniser.manifest.encoder_sha256, mount=mount)


def test_a_head_turns_the_samples_of_a_stream_by_its_mount_after_the_sensors(recogniser: Recogniser) -> None:
    tilted = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    plain = pushed(recogniser.stream(1.0, sensors=Sensors(mount=QUARTER @ tilted)), source())
    recogniser.head = made_head(recogniser, QUARTER)
    stream = recogniser.stream(1.0, sensors=Sensors(mount=tilted))
    assert np.array_equal(stream.mount, QUARTER)
    assert_same(pushed(stream, source()), plain)
    assert_same(list(recogniser.replay(source(), 1.0, sensors=Sensors(mount=tilted), batch=1)), plain)
    recogniser.head = made_head(recogniser)
    assert recogniser.stream().mount is None


def test_a_stream_option_out_of_its_range_is_refused(recogniser: Recogniser) -> None:
    for wrong in ({"smoothing": 0}, {"reject_below": 2.0}, {"hop": 0.01}):
        with pytest.raises(StreamError):
            recogniser.stream(**wrong)
        with pytest.raises(StreamError):
            recogniser.replay(source(), **wrong)


def run_threads(works) -> None:
    errors: list[BaseException] = []

    def guarded(work) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)


def test_a_window_that_a_threshold_rejects_has_no_label_but_a_likeliest(
    recogniser: Recogniser, made: SimpleNamespace
) -> None:
    recogniser.head = made_head(recogniser)
    window = made.windows(1)[0]
    plain, rejected = recogniser.predict(window), recogniser.predict(window, reject_below=1.0)
    assert plain.label == plain.likeliest == rejected.likeliest
    assert rejected.label is None or rejected.probability == 1.0
    with pytest.raises(StreamError, match="reject_below"):
        recogniser.predict(window, reject_below=-1)
