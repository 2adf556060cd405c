"""Partitions judged by the workers of a cluster, each of which reads and writes the store itself.

A task is the names of a partition's images, and what comes back is what came of them, counted.
Images, verdicts and heat maps go between the workers and the store. The model's file lies in the
place for as long as it is needed, and each worker fetches it once.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from lfvpipe import cluster, detector
from lfvpipe.cli.asked import Asked
from lfvpipe.cli.bulk.pieces import Piece, judge_one, piece_there, put_piece
from lfvpipe.cli.bulk.places import PlacedMaps, open_place
from lfvpipe.cli.bulk.sources import open_source
from lfvpipe.cli.usage import UsageError
from lfvpipe.engine.phrases import count_of
from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.executor import in_order
from lfvpipe.storage import StorageError
from lfvpipe.visible import visible_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from threading import Event

    from lfvpipe.cli.asked import Way
    from lfvpipe.cli.bulk.listing import Listing
    from lfvpipe.cli.bulk.partitions import Partition
    from lfvpipe.cli.bulk.places import BucketOf, Place
    from lfvpipe.cli.bulk.sources import Listed, Source
    from lfvpipe.cli.judge import Judge

_JOBS = 2  # one image is read while another is judged; a worker has threads of its own
_MOST_LOST = 3
_GUARD = threading.Lock()


class Address(NamedTuple):
    """A folder or a prefix, for another process.

    Attributes:
        text: As the user named it: it stands in what is written.
        folder: Where it is, absolute; None where it is no folder.
    """

    text: str
    folder: Path | None


@dataclass(frozen=True)
class Elsewhere:
    """How a cluster's workers find what a command reads and writes.

    Attributes:
        compute: The cluster.
        source: Where images lie.
        place: Where verdicts go.
        maps: Where heat maps go; None where none are wanted.
        bucket_of: Returns the bucket of a name, by the credentials of whoever calls it.
    """

    compute: str
    source: Address
    place: Address
    maps: Address | None
    bucket_of: BucketOf


@dataclass(frozen=True)
class Work:
    """What is to be judged by whom, and where it goes."""

    asked: Asked
    place: Place
    elsewhere: Elsewhere


@dataclass(frozen=True)
class Order:
    """The same for all partitions of a call, as workers get it."""

    by: Way
    judge: Judge
    elsewhere: Elsewhere


class Part(NamedTuple):
    """A partition, with the images that were listed of it."""

    partition: Partition
    images: tuple[Listed, ...]


def model_name(judge: Judge) -> str:
    """Return what the model's file is called in a place while workers fetch it."""
    return f"model-{judge.digest[:24]}.lfv"


def judge_elsewhere(
    work: Work,
    listing: Listing,
    left: Sequence[Partition],
    cancelled: Event,
    progress: Callable[[int], None],
) -> Iterator[Piece]:
    """Yield partitions as workers judged them, in their order.

    Raises:
        UserError: A model that no other process can ask is to judge; the cluster, the store or the
            model fails; or workers ended at a partition again and again.
        Cancelled: The user asked to stop.
    """
    judge, lost = work.asked.judge, list[str]()
    order, file = _order_of(work)
    parts = (Part(each, tuple(listing.walk(each.start, each.end))) for each in left)
    task = partial(judge_part, pickle.dumps(order))
    with (
        cluster.connect(work.elsewhere.compute, cancelled, _say) as workers,
        _lending(judge, file, work.place),
        closing(workers.in_order(task, parts, lambda part: part.partition.file)) as judged,
    ):
        for said in judged:
            if isinstance(said, cluster.Lost):
                lost.append(_in_words(said, work))
                if len(lost) == _MOST_LOST:
                    break
                continue
            progress(said.partition.count)
            yield said
    if cancelled.is_set():
        raise Cancelled("stopped")
    if lost:
        raise UserError(
            f"{count_of(len(lost), 'partition')} could not be judged: {'; '.join(lost)}.",
            hint="The workers' logs say why they ended; mostly memory is short: give them more, or"
            " look at these images.",
        )


def judge_part(order: bytes, part: Part, folder: Path) -> Piece:
    """Judge a partition on a worker; one that is there already was judged by one that ended.

    Args:
        order: A pickled `Order`.
        part: The partition.
        folder: The worker's own.

    Raises:
        UserError: The place is not the one that was meant, or it, the model or the store fails.
    """
    with _GUARD:  # or each thread would open the model
        asked, source, place = _open(order, folder)
    if done := piece_there(place, source, part.partition, part.images):
        return done
    images = ((part.partition, image) for image in part.images)
    judged = in_order(partial(judge_one, asked, source), images, _JOBS)
    return put_piece(asked, place, part.partition, judged)


@lru_cache(maxsize=2)
def _open(pickled: bytes, folder: Path) -> tuple[Asked, Source, Place]:
    order: Order = pickle.loads(pickled)  # noqa: S301  (of whoever may have anything done here)
    where = order.elsewhere
    source = open_source(where.source.text, where.bucket_of, where.source.folder)
    place = open_place(where.place.text, where.bucket_of, "--out", where.place.folder)
    maps = None
    if where.maps is not None:
        maps = PlacedMaps(
            open_place(where.maps.text, where.bucket_of, "--heat-maps", where.maps.folder)
        )
    model = detector.load(_fetch_model(order.judge, place, folder))
    return Asked(partial(order.by.drawing(maps).detect, model), order.judge), source, place


def _fetch_model(judge: Judge, place: Place, folder: Path) -> Path:
    data = place.read(model_name(judge))
    if data is None:
        raise UserError(
            f"{place.called(model_name(judge))} is not there. Is {place.address} the same place for"
            " this worker?",
            hint="Judge into an s3://bucket/prefix, or into a folder that all machines share.",
        )
    if hashlib.sha256(data).hexdigest() != judge.digest:
        raise UserError(f"{place.called(model_name(judge))} is not the model that was put there.")
    file = folder / model_name(judge)
    file.write_bytes(data)
    return file


def _order_of(work: Work) -> tuple[Order, Path]:
    by, judge = work.asked.by, work.asked.judge
    if by is None or judge.file is None:
        raise UsageError(
            f"{judge.model} is asked through its service, so that workers cannot judge by it.",
            hint="Leave --compute out: the service judges wherever the command runs.",
        )
    order = Order(by.drawing(None), replace(judge, file=None, stamp=()), work.elsewhere)
    return order, judge.file


@contextmanager
def _lending(judge: Judge, file: Path, place: Place) -> Iterator[None]:
    """Have the model's file where workers find it, for the time of a block."""
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != judge.digest:
        raise UserError(f"{file} was changed after it was read.")
    name = model_name(judge)
    place.write(name, data)
    try:
        yield
    finally:
        with suppress(StorageError):  # a call that is killed leaves it, too
            place.remove([name])


def _in_words(lost: cluster.Lost[Part], work: Work) -> str:
    images = lost.item.images
    address = work.elsewhere.source.text.rstrip("/")
    ends = [visible_name(f"{address}/{each.name}") for each in (images[0], images[-1])]
    return (
        f"{count_of(lost.workers, 'worker')} ended at {lost.item.partition.file}"
        f" ({' … '.join(dict.fromkeys(ends))}), the last at {lost.last}"
    )


def _say(text: str) -> None:
    print(f"note: {visible_name(text)}", file=sys.stderr)
