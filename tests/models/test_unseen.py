"""`benchmarks/unseen.py`: nobody is measured on whom the encoder knows, and what was done is not done twice."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from primus_models.checkpoint import load
from primus_models.data import Signal

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("sklearn", reason="the yardsticks need the evaluate extra")

USERS = [str(user) for user in range(1, 28)]


@pytest.fixture(scope="module")
def unseen() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "unseen.py"
    spec = importlib.util.spec_from_file_location("unseen", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def signals() -> list[Signal]:
    """27 people who stand and shake, 30 s each."""
    generator = np.random.default_rng(0)
    made = []
    for user in USERS:
        for label, size in (("standing", 0.0), ("shaking", 3.0)):
            imu = generator.normal(0, 0.05, (6, 1500)) + size * np.sin(2 * np.pi * 2 * np.arange(1500) / 50)
            imu[1] += 9.81
            made.append(Signal(user, label, imu.astype(np.float32)))
    return made


def test_everybody_is_left_out_once_and_a_study_as_a_whole(unseen: ModuleType) -> None:
    folds = [unseen.left_out(f"people-{fold}", USERS) for fold in range(1, 6)]
    assert sorted(user for fold in folds for user in fold) == sorted(USERS)
    assert folds[4] == {"5", "10", "15", "20", "25"}  # as of the released checkpoints
    assert unseen.left_out("studies", USERS) == set(USERS[12:])


def test_a_split_is_trained_exported_and_measured_and_not_a_second_time(
    unseen: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(unseen, "read_classyglass", lambda path: signals())
    arguments = ["--data", "x", "-o", str(tmp_path), "--split", "people-2", "--trials", "2", "--epochs", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["unseen.py", *arguments])
    assert unseen.main() == 0
    first = json.loads(capsys.readouterr().out)
    ahead = first["people-2"]["handcrafted, random forest"]["1"]
    assert -1 <= ahead["accuracy"] <= 1
    assert ahead["error"] >= 0
    trained_on = load(tmp_path / "people-2.safetensors").provenance["users_trained_on"]
    assert trained_on == [user for user in USERS if user not in unseen.left_out("people-2", USERS)]
    assert (tmp_path / "unseen.png").stat().st_size > 0
    monkeypatch.setattr(unseen, "train", lambda *anything: pytest.fail("trained twice"))
    assert unseen.main() == 0
    assert json.loads(capsys.readouterr().out) == first


def test_windows_are_turned_by_the_mount_that_their_wearer_shows(unseen: ModuleType) -> None:
    generator, t = np.random.default_rng(0), np.arange(1500) / 50
    tilt = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    people = []
    for user, mount in (("1", np.eye(3)), ("2", tilt), ("3", np.eye(3))):
        for label in ("walking", "sitting"):
            imu = generator.normal(0, 0.02, (6, 1500))
            imu[1] += 9.81 + (2 * np.sin(2 * np.pi * 2 * t) if label == "walking" and user != "3" else 0)
            turned = np.concatenate([mount @ imu[:3], mount @ imu[3:]]).astype(np.float32)
            people += [Signal(user, label, np.tile(turned, 3))]
    data = unseen.from_signals("made", people)
    after = unseen.mounted(data)
    for user, angle in (("1", 0.0), ("2", 0.0), ("3", 0.0)):
        gravity = after.array[after.rows[after.user == user]][:, :3].mean(axis=(0, 2))
        assert np.degrees(np.arccos(gravity[1] / np.linalg.norm(gravity))) == pytest.approx(angle, abs=0.5)
    still = data.rows[data.user == "3"]
    assert (after.array[still] == data.array[still]).all()  # who never moves shows no mount
    assert not np.allclose(after.array, data.array)
