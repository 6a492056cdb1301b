"""What preparing and exporting need of a frozen text or video tower (paper section II; CLIP4Clip in the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import TowerError
from primus_models.graph import Array

FRAMES = 10
"""Frames of a window that a video tower sees."""


class _Frozen(Protocol):
    @property
    def name(self) -> str:
        """What prepared data and checkpoints call it; the name of a folder."""
        ...

    @property
    def size(self) -> int:
        """Numbers in an embedding, d."""
        ...

    @property
    def identity(self) -> str:
        """A hash of its weights and of what it does to its input: others give other embeddings."""
        ...


class TextTower(_Frozen, Protocol):
    """A text encoder."""

    def embed(self, texts: Sequence[str]) -> Array:
        """Embeddings `(n, d)` float32 of n texts, each of length 1.

        Raises:
            TowerError: an embedding is zero or not finite.
        """
        ...


class VideoTower(_Frozen, Protocol):
    """An image encoder that sees a window of video as the mean of its frames' embeddings."""

    @property
    def side(self) -> int:
        """Pixels of a frame's shorter side that it needs; frames may be scaled down to that before they come."""
        ...

    def embed(self, frames: NDArray[np.uint8]) -> Array:
        """Embeddings `(n, d)` float32 of n windows' frames `(n, f, h, w, 3)`, RGB 0 to 255; each of length 1.

        Raises:
            TowerError: an embedding is zero or not finite.
        """
        ...


@dataclass(frozen=True)
class Opened:
    """A tower in memory; some both read texts and see video."""

    text: TextTower | None = None
    video: VideoTower | None = None


Opener = Callable[[], Opened]
"""Opens a tower where it is needed: it can be pickled and hashed, and is small; a process opens each but once."""


@dataclass(frozen=True)
class Towers:
    """The towers that embeddings are prepared of."""

    text: tuple[Opener, ...] = field(default=())
    video: tuple[Opener, ...] = field(default=())


def unit(vectors: Sequence[Array] | Array) -> Array:
    """Vectors `(n, d)` brought to length 1, float32.

    Raises:
        TowerError: one of them is zero or not finite.
    """
    wide = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise TowerError("an embedding is zero, or holds NaN or infinity: take a whole copy of the tower or the file")
    result: Array = (wide / lengths).astype(np.float32)
    return result
