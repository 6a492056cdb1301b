"""Examples are a value: checked, joined, and in a file either whole or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from primus_sdk.calibration.examples import FILE, MOST_LABELS, MOST_OF_A_LABEL, Examples
from primus_sdk.errors import CalibrationError, OutputError

ENCODER = "ab" * 32
TILT = np.array([[1.0, 0.0, 0.0], [0.0, 0.8, -0.6], [0.0, 0.6, 0.8]])


def made(n: int = 4, **changes: Any) -> Examples:
    fields: dict[str, Any] = {
        "encoder_sha256": ENCODER,
        "embeddings": np.random.default_rng(n).normal(size=(n, 512)),
        "labels": tuple(("gehen \u00fc", "running")[i % 2] for i in range(n)),
        "bouts": np.arange(n) // 2,
        "times_ns": np.arange(n)[:, np.newaxis] * 10**9 + [0, 5 * 10**9],
    }
    return Examples(**fields | changes)


def same(one: Examples, other: Examples) -> bool:
    arrays = ("embeddings", "bouts", "times_ns")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and (one.labels, one.encoder_sha256) == (other.labels, other.encoder_sha256)
        and ((one.mount is None) == (other.mount is None) and np.array_equal(one.mount, other.mount))  # type: ignore[arg-type]
    )


def rewritten(content: bytes, tensors: dict[str, Any] | None = None, **metadata: str) -> bytes:
    """The file with other tensors or metadata, sealed anew."""
    size = int.from_bytes(content[:8], "little")
    known = json.loads(content[8 : 8 + size])["__metadata__"] | metadata
    del known["sha256"]
    changed = load(content) | (tensors or {})
    return bytes(save(changed, {**known, "sha256": FILE.sha256(changed, known)}))


@pytest.mark.parametrize("mount", [None, TILT])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_file_gives_back_what_was_saved(tmp_path: Path, n: int, mount: np.ndarray | None) -> None:
    examples = made(n, mount=mount)
    examples.save(tmp_path / "examples")
    found = Examples.load(tmp_path / "examples")
    assert same(found, examples)
    assert found.to_bytes() == examples.to_bytes() == (tmp_path / "examples").read_bytes()


def test_every_flipped_byte_is_seen() -> None:
    content = made(2, mount=TILT).to_bytes()
    for position in range(len(content)):
        for mask in (1 << position % 8, 0xFF):
            changed = bytearray(content)
            changed[position] ^= mask
            with pytest.raises(CalibrationError):
                Examples.from_bytes(bytes(changed))


def test_every_other_byte_in_the_header_is_seen() -> None:
    content = made(2).to_bytes()
    size = 8 + int.from_bytes(content[:8], "little")
    for position in range(size):
        for value in range(0, 256, 1 if content[position] == ord(" ") else 7):
            changed = bytearray(content)
            changed[position] = value
            if changed != content:
                with pytest.raises(CalibrationError):
                    Examples.from_bytes(bytes(changed))


def test_a_truncated_or_foreign_file_is_refused(tmp_path: Path) -> None:
    content = made().to_bytes()
    foreign = b"", b"text", content + b"\0", save({"weight": np.zeros((2, 512), np.float32)})
    for wrong in (*(content[:kept] for kept in range(0, len(content), 53)), *foreign):
        with pytest.raises(CalibrationError):
            Examples.from_bytes(wrong)
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(CalibrationError, match="cannot read a file of examples from"):
            Examples.load(path)
    (tmp_path / "text").write_bytes(b"text")
    with pytest.raises(CalibrationError, match="/text: "):
        Examples.load(tmp_path / "text")
    with pytest.raises(OutputError):
        made().save(tmp_path / "no" / "examples")


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({}, {"format": "primus-head"}, "no PRIMUS file of examples"),
        ({}, {"schema_version": "2"}, "upgrade primus-imu"),
        ({}, {"encoder_sha256": ""}, "encoder_sha256"),
        ({}, {"labels": '["a"]'}, "none of the 1"),
        ({}, {"labels": '["a", ""]'}, "expected a text"),
        ({}, {"labels": "[" * 50_000}, "not JSON"),
        ({"labels": np.array([0, 1, 0, -1], np.int32)}, {}, "none of the 2"),
        ({"labels": np.zeros((4, 1), np.int32)}, {}, "none of the 2"),
        ({"labels": np.zeros(3, np.int32)}, {}, "ask for"),
        ({"embeddings": np.zeros((4, 511), np.float32)}, {}, "ask for"),
        ({"embeddings": np.full((4, 512), np.nan, np.float32)}, {}, "NaN"),
        ({"bouts": np.zeros((4, 2), np.int32)}, {}, "ask for"),
        ({"times_ns": np.zeros((4, 2), np.int64)}, {}, "time"),
        ({"times_ns": np.tile([-(2**63), 2**63 - 1], (4, 1))}, {}, "time"),
        ({"mount": np.eye(3) * 2}, {}, "mount"),
    ],
)
def test_wrong_content_is_named(tensors: dict[str, Any], metadata: dict[str, str], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        Examples.from_bytes(rewritten(made().to_bytes(), tensors, **metadata))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(CalibrationError):
        Examples.from_bytes(content)


def test_more_than_the_bounds_is_refused() -> None:
    n = MOST_OF_A_LABEL + 1
    with pytest.raises(CalibrationError, match=f"{n} examples of 'one'"):
        made(n, labels=("one",) * n)
    n = MOST_LABELS + 1
    with pytest.raises(CalibrationError, match=f"examples of {n} labels"):
        made(n, labels=tuple(map(str, range(n))))


@pytest.mark.parametrize(
    "changes",
    [
        {"bouts": np.array([1, 2**32 + 1])},
        {"bouts": [1, 2**40]},
        {"bouts": [1, 2**70]},
        {"bouts": [1.0, 2.5]},
        {"bouts": [True, False]},
        {"bouts": [[1], [1, 2]]},
        {"times_ns": [[0.1, 1.7], [2, 3]]},
        {"times_ns": np.array([[0, 1], [2**64 - 3, 2**64 - 1]], np.uint64)},
        {"embeddings": "x"},
        {"embeddings": np.full((2, 512), 1e300)},
        {"labels": "ab"},
        {"labels": None},
        {"encoder_sha256": ""},
    ],
)
def test_no_field_is_changed_silently(changes: dict[str, Any]) -> None:
    with pytest.raises(CalibrationError):
        made(2, **changes)


def test_joined_examples_keep_their_bouts_apart() -> None:
    first, second = made(4), made(6, bouts=np.array([2**31 - 1, 0, 0, -5, 7, 7]))
    both = first.joined(second)
    assert len(both) == 10
    assert both.labels == first.labels + second.labels
    assert len(set(both.bouts[:4])) == 2
    assert len(set(both.bouts[4:])) == 4
    assert not set(both.bouts[:4]) & set(both.bouts[4:])
    assert same(Examples.none(ENCODER).joined(first), first)


def test_examples_that_differ_in_encoder_or_mount_do_not_join() -> None:
    with pytest.raises(CalibrationError, match="encoder"):
        made().joined(made(encoder_sha256="cd" * 32))
    for one, other in ((made(), made(mount=TILT)), (made(mount=TILT), made())):
        with pytest.raises(CalibrationError, match="do not mix"):
            one.joined(other)
