"""Each kind of step, alone and together, in TFLite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from primus_export.errors import LoweringError
from primus_export.formats.base import Options, Precision
from primus_export.formats.tflite import FORMAT
from primus_export.formats.tflite.interpreter import run
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.graph import (
    EMBEDDING,
    GRU,
    INPUT,
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

WINDOWS = made_windows(5)
RNG = np.random.default_rng(5)


def made(*shape: int, size: float = 1.0) -> Array:
    return RNG.normal(0, size, shape).astype(np.float32)


def differs(graph: Graph, path: Path, kernels: str = "default") -> float:
    """The largest difference from the reference, in units of its RMS; the shapes must agree."""
    got, want = run(path, WINDOWS, kernels), reference.run(graph, WINDOWS)
    assert {name: value.shape for name, value in got.items()} == {name: value.shape for name, value in want.items()}
    return max(float(np.abs(got[name] - want[name]).max() / np.sqrt(np.mean(want[name] ** 2))) for name in want)


@pytest.mark.parametrize("kernels", ["default", "plain"])
def test_a_step_gives_what_the_reference_gives(lone_step: Graph, kernels: str, tmp_path: Path) -> None:
    path = tmp_path / FORMAT.file
    FORMAT.write(lone_step, path, Options("fp32", WINDOWS))
    assert differs(lone_step, path, kernels) < 2e-5


def second_architecture() -> Graph:
    """Convolution, recurrence and statistics side by side: another encoder, of the same input and output."""
    return Graph(
        (
            GroupNorm(INPUT, "normed", 2, made(6), made(6)),
            Conv1d("normed", "c1", made(64, 6, 9, size=0.2), made(64), stride=2, padding=4),
            GroupNorm("c1", "n1", 8, made(64), made(64)),
            Unary("gelu", "n1", "g1"),
            Conv1d("g1", "c2", made(64, 64, 5, size=0.1), padding=2),
            Binary("add", "c1", "c2", "sum"),
            MaxPool1d("sum", "pooled", 5),
            Transpose("pooled", "turned"),
            GRU("turned", "state", made(384, 64, size=0.1), made(384, 128, size=0.08), made(384), made(384)),
            Reduce("mean", "sum", "mean"),
            Reduce("max", "sum", "peak"),
            Slice(INPUT, "acceleration", 0, 3),
            Unary("square", "acceleration", "power"),
            Reduce("mean", "power", "strength"),
            Unary("sqrt", "strength", "rms"),
            Concat(("state", "mean", "peak", "rms"), "all"),
            Linear("all", "wide", made(512, 259, size=0.06), made(512)),
            Unary("tanh", "wide", "bounded"),
            Linear("bounded", EMBEDDING, made(512, 512, size=0.05), made(512)),
        )
    ).with_head(made(5, 512, size=0.1), made(5))


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 2e-5), ("fp16", 0.01), ("int8", 0.15), ("int4", 0.5)])
def test_another_architecture_lowers_in_every_precision(precision: Precision, bound: float, tmp_path: Path) -> None:
    graph = second_architecture()
    path = tmp_path / FORMAT.file
    FORMAT.write(graph, path, Options(precision, WINDOWS))
    assert differs(graph, path) < bound


def test_a_result_of_three_axes_is_refused(tmp_path: Path) -> None:
    graph = Graph((Binary("add", INPUT, made(2, 6, 250), "y"),), ("y",))
    with pytest.raises(LoweringError, match="two axes"):
        FORMAT.write(graph, tmp_path / FORMAT.file, Options("fp32", WINDOWS))
