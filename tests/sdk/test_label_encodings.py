"""Labels out of folders' names: the same in every locale, and never letters that no encoding takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from primus_sdk.commands import calibrate, stream
from primus_sdk.errors import RecordingError
from primus_sdk.heads.head import FILE, Head
from primus_sdk.heads.store import HeadStore
from primus_sdk.recordings import Report
from primus_sdk.recordings import folder as folders

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")

POSES = {"läuft 走る": (0.0, 9.8, 0.0), "café": (0.0, 0.0, 9.8)}
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""A locale in which Python takes ASCII alone for text."""


def write(path: Path, pose: tuple[float, ...], seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    rows = np.hstack([
        np.arange(400)[:, np.newaxis] / 50, random.normal(0, 0.2, (400, 3)) + pose, random.normal(0, 0.1, (400, 3))
    ])  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, "%.4f", ",", header="t,ax,ay,az,gx,gy,gz", comments="")
    return path


def labelled(root: Path) -> Path:
    for label, pose in POSES.items():
        for seed in (1, 2):
            write(root / label / f"{seed} é.csv", pose, seed)
    return root


def odd(root: Path, name: bytes = b"caf\xe9") -> Path:
    """The folder with one label more, whose name is no UTF-8."""
    write(Path(os.fsdecode(os.fsencode(root) + b"/" + name + b"/1.csv")), (9.8, 0.0, 0.0))
    return root


def invoke(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def run(command: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    code = f"import sys; sys.argv[0] = 'it'; from primus_sdk.commands.{command} import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, env=os.environ | environment
    )


@pytest.mark.parametrize("environment", [{}, PLAIN], ids=["utf-8", "plain"])
def test_a_head_has_the_same_labels_in_every_locale(folder: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    data, store, plot = labelled(tmp_path / "data"), tmp_path / "heads", tmp_path / "a.png"
    done = run("calibrate", "fit", data, "--store", store, "--bundle", folder, **environment)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert HeadStore(store).load().labels == tuple(sorted(POSES))
    done = run("calibrate", "evaluate", data, "--store", store, "--bundle", folder, "--plot", plot, **environment)
    assert done.returncode == 0, done.stderr
    assert b"accuracy 100.0%" in done.stdout
    head = store / "head-00000001.safetensors"
    given = ("--dataset", "folder", data, "--bundle", folder, "--head", head, "--json", "--plot", plot)
    done = run("stream", *given, **environment)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["recording"] for line in found} == {f"{label}/{seed} é.csv" for label in POSES for seed in (1, 2)}
    assert all(line["true"] == line["label"] for line in found)


def test_an_index_means_the_same_in_every_locale(folder: Path, tmp_path: Path) -> None:
    rows = []
    for place, (label, pose) in enumerate(POSES.items()):
        rows.append(f"{write(tmp_path / f'{place} é.csv', pose, place).name},{label},Zoë\n")
    (tmp_path / "recordings.csv").write_text("file,label,user\n" + "".join(rows), "utf-8")
    done = run("calibrate", "fit", tmp_path, "--store", tmp_path / "heads", "--bundle", folder, **PLAIN)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert b"2 left out" not in done.stderr
    assert HeadStore(tmp_path / "heads").load().labels == tuple(sorted(POSES))


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff", b"a\xed\xb3\xa9"])
def test_a_label_that_is_no_utf_8_is_refused_by_name(tmp_path: Path, name: bytes) -> None:
    odd(labelled(tmp_path), name)
    shown = name.decode("utf-8", "backslashreplace")
    with pytest.raises(RecordingError, match="no UTF-8 text; rename it") as error:
        folders.read(tmp_path)
    assert f"the folder {shown} in" in str(error.value)
    str(error.value).encode()  # it can be printed


@pytest.mark.parametrize("environment", [{}, PLAIN], ids=["utf-8", "plain"])
@pytest.mark.parametrize("command", ["fit", "evaluate", "stream"])
def test_each_command_says_so_in_one_line(
    folder: Path, tmp_path: Path, command: str, environment: dict[str, str]
) -> None:
    data, head = odd(labelled(tmp_path / "data")), tmp_path / "head.safetensors"
    Head(tuple(POSES), np.zeros((2, 512)), np.zeros(2), "ab" * 32).save(head)
    arguments: dict[str, list[object]] = {
        "fit": ["calibrate", "fit", data, "--store", tmp_path / "heads"],
        "evaluate": ["calibrate", "evaluate", data, "--head", head],
        "stream": ["stream", "--dataset", "folder", data, "--head", head],
    }
    done = run(*map(str, arguments[command]), "--bundle", folder, **environment)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, b"", 1), done.stderr
    assert b"Error: the name of the folder caf\\xe9 in " in done.stderr
    assert not (tmp_path / "heads").exists()


def test_files_whose_names_are_no_utf_8_are_read_and_shown_by_number(tmp_path: Path) -> None:
    for name in (b"caf\xe9.csv", b"bad\xe9.txt"):
        write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/walking/" + name)), (0.0, 9.8, 0.0))
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/loose\xe9.csv")), (0.0, 9.8, 0.0))
    report = Report()
    assert [recording.name for recording in folders.read(tmp_path, report)] == ["walking/caf\\xe9.csv"]
    assert set(report.skipped) == {"walking/bad\\xe9.txt", "loose\\xe9.csv"}
    str(report).encode()


@pytest.mark.parametrize("environment", [{}, PLAIN], ids=["utf-8", "plain"])
def test_a_source_whose_name_is_no_utf_8_is_streamed_and_drawn(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    source = write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")), (0.0, 9.8, 0.0))
    head, plot = tmp_path / "head.safetensors", tmp_path / "a.png"
    Head(tuple(POSES), np.zeros((2, 512)), np.zeros(2), "ab" * 32).save(head)
    done = run("stream", source, "--bundle", folder, "--head", head, "--plot", plot, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"caf\\udce9.csv: " in done.stdout
    assert plot.exists()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_head_from_before_with_such_labels_never_ends_in_a_traceback(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "100")
    head, source, plot = tmp_path / "head.safetensors", write(tmp_path / "a.csv", (0.0, 9.8, 0.0)), tmp_path / "a.png"
    tensors, metadata = FILE.unpack(Head(("it", "y"), np.zeros((2, 512)), np.array([1.0, 0.0]), "ab" * 32).to_bytes())
    labels = {"labels": json.dumps(["caf\udce9", "y"]), "counts": "{}"}
    head.write_bytes(FILE.pack(tensors, {**metadata, **labels}))
    for arguments in ((stream.main, source, "--head", head, "--plot", plot, "--bundle", folder),
                      (calibrate.main, "show", head)):  # fmt: skip
        result = invoke(*arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        assert "caf\\udce9" in result.output  # used, or named in the line that refuses the head
        assert len(result.stderr.splitlines()) <= 1
        result.output.encode()
