"""What a run is resumed from, and what it leaves: written atomically, read without running anything in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from primus_models.errors import PretrainingError
from primus_sdk.files import write_atomically

FORMAT = "primus-pretraining-state-1"


def save(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write a state: tensors, numbers, texts, and lists and dicts of these.

    Raises:
        OutputError: the folder cannot be written, or the disk is full; the state that stood there is untouched.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "identity": identity, **state}, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path, identity: str, device: torch.device) -> dict[str, Any]:
    """Read a state of this very run.

    Raises:
        PretrainingError: it is damaged, or of another configuration or other data.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        format_, theirs = state["format"], state["identity"]
    except Exception as error:  # torch names no common base for what a damaged file raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PretrainingError(f"{path} is no readable training state ({reason}); delete it to start anew") from error
    if format_ != FORMAT:
        raise PretrainingError(f"{path} is {format_!r}, not {FORMAT!r}; delete it to start anew")
    if theirs != identity:
        raise PretrainingError(
            f"{path} is of another configuration or other data; choose another folder, or delete it to start anew"
        )
    return state
