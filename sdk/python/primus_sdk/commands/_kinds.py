"""What a file is, by its beginning: a head, an encoder's checkpoint, a picture, or something else."""

from __future__ import annotations

import json
from pathlib import Path

from primus_sdk.errors import HeadError
from primus_sdk.heads.head import FILE, Head

_PNG = b"\x89PNG\r\n\x1a\n"
_CHECKPOINT = "primus-checkpoint"  # the metadata's format, as `primus_models.checkpoint` writes it
_LONGEST_HEADER = 16 << 20


def load_head(file: Path) -> Head:
    """Read a head; where the file is an encoder's checkpoint, which looks like one, that is said.

    Raises:
        HeadError: it is none, or cannot be read.
    """
    try:
        return Head.load(file)
    except HeadError as error:
        if _safetensors_format(file) != _CHECKPOINT:
            raise
        raise HeadError(
            f"{file} is an encoder's checkpoint, no head: primus-export makes a bundle of it (--bundle); a head comes "
            "from primus-calibrate fit, or from primus-stream --save-head"
        ) from error


def may_be_replaced_by_a_picture(file: Path) -> bool:
    """Whether nothing is there, nothing is in it, or it is a PNG."""
    return _beginning(file, len(_PNG)) in (b"", _PNG)


def may_be_replaced_by_a_head(file: Path) -> bool:
    """Whether nothing is there, nothing is in it, or it is a head, or was one: a damaged one may be replaced."""
    return not _beginning(file, 1) or _safetensors_format(file) in (FILE.format, None)


def _safetensors_format(file: Path) -> str | None:
    """The format that a safetensors file says it is of; "" where it says none, or is no such file.

    None where it begins as one and its header cannot be read.
    """
    beginning = _beginning(file, 9)  # the header's length in 8 bytes, and the header, which is a JSON object
    if len(beginning) < 9 or beginning[8:] != b"{":
        return ""
    size = int.from_bytes(beginning[:8], "little")
    if size > _LONGEST_HEADER:
        return ""
    try:
        found = json.loads(_beginning(file, 8 + size)[8:])["__metadata__"]["format"]
    except (KeyError, TypeError):
        return ""
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, str) else ""


def _beginning(file: Path, size: int) -> bytes:
    """The first bytes of a file; none where it is not there, or is a pipe, which would be waited for."""
    if not file.is_file():
        return b""
    with file.open("rb") as stream:
        return stream.read(size)
