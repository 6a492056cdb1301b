"""The optimum of a penalised multinomial logistic loss, by Newton's method with conjugate gradients.

Nothing here decides what a head is: the problem is convex and has one optimum, and `calibration` states it.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

TOLERANCE = 1e-5
_ROUGH = 1.0
"""The length of the gradient, in coordinates in which the curvature is about 1, where a search ends."""
_DIRECTIONS = 24
_UNKNOWNS = 480
"""How many leading directions are whitened, and how many unknowns they may have over all labels."""


def optimum(
    features: Array, target: NDArray[np.intp], offsets: Array, bias_penalty: float
) -> tuple[Array, Array, float]:
    """The one minimum of a penalised loss over weights u `(K, d)` and biases b `(K,)`.

    For features f `(n, d)`, offsets `(n, K)` and each window's label target `(n,)`, the loss is

        sum over i of -log softmax(offsets_i + u f_i + b)[target_i]  +  |u|^2 / 2  +  bias_penalty |b|^2 / 2

    The result is u, b and the length of the gradient that is left there: `TOLERANCE` at most, or a little more where
    rounding ended the search.

    The features of windows vary along few directions. The first search is along these alone, where a step costs little
    and nearly all of the way lies. At its end the exact curvature along them, all labels together, gives coordinates
    in which that of the whole problem is close to 1; the second search, along all directions, then takes few steps.
    """
    classes = offsets.shape[1]
    offsets = np.ascontiguousarray(offsets.T)
    basis = _leading_directions(features, max(1, min(_DIRECTIONS, _UNKNOWNS // classes - 1)))
    leading = _Problem(features @ basis, target, offsets, bias_penalty)
    u, b = np.zeros((classes, basis.shape[1])), np.zeros(classes)
    u, b, _ = _Search(leading, np.eye(basis.shape[1]), leading.curvature(u, b)).run(u, b, _ROUGH)
    whole = _Problem(features, target, offsets, bias_penalty)
    return _Search(whole, basis, leading.curvature(u, b)).run(u @ basis.T, b, TOLERANCE)


def _leading_directions(features: Array, wanted: int) -> Array:
    """An orthonormal basis `(d, r)` of about the directions in which the features vary most: a fixed random sketch."""
    sketch = np.random.default_rng(0).standard_normal((len(features), min(wanted + 12, len(features))))
    basis, _ = np.linalg.qr(features.T @ sketch)
    seen = features @ basis
    _, axes = np.linalg.eigh(seen.T @ seen)
    return np.ascontiguousarray(basis @ axes[:, ::-1][:, :wanted])


class _Problem:
    """The loss, its gradient and its curvature; what belongs to labels and windows lies label by label, `(K, n)`."""

    def __init__(self, features: Array, target: NDArray[np.intp], offsets: Array, bias_penalty: float) -> None:
        self.features, self.columns = features, np.ascontiguousarray(features.T)
        self.offsets, self.bias_penalty = offsets, bias_penalty
        self._true = target * len(features) + np.arange(len(features))

    def probabilities(self, u: Array, b: Array) -> tuple[Array, float]:
        """Probabilities `(K, n)`, and the sum of their negative logarithms at the true labels."""
        logits = u @ self.columns
        logits += self.offsets
        logits += b[:, np.newaxis]
        logits -= logits.max(axis=0)
        true = logits.ravel()[self._true]
        powers = np.exp(logits, out=logits)
        sums = powers.sum(axis=0)
        powers /= sums
        return powers, float((np.log(sums) - true).sum())

    def gradient(self, u: Array, b: Array, p: Array) -> tuple[Array, Array]:
        """By u and b, where the probabilities are p."""
        residual = p.copy()
        residual.ravel()[self._true] -= 1
        return residual @ self.features + u, residual.sum(axis=1) + self.bias_penalty * b

    def curved(self, du: Array, db: Array, p: Array) -> tuple[Array, Array]:
        """The second derivative applied to the direction du, db, where the probabilities are p."""
        change = du @ self.columns
        change += db[:, np.newaxis]
        change *= p
        change -= p * change.sum(axis=0)
        return change @ self.features + du, change.sum(axis=1) + self.bias_penalty * db

    def curvature(self, u: Array, b: Array) -> Array:
        """The second derivative as a matrix `(K (d + 1), K (d + 1))`, each label's bias after its weights."""
        p, _ = self.probabilities(u, b)
        windows, size = len(self.features), len(u)
        extended = np.hstack([self.features, np.ones((windows, 1))])
        width = extended.shape[1]
        products = (p.T[:, :, np.newaxis] * extended[:, np.newaxis, :]).reshape(windows, -1)
        matrix = -(products.T @ products)
        for k in range(size):
            own = slice(k * width, (k + 1) * width)
            matrix[own, own] += products[:, own].T @ extended
        # Nothing penalises a bias without a prior, and the same number on all of them has no effect: hence the floor.
        penalties = np.ones((size, width))
        penalties[:, -1] = max(self.bias_penalty, 1e-3 * windows / size)
        matrix[np.diag_indices_from(matrix)] += penalties.ravel()
        return matrix


class _Search:
    """A search in coordinates y: along `basis` and the biases whitened by `curvature`, elsewhere u itself."""

    def __init__(self, problem: _Problem, basis: Array, curvature: Array) -> None:
        from scipy.linalg import solve_triangular  # here, since importing the SDK must not load SciPy

        self._problem, self._basis = problem, basis
        self._lower = np.asarray(np.linalg.cholesky(curvature), np.float64)
        self._inverse = solve_triangular(self._lower, np.eye(len(curvature)), lower=True)
        self._y = self._p = np.empty(0)

    def run(self, u: Array, b: Array, tolerance: float) -> tuple[Array, Array, float]:
        from scipy.optimize import minimize

        self._shape = u.shape
        result = minimize(
            self._objective,
            self._joined(*self._mapped(u, b, self._lower.T)),
            jac=True,
            hessp=self._hessian_product,
            method="trust-ncg",
            options={"gtol": tolerance, "initial_trust_radius": 10.0, "max_trust_radius": 1e6, "maxiter": 1000},
        )
        return *self._parts(np.asarray(result.x)), float(np.linalg.norm(result.jac))

    def _objective(self, y: Array) -> tuple[float, Array]:
        u, b = self._parts(y)
        self._y = y.copy()
        self._p, loss = self._problem.probabilities(u, b)
        value = loss + 0.5 * float(np.vdot(u, u)) + 0.5 * self._problem.bias_penalty * float(b @ b)
        return value, self._pulled(*self._problem.gradient(u, b, self._p))

    def _hessian_product(self, y: Array, direction: Array) -> Array:
        # Mostly the y of the last objective; after a step that was refused, the one before.
        if not np.array_equal(y, self._y):
            self._objective(y)
        return self._pulled(*self._problem.curved(*self._parts(direction), self._p))

    def _parts(self, y: Array) -> tuple[Array, Array]:
        """The u and b at y."""
        size = self._shape[0] * self._shape[1]
        return self._mapped(y[:size].reshape(self._shape), y[size:], self._inverse.T)

    def _pulled(self, u: Array, b: Array) -> Array:
        """A gradient by u and b as one by y."""
        return self._joined(*self._mapped(u, b, self._inverse))

    def _mapped(self, u: Array, b: Array, matrix: Array) -> tuple[Array, Array]:
        """The u and b, with what they have along the basis and b mapped by the matrix."""
        along = u @ self._basis
        mapped = (matrix @ np.hstack([along, b[:, np.newaxis]]).ravel()).reshape(len(b), -1)
        return u + (mapped[:, :-1] - along) @ self._basis.T, mapped[:, -1]

    @staticmethod
    def _joined(u: Array, b: Array) -> Array:
        return np.concatenate([u.ravel(), b])
