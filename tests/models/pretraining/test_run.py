"""Runs: the same weights after a kill, on two processes, and from the best validation; every ablation and baseline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from lightning.fabric import Fabric
from prepared_data import write_prepared

from primus_export.rounding import round_matrix
from primus_models.checkpoint import load
from primus_models.commands.pretrain import main
from primus_models.errors import PretrainingError
from primus_models.preparation.prepared import Prepared
from primus_models.preparation.prepared import load as load_prepared
from primus_models.pretraining.batches import windows_of
from primus_models.pretraining.configuration import Configuration
from primus_models.pretraining.run import Progress, Run

SMALL = ["--batch", "16", "--epochs", "1", "--accelerator", "cpu", "--threads", "1", "--queue", "64"]


def pretrain(*arguments: object, check: bool = True, **kwargs: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "primus_models.commands.pretrain", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check, **kwargs)  # type: ignore[call-overload,no-any-return]


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load(folder / "checkpoint.safetensors").tensors


@pytest.fixture(scope="module")
def unbroken(prepared_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    invoke(prepared_path, "-o", folder, *SMALL, "--validate-every", 2)
    return folder


def test_a_run_leaves_a_checkpoint_its_configuration_and_logs(unbroken: Path, prepared: Prepared) -> None:
    checkpoint = load(unbroken / "checkpoint.safetensors")
    assert checkpoint.text is not None
    assert (checkpoint.text.tower, checkpoint.text.size) == ("made", 32)
    assert checkpoint.provenance["configuration"]["batch"] == 16
    trained, held = (checkpoint.provenance[name] for name in ("users_trained_on", "users_held_out"))
    assert held
    assert sorted(trained + held) == sorted(set(prepared.users.tolist()))  # so that an evaluation can warn
    validation = {int(step): loss for step, loss in checkpoint.provenance["validation"].items()}
    assert checkpoint.provenance["best_step"] == min(validation, key=validation.__getitem__)
    assert json.loads((unbroken / "summary.json").read_text())["sha256"] == checkpoint.sha256
    rows = (unbroken / "logs/csv/from-0000000/metrics.csv").read_text()
    assert "train/loss" in rows
    assert "validation/loss" in rows
    assert list((unbroken / "logs/tensorboard/from-0000000").glob("events*"))


def test_a_run_that_was_killed_ends_with_the_same_weights(prepared_path: Path, unbroken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    arguments = [prepared_path, "-o", folder, *SMALL, "--validate-every", 2, "--save-every", 1]
    command = [sys.executable, "-m", "primus_models.commands.pretrain", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    step = torch.load(folder / "state.pt", weights_only=True)["step"]
    assert step >= 1
    invoke(*arguments)
    ours, theirs = weights(folder), weights(unbroken)
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)


def test_a_stopped_run_of_an_encoder_with_dropout_ends_with_the_same_weights(few_path: Path, tmp_path: Path) -> None:
    data, config = load_prepared(few_path), Configuration(architecture="tempo", batch=16, epochs=2, save_every=1)
    fabric = Fabric(accelerator="cpu", devices=1)
    for name in ("stopped", "whole"):
        (tmp_path / name).mkdir()

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Run(fabric, config, data, tmp_path / "stopped").train(stop)
    torch.manual_seed(1)  # whatever the process drew meanwhile
    before = torch.get_rng_state()
    ours = Run(fabric, config, data, tmp_path / "stopped").train().tensors
    assert torch.equal(torch.get_rng_state(), before)
    theirs = Run(fabric, config, data, tmp_path / "whole").train().tensors
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)


def test_two_processes_give_the_weights_of_one_but_for_rounding(prepared_path: Path, tmp_path: Path) -> None:
    # Doubles leave rounding so small that Adam makes nothing of it; of floats it does (below).
    options = [*SMALL, "--validate-every", 2, "--precision", "64-true"]
    pretrain(prepared_path, "-o", tmp_path / "two", *options, "--devices", 2)
    invoke(prepared_path, "-o", tmp_path / "one", *options)
    two, one = weights(tmp_path / "two"), weights(tmp_path / "one")
    assert max(float(np.abs(two[name] - one[name]).max()) for name in one) < 1e-8


def test_two_processes_give_the_weights_of_one(prepared_path: Path, unbroken: Path, tmp_path: Path) -> None:
    pretrain(prepared_path, "-o", tmp_path / "two", *SMALL, "--validate-every", 2, "--devices", 2)
    ours, theirs = weights(tmp_path / "two"), weights(unbroken)
    off = {name: np.abs(ours[name] - theirs[name]) for name in theirs}
    assert max(float(np.quantile(error, 0.995)) for error in off.values()) < 1e-6
    # Adam makes a step of a gradient that is rounding alone: on some processors, of one number in a thousand.
    assert max(float(error.max()) for error in off.values()) < Configuration().learning_rate / 4
    losses = [load(f / "checkpoint.safetensors").provenance["validation"] for f in (tmp_path / "two", unbroken)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.fixture(scope="module")
def few_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half as many people: two or three steps show that a command trains."""
    return write_prepared(tmp_path_factory.mktemp("prepared") / "few", users=3)


@pytest.mark.parametrize(
    "options",
    [
        ["--losses", "ss"],
        ["--losses", "mm", "--input-augmentation", "mount", "--input-augmentation", "bias"],
        ["--losses", "ss,nn"],
        ["--losses", "mm,nn", "--aligned-share", "0.5"],
        ["--alpha", "0.5", "--beta", "0.5", "--gamma", "0"],
        ["--objective", "simclr", "--augmentation", "noise", "--augmentation", "warp"],
        ["--objective", "imu2clip", "--video-tower", ""],
        ["--objective", "multitask", "--augmentation", "reverse", "--augmentation", "negate"],
        ["--objective", "standard", "--schedule", "cosine"],
        ["--precision", "bf16-mixed", "--validation", "0", "--leave-out", "user1"],
    ],
    ids=" ".join,
)
def test_every_ablation_and_baseline_is_one_command(few_path: Path, tmp_path: Path, options: list[str]) -> None:
    output = invoke(few_path, "-o", tmp_path / "run", *SMALL, *options, "--json")
    checkpoint = load(tmp_path / "run" / "checkpoint.safetensors")
    assert json.loads(output[output.index("{") :])["encoder_sha256"] == checkpoint.sha256
    names_text = checkpoint.text is not None
    assert names_text == (not {"simclr", "multitask", "standard"} & set(options) and options != ["--losses", "ss"])


def test_training_learns_what_there_is_to_learn(prepared_path: Path, tmp_path: Path) -> None:
    options = ["--objective", "standard", "--epochs", 8, "--learning-rate", 2e-3, "--validate-every", 5]
    invoke(prepared_path, "-o", tmp_path, *SMALL, *options)
    validation = load(tmp_path / "checkpoint.safetensors").provenance["validation"]
    assert min(validation.values()) < 0.5 * validation["5"]


def test_the_rate_falls_along_half_a_cosine(few_path: Path, tmp_path: Path) -> None:
    config = Configuration(batch=16, epochs=3, schedule="cosine", learning_rate=0.01, validation=0)
    run = Run(Fabric(accelerator="cpu", devices=1), config, load_prepared(few_path), tmp_path)
    rates = []
    run.train(lambda progress: rates.append(run.optimizer.param_groups[0]["lr"]))
    expected = 0.005 * (1 + np.cos(np.pi * np.arange(run.progress.steps) / run.progress.steps))
    assert len(rates) > 3
    np.testing.assert_allclose(rates, expected)


def test_weights_trained_in_4_bits_are_exported_as_they_are(few_path: Path, tmp_path: Path) -> None:
    """Whole, from the moment asked for: gradients are of the rounded weights, and nothing is lost by rounding again."""
    invoke(few_path, "-o", tmp_path / "run", *SMALL, "--epochs", 2, "--int4-from", 0.5)
    invoke(few_path, "-o", tmp_path / "plain", *SMALL, "--epochs", 2)
    name = "backbone.5.weight_hh_l0"
    weight, plain = (weights(tmp_path / folder)[name] for folder in ("run", "plain"))
    assert len(np.unique(np.abs(weight[0]))) <= 8 < len(np.unique(np.abs(plain[0])))
    for block in (None, 32):  # a row's own scale (TFLite), and a block's (ONNX, Core ML)
        rounded = round_matrix(weight, 4, np.random.default_rng(0).normal(size=(600, 512)), block)
        scales = np.repeat(rounded.scales, block or 512, axis=1)
        np.testing.assert_allclose(rounded.codes * scales, weight, rtol=1e-6, atol=0)


@pytest.mark.parametrize("started", [0.0, 0.5, 1.0])
def test_passes_are_rounded_from_the_step_asked_for(few_path: Path, tmp_path: Path, started: float) -> None:
    config = Configuration(batch=16, epochs=2, int4_from=started, validation=0)
    run = Run(Fabric(accelerator="cpu", devices=1), config, load_prepared(few_path), tmp_path)
    values: list[int] = []
    gru = run.objective.encoder.backbone[5]
    gru.register_forward_hook(lambda *_: values.append(len(torch.unique(gru.weight_hh_l0[0].abs()))))
    kept: list[int] = []
    run.train(lambda progress: kept.append(len(torch.unique(gru.weight_hh_l0[0].abs()))))
    assert [value <= 8 for value in values] == [step >= started * len(values) for step in range(len(values))]
    assert len(values) >= 4
    assert min(kept) > 8  # what the optimizer moves stays whole, so that small steps add up


def test_the_best_is_chosen_among_steps_with_rounded_weights(prepared_path: Path, tmp_path: Path) -> None:
    options = ["--epochs", 4, "--learning-rate", 0.05, "--validate-every", 1, "--int4-from", 0.5]  # gets ever worse
    invoke(prepared_path, "-o", tmp_path, *SMALL, *options)
    record = load(tmp_path / "checkpoint.safetensors").provenance
    validation = {int(step): loss for step, loss in record["validation"].items()}
    rounded = {step: loss for step, loss in validation.items() if step >= record["steps"] / 2}
    assert min(validation, key=validation.__getitem__) not in rounded
    assert record["best_step"] == min(rounded, key=rounded.__getitem__)


def test_an_encoder_without_recurrent_weights_cannot_be_trained_in_4_bits(few_path: Path, tmp_path: Path) -> None:
    assert "has no recurrent weights" in fails(
        few_path, "-o", tmp_path, *SMALL, "--architecture", "tempo", "--int4-from", 0.5
    )


def test_a_share_of_aligned_windows_is_part_of_every_larger_share(prepared: Prepared) -> None:
    shares = [windows_of(prepared, Configuration(batch=16, aligned_share=share)).aligned for share in (0.1, 0.5, 1)]
    assert [int(aligned.sum()) for aligned in shares] == [10, 48, 96]
    assert (shares[0] <= shares[1]).all()


def test_nobody_is_trained_on_and_held_out(prepared: Prepared) -> None:
    data = windows_of(prepared, Configuration(batch=16, validation=0.3))
    trained, held = set(prepared.users[data.train]), set(prepared.users[data.held_out])
    assert not trained & held
    assert len(held) == 2


def test_who_is_left_out_is_used_for_nothing(prepared: Prepared) -> None:
    user = str(prepared.users[0])
    data = windows_of(prepared, Configuration(batch=16, leave_out=(user,)))
    assert not np.isin(prepared.users[np.concatenate([data.train, data.held_out])], [user]).any()
    assert len(data.train) + len(data.held_out) == int((prepared.users != user).sum())
    assert len(data.held_out) > 0
    with pytest.raises(PretrainingError, match="no user 'nobody' to leave out"):
        windows_of(prepared, Configuration(batch=16, leave_out=("nobody",)))


def test_the_publishers_split_is_kept_to(tmp_path: Path) -> None:
    split = ("train", "train", "train", "train", "val", "test")
    prepared = load_prepared(write_prepared(tmp_path / "split", split=split))
    data = windows_of(prepared, Configuration(batch=16))
    assert set(prepared.splits[data.train]) == {"train"}
    assert set(prepared.splits[data.held_out]) == {"val"}


def fails(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_what_cannot_be_trained_is_said_in_a_line(prepared_path: Path, tmp_path: Path, unbroken: Path) -> None:
    assert "no prepared data set" in fails(tmp_path, "-o", tmp_path / "run")
    assert "fewer than one batch of 512" in fails(prepared_path, "-o", tmp_path / "run", "--batch", 512)
    assert "need text or video" in fails(
        prepared_path, "-o", tmp_path / "run", *SMALL, "--text-tower", "", "--video-tower", ""
    )
    assert "'other'" in fails(prepared_path, "-o", tmp_path / "run", *SMALL, "--text-tower", "other")
    assert "another configuration" in fails(prepared_path, "-o", unbroken, *SMALL, "--seed", 1)
    assert "no loss 'xx'" in fails(prepared_path, "-o", tmp_path / "run", "--losses", "ss,xx")
    (tmp_path / "bad.yaml").write_text("epochs: -1\n")
    assert "epochs" in fails(prepared_path, "-o", tmp_path / "run", "--config", tmp_path / "bad.yaml")
    (tmp_path / "worse.yaml").write_text("speed: 1\n")
    assert "speed" in fails(prepared_path, "-o", tmp_path / "run", "--config", tmp_path / "worse.yaml")


def test_a_damaged_state_is_said_in_a_line_and_never_run(prepared_path: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "run").mkdir()
    torch.save({"format": "primus-pretraining-state-1", "identity": Bomb()}, tmp_path / "run/state.pt")
    assert "no readable training state" in fails(prepared_path, "-o", tmp_path / "run", *SMALL)
    (tmp_path / "run/state.pt").write_bytes(b"PK\x03\x04 cut")
    assert "no readable training state" in fails(prepared_path, "-o", tmp_path / "run", *SMALL)
    assert not (tmp_path / "ran").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_its_state(prepared_path: Path, tmp_path: Path) -> None:
    arguments = [prepared_path, "-o", tmp_path, *SMALL, "--learning-rate", 1e30, "--save-every", 1]
    assert "the loss became" in fails(*arguments, "--epochs", 3)
    assert (tmp_path / "state.pt").exists()


def test_a_configuration_file_is_what_a_run_leaves(prepared_path: Path, unbroken: Path, tmp_path: Path) -> None:
    invoke(
        prepared_path,
        "-o",
        tmp_path,
        "--config",
        unbroken / "configuration.yaml",
        "--accelerator",
        "cpu",
        "--threads",
        1,
    )
    ours, theirs = weights(tmp_path), weights(unbroken)
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
