"""A head without a single recording: the class of a window is the text whose embedding is the nearest to its own.

The paper's pretraining divides the cosine of a window's and a text's embedding by a temperature: the probability of
text k is softmax(cos(e, t_k) / temperature). A head is linear, and so takes one length for every embedding e, the
median of the windows it is made on. The label is the same whatever the length; the probabilities are those of a
temperature that is off by the factor that e's length is. `ZeroShot` says how far off they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from primus_export.errors import ExportError
from primus_export.text import Embeds, TextFile
from primus_models import reference
from primus_models.checkpoint import Checkpoint
from primus_models.graph import EMBEDDING, EMBEDDING_SIZE, Array
from primus_models.text_space import TextSpace
from primus_sdk.heads.head import Head


@dataclass(frozen=True, eq=False)
class ZeroShot:
    """A head made from texts, and how far it is from softmax(cos / temperature) on the windows it was made on.

    length: of an embedding, the median. lengths: the 5th and 95th percentile, over the median.
    largest_difference, median_difference: of a window's probabilities, the largest of its classes.
    """

    head: Head
    length: float
    lengths: tuple[float, float]
    largest_difference: float
    median_difference: float


def zero_shot(checkpoint: Checkpoint, labels: Sequence[str], tower: Embeds, windows: Array) -> ZeroShot:
    """A head whose classes are the labels, from their texts' embeddings.

    windows `(n, 6, 250)`, m/s^2 and rad/s: what embeddings look like in use.

    Raises:
        ExportError: the checkpoint was not aligned with text, the tower is another one, or a text embedding is no
            direction.
        HeadError: fewer than two labels, or two alike.
    """
    space = _space(checkpoint, tower)
    texts = [space.text_of(label) for label in labels]
    vectors = np.asarray(tower.embed(texts), np.float64)
    if vectors.shape != (len(texts), space.size):
        raise ExportError(
            f"the text tower gave embeddings of shape {vectors.shape}; the checkpoint was aligned with "
            f"{space.tower}, which gives {(len(texts), space.size)}"
        )
    padded = np.zeros((len(texts), EMBEDDING_SIZE))
    padded[:, : space.size] = vectors
    embeddings = reference.run(checkpoint.graph(), windows)[EMBEDDING].astype(np.float64)
    lengths = np.linalg.norm(embeddings, axis=1)
    length = float(np.median(lengths))
    weight, bias = (padded / length).astype(np.float32), np.zeros(len(texts), np.float32)
    head = Head(tuple(labels), weight, bias, checkpoint.sha256, float(space.temperature))
    exact = _softmax(embeddings / lengths[:, None] @ padded.T / space.temperature)
    differences = np.abs(head.probabilities(embeddings) - exact).max(axis=1)
    low, high = np.percentile(lengths / length, [5, 95])
    return ZeroShot(head, length, (float(low), float(high)), float(differences.max()), float(np.median(differences)))


def not_aligned(checkpoint: Checkpoint) -> ExportError:
    """The error for a checkpoint without a text space."""
    return ExportError(
        f"--labels needs a checkpoint that was aligned with text in pretraining; {checkpoint.name!r} was not "
        "(its metadata has no text record): calibrate a head on recordings, or take one that was"
    )


def _space(checkpoint: Checkpoint, tower: Embeds) -> TextSpace:
    if checkpoint.text is None:
        raise not_aligned(checkpoint)
    if isinstance(tower, TextFile) and tower.tower not in ("", checkpoint.text.tower):
        raise ExportError(
            f"{tower.path} holds embeddings of {tower.tower}; the checkpoint was aligned with {checkpoint.text.tower}"
        )
    return checkpoint.text


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return result
