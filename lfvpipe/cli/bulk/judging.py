"""Judges all images of a source into a place: what is done stays done, whatever ends the process.

A place holds ``plan.json``, ``verdicts/part-….jsonl``, and, when all is done, ``summary.json``.
Each is put there whole: a folder's files by renaming, objects by one request. So a reader, or the
next call after a kill, finds a partition's verdicts or none of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from lfvpipe.cli import interrupt, output
from lfvpipe.cli.asked import Photograph
from lfvpipe.cli.bulk.lines import line_of, verdict_of
from lfvpipe.cli.bulk.listing import Listing
from lfvpipe.cli.bulk.partitions import FOLDER, PARTITION, SUMMARY, files_in, open_plan, write_plan
from lfvpipe.cli.bulk.sources import NotRead, about_left_out
from lfvpipe.cli.usage import UsageError
from lfvpipe.cli.verdicts import CounterLine, ImageVerdict, Tally
from lfvpipe.engine.phrases import count_of, doing
from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.executor import in_order
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.steps.evaluate.detection import REFUSED
from lfvpipe.storage import StorageError
from lfvpipe.visible import visible_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event

    from lfvpipe.cli.asked import Asked
    from lfvpipe.cli.bulk.partitions import Partition
    from lfvpipe.cli.bulk.places import Place
    from lfvpipe.cli.bulk.sources import Listed, Source
    from lfvpipe.cli.judge import Judge

    Work = tuple[Partition, Listed]


class Judged(NamedTuple):
    """A verdict on an image of a partition; one that is not final may be another the next time."""

    partition: Partition
    verdict: ImageVerdict
    is_final: bool


_JOBS = 4
_NAMED = 10  # images without a verdict that the terminal names
_LISTED = 100  # that the summary names


@dataclass(frozen=True)
class BulkOptions:
    """How many images are judged.

    Attributes:
        partition: Images of a partition; None for what the plan says, or the usual.
        heat_maps: Where these go, for the plan; empty where none are wanted.
        again: The command that goes on with what is left.
    """

    partition: int | None
    heat_maps: str
    again: str


@dataclass
class Findings:
    """What came of all images, counted.

    Attributes:
        tally: The verdicts.
        left_out: What is judged as no image, by kind.
        failed: The first images without a verdict.
        undrawn: Images without a heat map.
    """

    tally: Tally = field(default_factory=Tally)
    left_out: Counter[str] = field(default_factory=Counter)
    failed: list[ImageVerdict] = field(default_factory=list)
    undrawn: int = 0

    def add(self, verdict: ImageVerdict) -> None:
        """Count a verdict."""
        self.tally.add(verdict)
        self.undrawn += not verdict.heat_map
        if verdict.error and len(self.failed) < _LISTED:
            self.failed.append(verdict)


def judge_all(
    asked: Asked, source: Source, place: Place, options: BulkOptions
) -> tuple[Findings, dict[str, object]]:
    """Judge what is not judged yet.

    Returns:
        What came of all images, and the summary as it is written.

    Raises:
        UsageError: There are no images, or the place has verdicts that were given otherwise.
        UserError: The store fails, or the model was changed meanwhile; what is done, is.
        Cancelled: The user asked to stop.
    """
    began = time.monotonic()
    found = Findings()
    with ExitStack() as stack:
        listing = stack.enter_context(Listing())
        listing.take(source.files(), found.left_out)
        if not listing.count():
            hint = "\n".join(
                ["Name a folder or a prefix with images.", *about_left_out(found.left_out)]
            )
            raise UsageError(f"There are no images to look at in {source.address}.", hint=hint)
        facts = {"images of": source.identity, **asked.judge.facts, "heat maps": options.heat_maps}
        plan = open_plan(place, facts, options.partition or PARTITION)
        if options.partition not in (None, plan.size):
            _say(f"{place.address} was begun with partitions of {plan.size:,}; so it goes on.")
        partitions = plan.cut(listing)
        there = files_in(place)
        left = _take_done(partitions, there, source, listing, place, found)
        names = {each.file for each in partitions}
        notes = list(asked.notes)
        if left:
            place.remove([SUMMARY])
            write_plan(place, replace(plan, starts=tuple(each.start for each in partitions)))
            if len(left) < len(partitions):
                done = count_of(len(partitions) - len(left), "partition")
                _say(f"{done} of {len(partitions):,} were judged before.")
            stack.enter_context(asked.at_work())
            cancelled = stack.enter_context(interrupt.cancelling())
            unread = _judge_left(asked, source, place, listing, left, found, cancelled, options)
            names = {each.again if each in unread else each.file for each in partitions}
            listing.take(source.files(), Counter(), "later")
            if changes := listing.changes().in_words():
                notes.append(
                    f"While it ran, {changes}. The same command once more judges what is new."
                )
            if unread:
                notes.append(
                    "What could not be read may be another time: the same command once more tries"
                    f" {count_of(len(unread), 'partition')} again."
                )
        stale = there - names
        others = stale - {each.again for each in partitions}
        if others:
            _say(
                f"{doing(len(others), 'partition', 'were')} of images that came, went or changed"
                " since: judged again, and removed."
            )
        place.remove(f"{FOLDER}/{name}" for name in sorted(stale))
    notes += [*about_left_out(found.left_out), *found.tally.notes()]
    summary = _summary(asked.judge, source, names, found, notes)
    if left or stale or place.read(SUMMARY) is None:
        place.write(SUMMARY, json.dumps(summary, indent=1).encode() + b"\n")
    _tell(found, notes, place, time.monotonic() - began)
    return found, summary


def _take_done(
    partitions: Sequence[Partition],
    there: set[str],
    source: Source,
    listing: Listing,
    place: Place,
    found: Findings,
) -> list[Partition]:
    """Count the verdicts of partitions that are done, and return the others."""
    left = []
    for each in partitions:
        if each.file not in there:
            left.append(each)
            continue
        name = f"{FOLDER}/{each.file}"
        verdicts = _verdicts_in(place.read(name) or b"")
        images = (f"{source.address}/{image.name}" for image in listing.walk(each.start, each.end))
        if [verdict.image for verdict in verdicts] != list(images):
            _say(f"{place.called(name)} is damaged; its images are judged again.")
            left.append(each)
            continue
        for verdict in verdicts:
            found.add(verdict)
    return left


def _verdicts_in(data: bytes) -> list[ImageVerdict]:
    """Return the verdicts of a partition's file; none where it is damaged."""
    try:
        return [verdict_of(line) for line in data.splitlines()]
    except ValueError:
        return []


def _judge_left(
    asked: Asked,
    source: Source,
    place: Place,
    listing: Listing,
    left: Sequence[Partition],
    found: Findings,
    cancelled: Event,
    options: BulkOptions,
) -> set[Partition]:
    """Judge the images of partitions, and put each that is done into its place.

    Returns:
        The partitions of which an image could not be read, and may be another time.
    """
    line, done, put = CounterLine(sum(each.count for each in left)), 0, 0
    unread = set()

    def images() -> Iterator[Work]:
        for partition in left:
            for image in listing.walk(partition.start, partition.end):
                if cancelled.is_set():
                    raise Cancelled("stopped")
                yield partition, image

    try:
        judged = in_order(partial(_judge_one, asked, source), images(), _JOBS)
        for partition, verdicts in groupby(judged, key=lambda each: each.partition):
            lines = []
            for _, verdict, is_final in verdicts:
                line.clear()
                if not is_final:
                    unread.add(partition)
                found.add(verdict)
                lines.append(line_of(verdict, asked.judge))
                done += 1
                line.show(done)
            asked.judge.insist_on_file()
            name = partition.again if partition in unread else partition.file
            place.write(f"{FOLDER}/{name}", b"".join(lines))
            put += 1
    except (Cancelled, UserError):
        line.clear()
        are = doing(put, "partition", "are")
        _say(f"{are} done of {len(left):,} that were left; `{options.again}` goes on.")
        raise
    line.clear()
    return unread


def _judge_one(asked: Asked, source: Source, work: Work) -> Judged:
    """Judge an image; one that cannot be used has a line of its own, and the others get theirs.

    Raises:
        UserError: The store or the service fails, which is no fault of this image.
    """
    partition, image = work
    name = f"{source.address}/{image.name}"
    is_final = True
    try:
        said = asked.detect(Photograph(name, source.read(image), image.name))
    except NotRead as error:
        said, is_final = ImageVerdict(name, error=error.message), error.is_final
    except StorageError:
        raise
    except LookoutError as error:
        if error.code != REFUSED:
            raise
        said = ImageVerdict(name, error=error.reason)
    except UserError as error:
        said = ImageVerdict(name, error=error.message)
    except OSError as error:
        said, is_final = ImageVerdict(name, error=error.strerror or str(error)), False
    return Judged(partition, said, is_final)


def _summary(
    judge: Judge, source: Source, files: set[str], found: Findings, notes: Sequence[str]
) -> dict[str, object]:
    words = found.tally.words
    return {
        "format": 1,
        "images_of": source.address,
        **{key.replace(" ", "_"): each for key, each in judge.facts.items()},
        "threshold": judge.decision.threshold,
        "images": words.total(),
        "normal": words["normal"],
        "anomaly": words["anomaly"],
        "person": words["person"],
        "doubtful": found.tally.doubtful,
        "without_verdict": words["error"],
        "first_without_verdict": [
            {"image": each.image, "error": each.error} for each in found.failed
        ],
        "not_judged": dict(sorted(found.left_out.items())),
        "notes": list(notes),
        "files": [f"{FOLDER}/{name}" for name in sorted(files)],
    }


def _tell(found: Findings, notes: Sequence[str], place: Place, seconds: float) -> None:
    for each in found.failed[:_NAMED]:
        said = f"no verdict: {visible_name(each.image)}: {visible_name(each.error)}"
        print(output.styled(said, "red", stream=sys.stderr), file=sys.stderr)
    if (more := found.tally.words["error"] - _NAMED) > 0:
        print(f"no verdict: {more:,} more", file=sys.stderr)
    print(found.tally.in_words(seconds), file=sys.stderr)
    for note in notes:
        print(output.styled(f"note: {note}", "yellow", stream=sys.stderr), file=sys.stderr)
    print(f"verdicts in {place.called(FOLDER)}, {place.called(SUMMARY)}", file=sys.stderr)


def _say(text: str) -> None:
    print(f"note: {visible_name(text)}", file=sys.stderr)
