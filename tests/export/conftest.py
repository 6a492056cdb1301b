"""Encoders and windows that the TFLite tests share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from primus_export.formats.base import Options, Precision
from primus_export.formats.tflite import FORMAT
from primus_export.windows import made_windows
from primus_models.architectures import primus
from primus_models.graph import Array, Graph

MakeEncoder = Callable[..., Graph]


@pytest.fixture(scope="session")
def make_encoder() -> MakeEncoder:
    """The paper's encoder with weights as PyTorch starts them.

    gain: the GRU's weights are so many times larger; row_spread: rows differ in size by up to exp(+-row_spread).
    """

    @functools.cache
    def make(gain: float = 1.0, row_spread: float = 0.0, seed: int = 3) -> Graph:
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
def write_tflite(tmp_path_factory: pytest.TempPathFactory, calibration_windows: Array) -> Callable[..., Path]:
    """Writes a graph in a precision, each once: the file's path."""

    written: dict[tuple[int, Precision], tuple[Graph, Path]] = {}  # the graph is kept, so that no other takes its id

    def write(graph: Graph, precision: Precision) -> Path:
        if (id(graph), precision) not in written:
            path = tmp_path_factory.mktemp(precision) / FORMAT.file
            FORMAT.write(graph, path, Options(precision, calibration_windows))
            written[id(graph), precision] = graph, path
        return written[id(graph), precision][1]

    return write
