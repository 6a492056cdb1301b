"""seglearn's watch data: 140 recordings of 10 people doing 7 shoulder exercises with a smartwatch, 50 Hz, six axes.

Real data that pip brings (seglearn 1.2.5, BSD; Burns et al., arXiv 1802.01489), in g and rad/s. Only its data file is
used: importing seglearn would need pandas and scikit-learn, so the package can be installed without its dependencies.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, Samples
from primus_sdk.windowing.sensors import STANDARD_GRAVITY

LABELS = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}
"""The data's own labels -> the names of the exercises."""

_SAMPLE_NS = 20_000_000
_INSTALL = "install it with: pip install --no-deps seglearn==1.2.5"
_MAX_BYTES = 64 << 20


def read(path: str | Path | None = None) -> list[Recording]:
    """Read the 140 recordings; users are "1" to "10".

    The data have no timestamps: each recording starts at 0 and has a sample every 20 ms.

    Args:
        path: the file `watch_dataset.npy`; by default the one of the installed seglearn, which is not imported.

    Raises:
        RecordingError: seglearn is not installed, or the file is not its data. The file is a pickle; it is read by
            a reader that rebuilds NumPy arrays and nothing else, so code hidden in it is never run.
    """
    file = _installed() if path is None else Path(path)
    try:
        with file.open("rb") as handle:
            data = _load(handle.read(_MAX_BYTES + 1))
    except OSError as error:
        raise RecordingError(f"cannot read {file}: {error.strerror or error}; {_INSTALL}") from error
    except RecordingError as error:
        raise RecordingError(f"{file} is not seglearn's watch data: {error}; {_INSTALL}") from error
    return _recordings(data, file)


def _installed() -> Path:
    spec = importlib.util.find_spec("seglearn")
    if spec is None or not spec.submodule_search_locations:
        raise RecordingError(f"the watch data come with seglearn, which is not installed; {_INSTALL}")
    return Path(next(iter(spec.submodule_search_locations))) / "data" / "watch_dataset.npy"


def _recordings(data: Any, file: Path) -> list[Recording]:
    try:
        names = [LABELS[label] for label in data["y_labels"]]
        rows = [np.asarray(values, dtype=np.float64) for values in data["X"]]
        labels = [names[int(label)] for label in data["y"]]
        users = [str(int(user)) for user in data["subject"]]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RecordingError(
            f"{file} is not seglearn's watch data ({type(error).__name__}: {error}); {_INSTALL}"
        ) from error
    if not len(rows) == len(labels) == len(users) or any(values.ndim != 2 or values.shape[1] != 6 for values in rows):
        raise RecordingError(
            f"{file} is not seglearn's watch data: expected (n, 6) arrays, each with a label; {_INSTALL}"
        )
    recordings = []
    for index, (values, label, user) in enumerate(zip(rows, labels, users, strict=True)):
        times = np.arange(len(values), dtype=np.int64) * _SAMPLE_NS
        acceleration, rates = Samples(times, values[:, :3] * STANDARD_GRAVITY), Samples(times, values[:, 3:].copy())
        recordings.append(Recording(f"watch-{index:03d}", user, label, acceleration, rates))
    return recordings


def _load(content: bytes) -> Any:
    """Unpickle the one object of a `.npy` file of dtype object, with nothing but NumPy's array constructors."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise RecordingError(f"a .npy file of version {version}, expected (1, 0)")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype != np.dtype(object) or shape != ():
            raise RecordingError(f"a .npy file of {dtype} {shape}, expected one object")
        return np.ndarray.item(_ArraysOnly(stream).load())
    except RecordingError:
        raise
    # A pickle can be broken in as many ways as it has opcodes, each with its own exception.
    except Exception as error:
        raise RecordingError(f"it cannot be read ({type(error).__name__}: {error})") from error


class _ArraysOnly(pickle.Unpickler):
    """An unpickler for which nothing exists but what NumPy's own array pickles name."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): _plain_dtype,
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
            ("_codecs", "encode"): _latin1,
        }
        if (module, name) not in known:
            raise RecordingError(f"it asks for {module}.{name}, which array data do not need")
        return known[module, name]


def _plain_dtype(description: str, *flags: bool) -> np.dtype[Any]:
    """Build a dtype of numbers or objects from its short name, such as "f8"."""
    if not isinstance(description, str) or len(description) > 4:
        raise RecordingError(f"it asks for a dtype {description!r:.40}")
    return np.dtype(description, *flags)


def _empty_array(kind: type, shape: tuple[int, ...], code: Any) -> np.ndarray[Any, Any]:
    """Stand for NumPy's `_reconstruct`: an empty array, whose state the pickle then sets."""
    if kind is not np.ndarray or shape != (0,):
        raise RecordingError("it asks for something else than an array")
    return np.ndarray(0, dtype=np.dtype("b"))


def _latin1(text: str, encoding: str) -> bytes:
    """Stand for `codecs.encode`, by which old pickles carry bytes as text."""
    if encoding != "latin1":
        raise RecordingError(f"it asks for the encoding {encoding!r:.40}")
    return text.encode("latin1")
