"""A head's fit is the optimum of the stated objective, and is refused where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, cg

from primus_sdk import CalibrationError, Head, HeadError
from primus_sdk.calibration.fit import LEAST_C, MOST_C, fit_head

ENCODER = "ab" * 32


def shots(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Embeddings `(n, 512)` far from the origin, of few directions that matter, with overlapping classes."""
    rng = np.random.default_rng(seed)
    target = np.arange(n) % classes
    spectrum = np.arange(1.0, 513) ** -0.8
    centres = rng.normal(size=(classes, 512))
    embeddings = (rng.normal(size=(n, 512)) + 0.7 * centres[target]) * spectrum + 3 * rng.normal(size=512)
    return embeddings.astype(np.float32), [f"class {i}" for i in target]


def prior_head(labels: Sequence[str], seed: int = 0, **changes: object) -> Head:
    """A head of the scale of a fitted one."""
    rng = np.random.default_rng([seed, 9])
    fields: dict[str, object] = {
        "labels": tuple(labels),
        "weight": rng.normal(size=(len(labels), 512)) * 0.3 * np.arange(1.0, 513) ** -0.8 + 0.1,
        "bias": rng.normal(size=len(labels)) + 5,
        "encoder_sha256": ENCODER,
        "temperature": 1.3,
        "created": "2026-01-31",
    }
    return Head(**(fields | changes))  # type: ignore[arg-type]


def newton(
    z: np.ndarray, truth: np.ndarray, start: np.ndarray, penalty: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The W `(K, 513)` of least -log softmax(W z1 + shift)[truth] + penalty (W - start)^2 / 2, by Newton steps."""
    z1 = np.hstack([z, np.ones((len(z), 1))])
    w = start.copy()

    def value(w: np.ndarray) -> tuple[float, np.ndarray]:
        logits = z1 @ w.T + shift
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        loss = -(logits * truth).sum() + np.log(np.exp(logits).sum(axis=1)).sum()
        return loss + 0.5 * (penalty * (w - start) ** 2).sum(), p

    for _ in range(50):
        old, p = value(w)
        gradient = (p - truth).T @ z1 + penalty * (w - start)
        if np.abs(gradient).max() < 1e-8:
            break

        def curved(flat: np.ndarray, p: np.ndarray = p) -> np.ndarray:
            d = flat.reshape(start.shape)
            change = z1 @ d.T
            change = p * (change - (p * change).sum(axis=1, keepdims=True))
            return (change.T @ z1 + penalty * d).ravel()

        diagonal = ((p * (1 - p)).T @ z1**2 + penalty + 1e-12).ravel()
        scaled = LinearOperator((w.size,) * 2, lambda flat, diagonal=diagonal: flat / diagonal)
        step, _ = cg(LinearOperator(scaled.shape, curved), -gradient.ravel(), rtol=1e-9, maxiter=4000, M=scaled)
        length = 1.0
        while value(w + length * step.reshape(w.shape))[0] > old + 1e-9 * abs(old) and length > 1e-6:
            length /= 2
        w = w + length * step.reshape(w.shape)
    return w[:, :-1], w[:, -1]


def other_probabilities(
    embeddings: np.ndarray, labels: Sequence[str], c: float, prior: Head | None, asked: np.ndarray
) -> np.ndarray:
    """Probabilities of the embeddings asked for, by the docstring's objective and `newton`."""
    e = embeddings.astype(np.float64)
    names = sorted(set(labels) | set(prior.labels if prior else ()))
    truth = (np.array(labels)[:, np.newaxis] == np.array(names)).astype(float)
    start, shift = np.zeros((len(names), 513)), np.zeros(len(names))
    penalty = np.full(start.shape, 1 / c)
    if prior is None:
        mean = e.mean(axis=0)
        rms = np.sqrt(((e - mean) ** 2).mean())
        penalty[:, -1] = 0
    else:
        mean, rms = np.zeros(512), np.sqrt((e**2).mean())
        rows = np.hstack([prior.weight.astype(float) * rms, prior.bias.astype(float)[:, np.newaxis]])
        rows /= prior.temperature
        known = dict(zip(prior.labels, rows, strict=True))
        start = np.array([known.get(name, rows.mean(axis=0)) for name in names])
        shift = np.log(truth.sum(axis=0) + 0.2)
    v, b = newton((e - mean) / rms, truth, start, penalty, shift)
    logits = (asked.astype(np.float64) - mean) / rms @ v.T + b
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


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


KINDS = {
    "one shot each": lambda: shots(10, 10),
    "one shot of two labels": lambda: shots(2, 2),
    "duplicated windows": lambda: (np.tile(shots(20, 4)[0], (4, 1)), 4 * shots(20, 4)[1]),
    "one window under two labels": lambda: (np.repeat(shots(12, 3)[0], 2, axis=0), ["x", "y"] * 12),
    "two labels": lambda: shots(80, 2),
    "thirty labels": lambda: shots(60, 30),
    "one label a hundred times as often": lambda: (shots(103, 3)[0], ["often"] * 100 + ["rare", "rare", "once"]),
    "ten labels": lambda: shots(200, 10),
}


@pytest.mark.parametrize("c", [0.001, 0.02, 1.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_prior", [False, True])
def test_newtons_method_finds_the_same_head_within_1e_5_in_probability(kind: str, c: float, with_prior: bool) -> None:
    embeddings, labels = KINDS[kind]()
    prior = prior_head([*sorted(set(labels))[::2], "unseen", "never"]) if with_prior else None
    head = fit_head(embeddings, labels, ENCODER, c=c, prior=prior)
    # Other windows than the fitted ones as well: there, every direction of the weights counts.
    asked = np.concatenate([embeddings, shots(50, 5, seed=1)[0]])
    expected = other_probabilities(embeddings, labels, c, prior, asked)
    assert np.abs(head.probabilities(asked) - expected).max() < 1e-5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.001, 0.02]), st.booleans())
def test_the_order_of_the_windows_changes_no_byte(seed: int, c: float, with_prior: bool) -> None:
    rng = np.random.default_rng(seed)
    embeddings, labels = shots(int(rng.integers(4, 60)), int(rng.integers(2, 5)), seed)
    embeddings[rng.integers(len(embeddings))] = embeddings[0]  # a duplicate, mostly of another label
    prior = prior_head(["class 0", "other"]) if with_prior else None
    head = fit_head(embeddings, labels, ENCODER, c=c, prior=prior, created="2026-01-31")
    order = rng.permutation(len(labels))
    shuffled = [labels[i] for i in order]
    other = fit_head(embeddings[order], shuffled, ENCODER, c=c, prior=prior, created="2026-01-31")
    assert other.to_bytes() == head.to_bytes()


def test_a_prior_s_labels_stay_and_new_ones_join() -> None:
    embeddings, labels = shots(40, 4)
    prior = prior_head(("class 0", "unseen"), counts={"class 0": 7, "unseen": 5})
    head = fit_head(embeddings, labels, ENCODER, prior=prior)
    assert head.labels == ("class 0", "class 1", "class 2", "class 3", "unseen")
    assert head.counts == {"class 0": 17, "class 1": 10, "class 2": 10, "class 3": 10, "unseen": 5}


def test_the_smaller_c_the_nearer_the_head_stays_to_its_prior() -> None:
    embeddings, labels = shots(40, 4)
    prior = prior_head(sorted(set(labels)))
    heads = [fit_head(embeddings, labels, ENCODER, c=c, prior=prior) for c in (1e-9, 1e-3, 1e-1)]
    gaps = [np.abs(head.probabilities(embeddings) - prior.probabilities(embeddings)).mean() for head in heads]
    assert gaps[0] < 1e-4 < gaps[1] < gaps[2]


def test_one_new_label_alone_is_learnt_without_forgetting_the_others() -> None:
    embeddings, labels = shots(400, 5)
    # An encoder's embeddings lie about as far from the origin as they are wide.
    embeddings -= embeddings.mean(axis=0) * (1 - 1.5 / np.linalg.norm(embeddings.mean(axis=0)))
    truth = np.array(labels)
    old = truth != "class 4"
    prior = fit_head(embeddings[:200][old[:200]], truth[:200][old[:200]].tolist(), ENCODER)
    new = np.flatnonzero(~old[:200])
    head = fit_head(embeddings[new], truth[new].tolist(), ENCODER, prior=prior)
    best = np.array(head.labels)[head.probabilities(embeddings[200:]).argmax(axis=1)]
    assert (best == truth[200:])[~old[200:]].mean() > 0.9
    assert (best == truth[200:])[old[200:]].mean() > 0.7, "without s in the fit it is below 0.01"


def test_a_single_window_corrects_a_prior() -> None:
    embeddings, prior = shots(1, 1)[0], prior_head(("a", "b", "c"))
    before = prior.probabilities(embeddings[0])
    label = prior.labels[int(before.argmin())]
    head = fit_head(embeddings, [label], ENCODER, prior=prior, c=1.0)
    assert head.probabilities(embeddings[0])[head.labels.index(label)] > before.min()


def test_all_the_rows_of_a_prior_moved_alike_are_the_same_prior() -> None:
    embeddings, labels = shots(30, 3)
    prior = prior_head(("class 0", "unseen"))
    moved = prior_head(prior.labels, weight=prior.weight + 0.25, bias=prior.bias - 3)
    first, second = (fit_head(embeddings, labels, ENCODER, prior=p).probabilities(embeddings) for p in (prior, moved))
    assert np.abs(first - second).max() < 1e-5


def test_a_prior_of_another_encoder_is_refused() -> None:
    with pytest.raises(HeadError, match="calibrate anew"):
        fit_head(*shots(20, 2), ENCODER, prior=prior_head(("a", "b"), encoder_sha256="cd" * 32))


def test_a_prior_needs_windows_that_are_not_all_0() -> None:
    prior = prior_head(("a", "b"))
    with pytest.raises(CalibrationError, match="no windows"):
        fit_head(np.empty((0, 512)), [], ENCODER, prior=prior)
    with pytest.raises(CalibrationError, match="all embeddings are 0"):
        fit_head(np.zeros((3, 512)), ["a"] * 3, ENCODER, prior=prior)


def test_the_mount_travels_with_the_head() -> None:
    mount = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    assert np.array_equal(fit_head(*shots(20, 2), ENCODER, mount=mount).mount, mount)
    assert fit_head(*shots(20, 2), ENCODER, prior=prior_head(("a", "b"), mount=mount)).mount is None
    with pytest.raises(HeadError, match="rotation"):
        fit_head(*shots(20, 2), ENCODER, mount=np.ones((3, 3)))


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


@pytest.mark.parametrize("c", [0.0, -1.0, 1e-10, 1000.1, 1e308, float("nan"), float("inf")])
def test_a_wrong_c_is_refused(c: float) -> None:
    with pytest.raises(CalibrationError, match="c is"):
        fit_head(*shots(20, 2), ENCODER, c=c)


@pytest.mark.parametrize("c", [LEAST_C, MOST_C])
@pytest.mark.parametrize("with_prior", [False, True])
def test_the_bounds_of_c_have_an_optimum_that_is_reached(c: float, with_prior: bool) -> None:
    prior = prior_head(("a", "b")) if with_prior else None
    assert np.isfinite(fit_head(*shots(20, 2), ENCODER, c=c, prior=prior).weight).all()


def test_two_windows_are_enough() -> None:
    embeddings, labels = shots(2, 2)
    head = fit_head(embeddings, labels, ENCODER)
    assert [head.labels[i] for i in head.probabilities(embeddings).argmax(axis=1)] == labels
