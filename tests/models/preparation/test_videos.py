"""Videos of takes: embedded once; windows without are counted, what is damaged is named and tried again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_data_set import FakeDataSet, FakeTower, OpenFake, contents
from small_clip import write_video

from primus_models.preparation.prepared import load
from primus_models.preparation.preparing import prepare
from primus_models.towers.base import Towers
from primus_models.towers.frames import window_frames

pytest.importorskip("av", reason="pip install 'primus-imu[prepare]'")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Of take5, whose 40 windows begin at -1, 0, ... s, a video of 20 s; of take2 a damaged one."""
    (tmp_path / "videos").mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (200, 32, 48, 3), np.uint8)
    write_video(tmp_path / "videos" / "take5.mp4", frames)
    (tmp_path / "videos" / "take2.mp4").write_bytes(b"no video")
    return tmp_path / "videos"


def embedded(log: Path) -> int:
    return sum(map(int, log.read_text().split())) if log.exists() else 0


def test_each_window_has_the_embedding_of_its_frames_or_none(videos: Path, tmp_path: Path) -> None:
    data_set = FakeDataSet(videos=str(videos))
    summary = prepare(data_set, tmp_path / "out", Towers((), (OpenFake(),)))
    prepared = load(tmp_path / "out")
    video = prepared.tower("fake-tower").video
    assert video is not None
    rows = np.flatnonzero(prepared.recording == [take.name for take in prepared.recordings].index("take5"))
    frames = window_frames(videos / "take5.mp4", np.arange(-1.0, 39), 32)
    assert [frame is not None for frame in frames] == [True] * 21 + [False] * 19
    expected = FakeTower().embed(np.stack([frame for frame in frames if frame is not None]))
    np.testing.assert_array_equal(video[rows[:21]], expected)
    others = np.delete(np.arange(len(prepared)), rows[:21])
    assert np.isnan(video[others]).all()
    assert summary.towers == {"fake-tower": {"captions": 0, "windows": 21}}
    assert "take2.mp4 is damaged" in summary.left_out["take2 video"]


def test_a_mended_video_is_embedded_by_the_same_command_and_nothing_else_is_read(videos: Path, tmp_path: Path) -> None:
    reads = tmp_path / "reads"
    data_set, towers = FakeDataSet(videos=str(videos), log=str(reads)), Towers((), (OpenFake(),))
    prepare(data_set, tmp_path / "out", towers)
    before = reads.read_text()
    (videos / "take2.mp4").write_bytes((videos / "take5.mp4").read_bytes())
    summary = prepare(data_set, tmp_path / "out", towers)
    assert reads.read_text() == before
    assert summary.towers["fake-tower"]["windows"] == 21 + 19
    assert "take2 video" not in summary.left_out
    prepare(data_set, tmp_path / "whole", towers)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_stopped_embedding_goes_on_with_the_blocks_that_are_missing(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from primus_models.preparation import embedding

    data_set, log = FakeDataSet(videos=str(videos)), tmp_path / "log"
    towers = Towers((), (OpenFake(log=str(log)),))
    monkeypatch.setattr(embedding, "WINDOWS", 8)
    monkeypatch.setattr("primus_models.preparation.tower_work.WINDOWS", 8)
    with monkeypatch.context() as patched:
        real = embedding.write_atomically

        def stop(path: Path, content: bytes) -> None:
            if embedded(log) > 8:
                raise KeyboardInterrupt
            real(path, content)

        patched.setattr(embedding, "write_atomically", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(data_set, tmp_path / "out", towers)
    assert load(tmp_path / "out").towers == {}
    prepare(data_set, tmp_path / "out", towers)
    assert embedded(log) == 21 + 8  # the block that was at work was made again, the one before it was not
    prepare(data_set, tmp_path / "whole", Towers((), (OpenFake(),)))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
