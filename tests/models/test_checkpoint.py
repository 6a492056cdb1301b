"""Checkpoints: what is saved comes back, and what is not a checkpoint is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from primus_models import architectures
from primus_models.checkpoint import FORMAT, RELEASED, Checkpoint, load, released, save_checkpoint
from primus_models.errors import ArchitectureError, CheckpointError, CheckpointNotFoundError
from primus_models.graph import Array
from primus_sdk.errors import OutputError, PrimusError
from primus_sdk.heads.head import Head
from primus_sdk.recordings.classyglass_labels import ACTIVITIES


def random_tensors(seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    shapes = architectures.get("primus").SHAPES
    return {name: rng.uniform(-0.05, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint(
        "primus", random_tensors(), name="test", licence="CC0-1.0", provenance={"data": "none", "seed": 0}
    )


def test_a_saved_checkpoint_comes_back_whole(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert (again.architecture, again.name, again.licence) == ("primus", "test", "CC0-1.0")
    assert again.provenance == {"data": "none", "seed": 0}
    for name, tensor in checkpoint.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor)


def test_the_same_checkpoint_gives_the_same_bytes(checkpoint: Checkpoint, tmp_path: Path) -> None:
    shuffled = dict(reversed(checkpoint.tensors.items()))
    save_checkpoint(checkpoint, tmp_path / "a.safetensors")
    save_checkpoint(
        Checkpoint("primus", shuffled, checkpoint.name, checkpoint.licence, checkpoint.provenance),
        tmp_path / "b.safetensors",
    )
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_the_encoder_hash_follows_the_exported_weights_and_nothing_else(checkpoint: Checkpoint) -> None:
    tensors = checkpoint.tensors
    training = {"ssl_head.weight": np.ones((512, 512), np.float32), "ssl_head.bias": np.ones(512, np.float32)}
    assert Checkpoint("primus", tensors | training, name="other").sha256 == checkpoint.sha256
    changed = tensors["mmcl_head.bias"].copy()
    changed[0] = np.nextafter(changed[0], 1)
    assert Checkpoint("primus", tensors | {"mmcl_head.bias": changed}).sha256 != checkpoint.sha256


def test_parameters_are_counted_as_the_paper_counts_them() -> None:
    arch = architectures.get("primus")
    exported = sum(int(np.prod(shape)) for shape in arch.SHAPES.values())
    assert exported == 1_376_204 - 262_656
    assert exported + sum(int(np.prod(shape)) for shape in arch.TRAINING_SHAPES.values()) == 1_376_204


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="no checkpoint file") as caught:
        load(tmp_path / "nowhere.safetensors")
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, PrimusError)


def test_every_truncation_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    for size in (0, 1, 7, 8, 9, 500, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            load(tmp_path / "cut.safetensors")


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="not a PRIMUS checkpoint"):
        load(tmp_path / "foreign.safetensors")


def test_a_pickle_is_refused_and_pointed_to_the_import_command(tmp_path: Path) -> None:
    (tmp_path / "official.ckpt").write_bytes(b"\x80\x04\x95" + bytes(100))
    with pytest.raises(CheckpointError, match="primus-import"):
        load(tmp_path / "official.ckpt")


def saved_with(path: Path, **metadata: str) -> Path:
    base = {"format": FORMAT, "schema_version": "1", "architecture": "primus"}
    save_file(random_tensors(), path, base | metadata)
    return path


def test_a_newer_schema_asks_for_an_upgrade(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="upgrade primus-imu"):
        load(saved_with(tmp_path / "new.safetensors", schema_version="2"))


def test_an_unknown_architecture_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=r"this version knows: .*primus"):
        load(saved_with(tmp_path / "odd.safetensors", architecture="../evil"))


def test_provenance_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="provenance"):
        load(saved_with(tmp_path / "odd.safetensors", provenance="{"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mmcl_head.bias": None}, "missing .*mmcl_head.bias"),
        ({"extra": np.zeros(1, np.float32)}, "foreign .*extra"),
        ({"mmcl_head.bias": np.zeros(511, np.float32)}, r"shape \(511,\)"),
        ({"mmcl_head.bias": np.zeros(512, np.float16)}, "float16"),
        ({"mmcl_head.bias": np.full(512, np.nan, np.float32)}, "NaN"),
    ],
)
def test_tensors_that_do_not_fit_are_named(change: dict[str, Array | None], message: str) -> None:
    tensors = {name: tensor for name, tensor in (random_tensors() | change).items() if tensor is not None}
    with pytest.raises(CheckpointError, match=message):
        Checkpoint("primus", tensors)


def test_a_failed_save_leaves_the_old_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        save_checkpoint(checkpoint, tmp_path / "no" / "such" / "folder.safetensors")
    target = tmp_path / "taken.safetensors"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(OutputError):
        save_checkpoint(checkpoint, target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken.safetensors"]


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_checkpoint_says_where_it_comes_from(name: str) -> None:
    checkpoint = load(name)
    assert checkpoint.architecture == name
    assert "CC BY 4.0" in json.dumps(checkpoint.provenance)
    assert released(name).with_suffix(".md").is_file()


@pytest.mark.parametrize("name", RELEASED)
def test_a_head_for_the_activities_comes_with_it(name: str) -> None:
    head = Head.load(released(name).with_name(f"{name}-activities.safetensors"))
    head.check_encoder(load(name).sha256)
    assert set(head.labels) == set(ACTIVITIES)


def test_the_default_knows_the_names_of_activities() -> None:
    text = load(released()).text
    assert text is not None
    assert (text.tower, text.size) == ("all-MiniLM-L6-v2", 384)
