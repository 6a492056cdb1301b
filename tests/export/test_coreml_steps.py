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
    Softmax,
    Step,
    Transpose,
    Unary,
)

WINDOWS = made_windows(8)
RNG = np.random.default_rng(5)


def made(*shape: int, size: float = 1.0) -> Array:
    return RNG.normal(0, size, shape).astype(np.float32)


def positive(name: str) -> tuple[Step, ...]:
    return (Unary("square", INPUT, "squared"), Binary("add", "squared", np.float32(0.01).reshape(1), name))


ALONE: dict[str, tuple[Step, ...]] = {
    "norm": (GroupNorm(INPUT, "y", 3, made(6), made(6)),),
    "norm of a vector": (Reduce("mean", INPUT, "v"), GroupNorm("v", "y", 2, made(6), made(6))),
    "convolution": (Conv1d(INPUT, "y", made(8, 6, 4, size=0.1), made(8), stride=3, dilation=2, padding=5),),
    "convolution without bias": (Conv1d(INPUT, "y", made(8, 6, 1, size=0.1)),),
    "max pool with a remainder": (MaxPool1d(INPUT, "y", 7),),
    "adaptive pool to fewer": (AdaptiveAvgPool1d(INPUT, "y", 33),),
    "adaptive pool to more": (AdaptiveAvgPool1d(INPUT, "y", 301),),
    "gru": (GRU(INPUT, "y", made(30, 250, size=0.02), made(30, 10), made(30), made(30)),),
    "linear": (Linear(INPUT, "y", made(9, 250, size=0.05), made(9)),),
    "linear of a vector, no bias": (Reduce("mean", INPUT, "v"), Linear("v", "y", made(9, 6))),
    **{op: (Unary(op, INPUT, "y"),) for op in ("relu", "gelu", "tanh", "sigmoid", "square")},
    **{op: (*positive("p"), Unary(op, "p", "y")) for op in ("sqrt", "log")},
    **{f"{op} a constant": (Binary(op, INPUT, made(6, 1), "y"),) for op in ("add", "sub", "mul", "maximum", "minimum")},
    "two sequences": (Unary("tanh", INPUT, "t"), Binary("sub", INPUT, "t", "y")),
    "a constant of higher rank": (Reduce("max", INPUT, "v", axis=0), Binary("mul", "v", made(4, 250), "y")),
    "a sequence and a vector": (
        Reduce("mean", INPUT, "v"), Transpose(INPUT, "t"), Binary("sub", "t", "v", "y"),
    ),
    "a vector and a sequence": (
        Reduce("mean", INPUT, "v"), Transpose(INPUT, "t"), Binary("sub", "v", "t", "y"),
    ),
    "mean over time": (Reduce("mean", INPUT, "y"),),
    "maximum over channels": (Reduce("max", INPUT, "y", axis=0),),
    "concat": (Unary("tanh", INPUT, "t"), Concat((INPUT, "t", INPUT), "y")),
    "concat in time": (Unary("tanh", INPUT, "t"), Concat((INPUT, "t"), "y", axis=1)),
    "slice of channels": (Slice(INPUT, "y", 1, 4),),
    "slice of time": (Slice(INPUT, "y", 20, 250, axis=1),),
    "transpose": (Transpose(INPUT, "y"),),
    "softmax": (Reduce("mean", INPUT, "v"), Softmax("v", "y")),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_every_kind_of_step_is_the_references(name: str, tmp_path: Path) -> None:
    graph = Graph(ALONE[name], outputs=("y",))
    FORMAT.write(graph, tmp_path / FORMAT.file, Options("fp32", WINDOWS))
    got, want = FORMAT.run(tmp_path / FORMAT.file, WINDOWS)["y"], reference.run(graph, WINDOWS)["y"]
    assert got.shape == want.shape == (8, *graph.shapes["y"])
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
