"""The stream against the contract's prose, computed plainly over the whole recording (tests/offline.py)."""

from __future__ import annotations

import dataclasses

import numpy as np
import offline
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import MS, START, faulty, run, samples

from primus_sdk.windowing.quality import FaultPolicy
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import Window, WindowStream

FAULTS = st.lists(
    st.tuples(
        st.sampled_from(["gap", "shift", "spike", "repeat", "swap", "nan"]), st.floats(0, 1), st.integers(1, 300)
    ),
    max_size=3,
)
RATES = st.sampled_from([20, 25, 33, 50, 69, 100, 104, 200])
TURNED = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
DECLARED = [
    {},
    {"units": ("g", "deg/s"), "mount": TURNED},
    {"convention": "ios", "ranges": (20.0, None)},
    {"mount": TURNED, "ranges": (None, 3.0)},
]
POLICIES = [{}, {"fill_s": 0.3, "reset_s": 0.4, "reorder_s": 0.0}, {"reset_s": 3.0, "reorder_s": 0.08}]


def stream_of(options: offline.Options) -> WindowStream:
    sensors = Sensors(*options.units, options.convention, options.mount, *options.ranges)
    return WindowStream(options.hop_s, sensors, FaultPolicy(options.fill_s, options.reset_s, options.reorder_s))


def assert_agree(windows: list[Window], stream: WindowStream, expected: offline.Result) -> None:
    assert stream.dropped._asdict() == dataclasses.asdict(expected.dropped)
    assert [(w.start_ns, w.end_ns) for w in windows] == [(start, end) for start, end, _, _ in expected.windows]
    for window, (_, _, imu, quality) in zip(windows, expected.windows, strict=True):
        assert window.quality._asdict() == pytest.approx(quality, abs=1e-9)
        # The SDK tabulates its weights, within 1e-6 of 1: a single point may be further off than the whole.
        for axes in (slice(0, 3), slice(3, 6)):
            error, size = window.imu[axes].astype(np.float64) - imu[axes], rms(imu[axes])
            assert rms(error) <= 1e-6 * size
            assert np.abs(error).max() <= 5e-6 * size


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def assert_stream_agrees(accelerometer, gyroscope, options: offline.Options) -> None:
    stream = stream_of(options)
    windows = run(stream, accelerometer, gyroscope, [])
    assert_agree(windows, stream, offline.windows([(accelerometer, gyroscope)], options))


@settings(max_examples=30, deadline=None)
@given(
    rates=st.tuples(RATES, RATES),
    offset=st.sampled_from([0, -20 * MS, 7_123_457, 480 * MS, -311_000_001]),
    jitter=st.sampled_from([0.0, 0.001, 0.004]),
    faults=st.tuples(FAULTS, FAULTS),
    hop=st.sampled_from([0.1, 0.5, 1.0, 7.0]),
    policy=st.sampled_from(POLICIES),
    declared=st.sampled_from(DECLARED),
    seed=st.integers(0, 99),
)
def test_a_stream_with_any_faults_agrees_with_the_offline_path(
    rates, offset, jitter, faults, hop, policy, declared, seed
) -> None:
    accelerometer = faulty(*samples(rates[0], 8, jitter=jitter, seed=seed), faults[0])
    gyroscope = faulty(*samples(rates[1], 8, jitter=jitter, seed=seed + 1, start=START + offset), faults[1])
    assert_stream_agrees(accelerometer, gyroscope, offline.Options(hop_s=hop, **policy, **declared))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 999), late=st.sampled_from([0, 15]), declared=st.sampled_from(DECLARED))
def test_saturation_agrees_beside_invalid_late_and_repeated_samples(seed, late, declared) -> None:
    random = np.random.default_rng(seed)
    (times, values), (other, rates) = samples(100, 6, seed=seed), samples(69, 6, seed=seed + 1)
    values = np.clip(np.round(values * 4), -20, 20)  # coarse steps, so that neighbours are often equal
    values[random.random(len(values)) < 0.05] = np.nan
    arrived = np.argsort(times + random.uniform(0, late * MS + 1, len(times)), kind="stable")
    arrived = np.r_[arrived[:300], arrived[295:]]
    clipped = np.clip(np.round(rates * 1.2) * 0.35, -4.2, 4.2)
    assert_stream_agrees((times[arrived], values[arrived]), (other, clipped), offline.Options(**declared))


@pytest.mark.parametrize("points", [49, 50, 51, 52])
@pytest.mark.parametrize("first", [0, 1])
def test_one_clock_set_back_before_the_other_agrees(points: int, first: int) -> None:
    times, values = samples(50, 14)
    one, other = times.copy(), times.copy()
    one[300:] -= 6_000 * MS
    other[300 + points :] -= 6_000 * MS
    pair = [(one, values), (other, values)]
    assert_stream_agrees(pair[first], pair[1 - first], offline.Options())


@pytest.mark.parametrize("missing", [1, 3, 9, 10, 11, 99, 100])
@pytest.mark.parametrize("fill_s", [0.02, 0.1])
def test_gaps_that_end_on_the_grid_agree(missing: int, fill_s: float) -> None:
    times, values = samples(100, 6)
    keep = np.r_[:101, 101 + missing : 600]
    assert_stream_agrees((times[keep], values[keep]), (times, values), offline.Options(hop_s=0.1, fill_s=fill_s))


def test_one_timestamp_far_ahead_on_both_sensors_agrees() -> None:
    times, values = samples(100, 12)
    times[550] += 3_000 * MS
    assert_stream_agrees((times, values), (times, values), offline.Options(hop_s=0.5))


def test_a_thousand_samples_a_second_agree() -> None:
    assert_stream_agrees(samples(1000, 5.2), samples(1000, 5.2, jitter=0.0005, seed=1), offline.Options())


@pytest.mark.parametrize("cuts", [[300], [0, 300], [1, 700], [100, 250, 1100]])
def test_what_follows_a_flush_agrees(cuts: list[int]) -> None:
    times, values = samples(100, 16)
    options, stream, windows, parts = offline.Options(hop_s=0.5), WindowStream(0.5), [], []
    for first, last in zip([0, *cuts], [*cuts, 1600], strict=True):
        sensor = times[first:last], values[first:last]
        parts.append((sensor, sensor))
        windows += run(stream, sensor, sensor, [])
    assert_agree(windows, stream, offline.windows(parts, options))


@pytest.mark.parametrize("noise", [0.03, 0.034, 0.0345, 0.0346, 0.035, 0.04])
def test_stillness_agrees(noise: float) -> None:
    times, values = samples(50, 6)
    rest = (values - [0, 9.8, 0]) * noise / 2 + [0, 9.8, 0]
    assert_stream_agrees((times, rest), (times, rest * 0), offline.Options())


def test_samples_that_lie_exactly_at_the_end_of_the_kernels_reach_agree() -> None:
    times, values = samples(25, 6)  # every second grid point is 100 ms from a sample on either side
    assert_stream_agrees((times, values), (times, values), offline.Options())
