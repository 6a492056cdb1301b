"""The optimum of a penalised multinomial logistic loss, by Newton's method with conjugate gradients.

Nothing here decides what a head is: the problem is convex and has one optimum, and `calibration` states it.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

TOLERANCE = 1e-5
"""What a logit may be off by; a probability is then by less."""
_ROUGH, _FINE = 1.0, 1e-5
"""The length of the gradient, in coordinates in which the curvature is about 1, where a search ends."""
_STEPS, _PRODUCTS = 40, 3000
"""Newton's steps at the end, and products with the curvature for each, at the most."""
_EXACT = 1e-3
"""How much of the gradient each of these steps may leave, as a share of its length."""
_DIRECTIONS = 24
_UNKNOWNS = 480
"""How many leading directions are whitened, and how many unknowns they may have over all labels."""


def optimum(
    features: Array, target: NDArray[np.intp], offsets: Array, bias_penalty: float
) -> tuple[Array, Array, float]:
    """The one minimum of a penalised loss over weights u `(K, d)` and biases b `(K,)`.

    For features f `(n, d)`, offsets `(n, K)` and each window's label target `(n,)`, the loss is

        sum over i of -log softmax(offsets_i + u f_i + b)[target_i]  +  |u|^2 / 2  +  bias_penalty |b|^2 / 2

    The result is u, b and how far off a logit of the longest f may still be: `TOLERANCE` at most, unless rounding hides
    the optimum.

    The features of windows vary along few directions. The first search is along these alone, where a step costs little
    and nearly all of the way lies. At its end the exact curvature along them, all labels together, gives coordinates
    in which that of the whole problem is close to 1; the second search, along all directions, then takes few steps.
    Both compare values of the loss, and rounding hides from them what is less than some 1e-15 of it; so Newton's
    method, which looks at the gradient alone, comes last.
    """
    classes = offsets.shape[1]
    offsets = np.ascontiguousarray(offsets.T)
    basis = _leading_directions(features, max(1, min(_DIRECTIONS, _UNKNOWNS // classes - 1)))
    leading = _Problem(features @ basis, target, offsets, bias_penalty)
    u, b = np.zeros((classes, basis.shape[1])), np.zeros(classes)
    u, b = _Search(leading, np.eye(basis.shape[1]), leading.curvature(u, b)).run(u, b, _ROUGH)
    whole = _Problem(features, target, offsets, bias_penalty)
    search = _Search(whole, basis, leading.curvature(u, b))
    u, b = search.run(u @ basis.T, b, _FINE)
    longest = math.sqrt(float(np.einsum("nd,nd->n", features, features).max()))
    return search.polished(u, b, longest)


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
        # The same number on all biases has no effect. Where no penalty forbids it the second derivative is made to, or
        # what rounding leaves of a gradient in that direction would become a step without end.
        self._level = 0.0 if bias_penalty else len(features) / len(offsets)

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
        return change @ self.features + du, change.sum(axis=1) + self.bias_penalty * db + self._level * db.mean()

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

    def run(self, u: Array, b: Array, tolerance: float) -> tuple[Array, Array]:
        """Where the gradient's length is at most the tolerance, or rounding ended the search."""
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
        return self._parts(np.asarray(result.x))

    def polished(self, u: Array, b: Array, longest: float) -> tuple[Array, Array, float]:
        """Newton's steps, until one moves the logits of a window that long by no more than `TOLERANCE`.

        Such a step is taken as well: what is left after it is far less. Each is the longest of 1, 1/2, 1/4 ... of
        Newton's that shortens the gradient, which one of them does.
        """
        y, moved = self._joined(*self._mapped(u, b, self._lower.T)), math.inf
        _, gradient = self._objective(y)
        for _ in range(_STEPS):
            step, length = self._newton_step(gradient), float(np.linalg.norm(gradient))
            du, db = self._parts(step)
            moved = longest * float(np.linalg.norm(du)) + float(np.linalg.norm(db - db.mean()))
            for _ in range(_STEPS):
                _, after = self._objective(y + step)
                if np.linalg.norm(after) < length:
                    y, gradient = y + step, after
                    break
                step /= 2
            else:  # rounding hides what would be gained
                break
            if moved <= TOLERANCE:
                break
        return *self._parts(y), moved

    def _newton_step(self, gradient: Array) -> Array:
        """Conjugate gradients at the point of the last objective."""
        step, left = np.zeros_like(gradient), -gradient
        direction, squares = left.copy(), float(left @ left)
        end = _EXACT**2 * squares
        for _ in range(_PRODUCTS):
            if squares <= end:
                break
            product = self._pulled(*self._problem.curved(*self._parts(direction), self._p))
            share = squares / float(direction @ product)
            step += share * direction
            left -= share * product
            before, squares = squares, float(left @ left)
            direction = left + (squares / before) * direction
        return step

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
