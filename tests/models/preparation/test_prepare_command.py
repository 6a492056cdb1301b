"""`primus-prepare`: its summary for people and for programs, and errors of one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fake_data_set import FakeDataSet

from primus_models.commands.prepare import main
from primus_models.errors import DataSetError
from primus_models.preparation import sources
from primus_models.preparation.prepared import load


@pytest.fixture(autouse=True)
def door(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A stand-in for the door to the data sets; what was asked of it."""
    asked: dict[str, Any] = {}

    def open_data_set(name: str, path: Path | None = None, **options: Any) -> FakeDataSet:
        asked.update(options, name=name, path=path)
        if name != "fake":
            raise DataSetError(f"there is no data set {name!r}; there are fake")
        return FakeDataSet(takes_wanted=5, damaged=("take2",) if options.get("broken") else ())

    monkeypatch.setattr(sources, "open_data_set", open_data_set, raising=False)
    known = {"hop_s": "float", "position": "str", "broken": "bool"}
    monkeypatch.setattr(sources, "options_of", lambda _name: known, raising=False)
    return asked


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def refused(result: Result, *words: str) -> None:
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.output


def test_the_summary_says_what_there_is_and_what_was_left_out(tmp_path: Path, door: dict[str, Any]) -> None:
    result = run("fake", "data", "-o", tmp_path / "out", "--hop", "2", "--body-position", "head")
    assert result.exit_code == 0, result.output
    assert (door["hop_s"], door["position"], door["path"]) == (2, "head", Path("data").absolute())
    prepared = load(tmp_path / "out")
    lines = result.stdout.splitlines()
    assert lines[:2] == ["left out: take1 10 s: a gap", "left out: take3: it gives no window"]
    assert lines[2] == "5 takes read; 1 gave no window"
    assert lines[3].startswith(
        f"{len(prepared)} windows of 3 people, {len(prepared.captions)} captions, 3 labels, 2 left"
    )
    assert lines[3].endswith(str(tmp_path / "out"))
    assert len(lines) == 4


def test_failed_takes_are_told_and_what_to_do(tmp_path: Path) -> None:
    result = run("fake", "data", "-o", tmp_path / "out", "--set", "broken=true")
    assert result.exit_code == 0, result.output
    assert "take2 could not be read: take2.vrs is cut short" in result.stderr
    assert "1 takes could not be read: the same command tries them again" in result.stdout


def test_json_is_all_of_stdout(tmp_path: Path) -> None:
    result = run("fake", "data", "-o", tmp_path / "out", "--set", "broken=true", "--json")
    summary = json.loads(result.stdout)
    assert (summary["read"], summary["failed"]) == (4, {"take2": "take2.vrs is cut short"})
    assert summary["windows"] == len(load(tmp_path / "out"))
    assert summary["folder"] == str(tmp_path / "out")


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    refused(run("face", "data", "-o", tmp_path / "out"), "there is no data set 'face'")
    refused(run("fake", "data", "-o", tmp_path / "out", "--text-tower", "clap:x"), "names no tower", "clip:")
    refused(run("fake", "data", "-o", tmp_path / "out", "--set", "x"), "no NAME=VALUE")
    refused(run("fake", "data", "-o", tmp_path / "out", "--hop", "0"), "--hop")
    (tmp_path / "file").write_text("")
    refused(run("fake", "data", "-o", tmp_path / "file" / "out"), "cannot write")
    assert run("fake", "data", "-o", tmp_path / "out", "--hop", "1").exit_code == 0
    refused(run("fake", "data", "-o", tmp_path / "out", "--hop", "2"), "another folder")


def test_help_has_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "primus-prepare ego-exo4d /data/egoexo -o egoexo" in result.output
