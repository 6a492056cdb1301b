"""Fitting a head: multinomial logistic regression, to the one optimum of a convex problem."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk.errors import CalibrationError
from primus_sdk.head import Head
from primus_sdk.manifest import EMBEDDING_SIZE

Array: TypeAlias = NDArray[np.float64]

DEFAULT_C = 0.003
TOLERANCE = 1e-4
_CURVATURE = 0.06
_DIRECTIONS = 64
"""These two change how many steps a fit takes, not where it ends."""


def fit_head(
    embeddings: ArrayLike,
    labels: Sequence[str],
    encoder_sha256: str,
    *,
    c: float = DEFAULT_C,
    created: str = "",
) -> Head:
    """Fit a head on embeddings `(n, 512)` with one label each; the head's labels are sorted.

    Features are centred and divided by one common scale, z = (e - mean) / rms, where rms is the root of the mean
    square of all n x 512 centred numbers. The fit minimises

        sum over i of -log softmax(V z_i + b)[label_i]  +  |V|^2 / (2 c)

    over V `(K, 512)` and b `(K,)`, b not penalised and of sum 0; a smaller `c` ties the head down more. There is one
    optimum, whatever optimiser looks for it; here L-BFGS goes on until no component of the gradient by V / sqrt(c) and
    b exceeds 1e-4, or less for a larger c, which held probabilities within 5e-5 of the optimum on real embeddings. The
    head takes raw embeddings: mean and rms are folded into its weight and bias. The same input gives the same head.

    The default `c` is the middle of what did best on five people's head-worn recordings from 1 (.01) to 50 shots of
    each activity (.001). From .1 up a fit takes seconds.

    created: an ISO date, today if empty.

    Raises:
        CalibrationError: fewer than two labels, not one label for each window, NaN, equal embeddings, or a fit that
            does not reach the optimum.
    """
    x, names, target = _checked(embeddings, labels)
    if not (math.isfinite(c) and c > 0):
        raise CalibrationError(f"c is {c}; expected a number above 0")
    mean = x.mean(axis=0)
    centred = x - mean
    rms = math.sqrt(float(np.mean(centred**2)))
    if rms <= 1e-7 * float(np.abs(x).max()):
        raise CalibrationError("all windows have the same embedding; record each activity while it is being done")
    v, b = _optimum(centred / rms, target, len(names), c)
    weight = v / rms
    return Head(
        labels=names,
        weight=weight.astype(np.float32),
        bias=(b - weight @ mean).astype(np.float32),
        encoder_sha256=encoder_sha256,
        counts=dict(Counter(labels)),
        created=created,
    )


def _checked(embeddings: ArrayLike, labels: Sequence[str]) -> tuple[Array, tuple[str, ...], NDArray[np.intp]]:
    """Embeddings in float64, the labels' sorted names, and each window's place among them."""
    x = np.asarray(embeddings, np.float64)
    if x.ndim != 2 or x.shape[1] != EMBEDDING_SIZE:
        raise CalibrationError(f"embeddings have shape {x.shape}; expected (n, {EMBEDDING_SIZE})")
    if isinstance(labels, str) or not all(isinstance(label, str) and label for label in labels):
        raise CalibrationError("labels are a list of texts, one for each window, none empty")
    if len(labels) != len(x):
        raise CalibrationError(f"{len(labels)} labels for {len(x)} windows; expected one label for each window")
    if not np.isfinite(x).all():
        raise CalibrationError("an embedding holds NaN or infinity; leave that window out")
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise CalibrationError(f"windows of at least two labels are needed; there are {list(names) or 'none'}")
    places = {name: place for place, name in enumerate(names)}
    return x, names, np.array([places[label] for label in labels])


def _optimum(z: Array, target: NDArray[np.intp], classes: int, c: float) -> tuple[Array, Array]:
    """V `(K, 512)` and b `(K,)` for features z `(n, 512)`.

    First along the few directions in which the features vary most, where nearly all the work is and each step cheap;
    from there in all of them, which is then a matter of a few steps.
    """
    scaled = z * math.sqrt(c)  # so that the penalty is |U|^2 / 2
    tolerance = TOLERANCE * min(1.0, math.sqrt(DEFAULT_C / c))
    basis = _leading_directions(scaled)
    u, b, _ = _descend(scaled @ basis, target, np.zeros((classes, basis.shape[1])), np.zeros(classes), tolerance)
    u, b, left = _descend(scaled, target, u @ basis.T, b, tolerance)
    if not left <= 10 * tolerance:  # rounding may end the search a little early; that is still the same head
        raise CalibrationError(f"the fit stopped short of the optimum (gradient {left:.2g}, {tolerance:.2g} expected)")
    v = u * math.sqrt(c)
    return v - v.mean(axis=0), b - b.mean()


def _leading_directions(features: Array) -> Array:
    """An orthonormal basis `(512, r)` that holds nearly all of the features' variation: a fixed random sketch."""
    sketch = np.random.default_rng(0).standard_normal((len(features), min(_DIRECTIONS, len(features))))
    basis, _ = np.linalg.qr(features.T @ (features @ (features.T @ sketch)))
    return basis


def _descend(
    features: Array, target: NDArray[np.intp], u: Array, b: Array, tolerance: float
) -> tuple[Array, Array, float]:
    """L-BFGS from u `(K, d)` and b `(K,)` on features `(n, d)`; the optimum, and the gradient that is left there."""
    from scipy.optimize import minimize  # here, since importing the SDK must not load SciPy

    columns, windows = np.ascontiguousarray(features.T), np.arange(len(features))
    bias_scale = 1 / math.sqrt(_CURVATURE * len(features))

    def parts(flat: Array) -> tuple[Array, Array]:
        return flat[: u.size].reshape(u.shape), flat[u.size :] * bias_scale

    def objective(flat: Array) -> tuple[float, Array]:
        u, b = parts(flat)
        logits = u @ columns + b[:, np.newaxis]
        logits -= logits.max(axis=0)
        powers = np.exp(logits)
        sums = powers.sum(axis=0)
        value = float((np.log(sums) - logits[target, windows]).sum() + 0.5 * np.vdot(u, u))
        residual = powers / sums
        residual[target, windows] -= 1
        return value, np.concatenate([(residual @ features + u).ravel(), residual.sum(axis=1) * bias_scale])

    result = minimize(
        objective,
        np.concatenate([u.ravel(), b / bias_scale]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 10_000, "maxfun": 20_000, "ftol": 0.0, "gtol": tolerance},
    )
    return *parts(np.asarray(result.x)), float(np.abs(result.jac).max())
