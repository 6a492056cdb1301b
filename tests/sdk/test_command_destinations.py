"""What a plot and a saved head may be written over, said before any work."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save

from primus_sdk.commands import _picture, calibrate, stream
from primus_sdk.commands._destinations import check_file, check_head, check_plot
from primus_sdk.errors import OutputError
from primus_sdk.heads.head import Head
from primus_sdk.heads.store import HeadStore

PNG = b"\x89PNG\r\n\x1a\n and more"
HEADER = "t,ax,ay,az,gx,gy,gz\n"
CHECKPOINT = save({"x": np.zeros(3, np.float32)}, {"format": "primus-checkpoint"})


def invoke(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def refused(result: Result, *words: str) -> None:
    """The command said one line, with these words, and nothing else."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert len(result.stderr.splitlines()) == 1, result.output
    for word in words:
        assert word in result.stderr


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    random, path = np.random.default_rng(0), tmp_path / "a.csv"
    rows = [f"{n / 50:.2f},{x:.3f},9.8,0,{x:.3f},0,0\n" for n, x in enumerate(random.normal(0, 0.2, 400))]
    path.write_text(HEADER + "".join(rows))
    return path


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr(stream, "load", work)
    monkeypatch.setattr(calibrate, "load", work)


def commands(recording: Path, head: Path) -> dict[str, list[Any]]:
    return {
        "stream": [stream.main, recording, "--head", head],
        "trial": [stream.main, "--dataset", "folder", recording.parent],
        "evaluate": [calibrate.main, "evaluate", recording.parent, "--head", head],
    }


@pytest.mark.parametrize("command", ["stream", "trial", "evaluate"])
@pytest.mark.parametrize("content", [b"t,ax,ay,az\n0,1,2,3\n", b"\x89PN", CHECKPOINT])
def test_a_plot_replaces_no_file_that_is_no_png(
    recording: Path, head: Path, no_work: None, command: str, content: bytes
) -> None:
    plot = recording.with_suffix(".png")
    plot.write_bytes(content)
    refused(invoke(*commands(recording, head)[command], "--plot", plot), str(plot), "no PNG", "another name")
    assert plot.read_bytes() == content


@pytest.mark.parametrize("command", ["stream", "trial", "evaluate"])
@pytest.mark.parametrize("name", ["a.csv", "x.jpg", "x", "", "-", "png", ".png"])
def test_a_plot_is_a_png_by_name_too(
    recording: Path, head: Path, no_work: None, command: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recording.parent)
    before = recording.read_bytes()
    refused(invoke(*commands(recording, head)[command], "--plot", name), "ends in .png")
    assert recording.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
@pytest.mark.parametrize(
    ("command", "option"), [("stream", "--plot"), ("evaluate", "--plot"), ("trial", "--save-head")]
)
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_refused_before_the_work_and_not_waited_for(
    recording: Path, head: Path, no_work: None, command: str, option: str, linked: bool
) -> None:
    pipe = place = recording.parent / "pipe.png"
    os.mkfifo(pipe)
    if linked:
        place = recording.parent / "link.png"
        place.symlink_to(pipe)
    refused(invoke(*commands(recording, head)[command], option, place), str(place), "give the name of a file")


@pytest.mark.parametrize("content", [None, b"", PNG])
@pytest.mark.parametrize("linked", [False, True])
def test_a_plot_replaces_a_picture_or_an_empty_file_through_a_link_as_well(
    folder: Path, recording: Path, head: Path, content: bytes | None, linked: bool
) -> None:
    plot = place = recording.with_name("a.PNG")
    if content is not None:
        plot.write_bytes(content)
    if linked:
        place = recording.with_name("link.png")
        place.symlink_to(plot)
    result = invoke(stream.main, recording, "--head", head, "--bundle", folder, "--plot", place)
    assert result.exit_code == 0, result.output
    assert plot.read_bytes().startswith(PNG[:8])
    assert len(plot.read_bytes()) > 1000
    assert place.is_symlink() == linked


def test_what_came_to_stand_there_during_the_work_is_not_replaced(tmp_path: Path) -> None:
    plot = tmp_path / "a.png"
    check_plot(plot)
    with pytest.raises(OutputError, match="no PNG"), _picture.drawing(plot, 1, 1):
        plot.write_bytes(b"a recording")
    assert plot.read_bytes() == b"a recording"


@pytest.mark.parametrize(
    "content",
    [
        HEADER.encode() * 9,
        PNG,
        b"{" * 20,
        CHECKPOINT,
        save({"x": np.zeros(3)}),
        (2).to_bytes(8, "little") + b"[]",
        (1 << 60).to_bytes(8, "little") + b"{}",
    ],
)
def test_a_saved_head_replaces_no_file_that_is_none(recording: Path, head: Path, no_work: None, content: bytes) -> None:
    place = recording.with_name("place")
    place.write_bytes(content)
    refused(invoke(*commands(recording, head)["trial"], "--save-head", place), str(place), "no head", "another name")
    assert place.read_bytes() == content


def test_a_saved_head_replaces_a_head_a_damaged_one_and_an_empty_file(tmp_path: Path, head: Path) -> None:
    empty, damaged = tmp_path / "empty", tmp_path / "damaged"
    empty.write_bytes(b"")
    damaged.write_bytes(head.read_bytes()[:100])
    for place in (None, head, empty, damaged, tmp_path / "absent"):
        check_head(place)


def test_a_folder_beyond_a_link_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to("absent/a.png")
    with pytest.raises(OutputError, match="there is no folder"):
        check_file(tmp_path / "link.png")


def test_a_store_whose_index_is_a_link_goes_on(tmp_path: Path, head: Path) -> None:
    store = HeadStore(tmp_path / "heads")
    store.save(Head.load(head))
    index, kept = tmp_path / "heads" / "index.json", tmp_path / "index.json"
    index.rename(kept)
    index.symlink_to(kept)
    assert store.save(Head.load(head)) == 2
    assert index.is_symlink()
    assert [version.current for version in store.history()] == [False, True]


@pytest.mark.parametrize("command", ["stream", "evaluate", "show", "fit"])
def test_an_encoders_checkpoint_in_place_of_a_head_is_called_one(
    folder: Path, recording: Path, tmp_path: Path, command: str
) -> None:
    checkpoint = tmp_path / "mine.safetensors"
    checkpoint.write_bytes(CHECKPOINT)
    arguments: dict[str, list[Any]] = {
        "stream": [stream.main, recording, "--bundle", folder, "--head"],
        "evaluate": [calibrate.main, "evaluate", tmp_path, "--bundle", folder, "--head"],
        "show": [calibrate.main, "show"],
        "fit": [calibrate.main, "fit", tmp_path, "--store", tmp_path / "heads", "--bundle", folder, "--prior"],
    }
    refused(invoke(*arguments[command], checkpoint), str(checkpoint), "an encoder's checkpoint, no head", "--bundle")
    checkpoint.write_bytes(save({"x": np.zeros(3)}))
    other = invoke(*arguments[command], checkpoint)
    refused(other, str(checkpoint))
    assert "checkpoint" not in other.stderr.replace(str(checkpoint), "")
