"""Embeddings of texts: from a text tower (`primus_models.towers`), or from a file that any tower wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError, safe_open

from primus_export.errors import ExportError
from primus_models.graph import Array
from primus_models.towers.base import unit


class Embeds(Protocol):
    """A text tower, or a file of what one gave; `primus_models.towers.base.TextTower` is one."""

    def embed(self, texts: list[str]) -> Array:
        """Embeddings `(n, d)` float32 of n texts, each of length 1."""


class TextFile:
    """Embeddings that were computed elsewhere: a safetensors file with one vector `(d,)` for each text, by name.

    Its metadata may name the `tower` that they are of.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ExportError: it cannot be read, or holds something else than finite vectors of one size.
        """
        self.path = path
        try:
            with safe_open(path, framework="numpy") as file:
                self.tower: str = (file.metadata() or {}).get("tower", "")
                self._vectors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, TypeError) as error:
            raise ExportError(f"{path} cannot be read as text embeddings in safetensors ({error})") from error
        shapes = {vector.shape for vector in self._vectors.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ExportError(f"{path} holds tensors of shapes {sorted(shapes)}; expected vectors of one size")

    def embed(self, texts: list[str]) -> Array:
        """See `Embeds.embed`.

        Raises:
            ExportError: the file has no vector of that name. TowerError: one is zero or not finite.
        """
        missing = [text for text in texts if text not in self._vectors]
        if missing:
            raise ExportError(f"{self.path} has no embedding of {missing[0]!r}; it has {sorted(self._vectors)[:20]}")
        return unit([self._vectors[text] for text in texts])
