"""A head's fit is the optimum of the stated objective, and is refused where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from primus_sdk import CalibrationError, Head
from primus_sdk.calibration import fit_head

ENCODER = "ab" * 32


def shots(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Embeddings `(n, 512)` far from the origin, of few directions that matter, with overlapping classes."""
    rng = np.random.default_rng(seed)
    target = np.arange(n) % classes
    spectrum = np.arange(1.0, 513) ** -0.8
    centres = rng.normal(size=(classes, 512))
    embeddings = (rng.normal(size=(n, 512)) + 0.7 * centres[target]) * spectrum + 3 * rng.normal(size=512)
    return embeddings.astype(np.float32), [f"class {i}" for i in target]


def gradient_of(head: Head, embeddings: np.ndarray, labels: Sequence[str], c: float) -> np.ndarray:
    """The stated objective's gradient in V and b, `(K, 513)`, written down from the docstring alone."""
    e = embeddings.astype(np.float64)
    mean = e.mean(axis=0)
    rms = np.sqrt(((e - mean) ** 2).mean())
    z, v = (e - mean) / rms, head.weight * rms
    b = head.bias + head.weight @ mean
    logits = z @ v.T + b
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    residual = p - (np.array(labels)[:, np.newaxis] == np.array(head.labels))
    return np.concatenate([residual.T @ z + v / c, residual.sum(axis=0)[:, np.newaxis]], axis=1)


@pytest.mark.parametrize(("n", "classes"), [(10, 2), (50, 10), (255, 3), (300, 10), (700, 4)])
@pytest.mark.parametrize("c", [0.001, 0.003, 0.1])
def test_the_gradient_of_the_stated_objective_vanishes(n: int, classes: int, c: float) -> None:
    embeddings, labels = shots(n, classes)
    head = fit_head(embeddings, labels, ENCODER, c=c)
    # One window's share reaches 1 and more; storing weight and bias in float32 alone leaves about 1e-3.
    assert np.abs(gradient_of(head, embeddings, labels, c)).max() < 5e-3


def test_it_agrees_with_another_optimiser_within_1e_4_in_probability() -> None:
    from sklearn.linear_model import LogisticRegression

    embeddings, labels = shots(200, 5)
    head = fit_head(embeddings, labels, ENCODER)
    e = embeddings.astype(np.float64)
    z = (e - e.mean(axis=0)) / (e - e.mean(axis=0)).std()
    other = LogisticRegression(C=0.003, solver="newton-cg", tol=1e-8, max_iter=1000).fit(z, labels)
    assert list(other.classes_) == list(head.labels)
    assert np.abs(other.predict_proba(z) - head.probabilities(embeddings)).max() < 1e-4


def test_it_is_deterministic_and_blind_to_the_order_of_windows() -> None:
    embeddings, labels = shots(100, 5)
    head, again = (fit_head(embeddings, labels, ENCODER, created="2026-01-31").to_bytes() for _ in range(2))
    assert head == again
    order = np.random.default_rng(3).permutation(100)
    other = fit_head(embeddings[order], [labels[i] for i in order], ENCODER)
    difference = other.probabilities(embeddings) - Head.from_bytes(head).probabilities(embeddings)
    assert np.abs(difference).max() < 1e-4


def test_scale_and_offset_of_the_embedding_do_not_matter() -> None:
    embeddings, labels = shots(100, 5)
    head = fit_head(embeddings, labels, ENCODER)
    other = fit_head(embeddings * 1000 + 7, labels, ENCODER)
    difference = other.probabilities(embeddings * 1000 + 7) - head.probabilities(embeddings)
    assert np.abs(difference).max() < 1e-3


def test_it_learns_and_counts() -> None:
    embeddings, labels = shots(600, 5)
    head = fit_head(embeddings[:300], labels[:300], ENCODER)
    best = head.probabilities(embeddings[300:]).argmax(axis=1)
    assert np.mean([head.labels[i] == label for i, label in zip(best, labels[300:], strict=True)]) > 0.85
    assert head.counts == {f"class {i}": 60 for i in range(5)}
    assert head.labels == tuple(sorted(set(labels)))
    assert head.encoder_sha256 == ENCODER
    assert abs((date.today() - date.fromisoformat(head.created)).days) <= 1
    assert abs(float(head.weight.sum(axis=0).max())) < 1e-3, "of all equal solutions the one that sums to zero"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, y: (e, ["one"] * len(y)), "at least two labels"),
        (lambda e, y: (e[:0], []), "at least two labels"),
        (lambda e, y: (e, y[:-1]), "19 labels for 20 windows"),
        (lambda e, y: (e, "ab" * 10), "a list of texts"),
        (lambda e, y: (e, [1] * len(y)), "a list of texts"),
        (lambda e, y: (e, ["", *y[1:]]), "none empty"),
        (lambda e, y: (np.where(np.arange(512) == 3, np.nan, e), y), "NaN"),
        (lambda e, y: (e[:, :100], y), r"expected \(n, 512\)"),
        (lambda e, y: (e[0], y), r"expected \(n, 512\)"),
        (lambda e, y: (np.ones_like(e), y), "the same embedding"),
        (lambda e, y: (np.zeros_like(e), y), "the same embedding"),
    ],
)
def test_what_cannot_be_fitted_says_why(change: object, message: str) -> None:
    embeddings, labels = change(*shots(20, 2))  # type: ignore[operator]
    with pytest.raises(CalibrationError, match=message):
        fit_head(embeddings, labels, ENCODER)


@pytest.mark.parametrize("c", [0.0, -1.0, float("nan"), float("inf")])
def test_a_wrong_c_is_refused(c: float) -> None:
    with pytest.raises(CalibrationError, match="c is"):
        fit_head(*shots(20, 2), ENCODER, c=c)


def test_two_windows_are_enough() -> None:
    embeddings, labels = shots(2, 2)
    head = fit_head(embeddings, labels, ENCODER)
    assert [head.labels[i] for i in head.probabilities(embeddings).argmax(axis=1)] == labels
