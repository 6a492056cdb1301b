"""Our checkpoint: safetensors with what a reader must know about it in the metadata.

The file holds float32 tensors under the names of its architecture. `__metadata__` is safetensors' own string map:
`format`, `schema_version`, `architecture`, `name`, `licence`, and `input` and `provenance` as JSON; where pretraining
aligned the encoder with text, `text` (`primus_models.text_space`). Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from primus_models import architectures
from primus_models.errors import CheckpointError, CheckpointNotFoundError
from primus_models.graph import Array, Graph
from primus_models.text_space import TextSpace
from primus_sdk.files import safetensors_bytes, write_atomically

FORMAT = "primus-checkpoint"
SCHEMA_VERSION = 1
RELEASED = ("tempo", "primus")
"""Checkpoints that come with the package, the default first."""
INPUT_CONTRACT: dict[str, Any] = {
    "window_samples": 250,
    "rate_hz": 50,
    "channels": ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"],
    "units": {"accelerometer": "m/s^2", "gyroscope": "rad/s"},
    "gravity": "included",
}


@dataclass(frozen=True)
class Checkpoint:
    """An encoder's weights, where they come from, and the text space that they were aligned with, if any."""

    architecture: str
    tensors: dict[str, Array]
    name: str = "primus"
    licence: str = "unknown"
    provenance: dict[str, Any] = field(default_factory=dict)
    text: TextSpace | None = None

    def __post_init__(self) -> None:
        _check_tensors(self.architecture, self.tensors)

    def graph(self) -> Graph:
        """The encoder's steps with these weights."""
        return architectures.get(self.architecture).build(self.tensors)

    @property
    def sha256(self) -> str:
        """The encoder's identity, to which heads are bound.

        Hashes the architecture's name and the exported tensors (sorted by name; name, shape, little-endian float32),
        not the file: metadata and training-only heads may change without the embedding changing.
        """
        digest = hashlib.sha256(self.architecture.encode())
        for name in sorted(architectures.get(self.architecture).SHAPES):
            tensor = self.tensors[name]
            digest.update(f"\0{name}\0{tensor.shape}\0".encode())
            digest.update(np.ascontiguousarray(tensor, "<f4").tobytes())
        return digest.hexdigest()


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint: a file, or where there is none of that name, the released one of that name.

    Raises:
        CheckpointNotFoundError: nothing is there.
        CheckpointError: truncated, foreign, of a newer schema, or with tensors that are missing, misshapen or not
            finite.
        ArchitectureError: it names an architecture that this version does not know.
    """
    path = Path(path)
    if is_released(path):
        path = released(str(path))
    if not path.is_file():
        raise CheckpointNotFoundError(f"there is no checkpoint file at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(
                    f"{path} is safetensors but not a PRIMUS checkpoint (its metadata lacks format={FORMAT!r}); "
                    "a published .ckpt is converted by primus-import"
                )
            _check_schema(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (safe_open is no mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({error}); is it whole? "
            "A published .ckpt is converted by primus-import"
        ) from error
    try:
        provenance = json.loads(metadata.get("provenance", "{}"))
        text = TextSpace.from_json(metadata["text"]) if "text" in metadata else None
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path}: the metadata's provenance is not JSON ({error})") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return Checkpoint(
        architecture=metadata.get("architecture", ""),
        tensors=tensors,
        name=metadata.get("name", "primus"),
        licence=metadata.get("licence", "unknown"),
        provenance=provenance,
        text=text,
    )


def save_checkpoint(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint atomically; the same checkpoint always gives the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    metadata = {
        "format": FORMAT,
        "schema_version": str(SCHEMA_VERSION),
        "architecture": checkpoint.architecture,
        "name": checkpoint.name,
        "licence": checkpoint.licence,
        "input": json.dumps(INPUT_CONTRACT, sort_keys=True),
        "provenance": json.dumps(checkpoint.provenance, sort_keys=True),
    }
    if checkpoint.text is not None:
        metadata["text"] = checkpoint.text.to_json()
    write_atomically(Path(path), safetensors_bytes(checkpoint.tensors, metadata))


def is_released(path: Path) -> bool:
    """Whether it names a released checkpoint: one of `RELEASED`, where there is no file or folder called so."""
    return str(path) in RELEASED and not path.exists()


def released(name: str = RELEASED[0]) -> Path:
    """A checkpoint that comes with the package, one of `RELEASED`: ours, or the paper's network."""
    return Path(str(resources.files("primus_models"))) / "released" / f"{name}.safetensors"


def _check_schema(path: Path, metadata: dict[str, str]) -> None:
    version = metadata.get("schema_version", "")
    if version != str(SCHEMA_VERSION):
        raise CheckpointError(
            f"{path} has checkpoint schema {version or 'none'!r}; "
            f"this version reads {SCHEMA_VERSION}: upgrade primus-imu"
        )


def _check_tensors(architecture: str, tensors: dict[str, Array]) -> None:
    arch = architectures.get(architecture)
    allowed = arch.SHAPES | arch.TRAINING_SHAPES
    missing = sorted(set(arch.SHAPES) - set(tensors))
    foreign = sorted(set(tensors) - set(allowed))
    if missing or foreign:
        raise CheckpointError(
            f"the tensors do not fit architecture {architecture!r}: "
            f"missing {missing or 'none'}, foreign {foreign or 'none'}"
        )
    for name, tensor in tensors.items():
        if tensor.shape != allowed[name]:
            raise CheckpointError(f"tensor {name} has shape {tensor.shape}; {architecture!r} expects {allowed[name]}")
        if tensor.dtype != np.float32:
            raise CheckpointError(f"tensor {name} is {tensor.dtype}; a checkpoint holds float32")
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"tensor {name} holds NaN or infinity: the training that wrote it diverged")
