"""L2-regularised logistic regression by Newton's method."""

from dataclasses import dataclass

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Bools, Doubles, Floats


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
