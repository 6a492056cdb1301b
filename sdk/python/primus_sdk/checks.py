"""What a window must be before it goes to the encoder, and what the encoder must give back."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk.bundles.bundle import Bundle
from primus_sdk.bundles.manifest import EMBEDDING_SIZE, WINDOW_SHAPE, Model
from primus_sdk.errors import BundleError, RuntimeMismatchError, WindowError
from primus_sdk.heads.head import Head
from primus_sdk.runtimes import Runtime

LEAST_ACCELERATION = 3.0
"""m/s^2, mean size over a window: 5 s on a person average 9.8; 1 means g, near 0 that gravity was taken out."""
MOST_ACCELERATION = 60.0
"""m/s^2: nobody bears 5 s above 6 g on average; m/s^2 taken for g give 96 at rest, milli-g and raw counts more."""
MOST_ROTATION = 35.0
"""rad/s, the median: the range of a wearable's gyroscope (2000 deg/s) ends there."""
_PLAIN_MOTION = (0.99 * MOST_ACCELERATION) ** 2 * WINDOW_SHAPE[1]
_PLAIN_TURNING = MOST_ROTATION**2
_PLAIN_GRAVITY = (1.01 * LEAST_ACCELERATION * WINDOW_SHAPE[1]) ** 2


def checked_windows(windows: ArrayLike) -> tuple[NDArray[np.float32], bool]:
    """Windows as `(n, 6, 250)` float32, and whether one alone was given.

    Raises:
        WindowError: another shape or type, NaN or infinity, or values that are not in m/s^2 with gravity and rad/s.
    """
    if _is_plain(windows):
        return windows[np.newaxis], True
    if _are_plain(windows):
        return windows, False
    batch = _as_floats(windows)
    single = batch.ndim == 2
    if single:
        batch = batch[np.newaxis]
    if batch.ndim != 3 or batch.shape[1:] != WINDOW_SHAPE:
        hint = "; it looks transposed" if batch.shape[-2:] == WINDOW_SHAPE[::-1] else ""
        shape = batch.shape[1:] if single else batch.shape
        raise WindowError(
            f"a window is (6, 250), several are (n, 6, 250): acc x y z, gyro x y z at 50 Hz; got {shape}{hint}"
        )
    if len(batch):
        _check_values(batch, single)
    return batch, single


def check_known_answer(bundle: Bundle, model: Model, runtime: Runtime, head: Head | None) -> None:
    """Run the bundle's known answer once and hold the result against what was exported.

    Raises:
        RuntimeMismatchError: the runtime computes something else.
        BundleError: the known answer is malformed, or does not fit the bundle's own head.
    """
    window, expected, probabilities = _known_answer(bundle)
    if head is not None and probabilities is not None:
        ours = head.probabilities(expected)
        if ours.shape != probabilities.shape or not np.abs(ours - probabilities).max() <= 1e-3:
            raise BundleError("the bundle's head does not give the known answer's probabilities: export it anew")
    advice = (
        f"{runtime.name} {runtime.version} computes something else than {model.path} says: its results cannot be "
        "trusted here. Install another version of it, or name another runtime: primus_sdk.load(..., runtime=...)"
    )
    try:
        found = runtime.run(window[np.newaxis])["embedding"]
    except Exception as error:  # whatever the runtime's library raises on a model that it loaded and cannot run
        raise RuntimeMismatchError(f"{advice} (the known answer failed: {str(error)[:200]})") from error
    if found.shape != (1, EMBEDDING_SIZE) or not np.isfinite(found).all():
        raise RuntimeMismatchError(f"{advice} (the known answer came out as NaN, or in shape {found.shape})")
    a, b = found[0].astype(np.float64), expected.astype(np.float64)
    sizes = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    cosine = float(a @ b) / max(sizes[0] * sizes[1], 1e-30)
    # Written so that NaN fails.
    if not (cosine >= model.known_answer_cosine and abs(sizes[0] / sizes[1] - 1) <= 0.02):
        raise RuntimeMismatchError(
            f"{advice} (cosine {cosine:.6f}, at least {model.known_answer_cosine} expected; "
            f"size {sizes[0] / sizes[1]:.4f} of what it should be, 0.98 to 1.02 expected)"
        )


def _is_plain(window: ArrayLike) -> TypeGuard[NDArray[np.float32]]:
    """Whether it is one window as streams give them that few numbers show to be right; any other is looked at closely.

    Each is a bound, with a hundredth to spare for float32: a mean size is at most the root of the mean square and at
    least the size of the mean; a median square is less than twice their mean, and so than their sum. NaN fails all.
    """
    if type(window) is not np.ndarray or window.dtype != np.float32 or window.shape != WINDOW_SHAPE:
        return False
    if not window.flags.c_contiguous:
        return False
    motion, turning = window[:3].ravel(), window[3:].ravel()
    # First what does not warn of numbers that overflow or are none; what is within it can be summed.
    if not (np.vdot(motion, motion) <= _PLAIN_MOTION and np.vdot(turning, turning) <= _PLAIN_TURNING):
        return False
    x, y, z = np.add.reduce(window[:3], axis=1).tolist()
    return bool(x * x + y * y + z * z >= _PLAIN_GRAVITY)


def _are_plain(windows: ArrayLike) -> TypeGuard[NDArray[np.float32]]:
    """Whether they are several windows `(n, 6, 250)`, n at least 1, each as `_is_plain` takes one."""
    if type(windows) is not np.ndarray or windows.dtype != np.float32 or windows.shape[1:] != WINDOW_SHAPE:
        return False
    if not (windows.flags.c_contiguous and len(windows)):
        return False
    sensors = windows.reshape(len(windows), 2, -1)
    motion, turning = np.einsum("nsv,nsv->sn", sensors, sensors)
    if not (motion.max() <= _PLAIN_MOTION and turning.max() <= _PLAIN_TURNING):  # as in `_is_plain`
        return False
    sums = np.add.reduce(windows[:, :3], axis=2)
    return bool(np.einsum("nc,nc->n", sums, sums).min() >= _PLAIN_GRAVITY)


def _as_floats(windows: ArrayLike) -> NDArray[np.float32]:
    try:
        array = np.asarray(windows)
    except ValueError as error:  # rows of different lengths
        raise WindowError(f"a window is an array (6, 250); this cannot be made one ({error})") from error
    if array.dtype.kind not in "fiu":
        raise WindowError(f"a window holds numbers; got an array of {array.dtype}")
    if np.any(getattr(windows, "mask", False)):
        raise WindowError("some of a window's numbers are masked; a window is whole")
    with np.errstate(over="ignore"):  # becomes infinity, which is reported as such
        return array.astype(np.float32, copy=False)


def _check_values(batch: NDArray[np.float32], single: bool) -> None:
    # Squares in float64: a wild value must not overflow, and what is not finite makes its sum not finite.
    acceleration, rotation = (
        np.einsum("ncs,ncs->ns", part, part, dtype=np.float64) for part in (batch[:, :3], batch[:, 3:])
    )
    broken = ~np.isfinite(acceleration.sum(axis=1) + rotation.sum(axis=1))
    if broken.any():
        raise WindowError(f"{_which(broken, single)} holds NaN or infinity; leave it out, or fill the gap")
    acceleration = np.sqrt(acceleration).mean(axis=1)
    for wrong, words in (
        (acceleration < LEAST_ACCELERATION, "looks like g, or gravity is missing"),
        (acceleration > MOST_ACCELERATION, "looks like m/s^2 declared as g, milli-g, or raw counts"),
    ):
        if wrong.any():
            size = acceleration[wrong.argmax()]
            raise WindowError(
                f"{_which(wrong, single)} has a mean acceleration of {size:.3g}, which {words}; "
                "expected m/s^2 with gravity included (about 9.8 at rest)"
            )
    if rotation.max() <= MOST_ROTATION**2:
        return
    medians = np.median(np.sqrt(rotation), axis=1)
    wrong = medians > MOST_ROTATION
    if wrong.any():
        raise WindowError(
            f"{_which(wrong, single)} has a median rotation rate of {medians[wrong.argmax()]:.3g}, "
            "which looks like deg/s; expected rad/s"
        )


def _which(wrong: NDArray[np.bool_], single: bool) -> str:
    return "the window" if single else f"window {int(wrong.argmax())}"


def _known_answer(
    bundle: Bundle,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    name = bundle.manifest.known_answer
    try:
        tensors = load(bundle.files[name])
    except (SafetensorError, ValueError, LookupError) as error:
        raise BundleError(f"{name} cannot be read as safetensors ({error})") from error
    for key, shape in (("imu", WINDOW_SHAPE), ("embedding", (EMBEDDING_SIZE,))):
        tensor = tensors.get(key)
        if tensor is None or tensor.shape != shape or tensor.dtype != np.float32:
            raise BundleError(f"{name} lacks the tensor {key!r} of shape {shape} in float32")
        if not (np.isfinite(tensor).all() and tensor.any()):
            raise BundleError(f"{name}: {key} holds NaN, infinity, or nothing but zeros")
    return tensors["imu"], tensors["embedding"], tensors.get("probabilities")
