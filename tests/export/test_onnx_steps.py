"""Each kind of step, alone and together, in ONNX."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest

from primus_export.errors import LoweringError
from primus_export.formats.base import PRECISIONS, Options, Precision
from primus_export.formats.onnx import FORMAT
from primus_export.formats.onnx.blocks import pack
from primus_export.formats.onnx.lower import lower
from primus_export.parity import cosines
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

WINDOWS = made_windows(5)
RNG = np.random.default_rng(5)


def made(*shape: int, size: float = 1.0) -> Array:
    return RNG.normal(0, size, shape).astype(np.float32)


def export(graph: Graph, folder: Path, precision: Precision = "fp32") -> Path:
    path = folder / FORMAT.file
    FORMAT.write(graph, path, Options(precision, WINDOWS))
    return path


def test_a_step_gives_what_the_reference_gives_in_any_batch(lone_step: Graph, tmp_path: Path) -> None:
    path, expected = export(lone_step, tmp_path), reference.run(lone_step, WINDOWS)["y"]
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(FORMAT.run(path, WINDOWS)["y"], expected, rtol=1e-5, atol=tolerance)
    import onnxruntime  # only after the format, which turns its telemetry off

    (together,) = onnxruntime.InferenceSession(path).run(["y"], {INPUT: WINDOWS})
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=tolerance)


def another_encoder() -> Graph:
    """An encoder with little in common with the paper's, in which every kind of step stands somewhere."""
    return Graph(
        (
            Binary("mul", INPUT, np.array([[0.1]] * 3 + [[1]] * 3, np.float32), "scaled"),
            Unary("square", "scaled", "squared"),
            Reduce("mean", "squared", "energy"),
            Unary("log", "energy", "log_energy"),
            Conv1d("scaled", "conv", made(48, 6, 9, size=0.3), made(48), stride=2, padding=4),
            GroupNorm("conv", "normed", 8, 1 + made(48, size=0.1), made(48)),
            Unary("gelu", "normed", "gelu"),
            Conv1d("gelu", "conv2", made(48, 48, 3, size=0.1), dilation=2, padding=2),
            Binary("add", "conv", "conv2", "residual"),
            MaxPool1d("residual", "pooled", 4),
            AdaptiveAvgPool1d("pooled", "even", 24),
            Transpose("even", "sequence"),
            Linear("sequence", "wide", made(400, 48, size=0.1), made(400)),
            Slice("wide", "some", 0, 64, axis=1),
            GRU("some", "hidden", made(288, 64, size=0.1), made(288, 96, size=0.1), made(288), made(288)),
            Reduce("max", "even", "peak"),
            Unary("tanh", "peak", "bounded"),
            Concat(("hidden", "bounded", "log_energy"), "joined"),
            Linear("joined", EMBEDDING, made(512, 150, size=0.1), made(512)),
        )
    ).with_head(made(4, 512, size=0.1), made(4))


COSINES: dict[Precision, float] = {"fp32": 0.9999999, "fp16": 0.9999, "int8": 0.9999, "int4": 0.99}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_another_encoder_needs_no_other_exporter(precision: Precision, tmp_path: Path) -> None:
    graph, windows = another_encoder(), made_windows(32, seed=7)
    path = export(graph, tmp_path, precision)
    expected, actual = reference.run(graph, windows), FORMAT.run(path, windows)
    assert (
        cosines(expected[EMBEDDING].astype(np.float64), actual[EMBEDDING].astype(np.float64)).min()
        >= COSINES[precision]
    )
    onnx.checker.check_model(onnx.load(path), full_check=True)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_constant_stands_in_the_file_once(precision: Precision, tmp_path: Path) -> None:
    graph = onnx.load(export(another_encoder(), tmp_path, precision)).graph
    kept = [(i.data_type, tuple(i.dims), onnx.numpy_helper.to_array(i).tobytes()) for i in graph.initializer]
    assert len(set(kept)) == len(kept) > 10


@pytest.mark.parametrize(("precision", "domain"), [("fp32", set()), ("fp16", set()), ("int8", {"Gelu"})])
def test_a_gelu_is_one_operator_where_the_file_is_for_onnx_runtime_alone(
    precision: Precision, domain: set[str], tmp_path: Path
) -> None:
    graph = Graph((Unary("gelu", INPUT, "y"),), ("y",))
    path = export(graph, tmp_path, precision)
    assert {node.op_type for node in onnx.load(path).graph.node if node.domain} == domain
    np.testing.assert_allclose(FORMAT.run(path, WINDOWS)["y"], reference.run(graph, WINDOWS)["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("inputs", [512, 150, 100, 33, 7])
def test_blocks_restore_a_matrix_to_half_a_scale(inputs: int) -> None:
    weight = made(6, inputs)
    for bits in (8, 4):
        blocks = pack(weight, cast(Any, bits))
        codes = blocks.codes
        if bits == 4:
            codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(*codes.shape[:2], -1)
        scales = blocks.scales.reshape(*codes.shape[:2], 1)
        restored = (codes.astype(np.float32) - 2 ** (bits - 1)) * scales
        error = np.abs(restored.reshape(6, -1)[:, :inputs] - weight)
        assert (error <= np.repeat(scales[..., 0], blocks.size, axis=1)[:, :inputs] * 0.5001).all()
        assert codes.shape[1] * codes.shape[2] <= max(inputs * 9 / 8, -(-inputs // 32) * 32)


def test_a_row_of_zeros_stays_zero() -> None:
    blocks = pack(np.zeros((2, 64), np.float32), 8)
    assert (blocks.codes == 128).all()
    assert np.isfinite(blocks.scales).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_kind_of_step_that_is_not_known_is_said(precision: Precision) -> None:
    unknown = SimpleNamespace(
        steps=(SimpleNamespace(x=INPUT, out=EMBEDDING),),
        outputs=(),
        shapes={INPUT: (6, 250), EMBEDDING: (512,)},
    )
    with pytest.raises(LoweringError, match="SimpleNamespace"):
        lower(cast(Graph, unknown), precision, WINDOWS)
