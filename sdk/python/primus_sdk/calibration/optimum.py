"""The optimum of a penalised multinomial logistic loss, by Newton's method with conjugate gradients.

Nothing here decides what a head is: the problem is convex and has one optimum, and `calibration` states it.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Real: TypeAlias = NDArray[Any]
"""Of 8 bytes, or of 4."""

TOLERANCE = 1e-5
"""What a logit may be off by; a probability is then by less."""
_ROUGH, _FINE = 1.0, 1e-4
"""The length of the gradient, in coordinates in which the curvature is about 1, where a search ends."""
_STEPS, _PRODUCTS = 40, 3000
"""Newton's steps at the end, and products with the curvature for each, at the most."""
_EXACT = 1e-3
"""How much of the gradient each of these steps may leave, as a share of its length."""
_SINGLE = float(np.finfo(np.float32).eps)
_CAUTION = 100.0
"""How much more slowly the way to the optimum may shrink than the gradient: where it curves less than elsewhere."""
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


def _joined(u: Real, b: Real) -> Real:
    return np.concatenate([u.ravel(), b])


class _Coordinates:
    """Coordinates y of u and b: along `basis` and the biases whitened by `inverse`, elsewhere u itself."""

    def __init__(self, basis: Real, inverse: Real) -> None:
        """`inverse`: of a factor of the curvature `(K (r + 1), K (r + 1))` along the basis `(d, r)` and the biases."""
        self._basis, self._inverse = basis, inverse

    def parts(self, y: Real) -> tuple[Real, Real]:
        """The u `(K, d)` and b `(K,)` at y `(K (d + 1),)`."""
        labels = len(self._inverse) // (self._basis.shape[1] + 1)
        return self.mapped(y[:-labels].reshape(labels, -1), y[-labels:], self._inverse.T)

    def pulled(self, u: Real, b: Real) -> Real:
        """A gradient by u and b as one by y."""
        return _joined(*self.mapped(u, b, self._inverse))

    def mapped(self, u: Real, b: Real, matrix: Real) -> tuple[Real, Real]:
        """The u and b, with what they have along the basis and b mapped by the matrix."""
        along = u @ self._basis
        mapped = (matrix @ np.hstack([along, b[:, np.newaxis]]).ravel()).reshape(len(b), -1)
        return u + (mapped[:, :-1] - along) @ self._basis.T, mapped[:, -1]


class _Curvature:
    """The second derivative by y, applied to one direction after the other.

    In numbers of 4 bytes, and so sooner, where these lose no more of it than a step of Newton's may leave of the
    gradient. What an optimum is, loss and gradient say, in 8 bytes.
    """

    def __init__(self, problem: _Problem, basis: Array, inverse: Array) -> None:
        # Beside the penalty's, which is 1, the largest curvature that there can be, along the weights and the biases.
        largest = float(np.vdot(problem.features, problem.features)) + len(problem.features)
        self._kind = np.float32 if largest * _SINGLE <= _EXACT else np.float64
        self._features, self._columns = (self._as(part) for part in (problem.features, problem.columns))
        self._coordinates = _Coordinates(self._as(basis), self._as(inverse))
        self._bias_penalty = problem.bias_penalty
        # The same number on all biases has no effect. Where no penalty forbids it the second derivative is made to, or
        # what rounding leaves of a gradient in that direction would become a step without end.
        self._level = 0.0 if problem.bias_penalty else len(problem.features) / len(problem.offsets)

    def move(self, p: Array) -> None:
        """Go to where the probabilities are p."""
        self._p = self._as(p)

    def along(self, direction: Array) -> Array:
        """The second derivative applied to a direction."""
        du, db = self._coordinates.parts(self._as(direction))
        change = du @ self._columns
        change += db[:, np.newaxis]
        change *= self._p
        change -= self._p * change.sum(axis=0)
        by_bias = change.sum(axis=1) + self._bias_penalty * db + self._level * db.mean()
        return self._coordinates.pulled(change @ self._features + du, by_bias).astype(np.float64, copy=False)

    def _as(self, numbers: Array) -> Real:
        return numbers.astype(self._kind, copy=False)


class _Search:
    """A search in `_Coordinates` of which the curvature along `basis` and the biases is about 1."""

    def __init__(self, problem: _Problem, basis: Array, curvature: Array) -> None:
        from scipy.linalg import solve_triangular  # here, since importing the SDK must not load SciPy

        lower = np.asarray(np.linalg.cholesky(curvature), np.float64)
        inverse = solve_triangular(lower, np.eye(len(curvature)), lower=True)
        self._problem, self._lower = problem, lower
        self._coordinates = _Coordinates(basis, inverse)
        self._curvature = _Curvature(problem, basis, inverse)
        self._y = np.empty(0)

    def run(self, u: Array, b: Array, tolerance: float) -> tuple[Array, Array]:
        """Where the gradient's length is at most the tolerance, or rounding ended the search."""
        from scipy.optimize import minimize

        result = minimize(
            self._objective,
            self._start(u, b),
            jac=True,
            hessp=self._hessian_product,
            method="trust-ncg",
            options={"gtol": tolerance, "initial_trust_radius": 10.0, "max_trust_radius": 1e6, "maxiter": 1000},
        )
        return self._coordinates.parts(np.asarray(result.x))

    def polished(self, u: Array, b: Array, longest: float) -> tuple[Array, Array, float]:
        """Newton's steps, until no logit of a window that long is further off than `TOLERANCE`.

        A step shortens the gradient, and so does the next one what is left: by as much or more, since that is how
        Newton's steps end. How long the next one would be, if it shrank with the gradient, times `_CAUTION`, is what
        a logit may still be off by. Each step is the longest of 1, 1/2, 1/4 ... of Newton's that shortens the
        gradient, which one of them does.
        """
        y, left = self._start(u, b), math.inf
        _, gradient = self._objective(y)
        for _ in range(_STEPS):
            step, length = self._newton_step(gradient), float(np.linalg.norm(gradient))
            du, db = self._coordinates.parts(step)
            moved = longest * float(np.linalg.norm(du)) + float(np.linalg.norm(db - db.mean()))
            for _ in range(_STEPS):
                _, after = self._objective(y + step)
                shorter = float(np.linalg.norm(after))
                if shorter < length:
                    break
                step /= 2
            else:  # rounding hides what would be gained
                left = moved
                break
            y, gradient = y + step, after
            left = moved * min(1.0, _CAUTION * shorter / length)
            if left <= TOLERANCE:
                break
        return *self._coordinates.parts(y), left

    def _newton_step(self, gradient: Array) -> Array:
        """Conjugate gradients at the point of the last objective."""
        step, left = np.zeros_like(gradient), -gradient
        direction, squares = left.copy(), float(left @ left)
        end = _EXACT**2 * squares
        for _ in range(_PRODUCTS):
            if squares <= end:
                break
            product = self._curvature.along(direction)
            share = squares / float(direction @ product)
            step += share * direction
            left -= share * product
            before, squares = squares, float(left @ left)
            direction = left + (squares / before) * direction
        return step

    def _objective(self, y: Array) -> tuple[float, Array]:
        u, b = self._coordinates.parts(y)
        self._y = y.copy()
        p, loss = self._problem.probabilities(u, b)
        self._curvature.move(p)
        value = loss + 0.5 * float(np.vdot(u, u)) + 0.5 * self._problem.bias_penalty * float(b @ b)
        return value, self._coordinates.pulled(*self._problem.gradient(u, b, p))

    def _hessian_product(self, y: Array, direction: Array) -> Array:
        # Mostly the y of the last objective; after a step that was refused, the one before.
        if not np.array_equal(y, self._y):
            self._objective(y)
        return self._curvature.along(direction)

    def _start(self, u: Array, b: Array) -> Array:
        """The y of u and b."""
        return _joined(*self._coordinates.mapped(u, b, self._lower.T))
