"""One partition: its images judged and its verdicts put into their place, in whatever process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lfvpipe.cli.asked import Photograph
from lfvpipe.cli.bulk.lines import line_of, verdict_of
from lfvpipe.cli.bulk.partitions import FOLDER
from lfvpipe.cli.bulk.sources import NotRead
from lfvpipe.cli.verdicts import ImageVerdict, Tally
from lfvpipe.errors import UserError
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.steps.evaluate.detection import REFUSED
from lfvpipe.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfvpipe.cli.asked import Asked
    from lfvpipe.cli.bulk.partitions import Partition
    from lfvpipe.cli.bulk.places import Place
    from lfvpipe.cli.bulk.sources import Listed, Source

_LISTED = 100  # images without a verdict that the summary names


@dataclass
class Findings:
    """What came of images, counted.

    Attributes:
        tally: The verdicts.
        failed: The first images without a verdict.
        undrawn: Images without a heat map.
    """

    tally: Tally = field(default_factory=Tally)
    failed: list[ImageVerdict] = field(default_factory=list)
    undrawn: int = 0

    def add(self, verdict: ImageVerdict) -> None:
        """Count a verdict."""
        self.tally.add(verdict)
        self.undrawn += not verdict.heat_map
        if verdict.error and len(self.failed) < _LISTED:
            self.failed.append(verdict)

    def add_all(self, others: Findings) -> None:
        """Count what came of images that follow these."""
        self.tally.add_all(others.tally)
        self.undrawn += others.undrawn
        self.failed = [*self.failed, *others.failed][:_LISTED]


class Judged(NamedTuple):
    """A verdict on an image of a partition; one that is not final may be another the next time."""

    partition: Partition
    verdict: ImageVerdict
    is_final: bool


class Piece(NamedTuple):
    """A partition whose verdicts are in their place.

    Attributes:
        partition: Which.
        found: What came of its images.
        is_final: None of its images could not be read that may be another time.
    """

    partition: Partition
    found: Findings
    is_final: bool


def judge_one(asked: Asked, source: Source, work: tuple[Partition, Listed]) -> Judged:
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


def put_piece(asked: Asked, place: Place, partition: Partition, judged: Iterable[Judged]) -> Piece:
    """Put the verdicts on all images of a partition into their place.

    Raises:
        UserError: The model's file is another by now, or the place cannot be written.
    """
    found, lines, is_final = Findings(), [], True
    for _, verdict, is_final_one in judged:
        is_final = is_final and is_final_one
        found.add(verdict)
        lines.append(line_of(verdict, asked.judge))
    asked.judge.insist_on_file()
    name = partition.file if is_final else partition.again
    place.write(f"{FOLDER}/{name}", b"".join(lines))
    return Piece(partition, found, is_final)


def piece_there(
    place: Place, source: Source, partition: Partition, images: Iterable[Listed]
) -> Piece | None:
    """Return a partition that is done; None where it is not there or damaged.

    Args:
        place: Where its verdicts would be.
        source: Where its images lie.
        partition: Which.
        images: Its images.

    Raises:
        StorageError: The place cannot be read.
    """
    found = Findings()
    try:
        lines = (place.read(f"{FOLDER}/{partition.file}") or b"").splitlines()
        verdicts = [verdict_of(line) for line in lines]
    except ValueError:
        return None
    if [each.image for each in verdicts] != [f"{source.address}/{each.name}" for each in images]:
        return None
    for verdict in verdicts:
        found.add(verdict)
    return Piece(partition, found, is_final=True)
