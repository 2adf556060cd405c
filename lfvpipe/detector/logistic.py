"""L2-regularised logistic regression by Newton's method, with its penalty chosen out of fold.

Rows are reduced to their own span first (principal components), so that the cost depends on the
smaller of rows and features: the dual form where features outnumber the examples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
PENALTIES = tuple(10.0**k for k in np.arange(-3.0, 3.01, 0.75))
MAX_COMPONENTS = 512
MAX_STEPS = 30
CHUNK = 2048  # rows weighed at a time, to save memory


@dataclass(frozen=True)
class Linear:
    """A standardising linear score: ((x - mean) / spread) · weights + bias, in log-odds."""

    mean: Doubles
    spread: Doubles
    weights: Doubles
    bias: float

    def score(self, rows: NDArray[np.float32]) -> Doubles:
        """Return the log-odds of each of `rows` (n, d)."""
        result: Doubles = ((rows - self.mean) / self.spread) @ self.weights + self.bias
        return result


@dataclass(frozen=True)
class Fitted:
    """A fit on all rows, each row's log-odds from the fit that left its fold out, the penalty."""

    linear: Linear
    out_of_fold: Doubles
    penalty: float


def fit(
    rows: NDArray[np.float32],
    labels: NDArray[np.bool_],
    folds: Integers,
    weights: Doubles,
    tick: Callable[[int, int], None] = lambda _done, _total: None,
) -> Fitted:
    """Fit on `rows` (n, d); the penalty has the least out-of-fold log-loss.

    Args:
        rows: One row a view of an image.
        labels: True for anomalies.
        folds: The fold of each row; the views of an image share theirs.
        weights: Of each row in the loss.
        tick: Told of (done, total) fits; may raise to stop.
    """
    mean, spread = rows.mean(0, dtype=np.float64), rows.std(0, dtype=np.float64)
    spread = np.where(spread > 1e-6 * (np.abs(mean) + 1e-6), spread, np.inf)
    standard = (rows - mean) / spread / np.sqrt(rows.shape[1])
    reduced, basis = _components(standard)
    scores = _out_of_fold(reduced, labels, folds, weights, tick)
    losses = [_log_loss(each, labels, weights) for each in scores]
    best = int(np.argmin(losses))
    solution = newton(reduced, labels, weights, PENALTIES[best])
    coefficients = basis @ solution[:-1] / np.sqrt(rows.shape[1])
    linear = Linear(mean, spread, coefficients, float(solution[-1]))
    return Fitted(linear, scores[best], PENALTIES[best])


def _components(standard: Doubles) -> tuple[Doubles, Doubles]:
    """Return the rows in an orthonormal basis of their span, and that basis (d, k)."""
    tall = standard.shape[0] > standard.shape[1]
    gram = standard.T @ standard if tall else standard @ standard.T
    values, vectors = np.linalg.eigh(gram)
    keep = np.flatnonzero(values > max(values[-1], 1e-12) * 1e-9)[-MAX_COMPONENTS:]
    basis = vectors[:, keep] if tall else standard.T @ (vectors[:, keep] / np.sqrt(values[keep]))
    return standard @ basis, basis


def _out_of_fold(
    reduced: Doubles,
    labels: NDArray[np.bool_],
    folds: Integers,
    weights: Doubles,
    tick: Callable[[int, int], None],
) -> Doubles:
    """Return the left-out score of every row under every penalty: (penalties, n)."""
    scores = np.zeros((len(PENALTIES), len(reduced)))
    names = np.unique(folds)
    for turn, fold in enumerate(names):
        inside, outside = folds != fold, folds == fold
        start = None
        for index, penalty in enumerate(PENALTIES):
            start = newton(reduced[inside], labels[inside], weights[inside], penalty, start)
            scores[index, outside] = reduced[outside] @ start[:-1] + start[-1]
            tick(turn * len(PENALTIES) + index + 1, len(names) * len(PENALTIES))
    return scores


def newton(
    rows: Doubles | NDArray[np.float32],
    labels: NDArray[np.bool_],
    weights: Doubles,
    penalty: float,
    start: Doubles | None = None,
    precision: float = 1e-9,
) -> Doubles:
    """Return the coefficients, bias last, of the least sum(weights · log-loss) + ½·|w|²/C.

    `penalty` is C, the inverse strength; `precision` is relative, of the sum. Source: iteratively
    reweighted least squares, e.g. Hastie, Tibshirani & Friedman, "The Elements of Statistical
    Learning", 4.4.1, with step halving.
    """
    design: Doubles = np.column_stack([rows, np.ones(len(rows))])
    ridge = np.full(design.shape[1], 1 / penalty)
    ridge[-1] = 1e-8
    solution = np.zeros(design.shape[1]) if start is None else start
    value = _objective(design, labels, weights, ridge, solution)
    for _ in range(MAX_STEPS):
        step = _newton_step(design, labels, weights, ridge, solution)
        solution, improved = _shortened(design, labels, weights, ridge, solution, step, value)
        if value - improved < precision * (1 + abs(value)):
            break
        value = improved
    return solution


def _newton_step(
    design: Doubles, labels: NDArray[np.bool_], weights: Doubles, ridge: Doubles, at: Doubles
) -> Doubles:
    probability = expit(design @ at)
    gradient = design.T @ (weights * (probability - labels)) + ridge * at
    curvature = weights * probability * (1 - probability)
    hessian = np.diag(ridge + 1e-12)
    for start in range(0, len(design), CHUNK):
        part = design[start : start + CHUNK]
        hessian += (part * curvature[start : start + CHUNK, None]).T @ part
    step = np.linalg.solve(hessian, gradient)
    return step.astype(np.float64, copy=False)


def _shortened(
    design: Doubles,
    labels: NDArray[np.bool_],
    weights: Doubles,
    ridge: Doubles,
    at: Doubles,
    step: Doubles,
    value: float,
) -> tuple[Doubles, float]:
    length = 1.0
    while length > 1e-4:
        candidate = at - length * step
        improved = _objective(design, labels, weights, ridge, candidate)
        if improved <= value:
            return candidate, improved
        length /= 2
    return at, value


def _objective(
    design: Doubles, labels: NDArray[np.bool_], weights: Doubles, ridge: Doubles, at: Doubles
) -> float:
    score = design @ at
    loss = weights @ (np.logaddexp(0, score) - labels * score)
    return float(loss + 0.5 * (ridge * at) @ at)


def _log_loss(scores: Doubles, labels: NDArray[np.bool_], weights: Doubles) -> float:
    losses = np.logaddexp(0, scores) - labels * scores
    return float(weights @ losses / weights.sum())


def expit(scores: Doubles) -> Doubles:
    """Return 1 / (1 + exp(-scores)) without overflow."""
    result: Doubles = np.exp(-np.logaddexp(0, -scores))
    return result
