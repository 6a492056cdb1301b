"""The TFLite file of integers only: int8 in, int8 out, no floating point inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from primus_export.errors import ExportError, LoweringError
from primus_export.formats.base import Options
from primus_export.formats.tflite import FORMAT
from primus_export.parity import cosines
from primus_models import reference
from primus_models.graph import EMBEDDING, INPUT, PROBABILITIES, Array, Graph, GroupNorm, Unary
from primus_sdk.runtimes.quantization import stretched

MakeEncoder = Callable[..., Graph]
Written = Callable[[str, Graph, Options], Path]
BOUND = 0.99


@pytest.fixture(scope="module")
def options(calibration_windows: Array) -> Options:
    return Options("int8", calibration_windows, io="int8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FORMAT.file


@pytest.mark.parametrize("row_spread", [0.0, 0.4])
def test_it_holds_its_bound_at_rest_and_in_shocks(
    row_spread: float, make_encoder: MakeEncoder, options: Options, written: Written, proving_windows: Array
) -> None:
    graph, windows = make_encoder(row_spread=row_spread), proving_windows[:60]
    path = written("tflite", graph, options)
    got, want = FORMAT.run(path, windows)[EMBEDDING], reference.run(graph, windows)[EMBEDDING]
    assert cosines(got, want).min() >= BOUND
    assert np.median(cosines(got, want)) >= 0.999


def test_no_tensor_holds_floats(make_encoder: MakeEncoder, options: Options, written: Written) -> None:
    path = written("tflite", make_encoder(), options)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    kinds = {tensor.type for graph in model.subgraphs for tensor in graph.tensors}
    types = schema.TensorType
    assert kinds == {types.INT8, types.INT16, types.INT32, types.INT64, types.BOOL}
    assert path.stat().st_size < 1_260_000


def test_the_manifest_says_what_the_integers_mean(
    make_encoder: MakeEncoder, options: Options, path: Path, proving_windows: Array
) -> None:
    rng = np.random.default_rng(0)
    head = rng.normal(0, 0.3, (4, 512)).astype(np.float32), np.zeros(4, np.float32)
    graph = make_encoder().with_head(*head)
    FORMAT.write(graph, path, options)
    entry = FORMAT.manifest_entry(options, path)
    assert entry["input_quantization"] == {"kind": "stretch", "peak": 127, "zero_point": 0}
    scales = entry["output_quantization"]
    assert isinstance(scales, dict)

    interpreter = Interpreter(str(path), num_threads=1)
    runner = interpreter.get_signature_runner("serving_default")
    raw = runner(imu=stretched(proving_windows[1:2]))
    want = reference.run(graph, proving_windows[1:2])
    for name in (EMBEDDING, PROBABILITIES):
        assert raw[name].dtype == np.int8
        value = scales[name]["scale"] * (raw[name].astype(np.float64) - scales[name]["zero_point"])
        assert np.abs(value - want[name]).max() < 0.05 * np.abs(want[name]).max() + 0.01


def test_a_window_may_come_in_any_unit(
    make_encoder: MakeEncoder, options: Options, written: Written, proving_windows: Array
) -> None:
    path = written("tflite", make_encoder(), options)
    in_g_and_degrees = proving_windows[:3] / np.repeat([9.80665, np.pi / 180], 3)[:, np.newaxis]
    np.testing.assert_array_equal(
        FORMAT.run(path, in_g_and_degrees.astype(np.float32))[EMBEDDING],
        FORMAT.run(path, proving_windows[:3])[EMBEDDING],
    )


def test_a_sensor_that_stands_still_gives_numbers(
    make_encoder: MakeEncoder, options: Options, written: Written, proving_windows: Array
) -> None:
    window = proving_windows[:1].copy()
    window[:, 3:] = 0
    path = written("tflite", make_encoder(), options)
    graph = make_encoder()
    got, want = FORMAT.run(path, window)[EMBEDDING], reference.run(graph, window)[EMBEDDING]
    assert cosines(got, want).min() >= BOUND


def test_other_weights_than_int8_are_refused(make_encoder: MakeEncoder, calibration_windows: Array, path: Path) -> None:
    with pytest.raises(ExportError, match="--int8 --io int8"):
        FORMAT.write(make_encoder(), path, Options("fp32", calibration_windows, io="int8"))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Unary("tanh", INPUT, "y"), "no form in integers"),
        (GroupNorm(INPUT, "y", 1, np.ones(6, np.float32), np.zeros(6, np.float32)), "apart"),
    ],
)
def test_a_graph_that_integers_cannot_hold_is_refused(
    step: Unary | GroupNorm, message: str, options: Options, path: Path
) -> None:
    with pytest.raises(LoweringError, match=message):
        FORMAT.write(Graph((step,), ("y",)), path, options)
