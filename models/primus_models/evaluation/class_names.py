"""Zero shots: the label of a window is the class name whose text embedding is the nearest to the window's own.

The text embeddings are made elsewhere, by the tower that pretraining aligned the encoder with: a safetensors file with
one vector for each text, by name, whose metadata may name the `tower` (what primus-export --text-embeddings takes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from primus_models.errors import EvaluationError
from primus_models.evaluation.probes import Places
from primus_models.evaluation.protocol import Episode
from primus_models.graph import EMBEDDING_SIZE, Array
from primus_models.text_space import TextSpace


@dataclass(frozen=True, eq=False)
class ZeroShot:
    """The nearest of the class names' text embeddings, by cosine; vectors: (K, 512), each of length 1."""

    vectors: Array
    name: str = "zero-shot"
    needs_shots: bool = False

    @property
    def identity(self) -> str:
        """See `Probe`."""
        return f"zero-shot {hashlib.sha256(np.ascontiguousarray(self.vectors, '<f4').tobytes()).hexdigest()}"

    def recognise(self, episode: Episode, fitted: Array, labels: Places, tested: Array) -> Places:
        """See `Probe`; a window's length changes no cosine's order."""
        return np.asarray((tested @ self.vectors.T).argmax(axis=1), np.int64)


def vectors(path: Path, space: TextSpace, labels: Sequence[str]) -> Array:
    """The class names' embeddings `(K, 512)`, each of length 1, padded with zeros as in pretraining.

    Raises:
        EvaluationError: the file cannot be read, is of another tower, or lacks a class name.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            tower = (file.metadata() or {}).get("tower", "")
            there = set(file.keys())
            texts = [space.text_of(label) for label in labels]
            missing = [text for text in texts if text not in there]
            if missing:
                raise EvaluationError(
                    f"{path} has no embedding of {missing[0]!r}, only of {sorted(there)[:20]}: add it, by {space.tower}"
                )
            found = [np.asarray(file.get_tensor(text), np.float64) for text in texts]
    except (SafetensorError, OSError, TypeError) as error:
        raise EvaluationError(f"{path} cannot be read as text embeddings in safetensors ({error})") from error
    if tower not in ("", space.tower):
        raise EvaluationError(f"{path} holds embeddings of {tower}; the checkpoint was aligned with {space.tower}")
    made = np.zeros((len(labels), EMBEDDING_SIZE), np.float32)
    for row, vector in enumerate(found):
        length = np.linalg.norm(vector)
        if vector.shape != (space.size,) or not (np.isfinite(length) and length > 0):
            raise EvaluationError(
                f"{path}: the embedding of {texts[row]!r} is no direction of {space.size} numbers "
                f"(its shape is {vector.shape}, its length {length:g})"
            )
        made[row, : space.size] = vector / length
    return made
