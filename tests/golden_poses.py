"""Golden vectors of the check of a still pose: each finding once, and both sides of each limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import golden
import numpy as np
from golden import table, write_table

from primus_sdk.calibration.pose import check_pose
from primus_sdk.windowing.sensors import Sensors

Three = tuple[float, float, float]
AXES = ["ax", "ay", "az", "gx", "gy", "gz"]
DECLARED = ["accelerometer_unit", "gyroscope_unit", "convention", "mount"]
SUGGESTED = [f"suggested_{what}" for what in ("accelerometer", "gyroscope", "convention", "mount")]
SAID = ["gravity_mps2", "findings", *SUGGESTED]
NOISY: dict[str, tuple[Three, float, dict[str, Any]]] = {
    # Gravity as the sensor reports it, the gyroscope's reading, and what was declared.
    "right": ((0.3, 9.7, 0.9), 0.01, {}),
    "in_g": ((0.03, 0.99, 0.09), 0.01, {}),
    "not_in_g": ((0.3, 9.7, 0.9), 0.01, {"accelerometer_unit": "g"}),
    "no_gravity": ((0.01, 0.02, 0.0), 0.01, {}),
    "odd_size": ((0.0, 4.2, 0.0), 0.01, {}),
    "downward": ((0.3, -9.7, 0.9), 0.01, {}),
    "other_axis": ((9.7, 0.3, -0.9), 0.01, {}),
    "tilted": ((0.0, 7.8, 5.9), 0.01, {}),
    "gyroscope_bias": ((0.3, 9.7, 0.9), 0.6, {}),
    "gyroscope_in_deg": ((0.3, 9.7, 0.9), 0.5, {}),
    "moving": ((0.3, 9.7, 0.9), 0.01, {}),
    "short": ((0.3, 9.7, 0.9), 0.01, {}),
}


@dataclass(frozen=True)
class Still:
    """A pose whose numbers are known: the spread of a sensor is what it shakes, shivers or swings by, to 4 digits.

    gravity, turning: the mean of either sensor. shake, shiver: added to each sample in turn with one sign and the
    other. swing: the spread of a sine about x, of swing_hz. rotations: how many gyroscope samples there are, over the
    same time; as many as of the accelerometer where it is None.
    """

    gravity: Three = (0.0, 9.8, 0.0)
    turning: Three = (0.0, 0.0, 0.0)
    shake: Three = (0.0, 0.0, 0.0)
    shiver: Three = (0.0, 0.0, 0.0)
    swing: float = 0.0
    swing_hz: float = 0.0
    count: int = 10
    rate: float = 10.0
    rotations: int | None = None
    declared: dict[str, Any] = field(default_factory=dict)

    def samples(self) -> list[list[Any]]:
        """A line each: one sample of either sensor, or none of the gyroscope where it has no more."""
        rotations = self.count if self.rotations is None else self.rotations
        signs = (-1.0) ** np.arange(self.count)[:, None]
        acceleration = np.array(self.gravity) + signs * self.shake
        rotation = np.array(self.turning) + signs[:rotations] * self.shiver
        seconds = np.arange(rotations) / max(rotations, 1) * self.count / self.rate
        rotation[:, 0] += self.swing * math.sqrt(2) * np.sin(2 * math.pi * self.swing_hz * seconds)
        missing = [[None] * 3] * (self.count - rotations)
        rows = zip(np.round(acceleration, 5).tolist(), [*np.round(rotation, 5).tolist(), *missing], strict=True)
        return [[value if value is None else value + 0.0 for value in (*one, *other)] for one, other in rows]


def _x(size: float) -> Three:
    return (size, 0.0, 0.0)


def _up(size: float) -> Three:
    return (0.0, size, 0.0)


def _leaning(degrees: float) -> Three:
    angle = math.radians(degrees)
    return (0.0, round(9.8 * math.cos(angle), 4), round(9.8 * math.sin(angle), 4))


G, DEG = {"accelerometer_unit": "g"}, {"gyroscope_unit": "deg/s"}
IOS = {"convention": "ios"}
ABOUT_X = {"mount": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0)}
ABOUT_Z = {"mount": (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)}
CALM = _x(0.05)  # with it, W is looked at against 0.13
SECOND: dict[str, Any] = {"count": 20, "rate": 20.0}
TWO: dict[str, Any] = {"count": 100, "rate": 50.0}
LIMITS = {
    # How long it takes.
    "second_less_under_half_a_sample": Still(count=50, rate=50.4),
    "second_less_over_half_a_sample": Still(count=50, rate=50.6),
    # How far the accelerometer may vary, of all axes together and as a share of gravity.
    "acceleration_299": Still(shake=_x(0.299), **SECOND),
    "acceleration_301": Still(shake=_x(0.301), **SECOND),
    "acceleration_on_three_axes": Still(shake=(0.2, 0.2, 0.2)),
    "acceleration_310_of_much_gravity": Still(gravity=_up(10.6), shake=_x(0.31)),
    "acceleration_280_of_little_gravity": Still(gravity=_up(9.0), shake=_x(0.28)),
    "moving_upside_down": Still(gravity=_up(-9.8), shake=_x(0.5), turning=_x(0.4)),
    # How far the gyroscope may: 0.1, beside the accelerometer's 0.03 + 2 A.
    "rotation_099": Still(shake=CALM, shiver=_x(0.099), **SECOND),
    "rotation_101": Still(shake=CALM, shiver=_x(0.101), **SECOND),
    "rotation_on_three_axes": Still(shake=CALM, shiver=(0.06, 0.06, 0.06)),
    "rotation_129_below_the_line": Still(shake=CALM, shiver=_x(0.129)),
    "rotation_132_above_the_line": Still(shake=CALM, shiver=_x(0.132)),
    "rotation_029_beside_nothing": Still(shiver=_x(0.029)),
    "rotation_031_beside_nothing": Still(shiver=_x(0.031)),
    "rotation_069_beside_noise": Still(shake=_x(0.02), shiver=_x(0.069)),
    "rotation_072_beside_noise": Still(shake=_x(0.02), shiver=_x(0.072)),
    "right_in_deg": Still(shiver=_x(1.5), declared=DEG),
    "in_deg_declared_already": Still(shiver=_x(10.0), declared=DEG),
    "without_gyroscope": Still(rotations=0),
    # What a smooth turn is.
    "smooth_turn": Still(swing=0.15, swing_hz=1.25, **TWO),
    "hardly_smooth_turn": Still(swing=0.15, swing_hz=1.5, **TWO),
    "smooth_turn_too_small_to_move": Still(swing=0.08, swing_hz=1.25, **TWO),
    "hardly_smooth_turn_at_100_hz": Still(swing=0.15, swing_hz=1.5, count=100, rate=100.0),
    "hardly_smooth_turn_at_20_hz": Still(swing=0.15, swing_hz=0.75, count=40, rate=20.0),
    "smooth_turn_of_a_slower_gyroscope": Still(swing=0.15, swing_hz=1.25, count=120, rate=100.0, rotations=60),
    "smooth_turn_over_two_and_a_half_samples": Still(swing=0.15, swing_hz=1.5, count=125, rate=125.0),
    # Gravity's size.
    "gravity_0_59": Still(gravity=_x(0.59), shake=_x(0.25)),
    "gravity_0_61": Still(gravity=_x(0.61)),
    "gravity_under_12_percent_more": Still(gravity=_up(10.97)),
    "gravity_over_12_percent_more": Still(gravity=_up(11.0)),
    "gravity_under_12_percent_less": Still(gravity=_up(8.64)),
    "gravity_over_12_percent_less": Still(gravity=_up(8.62)),
    "in_g_under_12_percent_more": Still(gravity=_up(1.118)),
    "in_g_over_12_percent_more": Still(gravity=_up(1.122)),
    "not_in_g_under_12_percent_less": Still(gravity=_up(8.64), declared=G),
    "not_in_g_over_12_percent_less": Still(gravity=_up(8.62), declared=G),
    "right_in_g": Still(gravity=_up(1.02), declared=G),
    "in_g_declared_already": Still(gravity=_up(0.104), declared=G),
    "not_in_g_though_not_declared": Still(gravity=_up(96.0)),
    # Its direction.
    "right_under_ios": Still(gravity=_up(-9.8), declared=IOS),
    "downward_under_ios": Still(gravity=_up(9.8), declared=IOS),
    "axis_x_down": Still(gravity=(-9.8, 0.5, 0.0)),
    "axis_z_up": Still(gravity=(0.0, 0.5, 9.8)),
    "axis_z_down": Still(gravity=(0.0, -0.5, -9.8)),
    "right_under_a_mount": Still(gravity=(5.88, 7.84, 0.0), turning=_x(0.24), declared=ABOUT_Z),
    "axis_under_a_mount": Still(gravity=(9.8, 0.0, 0.0), declared=ABOUT_X),
    "axis_under_a_mount_that_tilts": Still(gravity=(0.0, 0.0, 9.8), declared=ABOUT_Z),
    "as_much_along_x_as_y": Still(gravity=(6.93, 6.93, 0.0)),
    "as_much_along_y_as_z": Still(gravity=(0.0, 6.93, 6.93)),
    "as_much_along_z_as_y_down": Still(gravity=(0.0, -6.93, 6.93)),
    "leaning_29": Still(gravity=_leaning(29.5)),
    "leaning_31": Still(gravity=_leaning(30.5)),
    "axis_x_leaning_35": Still(gravity=(8.0277, 0.0, -5.6211)),
    "downward_leaning_35": Still(gravity=(5.6211, -8.0277, 0.0)),
    # The gyroscope's mean.
    "bias_249": Still(turning=_x(0.249)),
    "bias_251": Still(turning=_x(0.251)),
    "bias_on_three_axes": Still(turning=(0.15, -0.15, 0.15)),
}
COUNT = len(NOISY) + len(LIMITS)


def write(folder: Path) -> None:
    """Make all poses and write what the SDK finds in them."""
    rows = []
    for name, (declared, rate, samples) in _made().items():
        write_table(folder / f"{name}.csv", AXES, samples)
        row = {"name": name, "rate_hz": golden.text(rate)} | {
            key: _spelled(value) for key, value in zip(DECLARED, _fields(Sensors(**declared)), strict=True)
        }
        rows.append([*row.values(), *pose(folder, row)])
    write_table(folder / "poses.csv", ["name", "rate_hz", *DECLARED, *SAID], rows)


def check(folder: Path) -> list[str]:
    """What the SDK finds otherwise than it is written, in words."""
    wrong = []
    for row in table(folder / "poses.csv"):
        said = list(map(golden.text, pose(folder, row)))
        if abs(float(said[0]) - float(row[SAID[0]])) > 1e-9 or said[1:] != [row[key] for key in SAID[1:]]:
            wrong.append(f"pose {row['name']}: {said}")
    return wrong


def pose(folder: Path, row: dict[str, str]) -> list[Any]:
    """Gravity's size, the findings' codes, and the sensors that are suggested."""
    mount = None if row["mount"] == "none" else np.reshape([float(word) for word in row["mount"].split(" ")], (3, 3))
    sensors = Sensors(*(row[key] for key in DECLARED[:3]), mount)  # type: ignore[arg-type]
    lines = [list(line.values()) for line in table(folder / f"{row['name']}.csv")]
    acceleration = np.array([line[:3] for line in lines], np.float64).T
    rotation = np.array([line[3:] for line in lines if line[3] != "none"], np.float64).reshape(-1, 3).T
    found = check_pose(
        sensors.accelerometer_matrix() @ acceleration,
        sensors.gyroscope_matrix() @ rotation if rotation.size else None,
        sensors=sensors,
        rate_hz=float(row["rate_hz"]),
    )
    codes = "; ".join(finding.code for finding in found.findings) or "none"
    return [found.gravity_mps2, codes, *map(_spelled, _fields(found.suggested))]


def _fields(sensors: Sensors) -> list[Any]:
    return [getattr(sensors, key) for key in DECLARED]


def _spelled(value: Any) -> str:
    """Of a mount nine numbers with spaces."""
    if value is None or isinstance(value, str):
        return golden.text(value)
    return " ".join(f"{number:g}" for number in np.ravel(value) + 0.0)


def _made() -> dict[str, tuple[dict[str, Any], float, list[list[Any]]]]:
    """What was declared, the rate and the samples of each pose."""
    made: dict[str, tuple[dict[str, Any], float, list[list[Any]]]] = {}
    for number, (name, (gravity, turning, declared)) in enumerate(NOISY.items()):
        random = np.random.default_rng([3, number])
        count = 30 if name == "short" else 75
        noise = np.full((count, 6), [0.01] * 3 + [0.002] * 3) * random.normal(0, 1, (count, 6))
        noise[:, :3] *= 2.0 * (60 if name == "moving" else 1) * (0.1 if name == "in_g" else 1)
        noise[:, 3:] *= 60 if name == "gyroscope_in_deg" else 1
        made[name] = declared, 50.0, np.round(noise + np.array([*gravity, turning, 0.0, 0.0]), 5).tolist()
    for name, still in LIMITS.items():
        declared = dict(still.declared)
        if "mount" in declared:
            declared["mount"] = np.reshape(declared["mount"], (3, 3))
        made[name] = declared, still.rate, still.samples()
    return made
