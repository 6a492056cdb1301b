"""`primus-calibrate` as a person runs it: what it prints, what it saves, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from primus_sdk.calibration.mount import aligning
from primus_sdk.commands.calibrate import main
from primus_sdk.heads.head import Head
from primus_sdk.heads.store import HeadStore

GRAVITY = {"upright": (0.0, 9.8, 0.0), "lying": (0.0, 0.0, 9.8), "leaning": (9.8, 0.0, 0.0)}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def fails(result: Result, *words: str) -> None:
    """The command said one line, with these words, and nothing else."""
    assert result.exit_code == 1, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]


def write_csv(path: Path, label: str, seconds: float = 12, rate: int = 100, seed: int = 0) -> Path:
    random, count = np.random.default_rng(seed), round(seconds * rate)
    acceleration = random.normal(0, 0.2, (count, 3)) + GRAVITY[label]
    rows = np.hstack([np.arange(count)[:, np.newaxis] / rate, acceleration, random.normal(0, 0.1, (count, 3))])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, "%.6f", ",", header="t,ax,ay,az,gx,gy,gz", comments="")
    return path


def write_data(folder: Path, labels: list[str], users: int = 3) -> Path:
    """Each user's recording of each label, with an index."""
    lines = ["file,label,user"]
    for user in range(users):
        for label in labels:
            file = write_csv(folder / f"{label}-{user}.csv", label, seed=user)
            lines.append(f"{file.name},{label},user {user}")
    (folder / "recordings.csv").write_text("\n".join([*lines, ""]))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), ["upright", "lying"])


@pytest.fixture(scope="module")
def filled(folder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two versions; not to be changed."""
    store = tmp_path_factory.mktemp("filled") / "heads"
    for c in ("0.003", "0.01"):
        result = invoke("fit", data, "--store", store, "--bundle", folder, "--c", c, "--json")
        assert result.exit_code == 0, result.output
    return store


def test_it_fits_says_how_well_and_saves(folder: Path, data: Path, tmp_path: Path) -> None:
    result = invoke("fit", data, "--store", tmp_path / "heads", "--bundle", folder)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "accuracy 100.0%, macro-F1 1.000 over 48 windows cross-validated" in text
    assert "by people" in text
    assert text.index("accuracy") < text.index("saved as version 1"), "told before it is saved"
    head = HeadStore(tmp_path / "heads").load()
    assert head.labels == ("lying", "upright")
    assert head.counts == {"lying": 24, "upright": 24}


def test_json_is_one_object_with_the_same(folder: Path, data: Path, tmp_path: Path) -> None:
    result = invoke("fit", data, "--store", tmp_path, "--bundle", folder, "--json", "--hop", "2.5", "--folds", 3)
    found = json.loads(result.stdout)
    assert found["version"] == 1
    assert found["windows"] == sum(found["head"]["counts"].values()) == found["cross_validated"]["windows"]
    assert found["left_out"] == {}
    assert found["cross_validated"]["accuracy"] == 1.0
    assert found["cross_validated"]["by"] == "people"
    count = found["windows"] // 2
    assert found["cross_validated"]["confusions"] == [[count, 0], [0, count]]


def test_a_folder_of_labels_needs_no_index(folder: Path, tmp_path: Path) -> None:
    for label in ("upright", "lying"):
        for seed in range(2):
            write_csv(tmp_path / "data" / label / f"{seed}.csv", label, seed=seed)
    result = invoke("fit", tmp_path / "data", "--store", tmp_path / "heads", "--bundle", folder, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["cross_validated"]["by"] == "recordings"
    said = invoke("fit", tmp_path / "data", "--store", tmp_path / "heads", "--bundle", folder).stdout
    assert "32 windows of 1 person; 0 left out" in said
    told = invoke("evaluate", tmp_path / "data", "--store", tmp_path / "heads", "--bundle", folder).stdout
    assert "over 32 windows of 1 person; 0 windows left out" in told


def test_too_little_to_validate_is_said_and_saved_nevertheless(folder: Path, tmp_path: Path) -> None:
    for label in ("upright", "lying"):
        write_csv(tmp_path / "data" / label / "one.csv", label, seconds=5.1)
    result = invoke("fit", tmp_path / "data", "--store", tmp_path / "heads", "--bundle", folder)
    assert result.exit_code == 0, result.output
    assert "not cross-validated: " in result.stderr
    assert "saved as version 1" in result.stdout
    result = invoke("fit", tmp_path / "data", "--store", tmp_path / "heads", "--bundle", folder, "--json")
    assert json.loads(result.stdout)["cross_validated"] is None


def test_a_prior_keeps_its_labels(folder: Path, filled: Path, tmp_path: Path) -> None:
    prior = filled / "head-00000001.safetensors"
    data = write_data(tmp_path / "data", ["leaning"], users=2)
    fails(invoke("fit", data, "--store", tmp_path / "heads", "--bundle", folder), "label")
    result = invoke("fit", data, "--store", tmp_path / "heads", "--bundle", folder, "--prior", prior, "--json")
    assert result.exit_code == 0, result.output
    assert set(HeadStore(tmp_path / "heads").load().labels) == {"leaning", "lying", "upright"}


def test_evaluating_says_how_often_a_head_is_right(folder: Path, filled: Path, data: Path, tmp_path: Path) -> None:
    plot = tmp_path / "confusion.png"
    result = invoke("evaluate", data, "--store", filled, "--bundle", folder, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert "accuracy 100.0%, macro-F1 1.000 over 48 windows of 3 people; 0 windows left out" in result.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    fails(
        invoke("evaluate", data, "--store", filled, "--bundle", folder, "--json", "--plot", tmp_path / "no" / "p"), "p"
    )


def test_labels_that_the_head_does_not_know_count_as_wrong(folder: Path, filled: Path, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", ["leaning", "upright"], users=2)
    head = filled / "head-00000002.safetensors"
    found = json.loads(invoke("evaluate", data, "--head", head, "--bundle", folder, "--json").stdout)
    assert found["accuracy"] == 0.5 == found["accuracy_by_user"]["user 1"]
    assert found["unknown_labels"] == ["leaning"]
    assert found["per_label"]["leaning"]["recall"] == 0
    confusions = np.array(found["confusions"])
    assert confusions.sum() == found["windows"] == 32
    assert confusions[found["labels"].index("upright"), found["labels"].index("upright")] == 16
    result = invoke("evaluate", data, "--head", head, "--bundle", folder)
    assert "does not know leaning" in result.stderr


def test_poor_windows_are_left_out_and_slow_sensors_let_in_on_demand(folder: Path, tmp_path: Path) -> None:
    for label in ("upright", "lying"):
        for seed in range(2):
            write_csv(tmp_path / "data" / label / f"{seed}.csv", label, rate=25, seed=seed)
    arguments = ("fit", tmp_path / "data", "--store", tmp_path / "heads", "--bundle", folder, "--json")
    fails(invoke(*arguments), " slow", "--least-hz")
    result = invoke(*arguments, "--least-hz", 20)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["windows"] >= 28


def test_show_lists_the_versions_and_tells_of_the_current_one(filled: Path, folder: Path) -> None:
    result = invoke("show", "--store", filled)
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()[:2]
    assert first.split()[0] == "1"
    assert second.split()[:2] == ["*", "2"]
    head = HeadStore(filled).load()
    for word in ("lying", "24 windows", head.created, head.encoder_sha256, "mount"):
        assert word in result.stdout
    found = json.loads(invoke("show", "--store", filled, "--json").stdout)
    assert [(v["version"], v["current"], v["counts"]) for v in found["versions"]] == [
        (1, False, {"lying": 24, "upright": 24}),
        (2, True, {"lying": 24, "upright": 24}),
    ]


@pytest.mark.parametrize(
    ("up", "words"),
    [
        ((0.0, np.cos(np.radians(20)), np.sin(np.radians(20))), "pitch 0.0, roll 20.0 degrees"),
        ((-np.sin(np.radians(7)), np.cos(np.radians(7)), 0.0), "pitch -7.0, roll 0.0 degrees"),
        ((np.sin(np.radians(7)), -np.cos(np.radians(7)), 0.0), "upside down, pitch -7.0, roll 0.0 degrees"),
    ],
)
def test_show_tells_of_a_head_and_its_mount(
    filled: Path, tmp_path: Path, up: tuple[float, float, float], words: str
) -> None:
    plain, mount = HeadStore(filled).load(), aligning(up)
    path = tmp_path / "head.safetensors"
    Head(plain.labels, plain.weight, plain.bias, plain.encoder_sha256, mount=mount).save(path)
    result = invoke("show", path)
    assert result.exit_code == 0, result.output
    assert words in next(line for line in result.stdout.splitlines() if line.startswith("mount"))
    assert np.allclose(json.loads(invoke("show", path, "--json").stdout)["mount"], mount)
    plain.save(path)
    assert json.loads(invoke("show", path, "--json").stdout)["mount"] is None


def test_rolling_back_makes_the_older_head_current(folder: Path, data: Path, tmp_path: Path) -> None:
    store = tmp_path / "heads"
    for _ in range(2):
        assert invoke("fit", data, "--store", store, "--bundle", folder, "--json").exit_code == 0
    result = invoke("roll-back", "--store", store)
    assert result.exit_code == 0, result.output
    assert "version 1" in result.stdout
    assert [version.current for version in HeadStore(store).history()] == [True, False]
    assert json.loads(invoke("roll-back", "--store", store, "--to", 2, "--json").stdout)["version"] == 2
    fails(invoke("roll-back", "--store", store, "--to", 9), "version 9")


def test_a_damaged_head_says_roll_back_and_show_says_which(folder: Path, data: Path, tmp_path: Path) -> None:
    store = tmp_path / "heads"
    for _ in range(2):
        assert invoke("fit", data, "--store", store, "--bundle", folder, "--json").exit_code == 0
    (store / "head-00000002.safetensors").write_bytes(b"half")
    fails(
        invoke("evaluate", data, "--store", store, "--bundle", folder),
        "head-00000002",
        f"primus-calibrate roll-back --store {store}",
    )
    result = invoke("show", "--store", store)
    assert result.exit_code == 0, result.output
    assert "damaged" in result.stdout.splitlines()[1]
    assert invoke("roll-back", "--store", store).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "absent", "--store", "heads"], ["absent"]),
        (["fit", "DATA", "--store", "heads", "--prior", "absent.safetensors"], ["absent.safetensors"]),
        (["fit", "DATA", "--store", "heads", "--hop", "0.03"], ["multiple of 0.02"]),
        (["fit", "DATA", "--store", "heads", "--bundle", "absent"], ["absent"]),
        (["fit", "DATA", "--store", "heads", "--runtime", "abacus"], ["abacus"]),
        (["fit", "--dataset", "watch", "absent.npy", "--store", "heads"], ["absent.npy"]),
        (["evaluate", "DATA", "--store", "absent"], ["no head was saved in absent"]),
        (["evaluate", "DATA", "--head", "absent.safetensors"], ["absent.safetensors"]),
        (["show", "absent.safetensors"], ["absent.safetensors"]),
        (["show", "--store", "absent"], ["no head was saved in absent"]),
        (["roll-back", "--store", "absent"], ["no head was saved in absent"]),
    ],
)
def test_what_goes_wrong_is_one_clear_line(
    folder: Path, data: Path, tmp_path: Path, arguments: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [str(data) if argument == "DATA" else argument for argument in arguments]
    with_bundle = (
        ["--bundle", str(folder)] if arguments[0] in ("fit", "evaluate") and "--bundle" not in arguments else []
    )
    fails(invoke(*filled, *with_bundle), *words)
    assert not (tmp_path / "heads").exists()


def test_a_head_of_another_encoder_is_refused(folder: Path, data: Path, tmp_path: Path) -> None:
    head = tmp_path / "head.safetensors"
    Head(("a", "b"), np.zeros((2, 512), np.float32), np.zeros(2, np.float32), "cd" * 32).save(head)
    for arguments in (("evaluate", data, "--head", head), ("fit", data, "--store", tmp_path / "s", "--prior", head)):
        fails(invoke(*arguments, "--bundle", folder), "encoder")


def test_units_that_are_wrong_name_the_recording(folder: Path, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", ["upright", "lying"], users=1)
    table = np.loadtxt(data / "lying-0.csv", delimiter=",", skiprows=1)
    table[:, 1:4] /= 9.80665
    np.savetxt(data / "lying-0.csv", table, "%.6f", ",", header="t,ax,ay,az,gx,gy,gz", comments="")
    fails(invoke("fit", data, "--store", tmp_path / "heads", "--bundle", folder), "lying-0", "looks like g")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "data"],
        ["fit", "--store", "heads"],
        ["fit", "data", "--store", "heads", "--c", "0"],
        ["fit", "data", "--store", "heads", "--c", "1e308"],
        ["fit", "data", "--store", "heads", "--c", "nan"],
        ["fit", "data", "--store", "heads", "--least-hz", "nan"],
        ["evaluate", "data"],
        ["evaluate", "data", "--store", "a", "--head", "b"],
        ["show"],
        ["show", "head", "--store", "heads"],
        ["roll-back"],
        ["fly"],
    ],
)
def test_options_that_are_missing_or_contradict_are_usage_errors(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


@pytest.mark.parametrize("arguments", [[], ["fit"], ["evaluate"], ["show"], ["roll-back"]])
def test_help_has_examples(arguments: list[str]) -> None:
    result = invoke(*arguments, "--help")
    assert result.exit_code == 0
    assert "primus-calibrate fit --dataset watch --store heads" in result.stdout


def test_it_starts_without_what_it_may_not_need() -> None:
    code = "import primus_sdk.commands.calibrate, sys; print(*sys.modules)"
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert {"torch", "onnx", "matplotlib", "scipy", "rich", "primus_models"}.isdisjoint(done.stdout.split())
