"""The head: a linear classifier on the embedding, bound to one encoder."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk.bundles.manifest import EMBEDDING_SIZE
from primus_sdk.errors import HeadError, StreamError
from primus_sdk.fields import Fields, parse_json
from primus_sdk.files import safetensors_bytes, write_atomically
from primus_sdk.windowing import pushed

FORMAT = "primus-head"
SCHEMA_VERSION = 1
_MAX_BYTES = 64 << 20
_TYPES = {"weight": "<f4", "bias": "<f4", "mount": "<f8"}


@dataclass(frozen=True, eq=False)
class Head:
    """probabilities = softmax((weight @ embedding + bias) / temperature).

    labels: K names, all different, K at least 2. weight: `(K, 512)` float32. bias: `(K,)` float32.
    temperature: above 0; 1 leaves the fit as it is. encoder_sha256: the encoder whose embeddings it reads.
    counts: how many windows of each label it was fitted on. created: an ISO date.
    mount: the rotation `(3, 3)` float64, learnt from use, that was applied to the samples of the windows it was
    fitted on, and is to be applied to those that it shall recognise; None where there was none.

    The file's format: sdk/spec/head.md.

    Raises:
        HeadError: a field is misshapen or not finite, or the mount is no rotation.
    """

    labels: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    encoder_sha256: str
    temperature: float = 1.0
    counts: Mapping[str, int] | None = None
    created: str = ""
    mount: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Check the fields, and keep arrays that nobody else can change."""
        labels = tuple(self.labels)
        _check_labels(labels)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "weight", _kept(self.weight, "weight", (len(labels), EMBEDDING_SIZE)))
        object.__setattr__(self, "bias", _kept(self.bias, "bias", (len(labels),)))
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise HeadError(f"a head's temperature is {self.temperature}; expected a number above 0")
        counts = dict(self.counts or {})
        if not set(counts) <= set(labels):
            raise HeadError(f"a head counts windows of {sorted(set(counts) - set(labels))}, not among its labels")
        object.__setattr__(self, "counts", counts)
        created = self.created or datetime.datetime.now(datetime.UTC).date().isoformat()
        _check_date(created)
        object.__setattr__(self, "created", created)
        object.__setattr__(self, "mount", _rotation(self.mount))

    def probabilities(self, embeddings: ArrayLike) -> NDArray[np.float64]:
        """Probabilities in the order of `labels`: `(512,)` gives `(K,)`, `(n, 512)` gives `(n, K)`; rows sum to 1.

        Raises:
            HeadError: the embeddings have another shape.
        """
        x = np.asarray(embeddings, np.float64)
        if x.ndim not in (1, 2) or x.shape[-1] != EMBEDDING_SIZE:
            raise HeadError(f"a head reads embeddings (512,) or (n, 512); these have shape {x.shape}")
        logits = (x @ self.weight.astype(np.float64).T + self.bias) / self.temperature
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        result: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
        return result

    def check_encoder(self, encoder_sha256: str) -> None:
        """Refuse to be used on another encoder's embeddings.

        Raises:
            HeadError: the head was fitted on another encoder.
        """
        if self.encoder_sha256 != encoder_sha256:
            raise HeadError(
                f"the head was fitted on encoder {self.encoder_sha256[:12]}, this one is {encoder_sha256[:12]}: "
                "calibrate anew, or take the encoder that it was fitted on"
            )

    def without(self, label: str) -> Head:
        """The head with that label forgotten; what it gave to it, it shares out among the others.

        Raises:
            HeadError: it has no such label, or only two.
        """
        place = self._place(label)
        if len(self.labels) == 2:
            raise HeadError(f"a head has at least two labels: add another before {label!r} goes")
        return replace(
            self,
            labels=tuple(other for other in self.labels if other != label),
            weight=np.delete(self.weight, place, axis=0),
            bias=np.delete(self.bias, place),
            counts={other: count for other, count in (self.counts or {}).items() if other != label},
        )

    def renamed(self, label: str, to: str) -> Head:
        """The head with another name for a label, in its place.

        Raises:
            HeadError: it has no such label, or one of the new name already.
        """
        self._place(label)
        return replace(
            self,
            labels=tuple(to if other == label else other for other in self.labels),
            counts={to if other == label else other: count for other, count in (self.counts or {}).items()},
        )

    def _place(self, label: str) -> int:
        if label not in self.labels:
            raise HeadError(f"the head has no label {label!r}; it has {list(self.labels)[:20]}")
        return self.labels.index(label)

    def to_bytes(self) -> bytes:
        """The head as safetensors, with its own sha256 in the metadata."""
        tensors: dict[str, NDArray[Any]] = {"bias": self.bias, "weight": self.weight}
        if self.mount is not None:
            tensors["mount"] = self.mount
        metadata = {
            "format": FORMAT,
            "schema_version": str(SCHEMA_VERSION),
            # In ASCII: the file then holds one spelling of each letter only, and no flipped bit can mean the same.
            "labels": json.dumps(self.labels),
            "temperature": repr(float(self.temperature)),
            "encoder_sha256": self.encoder_sha256,
            "counts": json.dumps(self.counts, sort_keys=True),
            "created": self.created,
        }
        return safetensors_bytes(tensors, {**metadata, "sha256": content_sha256(tensors, metadata)})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the head, whole or not at all.

        Raises:
            OutputError: the file cannot be written; what stood there is untouched.
        """
        write_atomically(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Head:
        """Read a head.

        Raises:
            HeadError: nothing there, no head, of a newer schema, truncated, or altered in any bit.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise HeadError(f"cannot read a head from {path}: {error.strerror or error}") from error
        try:
            return cls.from_bytes(content)
        except HeadError as error:
            raise HeadError(f"{path}: {error}") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> Head:
        """Read a head from the bytes of its file.

        Raises:
            HeadError: no head, of a newer schema, truncated, or altered in any bit.
        """
        tensors, metadata = _unpack(content)
        if metadata.get("format") != FORMAT:
            raise HeadError(f"this is no PRIMUS head: its metadata lacks format={FORMAT!r}")
        if metadata.get("schema_version") != str(SCHEMA_VERSION):
            raise HeadError(
                f"the head has schema {metadata.get('schema_version')!r}, this version reads {SCHEMA_VERSION}: "
                "upgrade primus-imu"
            )
        stated = metadata.pop("sha256", "")
        if stated != content_sha256(tensors, metadata):
            raise HeadError("the head was altered: its sha256 does not fit its content; take a copy that is whole")
        fields = Fields(metadata, "the head's metadata", HeadError)
        labels = Fields(parse_json(fields["labels"].text().encode(), "labels", HeadError), "labels", HeadError)
        counts = Fields(parse_json(fields["counts"].text().encode(), "counts", HeadError), "counts", HeadError)
        return cls(
            labels=tuple(label.text() for label in labels.elements()),
            weight=tensors["weight"],
            bias=tensors["bias"],
            encoder_sha256=fields["encoder_sha256"].text(),
            temperature=_temperature(fields["temperature"].text()),
            counts={label: count.integer(least=0) for label, count in counts.items()},
            created=fields["created"].text(),
            mount=tensors.get("mount"),
        )


def content_sha256(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    """The hash that a head's metadata carries as `sha256`.

    Over the metadata without it, as JSON with sorted keys and no spaces, in UTF-8; then for each tensor, by name: a
    zero byte, name, a zero byte, shape as `[2,512]`, a zero byte, its numbers, little-endian: float32, of the mount
    float64.
    """
    text = json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        shape = json.dumps(tensors[name].shape, separators=(",", ":"))
        digest.update(f"\0{name}\0{shape}\0".encode())
        digest.update(np.ascontiguousarray(tensors[name], _TYPES[name]).tobytes())
    return digest.hexdigest()


def _unpack(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if len(content) > _MAX_BYTES:
        raise HeadError(f"the file is larger than any head ({_MAX_BYTES >> 20} MiB)")
    try:
        tensors = load(content)
        # The library gives metadata from files only; the header of bytes it has just checked is safe to read.
        text = content[8 : 8 + int.from_bytes(content[:8], "little")]
        header = json.loads(text)
    except (SafetensorError, ValueError, LookupError, RecursionError) as error:
        raise HeadError(f"this is no head, or not a whole one ({error})") from error
    if min(text) < 0x20:  # a tab or line end in place of a space would mean the same, and yet be an alteration
        raise HeadError("the head was altered: its header holds a control character")
    held = {name: tensor.dtype for name, tensor in tensors.items()}
    if not {"weight", "bias"} <= set(held) <= set(_TYPES) or any(held[name] != _TYPES[name] for name in held):
        found = {name: str(dtype) for name, dtype in sorted(held.items())}
        raise HeadError(f"a head holds weight and bias in float32, and maybe mount in float64; this file holds {found}")
    metadata = header.get("__metadata__") or {}
    return tensors, dict(metadata)


def _kept(array: ArrayLike, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    kept = np.array(array, np.float32)
    if kept.shape != shape:
        raise HeadError(f"a head's {name} has shape {kept.shape}; its labels ask for {shape}")
    if not np.isfinite(kept).all():
        raise HeadError(f"a head's {name} holds NaN or infinity")
    kept.flags.writeable = False
    return kept


def _rotation(mount: ArrayLike | None) -> NDArray[np.float64] | None:
    try:
        kept = pushed.rotation(mount)
    except StreamError as error:
        raise HeadError(f"of a head, {error}") from error
    if kept is not None:
        kept = kept.copy()
        kept.flags.writeable = False
    return kept


def _check_labels(labels: tuple[str, ...]) -> None:
    if not all(isinstance(label, str) and label for label in labels):
        raise HeadError("a head's labels are texts, none empty")
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise HeadError(f"a head has at least two labels, all different; these are {list(labels)[:20]}")


def _check_date(text: str) -> None:
    try:
        datetime.date.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise HeadError(f"a head's date is {text!r}; expected one like 2026-01-31") from error


def _temperature(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise HeadError(f"a head's temperature is {text!r}; expected a number") from error
