"""What its user should know about a model, although training it did not fail."""

from collections.abc import Iterator

import numpy as np

from lfvpipe.detector import blend
from lfvpipe.detector.calibration import outlying
from lfvpipe.detector.faults import DetectorWarning
from lfvpipe.detector.fitting import FEW, Data
from lfvpipe.detector.logistic import Doubles, Integers

UNEXPLAINED = 0.85  # of what saying nothing leaves unexplained: chance where images are few
NAMED = 5  # images that a warning names


def warnings(data: Data, scores: Doubles, rows: Integers, given: int) -> Iterator[DetectorWarning]:
    """Yield what to warn of.

    Args:
        data: What was learnt from.
        scores: Out of fold, of some of the images.
        rows: The numbers of these.
        given: How many images there were to draw from.
    """
    yield from _counts(data, given)
    yield from _contradictions(data)
    yield from _unexplained(data, scores, rows) if data.supervised else _odd(data, scores, rows)


def _counts(data: Data, given: int) -> Iterator[DetectorWarning]:
    anomalies, normals = data.different(anomalous=True), data.different(anomalous=False)
    if not anomalies:
        text = "no anomaly was labelled: the model flags what looks unusual and may miss defects"
        yield DetectorWarning("normals-only", f"{text}. Label some to make it reliable.")
    elif anomalies < FEW:
        text = f"different anomalies labelled: {anomalies}; the model flags what looks unusual"
        yield DetectorWarning("few-anomalies", f"{text}. Label {FEW} or more.")
    if normals < 10:
        text = f"different normal images given: {normals}; the threshold is uncertain, and"
        yield DetectorWarning("few-normals", f"{text} defects may be missed. Give 20 or more.")
    if given > len(data.seen):
        text = f"{given} images were given, of which {len(data.seen)} were drawn to learn from"
        yield DetectorWarning("sampled", f"{text}. Raise max_rows to learn from more.")


def _contradictions(data: Data) -> Iterator[DetectorWarning]:
    """Warn of images that are given under both labels."""
    pixels = [(seen.pixels, each) for seen, each in zip(data.seen, data.examples, strict=True)]
    normal = {known for known, each in pixels if each.label == "normal"}
    both = [each.path.name for known, each in pixels if each.label != "normal" and known in normal]
    if both:
        text = f"images labelled both normal and anomalous: {_listed(both)}"
        yield DetectorWarning("contradictory", f"{text}. Give each image once.")


def _unexplained(data: Data, scores: Doubles, rows: Integers) -> Iterator[DetectorWarning]:
    labels = data.labels[rows]
    if blend.loss(scores, labels) > UNEXPLAINED * blend.loss(np.zeros(len(labels)), labels):
        text = "the labels could hardly be told from the images: its verdicts are close to chance"
        hint = "Check the labels, and whether the defects can be seen."
        yield DetectorWarning("labels-unexplained", f"{text}. {hint}")


def _odd(data: Data, scores: Doubles, rows: Integers) -> Iterator[DetectorWarning]:
    normal = rows[~data.labels[rows]]
    odd = normal[outlying(scores[~data.labels[rows]])].tolist()
    if odd:
        names = _listed([data.examples[row].path.name for row in odd])
        text = f"normal images that look unlike the others: {names}"
        yield DetectorWarning("odd-normals", f"{text}. Check that they are normal.")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
