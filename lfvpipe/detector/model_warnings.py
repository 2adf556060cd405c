"""What its user should know about a model, although training it did not fail."""

from collections.abc import Iterator

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Doubles, Integers
from lfvpipe.detector.blending import label_loss
from lfvpipe.detector.calibration import is_outlying
from lfvpipe.detector.errors import DetectorWarning
from lfvpipe.detector.scale_training import TrainingSet

NAMED = 5  # images that a warning names


def warnings(
    data: TrainingSet, scores: Doubles, rows: Integers, given: int
) -> Iterator[DetectorWarning]:
    """Yield what to warn of.

    Args:
        data: What was learnt from.
        scores: Out of fold, of some of the images.
        rows: The numbers of these.
        given: How many images there were to draw from.
    """
    yield from _few(data, given)
    yield from _contradictory(data)
    labels = data.labels[rows]
    if data.supervised:
        unexplained = label_loss(scores, labels)
        if unexplained > tuning.LABELS_UNEXPLAINED * label_loss(np.zeros(len(labels)), labels):
            text = (
                "the labels could hardly be told from the images: its verdicts are close to chance"
            )
            hint = "Check the labels, and whether the defects can be seen."
            yield DetectorWarning("labels-unexplained", f"{text}. {hint}")
    else:
        normal = rows[~labels]
        odd = normal[is_outlying(scores[~labels])].tolist()
        if odd:
            names = _list_names([data.examples[row].path.name for row in odd])
            text = f"normal images that look unlike the others: {names}"
            yield DetectorWarning("odd-normals", f"{text}. Check that they are normal.")


def _few(data: TrainingSet, given: int) -> Iterator[DetectorWarning]:
    """Warn of too few images of a label, and of images that were not learnt from."""
    anomalies = data.count_different(anomalous=True)
    normals, few = data.count_different(anomalous=False), tuning.FEW_ANOMALIES
    if not anomalies:
        text = "no anomaly was labelled: the model flags what looks unusual and may miss defects"
        yield DetectorWarning("normals-only", f"{text}. Label some to make it reliable.")
    elif anomalies < few:
        text = f"different anomalies labelled: {anomalies}; the model flags what looks unusual"
        yield DetectorWarning("few-anomalies", f"{text}. Label {few} or more.")
    if normals < tuning.FEW_NORMALS:
        text = f"different normal images given: {normals}; the threshold is uncertain, and"
        yield DetectorWarning("few-normals", f"{text} defects may be missed. Give 20 or more.")
    if given > len(data.features):
        text = f"{given} images were given, of which {len(data.features)} were drawn to learn from"
        yield DetectorWarning("sampled", f"{text}. Raise max_rows to learn from more.")


def _contradictory(data: TrainingSet) -> Iterator[DetectorWarning]:
    """Warn of images that are given under both labels."""
    pairs = [(f.pixel_digest, each) for f, each in zip(data.features, data.examples, strict=True)]
    normal = {pixels for pixels, each in pairs if each.label == "normal"}
    both = [each.path.name for pixels, each in pairs if each.label != "normal" and pixels in normal]
    if both:
        text = f"images labelled both normal and anomalous: {_list_names(both)}"
        yield DetectorWarning("contradictory", f"{text}. Give each image once.")


def _list_names(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
