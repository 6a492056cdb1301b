"""Fitting a head: multinomial logistic regression, to the one optimum of a convex problem."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.bundles.manifest import EMBEDDING_SIZE
from primus_sdk.calibration.optimum import TOLERANCE, optimum
from primus_sdk.errors import CalibrationError, HeadError
from primus_sdk.heads.head import Head

Array: TypeAlias = NDArray[np.float64]

DEFAULT_C = 0.003
"""The middle of what did best on five people's head-worn recordings, from 1 (.01) to 50 shots of each (.001)."""
DEFAULT_PRIOR_C = 0.02
LEAST_C, MOST_C = 1e-9, 1000.0
"""Between them the optimum is reached as promised; at the least a prior's probabilities stay, at the most little ties
a head down, and its fit takes seconds where windows and labels are many."""
UNSEEN_SHOTS = 0.2
"""How many windows a label without any counts as, in the shares of the labels beside a prior."""
_LARGEST = 1e30


def fit_head(
    embeddings: ArrayLike,
    labels: Sequence[str],
    encoder_sha256: str,
    *,
    c: float | None = None,
    prior: Head | None = None,
    mount: ArrayLike | None = None,
    created: str = "",
) -> Head:
    """Fit a head on embeddings `(n, 512)` with one label each, from nothing or from a prior; its labels are sorted.

    From nothing, z = (e - mean) / rms with the root of the mean square of all n x 512 centred numbers, and the fit
    minimises

        sum over i of -log softmax(V z_i + b)[label_i]  +  |V|^2 / (2 c)

    over V `(K, 512)` and b `(K,)`, b not penalised and of sum 0.

    With a prior (maximum a posteriori), its labels stay and new ones join them, z = e / rms with the root of the mean
    square of all n x 512 numbers as they are, and the fit minimises

        sum over i of -log softmax(V z_i + b + s)[label_i]  +  (|V - V0|^2 + |b - b0|^2) / (2 c)

    where V0, b0 are the prior's weight x rms / temperature and bias / temperature, for a new label their means over
    the prior's labels; and s = log(windows of each label + 0.2) belongs to the fit only. Without s a user who shows one
    activity would teach that there is no other: s takes out of the fit what the shares of the labels among the
    windows say. One label is enough with a prior.

    A smaller `c` ties the head down more. There is one optimum, whatever optimiser looks for it; probabilities are held
    within 1e-5 of it. The head takes raw embeddings: mean and rms are folded into its weight and bias. The same input
    gives the same bytes, in whatever order the windows come.

    Args:
        embeddings: what the encoder makes of the windows, `(n, 512)`.
        labels: n texts.
        encoder_sha256: the encoder that made the embeddings.
        c: 1e-9 to 1000; .003 if left out, .02 with a prior, chosen by what `benchmarks/calibrate.py --data` prints.
        prior: a head of the same encoder. Its counts are added to this fit's, its mount is not taken over.
        mount: the rotation under which the windows were taken, kept in the head.
        created: an ISO date, today if empty.

    Raises:
        CalibrationError: c is out of its range, fewer than two labels and no prior, not one label for each window, NaN,
            equal embeddings (all 0 with a prior), or a fit that does not reach the optimum.
        HeadError: the prior is of another encoder, or the mount is no rotation.
    """
    if prior is not None:
        arguments.instance(prior, Head, "the prior", HeadError).check_encoder(encoder_sha256)
    x, names, target = _ordered(checked(embeddings, labels), labels, prior)
    c = (DEFAULT_C if prior is None else DEFAULT_PRIOR_C) if c is None else c
    c = arguments.number(c, "c", f"a number from {LEAST_C:g} to {MOST_C:g}", CalibrationError, LEAST_C, MOST_C)
    counts = Counter(labels)
    if prior is None:
        weight, bias = _from_nothing(x, target, len(names), c)
    else:
        weight, bias = _from_prior(x, target, c, *_starts(prior, names))
        counts.update(prior.counts or {})
    return Head(
        labels=names,
        weight=weight.astype(np.float32),
        bias=bias.astype(np.float32),
        encoder_sha256=encoder_sha256,
        counts=dict(counts),
        created=created,
        mount=None if mount is None else arguments.floats(mount, "a mount's numbers", HeadError),
    )


def checked(embeddings: ArrayLike, labels: Sequence[str]) -> Array:
    """The embeddings in float64, `(n, 512)`, once they and their labels are known to be fit for fitting.

    Raises:
        CalibrationError: another shape, NaN, or not one label for each window.
    """
    x = arguments.floats(embeddings, "embeddings", CalibrationError)
    if x.ndim != 2 or x.shape[1] != EMBEDDING_SIZE:
        raise CalibrationError(f"embeddings have shape {x.shape}; expected (n, {EMBEDDING_SIZE})")
    listed = isinstance(labels, Sequence | np.ndarray) and not isinstance(labels, str)  # a set has no order
    if not listed or not all(isinstance(label, str) and label for label in labels):
        raise CalibrationError("labels are a list of texts, one for each window, none empty")
    if len(labels) != len(x):
        raise CalibrationError(f"{len(labels)} labels for {len(x)} windows; expected one label for each window")
    if not np.isfinite(x).all():
        raise CalibrationError("an embedding holds NaN or infinity; leave that window out")
    return x


def _ordered(x: Array, labels: Sequence[str], prior: Head | None) -> tuple[Array, tuple[str, ...], NDArray[np.intp]]:
    """The embeddings sorted, the head's labels, and each embedding's place among these.

    A sum's last digits hang on the order of what is summed: hence an order that is always the same.
    """
    if prior is not None and not len(x):
        raise CalibrationError("there are no windows; a prior alone is a head already")
    names = tuple(sorted({*labels, *(prior.labels if prior is not None else ())}))
    if len(names) < 2:
        raise CalibrationError(f"windows of at least two labels are needed; there are {list(names) or 'none'}")
    places = {name: place for place, name in enumerate(names)}
    target = np.array([places[label] for label in labels])
    rows = np.column_stack([x + 0.0, target])  # + 0.0 since -0.0 has other bytes than 0.0
    order = np.argsort(rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel(), kind="stable")
    return x[order], names, target[order]


def _from_nothing(x: Array, target: NDArray[np.intp], classes: int, c: float) -> tuple[Array, Array]:
    """Weight and bias for embeddings x."""
    mean = x.mean(axis=0)
    z = x - mean
    rms = _rms(z)
    if rms <= 1e-7 * float(np.abs(x).max()):
        raise CalibrationError("all windows have the same embedding; record each activity while it is being done")
    z *= math.sqrt(c) / rms  # so that the penalty is |U|^2 / 2
    u, b = _reached(*optimum(z, target, np.zeros((len(x), classes)), 0.0))
    weight = (u - u.mean(axis=0)) * (math.sqrt(c) / rms)
    return weight, b - b.mean() - weight @ mean


def _starts(prior: Head, names: tuple[str, ...]) -> tuple[Array, Array]:
    """The prior's weight and bias for the names in their order, its temperature folded in."""
    with np.errstate(over="ignore"):
        weight, bias = (part.astype(np.float64) / prior.temperature for part in (prior.weight, prior.bias))
    if not (np.abs(weight).max() < _LARGEST and np.abs(bias).max() < _LARGEST):
        raise CalibrationError(
            f"the prior's weight or bias over its temperature ({prior.temperature:.3g}) exceeds {_LARGEST:.0e}: there "
            "is no doubt in it that a fit could start from; take another prior"
        )
    # All of a head's rows may be moved alike. Here so that a new label, the mean of the others, is 0.
    known = dict(zip(prior.labels, zip(weight - weight.mean(axis=0), bias - bias.mean(), strict=True), strict=True))
    rows = [known.get(name, (np.zeros(EMBEDDING_SIZE), 0.0)) for name in names]
    return np.array([row for row, _ in rows]), np.array([offset for _, offset in rows])


def _from_prior(x: Array, target: NDArray[np.intp], c: float, weight: Array, bias: Array) -> tuple[Array, Array]:
    """Weight and bias for embeddings x, near the given ones."""
    rms = _rms(x)
    if not rms > 0:
        raise CalibrationError("all embeddings are 0; are these an encoder's?")
    shares = np.log(np.bincount(target, minlength=len(bias)) + UNSEEN_SHOTS)
    scale = math.sqrt(c) / rms
    u, b = _reached(*optimum(x * scale, target, x @ weight.T + (bias + shares), 1 / c))
    return weight + u * scale, bias + b


def _rms(numbers: Array) -> float:
    return math.sqrt(float(np.vdot(numbers, numbers)) / max(numbers.size, 1))


def _reached(u: Array, b: Array, left: float) -> tuple[Array, Array]:
    if not left <= TOLERANCE:
        raise CalibrationError(
            f"the fit stopped short of the optimum (a logit still moves by {left:.2g}, expected at most "
            f"{TOLERANCE:.2g}); take a smaller c"
        )
    return u, b
