"""What a user calls things, in what the commands print: shown as it is, in any terminal and any encoding."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from primus_sdk.commands import calibrate, stream
from primus_sdk.heads.head import Head

STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
NASTY = ["a[/bold]b", "c[red]d", ":smile:", "$x^{$", "e\x1b[2Jf\x07", "läuft 走る"]


def invoke(command: object, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])  # type: ignore[arg-type]


def write(path: Path, seed: int = 0, seconds: float = 12) -> Path:
    """A recording of someone who holds still in a pose of the seed's own."""
    random = np.random.default_rng(seed)
    count = round(seconds * 100)
    gravity = random.normal(size=3)
    acceleration = random.normal(0, 0.2, (count, 3)) + 9.8 * gravity / np.linalg.norm(gravity)
    rows = np.hstack([np.arange(count)[:, np.newaxis] / 100, acceleration, random.normal(0, 0.1, (count, 3))])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, "%.6f", ",", header="t,ax,ay,az,gx,gy,gz", comments="")
    return path


def head_of(labels: list[str], encoder: str, path: Path) -> Path:
    weight = np.random.default_rng(0).normal(0, 0.1, (len(labels), 512)).astype(np.float32)
    Head(tuple(labels), weight, np.zeros(len(labels), np.float32), encoder).save(path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people's recordings of the labels above."""
    root = tmp_path_factory.mktemp("nasty")
    lines = ["file,label,user"]
    for place, label in enumerate(NASTY):
        for user in ("ann[/]", "bob[bold]"):
            lines.append(f"{write(root / f'{place}-{len(lines)}.csv', place).name},{label},{user}")
    (root / "recordings.csv").write_text("\n".join([*lines, ""]), "utf-8")
    return root


@pytest.fixture(params=[False, True], ids=["pipe", "terminal"])
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param:
        monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any output for a terminal
        monkeypatch.setenv("COLUMNS", "100")
    return bool(request.param)


def shows(text: str) -> None:
    for label in NASTY:
        assert label.replace("\x1b", "\\x1b").replace("\x07", "\\x07") in text, label
    assert "\x1b[2J" not in text
    assert "\x07" not in text


def test_a_trial_shows_labels_and_names_as_they_are(folder: Path, data: Path, terminal: bool) -> None:
    result = invoke(stream.main, "--dataset", "folder", data, "--bundle", folder)
    assert result.exit_code == 0, result.output
    text = result.stdout
    shows(text)
    assert "ann[/]" in text or "bob[bold]" in text


def test_fitting_and_evaluating_show_labels_as_they_are(
    folder: Path, data: Path, tmp_path: Path, terminal: bool
) -> None:
    fitted = invoke(calibrate.main, "fit", data, "--store", tmp_path / "heads", "--bundle", folder)
    assert fitted.exit_code == 0, fitted.output
    shows(fitted.stdout)
    shown = invoke(calibrate.main, "show", "--store", tmp_path / "heads")
    shows(shown.stdout)
    shows(invoke(calibrate.main, "roll-back", "--store", tmp_path / "heads", "--to", "1").stdout)


def test_streaming_shows_labels_as_they_are(folder: Path, made, tmp_path: Path, terminal: bool) -> None:
    source = write(tmp_path / "a[red].csv")
    for label in NASTY:
        head = head_of([label, f"{label}!"], made.encoder, tmp_path / "head.safetensors")
        result = invoke(stream.main, source, "--bundle", folder, "--head", head)
        assert result.exit_code == 0, result.output
        assert label.replace("\x1b", "\\x1b").replace("\x07", "\\x07") in result.stdout
        assert "\x1b[2J" not in result.stdout
        assert "a[red].csv" in STYLE.sub("", result.stdout).replace("\n", "")


def test_an_errors_control_characters_are_written_out() -> None:
    result = invoke(stream.main, "no\x1b[2Jne.csv", "--json")
    assert result.exit_code == 1
    assert "no\\x1b[2Jne.csv" in result.stderr


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 120])
@pytest.mark.parametrize("longest", [8, 60])
def test_a_live_table_is_as_wide_as_the_terminal_and_wraps_nothing(
    folder: Path, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int, longest: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    head = head_of(["走る", "walking".ljust(longest, "g")], made.encoder, tmp_path / "head.safetensors")
    result = invoke(stream.main, write(tmp_path / "a.csv"), "--bundle", folder, "--head", head)
    lines = STYLE.sub("", result.stdout).splitlines()
    rows = [line for line in lines if re.match(r" +\d+\.\d ", line)]
    assert len(rows) >= 8
    for row in rows:
        assert cell_len(row) <= columns
        assert re.search(r"\d%", row), row


@pytest.mark.parametrize(("columns", "words"), [
    (None, "none of these (walking 50%)"),
    (80, "none of these (walking 50%)"),
    (50, "none of these (walking 50%)"),
    (44, "none of these (w… 50%)"),
    (36, "none of these"),
    (30, "none of…"),
])  # fmt: skip
def test_a_rejected_labels_probability_stands_beside_the_label(
    folder: Path, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int | None, words: str
) -> None:
    if columns is not None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns))
    head = tmp_path / "head.safetensors"
    Head(("walking", "y"), np.zeros((2, 512)), np.array([1e-3, 0.0]), made.encoder).save(head)
    result = invoke(stream.main, write(tmp_path / "a.csv"), "--bundle", folder, "--head", head, "--reject-below", "0.9")
    assert result.exit_code == 0, result.output
    lines = STYLE.sub("", result.stdout).splitlines()
    rows = [line for line in lines if re.match(r" +\d+\.\d\d? ", line)]
    assert len(rows) >= 8
    for row in rows:
        assert re.match(rf" +\d+\.\d+ (s )? *{re.escape(words)}( |$)", row), row
        assert "%" not in row.replace(words, "", 1).replace("y 50%", "")
        assert columns is None or cell_len(row) <= columns


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_tables_of_figures_cut_no_number(
    folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    fitted = invoke(calibrate.main, "fit", data, "--store", tmp_path / "heads", "--bundle", folder)
    text = STYLE.sub("", fitted.stdout)
    assert "…" not in text
    for word in ("windows", "recall", "precision", "F1"):
        assert word in text
    assert len(re.findall(r"\b16 +[01]\.\d\d +[01]\.\d\d +[01]\.\d\d", text)) == len(NASTY)
    trial = invoke(stream.main, "--dataset", "folder", data, "--bundle", folder)
    assert len(re.findall(r"\b8 +[01]\.\d\d +[01]\.\d\d +[01]\.\d\d", STYLE.sub("", trial.stdout))) == len(NASTY)


def test_more_labels_than_a_terminal_has_room_for_say_where_the_confusions_are(
    folder: Path, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    lines = ["file,label,user"] + [f"{write(tmp_path / f'{n}.csv', n, 6).name},label {n},u" for n in range(30)]
    (tmp_path / "recordings.csv").write_text("\n".join([*lines, ""]))
    head = head_of([f"label {n}" for n in range(30)], made.encoder, tmp_path / "head.safetensors")
    text = STYLE.sub("", invoke(calibrate.main, "evaluate", tmp_path, "--head", head, "--bundle", folder).stdout)
    assert "--json has it" in text
    assert "…" not in text


def python(code: str, encoding: str = "utf-8", **options: object) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": encoding}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("forced", [False, True])
def test_what_the_outputs_encoding_lacks_is_written_as_its_number(
    folder: Path, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forced: bool
) -> None:
    if forced:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "100")
    head = head_of(["走る", "läuft"], made.encoder, tmp_path / "head.safetensors")
    arguments = ["primus-stream", str(write(tmp_path / "a.csv")), "--bundle", str(folder), "--head", str(head)]
    done = python(
        f"import sys; sys.argv = {arguments!r}\nfrom primus_sdk.commands.stream import main; main()", "latin-1"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u8d70\\u308b" in done.stdout or "läuft".encode("latin-1") in done.stdout


def test_a_closed_stdin_is_one_clear_line(folder: Path) -> None:
    code = (
        f"import sys; sys.stdin = None; sys.argv = ['primus-stream', '-', '--bundle', {str(folder)!r}, '--json']\n"
        "from primus_sdk.commands.stream import main; main()"
    )
    done = python(code)
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: stdin is closed")
    assert len(done.stderr.splitlines()) == 1
