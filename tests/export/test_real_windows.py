"""The bounds hold on real recordings too: 256 windows of a wrist, and 256 of glasses where that archive is at hand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from primus_export import formats
from primus_export.formats.base import Io, Options, Precision
from primus_export.parity import bound_for, compare
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.checkpoint import load, released
from primus_models.graph import Array, Graph
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, classyglass, watch
from primus_sdk.windows import windows_of

CLASSYGLASS = Path(__file__).parents[3] / "shared" / "data" / "classyglass-1AB.tar.xz"
WINDOWS = 256
CASES: list[tuple[str, Precision, Io]] = [
    (name, precision, "float32")
    for name in ("onnx", "tflite", "coreml")
    for precision in ("fp32", "fp16", "int8", "int4")
]  # fmt: skip
CASES.append(("tflite", "int8", "int8"))


def evenly(recordings: Iterable[Recording]) -> Array:
    windows = [window.imu for recording in recordings for window in windows_of(recording, hop_seconds=5.0)]
    assert len(windows) >= WINDOWS
    return np.stack([windows[index] for index in np.linspace(0, len(windows) - 1, WINDOWS).astype(int)])


@pytest.fixture(scope="module", params=["watch", "classyglass"])
def recorded(request: pytest.FixtureRequest) -> Array:
    if request.param == "classyglass":
        if not CLASSYGLASS.is_file():
            pytest.skip(f"no ClassyGlass archive at {CLASSYGLASS}")
        return evenly(islice(classyglass.read(CLASSYGLASS), 24))
    try:
        return evenly(watch.read())
    except RecordingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load(released()).graph()


@pytest.fixture(scope="module")
def expected(graph: Graph, recorded: Array) -> dict[str, Array]:
    return reference.run(graph, recorded)


@pytest.mark.parametrize(("name", "precision", "io"), CASES)
def test_the_released_encoder_keeps_its_bound(
    name: str, precision: Precision, io: Io, graph: Graph, recorded: Array, expected: dict[str, Array], tmp_path: Path
) -> None:
    maker = formats.get(name)
    path = tmp_path / maker.file
    maker.write(graph, path, Options(precision, made_windows(WINDOWS), io))  # quantized on other windows than these
    report = compare(expected, maker.run(path, recorded), bound_for(precision, io), "calibration")
    assert report.windows == WINDOWS
    report.check(f"{name} {precision}, io {io}")
