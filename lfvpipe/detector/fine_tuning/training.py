"""Gradient descent on the last blocks: AdamW, a one-cycle rate, an average of the last weights.

Sources: AdamW: Loshchilov & Hutter, ICLR 2019; one cycle: Smith & Topin 2018; averaging weights:
Polyak & Juditsky 1992. One thread, one order of sums: the same lessons make the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING, Any

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.backbone.network import checkpoint_tensors, start_session
from lfvpipe.detector.fine_tuning import graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfvpipe.detector.arrays import Bools, Doubles, Floats
    from lfvpipe.detector.fine_tuning.graphs import Parameters


@dataclass(frozen=True)
class Look:
    """One view of an image to learn from.

    Attributes:
        fine: The stride-8 map, (48, 2h, 2w).
        coarse: The stride-16 map, (88, h, w).
        marks: Share of each stride-8 cell that a mask marks, (2h, 2w); None where there is no mask.
    """

    fine: Floats
    coarse: Floats
    marks: Floats | None = None


@dataclass(frozen=True)
class Lessons:
    """What a network learns from.

    Attributes:
        labels: True for anomalies, (images,).
        shapes: Of each image's stride-16 map, (h, w): images of one shape make a batch.
        views: How many there are of each image.
        read: A view of an image.
    """

    labels: Bools
    shapes: Sequence[tuple[int, int]]
    views: int
    read: Callable[[int, int], Look]


def count_of(shape: tuple[int, ...]) -> int:
    """Return how many of the evidence map's cells make the local logit."""
    return max(1, round(tuning.EVIDENCE_SHARE * shape[0] * shape[1]))


def start_teacher() -> Any:
    """Return a session that tells the gradients of a batch; threads may share it."""
    learning, fixed = graphs.pretrained(checkpoint_tensors())
    heads = graphs.new_heads(np.random.default_rng(0))
    return start_session(graphs.build_step(learning | heads, fixed))


class Course:
    """One network learning its lessons, a number of steps at a time."""

    def __init__(
        self, teacher: Any, lessons: Lessons, most_steps: int, seed: Sequence[int]
    ) -> None:
        """Begin with the backbone as it is.

        Args:
            teacher: What `start_teacher` returned; courses share it, and so its memory.
            lessons: What to learn from.
            most_steps: To learn in.
            seed: Of the heads as they begin, of the order of images, and of which view is seen.
        """
        self._random = np.random.default_rng(seed)
        learning, self._fixed = graphs.pretrained(checkpoint_tensors())
        heads = graphs.new_heads(self._random)
        self.steps = steps_of(len(lessons.labels), most_steps)
        self._descent = _Descent(learning | heads, {*heads}, self.steps)
        self._session = teacher
        self._names = [f"d {name}" for name in learning | heads]
        self._lessons = lessons
        self._batches = _batches(lessons.shapes, self.steps, self._random)
        labels = lessons.labels
        # Both labels weigh the same, however few images one has.
        self._weights = 0.5 / np.where(labels, labels.mean(), 1 - labels.mean())

    def advance(self, steps: int) -> None:
        """Learn from so many batches; from none once all have been."""
        some, self._batches = self._batches[:steps], self._batches[steps:]
        lessons, views = self._lessons, self._lessons.views
        for batch in some:
            looks = [lessons.read(index, int(self._random.integers(views))) for index in batch]
            self._descent.step(self._gradients_of(looks, batch))

    def _gradients_of(self, looks: Sequence[Look], batch: Sequence[int]) -> Sequence[Floats]:
        """Return the gradients of a batch's loss, worked out a few images at a time.

        What the layers of a whole batch hold at once is a quarter of a gigabyte a thread.
        """
        cells = looks[0].coarse[0].size
        size, known = max(1, tuning.TUNING_CELLS_AT_ONCE // cells), self._descent.parameters
        total: list[Floats] = []
        for start in range(0, len(looks), size):
            part = batch[start : start + size]
            labels, weights = self._lessons.labels[part], self._weights[part]
            inputs = _inputs(looks[start : start + size], labels, weights, len(batch))
            found = self._session.run(self._names, inputs | known)
            total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        return total

    def state(self) -> dict[str, Any]:
        """Return what `resume` goes on from."""
        left, random = len(self._batches), self._random.bit_generator.state
        return {"left": left, "random": random, "descent": self._descent.state()}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on as the course that was in this state would have, bit for bit."""
        self._batches = self._batches[len(self._batches) - state["left"] :]
        self._random.bit_generator.state = state["random"]
        self._descent.resume(state["descent"])

    @property
    def network(self) -> Parameters:
        """All parameters of the network that was learnt, those that stayed included."""
        return self._descent.average | self._fixed


def steps_of(images: int, most: int) -> int:
    """Return how many steps are learnt in from so many images, `most` at most."""
    wanted = tuning.TUNING_EPOCHS * images / tuning.TUNING_BATCH
    return round(min(max(wanted, tuning.TUNING_LEAST_STEPS), most))


def _batches(
    shapes: Sequence[tuple[int, int]], steps: int, random: np.random.Generator
) -> Sequence[list[int]]:
    """Return so many batches of images of one shape; each image comes once before any twice."""
    found: list[list[int]] = []
    while len(found) < steps:
        order = random.permutation(len(shapes)).tolist()
        by_shape: dict[tuple[int, int], list[int]] = {}
        for index in order:
            by_shape.setdefault(shapes[index], []).append(index)
        size = tuning.TUNING_BATCH
        epoch = [
            some[start : start + size]
            for some in by_shape.values()
            for start in range(0, len(some), size)
        ]
        found += [epoch[index] for index in random.permutation(len(epoch)).tolist()]
    return found[:steps]


def _inputs(looks: Sequence[Look], labels: Bools, weights: Doubles, count: int) -> dict[str, Any]:
    """Return what the teacher is given of some images of a batch of `count`."""
    fine = np.stack([each.fine for each in looks])
    shape = fine.shape[2:]
    cells, trust = np.zeros((2, len(looks), 1, *shape), np.float32)
    for number, (look, anomalous) in enumerate(zip(looks, labels.tolist(), strict=True)):
        if look.marks is not None and anomalous:
            marked = look.marks > tuning.MARK_LEAST_COVERED
            cells[number, 0] = marked
            trust[number, 0] = marked / max(1, marked.sum())
    return {
        "fine": fine,
        "coarse": np.stack([each.coarse for each in looks]),
        "count": np.array([count_of(shape)], np.int64),
        "labels": labels[:, None].astype(np.float32),
        "weights": (weights[:, None] / count).astype(np.float32),
        "cells": cells,
        "trust": trust / np.float32(count),
    }


class _Descent:
    """AdamW over all parameters as one vector, and the average of where it has been."""

    def __init__(self, parameters: Parameters, heads: set[str], steps: int) -> None:
        self._shapes = {name: each.shape for name, each in parameters.items()}
        self._now = np.concatenate([each.ravel() for each in parameters.values()])
        sizes = [each.size for each in parameters.values()]
        rates = [tuning.HEAD_RATE if n in heads else tuning.BLOCK_RATE for n in parameters]
        self._rate = np.repeat(np.array(rates, np.float32), sizes)
        self._mean, self._square = np.zeros((2, self._now.size), np.float32)
        self._average = self._now.copy()
        self._steps, self._done = steps, 0

    @property
    def parameters(self) -> Parameters:
        """The parameters as they are now."""
        return self._split(self._now)

    @property
    def average(self) -> Parameters:
        """Their average over the last steps."""
        return self._split(self._average)

    def state(self) -> dict[str, Any]:
        """Return what `resume` goes on from."""
        vectors = [self._now, self._mean, self._square, self._average]
        return {"vectors": vectors, "done": self._done}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from where the descent was in this state."""
        self._now, self._mean, self._square, self._average = state["vectors"]
        self._done = state["done"]

    def step(self, gradients: Sequence[Floats]) -> None:
        """Go a step against the gradients."""
        gradient = np.concatenate([each.ravel() for each in gradients])
        self._done += 1
        one, two = 0.9, 0.999
        self._mean += (1 - one) * (gradient - self._mean)
        self._square += (1 - two) * (gradient * gradient - self._square)
        mean = self._mean / np.float32(1 - one**self._done)
        size = np.sqrt(self._square / np.float32(1 - two**self._done)) + np.float32(1e-8)
        rate = self._rate * np.float32(self._cycle())
        self._now -= rate * (mean / size + np.float32(tuning.TUNING_DECAY) * self._now)
        kept = min(tuning.TUNING_MEMORY, self._done / (self._done + 9))
        self._average += np.float32(1 - kept) * (self._now - self._average)

    def _cycle(self) -> float:
        """Return the share of the highest rate: up in the first fifth, then down to nothing."""
        done = self._done / self._steps
        up = tuning.TUNING_WARM_UP
        if done < up:
            return 0.04 + 0.96 * (1 - cos(pi * done / up)) / 2
        return (1 + cos(pi * (done - up) / (1 - up))) / 2

    def _split(self, vector: Floats) -> Parameters:
        result, start = {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            result[name] = vector[start : start + size].reshape(shape)
            start += size
        return result
