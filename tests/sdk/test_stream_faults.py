"""What faults of the sensors, of the link and of the clock do to a stream, and what its windows say of them."""

from __future__ import annotations

import itertools

import numpy as np
import offline
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import MS, START, assert_same, run, samples

from primus_sdk.errors import PrimusError
from primus_sdk.windowing.quality import Dropped, FaultPolicy
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import Window, WindowStream


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


def test_a_flush_lets_both_clocks_begin_anew_and_counts_what_waited() -> None:
    accelerometer, gyroscope = samples(100, 20), samples(100, 20, seed=1)
    accelerometer[0][800] += 3_600_000 * MS  # and back: the accelerometer's clock alone was set back
    stream = WindowStream()
    assert run(stream, accelerometer, gyroscope, [])
    before = stream.dropped.unpaired
    later, values = samples(100, 7, start=START + 60_000 * MS)
    assert next(w.start_ns for w in run(stream, (later, values), (later, values), [])) == START + 60_000 * MS
    assert stream.dropped.unpaired == before
    stream.push_accelerometer(later + 60_000 * MS, values)
    assert stream.flush() == []
    assert stream.dropped.unpaired == before + 350


def test_repeated_and_late_samples_are_dropped_and_counted() -> None:
    times, values = samples(100, 12)
    rows = np.hstack([values, values])
    clean = WindowStream().push(times, rows)
    order = np.r_[:500, 499, 480:483, 500:1200]  # 499 comes twice; 480 to 482 once more, 190 ms late
    stream = WindowStream()
    assert_same(stream.push(times[order], rows[order]), clean)
    assert (stream.dropped.repeated, stream.dropped.late, stream.dropped.unpaired) == (2, 6, 0)


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from([100, 104, 200, 1000]),
    reorder_ms=st.sampled_from([10, 40, 200]),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 99),
)
def test_samples_late_by_less_than_the_reorder_window_leave_no_trace(rate, reorder_ms, share, seed) -> None:
    times, values = samples(rate, 8, seed=seed)
    rows, random = np.hstack([values, values]), np.random.default_rng(seed)
    late = np.where(random.random(len(times)) < share, random.uniform(0, reorder_ms * MS - 1, len(times)), 0)
    order = np.argsort(times + late, kind="stable")
    # The newest must not run ahead by twice the window, as of a sensor too slow to have an order to restore.
    if np.diff(np.maximum.accumulate(times[order])).max() > 2 * reorder_ms * MS:
        return
    policy = FaultPolicy(reorder_s=reorder_ms / 1000)
    shuffled, ordered = WindowStream(0.5, policy=policy), WindowStream(0.5)
    windows = shuffled.push(times[order], rows[order]) + shuffled.flush()
    assert_same(windows, ordered.push(times, rows) + ordered.flush())
    assert shuffled.dropped == ordered.dropped


@pytest.mark.parametrize("rate", [20, 33, 49])
def test_a_slow_sensor_is_not_kept_waiting_for_an_order_that_it_cannot_lose(rate: int) -> None:
    times, values = samples(rate, 8)
    stream, delays = WindowStream(0.02), []
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        stream.push_gyroscope(time, value)
        delays += [time - w.end_ns for w in stream.push_accelerometer(time, value)]
    assert max(delays) <= 80 * MS


@settings(max_examples=40, deadline=None)
@given(
    where=st.lists(st.tuples(st.integers(0, 699), st.integers(0, 5)), max_size=30),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, 1e6, 1e308]),
    size=st.integers(1, 700),
)
def test_invalid_samples_are_left_out_and_counted(where, bad, size) -> None:
    times, values = samples(100, 7)
    rows = np.hstack([values, values])
    broken = rows.copy()
    for position, axis in where:
        broken[position, axis] = bad
    stream = WindowStream(sensors=Sensors(accelerometer_unit="g"))
    windows = [w for i in range(0, 700, size) for w in stream.push(times[i : i + size], broken[i : i + size])]
    keep_a, keep_g = np.abs(broken[:, :3]).max(axis=1) <= 1e4, np.abs(broken[:, 3:]).max(axis=1) <= 1e5
    other = WindowStream(sensors=Sensors(accelerometer_unit="g"))
    expected = other.push_accelerometer(times[keep_a], rows[keep_a, :3])
    expected += other.push_gyroscope(times[keep_g], rows[keep_g, 3:])
    assert_same(windows + stream.flush(), expected + other.flush())
    assert stream.dropped.invalid == np.count_nonzero(~keep_a) + np.count_nonzero(~keep_g)
    assert all(np.isfinite(w.imu).all() for w in windows)


def test_a_policy_decides_what_counts_as_measured_and_what_starts_anew() -> None:
    times, values = samples(100, 30)
    keep = (times < START + 12_000 * MS) | (times >= START + 12_300 * MS)
    rows = np.hstack([values, values])
    for policy, covered, resets in (
        (FaultPolicy(), False, 0),
        (FaultPolicy(fill_s=0.4), True, 0),
        (FaultPolicy(reset_s=0.25), True, 1),
    ):
        windows = WindowStream(policy=policy).push(times[keep], rows[keep])
        assert ({w.quality.coverage for w in windows} == {1.0}) is covered
        assert sum(w.quality.after_reset for w in windows) == resets


def test_jitter_is_the_standard_deviation_of_the_steps() -> None:
    random = np.random.default_rng(5)
    times, values = samples(100, 12)
    uneven = times + random.integers(-4 * MS, 4 * MS, len(times))
    keep = np.r_[:600, 640:1200]  # a gap of over 100 ms is no jitter
    for window in run(WindowStream(), (uneven[keep], values[keep]), (times, values), []):
        inside = uneven[keep][(uneven[keep] >= window.start_ns) & (uneven[keep] < window.end_ns - 20 * MS)]
        apart = np.diff(inside)
        assert window.quality.jitter_ms == pytest.approx(np.std(apart[apart <= 100 * MS]) / MS, rel=0.02)
    assert {w.quality.jitter_ms for w in run(WindowStream(), (times, values), (times, values), [])} == {0.0}


@pytest.mark.parametrize(
    ("sensors", "top", "size"),
    [
        (Sensors(accelerometer_range=16.0), 15.999, 1.0),
        (Sensors(), 39.2266, 1.0),  # 4 g, not declared, but the same again and again
        (Sensors("g"), 8.0, 0.1),
    ],
)
def test_samples_at_the_end_of_the_range_are_counted(sensors, top, size) -> None:
    times, values = samples(100, 6)
    values = values * size
    values[200:250, 1] = top
    values[300:310, 2] = -top
    (window,) = run(WindowStream(sensors=sensors), (times, values), (times, values * 0), [])[:1]
    assert window.quality.saturated == pytest.approx(60 / 498, abs=3 / 498)


def test_a_still_sensor_that_repeats_itself_is_not_saturated() -> None:
    times, _ = samples(100, 6)
    rest = np.tile([0.0, 9.81, 0.1], (len(times), 1))
    (window,) = run(WindowStream(), (times, rest), (times, rest * 0), [])[:1]
    assert window.quality.saturated == 0


def test_a_sensor_below_50_hz_is_said_to_be_undersampled() -> None:
    for rate, said in ((33, True), (48, True), (49.7, False), (50, False), (100, False)):
        windows = run(WindowStream(), samples(rate, 9), samples(100, 9, seed=1), [])
        assert {w.quality.undersampled for w in windows} == {said}


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


def test_what_is_too_short_for_a_window_is_counted() -> None:
    times, values = samples(100, 10)
    rows = np.hstack([values, values])
    stream = WindowStream()
    stream.push(times[:300], rows[:300])  # 3 s, and two seconds of silence
    stream.push(times[300:] + 2_000 * MS, rows[300:])
    assert stream.dropped.short == 150
    stream.push(np.array([times[-1] + 60_000 * MS, times[-1] + 90_000 * MS]), rows[:2])
    assert len(stream.flush()) == 0
    assert stream.dropped.short == 150 + 4


def test_samples_that_are_all_alone_are_counted() -> None:
    stream = WindowStream()
    stream.push(START + np.arange(1000) * 2_000 * MS, np.zeros((1000, 6)))
    assert stream.flush() == []
    assert stream.dropped.short == 2000


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_bursts_between_two_points_of_the_grid_are_counted(chunk: int) -> None:
    bursts, burst = np.arange(50)[:, np.newaxis] * 2_000 * MS, MS + np.arange(18) * MS
    times = (bursts + burst).ravel()  # 2 s apart, each over within 18 ms, with no multiple of 20 ms among them
    rows = np.tile([0, 9.8, 0, 0, 0, 0.0], (len(times), 1))
    stream = WindowStream()
    for start in range(0, len(times), chunk):
        stream.push(times[start : start + chunk], rows[start : start + chunk])
    assert stream.flush() == []
    assert stream.dropped == Dropped(short=2 * len(times))
    part = (times, rows[:, :3]), (times, rows[:, 3:])
    assert offline.windows([part], offline.Options()).dropped.short == 2 * len(times)


def test_after_a_step_of_more_than_twice_the_reorder_window_what_is_older_is_late() -> None:
    stream = WindowStream()
    stream.push_accelerometer(np.array([0, 5, 10, 15, 45, 40, 50, 55]) * MS, np.ones((8, 3)))
    assert stream.dropped == Dropped(late=1)
