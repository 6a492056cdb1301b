"""The bundle that comes with the SDK is the released checkpoint's, and computes what it does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import primus_sdk
from primus_export.parity import bound_for, compare
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.checkpoint import load, released

BUNDLE = Path(primus_sdk.__file__).parent / "released"


def test_it_is_of_the_released_checkpoint() -> None:
    manifest = json.loads((BUNDLE / "manifest.json").read_text())
    checkpoint = load(released())
    assert manifest["encoder"]["sha256"] == checkpoint.sha256
    assert manifest["provenance"] == checkpoint.provenance
    assert [(model["format"], model["precision"]) for model in manifest["models"]] == [
        ("onnx", "int8"),
        ("tflite", "int8"),
    ]


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_load_without_a_bundle_gives_it(runtime: str) -> None:
    windows = made_windows(64, seed=11)
    expected = reference.run(load(released()).graph(), windows)
    with primus_sdk.load(runtime=runtime) as recogniser:
        report = compare(expected, {"embedding": recogniser.embed(windows)}, bound_for("int8", "float32"), "made")
    report.check(runtime)


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_a_window_among_others_gives_what_it_gives_alone(runtime: str) -> None:
    windows = made_windows(67, seed=12)
    with primus_sdk.load(runtime=runtime) as recogniser:
        alone = np.stack([recogniser.embed(window) for window in windows])
        for first, last in ((0, 67), (3, 5), (10, 41)):
            assert np.abs(recogniser.embed(windows[first:last]) - alone[first:last]).max() <= 1e-4
        assert np.array_equal(np.stack([recogniser.embed(window) for window in windows[:8]]), alone[:8])
