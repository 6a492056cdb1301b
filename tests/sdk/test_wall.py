"""The SDK starts light: NumPy, and nothing else before a bundle is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HEAVY = {
    "onnxruntime", "ai_edge_litert", "tflite_runtime", "tensorflow", "coremltools", "safetensors",
    "scipy", "sklearn", "torch", "onnx", "click", "rich", "matplotlib", "jsonschema", "flatbuffers",
    "primus_export", "primus_models",
}  # fmt: skip


def run(code: str, *arguments: str) -> str:
    # Compiled files are kept, as they are where the SDK is installed.
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def loaded_by(code: str, *arguments: str) -> set[str]:
    return set(run(f"{code}\nimport sys; print(*sys.modules)", *arguments).split())


def test_importing_the_sdk_loads_numpy_only() -> None:
    loaded = loaded_by("import primus_sdk")
    assert "numpy" in loaded
    assert not HEAVY & loaded


def test_a_start_does_without_what_only_some_programs_need() -> None:
    ours = loaded_by("import primus_sdk") - loaded_by("import numpy")
    assert not {"pathlib", "urllib.parse", "tempfile", "zipfile", "importlib.metadata"} & ours


def test_loading_a_bundle_brings_its_runtime_and_no_more(folder: Path) -> None:
    loaded = loaded_by("import sys, primus_sdk; primus_sdk.load(sys.argv[1])", str(folder))
    assert HEAVY & loaded == {"onnxruntime", "safetensors"}


def test_importing_costs_under_a_fifth_of_a_second_beyond_its_runtime() -> None:
    code = (
        "import time, onnxruntime; start = time.perf_counter(); import primus_sdk; print(time.perf_counter() - start)"
    )
    # The least of several: what the import costs, not what else the machine was doing.
    assert min(float(run(code)) for _ in range(5)) < 0.2
