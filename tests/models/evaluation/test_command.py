from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from primus_models.checkpoint import Checkpoint, save_checkpoint
from primus_models.commands import _evaluation_progress, evaluate
from primus_models.evaluation import data as datasets
from primus_models.evaluation import entrants
from primus_models.evaluation.data import Labelled
from primus_models.evaluation.plots import _apart, _curve
from primus_models.evaluation.scores import Mean
from primus_models.evaluation.standard import TRAINING
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
    guessing = ("plot", out, "--figure", "confusion", "--candidate", "guessing", "-o", tmp_path / "guessing.png")
    assert "--shots 0" in run(*guessing)[2]
    assert "no matrix" in run(*guessing, "--shots", "0")[2]


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


def test_standard_training_is_opted_into(ours: Path) -> None:
    pytest.importorskip("torch")
    given = ("run", "--data", "x", ours, "--shots", "1,3", "--trials", 1, "--json")
    asked = ("--standard", "--standard-steps", 2, "--standard-epochs", 1)
    without, beside = (json.loads(run(*given, *more)[1])["candidates"] for more in ((), asked))
    assert [c["kind"] for c in without] == ["checkpoint"]
    assert [c["kind"] for c in beside] == ["checkpoint", "standard training"]
    assert set(beside[1]["scores"]) == {"1", "3"}
    assert "2 steps or 1 epochs" in beside[1]["how"]


@pytest.mark.parametrize(
    ("trained", "given", "measured"),
    [
        ("12", (), "3456"),
        ("12345", (), "123456"),  # one is left, who cannot be learnt from and tested: the table warns
        ("12", ("--users", "all"), "123456"),
        ("12", ("--users", "1,3"), "13"),
    ],
)
def test_people_whom_an_encoder_was_trained_on_are_left_out(
    tensors: dict[str, Array], tmp_path: Path, trained: str, given: tuple[str, ...], measured: str
) -> None:
    provenance = {"data": "made", "users_trained_on": list(trained)}
    save_checkpoint(Checkpoint("primus", tensors, provenance=provenance), tmp_path / "c.safetensors")
    shots = ("--shots", "1", "--trials", 1, "--json")
    status, shown, said = run("run", "--data", "x", tmp_path / "c.safetensors", *shots, *given)
    assert status == 0, said
    record = json.loads(shown)
    assert "".join(record["data"]["users"]) == measured
    assert bool(record["candidates"][0]["warning"]) == bool(set(trained) & set(measured))


def test_held_out_people_are_never_made_up(tensors: dict[str, Array], tmp_path: Path) -> None:
    provenance = {"data": "made", "users_trained_on": list("123456")}
    save_checkpoint(Checkpoint("primus", tensors, provenance=provenance), tmp_path / "c.safetensors")
    assert "nobody is held out" in run("run", "--data", "x", tmp_path / "c.safetensors", "--users", "held-out")[2]


def test_progress_elsewhere_is_a_line_at_the_beginning_and_each_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(_evaluation_progress.time, "monotonic", lambda: now[0])
    with _evaluation_progress.progress(False) as report:
        report("probing: ours", 0, 3)
        for second in range(130):
            now[0] = second
            report(f"{TRAINING} on 1 shots", second, 130)
        report("probing: ours", 1, 3)
    lines = ["probing: ours (3 steps) ...", *(f"{TRAINING} on 1 shots: {at} of 130" for at in (60, 120))]
    assert capsys.readouterr().err.splitlines() == lines


def test_help_has_examples() -> None:
    for command in ((), ("run",), ("plot",)):
        assert "primus-evaluate run --data" in run(*command, "--help")[1]


def test_a_curve_of_one_point_shows_its_error() -> None:
    axes = pytest.importorskip("matplotlib.figure").Figure().subplots()
    _curve(axes, [1.0, 5.0], [Mean(0.5, 0.1), Mean(0.6, 0.1)], "k", "o")
    assert not axes.containers
    _curve(axes, [5.0], [Mean(0.6, 0.1)], "k", "o")
    (bar,) = axes.containers
    assert bar.has_yerr


def test_labels_beside_curves_do_not_lie_on_each_other() -> None:
    placed = _apart([10.0, 10.1, 10.2, 50.0, 99.0, 99.5], 5.0, 0.0, 100.0)
    assert all(b - a >= 5 - 1e-9 for a, b in pairwise(placed))
    assert placed[3] == 50
    assert placed[0] == pytest.approx(5.1)
    assert placed[-1] <= 100
