"""Whose a project is, and who else keeps images in a bucket: objects that say so, in the bucket.

The API has tags for models alone. So each pipeline leaves two kinds of small objects beside its
images, under the bucket's prefix:

- `lfvpipe/projects/PROJECT-DIGEST.json` says whose the datasets of a project are. The digest is of
  the time at which the service created it, so that a namesake, later or on another service, has
  a mark of its own.
- `lfvpipe/pipelines/LINEAGE.json` says that a pipeline keeps images there, and has the keys of its
  manifests, which tell what another one must not delete. What that one left for its sake is
  in `LINEAGE.inherited` beside it, and goes when this pipeline goes.

A pipeline is known by the lineage of its ledger, whatever it is called and wherever it lies.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from lfvpipe.engine.facts import FactsError, StepFacts
from lfvpipe.engine.step import Leftover
from lfvpipe.errors import UserError
from lfvpipe.lookout.descriptions import describe_project, timestamp
from lfvpipe.steps.bucket import BucketPlace
from lfvpipe.user_name import user_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.descriptions import Description
    from lfvpipe.steps.context import Context
    from lfvpipe.storage import Bucket

_FOLDER = "lfvpipe/"
_INHERITED = ".inherited"
_TAKE_OVER = "`lfvpipe run --adopt` takes it over; or name a `project` of your own."

S = TypeVar("S", bound=StepFacts)


@dataclass(frozen=True)
class Owner(StepFacts):
    """A pipeline, as another one is told of it.

    Attributes:
        lineage: Of its ledger.
        pipeline: What it is called.
        user: Who ran it, and on which machine.
        since: When it left its mark, UTC, ISO 8601.
        manifests: The keys of the manifests that it keeps here; none in the mark of a project.
    """

    lineage: str
    pipeline: str
    user: str = ""
    since: str = ""
    manifests: tuple[str, ...] = ()

    def __str__(self) -> str:
        facts = (self.user and f"of {self.user}", self.since and f"since {self.since[:10]}")
        more = " ".join(filter(None, facts))
        return f"pipeline {self.pipeline}" + (f" ({more})" if more else "")


@dataclass(frozen=True)
class Mark(StepFacts):
    """Where this pipeline said that a project is its own, and with which lineage."""

    name: str
    endpoint: str
    region: str
    key: str
    lineage: str

    @property
    def place(self) -> BucketPlace:
        """The bucket that it lies in."""
        return BucketPlace(self.name, self.endpoint, self.region)


class ProjectTaken(UserError):
    """A project is another pipeline's, and nobody said that this one is to take it over.

    Attributes:
        project: Its name.
        owner: The other pipeline, as far as it is known.
    """

    def __init__(self, project: str, owner: Owner) -> None:
        super().__init__(
            f"Project {project} belongs to {owner}: nothing of it is replaced.",
            hint=_TAKE_OVER,
        )
        self.project = project
        self.owner = owner


class DatasetNotOurs(UserError):
    """A dataset that this pipeline did not make stands where it has to put its own.

    Attributes:
        project: The project's name.
    """

    def __init__(self, project: str, split: str, images: str, created: str) -> None:
        super().__init__(
            f"Project {project} has a {split} dataset that this pipeline did not make"
            f" ({images}, created {created}): it is not replaced.",
            hint=_TAKE_OVER,
        )
        self.project = project


def mark_of(context: Context, found: Description, lineage: str) -> Mark:
    """Return where the mark of a project is, that was found on the service."""
    spec = context.pipeline.bucket
    return Mark(
        name=spec.name,
        endpoint=spec.endpoint,
        region=context.pipeline.region,
        key=f"{_projects(context)}{found['ProjectName']}-{_instance(found)}.json",
        lineage=lineage,
    )


def owner_of(context: Context, found: Description) -> Owner | None:
    """Return whose the datasets of a project are; None where no pipeline said so."""
    return _read(context.bucket, mark_of(context, found, "").key)


def insist_on_project(context: Context, found: Description, lineage: str) -> None:
    """Refuse a project that is another pipeline's, unless the user said to take it over.

    Raises:
        ProjectTaken: It is.
    """
    owner = owner_of(context, found)
    if owner is not None and owner.lineage != lineage and not context.adopt:
        raise ProjectTaken(found["ProjectName"], owner)


def claim(context: Context, work: Work, found: Description) -> None:
    """Say, in the bucket, that the datasets of a project are this pipeline's."""
    mark = mark_of(context, found, work.lineage)
    owner = _read(context.bucket, mark.key)
    if owner is None or owner.lineage != work.lineage:
        _write(context.bucket, mark.key, _ourselves(context, work))


def foreign_owner(context: Context, project: str, mark: Mark | None) -> Owner | None:
    """Return the other pipeline that a project belongs to by now; None if there is none.

    Args:
        context: The pipeline, which may name another bucket by now.
        project: The project's name.
        mark: What this pipeline left; None where it left none.
    """
    if mark is not None:
        owner = _read(mark.place.bucket(context), mark.key)
    else:
        found = describe_project(context.lookout, project)
        owner = owner_of(context, found) if found else None
    return owner if owner and owner.lineage != (mark and mark.lineage) else None


def left_to(owner: Owner, things: Iterable[str]) -> list[Leftover]:
    """Return things as what stays, since they are another pipeline's."""
    return [Leftover(thing, f"it belongs to {owner}") for thing in things]


def unclaim(context: Context, mark: Mark) -> None:
    """Take a mark of this pipeline away again; another one's stays."""
    bucket = mark.place.bucket(context)
    owner = _read(bucket, mark.key)
    if owner is not None and owner.lineage == mark.lineage:
        bucket.delete([mark.key])


def announce(context: Context, work: Work, manifests: Iterable[str] = ()) -> None:
    """Say, in the bucket, that this pipeline keeps images there, and manifests that name them."""
    key = f"{_pipelines(context.pipeline.bucket.prefix)}{work.lineage}.json"
    before = _read(context.bucket, key)
    kept = set(before.manifests) if before else set()
    now = kept.union(manifests)
    if before is None or now != kept:
        _write(context.bucket, key, _ourselves(context, work, tuple(sorted(now))))


def keep_manifests(bucket: Bucket, prefix: str, lineage: str, *, without: Set[str]) -> None:
    """Take manifests that are gone out of what `announce` said."""
    key = f"{_pipelines(prefix)}{lineage}.json"
    before = _read(bucket, key)
    if before is not None and not without.isdisjoint(before.manifests):
        kept = tuple(each for each in before.manifests if each not in without)
        _write(bucket, key, replace(before, manifests=kept))


def retract(bucket: Bucket, prefix: str, lineage: str) -> None:
    """Take away what `announce` said."""
    bucket.delete([f"{_pipelines(prefix)}{lineage}.json"])


def forget_inherited(bucket: Bucket, prefix: str, lineage: str) -> None:
    """Take away what is said of what other pipelines left for the sake of this one."""
    bucket.delete([f"{_pipelines(prefix)}{lineage}{_INHERITED}"])


def free_of_others(
    bucket: Bucket, prefix: str, lineage: str | None, keys: Iterable[str]
) -> tuple[set[str], list[Leftover]]:
    """Return which of this pipeline's keys no other one uses, and what stays for which other one.

    Args:
        bucket: Where the objects are.
        prefix: Of their keys.
        lineage: This pipeline's.
        keys: Of objects that it uploaded.
    """
    free, left = set(keys), []
    for owner in others(bucket, prefix, lineage):
        theirs = keys_of(bucket, owner)
        used = free if theirs is None else free & theirs
        if used:
            thing = f"{len(used)} objects in bucket {bucket.name}"
            left.append(Leftover(thing, f"{owner} uses them"))
            free = free - used
            heritage = f"{_pipelines(prefix)}{owner.lineage}{_INHERITED}"
            bucket.put(heritage, _joined(inherited(bucket, prefix, owner.lineage) | used))
    return free, left


def inherited(bucket: Bucket, prefix: str, lineage: str) -> set[str]:
    """Return the keys of what other pipelines left behind for the sake of this one."""
    from lfvpipe.storage import NoSuchObject

    try:
        text = bucket.get(f"{_pipelines(prefix)}{lineage}{_INHERITED}").decode()
    except (NoSuchObject, UnicodeDecodeError):
        return set()
    return set(text.split("\n")) - {""}


def others(bucket: Bucket, prefix: str, lineage: str | None) -> list[Owner]:
    """Return the other pipelines that keep images under a prefix of a bucket."""
    return [owner for owner in _all(bucket, _pipelines(prefix)) if owner.lineage != lineage]


def keys_of(bucket: Bucket, owner: Owner) -> set[str] | None:
    """Return the keys of what another pipeline keeps: manifests, images, masks.

    None where its manifests are not all there and whole, so that anything may be its own.
    """
    from lfvpipe.manifest import LineError, read_line
    from lfvpipe.storage import InvalidAddress, NoSuchObject, parse_s3_uri

    if not owner.manifests:
        return None
    found = set(owner.manifests)
    try:
        for key in owner.manifests:
            for line in filter(None, bucket.get(key).splitlines()):
                read = read_line(line)
                addresses = (read.image, *(mask.address for mask in read.masks))
                found.update(parse_s3_uri(address)[1] for address in addresses if address)
    except (NoSuchObject, LineError, InvalidAddress):
        return None
    return found


def marked_by_others(context: Context, lineage: str) -> list[Owner]:
    """Return whose mark the project bears in a local bucket, without asking anybody else.

    For a plan, which contacts nothing: the service, which would tell a namesake, is not asked.
    """
    spec = context.pipeline.bucket
    if spec.endpoint != "local":
        return []
    folder = context.buckets_dir / spec.name / _projects(context)
    name = context.pipeline.project
    files = [file for file in folder.glob("*.json") if file.stem.rpartition("-")[0] == name]
    try:
        owners = [owner for file in files if (owner := _parse(file.read_bytes()))]
    except OSError:  # the run will say so
        return []
    ours = any(owner.lineage == lineage for owner in owners)
    return [] if ours else owners


def _projects(context: Context) -> str:
    return f"{context.pipeline.bucket.prefix}{_FOLDER}projects/"


def _pipelines(prefix: str) -> str:
    return f"{prefix}{_FOLDER}pipelines/"


def _instance(found: Description) -> str:
    said = [found["ProjectArn"], timestamp(found.get("CreationTimestamp"))]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def _ourselves(context: Context, work: Work, manifests: tuple[str, ...] = ()) -> Owner:
    import platform
    from datetime import UTC, datetime

    user = "@".join(filter(None, (user_name(), platform.node())))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Owner(work.lineage, context.pipeline.name, user, now, manifests)


def _joined(keys: Iterable[str]) -> bytes:
    return "".join(f"{key}\n" for key in sorted(keys)).encode()


def _all(bucket: Bucket, folder: str) -> Iterator[Owner]:
    if bucket.exists():
        for each in bucket.list(folder):
            owner = None if each.key.endswith(_INHERITED) else _read(bucket, each.key)
            if owner is not None:
                yield owner


def _read(bucket: Bucket, key: str) -> Owner | None:
    """Return what a mark says; None where there is none, or none that can be read."""
    from lfvpipe.storage import AccessDenied, NoSuchBucket, NoSuchObject

    try:
        return _parse(bucket.get(key, limit=1 << 24))
    # Who may not list gets a 403 for what is not there.
    except (NoSuchObject, NoSuchBucket, AccessDenied):
        return None


def _parse(data: bytes) -> Owner | None:
    try:
        return Owner.from_json(json.loads(data))
    except (ValueError, RecursionError, FactsError):
        return None


def _write(bucket: Bucket, key: str, owner: Owner) -> None:
    text = json.dumps(owner.as_json(), indent=1, sort_keys=True) + "\n"
    bucket.put(key, text.encode())
