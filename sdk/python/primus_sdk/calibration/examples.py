"""Labelled examples for a head: embeddings with their labels and times, kept in memory or in a file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.bundles.manifest import EMBEDDING_SIZE
from primus_sdk.calibration.fit import fit_head
from primus_sdk.errors import CalibrationError, OutputError, StreamError
from primus_sdk.fields import Fields, parse_json
from primus_sdk.files import write_atomically
from primus_sdk.heads.head import Head
from primus_sdk.tensor_file import TensorFile, Tensors
from primus_sdk.windowing import pushed

if TYPE_CHECKING:
    from primus_sdk.calibration.validation import Report

MOST_LABELS = 64
MOST_OF_A_LABEL = 500
"""Together they bound a file of examples, and a `Calibrator`'s memory, at 66 MB; ten labels' worth is 10 MB."""
_LARGEST_TIME = 1 << 62
_LONGEST_LABEL = 200
FILE = TensorFile(
    kind="file of examples",
    format="primus-examples",
    version=1,
    types={"embeddings": "<f4", "labels": "<i4", "bouts": "<i4", "times_ns": "<i8", "mount": "<f8"},
    optional=frozenset({"mount"}),
    largest=68 << 20,
    error=CalibrationError,
)
"""How examples are kept; sdk/spec/calibration.md."""


@dataclass(frozen=True, eq=False)
class Examples:
    """n windows of which the label is known.

    encoder_sha256: the encoder that made the embeddings. embeddings: `(n, 512)` float32. labels: n texts.
    bouts: `(n,)` int32; examples of one uninterrupted doing share a number. times_ns: `(n, 2)` int64, each window's
    start and end on its stream's clock. mount: the rotation `(3, 3)` learnt from use under which the windows were
    taken, None where there was none; a head that is fitted on them carries it.

    Raises:
        CalibrationError: a field is misshapen, of another type, not finite, or beyond the bounds: 64 labels, 500
            examples of each, bouts of 32 bits.
    """

    encoder_sha256: str
    embeddings: NDArray[np.float32]
    labels: tuple[str, ...]
    bouts: NDArray[np.int32]
    times_ns: NDArray[np.int64]
    mount: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        arguments.text(self.encoder_sha256, "the examples' encoder_sha256", CalibrationError)
        if isinstance(self.labels, str) or not isinstance(self.labels, Iterable):
            raise arguments.wrong(self.labels, "the examples' labels", "a list of texts", CalibrationError)
        labels = tuple(self.labels)
        for label in labels:
            check_label(label)
        _check_bounds(Counter(labels))
        object.__setattr__(self, "labels", labels)
        for name, shape in (("embeddings", (EMBEDDING_SIZE,)), ("bouts", ()), ("times_ns", (2,))):
            object.__setattr__(self, name, _kept(getattr(self, name), name, (len(labels), *shape)))
        if not np.isfinite(self.embeddings).all():
            raise CalibrationError("an example's embedding holds NaN or infinity; leave that window out")
        starts, ends = self.times_ns.T
        if not ((starts < ends) & (starts > -_LARGEST_TIME) & (ends < _LARGEST_TIME)).all():
            raise CalibrationError(f"an example's time is no start and later end within +-{_LARGEST_TIME} ns")
        try:
            mount = pushed.rotation(self.mount)
        except StreamError as error:
            raise CalibrationError(f"of examples, {error}") from error
        object.__setattr__(self, "mount", mount)

    @classmethod
    def none(cls, encoder_sha256: str, mount: ArrayLike | None = None) -> Examples:
        """No examples yet."""
        nothing = np.empty((0, EMBEDDING_SIZE), np.float32), (), np.empty(0, np.int32), np.empty((0, 2), np.int64)
        rotation = None if mount is None else arguments.floats(mount, "a mount's numbers", CalibrationError)
        return cls(encoder_sha256, *nothing, mount=rotation)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> dict[str, int]:
        """How many examples there are of each label, by its name."""
        return dict(sorted(Counter(self.labels).items()))

    def joined(self, other: Examples) -> Examples:
        """These, then those of `other`, whose bouts get numbers of their own.

        Raises:
            CalibrationError: they are of another encoder, only one of the two was taken under a mount learnt from use,
                or together they are too many.
        """
        other.check_encoder(self.encoder_sha256)
        if (self.mount is None) != (other.mount is None):
            without, under = "without a mount learnt from use", "under one"
            raise CalibrationError(
                f"the examples to add were taken {under if self.mount is None else without}, those that are there "
                f"{without if self.mount is None else under}: they do not mix; take both alike, or calibrate anew"
            )
        own, others = (np.unique(part.bouts, return_inverse=True)[1].astype(np.int32) for part in (self, other))
        return replace(
            self,
            embeddings=np.concatenate([self.embeddings, other.embeddings]),
            labels=self.labels + other.labels,
            bouts=np.concatenate([own, others + own.max(initial=-1) + 1]),
            times_ns=np.concatenate([self.times_ns, other.times_ns]),
        )

    def check_encoder(self, encoder_sha256: str) -> None:
        """Refuse to be used with another encoder.

        Raises:
            CalibrationError: the examples are another encoder's embeddings.
        """
        if self.encoder_sha256 != encoder_sha256:
            raise CalibrationError(
                f"the examples were collected with encoder {self.encoder_sha256[:12]}, this one is "
                f"{encoder_sha256[:12]}: collect them anew, or take the encoder that they were collected with"
            )

    def fit(self, prior: Head | None = None, c: float | None = None) -> Head:
        """Fit a head, as `calibration.fit_head`; with a prior its labels stay and new ones are added.

        Raises:
            CalibrationError: too few examples or labels.
            HeadError: the prior belongs to another encoder.
        """
        self._check_any()
        return fit_head(self.embeddings, self.labels, self.encoder_sha256, c=c, prior=prior, mount=self.mount)

    def report(self, folds: int = 5, prior: Head | None = None, c: float | None = None) -> Report:
        """How well a head that is fitted as `fit` does will recognise: cross-validated, a bout never on both sides.

        Raises:
            CalibrationError: too few examples, bouts or labels.
            HeadError: the prior belongs to another encoder.
        """
        from primus_sdk.calibration.validation import cross_validate

        self._check_any()
        starts, ends = self.times_ns.T
        return cross_validate(
            self.embeddings, self.labels, self.bouts, self.encoder_sha256,
            folds=folds, prior=prior, starts_ns=starts, ends_ns=ends, c=c,
        )  # fmt: skip

    def _check_any(self) -> None:
        if not len(self):
            raise CalibrationError("there are no examples yet; collect some between begin(label) and end()")

    def to_bytes(self) -> bytes:
        """The examples as safetensors, with their own sha256 in the metadata."""
        names = sorted(set(self.labels))
        place = {name: index for index, name in enumerate(names)}
        tensors: Tensors = {
            "embeddings": self.embeddings,
            "labels": np.array([place[label] for label in self.labels], np.int32),
            "bouts": self.bouts,
            "times_ns": self.times_ns,
        }
        if self.mount is not None:
            tensors["mount"] = self.mount
        metadata = {
            "encoder_sha256": self.encoder_sha256,
            "labels": json.dumps(names),
        }
        return FILE.pack(tensors, metadata)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write them to a file, whole or not at all.

        Raises:
            OutputError: the file cannot be written; what stood there is untouched.
        """
        write_atomically(Path(arguments.path(path, "where examples are saved", OutputError)), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Examples:
        """Read them from a file.

        Raises:
            CalibrationError: nothing there, no examples, of a newer schema, truncated, or altered in any bit.
        """
        path = Path(arguments.path(path, "a file of examples", CalibrationError))
        content = FILE.read(path)
        try:
            return cls.from_bytes(content)
        except CalibrationError as error:
            raise CalibrationError(f"{path}: {error}") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> Examples:
        """Read them from the bytes of their file.

        Raises:
            CalibrationError: no examples, of a newer schema, truncated, or altered in any bit.
        """
        tensors, metadata = FILE.unpack(content)
        fields = Fields(metadata, "the examples' metadata", CalibrationError)
        parsed = parse_json(fields["labels"].text().encode(), "labels", CalibrationError)
        names = [label.text() for label in Fields(parsed, "labels", CalibrationError).elements()]
        indices = tensors["labels"]
        if indices.ndim != 1 or (len(indices) and not (indices.min() >= 0 and indices.max() < len(names))):
            raise CalibrationError(f"an example's label is none of the {len(names)} that the file names")
        return cls(
            encoder_sha256=fields["encoder_sha256"].text(),
            embeddings=tensors["embeddings"],
            labels=tuple(names[index] for index in indices),
            bouts=tensors["bouts"],
            times_ns=tensors["times_ns"],
            mount=tensors.get("mount"),
        )


def check_label(label: object) -> None:
    """Refuse what cannot be a label.

    Raises:
        CalibrationError: it is no text, empty, longer than 200 characters, or no Unicode (half a surrogate pair).
    """
    if not (isinstance(label, str) and 0 < len(label) <= _LONGEST_LABEL):
        raise CalibrationError(f"the label is {label!r:.40}; expected a text of 1 to {_LONGEST_LABEL} characters")
    arguments.text(label, "the label", CalibrationError)


def _check_bounds(counts: Counter[str]) -> None:
    label, most = max(counts.items(), key=lambda item: item[1], default=("", 0))
    if most > MOST_OF_A_LABEL:
        raise CalibrationError(f"{most} examples of {label!r}; at most {MOST_OF_A_LABEL} of a label are kept")
    if len(counts) > MOST_LABELS:
        raise CalibrationError(f"examples of {len(counts)} labels; at most {MOST_LABELS} labels are kept")


def _kept(array: ArrayLike, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    kind = np.dtype(FILE.types[name])
    words = f"the examples' {name}"
    kept = arguments.floats(array, words, CalibrationError, kind) if kind.kind == "f" else _whole(array, words, kind)
    if kept.shape != shape:
        raise CalibrationError(f"the examples' {name} have shape {kept.shape}; their labels ask for {shape}")
    kept.flags.writeable = False
    return kept


def _whole(array: ArrayLike, words: str, kind: np.dtype[Any]) -> NDArray[Any]:
    """Whole numbers as `kind`, of which none is changed by that: two bouts must not become one."""
    bounds = np.iinfo(kind)
    expected = f"whole numbers from {bounds.min} to {bounds.max}"
    try:
        given = np.asarray(array)
    except (ValueError, OverflowError) as error:
        raise CalibrationError(f"{words} are no array ({error}); expected {expected}") from error
    if given.size and given.dtype.kind not in "iu":
        raise CalibrationError(f"{words} are of the type {given.dtype}; expected {expected}")
    if given.size and not bounds.min <= int(given.min()) <= int(given.max()) <= bounds.max:
        raise CalibrationError(f"{words} lie between {given.min()} and {given.max()}; expected {expected}")
    return given.astype(kind)
