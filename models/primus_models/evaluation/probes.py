"""What reads features: the head that runs on the device, scikit-learn's classifiers beside it, and guessing."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import EvaluationError
from primus_models.evaluation.protocol import Episode
from primus_models.graph import EMBEDDING_SIZE, Array
from primus_sdk.calibration.fit import fit_head
from primus_sdk.errors import RuntimeUnavailableError
from primus_sdk.heads.head import Head

Places = NDArray[np.int64]
"""Places of labels, 0 to K - 1: (n,)."""


class Probe(Protocol):
    """A classifier on frozen features."""

    @property
    def name(self) -> str:
        """As the results call it."""
        ...

    @property
    def identity(self) -> str:
        """Equal where two recognise alike: the key of what is kept of it."""
        ...

    @property
    def needs_shots(self) -> bool:
        """Whether it is fitted; one that is not is measured once a parting, at 0 shots."""
        ...

    def recognise(self, episode: Episode, fitted: Array, labels: Places, tested: Array) -> Places:
        """Fit on features `(n, d)` with their labels, and say what the tested `(m, d)` are."""
        ...


@dataclass(frozen=True)
class DeviceHead:
    """The linear probe: the SDK's own head, as `primus-calibrate` fits it and the device runs it."""

    name: str = "linear head"
    identity: str = "fit_head"
    needs_shots: bool = True

    def recognise(self, episode: Episode, fitted: Array, labels: Places, tested: Array) -> Places:
        """See `Probe`. Features that are no embedding are standardised by the shots and widened with zeros to 512.

        Raises:
            CalibrationError: the features cannot be fitted.
        """
        if fitted.shape[1] < EMBEDDING_SIZE:
            centre, spread = fitted.mean(axis=0), fitted.std(axis=0) + 1e-6
            fitted, tested = (_widened((x - centre) / spread) for x in (fitted, tested))
        head = fit_head(fitted, [str(place) for place in labels], "any")
        places = np.array([int(label) for label in head.labels])
        return np.asarray(places[head.probabilities(tested).argmax(axis=1)], np.int64)


@dataclass(frozen=True)
class OwnHead:
    """The head that a bundle carries, as it is; of its labels those of the data are looked at."""

    head: Head
    labels: tuple[str, ...]
    name: str = "the bundle's own head"
    needs_shots: bool = False

    @property
    def identity(self) -> str:
        """See `Probe`."""
        return f"own head {self.labels}"

    def recognise(self, episode: Episode, fitted: Array, labels: Places, tested: Array) -> Places:
        """See `Probe`."""
        columns = [self.head.labels.index(label) for label in self.labels]
        return np.asarray(self.head.probabilities(tested)[:, columns].argmax(axis=1), np.int64)


@dataclass(frozen=True)
class Guess:
    """Each of the labels that could be learnt, as often as any other."""

    name: str = "chance"
    identity: str = "guess"
    needs_shots: bool = False

    def recognise(self, episode: Episode, fitted: Array, labels: Places, tested: Array) -> Places:
        """See `Probe`."""
        return np.asarray(np.random.default_rng(episode.seed).choice(episode.known, len(tested)), np.int64)


@dataclass(frozen=True)
class Sklearn:
    """A classifier of scikit-learn; make: gives it, not fitted yet, for a seed."""

    name: str
    identity: str
    make: Callable[[int], Any]
    needs_shots: bool = True

    def recognise(self, episode: Episode, fitted: Array, labels: Places, tested: Array) -> Places:
        """See `Probe`.

        Raises:
            RuntimeUnavailableError: scikit-learn is not installed.
        """
        model = self.make(int(np.random.default_rng(episode.seed).integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", _sklearn("exceptions").ConvergenceWarning)  # near enough after 2000 steps
            return np.asarray(model.fit(fitted, labels).predict(tested), np.int64)


def logistic() -> Sklearn:
    """Logistic regression on features standardised by the shots, C = 1."""
    return Sklearn("logistic regression", "sklearn logistic C=1", lambda seed: _sklearn("pipeline").make_pipeline(
        _sklearn("preprocessing").StandardScaler(), _sklearn("linear_model").LogisticRegression(max_iter=2000)
    ))  # fmt: skip


def forest() -> Sklearn:
    """A random forest of 300 trees."""
    return Sklearn("random forest", "sklearn forest 300", lambda seed: _sklearn("ensemble").RandomForestClassifier(
        300, random_state=seed, n_jobs=1
    ))  # fmt: skip


def has_sklearn() -> bool:
    """Whether scikit-learn is installed."""
    return importlib.util.find_spec("sklearn") is not None


def own_head(head: Head | None, labels: tuple[str, ...]) -> OwnHead | None:
    """A bundle's own head, where it has one that knows all labels of the data."""
    return OwnHead(head, labels) if head is not None and set(labels) <= set(head.labels) else None


def checked_features(features: Array, name: str) -> Array:
    """The features, once they are known to be numbers.

    Raises:
        EvaluationError: one is NaN or infinite.
    """
    if not np.isfinite(features).all():
        raise EvaluationError(f"{name} gives NaN or infinity for some window: look at its weights and at the data")
    return features


def _widened(features: Array) -> Array:
    return np.pad(features, ((0, 0), (0, EMBEDDING_SIZE - features.shape[1])))


def _sklearn(module: str) -> Any:
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise RuntimeUnavailableError(
            "scikit-learn is not installed; pip install 'primus-imu[evaluate]' brings it"
        ) from error
