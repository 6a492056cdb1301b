from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from primus_models.checkpoint import load, save_checkpoint
from primus_models.data import Signal, windows
from primus_models.errors import TrainingError
from primus_models.evaluation.embedding import by_torch
from primus_models.towers.base import Opened
from primus_sdk import Head

torch = pytest.importorskip("torch", reason="training needs the train extra")

from primus_models import finishing  # noqa: E402
from primus_models.augment import LARGEST_WARP, REACH, augment  # noqa: E402  (they need torch)
from primus_models.finishing import finish  # noqa: E402
from primus_models.train import (  # noqa: E402
    RECIPES,
    Configuration,
    Stretches,
    Training,
    supervised_contrast,
    train,
)

QUICK = Configuration(epochs=2, batch=8)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def signals() -> list[Signal]:
    """Two people who stand and two who shake, 30 s each."""
    generator = np.random.default_rng(0)
    made = []
    for user, label in enumerate(("still", "still", "shaking", "shaking")):
        imu = generator.normal(0, 0.02, (6, 1500))
        imu[1] += 9.81
        if label == "shaking":
            imu += 3 * np.sin(2 * np.pi * 2 * np.arange(1500) / 50)
        made.append(Signal(str(user), label, imu.astype(np.float32)))
    return made


def test_training_learns_and_its_checkpoint_loads(signals: list[Signal], tmp_path: Path) -> None:
    lines: list[str] = []
    run = train(replace(QUICK, epochs=4, warm_up_steps=2), signals, None, lines.append)
    assert run.losses[-1] < 0.8 * run.losses[0]
    assert lines[-1].startswith("epoch 4/4  loss ")
    save_checkpoint(run.checkpoint({"note": "x"}), tmp_path / "a.safetensors")
    checkpoint = load(tmp_path / "a.safetensors")
    assert checkpoint.provenance["training"]["epochs"] == 4
    assert checkpoint.provenance["note"] == "x"
    assert not any(name.startswith("ssl_head") for name in checkpoint.tensors)


@pytest.mark.parametrize("architecture", RECIPES)
def test_each_recipe_trains_its_architecture(signals: list[Signal], architecture: str) -> None:
    run = train(replace(RECIPES[architecture], epochs=3, batch=8, warm_up_steps=2), signals)
    assert run.losses[-1] < run.losses[0]
    checkpoint = run.checkpoint({})
    assert checkpoint.architecture == architecture
    assert checkpoint.graph().shapes["embedding"] == (512,)


def test_mixed_windows_have_both_labels_and_measuring_mixes_none(signals: list[Signal]) -> None:
    torch.manual_seed(0)
    mixing = Training(replace(QUICK, mixup=0.3, dropout=0.0, contrast_share=0.0), signals).model
    windows, labels = torch.randn(8, 6, 250), torch.tensor([0, 1] * 4)
    with torch.no_grad():
        assert len({float(mixing.train()(windows, labels)) for _ in range(5)}) > 1
        assert len({float(mixing.eval()(windows, labels)) for _ in range(5)}) == 1


def test_an_interrupted_run_ends_as_an_uninterrupted_one(signals: list[Signal], tmp_path: Path) -> None:
    whole = train(QUICK, signals)
    state = tmp_path / "state"
    first = Training(QUICK, signals)
    first.run_epoch()
    first.save(state)
    torch.manual_seed(99)
    second = train(QUICK, signals, state)
    assert second.losses == whole.losses
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_a_state_of_another_run_or_damaged_is_refused(signals: list[Signal], tmp_path: Path) -> None:
    state = tmp_path / "state"
    Training(QUICK, signals).save(state)
    with pytest.raises(TrainingError, match="another configuration or other data"):
        train(replace(QUICK, seed=1), signals, state)
    with pytest.raises(TrainingError, match="another configuration or other data"):
        train(QUICK, signals[:3], state)
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="delete it to start anew"):
        train(QUICK, signals, state)


def test_a_loss_that_is_no_number_stops_training(signals: list[Signal]) -> None:
    run = Training(QUICK, signals)
    with torch.no_grad():
        run.model.encoder.mmcl_head.bias[3] = float("nan")
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1.*0\.002"):
        run.run_epoch()


def test_too_little_data_is_refused(signals: list[Signal]) -> None:
    with pytest.raises(TrainingError, match="two activities"):
        Training(QUICK, signals[:2])
    with pytest.raises(TrainingError, match="fewer than one batch of 128"):
        Training(replace(QUICK, batch=128), signals)


def test_stretches_come_from_inside_one_signal() -> None:
    marked = [Signal(str(n), str(n), np.full((6, 500), n, np.float32)) for n in range(5)]
    stretches = Stretches(marked)
    assert len(stretches) == 10
    torch.manual_seed(0)
    x, labels = stretches.draw(torch.arange(10).repeat(20))
    assert x.shape == (200, 6, REACH)
    assert torch.equal(x, labels.float()[:, None, None].expand_as(x))


def test_what_is_released_has_a_head_that_knows_the_activities(signals: list[Signal]) -> None:
    run = train(replace(RECIPES["tempo"], epochs=4, batch=8, warm_up_steps=2), signals)
    checkpoint, head = finish(run.checkpoint({}), signals, "")
    imu, labels, _ = windows(signals)
    assert checkpoint.text is None
    assert head.labels == ("shaking", "still")
    head.check_encoder(checkpoint.sha256)
    found = np.array(head.labels)[head.probabilities(by_torch(checkpoint)(imu)).argmax(axis=1)]
    assert (found == labels).mean() > 0.9


def test_a_pretrained_encoder_is_finished_by_one_command(
    signals: list[Signal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "read_classyglass", lambda path: signals)
    source, released = tmp_path / "checkpoint.safetensors", tmp_path / "mine.safetensors"
    run = Training(QUICK, signals)
    save_checkpoint(run.checkpoint({"users_trained_on": ["0", "2", "3"], "steps": 7}), source)
    arguments = [str(source), "--data", "x", "-o", str(released)]
    done = CliRunner().invoke(finishing.main, arguments)
    assert done.exit_code == 0, done.output
    checkpoint, head = load(released), Head.load(tmp_path / "mine-activities.safetensors")
    assert (checkpoint.licence, checkpoint.provenance["steps"]) == (finishing.LICENCE, 7)
    assert "CC BY" in checkpoint.provenance["data"]
    assert checkpoint.sha256 == load(source).sha256
    head.check_encoder(checkpoint.sha256)
    assert head.counts == {"still": 6, "shaking": 12}  # the second who stands was not trained on
    save_checkpoint(run.checkpoint({}), source)
    refused = CliRunner().invoke(finishing.main, arguments)
    assert refused.exit_code != 0
    assert "names nobody of ClassyGlass" in refused.output


def test_a_tower_without_text_is_refused(signals: list[Signal], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("primus_models.finishing.open_tower", lambda which: Opened())
    with pytest.raises(TrainingError, match="reads no text"):
        finish(Training(QUICK, signals).checkpoint({}), signals, "video-only")


def test_contrast_is_lowest_when_labels_agree_with_directions() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    together = supervised_contrast(vectors, torch.tensor([0, 0, 1, 1]), 0.1)
    apart = supervised_contrast(vectors, torch.tensor([0, 1, 0, 1]), 0.1)
    assert together < 0.1 < apart
    # By hand, for two orthogonal pairs: each has one partner at similarity 1 and two others at 0.
    exact = supervised_contrast(torch.eye(2).repeat_interleave(2, 0), torch.tensor([0, 0, 1, 1]), 0.5)
    assert exact.item() == pytest.approx(np.log(1 + 2 * np.exp(-2)))
    assert supervised_contrast(vectors, torch.arange(4), 0.1) == 0


def resting(count: int) -> torch.Tensor:
    x = torch.zeros(count, 6, REACH)
    x[:, 1] = 9.81
    return x


def test_augmentation_keeps_gravity_s_size_and_tilts_it_as_mounts_are_tilted() -> None:
    torch.manual_seed(0)
    gravity = augment(resting(400))[:, :3].mean(dim=2)
    assert torch.allclose(gravity.norm(dim=1), torch.tensor(9.81), atol=0.02)
    # Half turns aside it stays near y: rolled about z as mounts are, by .35 and .12 rad at once, and pitched less.
    assert torch.rad2deg((gravity[:, 0] / gravity[:, 1]).atan()).std() == pytest.approx(21, abs=3)
    assert torch.rad2deg((gravity[:, 2] / 9.81).asin()).std() == pytest.approx(7, abs=1)
    assert 0.15 < (gravity[:, 1] < 0).float().mean() < 0.35


def test_augmentation_turns_both_sensors_alike() -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 3, 1) * torch.ones(1, 1, REACH)
    a = augment(torch.cat([x * 10, x], dim=1)).mean(dim=2)
    cosine = torch.nn.functional.cosine_similarity(a[:, :3], a[:, 3:])
    assert cosine.median() > 0.99


def test_time_warp_changes_pace_within_its_limit() -> None:
    torch.manual_seed(0)
    t = torch.arange(REACH) / 50
    x = resting(400)
    x[:, 4] = torch.sin(2 * torch.pi * 2.0 * t)  # 20 half periods in 5 s, counted by zero crossings
    turned = augment(x)[:, 3:]
    strongest = turned.std(dim=2).argmax(dim=1)
    wave = turned[torch.arange(400), strongest]
    wave = wave - wave.mean(dim=1, keepdim=True)
    crossings = (wave[:, 1:].sign() != wave[:, :-1].sign()).sum(dim=1).float()
    assert crossings.min() >= 20 * np.exp(-LARGEST_WARP) - 2
    assert crossings.max() <= 20 * np.exp(LARGEST_WARP) + 2
    assert crossings.std() > 0.5
