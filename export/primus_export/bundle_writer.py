"""Write a bundle as a folder or a zip, whole or not at all. What is in one: `sdk/spec/bundle.md`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from primus_export.errors import ExportError
from primus_export.schema import check_manifest
from primus_sdk.bundles.manifest import MANIFEST, SEAL
from primus_sdk.bundles.sealing import seal_manifest, seal_zip
from primus_sdk.errors import OutputError
from primus_sdk.files import write_atomically

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Zip members carry no real time, so that the same export gives the same bytes."""


@contextlib.contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """A hidden folder beside the output, on the same disk so that it can be renamed into place.

    Gone afterwards either way.

    Raises:
        ExportError: the output is there and is neither a bundle nor an empty folder.
        OutputError: the parent folder does not exist or cannot be written.
    """
    _refuse_to_overwrite(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    except OSError as error:
        raise OutputError(f"cannot write into {output.parent}: {error.strerror or error}; choose another -o") from error
    try:
        yield staging
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {output}: {error.strerror or error}; nothing there was changed") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def finish(staging: Path, output: Path, manifest: dict[str, Any]) -> None:
    """Add the manifest and its seal to the staged files, and put the bundle in place (a `.zip` output is zipped)."""
    manifest["files"] = {
        file.relative_to(staging).as_posix(): {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
        }
        for file in sorted(staging.rglob("*"))
        if file.is_file()
    }
    check_manifest(manifest)
    content = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    (staging / MANIFEST).write_bytes(content)
    (staging / SEAL).write_bytes(seal_manifest(content))
    if output.suffix == ".zip":
        write_atomically(output, seal_zip(_zip(staging)))
    else:
        _swap_in(staging, output)


def _zip(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                member = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _EPOCH)
                member.external_attr = 0o644 << 16
                archive.writestr(member, file.read_bytes())
    return buffer.getvalue()


def _swap_in(staging: Path, output: Path) -> None:
    """Rename the finished folder into place; an older bundle steps aside first and comes back if that fails."""
    staging.chmod(0o755)
    if not output.exists():
        staging.rename(output)
        return
    older = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}.old."))
    output.rename(older / "bundle")
    try:
        staging.rename(output)
    except OSError:
        (older / "bundle").rename(output)  # should this fail too, the older bundle stays where it is
        older.rmdir()
        raise
    shutil.rmtree(older, ignore_errors=True)


def _refuse_to_overwrite(output: Path) -> None:
    if output.suffix == ".zip":
        if output.is_dir():
            raise ExportError(f"{output} is a folder; a zipped bundle needs a file name of its own")
        if output.exists() and not _is_bundle_zip(output):
            raise ExportError(f"{output} is no PRIMUS bundle; choose another name with -o")
        return
    if output.is_file():
        raise ExportError(f"{output} is a file; a bundle is a folder, or name it .zip")
    if output.is_dir() and any(output.iterdir()) and not _is_bundle_folder(output):
        raise ExportError(f"{output} holds files that are no PRIMUS bundle; choose an empty or new folder with -o")


def _is_bundle_folder(folder: Path) -> bool:
    present = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()}
    manifest = folder / MANIFEST
    return manifest.is_file() and present <= _written_by_us(manifest.read_bytes())


def _is_bundle_zip(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return set(archive.namelist()) <= _written_by_us(archive.read(MANIFEST))
    except (zipfile.BadZipFile, KeyError, OSError):
        return False


def _written_by_us(manifest: bytes) -> set[str]:
    """The files of the bundle that a manifest describes; none if it is another program's: many have such a file."""
    try:
        content = json.loads(manifest)
    except ValueError:
        return set()
    if not isinstance(content, dict) or content.get("format") != "primus-bundle":
        return set()
    return {MANIFEST, SEAL, *content.get("files", {})}
