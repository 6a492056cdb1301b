"""Mount from use: any direction is turned upright by the smallest rotation, and only walking is learnt from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primus_sdk.calibration.mount import REFERENCE_GRAVITY, MountLearner, aligning
from primus_sdk.errors import CalibrationError, WindowError
from primus_sdk.windowing.cutting import Window
from primus_sdk.windowing.quality import Quality
from primus_sdk.windowing.sensors import Sensors

UP = np.array(REFERENCE_GRAVITY)
GOOD = Quality(1.0, 0.01, 100.0, 100.0, 0.1, 0.0, False, False)
SECOND = 1_000_000_000

seeds = st.integers(0, 2**32 - 1)


def rotation_of(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q[:, ::-1]


def degrees(rotation: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def between(first: np.ndarray, second: np.ndarray) -> float:
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def walking(seed: int = 0, bounce: float = 1.5) -> np.ndarray:
    """A window (6, 250) of someone upright whose body goes up and down."""
    rng = np.random.default_rng(seed)
    imu = rng.normal(0, 0.2, (6, 250))
    imu[1] += 9.81 + bounce * np.sqrt(2) * np.sin(2 * np.pi * 1.8 * np.arange(250) / 50)
    return imu


def seen_by(rotation: np.ndarray, imu: np.ndarray) -> np.ndarray:
    """The same window, measured in other axes."""
    return np.concatenate([rotation.T @ imu[:3], rotation.T @ imu[3:]])


def as_window(imu: np.ndarray, start_ns: int = 0, quality: Quality = GOOD) -> Window:
    return Window(imu.astype(np.float32), start_ns, start_ns + 5 * SECOND, quality)


def learnt(rotation: np.ndarray, windows: int = 12) -> MountLearner:
    learner = MountLearner()
    for seed in range(windows):
        assert learner.add(seen_by(rotation, walking(seed)))
    return learner


@given(seeds, st.floats(1e-3, 1e3))
def test_any_direction_is_turned_into_the_reference_by_a_rotation(seed: int, size: float) -> None:
    direction = size * rotation_of(seed)[0]
    rotation = aligning(direction)
    assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-12
    assert abs(np.linalg.det(rotation) - 1) < 1e-12
    assert np.abs(rotation @ direction / size - UP).max() < 1e-9


@given(seeds)
def test_up_to_135_degrees_it_is_the_smallest_rotation(seed: int) -> None:
    direction = rotation_of(seed)[0]
    if between(direction, UP) < 134.99:
        assert abs(degrees(aligning(direction)) - between(direction, UP)) < 1e-5


@given(st.floats(0, 2 * np.pi), st.floats(0, 44.9))
def test_upside_down_it_is_a_half_turn_about_z_and_the_smallest_rotation_for_the_rest(side: float, tilt: float) -> None:
    off = np.radians(tilt)
    direction = np.array([np.sin(off) * np.cos(side), -np.cos(off), np.sin(off) * np.sin(side)])
    rest = aligning(direction) @ np.diag([-1.0, -1.0, 1.0]).T
    assert degrees(rest) == pytest.approx(tilt, abs=1e-5)
    # So a little tilt turns the rotation a little: the smallest one alone would swing about.
    assert degrees(aligning(direction) @ aligning(-UP).T) == pytest.approx(tilt, abs=1e-5)


def test_exactly_opposite_gravity_gives_the_half_turn_about_z() -> None:
    assert aligning(-UP) == pytest.approx(np.diag([-1.0, -1.0, 1.0]))


def test_gravity_in_place_gives_the_identity() -> None:
    assert aligning(9.81 * UP) == pytest.approx(np.eye(3))


@settings(max_examples=30)
@given(seeds)
def test_the_learnt_rotation_turns_gravity_upright_on_any_mount(seed: int) -> None:
    rotation = learnt(rotation_of(seed)).rotation()
    assert between(rotation @ rotation_of(seed).T @ UP, UP) < 1


@settings(max_examples=30)
@given(seeds)
def test_composed_with_the_mount_in_use_a_second_round_has_nothing_left_to_turn(seed: int) -> None:
    raw = [seen_by(rotation_of(seed), walking(each)) for each in range(12)]
    sensors = Sensors(mount=rotation_of(seed + 1))
    for _ in range(2):
        mount = np.array(sensors.mount)
        learner = MountLearner()
        for imu in raw:
            learner.add(np.concatenate([mount @ imu[:3], mount @ imu[3:]]))
        left, sensors = learner.rotation(), learner.sensors(sensors)
    assert left == pytest.approx(np.eye(3), abs=1e-6)


def test_the_sensors_keep_all_but_their_mount() -> None:
    sensors = Sensors(accelerometer_unit="g", convention="ios", gyroscope_range=2000)
    taught = learnt(rotation_of(3)).sensors(sensors)
    assert (taught.accelerometer_unit, taught.convention, taught.gyroscope_range) == ("g", "ios", 2000)
    assert np.array(taught.mount) == pytest.approx(learnt(rotation_of(3)).rotation())


def test_windows_without_bounce_are_left_out() -> None:
    learner = MountLearner()
    assert not learner.add(walking(bounce=0.1))
    assert learner.seconds == 0


def test_running_is_left_out() -> None:
    assert not MountLearner().add(walking(bounce=6))


def test_a_nodding_head_is_left_out() -> None:
    imu = walking(bounce=0.0)
    angle = 0.5 * np.sin(np.arange(250) / 20)
    imu[0], imu[1] = 9.81 * np.sin(angle), 9.81 * np.cos(angle)
    assert not MountLearner().add(imu)


def test_windows_in_another_unit_are_left_out() -> None:
    assert not MountLearner().add(1.3 * walking(bounce=1.2))


@pytest.mark.parametrize("changes", [{"coverage": 0.8}, {"saturated": 0.01}])
def test_badly_measured_windows_are_left_out(changes: dict[str, float]) -> None:
    quality = GOOD._replace(**changes)
    assert not MountLearner().add(as_window(walking(), quality=quality))


def test_time_that_windows_share_counts_once() -> None:
    learner = MountLearner()
    for start in range(11):
        learner.add(as_window(walking(start), start * SECOND))
    assert learner.seconds == pytest.approx(15)


def test_a_window_given_twice_does_not_serve_again() -> None:
    learner = MountLearner()
    assert learner.add(as_window(walking()))
    assert not learner.add(as_window(walking()))


def test_after_the_clock_was_set_back_windows_serve_again() -> None:
    learner = MountLearner()
    learner.add(as_window(walking(), 100 * SECOND))
    assert learner.add(as_window(walking(), 0))
    assert learner.seconds == 10


@pytest.mark.parametrize("hop", [0.02, 0.1, 0.3, 5.0])
def test_progress_reaches_one_when_the_seconds_are_there_at_any_hop(hop: float) -> None:
    learner = MountLearner(needed_s=20)
    imu, windows = walking(), round(15 / hop) + 1
    for step in range(windows):
        assert learner.progress < 1
        learner.add(as_window(imu, step * round(hop * SECOND)))
    assert learner.progress == 1
    learner.rotation()


def test_too_few_seconds_are_refused_with_how_many_are_needed() -> None:
    learner = learnt(np.eye(3), windows=3)
    with pytest.raises(CalibrationError, match="15 s of walking or the like were seen and 60 s are needed"):
        learner.rotation()


def test_directions_that_do_not_agree_are_refused() -> None:
    learner = MountLearner()
    for seed in range(40):
        learner.add(seen_by(rotation_of(seed), walking(seed)))
    assert learner.spread_degrees > 40
    with pytest.raises(CalibrationError, match="moved on the head"):
        learner.rotation()


def test_a_third_of_odd_windows_hardly_moves_the_rotation() -> None:
    learner = learnt(rotation_of(1), windows=20)
    for seed in range(10):
        learner.add(seen_by(rotation_of(2), walking(seed)))
    assert between(learner.rotation() @ rotation_of(1).T @ UP, UP) < 3


def test_the_spread_of_nothing_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no window"):
        _ = MountLearner().spread_degrees


def test_the_spread_is_the_median_angle() -> None:
    learner = MountLearner()
    for number, side in enumerate(np.radians(np.linspace(-30, 30, 61))):
        turn = np.array([[np.cos(side), -np.sin(side), 0], [np.sin(side), np.cos(side), 0], [0, 0, 1]])
        learner.add(seen_by(turn, walking(number)))
    assert learner.spread_degrees == pytest.approx(15, abs=1)


def test_memory_is_bounded_and_nothing_is_forgotten() -> None:
    learner, imu = MountLearner(), seen_by(rotation_of(5), walking())
    for _ in range(3000):
        learner.add(imu)
    assert learner.seconds == 15_000
    assert len(learner._bins) <= 240
    # Old time is kept as finely as new time.
    assert len({seconds for seconds, _ in learner._bins[:-1]}) == 1
    assert sum(seconds for seconds, _ in learner._bins) == pytest.approx(15_000)
    assert between(learner.rotation() @ rotation_of(5).T @ UP, UP) < 2


@pytest.mark.parametrize("imu", [np.zeros((6, 249)), np.zeros((3, 250)), np.full((6, 250), np.nan)])
def test_no_window_is_a_window_error_and_keeps_what_was_learnt(imu: np.ndarray) -> None:
    learner = learnt(np.eye(3))
    with pytest.raises(WindowError, match="expected"):
        learner.add(imu)
    assert learner.seconds == 60


@pytest.mark.parametrize("needed", [4.9, 3601, float("nan")])
def test_seconds_out_of_range_are_refused(needed: float) -> None:
    with pytest.raises(CalibrationError, match="needed_s"):
        MountLearner(needed)
