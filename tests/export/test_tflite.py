"""The TFLite export of the paper's encoder: how near the reference it runs, and what is in the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from primus_export.errors import ExportError
from primus_export.formats.base import Options, Precision
from primus_export.formats.tflite import FORMAT
from primus_export.formats.tflite.interpreter import run
from primus_export.parity import cosines
from primus_models import reference
from primus_models.graph import EMBEDDING, GRU, PROBABILITIES, Array, Graph
from primus_sdk.errors import OutputError

MakeEncoder = Callable[..., Graph]
Write = Callable[[Graph, Precision], Path]
Referenced = Callable[[Graph, Array], dict[str, Array]]


def contents(path: Path) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))


def operators(path: Path) -> dict[str, int]:
    """Name and highest version of each operator in the file."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}
    versions: dict[str, int] = {}
    for code in contents(path).operatorCodes:
        versions[names[code.builtinCode]] = max(code.version, versions.get(names[code.builtinCode], 0))
    return versions


def test_fp32_is_the_reference_to_a_hundred_thousandth_of_its_rms(
    write_tflite: Write, make_encoder: MakeEncoder, proving_windows: Array, referenced: Referenced
) -> None:
    graph = make_encoder()
    want = referenced(graph, proving_windows)[EMBEDDING]
    got = FORMAT.run(write_tflite(graph, "fp32"), proving_windows)[EMBEDDING]
    assert got.shape == (256, 512)
    assert np.abs(got - want).max() <= 1e-5 * np.sqrt(np.mean(want**2))


@pytest.mark.parametrize("kernels", ["default", "plain"])
@pytest.mark.parametrize("row_spread", [0.0, 0.4])
@pytest.mark.parametrize(("precision", "bound"), [("fp16", 0.9999), ("int8", 0.9999), ("int4", 0.999)])
def test_each_precision_holds_its_bound_also_where_rows_differ_in_size(
    precision: Precision,
    bound: float,
    row_spread: float,
    kernels: str,
    write_tflite: Write,
    make_encoder: MakeEncoder,
    proving_windows: Array,
    referenced: Referenced,
) -> None:
    graph = make_encoder(row_spread=row_spread)
    count = 256 if kernels == "default" else 32
    got = run(write_tflite(graph, precision), proving_windows[:count], kernels)[EMBEDDING]
    assert cosines(got, referenced(graph, proving_windows)[EMBEDDING][:count]).min() >= bound


def test_int4_survives_recurrent_weights_of_twice_the_size(
    write_tflite: Write, make_encoder: MakeEncoder, proving_windows: Array
) -> None:
    graph = make_encoder(gain=2.0)
    got = FORMAT.run(write_tflite(graph, "int4"), proving_windows)[EMBEDDING]
    assert cosines(got, reference.run(graph, proving_windows)[EMBEDDING]).min() >= 0.999


@pytest.mark.parametrize("precision", FORMAT.precisions)
def test_the_recurrent_weights_lie_in_the_file_once(
    precision: Precision, write_tflite: Write, make_encoder: MakeEncoder
) -> None:
    graph = make_encoder()
    path = write_tflite(graph, precision)
    layer = next(step for step in graph.steps if isinstance(step, GRU))
    size = layer.weight_hh.size * {"fp32": 8, "fp16": 4, "int8": 2, "int4": 1}[precision] // 2
    stored = [len(buffer.data) for buffer in contents(path).buffers if buffer.data is not None]
    assert stored.count(size) == 1
    assert max(stored) == size
    assert path.stat().st_size <= {"fp32": 4480, "fp16": 2260, "int8": 1190, "int4": 810}[precision] * 1000


@pytest.mark.parametrize("precision", FORMAT.precisions)
def test_no_operator_is_newer_than_old_runtimes_know(
    precision: Precision, write_tflite: Write, make_encoder: MakeEncoder
) -> None:
    versions = operators(write_tflite(make_encoder(), precision))
    matrices, halves = versions.pop("FULLY_CONNECTED"), versions.pop("DEQUANTIZE", 3)
    assert versions.pop("WHILE") == 1
    assert matrices == {"fp32": 1, "fp16": 1, "int8": 9, "int4": 10}[precision]
    assert halves == 3
    assert set(versions.values()) == {1}


def test_every_constant_starts_at_a_multiple_of_sixteen_bytes(write_tflite: Write, make_encoder: MakeEncoder) -> None:
    file = write_tflite(make_encoder(), "int8").read_bytes()
    model = schema.Model.GetRootAsModel(file, 0)
    addresses = [
        model.Buffers(index).DataAsNumpy().ctypes.data - np.frombuffer(file, np.uint8).ctypes.data
        for index in range(model.BuffersLength())
        if not model.Buffers(index).DataIsNone()
    ]
    assert len(addresses) > 20
    assert {address % 16 for address in addresses} == {0}


@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_the_same_graph_gives_the_same_bytes(
    precision: Precision, write_tflite: Write, make_encoder: MakeEncoder, calibration_windows: Array, tmp_path: Path
) -> None:
    options = Options(precision, calibration_windows)
    FORMAT.write(make_encoder(), tmp_path / FORMAT.file, options)
    assert (tmp_path / FORMAT.file).read_bytes() == write_tflite(make_encoder(), precision).read_bytes()


def test_with_a_head_the_file_gives_probabilities_beside_the_embedding(
    write_tflite: Write, make_encoder: MakeEncoder, proving_windows: Array
) -> None:
    rng = np.random.default_rng(0)
    head = rng.normal(0, 1, (7, 512)).astype(np.float32), rng.normal(0, 1, 7).astype(np.float32)
    graph = make_encoder().with_head(*head, temperature=2.0)
    windows = proving_windows[:16]
    got, want = FORMAT.run(write_tflite(graph, "fp32"), windows), reference.run(graph, windows)
    assert got[PROBABILITIES].shape == (16, 7)
    np.testing.assert_allclose(got[PROBABILITIES], want[PROBABILITIES], atol=1e-5)
    np.testing.assert_allclose(got[EMBEDDING], want[EMBEDDING], atol=1e-5)


def test_tensors_carry_the_names_of_the_contract(write_tflite: Write, make_encoder: MakeEncoder) -> None:
    model = contents(write_tflite(make_encoder(), "int8"))
    main, signature = model.subgraphs[0], model.signatureDefs[0]
    assert signature.signatureKey == b"serving_default"
    assert [(i.name, list(main.tensors[i.tensorIndex].shape)) for i in signature.inputs] == [(b"imu", [1, 6, 250])]
    assert [(o.name, list(main.tensors[o.tensorIndex].shape)) for o in signature.outputs] == [(b"embedding", [1, 512])]
    assert [main.tensors[i].name for i in (*main.inputs, *main.outputs)] == [b"imu", b"embedding"]


def test_a_foreign_file_is_refused_by_name(tmp_path: Path, proving_windows: Array) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(b"not a flatbuffer at all")
    with pytest.raises(ExportError, match=r"foreign\.tflite"):
        FORMAT.run(path, proving_windows[:1])


def test_a_missing_tool_is_named_with_the_extra_that_brings_it() -> None:
    script = (
        "import sys; sys.modules['ai_edge_litert'] = None\n"
        "from primus_export import formats\n"
        "from primus_export.errors import MissingToolError\n"
        "try: formats.get('tflite')\n"
        "except MissingToolError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "ai_edge_litert" in done.stdout
    assert "primus-imu[export]" in done.stdout


def test_a_folder_that_is_not_there_is_an_output_error(
    tmp_path: Path, make_encoder: MakeEncoder, calibration_windows: Array
) -> None:
    with pytest.raises(OutputError):
        FORMAT.write(make_encoder(), tmp_path / "absent" / FORMAT.file, Options("fp32", calibration_windows))
