"""A fit is the optimum for every c that is taken: held beside Newton's method with the whole curvature as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from primus_sdk import CalibrationError, Head
from primus_sdk.calibration.fit import LEAST_C, MOST_C, fit_head

ENCODER = "ab" * 32


def windows(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings `(n, 512)` of few directions and a little of all, and each one's label, 0 to classes - 1."""
    rng = np.random.default_rng(seed)
    target = np.arange(n) % classes
    low = rng.normal(size=(12, 512))
    embeddings = 0.5 * rng.normal(size=(classes, 512))[target] + 0.3 * rng.normal(size=(n, 12)) @ low
    return embeddings + 0.05 * rng.normal(size=(n, 512)) + rng.normal(size=512), target


def prior_head(classes: int, seed: int) -> Head:
    rng = np.random.default_rng([seed, 1])
    weight, bias = rng.normal(0, 0.01, (classes, 512)), rng.normal(0, 2, classes)
    return Head(names(classes), weight, bias, ENCODER, temperature=1.3)


def names(classes: int) -> tuple[str, ...]:
    return tuple(f"label {k}" for k in range(classes))


def exact(x: np.ndarray, target: np.ndarray, c: float, prior: Head | None, asked: np.ndarray) -> np.ndarray:
    """Probabilities of the embeddings asked for; the optimum lies in the span of the windows, which keeps it small."""
    classes = int(target.max()) + 1 if prior is None else len(prior.labels)
    mean = x.mean(axis=0) if prior is None else np.zeros(512)
    rms = np.sqrt(((x - mean) ** 2).mean())
    z, z_asked = (x - mean) / rms, (asked - mean) / rms
    offsets, offsets_asked, shares = np.zeros(classes), np.zeros(classes), 0.0
    if prior is not None:
        weight, bias = (part.astype(float) / prior.temperature for part in (prior.weight, prior.bias))
        offsets, offsets_asked = x @ weight.T + bias, asked @ weight.T + bias
        shares = np.log(np.bincount(target, minlength=classes) + 0.2)
    span, _ = np.linalg.qr(z.T)
    width = 1.0 if prior is None else np.sqrt(c)  # of a bias: without a prior it is not penalised
    f = np.hstack([np.sqrt(c) * z @ span, np.full((len(z), 1), width)])
    penalty = np.append(np.ones(span.shape[1]), 0.0 if prior is None else 1.0)
    w = np.zeros((classes, f.shape[1]))
    fixed = np.kron(np.ones((classes, classes)), np.diag(1 - penalty))  # of all equal solutions the one of sum 0

    def gradient(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = f @ w.T + offsets + shares
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return p, (p - np.eye(classes)[target]).T @ f + penalty * w

    p, g = gradient(w)
    for _ in range(200):
        spread = p[:, :, None] * (np.eye(classes) - p[:, None, :])
        curvature = np.einsum("nkl,nd,ne->kdle", spread, f, f, optimize=True).reshape(w.size, w.size)
        curvature[np.diag_indices(w.size)] += np.tile(penalty, classes)
        step = np.linalg.solve(curvature + fixed, -g.ravel()).reshape(w.shape)
        while np.linalg.norm(gradient(w + step)[1]) >= np.linalg.norm(g) and np.abs(step).max() > 1e-12:
            step /= 2
        w = w + step
        p, g = gradient(w)
        if np.abs(step).max() <= 1e-12:
            break
    assert np.abs(g).max() < 1e-9
    f_asked = np.hstack([np.sqrt(c) * z_asked @ span, np.full((len(z_asked), 1), width)])
    logits = f_asked @ w.T + offsets_asked
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("c", [LEAST_C, 0.003, 1.0, 10.0, 100.0, MOST_C])
@pytest.mark.parametrize(("n", "classes", "with_prior"), [(1, 4, True), (6, 3, True), (15, 3, False), (30, 5, False)])
def test_a_fit_is_the_optimum_within_1e_5_whatever_c(n: int, classes: int, with_prior: bool, c: float) -> None:
    for seed in range(3):
        x, target = windows(n, classes, seed)
        prior = prior_head(classes, seed) if with_prior else None
        head = fit_head(x, [names(classes)[k] for k in target], ENCODER, c=c, prior=prior)
        asked = np.concatenate([x, windows(60, classes, seed)[0]])
        assert np.abs(head.probabilities(asked) - exact(x, target, c, prior, asked)).max() < 1e-5


def test_windows_under_two_labels_are_no_hindrance_at_the_largest_c() -> None:
    x, target = windows(20, 4, 0)
    x[10:] = x[:10]
    head = fit_head(x, [names(4)[k] for k in target], ENCODER, c=MOST_C)
    assert np.abs(head.probabilities(x) - exact(x, target, MOST_C, None, x)).max() < 1e-5


@pytest.mark.parametrize("c", [0.0, -1.0, float("nan"), float("inf"), 1e-300, 1001.0, 1e30, 1e308, 10**400, "1", [1]])
@pytest.mark.parametrize("with_prior", [False, True])
def test_a_c_out_of_its_range_is_refused_with_the_range(with_prior: bool, c: Any) -> None:
    x, target = windows(20, 2, 0)
    prior = prior_head(2, 0) if with_prior else None
    with pytest.raises(CalibrationError, match=r"c is .*expected a number from 1e-09 to 1000"):
        fit_head(x, [names(2)[k] for k in target], ENCODER, c=c, prior=prior)


def test_a_prior_without_any_doubt_is_refused() -> None:
    x, target = windows(20, 2, 0)
    sharp = Head(names(2), np.ones((2, 512)), np.ones(2), ENCODER, temperature=1e-308)
    with pytest.raises(CalibrationError, match="another prior"):
        fit_head(x, [names(2)[k] for k in target], ENCODER, prior=sharp)
