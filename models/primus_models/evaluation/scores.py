"""The figures of one test, and of many: accuracy and macro F1, with the standard error of their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Outcome:
    """One probe fitted once and tested once.

    accuracy, macro_f1: 0..1. confusion: int (K, K), windows by [true, recognised], in the order of the data's labels.
    fitted_on: how many windows the probe saw.
    """

    accuracy: float
    macro_f1: float
    confusion: NDArray[np.int64]
    fitted_on: int


@dataclass(frozen=True)
class Mean:
    """A figure's mean, and its standard error: None of one value, which has none."""

    value: float
    error: float | None


def outcome(truth: NDArray[np.int64], recognised: NDArray[np.int64], labels: int, fitted_on: int) -> Outcome:
    """Score places of labels `(n,)`, true and recognised, each 0 to `labels` - 1."""
    confusion = np.zeros((labels, labels), np.int64)
    np.add.at(confusion, (truth, recognised), 1)
    return Outcome(float((truth == recognised).mean()), macro_f1(truth, recognised), confusion, fitted_on)


def macro_f1(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """The mean over the true labels of each one's F1."""
    scores = []
    for label in np.unique(truth):
        hits = ((truth == label) & (predicted == label)).sum()
        scores.append(2 * hits / ((truth == label).sum() + (predicted == label).sum()))
    return float(np.mean(scores))


def mean(values: Sequence[float] | NDArray[np.float64]) -> Mean:
    """The mean of the units' figures, and its standard error: their standard deviation over the root of their number.

    A unit is a trial, or a fold of people; of two figures of one unit the difference is taken first, so that what makes
    a unit hard for both candidates does not count as doubt about which is better.
    """
    numbers = np.asarray(values, np.float64)
    error = None if len(numbers) < 2 else float(numbers.std(ddof=1) / np.sqrt(len(numbers)))
    return Mean(float(numbers.mean()), error)
