"""How a bundle is sealed, in one place for its writer and its readers.

`manifest.json` holds the sha256 of every file, `manifest.sha256` that of the manifest (in the form of `sha256sum`), and
the comment of a zip written by primus-export that of the archive: `primus-sha256:` and 64 hexadecimal digits, over
every byte before the two that hold the comment's length. So one flipped bit anywhere is seen.
"""

from __future__ import annotations

import hashlib
import struct

from primus_sdk.bundles.manifest import MANIFEST, SEAL
from primus_sdk.errors import BundleError

_COMMENT = b"primus-sha256:"
_COMMENT_BYTES = len(_COMMENT) + 64
_END = struct.Struct("<4s4H2LH")
"""End of central directory: signature, four counts, the directory's size and offset, the comment's length."""
_END_SIGNATURE = b"PK\5\6"
_START_SIGNATURE = b"PK\3\4"
_MAX_DIRECTORY_BYTES = 8 << 20


def seal_manifest(content: bytes) -> bytes:
    """The content of `manifest.sha256` for a manifest's bytes."""
    return f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode()


def check_manifest(content: bytes, seal: bytes) -> None:
    """Hold a manifest's bytes against those of `manifest.sha256`.

    Raises:
        BundleError: they do not belong together.
    """
    if seal != seal_manifest(content):
        raise BundleError(
            f"{MANIFEST} is not what {SEAL} was written for: one of them was altered; copy the bundle anew"
        )


def seal_zip(archive: bytes) -> bytes:
    """The same zip with its seal as the comment; the archive must have no comment yet.

    Raises:
        BundleError: it is no plain zip, or has a comment.
    """
    if check_zip(archive):
        raise BundleError("the zip is sealed already")
    covered = archive[:-2]
    return covered + struct.pack("<H", _COMMENT_BYTES) + _comment_for(covered)


def check_zip(archive: bytes) -> bool:
    """Whether the zip is sealed, after checking its frame and, where there is one, its seal.

    Raises:
        BundleError: not a zip, truncated, with anything before or after it, a comment that is not ours, or a seal that
            does not fit the bytes.
    """
    if not archive.startswith(_START_SIGNATURE):
        raise BundleError("the file does not begin as a zip does; a bundle is a folder, or the same zipped")
    for comment_bytes in (0, _COMMENT_BYTES):
        end = len(archive) - comment_bytes - _END.size
        if end >= 0 and archive[end : end + 4] == _END_SIGNATURE:
            _check_end(archive, end, comment_bytes)
            break
    else:
        raise BundleError("the zip is truncated, or has bytes or a comment at its end that are not of a PRIMUS bundle")
    if comment_bytes and archive[-comment_bytes:] != _comment_for(archive[: -comment_bytes - 2]):
        raise BundleError("the zip was altered: its seal does not fit its content; copy the bundle anew")
    return comment_bytes > 0


def _check_end(archive: bytes, end: int, comment_bytes: int) -> None:
    _, disk, first_disk, entries_here, entries, size, offset, stated = _END.unpack_from(archive, end)
    if stated != comment_bytes or disk or first_disk or entries != entries_here:
        raise BundleError(
            "the zip's last record is not of a PRIMUS bundle: it was altered, or split over several files"
        )
    if offset + size != end or size > _MAX_DIRECTORY_BYTES:
        raise BundleError("the zip's directory is not where the zip says: it was altered, or is of the 64-bit kind")


def _comment_for(covered: bytes) -> bytes:
    return _COMMENT + hashlib.sha256(covered).hexdigest().encode()
