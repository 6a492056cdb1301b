"""A replay gives the windows of a live stream, lazily, whatever the recording holds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import primus_sdk
from primus_sdk import Counts, Dropped, Recogniser, Replay, StreamError, WindowError
from primus_sdk.recordings import Recording, Samples
from primus_sdk.streaming.recognition import Rules
from primus_sdk.streaming.replay import pieces
from primus_sdk.streaming.stream import Stream
from primus_sdk.windowing.windows import WindowStream

SECOND = 1_000_000_000
HOUR = 3600 * SECOND


def samples(seconds: float, rate: float = 100, start: int = 0, seed: int = 0) -> Samples:
    times = start + (np.arange(int(seconds * rate)) * SECOND / rate).astype(np.int64)
    return Samples(times, np.random.default_rng(seed).normal(0, 2, (len(times), 3)) + np.array([0, 9.8, 0]))


def joined(*parts: Samples) -> Samples:
    return Samples(np.concatenate([p.timestamps_ns for p in parts]), np.concatenate([p.values for p in parts]))


class Fake:
    """Embeds a window as its mean, and refuses one whose mean is above 20, as if its units were wrong."""

    def __init__(self) -> None:
        self.head, self.closed = None, False
        self.sizes: list[int] = []

    def embed(self, windows):
        means = windows.mean(axis=(-1, -2))
        if (means > 20).any():
            raise WindowError("made to fail")
        self.sizes.append(np.size(means))
        return np.repeat(means[..., np.newaxis], 512, axis=-1)

    def when_closed(self, sleeper) -> None:
        pass


def replay(source, fake: Fake | None = None, hop: float = 1.0, batch: int = 8) -> Replay:
    return Replay(fake or Fake(), WindowStream(hop), source, Rules(), batch=batch)


def live(source, hop: float = 1.0) -> list:
    return list(Stream(Fake(), WindowStream(hop), Rules()).over(source))


def assert_same_windows(found, expected) -> None:
    assert [r.window.start_ns for r in found] == [r.window.start_ns for r in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.window.quality == other.window.quality
        assert one.window.imu.tobytes() == other.window.imu.tobytes()


def test_a_recording_its_samples_and_its_pushes_give_what_the_live_stream_gives(released: Recogniser) -> None:
    accelerometer, gyroscope = samples(40), samples(40, 69, seed=1)
    recording = Recording("r", "u", "walking", accelerometer, gyroscope)
    stream = released.stream(0.5, smoothing=3)
    expected = stream.push_accelerometer(accelerometer.timestamps_ns, accelerometer.values)
    expected += stream.push_gyroscope(gyroscope.timestamps_ns, gyroscope.values) + stream.flush()
    assert len(expected) == 71
    sources = (recording, (accelerometer, gyroscope), list(pieces(accelerometer, gyroscope)))
    for source, batch in itertools.product(sources, (1, 16)):
        found = list(released.replay(source, 0.5, smoothing=3, batch=batch))
        assert_same_windows(found, expected)
        for one, other in zip(found, expected, strict=True):
            assert np.abs(one.embedding - other.embedding).max() <= 1e-4
            assert batch > 1 or np.array_equal(one.embedding, other.embedding)


@pytest.fixture(scope="module")
def released():
    with primus_sdk.load() as recogniser:
        yield recogniser


def test_windows_are_embedded_in_batches_and_counted() -> None:
    fake = Fake()
    replayed = replay((samples(25), samples(25, seed=1)), fake)
    assert len(list(replayed)) == 20 + 1
    assert fake.sizes == [8, 8, 5]
    assert replayed.counts == Counts(windows=21, encoded=21, held=0)
    assert replayed.dropped == Dropped()


def test_no_more_is_read_than_a_batch_needs() -> None:
    times, values = samples(600).timestamps_ns, np.hstack([samples(600).values] * 2)
    taken = []

    def source():
        for start in range(0, len(times), 100):
            taken.append(start)
            yield "both", times[start : start + 100], values[start : start + 100]

    next(replay(source(), batch=4))
    assert len(taken) <= 5 + 4 + 1


def test_a_bad_window_or_push_raises_in_its_place_and_the_replay_goes_on() -> None:
    times, values = samples(60).timestamps_ns, np.hstack([samples(60).values] * 2)
    values[2000:2600] = 200
    blocks = [("both", times[i : i + 500], values[i : i + 500]) for i in range(0, 6000, 500)]
    replayed, found, errors = replay([*blocks[:9], ("both", [1], [[1.0]]), *blocks[9:]], hop=5.0), [], []
    while True:
        try:
            for recognition in replayed:
                found.append(recognition.window.start_ns // SECOND)
            break
        except (WindowError, StreamError) as error:
            errors.append((type(error), len(found)))
    assert found == [0, 5, 10, 15, 30, 35, 40, 45, 50, 55]
    assert sorted(kind.__name__ for kind, _ in errors) == ["StreamError", "WindowError", "WindowError"]
    assert {place for kind, place in errors if kind is WindowError} == {4}
    assert replayed.counts == Counts(windows=12, encoded=10, held=0)


@given(counts=st.tuples(st.integers(0, 9000), st.integers(0, 9000)), rates=st.tuples(*[st.sampled_from([20, 100])] * 2))
@settings(deadline=None, max_examples=30)
def test_the_pieces_are_the_samples(counts, rates) -> None:
    sensors = [samples(count / rate, rate, seed=count) for count, rate in zip(counts, rates, strict=True)]
    given = list(pieces(*sensors))
    for name, sensor in zip(("accelerometer", "gyroscope"), sensors, strict=True):
        assert sum(len(t) for of, t, _ in given if of == name) == len(sensor.values)
        if len(sensor.values):
            assert np.array_equal(np.concatenate([t for of, t, _ in given if of == name]), sensor.timestamps_ns)
            assert np.array_equal(np.concatenate([v for of, _, v in given if of == name]), sensor.values)


def test_a_sensor_silent_for_an_hour_and_a_clock_set_back_lose_nothing_else() -> None:
    both = [(samples(1200, 25, seed=s), samples(1200, 25, HOUR, seed=s + 2)) for s in (0, 1)]
    between = samples(2400, 25, 1200 * SECOND)
    (first, third), (fourth, sixth) = both
    silent = (joined(first, third), joined(fourth, between, sixth))
    set_back = tuple(joined(later, earlier) for earlier, later in both)
    for source in (silent, set_back):
        starts = [r.window.start_ns // SECOND for r in replay(source, hop=5.0)]
        parts = [[r.window.start_ns // SECOND for r in replay(part, hop=5.0)] for part in zip(*both, strict=True)]
        assert sorted(starts) == sorted(parts[0] + parts[1])


MINUTES = 60 * SECOND


@pytest.mark.parametrize(
    "wrong",
    [
        {30_000: 30 * MINUTES},
        {16_384: 2 * MINUTES, 16_400: 200 * MINUTES, 90_001: 30 * MINUTES},  # at a piece's end; within its jump
        dict.fromkeys(range(30_000, 30_100), 30 * MINUTES),
        {**dict.fromkeys(range(30_000, 30_050), 11 * MINUTES), **dict.fromkeys(range(30_050, 30_080), 40 * MINUTES)},
        dict.fromkeys(range(1000, 100_000, 777), 20 * MINUTES),
        {30_000: -30 * MINUTES},
        {0: 30 * MINUTES, 119_999: 30 * MINUTES},
        {0: 20 * MINUTES, 1: 20 * MINUTES},
        {0: HOUR * 1000, 1: HOUR * 1000},
        {30_000 + n: (n * 7919 % 1000 - 500) * MINUTES for n in range(130)},
    ],
    ids=["one", "three", "a second", "two at once", "many", "early", "first and last", "two", "far", "garbled"],
)
def test_wrong_timestamps_of_one_sensor_cost_a_recording_what_they_cost_a_live_stream(wrong: dict[int, int]) -> None:
    accelerometer, gyroscope = samples(1200), samples(1200, seed=1)
    times = accelerometer.timestamps_ns.copy()
    for place, off in wrong.items():
        times[place] += off
    stream = WindowStream(5.0)
    for start in range(0, len(times), 100):
        part = slice(start, start + 100)
        stream.push_accelerometer(times[part], accelerometer.values[part])
        stream.push_gyroscope(gyroscope.timestamps_ns[part], gyroscope.values[part])
    stream.flush()
    replayed = replay((Samples(times, accelerometer.values), gyroscope), hop=5.0)
    found = len(list(replayed))
    # A clock that is wrong for long has points of its own; what ten minutes of them cost hangs on who came when.
    assert replayed.dropped == stream.dropped or replayed.dropped.unpaired < stream.dropped.unpaired
    assert replayed.dropped == stream.dropped or len(wrong) in (2, 80, 100, 130)
    assert found > 200 or len(wrong) > 3 or 0 in wrong


def set_back(times: np.ndarray, every: int, by: int) -> np.ndarray:
    """Both sensors' clock, set back once and again."""
    return times - by * (np.arange(len(times)) // every)


@pytest.mark.parametrize(
    ("times", "gap"),
    [
        (set_back(np.arange(3600) * SECOND, 1800, 5 * SECOND), slice(0, 0)),  # 1 Hz, in whole seconds
        (set_back(np.arange(180_000) // 50 * SECOND, 90_000, 5 * SECOND), slice(0, 0)),  # times rounded to seconds
        (set_back(np.arange(360_000) * (SECOND // 50), 3000, 2 * SECOND), slice(100, 225)),
        (set_back(np.arange(180_000) * (SECOND // 50), 90_000, 15 * MINUTES), slice(30_000, 75_000)),
    ],
    ids=["1 Hz", "whole seconds", "each minute", "a silence as long as the step back"],
)
def test_a_clock_that_is_set_back_and_silences_are_told_from_wrong_timestamps(times: np.ndarray, gap: slice) -> None:
    values = np.random.default_rng(0).normal(0, 1, (len(times), 3)) + np.array([0, 9.8, 0])
    kept = np.ones(len(times), bool)
    for start in range(0, len(times), 3000 if gap.stop == 225 else len(times)):
        kept[start + gap.start : start + gap.stop] = False
    stream = WindowStream(5.0)
    for start in range(0, len(times), 50):
        part = slice(start, start + 50)
        stream.push_accelerometer(times[part][kept[part]], values[part][kept[part]])
        stream.push_gyroscope(times[part], values[part])
    stream.flush()
    replayed = replay((Samples(times[kept], values[kept]), Samples(times, values)), hop=5.0)
    for _ in replayed:
        pass
    assert replayed.dropped == stream.dropped


def test_smoothing_the_rest_gate_and_rejection_are_those_of_the_stream(released: Recogniser) -> None:
    moving, rest = samples(20), np.tile([0.0, 9.8, 0], (2000, 1))
    times = np.arange(4000) * (SECOND // 100)
    recording = (Samples(times, np.vstack([moving.values, rest])), Samples(times, np.vstack([moving.values, 0 * rest])))
    windows = [r.window for r in released.replay(recording, 5.0)]
    released.calibrate(windows, ["moving"] * 4 + ["rest"] * (len(windows) - 4))
    options = {"hop": 1.0, "smoothing": 3, "reject_below": 0.7, "rest_gate": True}
    found, stream = list(released.replay(recording, **options)), released.stream(**options)
    expected = list(stream.over(pieces(*recording)))
    assert stream.counts.held > 10
    assert [r.held for r in found] == [r.held for r in expected]
    assert [r.prediction.label for r in found] == [r.prediction.label for r in expected]
    assert {r.prediction.label for r in found} == {"moving", "rest", None}
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one.prediction.values - other.prediction.values).max() < 0.01


@pytest.mark.parametrize("batch", [0, -1, 1.5, 1 << 20])
def test_a_batch_out_of_its_range_is_refused(batch) -> None:
    with pytest.raises(StreamError, match="batch"):
        replay([], batch=batch)


def test_a_sensor_with_fewer_timestamps_than_values_is_refused() -> None:
    short = Samples(np.arange(3), np.zeros((4, 3)))
    with pytest.raises(StreamError, match="3 timestamps for 4 gyroscope samples"):
        replay((samples(1), short))


def test_an_empty_recording_gives_nothing() -> None:
    empty = Samples(np.empty(0, np.int64), np.empty((0, 3)))
    assert list(replay((empty, empty))) == []
    assert list(replay((samples(9), empty))) == []
    assert list(replay([])) == []
