"""primus-export as a user runs it: the bundle it writes, and the one line it prints when it cannot."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

import primus_sdk
from primus_export import export as export_module
from primus_export.commands.export import main
from primus_export.parity import cosines
from primus_export.schema import manifest_schema
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.checkpoint import RELEASED, load, released, save_checkpoint
from primus_sdk.heads.head import Head
from primus_sdk.recordings.classyglass_labels import ACTIVITIES


@pytest.fixture(autouse=True, scope="module")
def _few_windows() -> Iterator[None]:
    """These tests are about the command; that 256 windows hold the bounds is shown by the tests of each format."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "PROVING_WINDOWS", 16)
        yield


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(result: Result, *words: str) -> None:
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("export") / "bundle"
    result = run("--format", "onnx,tflite", "--int8", "-o", output)
    assert result.exit_code == 0, result.output
    return output


def test_the_manifest_fits_the_published_schema_and_names_every_file(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    jsonschema.validate(manifest, manifest_schema())
    files = {file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file()}
    assert files - {"manifest.json", "manifest.sha256"} == set(manifest["files"])
    for name, entry in manifest["files"].items():
        content = (bundle / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert [model["format"] for model in manifest["models"]] == ["onnx", "tflite"]
    assert all(model["parity"]["min_cosine"] >= 0.9999 for model in manifest["models"])


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_the_sdk_computes_what_the_reference_does(bundle: Path, runtime: str) -> None:
    windows = made_windows(4, seed=5)
    expected = reference.run(load(released()).graph(), windows)["embedding"]
    with primus_sdk.load(bundle, runtime=runtime) as recogniser:
        actual = recogniser.embed(windows)
    assert cosines(expected, actual).min() >= 0.9999


def test_two_exports_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    assert run("--format", "onnx", "--format", "tflite", "--int8", "-o", tmp_path / "again").exit_code == 0
    for file in bundle.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_zip_is_the_same_bundle_and_is_sealed(bundle: Path, tmp_path: Path) -> None:
    assert run("--format", "onnx,tflite", "-o", tmp_path / "b.zip").exit_code == 0
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.comment.startswith(b"primus-sha256:")
        assert set(archive.namelist()) == {file.name for file in bundle.iterdir()}
        for name in archive.namelist():
            assert archive.read(name) == (bundle / name).read_bytes(), name
    with primus_sdk.load(tmp_path / "b.zip") as recogniser:
        assert recogniser.embed(made_windows(1)[0]).shape == (512,)


def test_json_prints_the_manifest_alone(tmp_path: Path) -> None:
    result = run("--format", "onnx", "--json", "-o", tmp_path / "b")
    assert json.loads(result.stdout) == json.loads((tmp_path / "b" / "manifest.json").read_text())


def test_a_head_is_built_in_bound_to_the_encoder_and_agrees(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    windows = made_windows(40, seed=2)
    with primus_sdk.load() as recogniser:
        labels = ["still" if index % 5 == 0 else "moving" for index in range(40)]
        head = recogniser.calibrate(windows, labels)
    head.save(tmp_path / "head.safetensors")
    result = run("--format", "onnx,tflite", "--head", tmp_path / "head.safetensors", "-o", tmp_path / "b")
    assert result.exit_code == 0, result.output
    checkpoint = load(released())
    graph = checkpoint.graph().with_head(head.weight, head.bias, head.temperature)
    window = windows[int(rng.integers(40))]
    expected = reference.run(graph, window[None])["probabilities"][0]
    for runtime in ("onnxruntime", "litert"):
        with primus_sdk.load(tmp_path / "b", runtime=runtime) as recogniser:
            prediction = recogniser.predict(window)
            np.testing.assert_allclose([prediction.probabilities[label] for label in head.labels], expected, atol=0.02)
    foreign = Head(head.labels, head.weight, head.bias, "0" * 64)
    foreign.save(tmp_path / "foreign.safetensors")
    refused(run("--format", "onnx", "--head", tmp_path / "foreign.safetensors", "-o", tmp_path / "c"), "encoder")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("name", RELEASED)
def test_the_head_for_the_activities_is_built_in_by_its_name(name: str, tmp_path: Path) -> None:
    result = run(name, "--format", "onnx", "--head", "activities", "-o", tmp_path / "b")
    assert result.exit_code == 0, result.output
    with primus_sdk.load(tmp_path / "b") as recogniser:
        said = recogniser.predict(made_windows(1, seed=8)[0])
    assert set(said.probabilities) == set(ACTIVITIES)


def test_another_encoder_has_no_such_head(tmp_path: Path) -> None:
    own = load("tempo")
    own.tensors["mmcl_head.bias"] = own.tensors["mmcl_head.bias"] + 1
    save_checkpoint(replace(own, name="mine"), tmp_path / "mine.safetensors")
    arguments = (tmp_path / "mine.safetensors", "--format", "onnx", "--head", "activities", "-o", tmp_path / "b")
    refused(run(*arguments), "'mine' is neither", "primus-calibrate fit")
    assert not (tmp_path / "b").exists()


def test_a_bundle_of_integers_runs_in_the_sdk_and_says_how_windows_go_in(tmp_path: Path) -> None:
    result = run("primus", "--format", "tflite", "--int8", "--io", "int8", "-o", tmp_path / "b")
    assert result.exit_code == 0, result.output
    model = json.loads((tmp_path / "b" / "manifest.json").read_text())["models"][0]
    assert model["input_quantization"] == {"kind": "stretch", "peak": 127, "zero_point": 0}
    windows = made_windows(8, seed=4)
    expected = reference.run(load("primus").graph(), windows)["embedding"]
    with primus_sdk.load(tmp_path / "b") as recogniser:
        actual = recogniser.embed(windows)
    assert cosines(expected, actual).min() >= 0.99


def test_a_file_that_misses_its_bound_is_not_written_and_a_lowered_bound_is_recorded(tmp_path: Path) -> None:
    refused(run("--format", "onnx", "--int8", "--min-cosine", "1", "-o", tmp_path / "b"), "--min-cosine", "not written")
    assert list(tmp_path.iterdir()) == []
    assert run("--format", "onnx", "--int8", "--min-cosine", "0.9", "-o", tmp_path / "b").exit_code == 0
    parity = json.loads((tmp_path / "b" / "manifest.json").read_text())["models"][0]["parity"]
    assert parity["bound_lowered"] is True
    assert parity["bound"] == {"min_cosine": 0.9}


def test_calibration_windows_are_what_the_file_is_proven_on(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", made_windows(7, seed=9))
    arguments = ("--format", "onnx", "--calibration", tmp_path / "w.npy", "-o", tmp_path / "b")
    assert run(*arguments).exit_code == 0
    parity = json.loads((tmp_path / "b" / "manifest.json").read_text())["models"][0]["parity"]
    assert (parity["windows"], parity["source"]) == (7, "calibration")


def test_an_older_bundle_is_replaced_and_anything_else_is_left_alone(tmp_path: Path) -> None:
    output = tmp_path / "b"
    assert run("--format", "onnx", "--fp32", "-o", output).exit_code == 0
    assert run("--format", "onnx", "--int8", "-o", output).exit_code == 0
    assert json.loads((output / "manifest.json").read_text())["models"][0]["precision"] == "int8"
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"x")
    refused(run("--format", "onnx", "-o", tmp_path / "holiday"), "no PRIMUS bundle")
    (tmp_path / "file").write_bytes(b"x")
    refused(run("--format", "onnx", "-o", tmp_path / "file"), "is a file")
    refused(run("--format", "onnx", "-o", tmp_path / "file" / "below"), "cannot write")
    assert (tmp_path / "holiday" / "photo.jpg").read_bytes() == b"x"


def test_nothing_that_is_not_wholly_a_bundle_is_replaced(bundle: Path, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "manifest.json").write_text('{"name": "a web app has one too"}')
    (app / "index.html").write_text("mine")
    refused(run("--format", "onnx", "-o", app), "no PRIMUS bundle")
    mixed = tmp_path / "mixed"
    shutil.copytree(bundle, mixed)
    (mixed / "notes").mkdir()
    (mixed / "notes" / "mine.txt").write_text("mine")
    refused(run("--format", "onnx", "-o", mixed), "no PRIMUS bundle")
    foreign = tmp_path / "photos.zip"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("photo.jpg", b"mine")
    before = foreign.read_bytes()
    refused(run("--format", "onnx", "-o", foreign), "no PRIMUS bundle")
    (tmp_path / "text.zip").write_text("mine")
    refused(run("--format", "onnx", "-o", tmp_path / "text.zip"), "no PRIMUS bundle")
    assert foreign.read_bytes() == before
    assert (app / "index.html").read_text() == (mixed / "notes" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "text.zip").read_text() == "mine"
    for _ in range(2):  # what we wrote ourselves is replaced
        assert run("--format", "onnx", "-o", tmp_path / "ours.zip").exit_code == 0


def test_bad_input_is_one_line_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(released().read_bytes()[:100_000])
    refused(run(tmp_path / "cut.safetensors", "--format", "onnx", "-o", tmp_path / "b"), "cut.safetensors")
    refused(run(tmp_path / "nowhere", "--format", "onnx", "-o", tmp_path / "b"), "no checkpoint file")
    refused(run("--format", "onyx", "-o", tmp_path / "b"), "onyx", "tflite")
    refused(run("--format", "onnx", "--io", "int8", "-o", tmp_path / "b"), "TFLite")
    refused(run("--format", "onnx", "--head", tmp_path / "nowhere", "-o", tmp_path / "b"), "nowhere")
    assert not (tmp_path / "b").exists()


def test_help_shows_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "primus-export --format tflite --int8" in result.output
