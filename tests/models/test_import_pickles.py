from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from primus_models.commands.import_checkpoint import import_checkpoint
from primus_models.errors import CheckpointError
from primus_models.graph import Array

# Files as torch.save writes them, made from opcodes, so that these tests need no PyTorch.


def raw(*parts: bytes) -> bytes:
    """A pickle from opcodes, of protocol 2."""
    return b"\x80\x02" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + len(encoded).to_bytes(4, "little") + encoded


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def tensor(
    key: str,
    count: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int = 0,
    kind: str = "FloatStorage",
) -> bytes:
    """The opcodes that rebuild a tensor."""
    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu") + number(count)
    sizes = b"".join(b"(" + b"".join(number(n) for n in numbers) + b"t" for numbers in (shape, strides))
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"tQ" + number(offset) + sizes + b"\x89" + hooks + b"tR"


def whole(key: str, array: Array) -> bytes:
    """The opcodes of a tensor that fills its storage."""
    strides = tuple(int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim))
    return tensor(key, array.size, array.shape, strides)


def state_dict(tensors: dict[str, Array], prefix: str = "imu_encoder.", **replaced: bytes) -> bytes:
    """An OrderedDict of tensors, storage n for the nth, with a module's `_metadata`; `backbone_0_bias` replaces one."""
    items = b"".join(
        text(prefix + name) + replaced.get(name.replace(".", "_"), whole(str(n), array))
        for n, (name, array) in enumerate(tensors.items())
    )
    return b"ccollections\nOrderedDict\n)R(" + items + b"u}" + text("_metadata") + b"}sb"


def lightning(state: bytes, extra: bytes = b"") -> bytes:
    """The pickle of a Lightning checkpoint; `extra` is more keys and values of its outermost dict."""
    return raw(b"}(", text("epoch"), b"K\x0f", text("state_dict"), state, extra, b"u")


def archive(path: Path, content: bytes, tensors: dict[str, Array]) -> Path:
    """The zip around a pickle, with the tensors' storages."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", content)
        file.writestr("archive/byteorder", "little")
        for n, array in enumerate(tensors.values()):
            file.writestr(f"archive/data/{n}", array.astype("<f4").tobytes())
        file.writestr("archive/version", "3\n")
    return path


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


@pytest.fixture
def source(tensors: dict[str, Array], tmp_path: Path) -> Path:
    return archive(tmp_path / "whole.ckpt", lightning(state_dict(tensors)), tensors)


def test_the_encoder_is_taken_and_nothing_else(tensors: dict[str, Array], tmp_path: Path) -> None:
    towers = {f"text_encoder.layer.{n}.weight": np.ones((2, 3), np.float32) for n in range(3)}
    everything = {f"imu_encoder.{name}": array for name, array in tensors.items()} | towers
    config = b"csome.lab\nConfig\n)R}" + text("lr") + b"K\x01sb"
    extra = text("optimizer_states") + b"]" + text("hyper_parameters") + config
    content = lightning(state_dict(everything, ""), extra)
    checkpoint, report = import_checkpoint(archive(tmp_path / "a.ckpt", content, everything), "CC BY 4.0")
    assert checkpoint.tensors.keys() == tensors.keys()
    for name, array in tensors.items():
        assert np.array_equal(checkpoint.tensors[name], array), name
    assert checkpoint.licence == "CC BY 4.0"
    assert report.kept == sorted(tensors)
    assert report.dropped_tensors == {"text_encoder": 3}
    assert report.dropped_entries == ["epoch", "hyper_parameters", "optimizer_states"]


def test_the_self_supervised_head_may_be_absent(tensors: dict[str, Array], tmp_path: Path) -> None:
    some = {name: array for name, array in tensors.items() if not name.startswith("ssl_head")}
    checkpoint, _ = import_checkpoint(archive(tmp_path / "a.ckpt", lightning(state_dict(some)), some))
    assert checkpoint.tensors.keys() == some.keys()


def payloads(victim: Path) -> dict[str, bytes]:
    """Ways of running `touch victim` while a pickle is loaded."""
    command, arguments = text(f"touch {victim}"), b"](" + text("touch") + text(str(victim)) + b"e"
    system = b"cos\nsystem\n"
    call = system + b"(" + command + b"tR"
    return {
        "reduce": call,
        "eval": b"cbuiltins\neval\n(" + text(f"__import__('pathlib').Path({str(victim)!r}).touch()") + b"tR",
        "memo": system + b"q\x050h\x05(" + command + b"tR",
        "stack global": text("os") + text("system") + b"\x93(" + command + b"tR",
        "instance": b"(" + command + b"ios\nsystem\n",
        "object": b"(" + system + command + b"o",
        "popen": b"csubprocess\nPopen\n(" + arguments + b"tR",
        "newobj": b"csubprocess\nPopen\n(" + arguments + b"t\x81",
        "newobj_ex": b"csubprocess\nPopen\n)}" + text("args") + arguments + b"s\x92",
        "inside a tensor's arguments": b"ctorch._utils\n_rebuild_parameter\n(" + call + b"\x88}tR",
        "build": b"cbuiltins\nobject\n)\x81}" + text("__setstate__") + system + b"sb" + command + b"b",
        "appends": system + b"(" + command + b"e",
    }


@pytest.mark.parametrize("name", ["reduce", "eval", "memo", "stack global", "instance", "object", "popen"])
def test_the_payloads_are_live(name: str, tmp_path: Path) -> None:
    """The control: Python's own unpickler runs them."""
    victim = tmp_path / "victim"
    program = f"import pickle; p = pickle.loads({raw(payloads(victim)[name])!r}); getattr(p, 'wait', int)()"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert victim.exists()


@pytest.mark.parametrize("name", payloads(Path("x")))
def test_code_in_a_pickle_never_runs(name: str, tensors: dict[str, Array], tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "a.ckpt"
    payload = payloads(victim)[name]
    places = {
        "hyperparameters": text("hyper_parameters") + payload,
        "optimizer": text("optimizer_states") + b"](" + payload + b"e",
        "a key": payload + b"K\x01",
        "callbacks": text("callbacks") + b"}" + payload + payload + b"s",
    }
    for place, extra in places.items():
        checkpoint, _ = import_checkpoint(archive(path, lightning(state_dict(tensors), extra), tensors))
        assert np.array_equal(checkpoint.tensors["mmcl_head.bias"], tensors["mmcl_head.bias"]), place
    with pytest.raises(CheckpointError, match=r"backbone\.0\.bias is no plain tensor"):
        import_checkpoint(archive(path, lightning(state_dict(tensors, backbone_0_bias=payload)), tensors))
    with pytest.raises(CheckpointError, match="no state_dict"):
        import_checkpoint(archive(path, raw(payload), {}))
    assert not victim.exists()


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (tensor("1", 6, (7,), (1,)), "outside its storage"),
        (tensor("1", 6, (6,), (2,)), "outside its storage"),
        (tensor("1", 6, (6,), (1,), offset=1), "outside its storage"),
        (tensor("1", 6, (6,), (-1,)), "impossible"),
        (tensor("1", 6, (2**30, 2**30), (0, 0)), "shape"),
        (tensor("1", 5, (5,), (1,)), r"shape \(5,\)"),
        (tensor("1", 7, (6,), (1,)), "24 bytes where 7 numbers"),
        (tensor("999", 6, (6,), (1,)), "missing"),
        (tensor("../../etc/passwd", 6, (6,), (1,)), "names them by numbers"),
        (tensor("1", 6, (6,), (1,), kind="QInt8Storage"), "does not know"),
        (tensor("1", 3, (6,), (0,), kind="LongStorage"), "int64"),
        (b"K\x01", "no plain tensor"),
    ],
)
def test_tensors_that_do_not_hold_are_refused(
    replacement: bytes, message: str, tensors: dict[str, Array], tmp_path: Path
) -> None:
    assert list(tensors)[1] == "backbone.0.bias"
    content = lightning(state_dict(tensors, backbone_0_bias=replacement))
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(archive(tmp_path / "a.ckpt", content, tensors))


def test_views_into_a_shared_storage_are_read(tensors: dict[str, Array], tmp_path: Path) -> None:
    held = dict(tensors) | {"backbone.0.bias": np.arange(6, dtype=np.float32)}
    content = lightning(state_dict(held, backbone_0_bias=tensor("1", 6, (6,), (0,), offset=4)))
    checkpoint, _ = import_checkpoint(archive(tmp_path / "a.ckpt", content, held))
    assert checkpoint.tensors["backbone.0.bias"].tolist() == [4.0] * 6


def test_other_encoders_are_refused(tensors: dict[str, Array], tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    for change, message in (
        ({"extra.weight": np.ones(1, np.float32)}, "foreign .*extra.weight"),
        ({"mmcl_head.bias": np.ones(511, np.float32)}, r"mmcl_head.bias has shape \(511,\)"),
        ({"mmcl_head.bias": np.full(512, np.inf, np.float32)}, "infinity"),
    ):
        held = tensors | change
        with pytest.raises(CheckpointError, match=message):
            import_checkpoint(archive(path, lightning(state_dict(held)), held))
    less = {name: array for name, array in tensors.items() if name != "backbone.4.weight"}
    with pytest.raises(CheckpointError, match=r"missing .*backbone\.4\.weight"):
        import_checkpoint(archive(path, lightning(state_dict(less)), less))
    with pytest.raises(CheckpointError, match=r"begins with 'imu_encoder.'; there are \['video'\]"):
        import_checkpoint(archive(path, lightning(state_dict(tensors, "video.")), tensors))


def test_damaged_archives_are_typed_errors(source: Path, tensors: dict[str, Array], tmp_path: Path) -> None:
    content, target = source.read_bytes(), tmp_path / "b.ckpt"

    def refused(message: str) -> None:
        with pytest.raises(CheckpointError, match=message) as caught:
            import_checkpoint(target)
        assert str(target) in str(caught.value)

    for share in (0.001, 0.5, 0.999):
        target.write_bytes(content[: int(len(content) * share)])
        refused("cut short or damaged")
    flipped = bytearray(content)
    flipped[content.index(tensors["mmcl_head.weight"].tobytes()) + 5000] ^= 1
    target.write_bytes(flipped)
    refused("CRC")
    rewritten(source, target, lambda name, entry: None if "/data/" in name else entry)
    refused("missing")
    rewritten(source, target, lambda name, entry: entry[:-4] if "/data/" in name else entry)
    refused("were promised")
    rewritten(source, target, lambda name, entry: None if name.endswith("data.pkl") else entry)
    refused("no PyTorch checkpoint")
    rewritten(source, target, lambda name, entry: b"middle" if name.endswith("byteorder") else entry)
    refused("byte order")
    rewritten(source, target, lambda _, entry: entry)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(target, "a") as file:
        file.writestr("archive/data/0", b"")
    refused("two entries of one name")


def test_a_zip_bomb_is_not_blown_up(source: Path, tmp_path: Path) -> None:
    def blown_up(name: str, entry: bytes) -> bytes:
        return bytes(64 << 20) if name == "archive/data/0" else entry

    bomb = rewritten(source, tmp_path / "b.ckpt", blown_up, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 8 << 20
    with pytest.raises(CheckpointError, match="compressed"):
        import_checkpoint(bomb)
