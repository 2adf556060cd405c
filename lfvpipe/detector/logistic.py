"""L2-regularised logistic regression by Newton's method, with its penalty chosen out of fold.

Rows are reduced to their own span first (principal components), so that the cost depends on the
smaller of rows and features: the dual form where features outnumber the examples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Bools, Doubles, Floats, Integers


@dataclass(frozen=True)
class LinearClassifier:
    """A standardising linear classifier: its logit is ((x - mean) / spread) · weights + bias."""

    mean: Doubles
    spread: Doubles
    weights: Doubles
    bias: float

    def logits(self, rows: Floats) -> Doubles:
        """Return the logit of each of `rows` (n, d)."""
        result: Doubles = ((rows - self.mean) / self.spread) @ self.weights + self.bias
        return result


@dataclass(frozen=True)
class LogisticFit:
    """A fit on all rows, and each row's logit by the fit that left its fold out."""

    classifier: LinearClassifier
    out_of_fold: Doubles


def fit_classifier(
    rows: Floats,
    labels: Bools,
    folds: Integers,
    weights: Doubles,
    tick: Callable[[int, int], None] = lambda _done, _total: None,
) -> LogisticFit:
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
    reduced, basis = _principal_components(standard)
    scores = _score_out_of_fold(reduced, labels, folds, weights, tick)
    log_losses = np.logaddexp(0, scores) - labels * scores
    losses = [float(weights @ each / weights.sum()) for each in log_losses]
    best = int(np.argmin(losses))
    solution = newton(reduced, labels, weights, tuning.CLASSIFIER_PENALTIES[best])
    coefficients = basis @ solution[:-1] / np.sqrt(rows.shape[1])
    classifier = LinearClassifier(mean, spread, coefficients, float(solution[-1]))
    return LogisticFit(classifier, scores[best])


def _principal_components(standard: Doubles) -> tuple[Doubles, Doubles]:
    """Return the rows in an orthonormal basis of their span, and that basis (d, k)."""
    tall = standard.shape[0] > standard.shape[1]
    gram = standard.T @ standard if tall else standard @ standard.T
    values, vectors = np.linalg.eigh(gram)
    keep = np.flatnonzero(values > max(values[-1], 1e-12) * 1e-9)[
        -tuning.CLASSIFIER_MAX_COMPONENTS :
    ]
    basis = vectors[:, keep] if tall else standard.T @ (vectors[:, keep] / np.sqrt(values[keep]))
    return standard @ basis, basis


def _score_out_of_fold(
    reduced: Doubles,
    labels: Bools,
    folds: Integers,
    weights: Doubles,
    tick: Callable[[int, int], None],
) -> Doubles:
    """Return the left-out score of every row under every penalty: (penalties, n)."""
    penalties = tuning.CLASSIFIER_PENALTIES
    scores = np.zeros((len(penalties), len(reduced)))
    names = np.unique(folds)
    for turn, fold in enumerate(names):
        inside, outside = folds != fold, folds == fold
        start = None
        for index, penalty in enumerate(penalties):
            start = newton(reduced[inside], labels[inside], weights[inside], penalty, start)
            scores[index, outside] = reduced[outside] @ start[:-1] + start[-1]
            tick(turn * len(penalties) + index + 1, len(names) * len(penalties))
    return scores


def newton(
    rows: Doubles | Floats,
    labels: Bools,
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
    for _ in range(tuning.NEWTON_MAX_STEPS):
        step = _newton_step(design, labels, weights, ridge, solution)
        solution, improved = _shorten_step(design, labels, weights, ridge, solution, step, value)
        if value - improved < precision * (1 + abs(value)):
            break
        value = improved
    return solution


def _newton_step(
    design: Doubles, labels: Bools, weights: Doubles, ridge: Doubles, at: Doubles
) -> Doubles:
    probability = expit(design @ at)
    gradient = design.T @ (weights * (probability - labels)) + ridge * at
    curvature = weights * probability * (1 - probability)
    hessian = np.diag(ridge + 1e-12)
    chunk = tuning.NEWTON_CHUNK
    for start in range(0, len(design), chunk):
        part = design[start : start + chunk]
        hessian += (part * curvature[start : start + chunk, None]).T @ part
    step = np.linalg.solve(hessian, gradient)
    return step.astype(np.float64, copy=False)


def _shorten_step(
    design: Doubles,
    labels: Bools,
    weights: Doubles,
    ridge: Doubles,
    at: Doubles,
    step: Doubles,
    value: float,
) -> tuple[Doubles, float]:
    """Return the solution, and its objective, after as much of a step as makes that no worse."""
    length = 1.0
    while length > 1e-4:
        candidate = at - length * step
        improved = _objective(design, labels, weights, ridge, candidate)
        if improved <= value:
            return candidate, improved
        length /= 2
    return at, value


def _objective(
    design: Doubles, labels: Bools, weights: Doubles, ridge: Doubles, at: Doubles
) -> float:
    score = design @ at
    loss = weights @ (np.logaddexp(0, score) - labels * score)
    return float(loss + 0.5 * (ridge * at) @ at)


def expit(scores: Doubles) -> Doubles:
    """Return 1 / (1 + exp(-scores)) without overflow."""
    result: Doubles = np.exp(-np.logaddexp(0, -scores))
    return result
