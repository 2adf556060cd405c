"""The images that an archive holds, with their masks: what a selection chooses from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.globs import is_image_name, matcher
from lfvpipe.dataset.pairing import MaskIndex, looks_like_mask
from lfvpipe.dataset.selection import SelectedImage, SelectedMask
from lfvpipe.dataset.sources import public_address
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfvpipe.archives import Member
    from lfvpipe.config.spec import Label, Source
    from lfvpipe.dataset.selection import Split


class SelectionError(UserError):
    """The sources do not hold what the pipeline asks for."""


@dataclass(frozen=True)
class Candidate:
    """An image that may be selected; other fields as in `SelectedImage`.

    Attributes:
        name: What people call it: the member's name, or the path of a manifest's reference.
        included: It matches the source's `include`; others can only be evaluation images.
        type: The defect's type, where somebody named it.
    """

    label: Label | None
    name: str
    source: str
    member: str
    stamp: str
    size: int
    mask: SelectedMask | None = None
    included: bool = True
    type: str = ""

    @property
    def id(self) -> str:
        """The image's name among all labels."""
        return f"{self.label or self.source}/{self.name}"

    def select(self, split: Split, *, prefix: str = "") -> SelectedImage:
        """Return the image as selected; `prefix` keeps ids of several archives apart."""
        return SelectedImage(
            id=f"{prefix}{self.id}",
            label=self.label,
            split=split,
            source=self.source,
            member=self.member,
            stamp=self.stamp,
            size=self.size,
            mask=self.mask,
            type=self.type,
        )


def list_members(archive: Path) -> list[Member]:
    """Return the members of an archive or folder, sorted by name.

    Raises:
        ArchiveError: It cannot be used.
    """
    from lfvpipe.archives import open_archive

    with open_archive(archive) as opened:
        return sorted(opened.members(), key=lambda member: member.name)


def label_candidates(
    label: Label,
    source: Source,
    archive: Path,
    masks: Path | None,
    warn: Callable[[str], None],
) -> list[Candidate]:
    """Return the images of one label's archive with the masks they have; masks are no images.

    Args:
        label: What the images are.
        source: What the pipeline says of the archive.
        archive: Where it lies.
        masks: Where the archive of the masks lies; None if the images' own holds them, or none.
        warn: Told of what is named like masks although the pipeline names none.

    Raises:
        ArchiveError: An archive cannot be used.
        SelectionError: None of the members is wanted.
    """
    members = list_members(archive)
    images = [member for member in members if is_image_name(member.name)]
    # What is named like a mask of another member (``0001_label.PNG``, ``ground_truth/``) is one,
    # unless `include`, which can say it better, is given and `masks` is not.
    if source.masks is not None or not source.include:
        partners = MaskIndex(one.name for one in images if not looks_like_mask(one.name))
        unwanted = {
            one.name
            for one in images
            if looks_like_mask(one.name) and partners.find(one.name) is not None
        }
        images = [one for one in images if one.name not in unwanted]
        if unwanted and source.masks is None:
            warn(
                f"{public_address(source.archive)}: {len(unwanted)} images are named like masks of"
                f" others (such as {min(unwanted)}) and were left out. Name them under `masks` to"
                " learn from them."
            )
    mask_of = _mask_finder(label, source, members, masks)
    is_wanted = matcher(source.include)
    found = [
        Candidate(label, one.name, label, one.name, one.stamp, one.size,
                  mask_of(one.name), is_wanted(one.name))
        for one in images
    ]  # fmt: skip
    if not any(candidate.included for candidate in found):
        raise _no_images(
            f"sources.{label}", public_address(source.archive), source.include, archive, members
        )
    return found


def archive_candidates(
    archive: Path, source: str, where: str, include: Sequence[str], label: Label | None
) -> list[Candidate]:
    """Return the images of an archive that match `include`.

    Raises:
        ArchiveError: The archive cannot be used.
        SelectionError: None of its members is wanted; the message says `where` that is asked for.
    """
    members = list_members(archive)
    is_wanted = matcher(include)
    found = [
        Candidate(label, member.name, source, member.name, member.stamp, member.size)
        for member in members
        if is_image_name(member.name) and is_wanted(member.name)
    ]
    if not found:
        raise _no_images(where, str(archive), include, archive, members)
    return found


def _mask_finder(
    label: Label, source: Source, members: Sequence[Member], masks: Path | None
) -> Callable[[str], SelectedMask | None]:
    """Return a function that finds the mask of an image by the image's name."""
    if source.masks is None:
        return lambda _: None
    if masks is None or source.masks == source.archive:
        holder: str = label
        found = [member for member in members if looks_like_mask(member.name)]
    else:
        holder = f"{label}-masks"
        found = [member for member in list_members(masks) if is_image_name(member.name)]
        # A folder may hold the images beside their masks; an archive was made for them.
        if masks.is_dir() and any(looks_like_mask(member.name) for member in found):
            found = [member for member in found if looks_like_mask(member.name)]
    by_name = {member.name: member for member in found}
    index = MaskIndex(by_name)

    def find(image: str) -> SelectedMask | None:
        name = index.find(image)
        if name is None:
            return None
        return SelectedMask(holder, name, by_name[name].stamp, by_name[name].size)

    return find


def _no_images(
    where: str, shown_as: str, include: Sequence[str], archive: Path, members: Sequence[Member]
) -> SelectionError:
    """Say what an archive without a wanted image holds instead."""
    if members:
        kinds = Counter(PurePosixPath(one.name).suffix.lower() or "nameless" for one in members)
        contents = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(5))
        hint = f"Its members look like {', '.join(member.name for member in members[:3])}."
    else:
        contents = _junk(archive)
        hint = "Put images (PNG, JPEG, BMP, TIFF, WebP) into it, or name another one."
        if "://" in shown_as:
            hint = "Check the address."
    asked = ", ".join(include) or "PNG, JPEG, BMP, TIFF, WebP or HEIC"
    return SelectionError(
        f"{where}: 0 images match {asked}; {shown_as} holds {contents}.", hint=hint
    )


def _junk(archive: Path) -> str:
    """Return how many files an archive holds that are never looked at, and of which kinds."""
    from lfvpipe.archives import open_archive

    with open_archive(archive) as opened:
        for _ in opened.members():
            pass
        junk = opened.skipped
    if not junk:
        return "no files"
    kinds = ", ".join(kind for kind, _ in junk.most_common(3))
    if junk.total() == 1:
        return f"1 file, and that is no image ({kinds})"
    return f"{junk.total():,} files, none of them an image ({kinds})"
