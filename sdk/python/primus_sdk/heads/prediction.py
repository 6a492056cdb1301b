"""What a head says of an embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from primus_sdk import arguments
from primus_sdk.errors import StreamError
from primus_sdk.heads.head import Head


@dataclass(frozen=True, eq=False, slots=True)
class Prediction:
    """What a window was recognised as.

    Attributes:
        label: the likeliest label; None where its probability is below the rejection threshold: "none of these".
        likeliest: the likeliest label, rejected or not.
        probability: its own, 0 to 1.
        labels: the K labels of the head, in its order.
        values: float64 (K,), the probability of each; in a stream with smoothing the smoothed one. Not to be written
            to: those of a window at rest may stand for later ones.
        embedding: float32 (512,), of this window alone.
    """

    label: str | None
    likeliest: str
    probability: float
    labels: tuple[str, ...]
    values: NDArray[np.float64]
    embedding: NDArray[np.float32]

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of every label, in the head's order."""
        return dict(zip(self.labels, self.values.tolist(), strict=True))


def predict(head: Head, embedding: NDArray[np.float32], reject_below: float = 0.0) -> Prediction:
    """What `head` says of one embedding `(512,)`; its label is None where the probability is below `reject_below`."""
    return from_values(head.labels, head.probabilities(embedding), embedding, reject_below)


def from_values(
    labels: tuple[str, ...], values: NDArray[np.float64], embedding: NDArray[np.float32], reject_below: float
) -> Prediction:
    """The prediction that the probabilities `(K,)` make, which it keeps: of equal ones the first label's."""
    values.setflags(write=False)
    best = int(values.argmax())
    label, probability = labels[best], float(values[best])
    return Prediction(None if probability < reject_below else label, label, probability, labels, values, embedding)


def checked_threshold(reject_below: float) -> float:
    """A rejection threshold, once it is known to be one.

    Raises:
        StreamError: it is no number from 0 to 1.
    """
    expected = "a probability, 0 (rejects nothing) to 1"
    return arguments.number(reject_below, "reject_below", expected, StreamError, 0, 1)
