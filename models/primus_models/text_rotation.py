"""Turns a finished encoder's embedding so that each activity's centre points at its name, and few-shot stays as it was.

The paper aligns windows with text in pretraining (section II-B). An encoder that was trained on labels is brought there
afterwards by what no linear probe can tell from the embedding it had: a rotation and a shift, both folded into the last
layer. The rotation is the orthogonal one that brings the activities' centres nearest to the embeddings of their names
(Procrustes). The shift takes away the middle of the centres, which says nothing of any, and puts as much into the
numbers that texts leave at 0: the embedding keeps its size, and with it what rounding costs. What it cannot do:
activities that training never named end up anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from primus_models.checkpoint import Checkpoint
from primus_models.errors import TrainingError
from primus_models.graph import EMBEDDING_SIZE, Array
from primus_models.text_space import TextSpace
from primus_models.towers.base import TextTower

WEIGHT, BIAS = "mmcl_head.weight", "mmcl_head.bias"
"""The layer that gives the embedding, in every architecture."""
_COLDEST, _HOTTEST = 0.005, 1.0


def turned_to_text(
    checkpoint: Checkpoint, embeddings: Array, labels: Sequence[str] | NDArray[np.str_], tower: TextTower, prompt: str
) -> Checkpoint:
    """The encoder with its embedding turned to the names' embeddings, and the text space on record.

    Args:
        checkpoint: what was trained.
        embeddings: `(n, 512)`, its embeddings of labelled windows.
        labels: `(n,)`, two or more names.
        tower: embeds the names; its size is at most 512.
        prompt: as in `TextSpace`.

    Raises:
        TrainingError: fewer than two labels.
        CheckpointError: the tower is too large, or the prompt has no place for the label.
    """
    names, places = np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < 2:
        raise TrainingError(f"the windows have {len(names)} label; two or more names are needed to turn to")
    space = TextSpace(tower.name, tower.size, 1.0, prompt)
    texts = np.zeros((len(names), EMBEDDING_SIZE))
    texts[:, : tower.size] = tower.embed([space.text_of(str(name)) for name in names])
    values = np.asarray(embeddings, np.float64)
    centres = np.stack([values[places == place].mean(axis=0) for place in range(len(names))])
    middle = centres.mean(axis=0)
    left, _, right = np.linalg.svd((texts - texts.mean(axis=0)).T @ (centres - middle))
    rotation = left @ right
    weight = rotation @ checkpoint.tensors[WEIGHT].astype(np.float64)
    aside = np.zeros(EMBEDDING_SIZE)
    aside[tower.size :] = np.linalg.norm(middle) / np.sqrt(max(EMBEDDING_SIZE - tower.size, 1))
    bias = rotation @ (checkpoint.tensors[BIAS].astype(np.float64) - middle) + aside
    tensors = {**checkpoint.tensors, WEIGHT: weight.astype(np.float32), BIAS: bias.astype(np.float32)}
    turned = (values - middle) @ rotation.T + aside
    cosines = turned / np.linalg.norm(turned, axis=1, keepdims=True) @ texts.T
    return replace(checkpoint, tensors=tensors, text=replace(space, temperature=_temperature(cosines, places)))


def _temperature(cosines: Array, truth: NDArray[np.int64]) -> float:
    """What makes softmax(cosine / temperature) likeliest, from 0.005 to 1."""

    def surprise(log: float) -> float:
        logits = cosines / np.exp(log)
        logits -= logits.max(axis=1, keepdims=True)
        own = np.take_along_axis(logits, truth[:, None], axis=1)[:, 0]
        return float((np.log(np.exp(logits).sum(axis=1)) - own).mean())

    found = minimize_scalar(surprise, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return round(float(np.exp(found.x)), 4)
