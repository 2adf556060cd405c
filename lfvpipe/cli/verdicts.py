"""What `lfvpipe detect` says of an image, as text, CSV and JSON."""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lfvpipe.cli import output
from lfvpipe.decision import score_of
from lfvpipe.engine.phrases import count_of, doing, listing
from lfvpipe.lookout.likeness import UNLIKE
from lfvpipe.report.durations import duration
from lfvpipe.visible import harmless_cell, visible_name
from lfvpipe.wrapping import plain_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lfvpipe.cli.judge import Judge


@dataclass(frozen=True)
class ImageVerdict:
    """What is said of one image, by a service or a model file.

    Attributes:
        image: The file, as the user named it.
        is_anomalous: The verdict; None where there is none.
        confidence: In the verdict, 0 to 1; under 0.5 where another threshold decides than the
            model's own.
        needs_review: A person should look: the verdict is doubtful, or for a person to decide.
        anomalies: Types of anomaly with the part of the image (0 to 1) that each covers.
        error: Why there is no verdict.
        heat_map: The picture of where the model sees evidence; None where none was written.
        note: How the image is unlike those that were learnt from; "" where it is not.
        unlikeness: How far an image that is not like the training images lies from them, in
            thresholds; None where it is like them, or nobody tells.
        to_person: A person is to decide on it, as `evaluate.to_person` says.
    """

    image: str
    is_anomalous: bool | None = None
    confidence: float | None = None
    needs_review: bool = False
    anomalies: tuple[tuple[str, float], ...] = ()
    error: str = ""
    heat_map: str | None = None
    note: str = ""
    unlikeness: float | None = None
    to_person: bool = False

    @property
    def told(self) -> str:
        """All that there is to know of how unlike the image is."""
        far = self.unlikeness
        unlike = "" if far is None else f"is {UNLIKE}: {far:.2f} times the threshold"
        return "; ".join(filter(None, (self.note, unlike)))

    @property
    def score(self) -> float | None:
        """How sure the model is that the image is anomalous, 0 to 1; None without a verdict."""
        if self.is_anomalous is None or self.confidence is None:
            return None
        return score_of(self.confidence, is_anomalous=self.is_anomalous)

    @property
    def is_doubtful(self) -> bool:
        """Whether the confidence is under `evaluate.review_below`, and no person is to decide."""
        return self.needs_review and not self.to_person

    @property
    def word(self) -> str:
        """``normal``, ``anomaly``, ``person`` where one is to decide, or ``error``."""
        if self.is_anomalous is None:
            return "error"
        if self.to_person:
            return "person"
        return "anomaly" if self.is_anomalous else "normal"


@dataclass
class Tally:
    """Counts verdicts.

    Attributes:
        words: How many there are of each word.
        doubtful: How many are doubtful; those for a person are counted among `words`.
        shaped: How many have a size or shape that no photograph had which was learnt from.
        unlike: How many are not like the training images.
    """

    words: Counter[str] = field(default_factory=Counter)
    doubtful: int = 0
    shaped: int = 0
    unlike: int = 0

    def add(self, verdict: ImageVerdict) -> None:
        """Count a verdict."""
        self.words[verdict.word] += 1
        self.doubtful += verdict.is_doubtful
        self.shaped += bool(verdict.note)
        self.unlike += verdict.unlikeness is not None

    def add_all(self, others: Tally) -> None:
        """Count what another counted."""
        self.words.update(others.words)
        self.doubtful += others.doubtful
        self.shaped += others.shaped
        self.unlike += others.unlike

    def in_words(self, seconds: float) -> str:
        """Return how many images there were, what they were taken for, and how long that took."""
        failed = self.words["error"]
        said = listing(
            f"{self.words['anomaly']:,} anomalous",
            f"{self.words['person']:,} for a person to decide on" if self.words["person"] else "",
            f"{self.doubtful:,} doubtful",
            f"{failed:,} without a verdict" if failed else "",
        )
        return f"{count_of(self.words.total(), 'image')}: {said}, in {duration(seconds)}"

    def notes(self) -> Iterator[str]:
        """Yield that images were judged which are unlike those that were learnt from."""
        if self.shaped:
            yield (
                f"{doing(self.shaped, 'image', 'have')} a size or shape that no photograph had"
                " which the model learnt from; what is said of such is a guess."
            )
        if self.unlike:
            yield (
                f"{doing(self.unlike, 'image', 'are')} {UNLIKE}: another product, a blank or"
                " blurred photograph, or other light; what is said of such is a guess."
            )


def print_verdicts(
    verdicts: Iterable[ImageVerdict],
    judge: Judge,
    *,
    total: int,
    as_json: bool,
    as_csv: bool,
    notes: Iterable[str] = (),
) -> list[ImageVerdict]:
    """Print verdicts in the form that was asked for, as they come where that is possible.

    Args:
        verdicts: One an image.
        judge: What they are given by.
        total: How many there will be.
        as_json: One document of all of them.
        as_csv: A line each.
        notes: What to know of the model; told once, at the end.
    """
    write = (lambda _: None) if as_json else _csv_writer(judge) if as_csv else _print_line
    every: list[ImageVerdict] = []
    tally = Tally()
    began = time.monotonic()
    counter = CounterLine(total)
    for each in verdicts:
        counter.clear()
        every.append(each)
        tally.add(each)
        write(each)
        counter.show(len(every))
    counter.clear()
    told = [*notes, *tally.notes()]
    if as_json:
        output.print_json({"images": [_json(each, judge) for each in every], "notes": told})
    else:
        sys.stdout.flush()
        print(tally.in_words(time.monotonic() - began), file=sys.stderr)
        for note in told:
            print(output.styled(f"note: {note}", "yellow"), file=sys.stderr)
    return every


class CounterLine:
    """A line on a terminal that says how many images are judged; nothing elsewhere.

    Args:
        total: How many there are.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._stream = plain_stream(sys.stderr) if total > 1 and sys.stderr.isatty() else None

    def show(self, done: int) -> None:
        """Say how many are done, on a line that `clear` takes away."""
        if self._stream is not None and done < self._total:
            print(f"{done:,} of {self._total:,} images", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Take the line away, so that a verdict can stand in its place."""
        if self._stream is not None:
            print("\r\x1b[K", end="", file=self._stream, flush=True)


def _print_line(verdict: ImageVerdict) -> None:
    word, image = verdict.word, visible_name(verdict.image)
    if verdict.error:
        error = visible_name(verdict.error)
        print(output.styled(f"{word:<8} {'':5} {'':8}  {image}: {error}", "red"))
        return
    types = ", ".join(f"{visible_name(name)} {part:.1%}" for name, part in verdict.anomalies)
    doubt = "doubtful" if verdict.is_doubtful else ""
    note = f"({verdict.told})" if verdict.told else ""
    model = f"({model_says(verdict)})" if verdict.to_person else ""
    told = "  ".join(filter(None, (image, types, model, note)))
    line = f"{word:<8} {verdict.confidence:.3f} {doubt:<8}  {told}"
    print(output.styled(line, "yellow") if verdict.is_anomalous else line)


def model_says(verdict: ImageVerdict) -> str:
    """Return what the model would call an image: its confidence is in that."""
    return f"the model says {'anomaly' if verdict.is_anomalous else 'normal'}"


def _csv_writer(judge: Judge) -> Callable[[ImageVerdict], None]:
    writer = csv.writer(plain_stream(sys.stdout), lineterminator="\n")
    head = ["image", "verdict", "confidence", "needs_review", "error", "note"]
    writer.writerow([*head, "score", "threshold", "model"])

    def write(verdict: ImageVerdict) -> None:
        confidence = "" if verdict.confidence is None else f"{verdict.confidence:.4f}"
        review = str(verdict.needs_review).lower()
        score = "" if verdict.score is None else f"{verdict.score:.4f}"
        cells = [verdict.image, verdict.word, confidence, review, verdict.error, verdict.told]
        cells += [score, repr(judge.decision.threshold), judge.model]
        writer.writerow([harmless_cell(visible_name(cell)) for cell in cells])

    return write


def _json(verdict: ImageVerdict, judge: Judge) -> dict[str, Any]:
    """Return a verdict as JSON, with what it takes to come to it, or to another one.

    The keys are those of `ImageVerdict`, and `verdict`, its word; then those of `Decision`, and
    the model as people call it, with what tells it from every other.
    """
    return {
        "image": verdict.image,
        "verdict": verdict.word,
        "is_anomalous": verdict.is_anomalous,
        "confidence": verdict.confidence,
        "needs_review": verdict.needs_review,
        "anomalies": [{"name": name, "area": area} for name, area in verdict.anomalies],
        "error": verdict.error or None,
        "heat_map": verdict.heat_map,
        "note": verdict.told or None,
        "unlikeness": verdict.unlikeness,
        "score": verdict.score,
        **vars(judge.decision),
        "model": judge.model,
        "digest": judge.digest,
    }
