"""The same files on runtimes that are years old, each in an environment of its own.

`make` builds the one of tflite-runtime (`.venv-tflite214`: Python 3.11, tflite-runtime 2.14.0, NumPy 1.26.4); an
environment variable names another, and one of TensorFlow 2.16, the newest that Android's Maven package has.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from primus_export.formats.base import Precision
from primus_export.parity import cosines
from primus_models import reference
from primus_models.checkpoint import RELEASED, load
from primus_models.graph import EMBEDDING, Array, Graph

ROOT = Path(__file__).parents[2]
PYTHONS = {
    "tflite_runtime.interpreter": os.environ.get(
        "PRIMUS_TFLITE214_PYTHON", str(ROOT / ".venv-tflite214" / "bin" / "python")
    ),
    "tensorflow": os.environ.get("PRIMUS_TF216_PYTHON", ""),
}
SCRIPT = """
import importlib, sys
import numpy as np
library, model, windows, results = sys.argv[1:]
module = importlib.import_module(library)
interpreter = getattr(module, "lite", module).Interpreter(model, num_threads=1)
run = interpreter.get_signature_runner("serving_default")
np.save(results, np.concatenate([run(imu=window[None])["embedding"] for window in np.load(windows)]))
"""


def run_on(library: str, model: Path, windows: Array, folder: Path) -> Array:
    """The embeddings that an old library computes; skips the test where it is not there."""
    python = PYTHONS[library]
    if not python or not Path(python).is_file():
        pytest.skip(f"no {library}: `make` builds tflite-runtime's environment, PRIMUS_TF216_PYTHON names TensorFlow's")
    np.save(folder / "windows.npy", windows)
    command = [python, "-c", SCRIPT, library, str(model), str(folder / "windows.npy"), str(folder / "results.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    embeddings: Array = np.load(folder / "results.npy")
    return embeddings


@pytest.mark.parametrize("library", PYTHONS)
@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
def test_the_default_encoder_runs_right_on_an_old_runtime(
    library: str, precision: Precision, tmp_path: Path, write_tflite: Callable[[Graph, Precision], Path],
    proving_windows: Array,
) -> None:  # fmt: skip
    graph, windows = load(RELEASED[0]).graph(), proving_windows[:64]
    got = run_on(library, write_tflite(graph, precision), windows, tmp_path)
    bound = {"fp32": 0.999999, "int8": 0.9999, "int4": 0.999}[precision]
    assert cosines(got, reference.run(graph, windows)[EMBEDDING]).min() >= bound


@pytest.mark.parametrize("library", PYTHONS)
@pytest.mark.parametrize(
    ("precision", "row_spread", "bound"),
    [
        ("fp32", 0.0, 0.9999999),
        ("fp16", 0.0, 0.9999),
        ("int8", 0.0, 0.9998),
        ("int8", 0.4, 0.9998),
        ("int4", 0.0, 0.999),
    ],
)
def test_the_file_of_today_runs_right_on_an_old_runtime(
    library: str,
    precision: Precision,
    row_spread: float,
    bound: float,
    tmp_path: Path,
    make_encoder: Callable[..., Graph],
    write_tflite: Callable[[Graph, Precision], Path],
    proving_windows: Array,
) -> None:
    graph, windows = make_encoder(row_spread=row_spread), proving_windows[:64]
    got = run_on(library, write_tflite(graph, precision), windows, tmp_path)
    assert cosines(got, reference.run(graph, windows)[EMBEDDING]).min() >= bound
