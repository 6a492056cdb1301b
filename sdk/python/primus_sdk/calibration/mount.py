"""Mount from use: how the glasses sit on this head, learnt from gravity while its wearer is up and about.

Glasses sit on every head at another pitch and roll. While someone walks, takes stairs or stands up, the head is
upright and looks ahead, so that gravity shows both; while they read or sit at a screen it shows their posture instead.
So only windows in which the body bounces are learnt from. Turned by `MountLearner.rotation`, gravity points to where
the training data have it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.errors import CalibrationError, WindowError
from primus_sdk.windowing.cutting import WINDOW_SAMPLES, Window
from primus_sdk.windowing.sensors import STANDARD_GRAVITY, Sensors

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

REFERENCE_GRAVITY = (0.0, 1.0, 0.0)
"""Where an upright head's accelerometer points at rest in the training data's axes: up, +y.

ClassyGlass's sensors sit both ways up (so training turns half of the windows by half turns) and tilted by some degrees
on each head; y is the axis that they share. `benchmarks/mount.py` prints each user's direction, and their mean: those
upside down turned about z, it lies 8 degrees off y.
"""
LEAST_BOUNCE, MOST_BOUNCE = 0.8, 4.0
"""Standard deviation of the acceleration's size within a window, m/s^2: of a window to learn from. Turning the head
does not change the size; steps and standing up do. Above it are running, and glasses that are put on."""
WIDEST_SPREAD = 40.0
"""Degrees; beyond it the windows do not agree on a direction."""
_BINS = 240
_BIN_SECONDS = 5.0
_STEPS = 64
_UPSIDE_DOWN = math.cos(math.radians(135))
_HALF_TURN = np.diag([-1.0, -1.0, 1.0])


def aligning(direction: ArrayLike) -> Matrix:
    """The rotation (3, 3) that turns a direction (3,), of any length above 0, into REFERENCE_GRAVITY.

    Up to 135 degrees it is the smallest: about the horizontal axis that is square to both. Beyond, the sensor sits
    upside down, and the smallest rotation would depend on the last degree of tilt: about x or z or any axis between.
    There the sensor is first given a half turn about z (as the sensors of ClassyGlass that sit upside down are), and
    then the smallest rotation for what is left; exactly opposite gravity gives that half turn alone.
    """
    unit = np.asarray(direction, np.float64)
    unit = unit / math.sqrt(unit @ unit)
    reference = np.array(REFERENCE_GRAVITY)
    if unit @ reference < _UPSIDE_DOWN:
        return _smallest(_HALF_TURN @ unit, reference) @ _HALF_TURN
    return _smallest(unit, reference)


def _smallest(unit: Vector, reference: Vector) -> Matrix:
    """The smallest rotation from one unit vector to another, not opposite: one mirror after another."""
    between = unit + reference
    between /= math.sqrt(between @ between)
    mirror = np.eye(3) - 2 * np.outer(unit, unit)
    rotation: Matrix = (np.eye(3) - 2 * np.outer(between, between)) @ mirror
    return rotation


class MountLearner:
    """Learns pitch and roll of the glasses on a head from windows of a user's first minutes.

    Gravity cannot show yaw: a turn about the vertical leaves it where it is. The rotation adds none; which way is
    forward must come from the device's own axes, by `Sensors.mount`.

    Feed it windows that come by way of the `Sensors` in use; the rotation is then what is left to turn, and the mount
    to declare is `rotation @ mount` (`sensors` says so). Where the head in use has a mount, which streams apply after
    that of the sensors, the new head's is `rotation @ head.mount` instead. Fed again with windows that come by way of
    the new mount, it gives the identity. When the glasses are replaced by others, begin with a new learner.

    Memory is bounded, whatever comes in. Not shared between threads.
    """

    def __init__(self, needed_s: float = 60.0) -> None:
        """`needed_s`: seconds of walking and the like that it takes, 5 to 3600.

        Raises:
            CalibrationError: out of that range.
        """
        self._needed_s = arguments.number(needed_s, "needed_s", "5 to 3600 seconds", CalibrationError, 5, 3600)
        self._width = _BIN_SECONDS
        self._bins: list[tuple[float, Vector]] = []  # seconds, and the sum of directions times seconds
        self._seconds = 0.0
        self._last_start_ns: int | None = None

    @property
    def seconds(self) -> float:
        """Seconds learnt from so far; time that windows share counts once."""
        return self._seconds

    @property
    def progress(self) -> float:
        """How much of what is needed is there, 0 to 1; at 1 `rotation` can be asked for."""
        # Hops add up to a hair less than they should.
        return min(1.0, self.seconds / self._needed_s + 1e-9)

    def add(self, window: Window | ArrayLike) -> bool:
        """Learn from a window, or one's `(6, 250)` array, which counts for 5 s; returns whether it served.

        Left out are windows without bounce (LEAST_BOUNCE to MOST_BOUNCE), of which over a tenth was not measured or any
        sample was saturated, and whose mean acceleration is off 1 g by over 15 %.

        Raises:
            WindowError: not `(6, 250)`, or not finite.
        """
        fresh = WINDOW_SAMPLES / 50
        if isinstance(window, Window):
            if window.quality.coverage < 0.9 or window.quality.saturated > 0:
                return False
            direction = _upright(window.imu)
            before = self._last_start_ns
            if before is not None and window.start_ns >= before:
                fresh = min(fresh, (window.start_ns - before) / 1e9)
        else:
            direction = _upright(window)
        if direction is None or fresh == 0:
            return False
        if isinstance(window, Window):
            self._last_start_ns = window.start_ns
        self._keep(fresh, direction)
        return True

    @property
    def spread_degrees(self) -> float:
        """How far the windows' directions lie from the learnt one: their median angle, 0 to 180; a confidence.

        5 to 15 for someone walking about; much more where the glasses were moved, or sat on no head.

        Raises:
            CalibrationError: no window has served yet.
        """
        if not self._bins:
            raise CalibrationError("no window has served yet; walk about with the glasses on")
        seconds, directions = self._table()
        cosines = directions @ _median(seconds, directions)
        order = np.argsort(-cosines, kind="stable")
        middle = order[int(np.searchsorted(np.cumsum(seconds[order]), seconds.sum() / 2))]
        return math.degrees(math.acos(min(1.0, max(-1.0, float(cosines[middle])))))

    def rotation(self) -> Matrix:
        """The rotation (3, 3) that turns the measured gravity into REFERENCE_GRAVITY by pitch and roll; see `aligning`.

        The measured gravity is the geometric median of the directions that served, which a few odd ones do not move.

        Raises:
            CalibrationError: too few seconds served, or their directions do not agree.
        """
        if self.progress < 1:
            raise CalibrationError(
                f"{self.seconds:.0f} s of walking or the like were seen and {self._needed_s:.0f} s are needed; "
                "let the user walk about with the glasses on"
            )
        spread = self.spread_degrees
        if spread > WIDEST_SPREAD:
            raise CalibrationError(
                f"gravity came from directions {spread:.0f} degrees apart; expected at most {WIDEST_SPREAD:.0f}: "
                "the glasses moved on the head or were taken off; begin again with a new learner"
            )
        return aligning(_median(*self._table()))

    def sensors(self, current: Sensors) -> Sensors:
        """The sensors in use, whose samples the windows came from, with the mount that this learner found.

        Raises:
            CalibrationError: as `rotation`.
        """
        arguments.instance(current, Sensors, "the sensors in use", CalibrationError)
        mount = np.eye(3) if current.mount is None else np.asarray(current.mount, np.float64)
        return replace(current, mount=self.rotation() @ mount)

    def _keep(self, seconds: float, direction: Vector) -> None:
        self._seconds += seconds
        if self._bins and self._bins[-1][0] + seconds <= self._width * (1 + 1e-9):
            held, total = self._bins[-1]
            self._bins[-1] = (held + seconds, total + seconds * direction)
            return
        if len(self._bins) == _BINS:
            pairs = zip(self._bins[::2], self._bins[1::2], strict=True)
            self._bins = [(first[0] + second[0], first[1] + second[1]) for first, second in pairs]
            self._width *= 2
        self._bins.append((seconds, seconds * direction))

    def _table(self) -> tuple[Vector, Matrix]:
        """Each bin's seconds (n,) and unit direction (n, 3)."""
        sums = np.array([total for _, total in self._bins])
        lengths = np.maximum(np.sqrt((sums * sums).sum(axis=1, keepdims=True)), 1e-12)
        return np.array([seconds for seconds, _ in self._bins]), sums / lengths


def _upright(imu: ArrayLike) -> Vector | None:
    """The direction of gravity (3,) in a window of an upright, moving wearer; None in any other."""
    window = arguments.floats(imu, "a window's numbers", WindowError)
    if window.shape != (6, WINDOW_SAMPLES) or not np.isfinite(window).all():
        raise WindowError(f"the window has the shape {window.shape}; expected (6, {WINDOW_SAMPLES}), all finite")
    acceleration = window[:3]
    sizes = np.sqrt((acceleration * acceleration).sum(axis=0))
    if not LEAST_BOUNCE <= sizes.std() <= MOST_BOUNCE:
        return None
    mean: Vector = acceleration.mean(axis=1)
    size = math.sqrt(mean @ mean)
    if abs(size / STANDARD_GRAVITY - 1) > 0.15:
        return None
    unit: Vector = mean / size
    return unit


def _median(weights: Vector, points: Matrix) -> Vector:
    """The direction (3,) of the weighted geometric median of points (n, 3): Weiszfeld's steps, a fixed number."""
    centre: Vector = weights @ points / weights.sum()
    for _ in range(_STEPS):
        distances = np.sqrt(((points - centre) ** 2).sum(axis=1))
        pull = weights / np.maximum(distances, 1e-6)
        centre = pull @ points / pull.sum()
    return centre / max(math.sqrt(centre @ centre), 1e-12)
