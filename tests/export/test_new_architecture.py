"""A new architecture costs one file: this one, put beside `primus`, exports in every format without a change to any."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from primus_export.export import Request, export
from primus_models import architectures
from primus_models.checkpoint import Checkpoint
from primus_models.graph import (
    EMBEDDING,
    INPUT,
    Array,
    Binary,
    Concat,
    Conv1d,
    Graph,
    GroupNorm,
    Linear,
    Reduce,
    Shape,
    Unary,
)

SHAPES: dict[str, Shape] = {
    "norm.weight": (6,),
    "norm.bias": (6,),
    "stem.weight": (24, 6, 9),
    "stem.bias": (24,),
    "block.weight": (24, 24, 3),
    "head.weight": (512, 48),
    "head.bias": (512,),
}


def build(t: dict[str, Array]) -> Graph:
    """Strided convolution, a residual block with GELU, mean and maximum over time: what `primus` has none of."""
    return Graph(
        (
            GroupNorm(INPUT, "normed", 2, t["norm.weight"], t["norm.bias"]),
            Conv1d("normed", "stem", t["stem.weight"], t["stem.bias"], stride=4, padding=4),
            Unary("gelu", "stem", "active"),
            Conv1d("active", "branch", t["block.weight"], padding=1),
            Binary("add", "stem", "branch", "sum"),
            Reduce("mean", "sum", "mean"),
            Reduce("max", "sum", "max"),
            Concat(("mean", "max"), "statistics"),
            Linear("statistics", EMBEDDING, t["head.weight"], t["head.bias"]),
        )
    )


@pytest.fixture
def checkpoint(monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    module = types.ModuleType("primus_models.architectures.toy")
    module.SHAPES, module.TRAINING_SHAPES, module.build = SHAPES, {}, build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(architectures, "names", lambda: ["primus", "toy"])
    rng = np.random.default_rng(0)
    return Checkpoint("toy", {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in SHAPES.items()})


@pytest.mark.parametrize("name", ["onnx", "tflite", "coreml"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_it_exports_within_the_same_bounds(checkpoint: Checkpoint, name: str, precision: str, tmp_path: Path) -> None:
    manifest = export(Request(checkpoint, [name], precision, tmp_path / "bundle"))  # type: ignore[arg-type]
    assert manifest["encoder"]["architecture"] == "toy"
    assert manifest["models"][0]["parity"]["bound_lowered"] is False
