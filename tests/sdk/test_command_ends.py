"""How commands begin and end: what is looked at before the work, and what is left of it after Ctrl-C or a bad line."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from primus_sdk.commands import _destinations, _live, _progress, _sources, calibrate, stream
from primus_sdk.errors import OutputError

HEADER = "t,ax,ay,az,gx,gy,gz\n"


def rows(seconds: float, scale: float = 1.0, digits: int = 3, seed: int = 0) -> str:
    random = np.random.default_rng(seed)
    lines = []
    for n in range(round(seconds * 50)):
        ax, gx = random.normal(0, 0.2, 2)
        lines.append(f"{n / 50 * scale:.{digits}f},{ax:.3f},9.8,0,{gx:.3f},0,0\n")
    return "".join(lines)


def invoke(command: Any, *arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two people's recordings of two labels, alike: what is recognised is no matter here."""
    root = tmp_path / "people"
    root.mkdir()
    lines = ["file,label,user"]
    for n in range(4):
        (root / f"{n}.csv").write_text(HEADER + rows(8, seed=n))
        lines.append(f"{n}.csv,{'ab'[n % 2]},user {n // 2}")
    (root / "recordings.csv").write_text("\n".join([*lines, ""]))
    return root


def test_a_bad_line_leaves_the_summary_and_the_picture_of_what_came(folder: Path, head: Path, tmp_path: Path) -> None:
    plot = tmp_path / "a.png"
    content = (HEADER + rows(8) + "9,x,0,0,0,0,0\n").encode()
    result = invoke(stream.main, "-", "--bundle", folder, "--head", head, "--plot", plot, stdin=content)
    assert result.exit_code == 1
    assert "stdin: 4 windows: " in result.stdout
    assert f"wrote {plot}" in result.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "line 402" in result.stderr


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_leaves_the_summary_and_the_picture_of_what_came(
    folder: Path, head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "80")
    read = _sources._table.pushes

    def interrupted(*arguments: Any) -> Iterator[Any]:
        yield from read(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(_sources._table, "pushes", interrupted)
    plot, content = tmp_path / "a.png", (HEADER + rows(8)).encode()
    result = invoke(stream.main, "-", "--bundle", folder, "--head", head, "--plot", plot, stdin=content)
    assert result.exit_code == 1
    assert "stdin: 3 windows: " in result.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "Aborted!" in result.stderr


def test_ctrl_c_in_a_trial_leaves_its_figures_and_its_picture(
    folder: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = _live._Timelines.step

    def interrupted(view: Any, new: Any) -> None:
        step(view, new)
        if new.start_s >= 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(_live._Timelines, "step", interrupted)
    plot = tmp_path / "a.png"
    result = invoke(stream.main, "--dataset", "folder", people, "--bundle", folder, "--plot", plot)
    assert result.exit_code == 1
    assert "over 3 windows" in result.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_without_a_window_nothing_is_said_but_why(folder: Path, head: Path) -> None:
    result = invoke(stream.main, "-", "--bundle", folder, "--head", head, stdin=(HEADER + rows(2)).encode())
    assert (result.exit_code, result.stdout) == (1, "")
    assert "100 rows came, over 1.98 s, usually 0.02 s apart" in result.stderr


def test_recordings_without_a_window_are_named_beside_the_others(folder: Path, head: Path, tmp_path: Path) -> None:
    for name, seconds in (("long", 8), ("short", 2)):
        (tmp_path / "data" / "upright").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "upright" / f"{name}.csv").write_text(HEADER + rows(seconds))
    result = invoke(stream.main, "--dataset", "folder", tmp_path / "data", "--bundle", folder, "--head", head)
    assert result.exit_code == 0, result.output
    assert "no window in upright/short.csv" in result.stderr
    assert " 0 windows" not in result.stdout


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(("scale", "step"), [(1e3, "20 s"), (1e6, "2e+04 s")])
def test_times_in_another_unit_are_doubted(
    folder: Path, head: Path, tmp_path: Path, live: bool, scale: float, step: str
) -> None:
    content = HEADER + rows(20, scale, 0)
    (tmp_path / "a.csv").write_text(content)
    source, stdin = ("-", content.encode()) if live else (tmp_path / "a.csv", None)
    result = invoke(stream.main, source, "--bundle", folder, "--head", head, stdin=stdin)
    assert result.exit_code == 1
    assert "1000 rows came" in result.stderr
    assert f"usually {step} apart" in result.stderr
    assert "is --time-unit right?" in result.stderr


@pytest.mark.parametrize("live", [False, True])
def test_nanoseconds_read_as_seconds_are_doubted(folder: Path, head: Path, tmp_path: Path, live: bool) -> None:
    content = HEADER + "".join(f"{17 * 10**17 + n * 20_000_000},0,9.8,0,0,0,0\n" for n in range(300))
    (tmp_path / "a.csv").write_text(content)
    source, stdin = ("-", content.encode()) if live else (tmp_path / "a.csv", None)
    result = invoke(stream.main, source, "--bundle", folder, "--head", head, stdin=stdin)
    assert result.exit_code == 1
    assert "line 2: the time 1700000000000000000 s lies outside" in result.stderr
    assert "--time-unit" in result.stderr


@pytest.mark.parametrize("live", [False, True])
def test_a_last_row_that_is_cut_short_costs_itself(folder: Path, head: Path, tmp_path: Path, live: bool) -> None:
    content = HEADER + rows(8) + "8.0,0.1,9."
    (tmp_path / "a.csv").write_text(content)
    source, stdin = ("-", content.encode()) if live else (tmp_path / "a.csv", None)
    result = invoke(stream.main, source, "--bundle", folder, "--head", head, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 4
    assert result.stderr == f"{'stdin' if live else source}: the last row left out: it is cut short\n"


@pytest.mark.parametrize(
    ("command", "option"),
    [("trial", "--plot"), ("trial", "--save-head"), ("stream", "--plot"), ("evaluate", "--plot"), ("fit", "--store")],
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    folder: Path, head: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, option: str
) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr(stream, "load", work)
    monkeypatch.setattr(calibrate, "load", work)
    (tmp_path / "file").write_text("no folder")
    arguments = {
        "trial": [stream.main, "--dataset", "folder", people],
        "stream": [stream.main, people / "0.csv", "--head", head],
        "evaluate": [calibrate.main, "evaluate", people, "--head", head],
        "fit": [calibrate.main, "fit", people],
    }[command]
    name = "x.png" if option == "--plot" else "x"
    places = [tmp_path / "file" / name] + ([] if option == "--store" else [tmp_path / "absent" / name])
    for place in places:
        result = invoke(*arguments, "--bundle", folder, option, place)
        assert result.exit_code == 1, result.output
        assert str(place) in result.stderr
        assert "choose a folder that can be written" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_may_not_be_written_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _destinations.check_file(tmp_path / "a.png")
    _destinations.check_store(tmp_path / "a" / "b")
    monkeypatch.setattr(os, "access", lambda *_: False)
    for check in (lambda: _destinations.check_file(tmp_path / "a"), lambda: _destinations.check_store(tmp_path / "b")):
        with pytest.raises(OutputError, match="cannot be written in"):
            check()
    assert not (tmp_path / "a").exists()


def test_long_work_says_what_it_is_and_short_work_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(_progress.tracked(range(3), "short work", quiet=False)) == [0, 1, 2]
    said = threading.Event()
    lines: list[object] = []

    def echo(text: object, *, err: bool) -> None:
        assert err
        lines.append(text)
        said.set()

    monkeypatch.setattr(_progress, "_SOON_S", 0.0)
    monkeypatch.setattr(_progress, "echo", echo)
    with _progress.phase("long work", quiet=False):
        assert said.wait(60)
    with _progress.phase("quiet work", quiet=True):
        pass
    assert lines == ["long work ..."]
    assert capsys.readouterr() == ("", "")


def test_in_a_terminal_long_work_moves(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_progress.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(_progress.tracked(iter("abc"), "reading", quiet=False)) == ["a", "b", "c"]
    with _progress.phase("cross-validating", quiet=False):
        pass
    text = capsys.readouterr().err
    assert "reading" in text
    assert "cross-validating" in text
