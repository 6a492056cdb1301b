from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from primus_models.checkpoint import Checkpoint, save_checkpoint
from primus_models.commands import evaluate
from primus_models.evaluation import data as datasets
from primus_models.evaluation import entrants
from primus_models.evaluation.data import Labelled
from primus_models.evaluation.plots import _apart
from primus_models.graph import Array
from primus_sdk.bundles.bundle import released as released_bundle

PNG = b"\x89PNG"


@pytest.fixture
def ours(tensors: dict[str, Array], tmp_path: Path) -> Path:
    save_checkpoint(Checkpoint("primus", tensors), tmp_path / "ours.safetensors")
    return tmp_path / "ours.safetensors"


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch, data: Labelled) -> None:
    monkeypatch.setattr(datasets, "read", lambda path, kind, quiet: data)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(evaluate.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_run_writes_results_a_picture_and_a_table_and_its_results_are_drawn(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrants, "has_sklearn", lambda: False)
    out, picture = tmp_path / "r.json", tmp_path / "p.png"
    given = ("run", "--data", "x", f"ours@10%={ours}", f"ours@100%={ours}", "--shots", "1,5", "--trials", 2)
    status, shown, said = run(*given, f"int8={released_bundle()}", "--baselines", "-o", out, "--plot", picture)
    assert status == 0, said
    assert "accuracy, %" in shown
    assert "guessing" in shown
    assert "pip install 'primus-imu[evaluate]'" in said
    assert "int8: onnx int8, onnxruntime" in said
    assert picture.read_bytes().startswith(PNG)
    record = json.loads(out.read_text())
    assert record["protocol"]["mode"] == "users"
    assert len(record["candidates"]) == 6
    assert all(len(c["scores"]["5"]["units"]) == 2 for c in record["candidates"] if c["kind"] != "guessing")
    for figure in ("4", "5", "6", "confusion"):
        file = tmp_path / f"{figure}.png"
        names = ("--candidate", "int8", "--candidate", "random weights") if figure == "confusion" else ()
        status, _, said = run("plot", out, "--figure", figure, "-o", file, *names)
        assert status == 0, said
        assert file.read_bytes().startswith(PNG)
    assert run("plot", out, out, "-o", tmp_path / "twice.png", "--metric", "accuracy")[0] == 0


def test_json_is_the_results_and_nothing_else(ours: Path) -> None:
    status, shown, said = run("run", "--data", "x", ours, "--shots", "2", "--trials", 1, "--json", "--split", "folds")
    assert status == 0, said
    assert said == ""
    record = json.loads(shown)
    assert record["format"] == "primus-evaluation"
    assert record["protocol"]["units"] == 6
    assert record["candidates"][0]["scores"]["2"]["accuracy_error"] is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--data", "x", "none.safetensors"), "no checkpoint and no bundle at none.safetensors"),
        (("run", "--data", "x", "--users", "1"), "1 person; two or more"),
        (("run", "--data", "x", "--users", "1,zoe"), "no user 'zoe'"),
        (("run", "--data", "x", "--split", "published"), "no split of its publishers"),
        (("run", "--data", "x", "--shots", "1,many"), "no list of numbers"),
        (("run", "--data", "x", "-o", "nowhere/r.json"), "no folder nowhere"),
        (("run", "--data", "x", "--runtime", "gpu"), "gpu"),
        (("plot", "none.json", "-o", "x.png"), "no results at none.json"),
    ],
)
def test_errors_are_one_line_without_a_traceback(arguments: tuple[str, ...], words: str) -> None:
    status, shown, said = run(*arguments)
    assert status in (1, 2)
    assert words in said
    assert "Traceback" not in said
    assert shown == ""


def test_figures_say_what_they_lack(ours: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    assert run("run", "--data", "x", ours, "--shots", "1", "--trials", 1, "-o", out)[0] == 0
    assert "NAME@SHARE=PATH" in run("plot", out, "--figure", "6", "-o", tmp_path / "6.png")[2]
    assert "at 7 shots" in run("plot", out, "--figure", "5", "--shots", "7", "-o", tmp_path / "5.png")[2]
    assert "'zoe'" in run("plot", out, "--candidate", "zoe", "-o", tmp_path / "4.png")[2]
    assert not list(tmp_path.glob("*.png"))


def test_help_has_examples() -> None:
    for command in ((), ("run",), ("plot",)):
        assert "primus-evaluate run --data" in run(*command, "--help")[1]


def test_labels_beside_curves_do_not_lie_on_each_other() -> None:
    placed = _apart([10.0, 10.1, 10.2, 50.0, 99.0, 99.5], 5.0, 0.0, 100.0)
    assert all(b - a >= 5 - 1e-9 for a, b in pairwise(placed))
    assert placed[3] == 50
    assert placed[0] == pytest.approx(5.1)
    assert placed[-1] <= 100
