"""The convex head of transfer learning: logistic regression on embeddings, solved to the optimum.

A search over `C` solves many heads on few sets of embeddings. What does not depend on `C`, the principal
axes of the embeddings, is found once per set and shared. Scaled along these axes, the problem is so nearly
a sphere that some ten to a hundred cheap steps solve it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, softmax

from histoclf.classifiers._axes import Features, row_blocks, shared_axes

_MAX_ITER = 1000
_TOLERANCE = 1e-7  # of the root mean squared error of probabilities, roughly
_MEMORY = 20  # steps that the quasi-Newton method remembers
_MAX_SEARCH = 50
_SLACK = 0.3  # share of the slope that may be left where a line search ends
_NEVER = 50.0  # log-odds against a class without training rows


@dataclass(frozen=True)
class LinearHead:
    """A solved logistic regression, as plain arrays.

    Attributes
    ----------
    coef : ndarray of shape (n_outputs, n_features), float64
        Weights of the raw embeddings. There is one output for two classes, and one for each of more classes.
    intercept : ndarray of shape (n_outputs,), float64
        Logits of an embedding of zeros.
    mean, scale : ndarray of shape (n_features,), float64
        Weighted mean and standard deviation of the training embeddings; a constant column has scale 1.
    n_iter : int
        Number of steps taken.
    converged : bool
        Whether the optimum was reached.
    """

    coef: np.ndarray
    intercept: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    n_iter: int
    converged: bool

    @property
    def standardised_coef(self) -> np.ndarray:
        """Weights of standardised embeddings, shape (n_classes, n_features)."""
        return _per_class(self.coef * self.scale)

    @property
    def standardised_intercept(self) -> np.ndarray:
        """Logits of the mean training embedding, shape (n_classes,)."""
        return _per_class(self.intercept + self.coef @ self.mean)

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Compute unnormalised log-probabilities.

        Parameters
        ----------
        embeddings : ndarray of shape (n_samples, n_features)
            Embeddings.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes), float64
            Their softmax are the probabilities. A row does not depend, to the last bit, on the other rows.
        """
        scores = np.empty((len(self.intercept), len(embeddings)))
        for rows, block in row_blocks(embeddings):
            for output, coef in enumerate(self.coef):
                # Not a matrix product: how BLAS rounds a row depends on how many there are.
                scores[output, rows] = (block * coef).sum(axis=1)
        return _per_class(scores + self.intercept[:, np.newaxis]).T


def solve_head(
    embeddings: np.ndarray, codes: np.ndarray, weights: np.ndarray, n_classes: int, C: float
) -> LinearHead:
    """Solve the L2-regularised logistic regression on standardised embeddings.

    The minimum of ``C * sum(weights * log_loss) + 0.5 * sum(coef ** 2)``, scikit-learn's convention, with a
    free intercept; the binary form for two classes, the multinomial one for more. The result depends on the
    arguments alone, never on what was solved before. A class without training rows gets a probability near 0.

    Parameters
    ----------
    embeddings : ndarray of shape (n_samples, n_features), float32
        Embeddings; a memory map will do, they are read in blocks.
    codes : ndarray of shape (n_samples,), int
        Class numbers.
    weights : ndarray of shape (n_samples,)
        Non-negative weights; a row of weight 0 is as good as absent.
    n_classes : int
        Number of classes, at least 2.
    C : float
        Inverse strength of the regularisation, above 0.

    Returns
    -------
    head : LinearHead
        The solution; `converged` is False where the limit of steps was met first.

    References
    ----------
    .. [1] D. C. Liu and J. Nocedal, "On the limited memory BFGS method for large scale optimization",
       Mathematical Programming 45, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.classifiers._head import solve_head
    >>> embeddings = np.array([[0, 5], [1, 5], [2, 5], [3, 5]], dtype=np.float32)
    >>> head = solve_head(embeddings, np.array([0, 0, 1, 1]), np.ones(4), n_classes=2, C=1.0)
    >>> head.logits(embeddings).argmax(axis=1), head.converged
    (array([0, 0, 1, 1]), True)
    """
    if not weights.all():
        present = np.flatnonzero(weights)
        embeddings, codes, weights = embeddings[present], codes[present], weights[present]
    weights = weights.astype(np.float64)
    axes = shared_axes(embeddings, weights)
    # Two classes have one output. An absent class has none: its best logit is minus infinity.
    classes = np.array([1]) if n_classes == 2 else np.unique(codes)
    problem = _Problem(
        features=Features(axes, embeddings, weights / weights.sum()),
        targets=(classes[:, np.newaxis] == codes).astype(np.float64),
        ridge=np.append(np.full(len(axes.variances), 1 / (C * weights.sum())), 0.0),
        link=expit if n_classes == 2 else _softmax,
    )
    point, n_iter, converged = _minimise(problem)
    places = np.array([0]) if n_classes == 2 else classes
    coef = np.zeros((1 if n_classes == 2 else n_classes, embeddings.shape[1]))
    intercept = np.full(len(coef), -_NEVER)
    coef[places], intercept[places] = problem.features.expand(point[:, :-1]), point[:, -1]
    mean, scale = axes.mean.copy(), axes.scale.copy()  # what is shared stays out of reach
    return LinearHead(coef, intercept - coef @ mean, mean, scale, n_iter, converged)


def _per_class(outputs: np.ndarray) -> np.ndarray:
    """Turn the single output of two classes into one for each, whose softmax is the sigmoid."""
    return np.concatenate([-outputs / 2, outputs / 2]) if len(outputs) == 1 else outputs


def _softmax(logits: np.ndarray) -> np.ndarray:
    return softmax(logits, axis=0)


# -- the optimisation ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Problem:
    """Minimise ``sum(shares * log_loss) + sum(ridge * point ** 2) / 2``.

    A point has the shape (n_outputs, n_axes + 1): weights of the axes, and the intercept in the last column.
    """

    features: Features
    targets: np.ndarray
    ridge: np.ndarray
    link: Callable[[np.ndarray], np.ndarray]

    def start(self) -> np.ndarray:
        """Return the optimum for embeddings of zeros: the log-odds of the classes."""
        point = np.zeros((len(self.targets), len(self.ridge)))
        share = (self.targets @ self.features.shares).clip(0, 1)
        if self.link is expit:
            point[:, -1] = np.clip(logit(share), -_NEVER, _NEVER)
        else:
            point[:, -1] = np.log(share) - np.log(share).mean()
        return point

    def logits(self, point: np.ndarray) -> np.ndarray:
        return self.features.forward(point[:, :-1]) + point[:, -1:]

    def slopes(self, point: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, _Metric]:
        """Compute the gradient, and roughly the second derivative: as if all samples were equally certain."""
        probabilities = self.link(logits)
        residuals = self.features.shares * (probabilities - self.targets)
        parts = [self.features.backward(residuals), residuals.sum(axis=1, keepdims=True)]
        weighted = self.features.shares * probabilities
        curvatures, rotation = np.linalg.eigh(np.diag(weighted.sum(axis=1)) - weighted @ probabilities.T)
        variances = np.append(self.features.axes.variances, 1.0)
        stiffness = np.outer(curvatures.clip(0), variances) + self.ridge
        return np.hstack(parts) + self.ridge * point, _Metric(rotation, 1 / np.maximum(stiffness, 1e-12))

    def along(self, line: _Line, length: float) -> tuple[float, float]:
        """Compute the first and second derivative along a line."""
        shares, move, change = self.features.shares, line.move, line.change
        probabilities = self.link(line.logits + length * change)
        pull = probabilities * change
        slope = shares @ (pull - self.targets * change).sum(axis=0)
        curvature = shares @ ((pull * change).sum(axis=0) - np.square(pull.sum(axis=0)))
        ridge = np.vdot(self.ridge * move, line.point), np.vdot(self.ridge * move, move)
        return slope + ridge[0] + length * ridge[1], curvature + ridge[1]


@dataclass(frozen=True)
class _Line:
    """From a point with its logits, a move that changes the logits by `change`."""

    point: np.ndarray
    logits: np.ndarray
    move: np.ndarray
    change: np.ndarray


@dataclass(frozen=True)
class _Metric:
    """An approximate second derivative, diagonal once the outputs are rotated; kept as its inverse."""

    rotation: np.ndarray
    inverse: np.ndarray

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        return self.rotation @ (self.inverse * (self.rotation.T @ gradient))


def _minimise(problem: _Problem) -> tuple[np.ndarray, int, bool]:
    """Return the minimum, the number of steps, and whether it was reached."""
    point = problem.start()
    logits = problem.logits(point)
    gradient, metric = problem.slopes(point, logits)
    steps: list[_Step] = []
    for n_iter in range(_MAX_ITER):
        if np.vdot(gradient, metric.solve(gradient)) <= _TOLERANCE**2:
            return point, n_iter, True
        direction = -_quasi_newton(gradient, steps, metric)
        line = _Line(point, logits, direction, problem.logits(direction))
        length = _line_search(problem, line, float(np.vdot(gradient, direction)))
        point, logits, before = point + length * direction, logits + length * line.change, gradient
        gradient, metric = problem.slopes(point, logits)
        steps = [*steps, _Step(length * direction, gradient - before)][-_MEMORY:]
    return point, _MAX_ITER, False


@dataclass(frozen=True)
class _Step:
    """A move, and by how much it changed the gradient."""

    move: np.ndarray
    change: np.ndarray


def _quasi_newton(gradient: np.ndarray, steps: list[_Step], metric: _Metric) -> np.ndarray:
    """Multiply the gradient with the inverse second derivative, as L-BFGS learns it from the steps."""
    if not steps:
        return metric.solve(gradient)
    *older, last = steps
    product = np.vdot(last.move, last.change)
    share = np.vdot(last.move, gradient) / product
    result = _quasi_newton(gradient - share * last.change, older, metric)
    return result + (share - np.vdot(last.change, result) / product) * last.move


def _line_search(problem: _Problem, line: _Line, slope_at_0: float) -> float:
    """Find where the slope along a line is next to nothing, by Newton's method within a bracket.

    As the logits are linear, this costs no product with the features.
    """
    low, high, length = 0.0, np.inf, 1.0
    for _ in range(_MAX_SEARCH):
        slope, curvature = problem.along(line, length)
        if abs(slope) <= _SLACK * abs(slope_at_0):
            break
        low, high = (length, high) if slope < 0 else (low, length)
        length -= slope / curvature
        if not low < length < high:
            length = (low + high) / 2 if np.isfinite(high) else 2 * low
    return length
