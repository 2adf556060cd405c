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
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from lfvpipe.cli import interrupt, output
from lfvpipe.cli.bulk.elsewhere import Work, judge_elsewhere
from lfvpipe.cli.bulk.listing import Listing
from lfvpipe.cli.bulk.partitions import FOLDER, PARTITION, SUMMARY, files_in, open_plan, write_plan
from lfvpipe.cli.bulk.pieces import Findings, judge_one, piece_there, put_piece
from lfvpipe.cli.bulk.sources import about_left_out
from lfvpipe.cli.usage import UsageError
from lfvpipe.cli.verdicts import CounterLine
from lfvpipe.engine.phrases import count_of, doing
from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.executor import in_order
from lfvpipe.storage import StorageError
from lfvpipe.visible import visible_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from threading import Event

    from lfvpipe.cli.asked import Asked
    from lfvpipe.cli.bulk.elsewhere import Elsewhere
    from lfvpipe.cli.bulk.partitions import Partition
    from lfvpipe.cli.bulk.pieces import Judged, Piece
    from lfvpipe.cli.bulk.places import Place
    from lfvpipe.cli.bulk.sources import Listed, Source
    from lfvpipe.cli.judge import Judge

_JOBS = 4
_NAMED = 10  # images without a verdict that the terminal names


@dataclass(frozen=True)
class BulkOptions:
    """How many images are judged.

    Attributes:
        partition: Images of a partition; None for what the plan says, or the usual.
        heat_maps: Where these go, for the plan; empty where none are wanted.
        again: The command that goes on with what is left.
        elsewhere: The cluster that judges; None for this machine.
    """

    partition: int | None
    heat_maps: str
    again: str
    elsewhere: Elsewhere | None = None


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
    found, left_out = Findings(), Counter[str]()
    with ExitStack() as stack:
        listing = stack.enter_context(Listing())
        listing.take(source.files(), left_out)
        if not listing.count():
            hint = "\n".join(["Name a folder or a prefix with images.", *about_left_out(left_out)])
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
    notes += [*about_left_out(left_out), *found.tally.notes()]
    summary = _summary(asked.judge, source, names, found, left_out, notes)
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
        piece = None
        if each.file in there:
            piece = piece_there(place, source, each, listing.walk(each.start, each.end))
            if piece is None:
                damaged = place.called(f"{FOLDER}/{each.file}")
                _say(f"{damaged} is damaged; its images are judged again.")
        if piece is None:
            left.append(each)
        else:
            found.add_all(piece.found)
    return left


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

    def progress(count: int) -> None:
        nonlocal done
        line.clear()
        done += count
        line.show(done)

    if options.elsewhere is None:
        pieces = _judge_here(asked, source, place, listing, left, cancelled, progress)
    else:
        work = Work(asked, place, options.elsewhere)
        pieces = judge_elsewhere(work, listing, left, cancelled, progress)
    try:
        for piece in pieces:
            found.add_all(piece.found)
            put += 1
            if not piece.is_final:
                unread.add(piece.partition)
    except (Cancelled, UserError):
        line.clear()
        with suppress(StorageError):  # workers may have done more than was told of
            put = len({each.file for each in left} & files_in(place))
        are = doing(put, "partition", "are")
        _say(f"{are} done of {len(left):,} that were left; `{options.again}` goes on.")
        raise
    line.clear()
    return unread


def _judge_here(
    asked: Asked,
    source: Source,
    place: Place,
    listing: Listing,
    left: Sequence[Partition],
    cancelled: Event,
    progress: Callable[[int], None],
) -> Iterator[Piece]:
    """Judge in this process: images side by side, also of two partitions."""

    def images() -> Iterator[tuple[Partition, Listed]]:
        for partition in left:
            for image in listing.walk(partition.start, partition.end):
                if cancelled.is_set():
                    raise Cancelled("stopped")
                yield partition, image

    def counted(judged: Iterable[Judged]) -> Iterator[Judged]:
        for each in judged:
            progress(1)
            yield each

    judged = in_order(partial(judge_one, asked, source), images(), _JOBS)
    for partition, verdicts in groupby(judged, key=lambda each: each.partition):
        yield put_piece(asked, place, partition, counted(verdicts))


def _summary(
    judge: Judge,
    source: Source,
    files: set[str],
    found: Findings,
    left_out: Mapping[str, int],
    notes: Sequence[str],
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
        "not_judged": dict(sorted(left_out.items())),
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
