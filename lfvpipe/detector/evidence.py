"""Small evidence: every position is scored, and an image is as anomalous as its few worst.

Where anomalies are labelled, a multiple-instance logistic regression learns which of the unusual
counts: in turn the worst positions of anomalous images are taken as anomalous and the model is
fitted against normal images' random and worst ones (the MI-SVM scheme of Andrews, Tsochantaridis &
Hofmann, NIPS 2002, with a logistic loss). Defects that were drawn are learnt from alike, with the
difference that their positions are known.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.blend import loss
from lfvpipe.detector.local import TOP, Local, novelty_score, whitening, worst
from lfvpipe.detector.logistic import Doubles, Integers, newton
from lfvpipe.detector.memory import give_back
from lfvpipe.executor import in_order

Floats = NDArray[np.float32]
ReadCells = Callable[[int, int], Floats]
Drawn = Mapping[int, Sequence[Floats]]
ROUNDS = 4
WORST = 20  # positions of a normal image that a round learns from, and so many random ones
RANDOM = 40
MAX_LEARNT = 8_000  # of them in all
POOL = {False: 64, True: 192}  # most unusual positions kept of a normal, an anomalous image
MAX_POOLED = 40_000  # of all normal, and of all anomalous ones; fewer of each where they are many
SAMPLE = 150  # positions of a normal image that the covariance is estimated from
MAX_SAMPLES = 25_000  # of them in all
NOBODY = -1  # the fold of no image
PENALTY = 10.0
PRECISION = 1e-5  # of the log-likelihood: positions are chosen anew, with the next round


def _some(cells: Floats, count: int, generator: np.random.Generator) -> Floats:
    return cells[np.sort(generator.permutation(len(cells))[:count])]


@dataclass(frozen=True)
class Bag:
    """What learning keeps of an image: some positions, the last RANDOM of them at random.

    Of a drawn defect, positions within it.
    """

    points: Floats
    anomalous: bool
    drawn: bool = False

    @property
    def kind(self) -> int:
        """0 for a normal image, 1 for a labelled anomaly, 2 for a drawn defect."""
        return self.anomalous + self.drawn


def bag(
    local: Local, cells: Floats, generator: np.random.Generator, *, anomalous: bool, like: int
) -> Bag:
    """Return the most unusual and some random positions of an image, one of so many `like` it."""
    unusual = _unusual(local, cells, min(POOL[anomalous], max(WORST, MAX_POOLED // like)))
    return Bag(np.concatenate([unusual, _some(cells, RANDOM, generator)]), anomalous)


def drawn_bag(local: Local, cells: Floats) -> Bag:
    """Return the most unusual of the positions within a drawn defect."""
    return Bag(_unusual(local, cells, POOL[True]), anomalous=True, drawn=True)


def _unusual(local: Local, cells: Floats, count: int) -> Floats:
    return cells[np.argsort(local.novelty(cells), kind="stable")[-count:]]


def learn(local: Local, bags: Sequence[Bag]) -> Local:
    """Return a whitening with the weights that bags of both labels teach."""
    scores = [local.novelty(each.points) for each in bags]
    normals = sum(not each.anomalous for each in bags)
    part = min(1.0, MAX_LEARNT / ((WORST + RANDOM) * max(1, normals)))
    solution: Doubles | None = None
    for _ in range(ROUNDS):
        rows, kinds = _lesson(bags, scores, part)
        weights = len(bags) * _shares(kinds)
        solution = newton(local.whitened(rows), kinds > 0, weights, PENALTY, solution, PRECISION)
        local = replace(local, weights=solution[:-1], bias=float(solution[-1]))
        scores = [local.evidence(each.points) for each in bags]
    return local


def _lesson(bags: Sequence[Bag], scores: Sequence[Floats], part: float) -> tuple[Floats, Integers]:
    """Return the positions that a round learns from, and of which kind each is."""
    chosen = [_learnt_from(*each, part) for each in zip(bags, scores, strict=True)]
    kinds = np.repeat([each.kind for each in bags], [len(each) for each in chosen])
    return np.concatenate(chosen), kinds


def _learnt_from(each: Bag, scores: Floats, part: float) -> Floats:
    """Return the positions of a bag that a round learns from, and `part` of a normal one's."""
    if each.anomalous:
        return _chosen(each, scores, TOP)
    hardest, random = max(1, round(WORST * part)), max(1, round(RANDOM * part))
    return np.concatenate([_chosen(each, scores, hardest), each.points[-random:]])


def _shares(kinds: Integers) -> Doubles:
    """Return what each position weighs: normal and anomalous alike, labelled and drawn alike."""
    found, counts = np.unique(kinds, return_counts=True)
    share = np.where(found > 0, 0.5 / (len(found) - 1), 0.5) / counts
    return np.asarray(share[np.searchsorted(found, kinds)])


def _chosen(each: Bag, scores: Floats, count: int) -> Floats:
    return each.points[np.argsort(scores, kind="stable")[-count:]]


@dataclass(frozen=True)
class Fitted:
    """The fit, and each image's scores by a fit that had not learnt from it.

    With labelled anomalies the fit is on all images, since each of them counts. Without, it is the
    mean of the folds' fits, which is a linear score too (cross-validation committee: Krogh &
    Vedelsby, NIPS 1994): one on all images scores normal ones higher by chance than they did, and
    the threshold, which comes from their scores alone, would be too low.
    """

    local: Local
    evidence: Doubles
    novelty: Doubles


def fit(
    read: ReadCells,
    shown: ReadCells,
    labels: NDArray[np.bool_],
    folds: Integers,
    views: int,
    seed: int,
    tick: Callable[[int, int], None],
    threads: int,
    *,
    supervised: bool,
    drawn: Drawn,
) -> Fitted:
    """Fit on images whose positions `read` returns, (n, c) float32, by image and view.

    Args:
        read: Positions of an image.
        shown: Those that an anomalous image is learnt from.
        labels: True for anomalies.
        folds: Of each image.
        views: Mirrored views of each image; all are learnt from, the first is scored.
        seed: Of the random positions.
        tick: Told of (done, total) images; may raise to stop.
        threads: Images worked on at the same time; their number changes nothing.
        supervised: Whether to learn from the anomalies.
        drawn: Positions within drawn defects, by the fold of the image drawn on; learnt from too,
            unless labelled ones alone explain the labels better.
    """
    normals = np.flatnonzero(~labels).tolist()
    samples = _samples(read, normals, seed, threads)
    apart = _whitenings(samples, folds)
    base, total = apart[NOBODY], 2 * len(labels)
    bags: list[Bag] = []
    pack = partial(_packed, shown, base, labels, views, seed)
    for each in in_order(pack, range(len(labels)), threads):
        bags += each
        tick(len(bags) // views, total)
    known = _Known(apart, *_with_drawn(bags, np.repeat(folds, views), base, drawn, supervised))
    turns = np.unique(folds).tolist()
    choices = (False, True) if supervised and drawn else (not supervised,)
    left_out = [*turns, NOBODY] if supervised else turns
    fits = [known.fits(left_out, threads, with_drawn=each) for each in choices]
    del known, bags  # the most of what is kept
    give_back()
    evidence, novelty = np.zeros((len(choices), len(labels))), np.zeros(len(labels))
    scored = _out_of_fold(read, apart, folds, fits, threads)
    for done, (index, scores) in enumerate(scored, start=len(labels) + 1):
        novelty[index], evidence[:, index] = scores
        tick(done, total)
    best = int(np.argmin([loss(each, labels) for each in evidence])) if len(choices) > 1 else 0
    last = fits[best][-1] if supervised else _mean(base, fits[best])
    return Fitted(last, evidence[best], novelty)


def _out_of_fold(
    read: ReadCells,
    apart: Mapping[int, Local],
    folds: Integers,
    fits: Sequence[Sequence[Local]],
    threads: int,
) -> Iterator[tuple[int, tuple[float, list[float]]]]:
    """Yield each image and its scores, novelty and evidence, by what other folds taught."""
    for turn, fold in enumerate(np.unique(folds).tolist()):
        members = np.flatnonzero(folds == fold).tolist()
        score = partial(_scored, read, apart[fold], [each[turn] for each in fits])
        yield from zip(members, in_order(score, members, threads), strict=True)


def _whitenings(samples: Mapping[int, Floats], folds: Integers) -> dict[int, Local]:
    """Return the whitening of normal images' samples without each fold, and without NOBODY."""
    return {
        left_out: whitening(
            np.concatenate([some for index, some in samples.items() if folds[index] != left_out])
        )
        for left_out in [*np.unique(folds).tolist(), NOBODY]
    }


def _mean(base: Local, fits: Sequence[Local]) -> Local:
    """Return what folds' fits say on average, as weights on the whitening `base`."""
    directions = np.mean([each.basis @ each.weights for each in fits], axis=0)
    weights = np.linalg.lstsq(base.basis.astype(np.float64), directions, rcond=None)[0]
    offset = np.mean([each.bias - each.mean @ (each.basis @ each.weights) for each in fits])
    return replace(base, weights=weights, bias=float(offset + base.mean @ directions))


@dataclass(frozen=True)
class _Known:
    """The whitening without each fold, bags to learn from, and the fold of each."""

    apart: Mapping[int, Local]
    bags: Sequence[Bag]
    owners: Integers

    def fits(self, left_out: Sequence[int], threads: int, *, with_drawn: bool) -> list[Local]:
        """Return what is learnt without each of some folds; from drawn defects too, or not."""
        give_back()
        found = list(in_order(partial(self._without, with_drawn), left_out, threads))
        give_back()
        return found

    def _without(self, with_drawn: bool, left_out: int) -> Local:
        pairs = zip(self.bags, self.owners.tolist(), strict=True)
        bags = [each for each, fold in pairs if fold != left_out and (with_drawn or not each.drawn)]
        learnable = any(each.anomalous for each in bags)
        return learn(self.apart[left_out], bags) if learnable else self.apart[left_out]


def _with_drawn(
    bags: list[Bag], owners: Integers, base: Local, drawn: Drawn, supervised: bool
) -> tuple[list[Bag], Integers]:
    """Return the bags and their folds, with drawn defects; without labelled ones if need be."""
    if not supervised:
        owners = owners[[not each.anomalous for each in bags]]
        bags = [each for each in bags if not each.anomalous]
    more = [(fold, drawn_bag(base, cells)) for fold, found in drawn.items() for cells in found]
    folds = np.concatenate([owners, np.array([fold for fold, _ in more], np.int64)])
    return [*bags, *(each for _, each in more)], folds


def _samples(read: ReadCells, normals: Sequence[int], seed: int, threads: int) -> dict[int, Floats]:
    """Return some positions of each normal image, to know how they vary."""
    quota = max(1, min(SAMPLE, MAX_SAMPLES // len(normals)))

    def sample(index: int) -> Floats:
        return _some(read(index, 0), quota, np.random.default_rng([seed, index]))

    return dict(zip(normals, in_order(sample, normals, threads), strict=True))


def _packed(
    shown: ReadCells, base: Local, labels: NDArray[np.bool_], views: int, seed: int, index: int
) -> list[Bag]:
    """Return a bag for each view of an image."""
    random, anomalous = np.random.default_rng([seed, index, 1]), bool(labels[index])
    like = views * int((labels == anomalous).sum())
    cells = (shown(index, view) for view in range(views))
    return [bag(base, each, random, anomalous=anomalous, like=like) for each in cells]


def _scored(
    read: ReadCells, apart: Local, learnt: Sequence[Local], index: int
) -> tuple[float, list[float]]:
    cells = read(index, 0)
    return novelty_score(apart.novelty(cells)), [worst(each.evidence(cells)) for each in learnt]
