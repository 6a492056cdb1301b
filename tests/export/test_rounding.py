"""Rounding a matrix to small integers, and what calibration knows of its inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from primus_export.calibration import Seen
from primus_export.rounding import Bits, Matrix, Rounded, round_matrix
from primus_models import reference
from primus_models.graph import GRU, Array, Graph

MakeEncoder = Callable[..., Graph]
RNG = np.random.default_rng(8)
WEIGHT = (RNG.normal(0, 1, (40, 100)) * np.exp(RNG.uniform(-3, 3, (40, 1)))).astype(np.float32)
INPUTS: Matrix = RNG.normal(0, 1, (400, 12)) @ RNG.normal(0, 1, (12, 100)) + RNG.normal(0, 0.1, (400, 100))


def restored(rounded: Rounded, block: int | None = None) -> Matrix:
    columns = rounded.codes.shape[1]
    return rounded.codes * np.repeat(rounded.scales.astype(np.float64), block or columns, axis=1)[:, :columns]


def worst_output_error(weight: Array, rounded: Rounded, block: int | None = None) -> float:
    """Of any row, relative to what the row gives."""
    wrong = INPUTS @ (restored(rounded, block) - weight).T
    return float((np.square(wrong).mean(axis=0) / np.square(INPUTS @ weight.T).mean(axis=0)).max() ** 0.5)


@pytest.mark.parametrize("block", [None, 32, 7])
@pytest.mark.parametrize("bits", [4, 8])
def test_each_weight_is_within_half_a_step_whatever_its_rows_size(bits: Bits, block: int | None) -> None:
    rounded = round_matrix(WEIGHT, bits, block=block)
    top = {4: 7, 8: 127}[bits]
    assert rounded.codes.dtype == np.int8
    assert np.abs(rounded.codes).max() == top
    assert rounded.scales.shape == (40, 1 if block is None else -(-100 // block))
    steps = np.repeat(rounded.scales, block or 100, axis=1)[:, :100]
    assert (np.abs(restored(rounded, block) - WEIGHT) <= 0.5001 * steps).all()


@pytest.mark.parametrize("block", [None, 32, 7])
@pytest.mark.parametrize("bits", [4, 8])
def test_knowing_the_inputs_makes_the_products_several_times_nearer(bits: Bits, block: int | None) -> None:
    blind = worst_output_error(WEIGHT, round_matrix(WEIGHT, bits, block=block), block)
    knowing = round_matrix(WEIGHT, bits, INPUTS, block)
    assert worst_output_error(WEIGHT, knowing, block) < blind / 3
    assert np.abs(knowing.codes).max() <= {4: 7, 8: 127}[bits]


def test_rows_of_zeros_and_inputs_that_never_move_give_numbers() -> None:
    weight = WEIGHT.copy()
    weight[3] = 0
    rounded = round_matrix(weight, 4, np.zeros((5, 100)), 32)
    assert not rounded.codes[3].any()
    assert (rounded.scales > 0).all()
    np.testing.assert_array_equal(rounded.codes, round_matrix(weight, 4, block=32).codes)


@pytest.mark.parametrize("block", [None, 32, 7])
@pytest.mark.parametrize("bits", [4, 8])
def test_weights_that_are_few_whole_numbers_times_a_rows_scale_stay_what_they_are(
    bits: Bits, block: int | None
) -> None:
    codes = RNG.integers(-7, 8, WEIGHT.shape)
    codes[5, 32:64] = 0
    weight = (codes * np.abs(WEIGHT[:, :1])).astype(np.float32)
    rounded = round_matrix(weight, bits, INPUTS, block)
    np.testing.assert_allclose(restored(rounded, block), weight, rtol=1e-6, atol=0)


def test_the_same_matrix_and_inputs_round_the_same() -> None:
    first, second = round_matrix(WEIGHT, 4, INPUTS), round_matrix(WEIGHT.copy(), 4, INPUTS.copy())
    np.testing.assert_array_equal(first.codes, second.codes)
    np.testing.assert_array_equal(first.scales, second.scales)


def test_calibration_gives_the_states_that_recurrent_weights_meet(
    make_encoder: MakeEncoder, proving_windows: Array
) -> None:
    graph = make_encoder()
    step = next(step for step in graph.steps if isinstance(step, GRU))
    windows = proving_windows[:16]
    seen = Seen(graph, windows)
    values = reference.run_all(graph, windows)
    np.testing.assert_array_equal(seen.rows(step.x), values[step.x].reshape(-1, step.weight_ih.shape[1]))
    states = seen.states(step).reshape(-1, len(windows), step.hidden)
    assert len(states) == graph.shapes[step.x][0]  # as many as there are products: not the state after the last
    assert not states[0].any()
    np.testing.assert_allclose(states[1], reference.gru_states(step, values[step.x][:, :1])[-1], rtol=0, atol=1e-12)
