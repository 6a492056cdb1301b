"""The stream's promises: the same windows however samples are cut into pushes, and what faults do to them."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streams import MS, START, assert_same, examples, faulty, run, samples

from primus_sdk.errors import StreamError
from primus_sdk.recordings import Recording, Samples
from primus_sdk.recordings.windows import windows_of
from primus_sdk.windowing.quality import FaultPolicy
from primus_sdk.windowing.sensors import STANDARD_GRAVITY, Sensors
from primus_sdk.windowing.windows import WindowStream

FAULTS = st.lists(
    st.tuples(
        st.sampled_from(["gap", "shift", "spike", "repeat", "swap", "nan"]), st.floats(0, 1), st.integers(1, 300)
    ),
    max_size=4,
)
TURNS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 400)), max_size=25)


@settings(max_examples=120, deadline=None)
@given(
    rates=st.tuples(st.sampled_from([20, 33, 50, 69, 100, 200]), st.sampled_from([20, 50, 104, 200])),
    offset=st.integers(-500, 500),
    jitter=st.sampled_from([0.0, 0.004]),
    faults=st.tuples(FAULTS, FAULTS),
    hop=st.sampled_from([0.02, 0.5, 1.0, 6.0]),
    policy=st.sampled_from([FaultPolicy(), FaultPolicy(0.3, 0.4, 0.0), FaultPolicy(reset_s=3.0, reorder_s=0.08)]),
    turns=TURNS,
    seed=st.integers(0, 99),
)
def test_windows_are_bit_identical_however_the_samples_are_cut(
    rates, offset, jitter, faults, hop, policy, turns, seed
) -> None:
    accelerometer = faulty(*samples(rates[0], 14, jitter=jitter, seed=seed), faults[0])
    gyroscope = faulty(*samples(rates[1], 14, jitter=jitter, seed=seed + 1, start=START + offset * MS), faults[1])
    sensors = Sensors(mount=[[0, 1, 0], [-1, 0, 0], [0, 0, 1]]) if seed % 2 else Sensors("g", "deg/s")
    whole, cut = WindowStream(hop, sensors, policy), WindowStream(hop, sensors, policy)
    assert_same(run(whole, accelerometer, gyroscope, []), run(cut, accelerometer, gyroscope, turns))
    assert whole.dropped == cut.dropped


def test_one_sample_at_a_time_gives_the_windows_of_one_push() -> None:
    accelerometer, gyroscope = samples(69, 8, jitter=0.004), samples(101, 8, seed=1)
    turns = [(side, 1) for _ in range(900) for side in (0, 1)]
    windows = run(WindowStream(0.5), accelerometer, gyroscope, [])
    assert len(windows) == 6
    assert_same(windows, run(WindowStream(0.5), accelerometer, gyroscope, turns))


@pytest.mark.parametrize("seed", range(4))
def test_a_zero_has_no_sign_that_hangs_on_how_samples_are_cut(seed: int) -> None:
    random, sensors = np.random.default_rng(seed), []
    for side in (0, 1):
        times, values = samples(20, 12, jitter=0.004, seed=seed + side)
        values[:] = -0.0
        values[::9] = 1.0
        kept = random.random(len(times)) < 0.7
        sensors.append((times[kept], values[kept]))
    windows = run(WindowStream(0.1), sensors[0], sensors[1], [])
    assert not any(np.signbit(window.imu[window.imu == 0]).any() for window in windows)
    for size in (1, 7, 60):
        turns = [(side, size) for _ in range(1 + 240 // size) for side in (0, 1)]
        assert_same(windows, run(WindowStream(0.1), sensors[0], sensors[1], turns))


def test_six_axis_rows_are_both_sensors_at_once() -> None:
    times, values = samples(100, 9)
    _, rates = samples(100, 9, seed=1)
    together, apart = WindowStream(), WindowStream()
    windows = [w for row in zip(times, np.hstack([values, rates]), strict=True) for w in together.push(*row)]
    assert_same(windows + together.flush(), run(apart, (times, values), (times, rates), []))
    assert len(windows) >= 3


@pytest.mark.parametrize("rate", [20, 25, 50, 69, 100, 200, 1000])
def test_a_window_is_out_100_ms_of_stream_time_after_its_end(rate: int) -> None:
    times, values = samples(rate, 8)
    stream, delays = WindowStream(0.02), []
    for time, value in zip(times, values, strict=True):
        stream.push_gyroscope(time, value)
        delays += [time - w.end_ns for w in stream.push_accelerometer(time, value)]
    assert len(delays) > 100
    assert max(delays) <= 100 * MS


def test_the_first_window_comes_as_soon_as_five_seconds_are_there() -> None:
    times, values = samples(100, 5.105)
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


@pytest.mark.parametrize(
    "start", [START, -90_000 * MS, -45_010 * MS]
)  # the clock passes 0 inside a run, and on the grid
@pytest.mark.parametrize("hop", [0.02, 1.0, 5.0, 6.0])
@pytest.mark.parametrize("jitter", [0.0, 0.0005])
def test_long_pieces_give_the_windows_of_short_ones(hop: float, start: int, jitter: float) -> None:
    times, values = samples(100, 180, start=start, jitter=jitter)
    short = run(
        WindowStream(hop), (times, values), (times, values), [(side, 77) for _ in range(240) for side in (0, 1)]
    )
    assert len(short) >= 175 / hop - 1
    for piece in (4_500, 6_000, 16_384):
        turns = [(side, piece) for _ in range(5) for side in (0, 1)]
        assert_same(run(WindowStream(hop), (times, values), (times, values), turns), short)


def test_units_and_mount_bring_samples_to_si_units_in_the_training_axes() -> None:
    times, _ = samples(100, 6)
    flipped = np.diag([-1.0, 1.0, -1.0])  # half a turn about y
    stream = WindowStream(sensors=Sensors("g", "deg/s", mount=flipped))
    (window,) = stream.push(times, np.tile([0.5, 1.0, -2.0, 180.0, 90.0, 0.0], (len(times), 1)))[:1]
    expected = [-0.5 * STANDARD_GRAVITY, STANDARD_GRAVITY, 2 * STANDARD_GRAVITY, -np.pi, np.pi / 2, 0.0]
    np.testing.assert_allclose(window.imu, np.tile(np.array(expected)[:, None], 250), rtol=1e-6, atol=1e-7)


def test_ios_reports_the_opposite_sign_of_acceleration_and_the_same_rotation() -> None:
    times, values = samples(100, 6)
    android, ios = WindowStream(), WindowStream(sensors=Sensors(convention="ios"))
    assert_same(ios.push(times, np.hstack([-values, values])), android.push(times, np.hstack([values, values])))


def test_gravity_that_comes_apart_is_added() -> None:
    times, values = samples(100, 6)
    gravity = np.tile([0.5, 8.75, -0.25], (len(times), 1))
    whole, apart, rows = WindowStream(), WindowStream(), WindowStream()
    expected = run(whole, (times, values + gravity), (times, values), [])
    apart.push_accelerometer(times, values, gravity)
    assert_same(apart.push_gyroscope(times, values) + apart.flush(), expected)
    assert_same(rows.push(times, np.hstack([values, values]), gravity) + rows.flush(), expected)
    with pytest.raises(StreamError, match="600 timestamps for 599"):
        rows.push(times, np.hstack([values, values]), gravity[1:])


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        ([1, 2], [[0, 0, 1]], "2 timestamps for 1"),
        ([1.5], [[0, 0, 1]], "integers"),
        ([1 << 63], [[0, 0, 1]], "timestamp"),
        ([[1]], [[0, 0, 1]], "integers"),
        ([1], [[0, 0]], "expected \\(n, 3\\)"),
        ([1], [["a", "b", "c"]], "real numbers"),
        ([1], [[0, 0], [1]], "no array"),
        ([1], [[1j, 0, 0]], "real numbers"),
        (1, (0.0, 0.0), "expected \\(n, 3\\)"),
        (1, ("0", 0.0, 1.0), "numbers"),
        (1 << 62, (0.0, 0.0, 1.0), "timestamp"),
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


def test_the_newest_time_is_that_of_finite_samples_by_the_clock_as_it_is_now() -> None:
    times = START + np.array([0, 10, 20, 7_000, -9_000, -8_990, -8_980], np.int64) * MS
    values = np.zeros((7, 3))
    values[3] = np.nan  # seven seconds ahead, and no sample at all
    whole, single = WindowStream(), WindowStream()
    assert whole.newest_ns is None
    whole.push_accelerometer(times, values)
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        single.push_accelerometer(time, value)
        if time == START + 7_000 * MS:
            assert single.newest_ns == START + 20 * MS
    assert whole.newest_ns == single.newest_ns == START - 8_980 * MS
    whole.push_accelerometer(START + np.array([0, -9_000] * 3000) * MS, np.zeros((6000, 3)))
    assert whole.newest_ns == START - 9_000 * MS


def come_with(stream: WindowStream, times: np.ndarray, rows: np.ndarray, count: int) -> dict[int, int]:
    """With which sample each window comes that starts at this time, where so many samples are pushed at once."""
    found = {}
    for start in range(0, len(times), count):
        part = slice(start, start + count)
        for window in stream.push(times[part], rows[part]):
            found[window.start_ns] = min(start + count, len(times)) - 1
    return found


@settings(max_examples=examples(20, 200), deadline=None)
@given(
    pace=st.sampled_from([5, 10, 20, 25, 33, 40]),
    share=st.floats(0, 0.6),
    count=st.integers(2, 5),
    seed=st.integers(0, 1 << 20),
)
def test_a_window_comes_with_the_push_that_brings_its_last_sample(pace, share, count, seed) -> None:
    random = np.random.default_rng(seed)
    steps = np.cumsum(np.where(random.random(9000) < share, random.choice([1, 2, 5, 9]), pace))
    times = START + steps[steps < 7_500] * MS  # at any pace long enough for windows
    rows = random.normal(0, 1, (len(times), 6)) + np.array([0, 9.8, 0, 0, 0, 0])
    alone = come_with(WindowStream(0.1), times, rows, 1)
    together = come_with(WindowStream(0.1), times, rows, count)
    assert len(alone) > 20
    assert together == {start: min(last // count * count + count, len(times)) - 1 for start, last in alone.items()}


@given(st.lists(st.lists(st.integers(0, 2600), min_size=1, max_size=5), min_size=1, max_size=5))
@example([[1500], [1000, 0, 100]])
def test_the_newest_time_is_the_same_however_it_is_pushed(pushes: list[list[int]]) -> None:
    newest, stream = -1000, WindowStream()
    for times in pushes:
        stream.push_accelerometer(START + np.array(times) * MS, np.zeros((len(times), 3)))
        for time in times:
            newest = time if newest - time > 1000 else max(newest, time)
    assert stream.newest_ns == START + newest * MS


def test_a_sample_is_finite_if_its_values_are_however_large_their_sum() -> None:
    together, alone = WindowStream(), WindowStream()
    together.push_accelerometer([START, START + 5 * MS], np.full((2, 3), 1e308))
    for time in (START, START + 5 * MS):
        alone.push_accelerometer(time, [1e308] * 3)
    assert together.newest_ns == alone.newest_ns == START + 5 * MS
    assert together.dropped == alone.dropped


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200, 2e5])
def test_a_sample_beyond_any_sensor_is_left_out_of_few_as_of_one(value: float) -> None:
    times, rows = samples(100, 12)
    rows[150:460, 1] = value
    expected = WindowStream(0.1)
    windows = [
        window
        for time, row in zip(times.tolist(), rows.tolist(), strict=True)
        for window in expected.push(time, row * 2)
    ]
    stream, found = WindowStream(0.1), []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, len(times), 7):
            part = slice(start, start + 7)
            found += stream.push_accelerometer(times[part], rows[part]) + stream.push_gyroscope(times[part], rows[part])
    assert_same(found, windows)
    assert stream.dropped == expected.dropped
    assert stream.dropped.invalid == 620


def test_gravity_beyond_any_number_is_dropped_and_counted() -> None:
    stream = WindowStream()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream.push_accelerometer([START], [[1e308, 0, -np.inf]], [[1e308, 0, np.inf]])
        stream.push([START + MS], [[1e308, 0, 0, 0, 0, 0]], [[1e308, 0, 0]])
    assert stream.dropped.invalid == 2
