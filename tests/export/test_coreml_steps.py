"""Each kind of step, alone and together, in Core ML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from primus_export.formats.base import Options, Precision
from primus_export.formats.coreml import FORMAT
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.graph import (
    EMBEDDING,
    GRU,
    INPUT,
    AdaptiveAvgPool1d,
    Array,
    Binary,
    Concat,
    Conv1d,
    Graph,
    GroupNorm,
    Linear,
    MaxPool1d,
    Reduce,
    Slice,
    Transpose,
    Unary,
)

WINDOWS = made_windows(8)
RNG = np.random.default_rng(5)


def made(*shape: int, size: float = 1.0) -> Array:
    return RNG.normal(0, size, shape).astype(np.float32)


def test_every_kind_of_step_is_the_references(lone_step: Graph, tmp_path: Path) -> None:
    FORMAT.write(lone_step, tmp_path / FORMAT.file, Options("fp32", WINDOWS))
    got, want = FORMAT.run(tmp_path / FORMAT.file, WINDOWS)["y"], reference.run(lone_step, WINDOWS)["y"]
    assert got.shape == want.shape == (8, *lone_step.shapes["y"])
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5 * np.abs(want).max())


def second_encoder() -> Graph:
    """Branches, a residual block, a spectrum's logarithm, a recurrence, statistics: little of it is in `primus`."""
    return Graph(
        (
            Transpose(INPUT, "rows"),
            Reduce("mean", INPUT, "means"),
            Binary("sub", "rows", "means", "moved"),  # each channel without its mean
            Transpose("moved", "motion"),
            Conv1d("motion", "waves", made(32, 6, 64, size=0.05), stride=16, padding=27),
            Unary("square", "waves", "power"),
            Binary("add", "power", np.full((1, 1), 1e-6, np.float32), "floored"),
            Unary("log", "floored", "spectrum"),
            GroupNorm("spectrum", "normed", 4, made(32), made(32)),
            Conv1d("normed", "branch", made(32, 32, 3, size=0.1), made(32), padding=1),
            Unary("gelu", "branch", "active"),
            Binary("add", "normed", "active", "block"),
            Slice("motion", "acceleration", 0, 3),
            Conv1d("acceleration", "stem", made(32, 3, 9, size=0.1), stride=4),
            MaxPool1d("stem", "pooled", 2),
            AdaptiveAvgPool1d("pooled", "wide", 15),
            Concat(("block", "wide"), "both", axis=1),
            Unary("tanh", "both", "bounded"),
            Reduce("max", "bounded", "peaks"),
            GRU("bounded", "state", made(384, 31, size=0.1), made(384, 128, size=0.05), made(384), made(384)),
            Concat(("peaks", "state"), "features"),
            Linear("features", EMBEDDING, made(512, 160, size=0.1), made(512)),
        )
    ).with_head(made(4, 512, size=0.05), made(4))


@pytest.mark.parametrize("target", ["ios16", "ios18"])
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1 - 1e-9), ("fp16", 0.9999), ("int8", 0.9999)])
def test_another_encoder_needs_no_change(precision: Precision, bound: float, target: str, tmp_path: Path) -> None:
    graph = second_encoder()
    FORMAT.write(graph, tmp_path / FORMAT.file, Options(precision, WINDOWS, extra={"coreml_target": target}))
    got, want = FORMAT.run(tmp_path / FORMAT.file, WINDOWS), reference.run(graph, WINDOWS)
    a, b = got[EMBEDDING].astype(np.float64), want[EMBEDDING].astype(np.float64)
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() >= bound
    np.testing.assert_allclose(got["probabilities"], want["probabilities"], atol=0.02)
