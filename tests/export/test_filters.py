"""Convolutions in int4: stored in 8 bits where these hold them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from primus_export import formats
from primus_export.calibration import Seen
from primus_export.formats.base import PRECISIONS, Options
from primus_export.formats.filters import LARGEST_ERROR, int4_filters
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.graph import INPUT, Array, Conv1d, Graph

WINDOWS = made_windows(24)
RNG = np.random.default_rng(3)


def convolution(weight: Array, **settings: int) -> tuple[Conv1d, Seen]:
    step = Conv1d(INPUT, "y", weight.astype(np.float32), None, **settings)
    return step, Seen(Graph((step,), ("y",)), WINDOWS)


@pytest.mark.parametrize("settings", [{}, {"stride": 3, "padding": 5}, {"dilation": 4}])
def test_what_filters_meet_is_what_they_are_multiplied_with(settings: dict[str, int]) -> None:
    step, seen = convolution(RNG.normal(size=(5, 6, 7)), **settings)
    products = seen.patches(step) @ step.weight.reshape(5, -1).T.astype(np.float64)
    expected = reference.run_all(Graph((step,), ("y",)), WINDOWS)["y"].transpose(0, 2, 1).reshape(-1, 5)
    np.testing.assert_allclose(products, expected, rtol=1e-9, atol=1e-9)


def test_large_filters_are_stored_in_8_bits_in_int4_alone() -> None:
    step, seen = convolution(RNG.normal(size=(64, 6, 25)))
    found = {precision: int4_filters(precision, step, seen) is not None for precision in PRECISIONS}
    assert found == {"fp32": False, "fp16": False, "int8": False, "int4": True}
    rounded = int4_filters("int4", step, seen)
    assert rounded is not None
    assert rounded.codes.shape == step.weight.shape
    restored = rounded.codes * rounded.scales[:, :, None]
    inputs = seen.patches(step)
    error = inputs @ (restored - step.weight).reshape(64, -1).T
    assert np.sqrt(np.mean(error**2)) <= LARGEST_ERROR * np.std(inputs @ step.weight.reshape(64, -1).T)


def test_small_filters_stay() -> None:
    step, seen = convolution(RNG.normal(size=(32, 6, 25)))
    assert int4_filters("int4", step, seen) is None


def test_filters_that_8_bits_do_not_hold_stay() -> None:
    """They look at small differences of large numbers: no input is steady, and their weights cancel out."""
    weight = RNG.normal(size=(64, 6, 25))
    weight[:, 1] += 300 * (RNG.permutation(np.arange(25) - 12.0) / 12)  # gravity is on this axis, and hardly moves
    weight[:, 1] -= weight[:, 1].mean(axis=1, keepdims=True)
    step, _ = convolution(weight)
    steady = np.broadcast_to(WINDOWS.mean(axis=2, keepdims=True), WINDOWS.shape)
    flat = Seen(Graph((step,), ("y",)), steady + 1e-4 * WINDOWS)
    assert int4_filters("int4", step, flat) is None


@pytest.mark.parametrize("name", ["onnx", "tflite", "coreml"])
def test_int4_is_smaller_by_three_quarters_of_them_and_near(name: str, written: Callable[..., object]) -> None:
    step, _ = convolution(RNG.normal(size=(64, 6, 125), scale=0.05))
    graph = Graph((step,), ("y",))
    sizes, form = {}, formats.get(name)
    for precision in ("fp32", "int4"):
        path = written(name, graph, Options(precision, WINDOWS))
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]  # type: ignore[attr-defined]
        sizes[precision] = sum(file.stat().st_size for file in files)
        difference = form.run(path, WINDOWS)["y"] - reference.run(graph, WINDOWS)["y"]  # type: ignore[arg-type]
        assert np.abs(difference).max() <= {"fp32": 1e-3, "int4": 0.2}[precision]
    assert sizes["fp32"] - sizes["int4"] > 0.7 * 4 * step.weight.size
