from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from primus_models.checkpoint import load
from primus_models.commands.import_checkpoint import import_checkpoint, main
from primus_models.errors import CheckpointError, CheckpointNotFoundError
from primus_models.graph import Array

torch = pytest.importorskip(
    "torch", reason="these checkpoints are written by PyTorch itself, which the train extra brings"
)


class Trainer:
    """A class of somebody's training code, of which nothing is left but its name."""


@pytest.fixture(scope="module")
def published(tensors: dict[str, Array]) -> dict[str, Any]:
    """A checkpoint laid out as the published one: encoder, towers, optimizer state, hyperparameters, callbacks."""
    from primus_models.encoders import encoder

    module = torch.nn.Module()
    module.imu_encoder = encoder("primus")
    module.imu_encoder.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    module.text_encoder = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    module.video_encoder = torch.nn.Linear(4, 4).half()
    optimizer = torch.optim.Adam(module.text_encoder.parameters())
    module.text_encoder(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return {
        "epoch": 14,
        "global_step": 1000,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": module.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "callbacks": {"ModelCheckpoint": {"best": Path("x"), "score": torch.tensor(1.5)}},
        "hyper_parameters": {"lr": 2e-4, "trainer": Trainer(), "shape": np.float64(3)},
    }


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_a_published_checkpoint_gives_equal_outputs(
    published: dict[str, Any], tensors: dict[str, Array], imu: Array, tmp_path: Path
) -> None:
    from primus_models.encoders import encoder
    from primus_models.reference import run

    source, output = saved(published, tmp_path / "official.ckpt"), tmp_path / "primus.safetensors"
    result = CliRunner().invoke(main, [str(source), "-o", str(output), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["kept"] == sorted(tensors)
    assert report["dropped_tensors"] == {"text_encoder": 7, "video_encoder": 2}
    assert {"optimizer_states", "hyper_parameters", "callbacks"} <= set(report["dropped_entries"])
    module = encoder("primus")
    prefix = "imu_encoder."
    module.load_state_dict(
        {k.removeprefix(prefix): v for k, v in published["state_dict"].items() if k.startswith(prefix)}
    )
    with torch.no_grad():
        expected = module.embed(torch.from_numpy(imu)).numpy()
    embedding = run(load(output).graph(), imu)["embedding"]
    assert np.abs(embedding - expected).max() <= 1e-5 * np.sqrt(np.mean(expected**2))


def test_people_read_what_was_kept_and_dropped(published: dict[str, Any], tmp_path: Path) -> None:
    source = saved(published, tmp_path / "official.ckpt")
    result = CliRunner().invoke(main, [str(source), "-o", str(tmp_path / "out.safetensors")])
    assert result.exit_code == 0, result.output
    for text in ("kept 15 tensors", "text_encoder.* (7)", "hyper_parameters", "out.safetensors"):
        assert text in result.stdout


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_weights_of_other_precisions_become_float32(
    kind: str, published: dict[str, Any], tensors: dict[str, Array], tmp_path: Path
) -> None:
    dtype = getattr(torch, kind)
    other = published | {"state_dict": {name: tensor.to(dtype) for name, tensor in published["state_dict"].items()}}
    checkpoint, _ = import_checkpoint(saved(other, tmp_path / "a.ckpt"))
    for name, tensor in tensors.items():
        assert np.array_equal(checkpoint.tensors[name], torch.from_numpy(tensor).to(dtype).float().numpy()), name


def test_views_and_parameters_are_read(published: dict[str, Any], tensors: dict[str, Array], tmp_path: Path) -> None:
    state = dict(published["state_dict"])
    base = torch.arange(1024 * 512, dtype=torch.float32).reshape(512, 1024) / 1e6
    state["imu_encoder.mmcl_head.weight"] = base[:, 1::2].T
    state["imu_encoder.mmcl_head.bias"] = torch.nn.Parameter(base[3, 100:612])
    checkpoint, _ = import_checkpoint(saved(published | {"state_dict": state}, tmp_path / "a.ckpt"))
    assert np.array_equal(checkpoint.tensors["mmcl_head.weight"], base[:, 1::2].T.numpy())
    assert np.array_equal(checkpoint.tensors["mmcl_head.bias"], base[3, 100:612].numpy())


def test_big_endian_archives_are_read(published: dict[str, Any], tensors: dict[str, Array], tmp_path: Path) -> None:
    def swapped(name: str, content: bytes) -> bytes:
        if name.endswith("/byteorder"):
            return b"big"
        return np.frombuffer(content, "<f4").astype(">f4").tobytes() if "/data/" in name else content

    only = {name: tensor for name, tensor in published["state_dict"].items() if name.startswith("imu_encoder.")}
    source = saved({"state_dict": only}, tmp_path / "little.ckpt")
    checkpoint, _ = import_checkpoint(rewritten(source, tmp_path / "big.ckpt", swapped))
    assert np.array_equal(checkpoint.tensors["mmcl_head.weight"], tensors["mmcl_head.weight"])


def rewritten(
    source: Path, target: Path, change: Callable[[str, bytes], bytes | None], compression: int = zipfile.ZIP_STORED
) -> Path:
    """The archive with each entry changed, or left out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


def test_foreign_files_say_what_to_do(published: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": {}}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"before 1\.6; load it with PyTorch"):
        import_checkpoint(path)
    path.write_text("<html>not found</html>")
    with pytest.raises(CheckpointError, match="is it the right file"):
        import_checkpoint(path)
    with pytest.raises(CheckpointError, match="no state_dict"):
        import_checkpoint(saved([1, 2], path))
    with pytest.raises(CheckpointError, match="begins with"):
        import_checkpoint(saved({"state_dict": {"layer.weight": torch.ones(1)}}, path))
    with pytest.raises(CheckpointNotFoundError, match="no checkpoint file"):
        import_checkpoint(tmp_path / "none.ckpt")


def test_a_command_that_fails_says_one_line_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_text("x")
    result = CliRunner().invoke(main, [str(tmp_path / "a.ckpt"), "-o", str(tmp_path / "b.safetensors")])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "a.ckpt" in result.stderr
    assert not (tmp_path / "b.safetensors").exists()
