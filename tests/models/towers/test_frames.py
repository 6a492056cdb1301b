"""Frames of windows: the right moments, windows without video, damaged files, and files that name other ones."""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from primus_models.errors import DataSetError, TowerError
from primus_models.towers.frames import window_frames

needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="pip install 'primus-imu[prepare]'")


def levels(frames: NDArray[np.uint8] | None) -> list[int]:
    assert frames is not None
    return [round(float(frame.mean()) / 25) for frame in frames]


@needs_av
def test_ten_frames_are_spread_evenly_over_each_window(grey_video: Path) -> None:
    starts = np.array([0.0, 2.0, 13.0, 4.0])
    found = window_frames(grey_video, starts)
    for start, frames in zip(starts, found, strict=True):
        moments = start + 0.25 + 0.5 * np.arange(10)
        assert frames is not None
        assert frames.shape == (10, 64, 96, 3)
        assert levels(frames) == [int(moment) % 10 for moment in moments]


@needs_av
def test_frames_do_not_depend_on_the_windows_beside_them(grey_video: Path) -> None:
    starts = np.array([0.0, 1.5, 14.5])
    together = window_frames(grey_video, starts)
    for start, frames in zip(starts, together, strict=True):
        (alone,) = window_frames(grey_video, np.array([start]))
        np.testing.assert_array_equal(frames, alone)


@needs_av
def test_a_window_that_the_video_begins_or_ends_in_has_what_is_there_and_one_outside_nothing(grey_video: Path) -> None:
    before, early, late, after = window_frames(grey_video, np.array([-6.0, -2.0, 18.0, 20.5]))
    assert before is None
    assert after is None
    assert levels(early) == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]
    assert levels(late) == [8, 8, 9, 9, 9, 9, 9, 9, 9, 9]


@needs_av
def test_frames_are_scaled_down_and_keep_their_shape_but_are_not_blown_up(grey_video: Path) -> None:
    for side, shape in ((32, (10, 32, 48, 3)), (100, (10, 64, 96, 3))):
        (frames,) = window_frames(grey_video, np.array([0.0]), side)
        assert frames is not None
        assert frames.shape == shape


@needs_av
def test_a_damaged_or_missing_video_is_named(grey_video: Path, tmp_path: Path) -> None:
    whole = grey_video.read_bytes()
    for name, content in {"cut.mp4": whole[: len(whole) // 2], "none.mp4": b"", "text.mp4": b"hello " * 99}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataSetError, match=name):
            window_frames(tmp_path / name, np.array([0.0]))
    with pytest.raises(DataSetError, match="there is no video"):
        window_frames(tmp_path / "absent.mp4", np.array([0.0]))


@needs_av
def test_a_video_that_is_a_list_of_addresses_is_not_followed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        listed = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXT-X-ENDLIST\n"
        for name in ("list.m3u8", "list.mp4"):
            (tmp_path / name).write_text(listed)
            with pytest.raises(DataSetError, match=name):
                window_frames(tmp_path / name, np.array([0.0]))
        with pytest.raises(TimeoutError):
            server.accept()


def test_without_pyav_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(TowerError, match=r"primus-imu\[prepare\]"):
        window_frames(tmp_path / "a.mp4", np.array([0.0]))
