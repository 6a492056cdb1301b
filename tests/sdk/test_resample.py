"""The resampler against an independent one: SciPy's FIR design and polyphase filter over the whole recording."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import signal

from primus_sdk.windowing import grid, resample
from primus_sdk.windowing.grid import Points
from primus_sdk.windowing.kernel import GRID_NS
from primus_sdk.windowing.ordering import Taken, joined
from primus_sdk.windowing.resample import SensorResampler

RATES = [50, 69, 100, 104, 200, 500, 1000]
SECONDS = 16


def band_limited(times: np.ndarray, highest: float, seed: int = 0) -> np.ndarray:
    """Three channels of forty sines each, up to the highest frequency, and an offset."""
    random = np.random.default_rng(seed)
    frequencies, phases = random.uniform(0.1, highest, (3, 40)), random.uniform(0, 6.3, (3, 40))
    return np.stack(
        [np.sin(2 * np.pi * np.outer(times, f) + p).sum(axis=1) + 2 for f, p in zip(frequencies, phases, strict=True)],
        1,
    )


def resampled(times: np.ndarray, values: np.ndarray) -> Points:
    resampler = SensorResampler()
    samples = Taken(times, np.ascontiguousarray(values.T), np.zeros(len(times), np.int64))
    points = joined([part for part in (resampler.push(samples), resampler.finish()) if part is not None])
    return points._replace(values=points.values.T)


def steady(rate: float, offset_ns: int = 0) -> np.ndarray:
    return offset_ns + np.round(np.arange(int(SECONDS * rate)) * 1e9 / rate).astype(np.int64)


def inner(points: Points) -> slice:
    """Away from the ends, where an offline filter sees as many samples as ours."""
    return slice(100, len(points.number) - 100)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize("rate", RATES)
def test_it_equals_windowed_sinc_resampling_of_the_whole_recording(rate: int) -> None:
    times = steady(rate)
    values = band_limited(times / 1e9, 14)
    points = resampled(times, values)
    ratio = Fraction(50, rate)
    # A sinc of two seconds, far longer than ours may be.
    taps = signal.firwin(
        2 * 50 * ratio.denominator * ratio.numerator + 1, 0.92 / max(ratio.numerator, ratio.denominator)
    )
    offline = signal.resample_poly(values, ratio.numerator, ratio.denominator, window=taps)
    inside = inner(points)
    assert rms(points.values[inside] - offline[points.number[inside]]) <= 1e-3 * rms(values)


@pytest.mark.parametrize("rate", [20, 25, 33, *RATES])
@pytest.mark.parametrize("offset_ns", [0, 3_217_043])
def test_it_recovers_what_moves_slowly_beside_the_rate(rate: int, offset_ns: int) -> None:
    times = steady(rate, offset_ns)
    points = resampled(times, band_limited(times / 1e9, min(14, 0.16 * rate)))
    expected = band_limited(points.number * 0.02, min(14, 0.16 * rate))
    inside = inner(points)
    # Below 50 Hz two to four samples to a side must do, if a window is not to be late.
    bound = {20: 0.025, 25: 0.008, 33: 0.003}.get(rate, 1e-3)
    assert rms((points.values - expected)[inside]) <= bound * rms(expected)


@pytest.mark.parametrize("rate", [20, 69, 100, 1000])
def test_its_gain_at_rest_is_exactly_one(rate: int) -> None:
    random = np.random.default_rng(0)
    times = steady(rate) + random.integers(-4_000_000, 4_000_000, rate * SECONDS) // (rate // 20)
    points = resampled(np.unique(times), np.tile([9.81, -0.3, 1e-3], (len(np.unique(times)), 1)))
    np.testing.assert_allclose(points.values, np.tile([9.81, -0.3, 1e-3], (len(points.number), 1)), rtol=1e-12)


@pytest.mark.parametrize("frequency", [36.0, 40.5, 45.0])
def test_what_50_hz_cannot_hold_is_damped_a_thousandfold(frequency: float) -> None:
    times = steady(200)
    points = resampled(times, np.sin(2 * np.pi * frequency * times[:, None] / 1e9) * [1, 1, 1])
    assert rms(points.values[inner(points)]) <= 1e-3 * np.sqrt(0.5)


@pytest.mark.parametrize(
    ("rate", "jitter_ms", "bound"), [(100, 1, 0.01), (100, 4, 0.04), (200, 2, 0.01), (69, 4, 0.08)]
)
def test_uneven_sampling_costs_what_was_measured(rate: int, jitter_ms: float, bound: float) -> None:
    random = np.random.default_rng(3)
    times = steady(rate) + (random.uniform(-jitter_ms, jitter_ms, rate * SECONDS) * 1e6).astype(np.int64)
    points = resampled(times, band_limited(times / 1e9, 5))
    expected = band_limited(points.number * 0.02, 5)
    inside = inner(points)
    assert rms((points.values - expected)[inside]) <= bound * rms(expected)


def test_the_grid_is_absolute_so_that_two_sensors_share_it() -> None:
    first = resampled(steady(100, 1_234_567), band_limited(steady(100, 1_234_567) / 1e9, 8))
    second = resampled(steady(69, 8_765_432), band_limited(steady(69, 8_765_432) / 1e9, 8))
    assert first.number[0] == second.number[0] == 1
    same = min(len(first.number), len(second.number))
    inside = slice(100, same - 100)
    assert rms(first.values[inside] - second.values[inside]) <= 1e-3 * rms(first.values)


def test_a_shift_of_the_clock_by_whole_grid_steps_changes_no_bit() -> None:
    times = steady(69)
    values = band_limited(times / 1e9, 20)
    early, late = resampled(times, values), resampled(times + 10**11 * GRID_NS, values)
    assert early.values.tobytes() == late.values.tobytes()
    assert (late.number - early.number == 10**11).all()


@pytest.mark.parametrize("rate", [20, 22.2, 27.3, 33.3, 45, 47.3, 49, 50, 57.3])
def test_the_cutoff_is_half_of_a_slow_sensors_own_rate(rate: float) -> None:
    times = steady(rate, 123_456_789)
    values = np.random.default_rng(0).normal(0, 3, (len(times), 3))
    points = resampled(times, values)
    inside = inner(points)
    period = max(1e9 / rate, GRID_NS)
    apart = (times - points.number[inside, None] * GRID_NS).astype(np.float64)
    taper = np.i0(min(6.25, 10 - period / 8e6) * np.sqrt(np.maximum(0, 1 - (apart / 1e8) ** 2)))
    weights = np.sinc(apart / period) * taper * (np.abs(apart) <= 1e8)
    expected = weights @ values / weights.sum(axis=1, keepdims=True)
    assert rms(points.values[inside] - expected) <= 1e-3 * rms(expected)


def gains(times: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """How much larger than the largest sample each point can be: the sum of its weights' sizes over their sum."""
    found = []

    def spy(segment: grid.Segment, reach: np.ndarray, start: int, stop: int, epoch: int) -> Points:
        at = np.arange(start, stop, dtype=np.int64) * GRID_NS
        weights = grid._weights(segment, at, *grid._taps(segment, reach, at))[1]
        found.append(np.abs(weights).sum(axis=0) / np.abs(weights.sum(axis=0)))
        return grid.grid_points(segment, reach, start, stop, epoch)

    monkeypatch.setattr(resample, "grid_points", spy)
    resampled(times, np.zeros((len(times), 3)))
    return np.concatenate(found)


PACES = st.sampled_from([0.15, 1, 2, 5, 10, 20, 25, 26, 38, 49, 60, 62, 63, 80, 99, 101, 400])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    paces=st.lists(st.tuples(PACES, PACES, st.integers(1, 130)), min_size=1, max_size=8),
    seed=st.integers(0, 1 << 20),
)
def test_no_point_is_much_larger_than_the_samples_whatever_the_clock_does(paces, seed, monkeypatch) -> None:
    random = np.random.default_rng(seed)
    steps = [random.uniform(low, high, count) for low, high, count in ((min(a, b), max(a, b), n) for a, b, n in paces)]
    times = (np.cumsum(np.concatenate([[7.0, 20.0], *steps])) * 1e6).astype(np.int64)
    assert gains(times, monkeypatch).max() < 4


def test_a_burst_from_a_slow_sensor_makes_no_wild_points(monkeypatch) -> None:
    times = np.cumsum([38] * 160 + [1] * 63 + [38] * 200).astype(np.int64) * 1_000_000
    assert gains(times, monkeypatch).max() < 4


@pytest.mark.parametrize("points", [1, 2, 3, 7, 8, 9, 63, 64, 512])
@pytest.mark.parametrize("taps", [1, 2, 9, 21, 129, 201])
def test_taps_are_summed_one_after_the_other_whatever_points_are_summed_beside(points: int, taps: int) -> None:
    random = np.random.default_rng(0)
    products = random.normal(size=(4, taps, points)) * 10.0 ** random.integers(-9, 9, (4, taps, points))
    products[0, :, 0] = -0.0
    expected = np.zeros((4, points))
    for tap in range(taps):
        expected += products[:, tap]
    assert grid.summed(products).tobytes() == expected.tobytes()


def test_points_with_weights_of_their_own_are_worked_on_in_little_memory() -> None:
    """All at once they would need 12 MB, and leave the heap as large when the other sensor was silent for long."""
    random = np.random.default_rng(0)
    times = np.arange(16_384) * 5_000_000 + random.integers(-1_000_000, 1_000_000, 16_384)
    samples = Taken(times, random.normal(size=(3, 16_384)), np.zeros(16_384, np.int64))
    resampler = SensorResampler()
    tracemalloc.start()
    try:
        points = resampler.push(samples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert points is not None
    assert len(points.number) > 4000
    kept = sum(part.nbytes for part in (*samples, *points))
    assert peak - kept < 5e6
