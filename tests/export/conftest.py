"""Encoders, single steps and windows that the formats' tests share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from primus_export import formats
from primus_export.formats.base import Options, Precision
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.architectures import primus
from primus_models.graph import (
    GRU,
    INPUT,
    AdaptiveAvgPool1d,
    Array,
    Binary,
    Concat,
    Conv1d,
    Frames,
    Graph,
    GroupNorm,
    Linear,
    MaxPool1d,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Step,
    Transpose,
    Unary,
)

MakeEncoder = Callable[..., Graph]
RNG = np.random.default_rng(5)


def made(*shape: int, size: float = 1.0) -> Array:
    return RNG.normal(0, size, shape).astype(np.float32)


MEAN = Reduce("mean", INPUT, "v")
POSITIVE = (Unary("square", INPUT, "squared"), Binary("add", "squared", np.full(1, 0.01, np.float32), "positive"))
LONE_STEPS: dict[str, tuple[Step, ...]] = {
    "norm": (GroupNorm(INPUT, "y", 3, made(6), made(6), eps=1e-3),),
    "norm of a vector": (MEAN, GroupNorm("v", "y", 2, made(6), made(6))),
    "strided, padded convolution": (Conv1d(INPUT, "y", made(8, 6, 4, size=0.1), made(8), stride=3, padding=5),),
    "dilated convolution without bias": (Conv1d(INPUT, "y", made(8, 6, 3, size=0.1), dilation=4),),
    "large convolution": (Conv1d(INPUT, "y", made(64, 6, 25, size=0.1), made(64), stride=2),),
    "max pool with a remainder": (MaxPool1d(INPUT, "y", 7),),
    "adaptive pool to fewer": (AdaptiveAvgPool1d(INPUT, "y", 33),),
    "adaptive pool to more": (AdaptiveAvgPool1d(INPUT, "y", 301),),
    "gru": (GRU(INPUT, "y", made(30, 250, size=0.02), made(30, 10), made(30), made(30)),),
    "gru of one step": (
        Slice(INPUT, "s", 2, 3), GRU("s", "y", made(30, 250, size=0.02), made(30, 10), made(30), made(30)),
    ),
    "linear": (Linear(INPUT, "y", made(9, 250, size=0.05), made(9)),),
    "linear of a vector, no bias": (MEAN, Linear("v", "y", made(9, 6))),
    **{op: (Unary(op, INPUT, "y"),) for op in ("relu", "gelu", "tanh", "sigmoid", "square")},
    **{op: (*POSITIVE, Unary(op, "positive", "y")) for op in ("sqrt", "log")},
    **{f"{op} a constant": (Binary(op, INPUT, made(6, 1), "y"),) for op in ("add", "sub", "mul", "maximum", "minimum")},
    "two sequences": (Unary("tanh", INPUT, "t"), Binary("sub", INPUT, "t", "y")),
    "a vector and a larger constant": (MEAN, Binary("mul", "v", made(4, 6), "y")),
    "a vector and a sequence": (MEAN, Transpose(INPUT, "t"), Binary("sub", "v", "t", "y")),
    "a sequence and a vector": (MEAN, Transpose(INPUT, "t"), Binary("maximum", "t", "v", "y")),
    "mean over time": (Reduce("mean", INPUT, "y"),),
    "mean over channels": (Reduce("mean", INPUT, "y", axis=0),),
    "maximum over time": (Reduce("max", INPUT, "y"),),
    "maximum over channels": (Reduce("max", INPUT, "y", axis=0),),
    "sum over channels": (Reduce("sum", INPUT, "y", axis=0),),
    "sum over time, kept": (Reduce("sum", INPUT, "y", keep=True),),
    "mean over time, kept": (Reduce("mean", INPUT, "m", keep=True), Binary("sub", INPUT, "m", "y")),
    "maximum over channels, kept": (Reduce("max", INPUT, "m", axis=0, keep=True), Binary("add", INPUT, "m", "y")),
    "frames": (Frames(INPUT, "y", 64, 16),),
    "frames side by side": (Frames(INPUT, "y", 50, 50),),
    "frames with gaps": (Frames(INPUT, "y", 12, 33),),
    "one frame": (Frames(INPUT, "y", 250, 7),),
    "reshape": (Reshape(INPUT, "y", (10, 150)),),
    "reshape to a vector and back": (
        Reduce("mean", INPUT, "m", keep=True), Reshape("m", "v", (6,)), Unary("tanh", "v", "t"),
        Reshape("t", "y", (2, 3)),
    ),
    "product over channels": (Transpose(INPUT, "t"), Conv1d("t", "y", made(8, 250, 1, size=0.05), made(8))),
    "large product over channels": (Transpose(INPUT, "t"), Conv1d("t", "y", made(40, 250, 1, size=0.05))),
    "turned, then an image": (
        Transpose(INPUT, "t"),
        Conv1d("t", "c", made(8, 250, 1, size=0.05), made(8)),
        Unary("gelu", "c", "g"),
        Conv1d("g", "d", made(8, 8, 3, size=0.1), padding=1),
        Binary("add", "g", "d", "y"),
    ),
    "turned, then by itself": (
        Transpose(INPUT, "t"),
        Conv1d("t", "c", made(8, 250, 1, size=0.05), made(8)),
        Reduce("max", "c", "m", keep=True),
        Binary("sub", "c", "m", "y"),
    ),
    "turned twice": (Transpose(INPUT, "t"), Transpose("t", "u"), Unary("tanh", "u", "y")),
    "concat of channels": (Unary("tanh", INPUT, "t"), Concat((INPUT, "t", INPUT), "y")),
    "concat in time": (Unary("tanh", INPUT, "t"), Concat((INPUT, "t"), "y", axis=1)),
    "concat of vectors": (MEAN, Reduce("max", INPUT, "w"), Concat(("v", "w"), "y")),
    "slice of channels": (Slice(INPUT, "y", 1, 4),),
    "slice of time": (Slice(INPUT, "y", 20, 250, axis=1),),
    "slice of a vector": (MEAN, Slice("v", "y", 2, 5)),
    "transpose": (Transpose(INPUT, "y"),),
    "softmax": (MEAN, Softmax("v", "y")),
    "an image beside its sequence": (
        Conv1d(INPUT, "c", made(6, 6, 3, size=0.1), padding=1),
        Unary("gelu", "c", "g"),
        MaxPool1d("c", "p", 2),
        Conv1d("g", "d", made(6, 6, 3, size=0.1), padding=1),
        Binary("add", INPUT, "d", "e"),
        Concat(("e", "p", "c"), "y", axis=1),
    ),
    "strided, dilated convolution": (
        Conv1d(INPUT, "y", made(8, 6, 4, size=0.1), made(8), stride=3, dilation=2, padding=5),
    ),
    "activation between convolutions": (
        Conv1d(INPUT, "c", made(8, 6, 3, size=0.1)), Unary("gelu", "c", "g"), Conv1d("g", "y", made(4, 8, 3, size=0.1)),
    ),
    "a vector and a constant": (MEAN, Binary("mul", "v", made(6), "y")),
    "a constant of higher rank": (Reduce("max", INPUT, "v", axis=0), Binary("mul", "v", made(4, 250), "y")),
}  # fmt: skip


@pytest.fixture(params=LONE_STEPS)
def lone_step(request: pytest.FixtureRequest) -> Graph:
    """Each kind of step by itself, in each form that lowers differently; the result is `y`."""
    return Graph(LONE_STEPS[request.param], ("y",))


@pytest.fixture(scope="session")
def make_encoder() -> MakeEncoder:
    """The paper's encoder with weights as PyTorch starts them.

    gain: the GRU's weights are so many times larger; row_spread: rows differ in size by up to exp(+-row_spread).
    """

    @functools.cache
    def of(gain: float, row_spread: float, seed: int) -> Graph:
        rng = np.random.default_rng(seed)
        tensors: dict[str, Array] = {}
        for name, shape in primus.SHAPES.items():
            inputs = 512 if name.startswith(("backbone.5", "mmcl")) else int(np.prod(shape[1:]))
            tensor = rng.uniform(-1, 1, shape) / np.sqrt(inputs)
            if name in ("backbone.0.weight", "backbone.4.weight"):
                tensor = 1 + 0.1 * tensor
            if name.startswith("backbone.5"):
                tensor *= gain
            if len(shape) == 2:
                tensor *= np.exp(rng.uniform(-row_spread, row_spread, (shape[0], 1)))
            tensors[name] = tensor.astype(np.float32)
        return primus.build(tensors)

    def make(gain: float = 1.0, row_spread: float = 0.0, seed: int = 3) -> Graph:
        return of(gain, row_spread, seed)  # the same object however it is asked for

    return make


@pytest.fixture(scope="session")
def proving_windows() -> Array:
    """256 made windows that no calibration in the tests saw."""
    return made_windows(256, seed=11)


@pytest.fixture(scope="session")
def calibration_windows() -> Array:
    """What quantization may look at."""
    return made_windows(64, seed=0)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Graph, Options], Path]:
    """Writes a graph in a format, each graph with the same options once: the file's path, for reading only.

    Graphs and calibration windows are told apart by identity.
    """

    files: dict[object, tuple[Graph, Options, Path]] = {}  # what is kept is not freed, so that no other takes its id

    def write(name: str, graph: Graph, options: Options) -> Path:
        extra = tuple(sorted(options.extra.items()))
        key = (name, id(graph), options.precision, id(options.calibration), options.io, extra)
        if key not in files:
            format_ = formats.get(name)
            path = tmp_path_factory.mktemp(f"{name}-{options.precision}") / format_.file
            format_.write(graph, path, options)
            files[key] = graph, options, path
        return files[key][2]

    return write


@pytest.fixture(scope="session")
def write_tflite(
    written: Callable[[str, Graph, Options], Path], calibration_windows: Array
) -> Callable[[Graph, Precision], Path]:
    """Writes a graph in a precision as TFLite, each once: the file's path."""
    return lambda graph, precision: written("tflite", graph, Options(precision, calibration_windows))


@pytest.fixture(scope="session")
def write_onnx(
    written: Callable[[str, Graph, Options], Path], calibration_windows: Array
) -> Callable[[Graph, Precision], Path]:
    """Writes a graph in a precision as ONNX, each once: the file's path."""
    return lambda graph, precision: written("onnx", graph, Options(precision, calibration_windows))


@pytest.fixture(scope="session")
def referenced() -> Callable[[Graph, Array], dict[str, Array]]:
    """What the reference makes of windows, computed once for each graph and set of windows (by identity)."""

    known: dict[tuple[int, int], tuple[Graph, Array, dict[str, Array]]] = {}

    def run(graph: Graph, windows: Array) -> dict[str, Array]:
        key = id(graph), id(windows)
        if key not in known:
            known[key] = graph, windows, reference.run(graph, windows)
        return known[key][2]

    return run
