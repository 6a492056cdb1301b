"""The still-pose check: each mistake is found whatever the tilt, named, and gone once the suggestion is followed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus_sdk.calibration.pose import Pose, check_pose
from primus_sdk.errors import StreamError
from primus_sdk.windowing.cutting import Window
from primus_sdk.windowing.quality import Quality
from primus_sdk.windowing.sensors import Sensors

tilts = st.tuples(st.floats(-0.35, 0.35), st.floats(-0.35, 0.35))  # radians about x and z: under 30 degrees together
SIGNED_AXES = [
    matrix
    for order in itertools.permutations(np.eye(3))
    for signs in itertools.product((1, -1), repeat=3)
    if np.linalg.det(matrix := np.array(order) * np.array(signs)[:, np.newaxis]) > 0
]


def tilted(about_x: float, about_z: float) -> np.ndarray:
    c, s = np.cos(about_x), np.sin(about_x)
    first = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    c, s = np.cos(about_z), np.sin(about_z)
    return first @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def at_rest(tilt: tuple[float, float] = (0, 0), n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """A worn head at rest, in m/s^2 and rad/s, in the training data's axes: (3, n) of each sensor."""
    rng = np.random.default_rng(0)
    up = tilted(*tilt) @ np.array([0, 9.7, 0])
    bias = np.array([0.03, -0.02, 0.01])
    return up[:, np.newaxis] + rng.normal(0, 0.03, (3, n)), bias[:, np.newaxis] + rng.normal(0, 0.02, (3, n))


def seen(true: Sensors, declared: Sensors, tilt: tuple[float, float] = (0, 0)) -> Pose:
    """The check, where a device is as in `true` and was declared to be as in `declared`."""
    acceleration, rotation = at_rest(tilt)
    acceleration = declared.accelerometer_matrix() @ np.linalg.inv(true.accelerometer_matrix()) @ acceleration
    rotation = declared.gyroscope_matrix() @ np.linalg.inv(true.gyroscope_matrix()) @ rotation
    return check_pose(acceleration, rotation, sensors=declared)


def codes(pose: Pose) -> list[str]:
    return [finding.code for finding in pose.findings]


@given(tilts)
def test_all_is_well_on_a_head_that_is_nearly_upright(tilt: tuple[float, float]) -> None:
    pose = seen(Sensors(), Sensors(), tilt)
    assert pose.ok
    assert pose.suggested == Sensors()
    assert pose.gravity_mps2 == pytest.approx(9.7, abs=0.05)
    assert pose.direction == pytest.approx(tuple(tilted(*tilt)[:, 1]), abs=0.01)


@given(tilts, st.sampled_from(["android", "ios"]), st.sampled_from(SIGNED_AXES))
def test_g_declared_as_metres_is_found_at_any_tilt_and_mount(tilt, convention, mount) -> None:
    pose = seen(Sensors("g", convention=convention, mount=mount), Sensors(), tilt)
    assert codes(pose)[0] == "in g"
    assert "Sensors(accelerometer_unit='g')" in pose.findings[0].message


@given(tilts, st.sampled_from(["android", "ios"]), st.sampled_from(SIGNED_AXES))
def test_metres_declared_as_g_are_found_at_any_tilt_and_mount(tilt, convention, mount) -> None:
    pose = seen(Sensors(convention=convention, mount=mount), Sensors("g"), tilt)
    assert codes(pose)[0] == "not in g"
    assert "Sensors(accelerometer_unit='m/s^2')" in pose.findings[0].message


@given(tilts, st.sampled_from(["m/s^2", "g"]), st.sampled_from(["m/s^2", "g"]), st.booleans(), st.booleans())
def test_mistakes_of_unit_and_sign_together_are_gone_once_the_suggestion_is_followed(
    tilt, true_unit, declared_unit, upside_down, degrees
) -> None:
    true = Sensors(true_unit, "deg/s" if degrees else "rad/s", "ios" if upside_down else "android")
    pose = seen(true, Sensors(declared_unit), tilt)
    expected = [{"g": "in g", "m/s^2": "not in g"}[true_unit]] * (true_unit != declared_unit)
    assert codes(pose) == expected + ["downward"] * upside_down + ["gyroscope in deg/s"] * degrees
    assert pose.suggested == true
    assert seen(true, pose.suggested, tilt).ok


@pytest.mark.parametrize("mount", SIGNED_AXES)
@pytest.mark.parametrize("declared", [None, SIGNED_AXES[5]])
def test_any_axis_up_is_named_and_the_suggested_mount_brings_it_up(mount: np.ndarray, declared) -> None:
    true, sensors = Sensors(mount=mount), Sensors(mount=declared)
    pose = seen(true, sensors)
    if codes(pose) == ["downward"]:
        assert pose.direction[1] < -0.99
        return
    suggested = seen(true, pose.suggested)
    assert suggested.ok
    if pose.ok:
        return
    assert codes(pose) == ["axis"]
    strongest = int(np.argmax(np.abs(pose.direction)))
    assert f"along {'+-'[pose.direction[strongest] < 0]}{'xyz'[strongest]} where +y" in pose.findings[0].message
    rows = np.array(pose.suggested.mount)
    assert str(rows.round(4).tolist()).replace("-0.0", "0.0") in pose.findings[0].message
    assert np.abs(np.abs(rows).max(axis=1) - 1).max() < 1e-9


def test_pointing_down_speaks_of_ios_and_of_a_sensor_upside_down() -> None:
    message = seen(Sensors(convention="ios"), Sensors()).findings[0].message
    assert "Sensors(convention='ios')" in message
    assert "Sensors(mount=[[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])" in message


def test_android_samples_declared_ios_are_found() -> None:
    pose = seen(Sensors(), Sensors(convention="ios"))
    assert codes(pose) == ["downward"]
    assert pose.suggested.convention == "android"


def test_a_head_held_askew_is_told_to_learn_the_mount_from_use() -> None:
    pose = seen(Sensors(), Sensors(), (0.7, 0))
    assert codes(pose) == ["tilt"]
    assert "40 degrees" in pose.findings[0].message
    assert "MountLearner" in pose.findings[0].message


def test_axes_and_tilt_are_told_together() -> None:
    assert codes(seen(Sensors(mount=SIGNED_AXES[8]), Sensors(), (0.7, 0)))[-1] == "tilt"


def test_acceleration_without_gravity_is_found() -> None:
    acceleration, rotation = at_rest()
    pose = check_pose(acceleration - np.array([[0], [9.7], [0]]), rotation)
    assert codes(pose) == ["no gravity"]
    assert "gravity=" in pose.findings[0].message


@pytest.mark.parametrize("factor", [0.5, 1 / 2.5, 2, 100, 1000 / 9.80665])
def test_a_scale_that_no_unit_explains_is_found(factor: float) -> None:
    acceleration, _ = at_rest()
    assert codes(check_pose(9.7 * factor * acceleration / np.abs(acceleration).max())) == ["size"]


@pytest.mark.parametrize(("seconds", "enough"), [(0.5, False), (0.97, False), (1.0, True), (3.0, True)])
def test_less_than_a_second_is_too_short(seconds: float, enough: bool) -> None:
    acceleration, rotation = at_rest(n=round(100 * seconds))
    assert codes(check_pose(acceleration, rotation, rate_hz=100)) == ([] if enough else ["short"])


def test_a_head_that_moves_is_told_to_hold_still_and_nothing_else() -> None:
    acceleration, rotation = at_rest()
    acceleration[0] += np.sin(np.arange(100) / 5)
    assert codes(check_pose(-acceleration, rotation)) == ["moving"]


def test_movement_in_g_is_movement_too() -> None:
    acceleration, rotation = at_rest()
    acceleration[0] += np.sin(np.arange(100) / 5)
    assert codes(check_pose(acceleration / 9.80665, rotation)) == ["moving"]


def test_a_turn_that_moves_both_sensors_is_movement() -> None:
    acceleration, rotation = at_rest()
    acceleration[0] += 0.2 * np.sin(np.arange(100) / 5)
    rotation[1] += 0.3 * np.sin(np.arange(100) / 5)
    assert codes(check_pose(acceleration, rotation)) == ["moving"]


def test_degrees_of_a_quiet_gyroscope_on_a_table_are_found() -> None:
    rng = np.random.default_rng(0)
    acceleration = rng.normal(0, 0.01, (3, 100)) + np.array([[0], [9.8], [0]])
    assert codes(check_pose(acceleration, np.degrees(rng.normal(0, 0.0015, (3, 100))))) == ["gyroscope in deg/s"]
    assert check_pose(acceleration, rng.normal(0, 0.0015, (3, 100))).ok


def test_a_gyroscope_that_reads_far_from_zero_is_found() -> None:
    acceleration, rotation = at_rest()
    rotation[2] += 0.9
    assert codes(check_pose(acceleration, rotation)) == ["gyroscope bias"]


def test_without_a_gyroscope_the_accelerometer_is_checked_alone() -> None:
    assert codes(check_pose(-at_rest()[0])) == ["downward"]


def test_a_window_is_taken_as_it_is() -> None:
    imu = np.concatenate(at_rest(n=250)).astype(np.float32)
    window = Window(imu, 0, 5_000_000_000, Quality(1.0, 0.0, 50.0, 50.0, 0.0, 0.0, True, False))
    assert check_pose(window).ok
    assert codes(check_pose(replace(window, imu=imu / np.float32(9.80665)))) == ["in g"]
    with pytest.raises(StreamError, match="give it alone"):
        check_pose(window, imu[3:])


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 0)), np.zeros((100, 3)), np.zeros(3), np.full((3, 100), np.nan), np.full((3, 100), 1e300), "x"]
)
def test_no_samples_are_a_stream_error(bad: object) -> None:
    acceleration, rotation = at_rest()
    with pytest.raises(StreamError):
        check_pose(bad, rotation)  # type: ignore[arg-type]
    with pytest.raises(StreamError):
        check_pose(acceleration, bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_must_be_above_zero(rate: float) -> None:
    with pytest.raises(StreamError, match="rate_hz"):
        check_pose(*at_rest(), rate_hz=rate)


@given(st.integers(0, 2**32 - 1))
def test_any_samples_give_a_pose_with_sentences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-6, 4)
    pose = check_pose(rng.normal(scale * rng.normal(size=(3, 1)), 0.01, (3, 60)), rng.normal(0, scale, (3, 60)))
    assert all(finding.message and finding.message[0] != " " for finding in pose.findings)
    assert pose.ok == (not pose.findings)


@pytest.mark.parametrize(("declared", "size"), [(Sensors(), 9.8 * 9.80665), (Sensors("g"), 1.0)])
def test_a_unit_that_was_declared_already_is_not_suggested_again(declared: Sensors, size: float) -> None:
    acceleration, rotation = at_rest()
    pose = check_pose(acceleration * (size / 9.7), rotation, sensors=declared)
    assert codes(pose) == ["size"]
    assert pose.suggested == declared


@pytest.mark.parametrize("hz", [0.3, 0.4, 1.0])
@pytest.mark.parametrize("rate", [50, 200])
def test_a_turn_about_the_vertical_is_movement_and_changes_no_unit(hz: float, rate: int) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(2 * rate) / rate
    acceleration = rng.normal(0, 0.05, (3, len(time))) + np.array([[0], [9.8], [0]])
    rotation = rng.normal(0, 0.005, (3, len(time)))
    rotation[1] += np.radians(10) * 2 * np.pi * hz * np.cos(2 * np.pi * hz * time)
    pose = check_pose(acceleration, rotation, rate_hz=rate)
    assert codes(pose) == ["moving"]
    assert pose.suggested == Sensors()
    assert "gyroscope_unit='deg/s'" in pose.findings[0].message
