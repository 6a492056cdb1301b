"""A head is read as it was written, or refused."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from primus_sdk import Head, HeadError, OutputError, PrimusError
from primus_sdk.heads.head import FILE

ENCODER = "ab" * 32
LABELS = ("walking", "résumé ☕", 'a\u0001b\\"c')


def made_head(**changes: Any) -> Head:
    rng = np.random.default_rng(0)
    fields: dict[str, Any] = {
        "labels": LABELS,
        "weight": rng.normal(0, 0.1, (3, 512)),
        "bias": rng.normal(0, 1, 3),
        "encoder_sha256": ENCODER,
        "temperature": 1.7,
        "counts": {"walking": 3, LABELS[2]: 0},
        "created": "2026-01-31",
    }
    return Head(**(fields | changes))


def rewritten(content: bytes, more: dict[str, np.ndarray] | None = None, **changes: str) -> bytes:
    """The file with other metadata, its own hash made to fit: what only the checks after the hash can refuse."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = {key: value for key, value in (header["__metadata__"] | changes).items() if key != "sha256"}
    tensors = load(content) | (more or {})
    known = {name: tensor for name, tensor in tensors.items() if name in ("weight", "bias", "mount")}
    return save(tensors, metadata | {"sha256": FILE.sha256(known, metadata)})


def resealed(head: Head, **tensors: np.ndarray) -> bytes:
    """The head's file with tensors added, its own hash made to fit."""
    return rewritten(head.to_bytes(), tensors)


def turned(axis: np.ndarray, angle: float) -> np.ndarray:
    """The rotation `(3, 3)` by an angle (rad) about an axis."""
    from scipy.spatial.transform import Rotation

    matrix: np.ndarray = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()
    return matrix


def test_a_head_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    head = made_head()
    head.save(tmp_path / "head.safetensors")
    back = Head.load(str(tmp_path / "head.safetensors"))
    for name in ("labels", "temperature", "encoder_sha256", "counts", "created"):
        assert getattr(back, name) == getattr(head, name)
    assert np.array_equal(back.weight, head.weight)
    assert np.array_equal(back.bias, head.bias)
    assert [path.name for path in tmp_path.iterdir()] == ["head.safetensors"], "no temporary file is left"


@given(st.integers(0, 10**6), st.floats(0, 6.28), st.integers(2, 6))
def test_any_head_comes_back_from_its_bytes(seed: int, angle: float, classes: int) -> None:
    rng = np.random.default_rng(seed)
    mount = turned(rng.normal(size=3), angle) if seed % 2 else None
    labels = tuple(f"label {i}" for i in range(classes))
    weight, bias = rng.normal(size=(classes, 512)), rng.normal(size=classes)
    head = Head(labels, weight, bias, ENCODER, mount=mount)
    back = Head.from_bytes(head.to_bytes())
    assert back.to_bytes() == head.to_bytes()
    assert (back.mount is None) if mount is None else np.array_equal(back.mount, mount)


def test_the_mount_is_part_of_the_hash_and_in_the_file_only_when_there() -> None:
    without, identity = made_head().to_bytes(), made_head(mount=np.eye(3)).to_bytes()
    assert set(load(without)) == {"weight", "bias"}
    assert set(load(identity)) == {"weight", "bias", "mount"}
    assert load(identity)["mount"].dtype == np.float64
    place = identity.index(np.eye(3).tobytes())
    forged = identity[:place] + turned(np.array([1.0, 2, 3]), 0.3).tobytes() + identity[place + 72 :]
    with pytest.raises(HeadError, match="altered"):
        Head.from_bytes(forged)


def test_the_hash_is_the_one_that_the_specification_describes() -> None:
    mount = turned(np.array([0.0, 0, 1]), 0.5)
    head = Head(("a", 'é"\n'), np.full((2, 512), 0.5), [1, 2], ENCODER, 1.5, {"a": 3}, "2026-01-31", mount)
    content = head.to_bytes()
    text = (
        '{"counts":"{\\"a\\": 3}","created":"2026-01-31","encoder_sha256":"' + ENCODER + '","format":"primus-head",'
        '"labels":"[\\"a\\", \\"\\\\u00e9\\\\\\"\\\\n\\"]","schema_version":"1","temperature":"1.5"}'
    )
    expected = hashlib.sha256(
        text.encode()
        + b"\0bias\0[2]\0" + struct.pack("<2f", 1, 2)
        + b"\0mount\0[3,3]\0" + struct.pack("<9d", *mount.ravel())
        + b"\0weight\0[2,512]\0" + struct.pack("<1024f", *[0.5] * 1024)
    ).hexdigest()  # fmt: skip
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"]["sha256"] == expected


@pytest.mark.parametrize("mount", [np.eye(4), -np.eye(3), 2 * np.eye(3), np.full((3, 3), np.nan), "up"])
def test_a_mount_that_is_no_rotation_is_refused(mount: object) -> None:
    with pytest.raises(HeadError, match=r"rotation|numbers"):
        made_head(mount=mount)
    if isinstance(mount, np.ndarray):
        with pytest.raises(HeadError, match="rotation"):
            Head.from_bytes(resealed(made_head(), mount=mount))


def test_a_label_can_be_forgotten() -> None:
    head, embeddings = made_head(mount=np.eye(3)), np.random.default_rng(1).normal(size=(5, 512))
    less = head.without("walking")
    rest = head.probabilities(embeddings)[:, 1:]
    assert np.allclose(less.probabilities(embeddings), rest / rest.sum(axis=1, keepdims=True), rtol=1e-9)
    assert less.labels == LABELS[1:]
    assert less.counts == {LABELS[2]: 0}
    assert (less.temperature, less.created, less.encoder_sha256) == (head.temperature, head.created, ENCODER)
    assert np.array_equal(less.mount, np.eye(3))
    with pytest.raises(HeadError, match="no label 'flying'"):
        head.without("flying")
    with pytest.raises(HeadError, match="at least two"):
        less.without(LABELS[1])


def test_a_label_can_be_renamed() -> None:
    head, embeddings = made_head(), np.random.default_rng(1).normal(size=(5, 512))
    other = head.renamed("walking", "strolling")
    assert other.labels == ("strolling", *LABELS[1:])
    assert other.counts == {"strolling": 3, LABELS[2]: 0}
    assert np.array_equal(other.probabilities(embeddings), head.probabilities(embeddings))
    with pytest.raises(HeadError, match="no label 'flying'"):
        head.renamed("flying", "gliding")
    with pytest.raises(HeadError, match="all different"):
        head.renamed("walking", LABELS[1])


def test_probabilities_are_a_softmax_with_temperature() -> None:
    head, embeddings = made_head(), np.random.default_rng(1).normal(size=(5, 512))
    logits = (
        np.array([[(w * e).sum() + b for w, b in zip(head.weight, head.bias, strict=True)] for e in embeddings]) / 1.7
    )
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(head.probabilities(embeddings), expected, rtol=1e-9)
    assert np.allclose(head.probabilities(embeddings[0]), expected[0], rtol=1e-9)
    assert np.allclose(head.probabilities(embeddings * 1e6).sum(axis=1), 1)
    assert head.probabilities(np.empty((0, 512))).shape == (0, 3)
    for wrong in (np.zeros(511), np.zeros((2, 2, 512)), np.float32(1), "x", None, [[1], [1, 2]]):
        with pytest.raises(HeadError, match="embeddings"):
            head.probabilities(wrong)


def test_any_temperature_above_0_gives_probabilities() -> None:
    embeddings = 10 * np.random.default_rng(1).normal(size=(5, 512))
    sharp = made_head(temperature=1e-308)
    assert Head.from_bytes(sharp.to_bytes()).temperature == 1e-308
    found = sharp.probabilities(embeddings)
    best = made_head().probabilities(embeddings).argmax(axis=1)
    assert np.array_equal(found, np.eye(3)[best])


def test_numpys_numbers_are_numbers() -> None:
    head = made_head(temperature=np.float32(0.5), counts={"walking": np.int64(3)})
    assert head.counts == {"walking": 3}
    assert Head.from_bytes(head.to_bytes()).to_bytes() == head.to_bytes()


@pytest.mark.parametrize("mount", [None, np.eye(3)])
def test_every_changed_byte_is_refused(mount: np.ndarray | None) -> None:
    content = Head(("a", "é"), np.ones((2, 512)), np.zeros(2), "ab" * 32, created="2026-01-31", mount=mount).to_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    # In the header each bit, the whole byte, and each space as what JSON takes for one; after it a bit and the byte.
    masks = [*(1 << bit for bit in range(8)), 0xFF, *(0x20 ^ ord(other) for other in "\t\n\r")]
    for place in range(len(content)):
        for mask in masks if place < header else (1 << place % 8, 0xFF):
            changed = bytearray(content)
            changed[place] ^= mask
            try:
                Head.from_bytes(bytes(changed))
            except HeadError:
                continue
            pytest.fail(f"byte {place} changed by {mask:#x} went unseen")


def test_a_truncated_or_foreign_file_is_refused(tmp_path: Path) -> None:
    content = made_head().to_bytes()
    for kept in [*range(0, len(content), 61), len(content) - 1]:
        with pytest.raises(HeadError):
            Head.from_bytes(content[:kept])
    foreign = (
        b"text",
        content + b"\0",
        save({"weight": np.zeros((2, 512), np.float32)}),
        save({"weight": np.zeros((2, 512)), "bias": np.zeros(2)}),
        save({"weight": np.zeros((2, 512), np.float32), "bias": np.zeros(2, np.float32)}),
        resealed(made_head(), mount=np.eye(3, dtype=np.float32)),
        resealed(made_head(), other=np.eye(3)),
    )
    for wrong in foreign:
        with pytest.raises(HeadError):
            Head.from_bytes(wrong)
    with pytest.raises(HeadError, match="cannot read a head from"):
        Head.load(tmp_path / "nothing")
    with pytest.raises(HeadError, match="cannot read a head from"):
        Head.load(tmp_path)
    with pytest.raises(HeadError, match="cannot read a head from"):
        Head.load("a\0b")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "primus-checkpoint"}, "no PRIMUS head"),
        ({"schema_version": "2"}, "upgrade primus-imu"),
        ({"labels": '["a", "a", "b"]'}, "all different"),
        ({"labels": '["a", "b"]'}, "shape"),
        ({"labels": '["a", "b", 3]'}, "expected a text"),
        ({"labels": '{"a": 1}'}, "expected a list"),
        ({"labels": "[" * 50_000}, "not JSON"),
        ({"temperature": "0"}, "above 0"),
        ({"temperature": "nan"}, "above 0"),
        ({"temperature": "warm"}, "expected a number"),
        ({"counts": '{"flying": 3}'}, "flying"),
        ({"counts": '{"walking": -1}'}, "at least 0"),
        ({"created": "yesterday"}, "yesterday"),
        ({"created": "20260131"}, "2026-01-31"),
        ({"encoder_sha256": ""}, "encoder_sha256"),
    ],
)
def test_wrong_metadata_is_named(changes: dict[str, str], message: str) -> None:
    with pytest.raises(HeadError, match=message):
        Head.from_bytes(rewritten(made_head().to_bytes(), **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("one",), "weight": np.zeros((1, 512)), "bias": np.zeros(1)}, "at least two"),
        ({"labels": ("a", "", "c")}, "none empty"),
        ({"weight": np.zeros((3, 511))}, r"\(3, 512\)"),
        ({"bias": np.zeros(4)}, r"\(3,\)"),
        ({"bias": np.array([0, np.nan, 0])}, "NaN"),
        ({"temperature": -1.0}, "above 0"),
        ({"temperature": float("inf")}, "above 0"),
        ({"temperature": "1"}, "above 0"),
        ({"temperature": None}, "above 0"),
        ({"temperature": 10**5000}, "above 0"),
        ({"weight": "x"}, "real numbers"),
        ({"weight": [[1], [1, 2]]}, "no array"),
        ({"weight": np.full((3, 512), 1e300)}, "infinity"),
        ({"labels": None}, "a list of texts"),
        ({"labels": "abc"}, "a list of texts"),
        ({"counts": [1]}, "by label"),
        ({"counts": {"walking": -1}}, "at least 0"),
        ({"counts": {"walking": 1.5}}, "at least 0"),
        ({"counts": {"walking": True}}, "at least 0"),
        ({"encoder_sha256": ""}, "encoder_sha256"),
        ({"encoder_sha256": "\ud800"}, "encoder_sha256"),
        ({"encoder_sha256": None}, "encoder_sha256"),
        ({"created": "20260131"}, "2026-01-31"),
        ({"created": "2026-W05-6"}, "2026-01-31"),
        ({"created": 5}, "2026-01-31"),
    ],
)
def test_a_head_cannot_be_made_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadError, match=message):
        made_head(**changes)


def test_a_head_cannot_be_changed() -> None:
    weight = np.zeros((3, 512), np.float32)
    head = made_head(weight=weight)
    weight[:] = 1
    assert not head.weight.any()
    with pytest.raises(ValueError, match="read-only"):
        head.weight[0, 0] = 1


def test_a_head_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "missing" / "head", tmp_path / "taken", tmp_path / "a\0b"):
        with pytest.raises(OutputError) as raised:
            made_head().save(path)
        assert isinstance(raised.value, OSError)
        assert isinstance(raised.value, PrimusError)
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]
