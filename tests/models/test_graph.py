"""The graph refuses steps that do not fit, and the NumPy reference computes what each step's docstring says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from primus_models import architectures, reference
from primus_models.errors import GraphError
from primus_models.graph import (
    GRU,
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
    adaptive_pool_matrix,
)  # fmt: skip


def weights(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def value(*steps: Step, windows: Array) -> np.ndarray:
    return reference.run_all(Graph(steps, outputs=(steps[-1].out,)), windows)[steps[-1].out]


@pytest.fixture
def windows() -> Array:
    return weights(3, 6, 250, seed=7)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Unary("relu", "nowhere", "y"), "no earlier step writes"),
        (Unary("relu", "imu", "imu"), "two steps write"),
        (GroupNorm("imu", "y", 4, weights(6), weights(6)), "do not split"),
        (GroupNorm("imu", "y", 2, weights(5), weights(6)), "weight and bias"),
        (Conv1d("imu", "y", weights(4, 5, 3)), "takes 5 channels"),
        (Conv1d("imu", "y", weights(4, 6, 300)), "too few"),
        (MaxPool1d("imu", "y", 251), "cannot pool"),
        (Linear("imu", "y", weights(4, 6)), "takes 6 features"),
        (GRU("imu", "y", weights(6, 3), weights(6, 2), weights(6), weights(6)), "weight_ih"),
        (GRU("imu", "y", weights(6, 250), weights(5, 2), weights(6), weights(6)), "weight_hh"),
        (Binary("add", "imu", weights(5), "y"), "do not broadcast"),
        (Slice("imu", "y", 0, 7), "outside"),
        (Concat(("imu", "nowhere"), "y"), "no earlier step writes"),
        (Reshape("imu", "y", (7, 250)), "not as many numbers"),
        (Reshape("imu", "y", (2, 3, 250)), "3 axes"),
        (Frames("imu", "y", 251, 1), "cannot cut frames"),
        (Frames("imu", "y", 64, 0), "hop of 0"),
    ],
)
def test_a_step_that_does_not_fit_is_named(step: Step, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Graph((step,), outputs=("y",))


def test_an_output_that_nothing_writes_is_named() -> None:
    with pytest.raises(GraphError, match="written by no step"):
        Graph((), outputs=("embedding",))


def test_frames_lie_one_after_the_other_with_their_channels_side_by_side(windows: Array) -> None:
    frames = value(Frames("imu", "y", 64, 50), windows=windows)
    assert frames.shape == (3, 4 * 6, 64)
    for number in range(4):
        expected = windows[:, :, number * 50 : number * 50 + 64]
        np.testing.assert_array_equal(frames[:, number * 6 : number * 6 + 6], expected)


def test_an_axis_that_is_kept_has_size_one(windows: Array) -> None:
    for axis, shape in ((0, (3, 1, 250)), (1, (3, 6, 1))):
        kept, gone = (value(Reduce("sum", "imu", "y", axis=axis, keep=keep), windows=windows) for keep in (True, False))
        assert kept.shape == shape
        np.testing.assert_array_equal(kept.squeeze(axis + 1), gone)
        np.testing.assert_allclose(gone, windows.astype(np.float64).sum(axis=axis + 1))


def test_group_norm_leaves_each_group_with_mean_zero_and_variance_one(windows: Array) -> None:
    y = value(GroupNorm("imu", "y", 2, np.ones(6, np.float32), np.zeros(6, np.float32)), windows=windows * 30 + 5)
    groups = y.reshape(3, 2, -1)
    np.testing.assert_allclose(groups.mean(axis=2), 0, atol=1e-12)
    np.testing.assert_allclose(groups.var(axis=2), 1, atol=1e-6)


@pytest.mark.parametrize(("stride", "dilation", "padding"), [(1, 1, 0), (2, 1, 3), (1, 3, 2), (4, 2, 5)])
def test_convolution_equals_the_sum_written_out(windows: Array, stride: int, dilation: int, padding: int) -> None:
    kernel, bias = weights(4, 6, 5, seed=1), weights(4, seed=2)
    y = value(Conv1d("imu", "y", kernel, bias, stride, dilation, padding), windows=windows)
    padded = np.pad(windows.astype(np.float64), ((0, 0), (0, 0), (padding, padding)))
    for position in range(y.shape[2]):
        taps = padded[:, :, position * stride : position * stride + 4 * dilation + 1 : dilation]
        np.testing.assert_allclose(y[:, :, position], np.einsum("nik,oik->no", taps, kernel) + bias, atol=1e-5)


def test_max_pooling_leaves_out_the_remainder(windows: Array) -> None:
    y = value(MaxPool1d("imu", "y", 3), windows=windows)
    assert y.shape == (3, 6, 83)
    np.testing.assert_array_equal(y[:, :, 82], windows[:, :, 246:249].max(axis=2))


@pytest.mark.parametrize(("length", "size"), [(15, 32), (32, 15), (10, 5), (7, 7), (5, 1)])
def test_adaptive_pooling_averages_whole_bins(length: int, size: int) -> None:
    matrix = adaptive_pool_matrix(length, size)
    np.testing.assert_allclose(matrix.sum(axis=0), 1, atol=1e-6)
    x = np.arange(length, dtype=np.float64)
    for i in range(size):
        bin_ = x[int(np.floor(i * length / size)) : int(np.ceil((i + 1) * length / size))]
        assert (x @ matrix)[i] == pytest.approx(bin_.mean(), rel=1e-6)


def test_the_gru_equals_its_equations_step_by_step() -> None:
    windows = weights(2, 6, 250, seed=3)
    w_ih, w_hh, b_ih, b_hh = (
        weights(12, 250, seed=4) / 16,
        weights(12, 4, seed=5),
        weights(12, seed=6),
        weights(12, seed=7),
    )
    y = value(GRU("imu", "y", w_ih, w_hh, b_ih, b_hh), windows=windows)
    for n in range(2):
        h = np.zeros(4)
        for x in windows[n].astype(np.float64):
            i, s = w_ih @ x + b_ih, w_hh @ h + b_hh
            r, z = 1 / (1 + np.exp(-(i[:4] + s[:4]))), 1 / (1 + np.exp(-(i[4:8] + s[4:8])))
            h = (1 - z) * np.tanh(i[8:] + r * s[8:]) + z * h
        np.testing.assert_allclose(y[n], h, atol=1e-9)


def test_elementwise_steps(windows: Array) -> None:
    x = windows.astype(np.float64)
    positive = np.abs(windows) + 0.1
    for op, expected in {
        "relu": np.maximum(x, 0),
        "gelu": 0.5 * x * (1 + erf(x / np.sqrt(2))),
        "tanh": np.tanh(x),
        "sigmoid": 1 / (1 + np.exp(-x)),
        "square": x * x,
    }.items():
        np.testing.assert_allclose(value(Unary(op, "imu", "y"), windows=windows), expected, atol=1e-12)  # type: ignore[arg-type]
    np.testing.assert_allclose(value(Unary("log", "imu", "y"), windows=positive), np.log(positive.astype(np.float64)))
    np.testing.assert_allclose(value(Unary("sqrt", "imu", "y"), windows=positive), np.sqrt(positive.astype(np.float64)))
    column = weights(6, 1, seed=9)
    for name, function in {
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "maximum": np.maximum,
    }.items():
        np.testing.assert_allclose(
            value(Binary(name, "imu", column, "y"), windows=windows),  # type: ignore[arg-type]
            function(x, column.astype(np.float64)),
        )


def test_steps_that_move_values_about(windows: Array) -> None:
    x = windows.astype(np.float64)
    np.testing.assert_array_equal(value(Transpose("imu", "y"), windows=windows), x.swapaxes(1, 2))
    np.testing.assert_array_equal(value(Slice("imu", "y", 2, 5), windows=windows), x[:, 2:5])
    np.testing.assert_array_equal(value(Slice("imu", "y", 10, 30, axis=1), windows=windows), x[:, :, 10:30])
    np.testing.assert_array_equal(
        value(Concat(("imu", "imu"), "y", axis=1), windows=windows), np.concatenate([x, x], axis=2)
    )
    np.testing.assert_allclose(value(Reduce("mean", "imu", "y"), windows=windows), x.mean(axis=2))
    np.testing.assert_array_equal(value(Reduce("max", "imu", "y", axis=0), windows=windows), x.max(axis=1))
    softmax = value(Reduce("mean", "imu", "m"), Softmax("m", "y"), windows=windows)
    np.testing.assert_allclose(softmax.sum(axis=1), 1)
    pooled = value(AdaptiveAvgPool1d("imu", "y", 1), windows=windows)
    np.testing.assert_allclose(pooled[:, :, 0], x.mean(axis=2), rtol=1e-5, atol=1e-6)


def test_a_head_adds_probabilities_beside_the_embedding(windows: Array) -> None:
    rng = np.random.default_rng(0)
    shapes = architectures.get("primus").SHAPES
    tensors = {name: rng.uniform(-0.05, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
    graph = architectures.get("primus").build(tensors)
    weight, bias = weights(4, 512), weights(4)
    outputs = reference.run(graph.with_head(weight, bias, temperature=2.0), windows)
    logits = (outputs["embedding"] @ weight.T + bias) / 2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
