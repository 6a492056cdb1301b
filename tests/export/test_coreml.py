"""The Core ML export of the paper's encoder: what is saved, and how near the reference it runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from primus_export.errors import ExportError, MissingToolError
from primus_export.formats.base import Options, Precision
from primus_export.formats.coreml import FORMAT, package
from primus_export.formats.coreml.tool import coremltools_quietly
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.architectures import primus
from primus_models.graph import EMBEDDING, PROBABILITIES, Array, Graph
from primus_sdk.errors import OutputError

WINDOWS = made_windows(256)
FEW = WINDOWS[:5]
Write = Callable[..., Path]


def encoder(row_spread: float = 0.0) -> Graph:
    """Weights as PyTorch starts them; each matrix's rows may differ in size by exp(+-row_spread)."""
    rng = np.random.default_rng(3)
    tensors: dict[str, Array] = {}
    for name, shape in primus.SHAPES.items():
        inputs = 512 if name.startswith(("backbone.5", "mmcl")) else int(np.prod(shape[1:]))
        tensor = rng.uniform(-1, 1, shape) / np.sqrt(inputs)
        if name in ("backbone.0.weight", "backbone.4.weight"):
            tensor = 1 + 0.1 * tensor
        if len(shape) == 2:
            tensor = tensor * np.exp(rng.normal(0, row_spread, (shape[0], 1)))
        tensors[name] = tensor.astype(np.float32)
    return primus.build(tensors)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return encoder()


@pytest.fixture(scope="module")
def uneven() -> Graph:
    return encoder(row_spread=0.4)


@pytest.fixture(scope="module")
def expected(graph: Graph) -> Array:
    return reference.run(graph, WINDOWS)[EMBEDDING]


@pytest.fixture(scope="module")
def write(graph: Graph, written: Callable[[str, Graph, Options], Path]) -> Write:
    """Writes a package once for each precision and target: not to be altered."""

    def write(precision: Precision, of: Graph = graph, **extra: str) -> Path:
        return written("coreml", of, Options(precision, FEW, extra=extra))

    return write


@pytest.fixture
def own(write: Write, tmp_path: Path) -> Write:
    """A package of the test's own, to do with as it likes."""
    return lambda *arguments, **extra: Path(shutil.copytree(write(*arguments, **extra), tmp_path / FORMAT.file))


def least_cosine(got: Array, want: Array) -> float:
    a, b = got.astype(np.float64), want.astype(np.float64)
    return float(((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def operators(path: Path) -> set[str]:
    with coremltools_quietly():
        spec, _ = package.read(path)
    main = spec.mlProgram.functions["main"]
    return {operation.type for operation in main.block_specializations[main.opset].operations}


def content(path: Path) -> dict[str, str]:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize("target", ["ios15", "ios16", "ios18"])
def test_fp32_is_the_reference_to_a_hundred_thousandth(write: Write, expected: Array, target: str) -> None:
    got = FORMAT.run(write("fp32", coreml_target=target), WINDOWS)[EMBEDDING]
    assert np.abs(got - expected).max() <= 1e-5 * np.sqrt(np.square(expected).mean())


@pytest.mark.parametrize(
    ("precision", "target", "bound"),
    [
        ("fp16", "ios15", 0.9999),
        ("fp16", "ios18", 0.9999),
        ("int8", "ios16", 0.9999),
        ("int8", "ios17", 0.9999),
        ("int8", "ios18", 0.9999),
        ("int4", "ios18", 0.999),
    ],
)
def test_smaller_weights_hold_their_bound(
    write: Write, expected: Array, precision: Precision, target: str, bound: float
) -> None:
    got = FORMAT.run(write(precision, coreml_target=target), WINDOWS)[EMBEDDING]
    assert bound <= least_cosine(got, expected) < 1 - 1e-7  # and are smaller: something must have been rounded


@pytest.mark.parametrize("target", ["ios16", "ios18"])
def test_int8_holds_its_bound_when_rows_differ_widely_in_size(
    write: Write, uneven: Graph, referenced: Callable[[Graph, Array], dict[str, Array]], target: str
) -> None:
    got = FORMAT.run(write("int8", uneven, coreml_target=target), WINDOWS)[EMBEDDING]
    assert least_cosine(got, referenced(uneven, WINDOWS)[EMBEDDING]) >= 0.9999


def test_packages_are_small(write: Write) -> None:
    assert size(write("int8")) <= 1_200_000
    assert size(write("int8", coreml_target="ios16")) <= 1_200_000
    assert size(write("int4")) <= 900_000
    assert size(write("fp16")) <= 2_250_000


def test_ios_18_gets_its_own_operators_and_older_systems_what_they_have(write: Write) -> None:
    newest = operators(write("int8"))
    assert {"gru", "constexpr_blockwise_shift_scale"} <= newest
    assert "while_loop" not in newest
    older = operators(write("int8", coreml_target="ios16"))
    assert {"while_loop", "constexpr_affine_dequantize"} <= older
    assert not {"gru", "constexpr_blockwise_shift_scale"} & older


def test_the_operator_and_the_loop_compute_the_same(write: Write) -> None:
    op, loop = write("int8"), write("int8", coreml_target="ios17")
    np.testing.assert_allclose(FORMAT.run(op, FEW)[EMBEDDING], FORMAT.run(loop, FEW)[EMBEDDING], atol=1e-6)


def test_a_head_adds_probabilities(graph: Graph, write: Write) -> None:
    rng = np.random.default_rng(0)
    headed = graph.with_head(rng.normal(0, 1, (5, 512)).astype(np.float32), np.zeros(5, np.float32), 2.0)
    got, want = FORMAT.run(write("int8", headed), FEW), reference.run(headed, FEW)
    assert list(got) == [EMBEDDING, PROBABILITIES]
    assert got[PROBABILITIES].shape == (5, 5)
    np.testing.assert_allclose(got[PROBABILITIES], want[PROBABILITIES], atol=0.01)


def test_windows_run_together_give_what_they_give_alone(write: Write) -> None:
    path = write("fp16", coreml_target="ios16")
    alone = np.concatenate([FORMAT.run(path, window[np.newaxis])[EMBEDDING] for window in FEW])
    np.testing.assert_allclose(FORMAT.run(path, FEW)[EMBEDDING], alone, atol=2e-3)


def test_the_stock_loader_opens_the_package(own: Write) -> None:
    path = own("int8")  # the loader writes the manifest anew
    with coremltools_quietly():
        import coremltools as ct

        description = ct.models.MLModel(str(path), skip_model_load=True).get_spec().description
    (imu,), (embedding,) = description.input, description.output
    assert (imu.name, list(imu.type.multiArrayType.shape)) == ("imu", [1, 6, 250])
    assert (embedding.name, list(embedding.type.multiArrayType.shape)) == ("embedding", [1, 512])


PROBE = """
import json, sys
from pathlib import Path
sockets = []
sys.addaudithook(lambda event, args: sockets.append(event) if event.startswith("socket.") else None)
sys.path.insert(0, str(Path(sys.argv[1]).parent))
from test_coreml import FEW, FORMAT, Options, content, encoder
path = Path(sys.argv[2])
FORMAT.write(encoder(), path, Options("int8", FEW))
FORMAT.run(path, FEW)
print(json.dumps([content(path), sockets]))
"""


def test_bytes_are_the_same_in_every_process_and_nothing_is_printed_sent_or_left_behind(
    graph: Graph, write: Write, tmp_path: Path
) -> None:
    first, again = write("int8"), tmp_path / "b.mlpackage"
    FORMAT.write(graph, again, Options("int8", FEW))
    assert content(first) == content(again)
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    other = subprocess.run(
        [sys.executable, "-c", PROBE, __file__, str(tmp_path / "c.mlpackage")],
        env=os.environ | {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    files, sockets = json.loads(other.stdout)
    assert files == content(first)
    assert sockets == []
    assert other.stderr == ""
    left = [*home.rglob("*"), *temporary.glob("*")]
    # coremltools imports torch where it is installed, and torch makes an empty folder for itself
    assert [each for each in left if not each.name.startswith("torchinductor_")] == []


def test_the_interpreter_reads_the_saved_weights(own: Write) -> None:
    path = own("int8")
    before = FORMAT.run(path, FEW)[EMBEDDING]
    weights = path / "Data" / package.WEIGHTS / "weight.bin"
    altered = bytearray(weights.read_bytes())
    altered[len(altered) // 2] ^= 0x40  # one of the recurrent weights
    weights.write_bytes(altered)
    assert np.abs(FORMAT.run(path, FEW)[EMBEDDING] - before).max() > 1e-6


def test_the_interpreter_reads_the_saved_program(own: Write) -> None:
    path = own("fp32", coreml_target="ios15")
    before = FORMAT.run(path, FEW)[EMBEDDING]
    model = path / "Data" / package.MODEL
    with coremltools_quietly():
        spec, _ = package.read(path)
    main = spec.mlProgram.functions["main"]
    (loop,) = [each for each in main.block_specializations[main.opset].operations if each.type == "while_loop"]
    (limit,) = [each for each in loop.blocks[0].operations if each.type == "const"]
    assert list(limit.attributes["val"].immediateValue.tensor.ints.values) == [32]
    limit.attributes["val"].immediateValue.tensor.ints.values[0] = 31  # one step of the recurrence less
    model.write_bytes(spec.SerializeToString())
    assert np.abs(FORMAT.run(path, FEW)[EMBEDDING] - before).max() > 1e-4


def test_int4_is_the_same_twice_and_nearer_on_windows_like_its_calibration(
    graph: Graph, expected: Array, tmp_path: Path
) -> None:
    near, twin, blind = (tmp_path / f"{name}.mlpackage" for name in ("near", "twin", "blind"))
    FORMAT.write(graph, near, Options("int4", WINDOWS))
    FORMAT.write(graph, twin, Options("int4", WINDOWS))
    FORMAT.write(graph, blind, Options("int4", np.zeros_like(FEW)))
    assert content(near) == content(twin)
    cosine = least_cosine(FORMAT.run(near, WINDOWS)[EMBEDDING], expected)
    assert cosine >= 0.9999
    assert cosine > least_cosine(FORMAT.run(blind, WINDOWS)[EMBEDDING], expected)


def test_damaged_packages_are_refused(own: Write, tmp_path: Path) -> None:
    path = own("int8")
    weights = path / "Data" / package.WEIGHTS / "weight.bin"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ExportError, match="weights file"):
        FORMAT.run(path, FEW)
    with pytest.raises(ExportError, match="cannot be read as a Core ML package"):
        FORMAT.run(tmp_path / "absent.mlpackage", FEW)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (Options("int8", FEW, io="int8"), "TFLite"),
        (Options("int4", FEW, extra={"coreml_target": "ios17"}), "ios18"),
        (Options("int8", FEW, extra={"coreml_target": "ios15"}), "ios16 or ios17 or ios18"),
        (Options("fp32", FEW, extra={"coreml_target": "ios12"}), "ios15, ios16, ios17, ios18"),
    ],
)
def test_options_that_do_not_go_together_are_refused(graph: Graph, tmp_path: Path, options: Options, says: str) -> None:
    with pytest.raises(ExportError, match=says):
        FORMAT.write(graph, tmp_path / FORMAT.file, options)
    assert not (tmp_path / FORMAT.file).exists()


def test_the_manifest_names_the_oldest_systems() -> None:
    path = Path(FORMAT.file)
    entry = FORMAT.manifest_entry(Options("int8", FEW), path)
    assert entry["oldest_runtime"] == {"iOS": "18.0", "macOS": "15.0"}
    older = FORMAT.manifest_entry(Options("int8", FEW, extra={"coreml_target": "ios16"}), path)
    assert older["oldest_runtime"] == {"iOS": "16.0", "macOS": "13.0"}
    assert older["target"] == "ios16"


def test_without_coremltools_the_extra_is_named(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(MissingToolError, match=r"primus-imu\[export\]"):
        FORMAT.write(graph, tmp_path / FORMAT.file, Options("fp32", FEW))


def test_a_folder_that_is_not_there_is_said(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        FORMAT.write(graph, tmp_path / "absent" / FORMAT.file, Options("fp32", FEW))
