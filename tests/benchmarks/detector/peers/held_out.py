"""A threshold and a calibration from held-out scores, as a peer's user would choose them."""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


def threshold(scores: Doubles, labels: Bools) -> float:
    """Return the score from which to call an image anomalous: best F1, the widest gap on ties.

    Without anomalies it is just above all scores, which is what anomalib does.
    """
    ranked = np.unique(scores)
    if not labels.any():
        return float(np.nextafter(ranked[-1], np.inf))
    cuts = np.concatenate([ranked[:1], (ranked[:-1] + ranked[1:]) / 2])
    gaps = np.concatenate([[0.0], np.diff(ranked)])
    called = scores[None] >= cuts[:, None]
    gain = 2 * (called & labels).sum(1) / (called.sum(1) + labels.sum())
    best = np.flatnonzero(gain >= gain.max() - 1e-9)
    return float(cuts[best[np.argmax(gaps[best])]])


def sigmoid(scores: Doubles, labels: Bools) -> tuple[float, float]:
    """Return slope and offset of the log-odds in the score, by Newton's method.

    Source: Platt, "Probabilistic outputs for support vector machines" (1999): his smoothed targets.
    """
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    rows = np.stack([(scores - centre) / spread, np.ones_like(scores)], 1)
    anomalies, normals = int(labels.sum()), int((~labels).sum())
    target = np.where(labels, (anomalies + 1) / (anomalies + 2), 1 / (normals + 2))
    solution = np.zeros(2)
    for _ in range(100):
        odds = 1 / (1 + np.exp(-np.clip(rows @ solution, -30, 30)))
        curve = (rows * (odds * (1 - odds))[:, None]).T @ rows + 1e-3 * np.eye(2)
        step = np.linalg.solve(curve, rows.T @ (target - odds) - 1e-3 * solution)
        solution += np.clip(step, -2, 2)
    if solution[0] < 0:  # few scores, ranked the wrong way round: they say nothing
        return 0.0, float(np.log(target.mean() / (1 - target.mean())))
    slope = float(solution[0]) / spread
    return slope, float(solution[1]) - slope * centre
