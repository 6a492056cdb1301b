"""A small real bundle: an ONNX model of two steps that computes a true embedding, with its known answer."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from primus_sdk import telemetry
from primus_sdk.errors import ClosedError
from primus_sdk.heads.head import Head
from primus_sdk.recogniser import Recogniser

telemetry.disable()

ENCODER = "ab" * 32


def made_windows(n: int, seed: int = 0) -> np.ndarray:
    """Windows `(n, 6, 250)` of someone moving: gravity, an oscillation and noise; every seed others."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(250) / 50
    windows = rng.normal(0, 0.3, (n, 6, 250))
    for window in windows:
        gravity = rng.normal(size=3)
        window[:3] += 9.81 * (gravity / np.linalg.norm(gravity))[:, np.newaxis]
        window += rng.uniform(0, 2, (6, 1)) * np.sin(
            2 * np.pi * rng.uniform(0.5, 3) * seconds + rng.uniform(0, 6, (6, 1))
        )
    return windows.astype(np.float32)


def weights() -> np.ndarray:
    """The made encoder's one matrix, `(60, 512)`."""
    return np.random.default_rng(1).normal(0, 0.03, (60, 512)).astype(np.float32)


def reference(windows: np.ndarray) -> np.ndarray:
    """What the made encoder computes, `(n, 512)`: tanh of a linear map of half-second means."""
    return np.tanh(windows.reshape(len(windows), 60, 25).mean(axis=2) @ weights()).astype(np.float32)


def onnx_model() -> bytes:
    """The made encoder as ONNX, `imu` to `embedding`, any batch."""
    nodes = [
        helper.make_node("Reshape", ["imu", "shape"], ["parts"]),
        helper.make_node("ReduceMean", ["parts"], ["means"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["linear"]),
        helper.make_node("Tanh", ["linear"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("imu", TensorProto.FLOAT, ["batch", 6, 250])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 512])],
        [
            numpy_helper.from_array(weights(), "weights"),
            numpy_helper.from_array(np.array([-1, 60, 25], np.int64), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def model_entry(model_format: str = "onnx", path: str = "encoder.onnx", **changes: Any) -> dict[str, Any]:
    """A manifest's entry of one model."""
    return {
        "format": model_format,
        "path": path,
        "precision": "fp32",
        "io": "float32",
        "outputs": ["embedding"],
        "oldest_runtime": {"onnxruntime": "1.15.0"},
        "input_quantization": None,
        "output_quantization": None,
        "known_answer_cosine": 0.9999,
        "parity": {"windows": 256, "source": "made", "min_cosine": 1.0},
    } | changes


def bundle_files(models: list[dict[str, Any]], contents: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """Every file of a bundle by path; `changes` replace fields of its manifest."""
    window = made_windows(1, seed=7)
    known_answer = {"imu": window[0], "embedding": reference(window)[0]}
    contents = {"known_answer.safetensors": save(known_answer), "README.md": b"# a made encoder\n"} | contents
    manifest = {
        "format": "primus-bundle",
        "schema_version": 1,
        "name": "made",
        "encoder": {"architecture": "made", "sha256": ENCODER, "embedding_size": 512},
        "input": {
            "name": "imu",
            "window_samples": 250,
            "rate_hz": 50,
            "hop_seconds": 1.0,
            "channels": ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"],
            "units": {"accelerometer": "m/s^2", "gyroscope": "rad/s"},
            "gravity": "included",
        },
        "models": models,
        "known_answer": "known_answer.safetensors",
        "head": None,
        "model_card": "README.md",
        "files": {
            path: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for path, content in contents.items()
        },
        "tools": {},
        "provenance": {},
        "licence": "none",
    } | changes
    return sealed(contents, manifest)


def sealed(contents: dict[str, bytes], manifest: Any) -> dict[str, bytes]:
    """The files with a manifest of any content, sealed as an exporter does; the form is spelled out, not imported."""
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest, indent=2).encode()
    seal = f"{hashlib.sha256(content).hexdigest()}  manifest.json\n".encode()
    return contents | {"manifest.json": content, "manifest.sha256": seal}


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    """The files as a folder bundle."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def zip_bytes(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The files zipped, without a seal."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def close_under_calls(recogniser: Recogniser, windows: np.ndarray, expected: np.ndarray) -> None:
    """Close a recogniser while four threads embed with it: each call gives the true result or ClosedError."""
    outcomes: list[object] = []

    def work() -> None:
        try:
            while True:
                outcomes.append(float(np.abs(recogniser.embed(windows) - expected).max()) < 1e-5)
        except ClosedError:
            outcomes.append("closed")
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(outcomes) < 50:
        time.sleep(0.001)
    recogniser.close()
    for thread in threads:
        thread.join(10)
    assert outcomes.count("closed") == 4
    assert all(outcome in (True, "closed") for outcome in outcomes)


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """The functions above, for tests: pytest's import mode lets no test import from a conftest."""
    return SimpleNamespace(
        encoder=ENCODER,
        windows=made_windows,
        weights=weights,
        reference=reference,
        onnx_model=onnx_model,
        model_entry=model_entry,
        files=bundle_files,
        sealed=sealed,
        folder=write_folder,
        zip=zip_bytes,
        close_under_calls=close_under_calls,
    )


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    """The files of the made bundle, by path."""
    return bundle_files([model_entry()], {"encoder.onnx": onnx_model()})


@pytest.fixture(scope="session")
def folder(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made bundle as a folder; not to be changed."""
    return write_folder(tmp_path_factory.mktemp("bundle"), files)


@pytest.fixture
def head(made: SimpleNamespace, tmp_path: Path) -> Path:
    """A head of two labels for the made bundle: what it says is no matter."""
    weight = np.random.default_rng(0).normal(0, 0.1, (2, 512)).astype(np.float32)
    path = tmp_path / "head.safetensors"
    Head(("lying", "upright"), weight, np.zeros(2, np.float32), made.encoder).save(path)
    return path
