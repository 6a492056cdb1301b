"""A bundle is whole or refused: every bit, every size, every name."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from primus_sdk.bundles import bundle
from primus_sdk.errors import BundleError, BundleNotFoundError, OutputError, PrimusError

Files = dict[str, bytes]


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def sampled_bits(content: bytes, count: int, seed: int = 0) -> list[int]:
    """The first and last bits, and others between; all of them where there are few."""
    bits = 8 * len(content)
    if bits <= count:
        return list(range(bits))
    between = np.random.default_rng(seed).integers(0, bits, count - 64)
    return sorted({*range(32), *range(bits - 32, bits), *map(int, between)})


def manifest_of(files: Files) -> dict[str, Any]:
    return json.loads(files["manifest.json"])  # type: ignore[no-any-return]


def test_a_folder_and_its_zip_hold_the_same(folder: Path, files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    by_hand, sealed = tmp_path / "hand.zip", tmp_path / "sealed.zip"
    by_hand.write_bytes(made.zip(files))
    sealed.write_bytes(bundle.seal_zip(made.zip(files, zipfile.ZIP_STORED)))
    bundles = [bundle.read(path) for path in (folder, str(folder), by_hand, sealed)]
    for read in bundles:
        assert read.manifest == bundles[0].manifest
        assert read.files == {path: files[path] for path in read.manifest.files}
    assert bundles[0].manifest.encoder_sha256 == made.encoder
    assert zipfile.ZipFile(sealed).testzip() is None, "a sealed zip is still one for every other tool"


def test_one_flipped_bit_in_a_folder_is_refused(files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    folder = made.folder(tmp_path, files)
    for name, content in files.items():
        for bit in sampled_bits(content, 700 if len(content) < 10_000 else 150):
            (folder / name).write_bytes(flipped(content, bit))
            with pytest.raises(BundleError):
                bundle.read(folder)
        (folder / name).write_bytes(content)
    bundle.read(folder)


def test_one_flipped_bit_in_a_sealed_zip_is_refused(files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    content = bundle.seal_zip(made.zip(files))
    path = tmp_path / "sealed.zip"
    tail = 8 * (len(content) - 22 - 78)
    for bit in [*sampled_bits(content, 300), *range(tail, 8 * len(content))]:
        path.write_bytes(flipped(content, bit))
        with pytest.raises(BundleError):
            bundle.read(path)


def test_a_flipped_bit_in_a_zip_made_by_hand_gives_the_same_files_or_is_refused(
    files: Files, made: SimpleNamespace, tmp_path: Path
) -> None:
    content = made.zip(files)
    path = tmp_path / "hand.zip"
    directory = content.index(b"PK\1\2")
    for bit in [*sampled_bits(content, 300), *range(8 * directory, 8 * len(content), 7)]:
        path.write_bytes(flipped(content, bit))
        try:
            read = bundle.read(path)
        except BundleError:
            continue
        assert read.files == {name: files[name] for name in read.manifest.files}


def test_a_truncated_bundle_is_refused(files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    folder = made.folder(tmp_path / "folder", files)
    for name, content in files.items():
        for kept in (0, len(content) // 2, len(content) - 1):
            (folder / name).write_bytes(content[:kept])
            with pytest.raises(BundleError):
                bundle.read(folder)
        (folder / name).write_bytes(content + b"\0")
        with pytest.raises(BundleError):
            bundle.read(folder)
        (folder / name).unlink()
        with pytest.raises(BundleNotFoundError, match=name):
            bundle.read(folder)
        (folder / name).write_bytes(content)
    archive, path = bundle.seal_zip(made.zip(files)), tmp_path / "b.zip"
    for kept in [*range(0, len(archive), len(archive) // 50), *range(len(archive) - 120, len(archive))]:
        path.write_bytes(archive[:kept])
        with pytest.raises(BundleError):
            bundle.read(path)


def test_bytes_around_a_zip_and_foreign_comments_are_refused(
    files: Files, made: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "b.zip"
    for archive in (made.zip(files), bundle.seal_zip(made.zip(files))):
        for changed in (b"\0" + archive, archive + b"\0", b"PK\3\4" + archive, archive + archive):
            path.write_bytes(changed)
            with pytest.raises(BundleError):
                bundle.read(path)
    for comment in (b"hello", b"primus-sha256:" + b"0" * 64, b"primus-sha256:" + b"0" * 63):
        path.write_bytes(made.zip(files)[:-2] + struct.pack("<H", len(comment)) + comment)
        with pytest.raises(BundleError):
            bundle.read(path)
    with pytest.raises(BundleError, match="sealed already"):
        bundle.seal_zip(bundle.seal_zip(made.zip(files)))


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:/evil", "a//b", "./a", "", "a/", "a\0b", "x" * 600],
)
def test_a_name_that_leaves_the_bundle_is_refused(
    name: str, files: Files, made: SimpleNamespace, tmp_path: Path
) -> None:
    manifest = manifest_of(files)
    entry = manifest["files"]["README.md"]
    manifest["files"][name] = entry
    with pytest.raises(BundleError):
        bundle.read(made.folder(tmp_path / "b", made.sealed(files, manifest)))
    named = manifest_of(files) | {"model_card": name}
    with pytest.raises(BundleError):
        bundle.read(made.folder(tmp_path / "c", made.sealed(files, named)))
    if name and "\0" not in name and name != "a/":  # zipfile itself cuts a name at the zero; `a/` is a folder's entry
        (tmp_path / "b.zip").write_bytes(made.zip(files | {name: b"evil"}))
        with pytest.raises(BundleError):
            bundle.read(tmp_path / "b.zip")
    assert not (tmp_path / "evil").exists()


def test_a_zip_bomb_is_bounded(files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    bomb = b"\0" * (64 << 20)
    for name in ("encoder.onnx", "manifest.json", "manifest.sha256"):
        path.write_bytes(made.zip(files | {name: bomb}))
        assert path.stat().st_size < 4 << 20
        with pytest.raises(BundleError):
            bundle.read(path)
    manifest = manifest_of(files)
    manifest["files"]["encoder.onnx"]["bytes"] = 1 << 40
    with pytest.raises(BundleError, match="at most"):
        bundle.read(made.folder(tmp_path / "large", made.sealed(files, manifest)))
    manifest = manifest_of(files)
    manifest["files"] |= {f"f{i}": manifest["files"]["README.md"] for i in range(5000)}
    with pytest.raises(BundleError, match="lists more than"):
        bundle.read(made.folder(tmp_path / "many", made.sealed(files, manifest)))


def test_two_members_of_one_name_and_folded_names_are_refused(
    files: Files, made: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "twice.zip"
    path.write_bytes(made.zip(files))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.md", b"another")
    with pytest.raises(BundleError, match="two members"):
        bundle.read(path)
    manifest = manifest_of(files)
    manifest["files"]["readme.MD"] = manifest["files"]["README.md"]
    with pytest.raises(BundleError, match="case"):
        bundle.read(made.folder(tmp_path / "b", made.sealed(files, manifest)))


def test_a_zipped_folder_says_where_its_manifest_is(files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(made.zip({f"primus/{name}": content for name, content in files.items()}))
    with pytest.raises(BundleNotFoundError, match=r"primus/manifest.json: zip what is in the folder"):
        bundle.read(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'"text"',
        b"\xff\xfe{}",
        b'{"format": NaN}',
        b'{"format": "primus-bundle", "format": "primus-bundle"}',
        b"[" * 100_000,
        b'{"format": "primus-checkpoint", "schema_version": 1}',
        b'{"format": "primus-bundle"}',
        b'{"format": "primus-bundle", "schema_version": ' + b"9" * 5000 + b"}",
    ],
)
def test_foreign_json_is_no_manifest(content: bytes, files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        bundle.read(made.folder(tmp_path, made.sealed(files, content)))


def test_a_newer_schema_says_to_upgrade(files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    manifest = manifest_of(files) | {"schema_version": 2, "models": "in some other form"}
    with pytest.raises(BundleError, match=r"schema 2, .* upgrade primus-imu"):
        bundle.read(made.folder(tmp_path, made.sealed(files, manifest)))


def test_fields_of_a_later_schema_1_are_passed_over(files: Files, made: SimpleNamespace, tmp_path: Path) -> None:
    manifest = manifest_of(files) | {"later": {"and": "more"}}
    manifest["models"][0]["later"] = 1
    assert bundle.read(made.folder(tmp_path, made.sealed(files, manifest))).manifest.name == "made"


WRONG: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("name",), 3, "name is 3; expected a text"),
    (("schema_version",), True, "schema_version is true"),
    (("schema_version",), 1.0, "schema_version is 1.0"),
    (("encoder", "sha256"), "AB" * 32, "encoder.sha256"),
    (("encoder", "embedding_size"), 256, "expected 512"),
    (("input", "rate_hz"), 100, "input.rate_hz is 100"),
    (("input", "units"), {"accelerometer": "g", "gyroscope": "rad/s"}, "input.units"),
    (("input", "channels"), ["gyro_x"], "input.channels"),
    (("input", "hop_seconds"), 0, "hop_seconds"),
    (("input", "hop_seconds"), float("inf"), "hop_seconds"),
    (("input", "hop_seconds"), int("9" * 400), "hop_seconds"),
    (("models",), [], "at least one model"),
    (("models",), {}, "expected a list"),
    (("models", 0, "format"), "pickle", r"models\[0\].format is .pickle.; expected 'onnx'"),
    (("models", 0, "precision"), "int9", "precision"),
    (("models", 0, "path"), "other.onnx", "other.onnx"),
    (("models", 0, "outputs"), ["probabilities"], "embedding"),
    (("models", 0, "known_answer_cosine"), 1.5, "known_answer_cosine"),
    (("models", 0, "io"), "int8", "quantization"),
    (("models", 0, "input_quantization"), {"kind": "scale", "peak": 127, "zero_point": 0}, "stretch"),
    (("models", 0, "input_quantization"), {"kind": "stretch", "peak": 128, "zero_point": 0}, "1 to 127"),
    (("models", 0, "input_quantization"), {"kind": "stretch", "peak": 127, "zero_point": 1}, "zero_point"),
    (("models", 0, "output_quantization"), {"embedding": {"scale": 0, "zero_point": 0}}, "positive"),
    (("models", 0, "output_quantization"), {"embedding": {"scale": 1, "zero_point": 200}}, "-128 to 127"),
    (("known_answer",), "missing", "'missing', which is not among its files"),
    (("head",), "missing", "missing"),
    (("head",), 1, "head"),
    (("files", "README.md", "bytes"), -1, "at least 0"),
    (("files", "README.md", "sha256"), None, "sha256"),
    (("files",), None, "expected an object"),
    (("tools",), [], "tools"),
    (("licence",), "", "licence"),
]


@pytest.mark.parametrize(("where", "value", "message"), WRONG)
def test_a_wrong_field_is_named(
    where: tuple[str | int, ...], value: Any, message: str, files: Files, made: SimpleNamespace, tmp_path: Path
) -> None:
    manifest = manifest_of(files)
    target: Any = manifest
    for key in where[:-1]:
        target = target[key]
    target[where[-1]] = value
    content = json.dumps(manifest).replace("Infinity", "1e999").encode()
    with pytest.raises(BundleError, match=message):
        bundle.read(made.folder(tmp_path / "wrong", made.sealed(files, content)))
    if isinstance(target, dict):
        del target[where[-1]]
        if where[-1] not in ("head", "input_quantization", "output_quantization"):
            with pytest.raises(BundleError, match=str(where[-1]).replace(".", r"\.")):
                bundle.read(made.folder(tmp_path / "lacking", made.sealed(files, manifest)))


def test_nothing_a_file_and_a_foreign_zip_are_no_bundle(tmp_path: Path, made: SimpleNamespace) -> None:
    with pytest.raises(BundleNotFoundError, match="there is no bundle at"):
        bundle.read(tmp_path / "nothing")
    with pytest.raises(BundleNotFoundError, match=r"lacks manifest\.json"):
        bundle.read(tmp_path)
    for content in (b"", b"PK", b"some text", made.onnx_model(), made.zip({"a": b"b"})):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(BundleError):
            bundle.read(tmp_path / "file")
    assert issubclass(BundleNotFoundError, FileNotFoundError)
    assert issubclass(BundleError, PrimusError)
    assert not issubclass(BundleError, OutputError)


def test_unlisted_files_are_never_opened(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / ".DS_Store").mkdir()
    (copy / "notes.txt").symlink_to("/nowhere")
    assert ".DS_Store" not in bundle.read(copy).files
