"""The released weights keep every bound on 256 windows each: made, of a wrist, and of glasses where at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from primus_export import formats
from primus_export.errors import LoweringError
from primus_export.formats.base import Io, Options, Precision
from primus_export.parity import bound_for, compare
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.checkpoint import RELEASED, Checkpoint, load
from primus_models.graph import Array, Graph
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, classyglass, watch
from primus_sdk.recordings.windows import windows_of

CLASSYGLASS = Path(__file__).parents[3] / "shared" / "data" / "classyglass-1AB.tar.xz"
WINDOWS = 256
PROOF = made_windows(WINDOWS)
Written = Callable[[str, Graph, Options], Path]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int4")
FORMATS = ("onnx", "tflite", "coreml")
LARGEST_BYTES: dict[Precision, dict[str, int]] = {
    "int8": {"onnx": 1_200_000, "tflite": 1_190_000, "coreml": 1_200_000},
    "int4": {"onnx": 900_000, "tflite": 810_000, "coreml": 900_000},
}
CASES: list[tuple[str, str, Precision, Io]] = [
    (encoder, name, precision, "float32")
    for encoder in RELEASED
    for name in FORMATS
    for precision in PRECISIONS
]  # fmt: skip
CASES.append(("primus", "tflite", "int8", "int8"))


def evenly(recordings: Iterable[Recording]) -> Array:
    windows = [window.imu for recording in recordings for window in windows_of(recording, hop_seconds=5.0)]
    assert len(windows) >= WINDOWS
    return np.stack([windows[index] for index in np.linspace(0, len(windows) - 1, WINDOWS).astype(int)])


@pytest.fixture(scope="module", params=["made", "watch", "classyglass"])
def recorded(request: pytest.FixtureRequest) -> Array:
    if request.param == "made":
        return PROOF
    if request.param == "classyglass":
        if not CLASSYGLASS.is_file():
            pytest.skip(f"no ClassyGlass archive at {CLASSYGLASS}")
        return evenly(islice(classyglass.read(CLASSYGLASS), 24))
    try:
        return evenly(watch.read())
    except RecordingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    return {name: load(name).graph() for name in RELEASED}


@pytest.fixture(scope="module")
def expected(graphs: dict[str, Graph], recorded: Array) -> dict[str, dict[str, Array]]:
    return {name: reference.run(graph, recorded) for name, graph in graphs.items()}


@pytest.mark.parametrize(("encoder", "name", "precision", "io"), CASES)
def test_the_released_encoders_keep_their_bounds(
    encoder: str, name: str, precision: Precision, io: Io, graphs: dict[str, Graph], recorded: Array,
    expected: dict[str, dict[str, Array]], written: Written,
) -> None:  # fmt: skip
    # Quantized on other windows than these: one file for all that were recorded.
    path = written(name, graphs[encoder], Options(precision, PROOF, io))
    report = compare(expected[encoder], formats.get(name).run(path, recorded), bound_for(precision, io), "calibration")
    assert report.windows == WINDOWS
    report.check(f"{encoder}: {name} {precision}, io {io}")


@pytest.mark.parametrize("name", FORMATS)
def test_the_default_keeps_its_bounds_on_made_windows_of_another_seed(
    name: str, graphs: dict[str, Graph], written: Written
) -> None:
    windows = made_windows(WINDOWS, seed=1)
    expected = reference.run(graphs[RELEASED[0]], windows)
    for precision in PRECISIONS:
        path = written(name, graphs[RELEASED[0]], Options(precision, PROOF))
        report = compare(expected, formats.get(name).run(path, windows), bound_for(precision, "float32"), "made")
        report.check(f"{name} {precision}")


@pytest.mark.parametrize("encoder", RELEASED)
@pytest.mark.parametrize("precision", LARGEST_BYTES)
@pytest.mark.parametrize("name", FORMATS)
def test_few_bits_are_small(
    encoder: str, name: str, precision: Precision, graphs: dict[str, Graph], written: Written
) -> None:
    path = written(name, graphs[encoder], Options(precision, PROOF))
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= LARGEST_BYTES[precision][name]


@pytest.mark.parametrize("name", FORMATS)
def test_primus_loses_nothing_in_int4_since_it_was_trained_with_its_4_bit_weights(
    name: str, graphs: dict[str, Graph], recorded: Array, expected: dict[str, dict[str, Array]], written: Written
) -> None:
    path = written(name, graphs["primus"], Options("int4", PROOF))
    report = compare(expected["primus"], formats.get(name).run(path, recorded), bound_for("int8", "float32"), "made")
    report.check(f"{name}: int4 within int8's bound")


def test_tempo_has_no_form_in_integers_alone(graphs: dict[str, Graph], tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match="no form in integers"):
        formats.get("tflite").write(graphs["tempo"], tmp_path / "a.tflite", Options("int8", PROOF, "int8"))


@pytest.fixture(scope="module")
def uneven() -> Graph:
    """The paper's encoder with the rows of its matrices scaled apart."""
    checkpoint, rng = load("primus"), np.random.default_rng(0)
    tensors = dict(checkpoint.tensors)
    for matrix in ("backbone.5.weight_ih_l0", "backbone.5.weight_hh_l0", "mmcl_head.weight"):
        spread = np.exp(rng.uniform(-0.4, 0.4, (len(tensors[matrix]), 1)))
        tensors[matrix] = (tensors[matrix] * spread).astype(np.float32)
    return Checkpoint(checkpoint.architecture, tensors).graph()


@pytest.fixture(scope="module")
def uneven_expected(uneven: Graph, recorded: Array) -> dict[str, Array]:
    return reference.run(uneven, recorded)


@pytest.mark.parametrize("name", FORMATS)
def test_int8_keeps_its_bound_when_rows_differ_widely_in_size(
    name: str, recorded: Array, uneven: Graph, uneven_expected: dict[str, Array], written: Written
) -> None:
    path = written(name, uneven, Options("int8", PROOF))
    compare(uneven_expected, formats.get(name).run(path, recorded), bound_for("int8", "float32"), "calibration").check(
        name
    )
