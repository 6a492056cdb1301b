"""Whether the head moved in a window.

A window is still when both sensors deliver nothing but noise and what a resting body does (breath, pulse). What counts
is the spread within the window alone, over the three axes together, so that neither a gyroscope's bias nor the
direction of gravity, nor a turn of the whole window, matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STILL_ACCELERATION = 0.06
"""Below it the accelerometer is at rest: standard deviation in m/s^2, of the three axes together.

White noise of up to 400 ug/sqrt(Hz) (0.034 in 25 Hz, as of the cheapest parts; 0.016 of ClassyGlass's sensor) stays
below; glasses worn by someone who reads without a move reach .04 to .06 in their calmest windows.
"""
STILL_ROTATION = 0.01
"""Below it the gyroscope is at rest: standard deviation in rad/s, of the three axes together.

White noise of up to 0.03 deg/s/sqrt(Hz) (0.0045 in 25 Hz; 0.0012 of ClassyGlass's sensor) stays below; a
head on a neck that holds it up is seldom that quiet (.009 and more).
"""

_EVERY = 5


def still(imu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether the head did not move, of each window of finite numbers `(n, 6, 250)`: bool `(n,)`.

    accelerometer: sqrt(var x + var y + var z) < STILL_ACCELERATION, and the same of the gyroscope; var is the mean of
    the squared differences from the window's mean, in float64. A window gives the same answer among any others.

    A turn about the vertical at one rate for all 5 s is the one movement that it takes for a bias of the gyroscope.
    """
    if _surely_moving(imu):
        return np.zeros(len(imu), np.bool_)
    # Cast first: a reduction that casts on the way works in blocks of a buffer, and NumPy does not say where they end.
    centred = imu.astype(np.float64, order="C")
    points = centred.shape[2]
    centred -= np.add.reduce(centred, axis=2, keepdims=True) / points
    variance = np.add.reduce(np.square(centred, out=centred), axis=2) / points
    acceleration = variance[:, 0] + variance[:, 1] + variance[:, 2]
    rotation = variance[:, 3] + variance[:, 4] + variance[:, 5]
    answer: NDArray[np.bool_] = (acceleration < STILL_ACCELERATION**2) & (rotation < STILL_ROTATION**2)
    return answer


def _surely_moving(imu: NDArray[np.float32]) -> bool:
    """Whether the accelerometer's every fifth point alone has more than the spread of rest, in all windows.

    The squared differences of all points are no fewer than those of some, and those are least from their own mean.
    Twice the bound leaves room for rounding: the answer is that of the whole.
    """
    some = imu[:, :3, ::_EVERY].astype(np.float64, order="C")
    count = some.shape[2]
    some -= np.add.reduce(some, axis=2, keepdims=True) / count
    least = np.add.reduce(np.square(some, out=some), axis=(1, 2)) / imu.shape[2]
    return bool(least.min(initial=np.inf) > 2 * STILL_ACCELERATION**2)
