"""The quick look at a window lets nothing through that the close one refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus_sdk import WindowError, checks


@given(st.integers(0, 2**32 - 1), st.floats(0, 70), st.floats(0, 45), st.floats(0, 3))
def test_what_is_plain_is_never_refused(seed: int, gravity: float, motion: float, rotation: float) -> None:
    random = np.random.default_rng(seed)
    window = random.normal(0, [[motion]] * 3 + [[rotation]] * 3, (6, 250))
    direction = random.normal(size=3)
    window[:3] += gravity * (direction / np.linalg.norm(direction))[:, None]
    window = window.astype(np.float32)
    if checks._is_plain(window):
        checks._check_values(window[np.newaxis], single=True)
    if checks._are_plain(np.stack([resting(), window])):
        checks._check_values(window[np.newaxis], single=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", range(6))
def test_a_number_that_is_none_is_not_plain(row: int, value: float) -> None:
    window = resting()
    assert checks._is_plain(window)
    window[row, 100] = value
    assert not checks._is_plain(window)
    with pytest.raises(WindowError, match="NaN or infinity"):
        checks.checked_windows(window)
    batch = np.stack([resting(), window])
    assert not checks._are_plain(batch)
    with pytest.raises(WindowError, match="window 1 holds NaN or infinity"):
        checks.checked_windows(batch)


@pytest.mark.parametrize(("gravity", "rotation"), [(2.9, 0.0), (61.0, 0.0), (9.8, 36.0), (0.0, 0.0)])
def test_beyond_a_bound_it_is_not_plain(gravity: float, rotation: float) -> None:
    window = resting()
    window[1], window[3] = gravity, rotation
    assert not checks._is_plain(window)
    with pytest.raises(WindowError):
        checks.checked_windows(window)
    batch = np.stack([resting(), window, resting()])
    assert not checks._are_plain(batch)
    with pytest.raises(WindowError, match="window 1 has"):
        checks.checked_windows(batch)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [(3e38, 3e38), (-3e38, -3e38), (np.inf, -np.inf), (np.nan, np.inf)])
@pytest.mark.parametrize("row", [0, 4])
def test_wild_numbers_are_one_typed_error_and_no_warning(row: int, values: tuple[float, float]) -> None:
    window = resting()
    window[row, ::2], window[row, 1::2] = values
    for windows in (window, np.stack([resting(), window])):
        with pytest.raises(WindowError):
            checks.checked_windows(windows)


def test_a_window_of_another_layout_is_looked_at_closely_and_taken() -> None:
    for window in (np.asfortranarray(resting()), resting().astype(np.float64), resting().tolist()):
        assert not checks._is_plain(window)
        batch, single = checks.checked_windows(window)
        assert single
        assert np.array_equal(batch[0], resting())
    for windows in (np.asfortranarray([resting()] * 3), np.float64([resting()] * 3), [resting()] * 3):
        assert not checks._are_plain(windows)
        batch, single = checks.checked_windows(windows)
        assert not single
        assert np.array_equal(batch, np.stack([resting()] * 3))


def test_a_plain_window_is_given_on_as_it_is() -> None:
    window = resting()
    batch, single = checks.checked_windows(window)
    assert single
    assert batch.shape == (1, 6, 250)
    assert np.array_equal(batch[0], window)
    windows = np.stack([window, window])
    batch, single = checks.checked_windows(windows)
    assert not single
    assert batch is windows


def resting() -> np.ndarray:
    window = np.zeros((6, 250), np.float32)
    window[1] = 9.81
    return window
