"""The made windows are what a sensor could give; calibration files that are not windows are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from primus_export.errors import ExportError
from primus_export.windows import made_windows, read_windows


def test_a_seed_always_gives_the_same_windows_and_a_longer_set_begins_with_the_shorter() -> None:
    np.testing.assert_array_equal(made_windows(12, seed=3), made_windows(12, seed=3))
    np.testing.assert_array_equal(made_windows(12)[:5], made_windows(5))
    assert not np.array_equal(made_windows(5), made_windows(5, seed=1))


def test_made_windows_hold_gravity_in_every_direction() -> None:
    windows = made_windows(100)
    assert windows.shape == (100, 6, 250)
    assert windows.dtype == np.float32
    rest = windows[::5]
    np.testing.assert_allclose(np.linalg.norm(rest[:, :3], axis=1).mean(axis=1), 9.81, atol=0.05)
    down = rest[:, :3].mean(axis=2)
    assert (down.max(axis=0) > 4).all()
    assert (down.min(axis=0) < -4).all()


def test_gravity_turns_with_the_head() -> None:
    turning = made_windows(100)[2::5].astype(np.float64)
    size = np.linalg.norm(turning[:, :3], axis=1)
    np.testing.assert_allclose(size.mean(axis=1), 9.81, atol=0.05)
    assert turning[:, :3].std(axis=2).max() > 1


def test_calibration_windows_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", made_windows(4).astype(np.float64))
    np.testing.assert_array_equal(read_windows(tmp_path / "w.npy"), made_windows(4))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 250, 6)), r"\(4, 250, 6\)"),
        (np.zeros((0, 6, 250)), r"\(0, 6, 250\)"),
        (np.full((2, 6, 250), np.nan), "not finite"),
        (made_windows(4) / 9.81, "expected about 9.8"),
        (np.zeros((2, 6, 250), dtype="U1"), "expected finite numbers"),
    ],
)
def test_what_is_not_windows_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "w.npy", array)
    with pytest.raises(ExportError, match=message):
        read_windows(tmp_path / "w.npy")


def test_objects_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "whole.npy", made_windows(2))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:5000])
    (tmp_path / "text.npy").write_text("no array")
    np.savez(tmp_path / "archive.npz", made_windows(2))
    for name in ("objects.npy", "cut.npy", "text.npy", "archive.npz", "nowhere.npy"):
        with pytest.raises(ExportError):
            read_windows(tmp_path / name)
