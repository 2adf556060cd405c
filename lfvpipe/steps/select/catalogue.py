"""The images that the fetched archives hold, label by label, with their masks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.globs import is_image_name, matcher
from lfvpipe.dataset.index import SelectedMask
from lfvpipe.dataset.pairing import MaskIndex, looks_like_mask
from lfvpipe.dataset.sources import shown
from lfvpipe.errors import UserError
from lfvpipe.steps.fetch import FetchOutcome, source_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lfvpipe.archives import Member
    from lfvpipe.config.spec import Label, Source
    from lfvpipe.dataset.index import Reviewed
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.context import Context


class SelectionError(UserError):
    """The sources do not hold what the pipeline asks for."""


@dataclass(frozen=True)
class Candidate:
    """An image that may be selected.

    Attributes:
        name: What people call it: the member's name, or the path of a manifest's reference.
        included: It matches the source's `include`; others can only be evaluation images.
        known_as: Its id, where a review changed the label: an image keeps its id.
        reviewed: Set where a review changed something about it.
    """

    label: Label | None
    name: str
    source: str
    member: str
    stamp: str
    size: int
    mask: SelectedMask | None = None
    included: bool = True
    known_as: str | None = None
    reviewed: Reviewed | None = None

    @property
    def id(self) -> str:
        """The image's name among all labels."""
        return self.known_as or f"{self.label or self.source}/{self.name}"


def label_candidates(context: Context, work: Work, label: Label, source: Source) -> list[Candidate]:
    """Return the images of one label's archive, masks left out, with the masks they have.

    Raises:
        ArchiveError: The archive cannot be used.
        SelectionError: None of its members is wanted.
    """
    path = source_location(context, work.upstream, label)
    members = list_members(path)
    images = _without_masks(members, source, work)
    wanted = matcher(source.include)
    masks = _masks(context, work, label, source, members)
    found = [
        Candidate(label, image.name, label, image.name, image.stamp, image.size,
                  masks.find(image.name), wanted(image.name))
        for image in images
    ]  # fmt: skip
    if not any(candidate.included for candidate in found):
        raise _empty(f"sources.{label}", shown(source.archive), source.include, path, members)
    return found


def archive_candidates(
    path: Path, source: str, where: str, include: Sequence[str], label: Label | None
) -> list[Candidate]:
    """Return the images of an archive that match `include`; raises as `label_candidates`."""
    members = list_members(path)
    wanted = matcher(include)
    found = [
        Candidate(label, member.name, source, member.name, member.stamp, member.size)
        for member in members
        if is_image_name(member.name) and wanted(member.name)
    ]
    if not found:
        raise _empty(where, str(path), include, path, members)
    return found


def list_members(path: Path) -> list[Member]:
    """Return the members of the archive at `path`, sorted by name."""
    from lfvpipe.archives import open_archive

    with open_archive(path) as archive:
        return sorted(archive.members(), key=lambda member: member.name)


def _without_masks(members: Iterable[Member], source: Source, work: Work) -> list[Member]:
    """Leave out what is named like a mask of another member (``0001_label.PNG``, ground_truth/)."""
    images = [member for member in members if is_image_name(member.name)]
    index = MaskIndex(member.name for member in images if not looks_like_mask(member.name))
    masks = {
        member.name
        for member in images
        if looks_like_mask(member.name) and index.find(member.name) is not None
    }
    if masks and source.masks is None and not source.include:
        work.warn(
            f"{shown(source.archive)}: {len(masks)} images are named like masks of others (such as"
            f" {min(masks)}) and were left out. Name them under `masks` to learn from them."
        )
    excluded = masks if source.masks is not None or not source.include else set()
    return [member for member in images if member.name not in excluded]


class _Masks:
    """The masks of one label, found by image name."""

    def __init__(self, source: str, members: Iterable[Member]) -> None:
        self._members = {member.name: member for member in members}
        self._source = source
        self._index = MaskIndex(self._members)

    def find(self, image: str) -> SelectedMask | None:
        """Return the mask of member `image`, if there is one."""
        name = self._index.find(image)
        if name is None:
            return None
        member = self._members[name]
        return SelectedMask(self._source, name, member.stamp, member.size)


def _masks(
    context: Context, work: Work, label: Label, source: Source, members: list[Member]
) -> _Masks:
    if source.masks is None:
        return _Masks("", [])
    masks = FetchOutcome.of(work.upstream, f"{label}-masks")
    if masks is None or source.masks == source.archive:
        inside = [member for member in members if looks_like_mask(member.name)]
        return _Masks(label, inside)
    path = masks.location(context)
    inside = [member for member in list_members(path) if is_image_name(member.name)]
    if path.is_dir() and any(looks_like_mask(member.name) for member in inside):
        inside = [member for member in inside if looks_like_mask(member.name)]
    return _Masks(f"{label}-masks", inside)


def _empty(
    where: str, archive: str, include: Sequence[str], path: Path, members: Sequence[Member]
) -> SelectionError:
    asked = ", ".join(include) or "PNG or JPEG"
    examples = ", ".join(member.name for member in members[:3])
    return SelectionError(
        f"{where}: 0 images match {asked}; {archive} holds {_held(path, members)}.",
        hint=f"Its members look like {examples}." if examples else _otherwise(archive),
    )


def _otherwise(archive: str) -> str:
    if "://" in archive:
        return "Check the address."
    return "Put PNG or JPEG images into it, or name another one."


def _held(path: Path, members: Sequence[Member]) -> str:
    """Say what an archive without a wanted image holds instead."""
    if members:
        kinds = Counter(PurePosixPath(one.name).suffix.lower() or "nameless" for one in members)
        return ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(5))
    junk = _junk(path)
    kinds_of_junk = ", ".join(kind for kind, _ in junk.most_common(3))
    if junk.total() > 1:
        return f"{junk.total():,} files, none of them an image ({kinds_of_junk})"
    return f"1 file, and that is no image ({kinds_of_junk})" if junk else "no files"


def _junk(path: Path) -> Counter[str]:
    """Return how many files the archive holds that are never looked at, by kind."""
    from lfvpipe.archives import open_archive

    with open_archive(path) as archive:
        for _ in archive.members():
            pass
        return archive.skipped
