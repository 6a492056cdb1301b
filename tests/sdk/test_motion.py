"""Still or moving: what a window's spread says, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus_sdk.windowing import motion


def resting(n: int, accelerometer: float = 0.005, gyroscope: float = 0.0007, seed: int = 0) -> np.ndarray:
    """Windows (n, 6, 250) of a sensor at rest, with white noise of these sizes on each axis."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, 6, 250)) * np.repeat([accelerometer, gyroscope], 3)[:, np.newaxis]
    return (noise + np.array([0, 9.81, 0, 0, 0, 0])[:, np.newaxis]).astype(np.float32)


def turned(windows: np.ndarray, degrees: float) -> np.ndarray:
    """The head nods by so many degrees over each window."""
    angle = np.radians(np.linspace(0, degrees, 250))
    nod = windows.copy()
    nod[:, 0] += 9.81 * np.sin(angle)
    nod[:, 1] += 9.81 * (np.cos(angle) - 1)
    return nod


def test_a_sensor_at_rest_is_still() -> None:
    assert motion.still(resting(50)).all()


def test_the_noise_of_the_cheapest_parts_is_still() -> None:
    density = np.array([400e-6 * 9.80665, np.radians(0.03)])  # in m/s^2 and rad/s, a root of Hz
    assert motion.still(resting(200, *(density * np.sqrt(25)))).all()


def test_a_slow_nod_of_three_degrees_is_no_rest() -> None:
    assert not motion.still(turned(resting(20), 3)).any()


@pytest.mark.parametrize("channel", range(6))
def test_movement_on_any_one_axis_is_no_rest(channel: int) -> None:
    windows = resting(5)
    windows[:, channel] += (0.1 if channel < 3 else 0.02) * np.sin(np.arange(250) / 5)
    assert not motion.still(windows).any()


def test_a_single_jolt_is_no_rest() -> None:
    windows = resting(5)
    windows[:, 1, 100:103] += 2
    assert not motion.still(windows).any()


@given(st.integers(0, 2**32 - 1), st.floats(0, 2))
def test_the_direction_of_gravity_and_a_bias_of_the_gyroscope_do_not_matter(seed: int, bias: float) -> None:
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    windows = np.concatenate([resting(3), turned(resting(3), 10)]).astype(np.float64)
    moved = np.concatenate([rotation @ windows[:, :3], rotation @ windows[:, 3:] + bias], axis=1)
    assert motion.still(moved.astype(np.float32)).tolist() == [True] * 3 + [False] * 3


@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(0, 89))
def test_a_window_gives_the_same_bits_among_any_others(seed: int, n: int, at: int) -> None:
    windows = resting(n, seed=seed)
    at %= n
    # A bound that this window only just misses: the last bit of its spread decides.
    alone = np.ascontiguousarray(windows[at : at + 1])
    lowest, highest = 0.0, 1.0
    bound, motion.STILL_ACCELERATION = motion.STILL_ACCELERATION, 0.0
    try:
        for _ in range(80):
            motion.STILL_ACCELERATION = (lowest + highest) / 2
            if motion.still(alone)[0]:
                highest = motion.STILL_ACCELERATION
            else:
                lowest = motion.STILL_ACCELERATION
        for edge in (lowest, highest):
            motion.STILL_ACCELERATION = edge
            assert motion.still(windows)[at] == motion.still(alone)[0]
            assert motion.still(windows[at:])[0] == motion.still(alone)[0]
    finally:
        motion.STILL_ACCELERATION = bound


def test_no_windows_give_no_answers() -> None:
    answers = motion.still(np.empty((0, 6, 250), np.float32))
    assert answers.shape == (0,)
    assert answers.dtype == bool


def test_the_windows_are_left_as_they_were() -> None:
    windows = resting(3)
    before = windows.copy()
    motion.still(windows)
    assert (windows == before).all()


@given(st.integers(0, 2**32 - 1), st.floats(-1.5, 1.5))
def test_the_quick_look_gives_the_answer_of_the_close_one(seed: int, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = motion.STILL_ACCELERATION * 10**exponent * rng.uniform(0.5, 1.5, (40, 1, 1))
    windows = rng.normal(size=(40, 6, 250)) * np.concatenate([sizes] * 3 + [0 * sizes] * 3, axis=1)
    windows[:, :3, rng.integers(5) :: 5] *= rng.choice([0, 1, 3])  # the points that are looked at, or others
    windows = windows.astype(np.float32)
    variance = windows.astype(np.float64).var(axis=2)
    close = variance[:, :3].sum(axis=1) < motion.STILL_ACCELERATION**2
    np.testing.assert_array_equal(motion.still(windows), close)
    np.testing.assert_array_equal([motion.still(window[np.newaxis])[0] for window in windows], close)
