"""The head: a linear classifier on the embedding, bound to one encoder."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.bundles.manifest import EMBEDDING_SIZE
from primus_sdk.errors import HeadError, StreamError
from primus_sdk.fields import Fields, parse_json
from primus_sdk.files import write_atomically
from primus_sdk.tensor_file import TensorFile, Tensors
from primus_sdk.windowing import pushed

_MOST_COUNTED = 1 << 53  # what JSON holds everywhere
FILE = TensorFile(
    kind="head",
    format="primus-head",
    version=1,
    types={"weight": "<f4", "bias": "<f4", "mount": "<f8"},
    optional=frozenset({"mount"}),
    largest=64 << 20,
    error=HeadError,
)
"""How a head is kept; sdk/spec/head.md."""


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
        HeadError: a field is misshapen, of another type or not finite, or the mount is no rotation.
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
        labels = _labels(self.labels)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "weight", _kept(self.weight, "weight", (len(labels), EMBEDDING_SIZE)))
        object.__setattr__(self, "bias", _kept(self.bias, "bias", (len(labels),)))
        arguments.text(self.encoder_sha256, "a head's encoder_sha256", HeadError)
        temperature = arguments.number(self.temperature, "a head's temperature", "a number above 0", HeadError, above=0)
        object.__setattr__(self, "temperature", temperature)
        object.__setattr__(self, "counts", _counts({} if self.counts is None else self.counts, labels))
        created = self.created or datetime.datetime.now(datetime.UTC).date().isoformat()
        _check_date(created)
        object.__setattr__(self, "created", created)
        object.__setattr__(self, "mount", _rotation(self.mount))

    def probabilities(self, embeddings: ArrayLike) -> NDArray[np.float64]:
        """Probabilities in the order of `labels`: `(512,)` gives `(K,)`, `(n, 512)` gives `(n, K)`; rows sum to 1.

        Raises:
            HeadError: the embeddings have another shape or type.
        """
        x = arguments.floats(embeddings, "embeddings", HeadError)
        if x.ndim not in (1, 2) or x.shape[-1] != EMBEDDING_SIZE:
            raise HeadError(f"a head reads embeddings (512,) or (n, 512); these have shape {x.shape}")
        logits = x @ self._matrix + self.bias
        # The largest is taken off first: however small the temperature, nothing but a probability of 0 overflows.
        with np.errstate(over="ignore"):
            powers = np.exp((logits - logits.max(axis=-1, keepdims=True)) / self.temperature)
        result: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
        return result

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        """The weight as it is multiplied, (512, K)."""
        return self.weight.astype(np.float64).T

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
        tensors: Tensors = {"bias": self.bias, "weight": self.weight}
        if self.mount is not None:
            tensors["mount"] = self.mount
        metadata = {
            # In ASCII: the file then holds one spelling of each letter only, and no flipped bit can mean the same.
            "labels": json.dumps(self.labels),
            "temperature": repr(float(self.temperature)),
            "encoder_sha256": self.encoder_sha256,
            "counts": json.dumps(self.counts, sort_keys=True),
            "created": self.created,
        }
        return FILE.pack(tensors, metadata)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the head, whole or not at all.

        Raises:
            OutputError: the file cannot be written; what stood there is untouched.
            HeadError: that is no path.
        """
        write_atomically(arguments.path(path, "the head's file", HeadError), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Head:
        """Read a head.

        Raises:
            HeadError: no path, nothing there, no head, of a newer schema, truncated, or altered in any bit.
        """
        file = arguments.path(path, "the head's file", HeadError)
        content = FILE.read(file)
        try:
            return cls.from_bytes(content)
        except HeadError as error:
            raise HeadError(f"{file}: {error}") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> Head:
        """Read a head from the bytes of its file.

        Raises:
            HeadError: no head, of a newer schema, truncated, or altered in any bit.
        """
        tensors, metadata = FILE.unpack(content)
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


def _kept(array: ArrayLike, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    kept: NDArray[np.float32] = arguments.floats(array, f"a head's {name}", HeadError, np.float32)
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


def _labels(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise arguments.wrong(given, "a head's labels", "a list of texts", HeadError)
    labels = tuple(given)
    if not all(isinstance(label, str) and label for label in labels):
        raise HeadError("a head's labels are texts, none empty")
    for label in labels:
        arguments.text(label, "a label of a head", HeadError)
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise HeadError(f"a head has at least two labels, all different; these are {list(labels)[:20]}")
    return labels


def _counts(given: object, labels: tuple[str, ...]) -> dict[str, int]:
    if not isinstance(given, Mapping):
        raise arguments.wrong(given, "a head's counts", "how many windows there were, by label", HeadError)
    unknown = [label for label in given if label not in labels]
    if unknown:
        raise HeadError(f"a head counts windows of {unknown}, not among its labels")
    expected = "a whole number, at least 0 and at most 2^53"
    return {
        label: arguments.whole(count, f"a head's count of {label!r}", expected, HeadError, 0, _MOST_COUNTED)
        for label, count in given.items()
    }


def _check_date(text: str) -> None:
    try:
        same = datetime.date.fromisoformat(text).isoformat() == text  # it reads 20260131 and 2026-W05-6 as well
    except (TypeError, ValueError):
        same = False
    if not same:
        raise arguments.wrong(text, "a head's date", "one like 2026-01-31", HeadError)


def _temperature(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise HeadError(f"a head's temperature is {text!r}; expected a number") from error
