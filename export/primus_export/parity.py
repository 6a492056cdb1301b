"""How far an exported file may be from the reference, and how far it is.

A bound is part of the product: a file that misses it is not written. fp32 is bounded by the largest difference, in
units of the reference's RMS; the others by the smallest cosine of any window's embedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from primus_export.errors import ParityError
from primus_export.formats.base import Io, Precision
from primus_models.graph import EMBEDDING, PROBABILITIES, Array

PROVING_WINDOWS = 256

Source: TypeAlias = Literal["made", "calibration"]
"""Whether the windows were made from a seed or given by the user."""


@dataclass(frozen=True)
class Bound:
    """`min_cosine`: every window's cosine must reach it.

    `max_difference_rms`: no number may be further off than that.
    """

    kind: Literal["min_cosine", "max_difference_rms"]
    value: float
    lowered: bool = False

    @property
    def known_answer_cosine(self) -> float:
        """What loading asks of another runtime: twice the room, since its kernels may round differently."""
        return 0.99999 if self.kind == "max_difference_rms" else 1 - 2 * (1 - self.value)


_BOUNDS: dict[Precision, Bound] = {
    "fp32": Bound("max_difference_rms", 1e-5),
    "fp16": Bound("min_cosine", 0.9999),
    "int8": Bound("min_cosine", 0.9999),
    "int4": Bound("min_cosine", 0.999),
}
_FULL_INT8 = Bound("min_cosine", 0.99)
"""Input, output and activations in integers.

The input alone, at 256 levels a channel, costs more than all weights together.
"""

_OPTION = {"min_cosine": "--min-cosine", "max_difference_rms": "--max-difference"}


def bound_for(
    precision: Precision, io: Io, min_cosine: float | None = None, max_difference: float | None = None
) -> Bound:
    """The bound of a precision, or the lower one that was asked for. One that asks for *more* is taken too."""
    standard = _FULL_INT8 if io == "int8" else _BOUNDS[precision]
    asked = min_cosine if standard.kind == "min_cosine" else max_difference
    if asked is None:
        return standard
    lowered = asked < standard.value if standard.kind == "min_cosine" else asked > standard.value
    return Bound(standard.kind, asked, lowered)


@dataclass(frozen=True)
class Report:
    """What was measured: the smallest cosine and the largest difference over the reference's RMS, and on what."""

    windows: int
    source: Source
    min_cosine: float
    max_difference_rms: float
    bound: Bound
    max_probability_difference: float | None = None

    def check(self, what: str) -> None:
        """Raise where the bound is missed.

        Raises:
            ParityError: with the figure, the bound, and the option that lowers it.
        """
        if self.max_probability_difference is not None and not math.isfinite(self.max_probability_difference):
            raise ParityError(
                f"{what} is not written: its head's probabilities come out as NaN; fit a head whose weights, "
                "divided by its temperature, are numbers that float32 holds"
            )
        figure: float = getattr(self, self.bound.kind)
        held = figure >= self.bound.value if self.bound.kind == "min_cosine" else figure <= self.bound.value
        if not held:  # also when the figure is NaN
            raise ParityError(
                f"{what} is not written: its {self.bound.kind.replace('_', ' ')} is {figure:.6g} "
                f"over {self.windows} windows, the bound is {self.bound.value:g}; "
                f"{_OPTION[self.bound.kind]} accepts a lower one and records it in the manifest"
            )

    def as_manifest(self) -> dict[str, Any]:
        """The report as it stands in `manifest.json`."""
        entry: dict[str, Any] = {
            "windows": self.windows,
            "source": self.source,
            "min_cosine": round(self.min_cosine, 8),
            "max_difference_rms": float(f"{self.max_difference_rms:.3g}"),
            "bound": {self.bound.kind: self.bound.value},
            "bound_lowered": self.bound.lowered,
        }
        if self.max_probability_difference is not None:
            entry["max_probability_difference"] = float(f"{self.max_probability_difference:.3g}")
        return entry


def compare(expected: dict[str, Array], actual: dict[str, Array], bound: Bound, source: Source) -> Report:
    """Hold a file's outputs against the reference's, window by window."""
    reference, embedding = expected[EMBEDDING].astype(np.float64), actual[EMBEDDING].astype(np.float64)
    if reference.shape != embedding.shape:
        raise ParityError(f"the file gives embeddings of shape {embedding.shape}; expected {reference.shape}")
    rms = float(np.sqrt(np.mean(reference**2)))
    probabilities = None
    if PROBABILITIES in expected:
        probabilities = float(np.abs(expected[PROBABILITIES] - actual[PROBABILITIES]).max())
    return Report(
        windows=len(reference),
        source=source,
        min_cosine=float(cosines(reference, embedding).min()),
        max_difference_rms=float(np.abs(reference - embedding).max() / rms) if rms else float("inf"),
        bound=bound,
        max_probability_difference=probabilities,
    )


def cosines(a: Array | np.ndarray, b: Array | np.ndarray) -> np.ndarray:
    """Cosine of each row of a with the same row of b; NaN where a row is all zero."""
    with np.errstate(invalid="ignore"):
        result: np.ndarray = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return result
