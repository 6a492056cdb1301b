"""The stream's promises: the same windows however samples are cut into pushes, and what faults do to them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primus_sdk.errors import PrimusError, StreamError
from primus_sdk.recordings import STANDARD_GRAVITY, Recording, Samples
from primus_sdk.sensors import Sensors
from primus_sdk.windows import Window, WindowStream, windows_of

MS = 1_000_000
START = 1_600_000_000_000_000_000


def samples(
    rate: float, seconds: float, *, start: int = START, jitter: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    times = start + (np.arange(int(rate * seconds)) * 1e9 / rate).astype(np.int64)
    times = times + (random.uniform(-jitter, jitter, len(times)) * 1e9).astype(np.int64)
    return times, random.normal(0, 2, (len(times), 3)) + np.array([0, 9.8, 0])


def run(stream: WindowStream, accelerometer, gyroscope, turns) -> list[Window]:
    """Push two sensors' samples in the given turns (sensor, count), then what is left, then the end."""
    windows, done = [], [0, 0]
    pushes = (stream.push_accelerometer, stream.push_gyroscope)
    for side, count in [*turns, (0, len(accelerometer[0])), (1, len(gyroscope[0]))]:
        times, values = (accelerometer, gyroscope)[side]
        part = slice(done[side], done[side] + count)
        windows += pushes[side](times[part], values[part])
        done[side] += count
    return windows + stream.flush()


def assert_same(first: list[Window], second: list[Window]) -> None:
    assert [(w.start_ns, w.end_ns, w.quality) for w in first] == [(w.start_ns, w.end_ns, w.quality) for w in second]
    for one, other in zip(first, second, strict=True):
        assert one.imu.tobytes() == other.imu.tobytes()


def faulty(times: np.ndarray, values: np.ndarray, faults) -> tuple[np.ndarray, np.ndarray]:
    """Apply (kind, position, size) to a stream."""
    for kind, where, size in faults:
        position = int(where * (len(times) - 2)) + 1
        if kind == "gap":
            keep = np.r_[:position, min(position + size, len(times)) : len(times)]
            times, values = times[keep], values[keep]
        elif kind == "shift":  # the clock jumps, forward or back
            times = np.r_[times[:position], times[position:] + (size - 150) * 20 * MS]
        elif kind == "spike":  # one timestamp is off
            times = np.r_[times[:position], times[position] + (size - 150) * 20 * MS, times[position + 1 :]]
        else:  # samples repeat
            again = np.r_[:position, max(0, position - size % 7) : len(times)]
            times, values = times[again], values[again]
        if len(times) < 3:
            break
    return times, values


FAULTS = st.lists(
    st.tuples(st.sampled_from(["gap", "shift", "spike", "repeat"]), st.floats(0, 1), st.integers(1, 300)), max_size=3
)
TURNS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 400)), max_size=25)


@settings(max_examples=120, deadline=None)
@given(
    rates=st.tuples(st.sampled_from([20, 33, 50, 69, 100, 200]), st.sampled_from([20, 50, 104, 200])),
    offset=st.integers(-500, 500),
    jitter=st.sampled_from([0.0, 0.004]),
    faults=st.tuples(FAULTS, FAULTS),
    hop=st.sampled_from([0.02, 0.5, 1.0, 6.0]),
    turns=TURNS,
    seed=st.integers(0, 99),
)
def test_windows_are_bit_identical_however_the_samples_are_cut(rates, offset, jitter, faults, hop, turns, seed) -> None:
    accelerometer = faulty(*samples(rates[0], 14, jitter=jitter, seed=seed), faults[0])
    gyroscope = faulty(*samples(rates[1], 14, jitter=jitter, seed=seed + 1, start=START + offset * MS), faults[1])
    whole, cut = WindowStream(hop), WindowStream(hop)
    assert_same(run(whole, accelerometer, gyroscope, []), run(cut, accelerometer, gyroscope, turns))
    assert whole.dropped == cut.dropped


def test_one_sample_at_a_time_gives_the_windows_of_one_push() -> None:
    accelerometer, gyroscope = samples(69, 8, jitter=0.004), samples(101, 8, seed=1)
    turns = [(side, 1) for _ in range(900) for side in (0, 1)]
    windows = run(WindowStream(0.5), accelerometer, gyroscope, [])
    assert len(windows) == 6
    assert_same(windows, run(WindowStream(0.5), accelerometer, gyroscope, turns))


def test_six_axis_rows_are_both_sensors_at_once() -> None:
    times, values = samples(100, 9)
    _, rates = samples(100, 9, seed=1)
    together, apart = WindowStream(), WindowStream()
    windows = [w for row in zip(times, np.hstack([values, rates]), strict=True) for w in together.push(*row)]
    assert_same(windows + together.flush(), run(apart, (times, values), (times, rates), []))
    assert len(windows) >= 3


@pytest.mark.parametrize("rate", [20, 25, 50, 69, 100, 200, 1000])
def test_a_window_is_out_100_ms_of_stream_time_after_its_last_sample(rate: int) -> None:
    times, values = samples(rate, 8)
    stream, delays = WindowStream(0.02), []
    for time, value in zip(times, values, strict=True):
        stream.push_gyroscope(time, value)
        delays += [time - (w.end_ns - 20 * MS) for w in stream.push_accelerometer(time, value)]
    assert len(delays) > 100
    assert max(delays) <= 100 * MS


def test_the_first_window_comes_as_soon_as_five_seconds_are_there() -> None:
    times, values = samples(100, 5.095)
    stream = WindowStream()
    windows = stream.push(times, np.hstack([values, values]))
    assert [w.start_ns - START for w in windows] == [0]
    assert windows[0].end_ns - windows[0].start_ns == 5_000 * MS
    assert windows[0].imu.shape == (6, 250)
    assert windows[0].imu.dtype == np.float32


@pytest.mark.parametrize("hop", [0.02, 0.1, 1.0, 5.0, 7.5])
def test_windows_start_a_hop_apart(hop: float) -> None:
    times, values = samples(100, 25)
    windows = WindowStream(hop).push(times, np.hstack([values, values]))
    assert len(windows) > 2
    assert {b.start_ns - a.start_ns for a, b in itertools.pairwise(windows)} == {round(hop * 1000) * MS}


def test_units_and_mount_bring_samples_to_si_units_in_the_training_axes() -> None:
    times, _ = samples(100, 6)
    flipped = np.diag([-1.0, 1.0, -1.0])  # half a turn about y
    stream = WindowStream(sensors=Sensors("g", "deg/s", mount=flipped))
    (window,) = stream.push(times, np.tile([0.5, 1.0, -2.0, 180.0, 90.0, 0.0], (len(times), 1)))[:1]
    expected = [-0.5 * STANDARD_GRAVITY, STANDARD_GRAVITY, 2 * STANDARD_GRAVITY, -np.pi, np.pi / 2, 0.0]
    np.testing.assert_allclose(window.imu, np.tile(np.array(expected)[:, None], 250), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        ([1, 2], [[0, 0, np.nan], [0, 0, 1]], "sample 0"),
        ([1, 2], [[0, 0, 1], [np.inf, 0, 1]], "sample 1"),
        ([1, 2], [[0, 0, 1e7], [0, 0, 1]], "larger than"),
        ([1, 2], [[0, 0, 1]], "2 timestamps for 1"),
        ([1.5], [[0, 0, 1]], "integers"),
        ([1 << 63], [[0, 0, 1]], "timestamp"),
        ([[1]], [[0, 0, 1]], "integers"),
        ([1], [[0, 0]], "expected \\(n, 3\\)"),
        ([1], [["a", "b", "c"]], "real numbers"),
        ([1], [[0, 0], [1]], "no array"),
        ([1], [[1j, 0, 0]], "real numbers"),
    ],
)
def test_malformed_samples_are_refused_and_lose_nothing_accepted_before(times, values, message) -> None:
    good, rows = samples(100, 7)
    rows = np.hstack([rows, rows])
    stream, untroubled = WindowStream(), WindowStream()
    windows = stream.push(good[:300], rows[:300])
    with pytest.raises(StreamError, match=message):
        stream.push_accelerometer(times, values)
    windows += stream.push(good[300:], rows[300:])
    assert_same(windows + stream.flush(), untroubled.push(good, rows) + untroubled.flush())
    assert len(windows) == 2


def test_a_bad_gyroscope_half_of_a_row_leaves_the_accelerometer_half_out_too() -> None:
    times, values = samples(100, 7)
    rows = np.hstack([values, values])
    stream = WindowStream()
    stream.push(times[:50], rows[:50])
    broken = rows[50:60].copy()
    broken[3, 5] = np.nan
    with pytest.raises(StreamError, match="gyroscope sample 3"):
        stream.push(times[50:60], broken)
    untroubled = WindowStream()
    assert_same(stream.push(times[50:], rows[50:]), untroubled.push(times, rows))


def gapped(seconds: float) -> list[Window]:
    times, values = samples(100, 30)
    keep = (times < START + 12_000 * MS) | (times >= START + int((12 + seconds) * 1e9))
    return WindowStream().push(times[keep], np.hstack([values, values])[keep])


def test_a_gap_of_100_ms_is_filled() -> None:
    windows = gapped(0.09)
    assert {w.quality.coverage for w in windows} == {1.0}
    assert max(w.quality.largest_gap_s for w in windows) == pytest.approx(0.1)


def test_a_longer_gap_is_filled_and_flagged() -> None:
    windows = gapped(0.5)
    assert len({b.start_ns - a.start_ns for a, b in itertools.pairwise(windows)}) == 1
    over = [w for w in windows if w.start_ns < START + 12_000 * MS and w.end_ns > START + 12_500 * MS]
    assert over
    assert all(w.quality.coverage == pytest.approx(0.9, abs=0.005) for w in over)
    assert all(w.quality.largest_gap_s == pytest.approx(0.51) for w in over)
    assert all(np.isfinite(w.imu).all() and np.abs(w.imu).max() < 30 for w in over)
    touching = [w for w in windows if w.start_ns < START + 12_500 * MS and w.end_ns > START + 12_000 * MS]
    assert [w.start_ns for w in windows if w.quality.coverage < 1] == [w.start_ns for w in touching]


def test_after_more_than_a_second_the_stream_starts_anew() -> None:
    windows = gapped(1.5)
    assert [w.quality.after_reset for w in windows] == [w.start_ns == START + 13_500 * MS for w in windows]
    assert sum(w.quality.after_reset for w in windows) == 1
    assert all(w.end_ns <= START + 12_000 * MS or w.start_ns >= START + 13_500 * MS for w in windows)
    assert {w.quality.coverage for w in windows} == {1.0}


def test_a_clock_that_steps_back_starts_the_stream_anew() -> None:
    times, values = samples(100, 20)
    times[1000:] -= 8_000 * MS
    windows = WindowStream().push(times, np.hstack([values, values]))
    assert [w.quality.after_reset for w in windows].count(True) == 1
    assert [(w.start_ns - START) // (1000 * MS) for w in windows] == [0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6]


def test_one_sensors_mad_timestamp_costs_seconds_not_the_stream() -> None:
    accelerometer, gyroscope = samples(100, 30), samples(100, 30, seed=1)
    accelerometer[0][800] += 3_600_000 * MS
    windows = run(WindowStream(), accelerometer, gyroscope, [])
    assert sum(w.start_ns > START + 8_000 * MS for w in windows) >= 15


def test_repeated_and_late_samples_are_dropped_and_counted() -> None:
    times, values = samples(100, 12)
    rows = np.hstack([values, values])
    clean = WindowStream().push(times, rows)
    order = np.r_[:500, 499, 480:483, 500:1200]
    stream = WindowStream()
    assert_same(stream.push(times[order], rows[order]), clean)
    assert (stream.dropped.repeated, stream.dropped.late, stream.dropped.unpaired) == (2, 6, 0)


def test_measured_rates_are_each_sensors_own() -> None:
    for window in run(WindowStream(), samples(69, 12), samples(104, 12, seed=1), []):
        assert window.quality.accelerometer_hz == pytest.approx(69, abs=0.3)
        assert window.quality.gyroscope_hz == pytest.approx(104, abs=0.3)


def test_a_sensor_that_runs_alone_gives_no_window_and_holds_bounded_memory() -> None:
    stream = WindowStream()
    for minute in range(30):
        times, values = samples(50, 60, start=START + minute * 60_000 * MS)
        assert stream.push_accelerometer(times, values) == []
    assert stream.dropped.unpaired > 19 * 60 * 50
    times, values = samples(50, 30, start=START + 29 * 60_000 * MS)
    assert len(stream.push_gyroscope(times, values)) > 20


def test_a_flood_within_one_instant_holds_bounded_memory() -> None:
    stream = WindowStream()
    for start in range(0, 400_000, 50_000):
        times = START + np.arange(start, start + 50_000, dtype=np.int64)  # a nanosecond apart
        stream.push(times, np.ones((50_000, 6)))
    assert stream.dropped.repeated == 2 * (400_000 - 4)


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=40),
    steps=st.lists(st.integers(-(10**10), 10**10), max_size=40),
)
def test_any_timestamps_give_windows_or_a_typed_error(times, steps) -> None:
    stream = WindowStream(0.02)
    for stamps in (np.array(times, np.int64), np.cumsum(np.array(steps, np.int64))):
        try:
            windows = stream.push(stamps, np.ones((len(stamps), 6)))
        except PrimusError:
            continue
        assert all(np.isfinite(w.imu).all() for w in windows + stream.flush())


def test_a_recording_is_cut_by_the_live_stream() -> None:
    accelerometer, gyroscope = samples(100, 60), samples(99, 60, seed=1, start=START + 130 * MS)
    recording = Recording("one", "1", "walking", Samples(*accelerometer), Samples(*gyroscope))
    turns = [(side, 40) for _ in range(200) for side in (0, 1)]
    windows = windows_of(recording, 2.0)
    assert len(windows) == 28
    assert_same(windows, run(WindowStream(2.0), accelerometer, gyroscope, turns))


def test_an_empty_recording_has_no_windows() -> None:
    nothing = Samples(np.zeros(0, np.int64), np.zeros((0, 3)))
    assert windows_of(Recording("none", "1", "x", nothing, nothing)) == []
