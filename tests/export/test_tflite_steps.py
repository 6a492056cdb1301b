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

WINDOWS = made_windows(5)
RNG = np.random.default_rng(5)


def made(*shape: int, size: float = 1.0) -> Array:
    return RNG.normal(0, size, shape).astype(np.float32)


POSITIVE = (Unary("square", INPUT, "squared"), Binary("add", "squared", np.array([0.01], np.float32), "positive"))
ALONE: dict[str, tuple[Step, ...]] = {
    "norm": (GroupNorm(INPUT, "y", 3, made(6), made(6)),),
    "norm of a vector": (Reduce("mean", INPUT, "v"), GroupNorm("v", "y", 2, made(6), made(6))),
    "strided, padded convolution": (Conv1d(INPUT, "y", made(8, 6, 4, size=0.1), made(8), stride=3, padding=5),),
    "dilated convolution without bias": (Conv1d(INPUT, "y", made(8, 6, 3, size=0.1), dilation=4),),
    "max pool with a remainder": (MaxPool1d(INPUT, "y", 7),),
    "adaptive pool to fewer": (AdaptiveAvgPool1d(INPUT, "y", 33),),
    "adaptive pool to more": (AdaptiveAvgPool1d(INPUT, "y", 301),),
    "gru": (GRU(INPUT, "y", made(30, 250, size=0.02), made(30, 10), made(30), made(30)),),
    "linear": (Linear(INPUT, "y", made(9, 250, size=0.05), made(9)),),
    "linear of a vector, no bias": (Reduce("mean", INPUT, "v"), Linear("v", "y", made(9, 6))),
    **{op: (Unary(op, INPUT, "y"),) for op in ("relu", "gelu", "tanh", "sigmoid", "square")},
    **{op: (*POSITIVE, Unary(op, "positive", "y")) for op in ("sqrt", "log")},
    "activation between convolutions": (
        Conv1d(INPUT, "c", made(8, 6, 3, size=0.1)), Unary("gelu", "c", "g"), Conv1d("g", "y", made(4, 8, 3, size=0.1)),
    ),
    **{f"{op} a constant": (Binary(op, INPUT, made(6, 1), "y"),) for op in ("add", "sub", "mul", "maximum", "minimum")},
    "two sequences": (Unary("tanh", INPUT, "t"), Binary("sub", INPUT, "t", "y")),
    "a vector and a constant": (Reduce("mean", INPUT, "v"), Binary("mul", "v", made(6), "y")),
    "a vector and a sequence": (Reduce("mean", INPUT, "v"), Transpose(INPUT, "t"), Binary("sub", "v", "t", "y")),
    "mean over time": (Reduce("mean", INPUT, "y"),),
    "mean over channels": (Reduce("mean", INPUT, "y", axis=0),),
    "maximum over time": (Reduce("max", INPUT, "y"),),
    "maximum over channels": (Reduce("max", INPUT, "y", axis=0),),
    "concat": (Unary("tanh", INPUT, "t"), Concat((INPUT, "t", INPUT), "y")),
    "concat in time": (Unary("tanh", INPUT, "t"), Concat((INPUT, "t"), "y", axis=1)),
    "concat of vectors": (Reduce("mean", INPUT, "v"), Reduce("max", INPUT, "w"), Concat(("v", "w"), "y")),
    "slice of channels": (Slice(INPUT, "y", 1, 4),),
    "slice of time": (Slice(INPUT, "y", 20, 250, axis=1),),
    "slice of a vector": (Reduce("mean", INPUT, "v"), Slice("v", "y", 2, 5)),
    "transpose": (Transpose(INPUT, "y"),),
    "softmax": (Reduce("mean", INPUT, "v"), Softmax("v", "y")),
}  # fmt: skip


def differs(graph: Graph, path: Path, kernels: str = "default") -> float:
    """The largest difference from the reference, in units of its RMS; the shapes must agree."""
    got, want = run(path, WINDOWS, kernels), reference.run(graph, WINDOWS)
    assert {name: value.shape for name, value in got.items()} == {name: value.shape for name, value in want.items()}
    return max(float(np.abs(got[name] - want[name]).max() / np.sqrt(np.mean(want[name] ** 2))) for name in want)


@pytest.mark.parametrize("kernels", ["default", "plain"])
@pytest.mark.parametrize("name", ALONE)
def test_a_step_gives_what_the_reference_gives(name: str, kernels: str, tmp_path: Path) -> None:
    graph = Graph(ALONE[name], ("y",))
    path = tmp_path / FORMAT.file
    FORMAT.write(graph, path, Options("fp32", WINDOWS))
    assert differs(graph, path, kernels) < 2e-5


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
