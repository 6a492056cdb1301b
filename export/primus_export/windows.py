"""Windows to prove an export on: a realistic set made from a seed, or a user's own recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from primus_export.errors import ExportError
from primus_models.graph import CHANNELS, WINDOW, Array
from primus_sdk.recordings import classyglass
from primus_sdk.recordings.windows import windows_of

GRAVITY = 9.80665
RATE = 50.0
MOST_WINDOWS = 512
Signal = NDArray[np.float64]


def made_windows(count: int, seed: int = 0) -> Array:
    """Windows `(count, 6, 250)` as a head-worn IMU would give them, m/s^2 and rad/s.

    The same seed gives the same windows.

    Gravity points anywhere. A fifth each is rest, gait, head turns, gait with turns, and shocks (a seat, a step, a
    knock on the frame), all with sensor noise and a constant gyroscope bias of up to 0.1 rad/s. Random numbers alone
    would not do: an encoder is smooth where its training data lie, and an export must hold there.
    """
    rng = np.random.default_rng(seed)
    return np.stack([_window(rng, index % 5) for index in range(count)]).astype(np.float32)


def _window(rng: np.random.Generator, kind: int) -> Signal:
    time = np.arange(WINDOW) / RATE
    acceleration = np.zeros((3, WINDOW))
    rotation = np.zeros((3, WINDOW))
    if kind in (1, 3):
        _add_gait(rng, time, acceleration, rotation)
    if kind in (2, 3):
        _add_head_turns(rng, time, rotation)
    if kind == 4:
        _add_shocks(rng, time, acceleration, rotation)
    down = rng.standard_normal(3)
    gravity = _rotate_against(down / np.linalg.norm(down) * GRAVITY, rotation)
    acceleration += gravity + rng.normal(0, 0.03, acceleration.shape)
    rotation += rng.uniform(-0.1, 0.1, (3, 1)) + rng.normal(0, 0.005, rotation.shape)
    return np.concatenate([acceleration, rotation])


def _add_gait(rng: np.random.Generator, time: Signal, acceleration: Signal, rotation: Signal) -> None:
    step_hz, strength = rng.uniform(1.4, 3.0), rng.uniform(0.8, 6.0)
    for harmonic in range(1, 5):
        phase = rng.uniform(0, 2 * np.pi, (3, 1))
        size = strength / harmonic**1.5 * rng.uniform(0.2, 1.0, (3, 1))
        acceleration += size * np.sin(2 * np.pi * step_hz * harmonic * time + phase)
        rotation += 0.08 * size * np.sin(np.pi * step_hz * harmonic * time + phase)


def _add_head_turns(rng: np.random.Generator, time: Signal, rotation: Signal) -> None:
    for _ in range(rng.integers(1, 4)):
        middle, width = rng.uniform(0.3, 4.7), rng.uniform(0.15, 0.5)
        axis = rng.standard_normal((3, 1))
        rotation += rng.uniform(0.5, 4.0) * axis / np.linalg.norm(axis) * np.exp(-(((time - middle) / width) ** 2))


def _add_shocks(rng: np.random.Generator, time: Signal, acceleration: Signal, rotation: Signal) -> None:
    for _ in range(rng.integers(1, 5)):
        since = time - rng.uniform(0, 4.8)
        ring = np.where(since >= 0, np.exp(-since.clip(0) / 0.05) * np.cos(2 * np.pi * rng.uniform(5, 15) * since), 0.0)
        acceleration += rng.normal(0, 12, (3, 1)) * ring
        rotation += rng.normal(0, 1.5, (3, 1)) * ring


def _rotate_against(vector: Signal, rotation: Signal) -> Signal:
    """Gravity as the turning sensor sees it: dg/dt = -w x g, kept at its length.

    Plain floats: three are too few for NumPy.
    """
    seen = np.empty((WINDOW, 3))
    x, y, z = vector.tolist()
    for index, (wx, wy, wz) in enumerate((rotation.T / RATE).tolist()):
        seen[index] = x, y, z
        x, y, z = x - (wy * z - wz * y), y - (wz * x - wx * z), z - (wx * y - wy * x)
        scale = GRAVITY / (x * x + y * y + z * z) ** 0.5
        x, y, z = x * scale, y * scale, z * scale
    return seen.T


def read_windows(path: Path) -> Array:
    """Windows `(n, 6, 250)`, m/s^2 and rad/s, to quantize and prove an export on.

    path: a `.npy` file of that shape and those units, or a ClassyGlass folder or archive, of whose windows up to
    `MOST_WINDOWS` are taken, evenly spread over users and activities.

    Raises:
        ExportError: it cannot be read, holds objects, is misshapen or not finite, or is not in these units.
        RecordingError: the folder or archive is no ClassyGlass.
    """
    if path.is_dir() or ".tar" in path.suffixes:
        return _recorded_windows(path)
    try:
        windows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ExportError(
            f"{path} cannot be read as calibration windows ({error}); expected a .npy of shape (n, 6, 250)"
        ) from error
    if not isinstance(windows, np.ndarray) or windows.shape[1:] != (CHANNELS, WINDOW) or not len(windows):
        shape = getattr(windows, "shape", "an archive")
        raise ExportError(f"{path} holds {shape}; calibration windows are (n, 6, 250), accelerometer then gyroscope")
    if windows.dtype.kind not in "fiu" or not np.isfinite(windows).all():
        raise ExportError(f"{path} holds {windows.dtype} or values that are not finite; expected finite numbers")
    gravity = float(np.median(np.linalg.norm(windows[:, :3], axis=1)))
    if not 5 < gravity < 20:
        raise ExportError(
            f"{path}: the median acceleration is {gravity:.2f}; expected about 9.8 (m/s^2, gravity included)"
        )
    return windows.astype(np.float32)


def _recorded_windows(path: Path) -> Array:
    windows = [window.imu for recording in classyglass.read(path) for window in windows_of(recording, hop_seconds=5.0)]
    if not windows:
        raise ExportError(f"{path} holds no recording of 5 s or more; calibration needs windows")
    spread = np.linspace(0, len(windows) - 1, min(MOST_WINDOWS, len(windows))).astype(int)
    return np.stack([windows[index] for index in spread])
