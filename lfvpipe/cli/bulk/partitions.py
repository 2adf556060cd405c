"""Which images are judged together, and what is there of them already.

A partition's file is named after the digest of what it was made from: the judge, and the names and
versions of its images. So one that is there under its name is done, and nothing has to be kept of
what was done but the files themselves. Where partitions begin is written down before the first is
judged: an image that comes or goes changes its own partition, and no other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.cli.bulk.sources import key_of
from lfvpipe.cli.usage import UsageError
from lfvpipe.damage import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.cli.bulk.listing import Listing
    from lfvpipe.cli.bulk.places import Place

PLAN = "plan.json"
SUMMARY = "summary.json"
FOLDER = "verdicts"
PARTITION = 500
"""Images of a partition: half a minute of work that a kill may cost."""
_FORMAT = 1
_OURS = re.compile(r"part-[0-9a-f]{24}(\.again)?\.jsonl")


@dataclass(frozen=True)
class Partition:
    """Images that are judged together.

    Attributes:
        start: The first name that may be of it.
        count: How many images it has.
        digest: Of the judge, and of names and versions of the images.
        end: The first name after it; None for the last partition.
    """

    start: str
    count: int
    digest: str
    end: str | None

    @property
    def file(self) -> str:
        """The name of the file of its verdicts, in `FOLDER`."""
        return f"part-{self.digest[:24]}.jsonl"

    @property
    def again(self) -> str:
        """The name where an image could not be read that may be another time: it is not done."""
        return f"part-{self.digest[:24]}.again.jsonl"


@dataclass(frozen=True)
class Plan:
    """How images are judged: all that is there of one place was judged by one plan.

    Attributes:
        facts: What has to be the same, by the word that people have for it.
        size: Images of a partition.
        starts: The first name of each partition.
    """

    facts: Mapping[str, str]
    size: int
    starts: tuple[str, ...] = ()

    def cut(self, listing: Listing) -> list[Partition]:
        """Return the partitions of a listing; none is empty, or more than twice the size."""
        bounds = deque(self.starts[1:])
        seed = json.dumps(sorted(self.facts.items())).encode()
        begun: list[tuple[str, int, str]] = []
        start, count, digest = "", 0, hashlib.sha256(seed)
        for name, version in listing.walk():
            most = 2 * self.size if bounds else self.size
            begins = name if count >= most else None
            while bounds and key_of(name) >= key_of(bounds[0]):
                begins = bounds.popleft()
            if begins is not None:
                if count:
                    begun.append((start, count, digest.hexdigest()))
                start, count, digest = begins, 0, hashlib.sha256(seed)
            count += 1
            digest.update(key_of(name) + b"\0" + version.encode() + b"\n")
        begun.append((start, count, digest.hexdigest()))
        ends = [*(each[0] for each in begun[1:]), None]
        return [Partition(*each, end) for each, end in zip(begun, ends, strict=True)]


def open_plan(place: Place, facts: Mapping[str, str], size: int) -> Plan:
    """Return the plan that a place has, or a new one.

    Args:
        place: Where verdicts go.
        facts: What has to be the same.
        size: Images of a partition, where the plan is a new one.

    Raises:
        UsageError: What is there was judged by something else, has a plan that cannot be read, or
            is not ours.
        StorageError: The place cannot be read.
    """
    data = place.read(PLAN)
    if data is None:
        if place.read(SUMMARY) is not None:
            raise UsageError(
                f"{place.called(SUMMARY)} is there, and is not of verdicts.",
                hint="Name another place for the verdicts: --out.",
            )
        return Plan(dict(facts), size)
    try:
        said = parse_json(data)
        plan = Plan(dict(said["facts"]), int(said["size"]), tuple(map(str, said["starts"])))
        is_ours = said["format"] == _FORMAT and plan.size > 0
    except (ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise UsageError(
            f"{place.called(PLAN)} is no plan that this lfvpipe reads.",
            hint="Name another place for the verdicts: --out.",
        )
    others = [
        f"{word}: {plan.facts.get(word, '(none)')} → {facts.get(word, '(none)')}"
        for word in {**facts, **plan.facts}
        if plan.facts.get(word) != facts.get(word)
    ]
    if others:
        raise UsageError(
            f"{place.address} has verdicts that were given otherwise ({'; '.join(others)}).",
            hint="Name another place for these, --out, or remove what is there.",
        )
    return plan


def files_in(place: Place) -> set[str]:
    """Return the names of the partitions that are there; what else lies beside them is not ours.

    Raises:
        StorageError: The place cannot be listed.
    """
    return {name for name in place.names_in(FOLDER) if _OURS.fullmatch(name)}


def write_plan(place: Place, plan: Plan) -> None:
    """Write a plan where its verdicts go.

    Raises:
        StorageError: The place cannot be written.
    """
    said = {"format": _FORMAT, "facts": plan.facts, "size": plan.size, "starts": plan.starts}
    place.write(PLAN, json.dumps(said, indent=1).encode())
