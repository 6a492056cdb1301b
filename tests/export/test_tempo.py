"""Our own encoder keeps the bounds and the sizes of the paper's in every format, on windows of each kind at hand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from primus_export import formats
from primus_export.formats.base import Options, Precision
from primus_export.parity import bound_for, compare
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.checkpoint import load
from primus_models.graph import Array, Graph
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, classyglass, watch
from primus_sdk.recordings.windows import windows_of

CLASSYGLASS = Path(__file__).parents[3] / "shared" / "data" / "classyglass-1AB.tar.xz"
WINDOWS = 256
LARGEST_BYTES = {"onnx": 1_200_000, "tflite": 1_190_000, "coreml": 1_200_000}


def evenly(recordings: Iterable[Recording]) -> Array:
    windows = [window.imu for recording in recordings for window in windows_of(recording, hop_seconds=5.0)]
    return np.stack([windows[index] for index in np.linspace(0, len(windows) - 1, WINDOWS).astype(int)])


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load("tempo").graph()


@pytest.fixture(scope="module", params=["made", "watch", "classyglass"])
def recorded(request: pytest.FixtureRequest) -> Array:
    if request.param == "made":
        return made_windows(WINDOWS, seed=1)
    if request.param == "classyglass":
        if not CLASSYGLASS.is_file():
            pytest.skip(f"no ClassyGlass archive at {CLASSYGLASS}")
        return evenly(islice(classyglass.read(CLASSYGLASS), 24))
    try:
        return evenly(watch.read())
    except RecordingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def expected(graph: Graph, recorded: Array) -> dict[str, Array]:
    return reference.run(graph, recorded)


@pytest.fixture(scope="module", params=[(n, p) for n in LARGEST_BYTES for p in ("fp32", "fp16", "int8")], ids="-".join)
def model(
    request: pytest.FixtureRequest, graph: Graph, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Precision, Path]:
    name, precision = request.param
    maker = formats.get(name)
    path = tmp_path_factory.mktemp("tempo") / maker.file
    maker.write(graph, path, Options(precision, made_windows(WINDOWS)))
    return name, precision, path


def test_it_keeps_its_bound(model: tuple[str, Precision, Path], recorded: Array, expected: dict[str, Array]) -> None:
    name, precision, path = model
    report = compare(expected, formats.get(name).run(path, recorded), bound_for(precision, "float32"), "calibration")
    assert report.windows == WINDOWS
    report.check(f"{name} {precision}")


def test_int8_is_no_larger_than_the_papers(model: tuple[str, Precision, Path]) -> None:
    name, precision, path = model
    if precision == "int8":
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        assert sum(file.stat().st_size for file in files) <= LARGEST_BYTES[name]
