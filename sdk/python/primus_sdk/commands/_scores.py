"""How often a recogniser was right, beside what guessing would get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Scores:
    """Figures over all windows.

    Attributes:
        labels: the classes, sorted; those seen and those recognised.
        confusion: int (K, K), windows by [true class, recognised class].
        recall, precision, f1: (K,) each; 0 where undefined.
    """

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]

    @property
    def windows(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of windows recognised rightly."""
        return float(np.trace(self.confusion)) / max(self.windows, 1)

    @property
    def recall(self) -> NDArray[np.float64]:
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def precision(self) -> NDArray[np.float64]:
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def f1(self) -> NDArray[np.float64]:
        total = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        return _ratio(2 * np.diag(self.confusion), total)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur."""
        occurs = self.confusion.sum(axis=1) > 0
        return float(self.f1[occurs].mean()) if occurs.any() else 0.0

    @property
    def chance(self) -> float:
        """Accuracy of always saying the commonest class: more than that is recognition."""
        return float(self.confusion.sum(axis=1).max(initial=0)) / max(self.windows, 1)


def scores(true: Sequence[str], recognised: Sequence[str]) -> Scores:
    """Score windows by their true and recognised labels, one each."""
    labels = tuple(sorted({*true, *recognised}))
    place = {label: index for index, label in enumerate(labels)}
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    for (one, other), count in Counter(zip(true, recognised, strict=True)).items():
        confusion[place[one], place[other]] = count
    return Scores(labels, confusion)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(part / np.maximum(whole, 1), np.float64)
