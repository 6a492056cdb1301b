"""What a head says of an embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from primus_sdk.head import Head


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a window was recognised as.

    label: the likeliest. probability: its own, 0 to 1. probabilities: of every label, in the head's order.
    embedding: `(512,)` float32.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    embedding: NDArray[np.float32]


def predict(head: Head, embedding: NDArray[np.float32]) -> Prediction:
    """What `head` says of one embedding `(512,)`."""
    probabilities = head.probabilities(embedding)
    best = int(probabilities.argmax())
    return Prediction(
        label=head.labels[best],
        probability=float(probabilities[best]),
        probabilities=dict(zip(head.labels, map(float, probabilities), strict=True)),
        embedding=embedding,
    )
