"""What is measured: anything that turns windows into features, whatever made it and whatever runs it."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from safetensors import safe_open

from primus_models import features
from primus_models.checkpoint import FORMAT, RELEASED, Checkpoint, is_released, load
from primus_models.errors import CheckpointNotFoundError, EvaluationError
from primus_models.evaluation.embedding import BATCH, Backend, by_reference, by_torch, has_torch, random_weights
from primus_models.graph import Array
from primus_models.text_space import TextSpace
from primus_sdk import load as load_bundle
from primus_sdk.heads.head import Head

Kind = Literal["checkpoint", "bundle", "random weights", "handcrafted", "standard training", "guessing"]


class Candidate(Protocol):
    """A source of features."""

    @property
    def about(self) -> About:
        """What it is."""
        ...

    def features(self, windows: Array) -> Array:
        """Features `(n, d)` float32 of windows `(n, 6, 250)`, m/s^2 with gravity and rad/s."""
        ...


@dataclass(frozen=True, eq=False)
class About:
    """What the results say of a candidate.

    name: in tables and pictures. how: what computes its features. identity: equal where these are equal; the key of
    what is kept of it. encoder_sha256: "" where there is no encoder. aligned: share of the windows that pretraining had
    text or video of, 0 to 1, where it is said (Fig. 6). provenance: what its file says of where it comes from.
    """

    name: str
    kind: Kind
    how: str
    identity: str
    encoder_sha256: str = ""
    aligned: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def trained_on(self) -> frozenset[str]:
        """The people whose recordings it learnt from, where its file names them."""
        return frozenset(map(str, self.provenance.get("users_trained_on", ())))


@dataclass(frozen=True, eq=False)
class Encoder:
    """A checkpoint, or a bundle, as a candidate; text: what a checkpoint was aligned with; head: the bundle's own."""

    about: About
    embed: Callable[[Array], Array]
    text: TextSpace | None = None
    head: Head | None = None

    def features(self, windows: Array) -> Array:
        """Embeddings `(n, 512)`."""
        return self.embed(windows)


@dataclass(frozen=True, eq=False)
class Handcrafted:
    """Features that a practitioner would compute by hand (`primus_models.features`): the honest yardstick."""

    about: About = About("handcrafted", "handcrafted", "NumPy", "handcrafted-123")

    def features(self, windows: Array) -> Array:
        """Features `(n, 123)`."""
        return features.handcrafted(windows)


@dataclass(frozen=True, eq=False)
class Guessing:
    """No features at all: what accuracy is worth nothing."""

    about: About = About("guessing", "guessing", "chance", "guessing")

    def features(self, windows: Array) -> Array:
        """Features `(n, 0)`."""
        return np.zeros((len(windows), 0), np.float32)


@dataclass(frozen=True)
class Named:
    """What a command was given: `PATH`, `NAME=PATH` or `NAME@SHARE=PATH`."""

    path: Path
    name: str
    aligned: float | None = None

    @classmethod
    def parse(cls, text: str) -> Named:
        """Read it; a path that exists is a path, whatever signs are in it.

        Raises:
            EvaluationError: the share is no number from 0 to 1.
        """
        head, sign, tail = text.partition("=")
        if Path(text).exists() or not sign or not tail:
            path = Path(text)
            # primus-pretrain calls every run's checkpoint alike: the run is its folder.
            named = path.absolute().parent if path.name == "checkpoint.safetensors" else path
            return cls(path, named.name.removesuffix(".safetensors").removesuffix(".zip") or str(path))
        name, sign, share = head.rpartition("@")
        if not sign:
            return cls(Path(tail), head)
        try:
            aligned = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
        except ValueError:
            aligned = -1.0
        if not 0 <= aligned <= 1:
            raise EvaluationError(f"{text!r}: {share!r} is no share of windows; write NAME@0.1=PATH or NAME@10%=PATH")
        return cls(Path(tail), name, aligned)


def open_encoder(named: Named, backend: Backend | None = None, runtime: str | None = None) -> Encoder:
    """A checkpoint (a safetensors file, or a released one's name), or a bundle (a folder or a zip).

    backend: what runs a checkpoint; PyTorch, which is faster, if none is named and it is installed. runtime: what runs
    a bundle, as `primus_sdk.load` takes it.

    Raises:
        CheckpointError, BundleError, RuntimeUnavailableError: it cannot be read, or not be run here.
    """
    if named.path.is_dir() or named.path.suffix == ".zip":
        return _bundle(named, runtime)
    if not (named.path.exists() or is_released(named.path)):
        raise CheckpointNotFoundError(
            f"there is no checkpoint and no bundle at {named.path}; the released checkpoints are called "
            f"{' and '.join(RELEASED)}"
        )
    if not (named.path.suffix == ".safetensors" or is_released(named.path) or _is_checkpoint(named.path)):
        return _bundle(named, runtime)
    return of_checkpoint(load(named.path), named.name, named.aligned, backend)


def of_checkpoint(
    checkpoint: Checkpoint, name: str, aligned: float | None = None, backend: Backend | None = None,
    kind: Literal["checkpoint", "random weights"] = "checkpoint",
) -> Encoder:  # fmt: skip
    """A checkpoint that is already read.

    Raises:
        EvaluationError: PyTorch is asked for, and is not there.
    """
    backend = backend or ("torch" if has_torch(checkpoint.architecture) else "numpy")
    embed = by_torch(checkpoint) if backend == "torch" else by_reference(checkpoint)
    how = f"PyTorch {importlib.metadata.version('torch')}" if backend == "torch" else "NumPy reference (float64)"
    declared = checkpoint.provenance.get("aligned_share")
    if aligned is None and isinstance(declared, int | float):
        aligned = float(declared)
    about = About(
        name, kind, how, f"{checkpoint.sha256} {backend}", checkpoint.sha256, aligned, dict(checkpoint.provenance)
    )
    return Encoder(about, embed, checkpoint.text)


def untrained(checkpoint: Checkpoint, backend: Backend | None = None) -> Encoder:
    """The same network with random weights."""
    return of_checkpoint(random_weights(checkpoint), "random weights", None, backend, "random weights")


def _bundle(named: Named, runtime: str | None) -> Encoder:
    recogniser = load_bundle(named.path, runtime)
    manifest = recogniser.manifest
    name = recogniser.runtime.split(" ", maxsplit=1)[0]
    form = "tflite" if name in ("litert", "tflite-runtime", "tensorflow") else "onnx" if name == "onnxruntime" else name
    model = next(m for m in manifest.models if m.format == form)
    files = "".join(manifest.files[path].sha256 for path in manifest.files_of(model))
    identity = f"{hashlib.sha256(files.encode()).hexdigest()} {recogniser.runtime}"
    how = f"{model.format} {model.precision}, {recogniser.runtime}"
    about = About(
        named.name, "bundle", how, identity, manifest.encoder_sha256, named.aligned, dict(manifest.provenance)
    )

    def embed(windows: Array) -> Array:
        parts = [recogniser.embed(windows[start : start + BATCH]) for start in range(0, len(windows), BATCH)]
        return np.concatenate(parts)

    return Encoder(about, embed, head=recogniser.head)


def _is_checkpoint(path: Path) -> bool:
    try:
        with safe_open(path, framework="numpy") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except Exception:  # whatever a file of another kind makes it raise: then it is none
        return False
