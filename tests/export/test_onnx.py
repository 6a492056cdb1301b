"""The ONNX files of the paper's encoder: how close, how large, and what they say of themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from primus_export.errors import ExportError
from primus_export.formats.base import PRECISIONS, Options, Precision
from primus_export.formats.onnx import FORMAT
from primus_export.parity import bound_for, compare, cosines
from primus_models import checkpoint, reference
from primus_models.graph import CHANNELS, EMBEDDING, EMBEDDING_SIZE, PROBABILITIES, WINDOW, Array, Graph

MakeEncoder = Callable[..., Graph]

Write = Callable[[Graph, Precision], Path]
Referenced = Callable[[Graph, Array], dict[str, Array]]

KILOBYTE = 1000


def initializers(path: Path) -> list[onnx.TensorProto]:
    """Of the model and of the graphs inside its nodes."""
    found: list[onnx.TensorProto] = []
    graphs = [onnx.load(path).graph]
    while graphs:
        graph = graphs.pop()
        found += graph.initializer
        graphs += [a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    return found


@pytest.fixture(scope="module")
def trained() -> Graph:
    return checkpoint.load(checkpoint.released()).graph()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_precision_holds_its_bound_on_trained_weights(
    precision: Precision, trained: Graph, write_onnx: Write, proving_windows: Array, referenced: Referenced
) -> None:
    actual = FORMAT.run(write_onnx(trained, precision), proving_windows)
    expected = referenced(trained, proving_windows)
    compare(expected, actual, bound_for(precision, "float32"), "made").check(precision)


def test_fp32_holds_its_bound_at_rest_with_gravity_on_all_axes_alike(
    write_onnx: Write, make_encoder: MakeEncoder
) -> None:
    rng, graph = np.random.default_rng(4), make_encoder()
    windows = rng.normal(0, 0.02, (16, CHANNELS, WINDOW)).astype(np.float32)
    windows[:, :3] -= np.float32(9.80665 / np.sqrt(3))
    actual = FORMAT.run(write_onnx(graph, "fp32"), windows)
    compare(reference.run(graph, windows), actual, bound_for("fp32", "float32"), "made").check("fp32")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_rows_that_differ_widely_in_size_cost_nothing(
    precision: Precision,
    write_onnx: Write,
    proving_windows: Array,
    make_encoder: MakeEncoder,
    referenced: Referenced,
) -> None:
    graph = make_encoder(row_spread=0.4)
    actual = FORMAT.run(write_onnx(graph, precision), proving_windows)
    expected = referenced(graph, proving_windows)
    compare(expected, actual, bound_for(precision, "float32"), "made").check(precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_batch_gives_what_its_windows_give_alone(
    precision: Precision, write_onnx: Write, proving_windows: Array, make_encoder: MakeEncoder
) -> None:
    graph = make_encoder().with_head(*head())
    path, windows = write_onnx(graph, precision), proving_windows[:33]
    alone = FORMAT.run(path, windows)
    names = [EMBEDDING, PROBABILITIES]
    for name, batch in zip(names, all_at_once(path, names, windows), strict=True):
        assert batch.shape == alone[name].shape
        assert 1 - cosines(alone[name].astype(np.float64), batch.astype(np.float64)).min() <= 1e-5
        if precision != "int4":
            # int4 rounds states on a scale of their own, where the last bit of a float can decide between two integers.
            assert np.abs(batch - alone[name]).max() <= 1e-5 * np.sqrt(np.mean(alone[name] ** 2))


def all_at_once(path: Path, names: list[str], windows: Array) -> list[Array]:
    import onnxruntime  # only after the format, which turns its telemetry off

    outputs: list[Array] = onnxruntime.InferenceSession(path).run(names, {"imu": windows})
    return outputs


def head(classes: int = 5) -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    return rng.normal(0, 1, (classes, EMBEDDING_SIZE)).astype(np.float32), np.arange(classes, dtype=np.float32)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_head_adds_probabilities(
    precision: Precision, write_onnx: Write, proving_windows: Array, make_encoder: MakeEncoder
) -> None:
    graph = make_encoder().with_head(*head(), temperature=0.5)
    outputs = FORMAT.run(write_onnx(graph, precision), proving_windows[:8])
    assert list(outputs) == [EMBEDDING, PROBABILITIES]
    expected = reference.run(graph, proving_windows[:8])[PROBABILITIES]
    np.testing.assert_allclose(outputs[PROBABILITIES], expected, atol=1e-5 if precision == "fp32" else 0.03)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_graph_gives_the_same_bytes(
    precision: Precision, write_onnx: Write, make_encoder: MakeEncoder, calibration_windows: Array, tmp_path: Path
) -> None:
    FORMAT.write(make_encoder(), tmp_path / FORMAT.file, Options(precision, calibration_windows))
    assert (tmp_path / FORMAT.file).read_bytes() == write_onnx(make_encoder(), precision).read_bytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_file_says_what_it_takes_and_gives(
    precision: Precision, write_onnx: Write, make_encoder: MakeEncoder
) -> None:
    model = onnx.load(write_onnx(make_encoder(), precision))
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    assert {o.domain: o.version for o in model.opset_import}[""] == 13
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*inferred.graph.input, *inferred.graph.output]
    }
    assert shapes == {"imu": ["batch", 6, 250], "embedding": ["batch", 512]}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_float_files_need_only_standard_operators(
    precision: Precision, write_onnx: Write, make_encoder: MakeEncoder
) -> None:
    model = onnx.load(write_onnx(make_encoder(), precision))
    assert {node.domain for node in model.graph.node} == {""}
    assert [opset.domain for opset in model.opset_import] == [""]


@pytest.mark.parametrize(("precision", "kilobytes"), [("fp32", 4480), ("fp16", 2250), ("int8", 1200), ("int4", 930)])
def test_files_are_no_larger_than_promised(
    precision: Precision, kilobytes: int, write_onnx: Write, make_encoder: MakeEncoder
) -> None:
    assert write_onnx(make_encoder(), precision).stat().st_size <= kilobytes * KILOBYTE


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_recurrent_weights_are_in_the_file_once(
    precision: Precision, write_onnx: Write, make_encoder: MakeEncoder
) -> None:
    recurrent = 3 * 512 * 512 // (2 if precision == "int4" else 1)  # two codes a byte
    sizes = [int(np.prod(tensor.dims)) for tensor in initializers(write_onnx(make_encoder(), precision))]
    assert sizes.count(recurrent) == 1
    assert max(sizes) == recurrent


def test_the_recurrent_sums_fit_16_bits_where_processors_add_two_products_in_so_many(
    write_onnx: Write, make_encoder: MakeEncoder
) -> None:
    tensors = initializers(write_onnx(make_encoder(), "int8"))
    (codes,) = (onnx.numpy_helper.to_array(tensor) for tensor in tensors if np.prod(tensor.dims) == 3 * 512 * 512)
    assert codes.dtype == np.int8
    assert 2 * 255 * int(np.abs(codes.astype(int)).max()) < 2**15


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_no_large_matrix_stays_in_float(precision: Precision, write_onnx: Write, make_encoder: MakeEncoder) -> None:
    path = write_onnx(make_encoder(), precision)
    large = [t for t in initializers(path) if np.prod(t.dims) >= 16_384 and not t.name.endswith(".scales")]
    assert len(large) == 4  # recurrent, the input's two parts, the multimodal head
    assert {t.data_type for t in large} <= {onnx.TensorProto.UINT8, onnx.TensorProto.INT8}


def test_int4_is_further_off_than_int8_and_its_refusal_is_left_to_the_parity_check(
    write_onnx: Write, proving_windows: Array, make_encoder: MakeEncoder
) -> None:
    graph, windows = make_encoder(gain=4.0), proving_windows[:32]
    expected = reference.run(graph, windows)[EMBEDDING]
    worst = {
        precision: float(cosines(expected, FORMAT.run(write_onnx(graph, precision), windows)[EMBEDDING]).min())
        for precision in PRECISIONS
    }
    assert worst["int4"] < 0.999 < worst["int8"] < worst["fp16"] < worst["fp32"]


def test_int8_input_and_output_are_refused(
    tmp_path: Path, make_encoder: MakeEncoder, calibration_windows: Array
) -> None:
    path = tmp_path / FORMAT.file
    options = Options("int8", calibration_windows, io="int8")
    with pytest.raises(ExportError, match="TFLite only"):
        FORMAT.write(make_encoder(), path, options)
    assert not path.exists()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_manifest_names_the_oldest_runtime(precision: Precision, calibration_windows: Array) -> None:
    entry = FORMAT.manifest_entry(Options(precision, calibration_windows), Path(FORMAT.file))
    oldest = "1.22.0" if precision in ("int8", "int4") else "1.15.0"
    assert entry["oldest_runtime"] == {"onnxruntime": oldest}
    assert set(FORMAT.tools()) == {"onnx", "onnxruntime"}


def in_a_fresh_process(program: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return finished.stdout.strip()


def test_telemetry_is_off_before_onnxruntime_loads() -> None:
    program = """
import os, sys
seen = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            seen.append(os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Watch())
import primus_export.formats.onnx
print(seen)
"""
    assert in_a_fresh_process(program) == "['1']"


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(missing: str) -> None:
    program = f"""
import sys
sys.modules[{missing!r}] = None
from primus_export import formats
from primus_export.errors import MissingToolError
try:
    formats.get("onnx")
except MissingToolError as error:
    print(error)
"""
    message = in_a_fresh_process(program)
    assert missing in message
    assert "primus-imu[export]" in message
