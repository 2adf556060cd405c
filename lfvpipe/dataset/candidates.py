"""The images that an archive holds, with their masks: what a selection chooses from."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.checks.findings import warning
from lfvpipe.dataset.globs import matcher
from lfvpipe.dataset.pairing import MaskIndex, closeness_of, looks_like_mask
from lfvpipe.dataset.selection import SelectedImage, SelectedMask
from lfvpipe.dataset.sources import masks_inside, public_address
from lfvpipe.engine.phrases import count_of, doing
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lfvpipe.archives import Member
    from lfvpipe.config.spec import DefectTypes, EvaluationArchive, Label, Source
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.inventory import Holding
    from lfvpipe.dataset.listing import Part
    from lfvpipe.dataset.selection import Split


class SelectionError(UserError):
    """The sources do not hold what the pipeline asks for."""


@dataclass(frozen=True)
class Candidate:
    """An image that may be selected; other fields as in `SelectedImage`.

    Attributes:
        name: What people call it: the member's name, or the path of a manifest's reference.
        included: It is wanted as one of its label; others can only be evaluation images, and
            nobody said what they are.
        type: The type of its defect; "" where that is not known.
        part: The part of the source's own split that it is in; None for none.
        group: What it shares with other photographs of the same part; "" for nothing.
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
    part: Part | None = None
    group: str = ""

    @property
    def id(self) -> str:
        """The image's name among all labels."""
        if self.label is None and not self.included:  # it lies in a label's archive, no more
            return f"{self.source}-archive/{self.name}"
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
    archives: Sequence[Holding],
    masks: Holding | None,
    found: list[Finding],
) -> list[Candidate]:
    """Return the images of one label's archives with the masks they have; masks are no images.

    Args:
        label: What the images are.
        source: What the pipeline says of the archives.
        archives: What they hold.
        masks: What the archive of the masks holds; None if the images' own holds them, or none.
        found: What a person should know is added to it.

    Raises:
        SelectionError: None of the members is wanted, or no mask fits any image.
    """
    candidates: list[Candidate] = []
    partners = _Masks(source, archives, masks) if source.masks is not None else None
    for holding in archives:
        is_wanted = holding.wanted(source.include, source.exclude)
        for one in _without_masks(source, holding):
            candidate = Candidate(
                label,
                f"{holding.prefix}{one.name}",
                holding.source,
                one.name,
                one.stamp,
                one.size,
                partners.find(one.name) if partners else None,
                is_wanted(one.name),
                type_of(source.types, one.name) if source.types else "",
            )
            candidates.append(candidate)
            if candidate.included:
                holding.used.add(one.name)
    included = [candidate for candidate in candidates if candidate.included]
    if not included:
        raise _no_images(f"sources.{label}", archives, source.include, source.exclude)
    if len(archives) > 1:
        giving = {candidate.source for candidate in included}
        bare = [each.address for each in archives if each.source not in giving]
        if bare:
            text = f"sources.{label}: no image is taken from {', '.join(bare)}"
            found.append(warning("empty-archive", text))
    if partners:
        candidates = _one_mask_each(label, candidates)
        found += partners.check(label, candidates)
    if source.types and (untyped := [each for each in included if not each.type]):
        text = (
            f"{len(untyped)} of {len(included)} {label} images have no type of defect where"
            f" `sources.{label}.types` says that it stands"
        )
        found.append(warning("untyped", text, [each.id for each in untyped]))
    return candidates


def type_of(types: DefectTypes, name: str) -> str:
    """Return the type of the defect that an image's name in its archive tells; "" for none."""
    if types.pattern is not None:
        match = re.search(types.pattern, name)
        return (match[1] if match.re.groups else match[0]) or "" if match else ""
    folders = PurePosixPath(name).parts[:-1]
    at = types.folder or -1
    at = at - 1 if at > 0 else at
    return folders[at] if -len(folders) <= at < len(folders) else ""


def archive_candidates(holding: Holding, source: EvaluationArchive) -> list[Candidate]:
    """Return the images of an archive of evaluation images that are wanted.

    Raises:
        SelectionError: None of its members is.
    """
    is_wanted = holding.wanted(source.include, source.exclude)
    wanted = [member for member in holding.images if is_wanted(member.name)]
    if not wanted:
        raise _no_images(source.key, [holding], source.include, source.exclude)
    holding.used.update(member.name for member in wanted)
    return [
        Candidate(source.label, member.name, holding.source, member.name, member.stamp, member.size)
        for member in wanted
    ]


def _without_masks(source: Source, holding: Holding) -> list[Member]:
    """Return the images of an archive but for those that are named like masks of others.

    What is named so (``0001_label.PNG``, ``ground_truth/``) is a mask, unless `include`, which can
    say it better, is given and `masks` is not.
    """
    images = holding.images
    if inside := masks_inside(source):
        is_mask = matcher([inside])
        return [one for one in images if not is_mask(one.name)]
    if source.masks is None and source.include:
        return images
    partners = MaskIndex(one.name for one in images if not looks_like_mask(one.name))
    masks = {
        one.name
        for one in images
        if looks_like_mask(one.name) and partners.find(one.name) is not None
    }
    if source.masks is None:
        holding.leave_out(masks, "named like masks of others (`masks` would learn from them)")
    return [one for one in images if one.name not in masks]


def _one_mask_each(label: Label, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, each mask given to the one image whose folders it is closest to.

    Raises:
        SelectionError: Several images that are included are equally close to one.
    """
    by_mask: dict[str, list[Candidate]] = defaultdict(list)
    for each in candidates:
        if each.mask:
            by_mask[each.mask.member].append(each)
    bare: set[int] = set()
    shared = []
    for mask, images in by_mask.items():
        wanted = [each for each in images if each.included] or images
        closeness = [closeness_of(mask, each.member) for each in wanted]
        best = [each for each, n in zip(wanted, closeness, strict=True) if n == max(closeness)]
        if len(best) > 1 and best[0].included:
            shared.append((mask, best))
        bare.update(id(each) for each in images if each is not best[0])
    if shared:
        mask, images = shared[0]
        more = f", and {len(shared) - 1} more fit several" if len(shared) > 1 else ""
        raise SelectionError(
            f"sources.{label}.masks: {mask} fits {count_of(len(images), 'image')}:"
            f" {', '.join(each.name for each in images[:4])}{more}.",
            hint="Put the masks into folders that are called as those of their images are.",
        )
    return [replace(each, mask=None) if id(each) in bare else each for each in candidates]


class _Masks:
    """The masks of one label, found by their images' names."""

    def __init__(self, source: Source, archives: Sequence[Holding], masks: Holding | None) -> None:
        """Take the masks out of their own archive, or out of the one among `archives` it is."""
        own = [each for each in archives if masks is None or each.path == masks.path]
        self._holding = own[0] if own or masks is None else masks
        self._address = public_address(source.masks or source.archive)
        images = self._holding.images
        if inside := masks_inside(source):
            own = [one for one in own if self._address.startswith(f"{one.address}/")]
            self._holding = own[0] if own else self._holding
            is_mask = matcher([inside])
            images = [one for one in self._holding.images if is_mask(one.name)]
        elif own:
            images = [member for member in self._holding.members if looks_like_mask(member.name)]
        # A folder may hold the images beside their masks; an archive was made for them.
        elif self._holding.path.is_dir() and any(looks_like_mask(one.name) for one in images):
            images = [one for one in images if looks_like_mask(one.name)]
        self._by_name = {member.name: member for member in images}
        self._index = MaskIndex(self._by_name)

    def find(self, image: str) -> SelectedMask | None:
        """Return the mask of an image; None for none."""
        name = self._index.find(image)
        if name is None:
            return None
        member = self._by_name[name]
        return SelectedMask(self._holding.source, name, member.stamp, member.size)

    def check(self, label: Label, images: Sequence[Candidate]) -> list[Finding]:
        """Note which masks are used, and return how many fit no image.

        Raises:
            SelectionError: None does.
        """
        fitting = {each.mask.member for each in images if each.mask}
        self._holding.used |= fitting
        unmatched = sorted(self._by_name.keys() - fitting)
        self._holding.leave_out(unmatched, "that are masks of no image")
        if not fitting:
            there = ", ".join(sorted(self._by_name)[:3]) or "nothing that is named like a mask"
            these = ", ".join(each.member for each in images[:3])
            raise SelectionError(
                f"sources.{label}.masks: none of the {len(self._by_name)} masks in"
                f" {self._address} fits any of the {len(images)} images.",
                hint=f"Masks are called as their images are, such as {these}; there are {there}."
                " A folder of masks in an archive of images may be named, as in `x.zip/masks`.",
            )
        if not unmatched:
            return []
        bare = sum(each.mask is None for each in images)
        text = (
            f"{self._address}: {doing(len(unmatched), 'mask', 'fit')} no image, such as"
            f" {unmatched[0]}; {len(images) - bare} of {len(images)} {label} images have a mask"
        )
        return [warning("unmatched-masks", text)]


def _no_images(
    where: str, archives: Sequence[Holding], include: Sequence[str], exclude: Sequence[str]
) -> SelectionError:
    """Say what archives without a wanted image hold instead."""
    shown_as = ", ".join(each.address for each in archives[:3])
    members = [member for each in archives for member in each.members]
    junk = sum((each.skipped for each in archives), Counter[str]())
    if members:
        kinds = Counter(PurePosixPath(one.name).suffix.lower() or "nameless" for one in members)
        contents = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(5))
        hint = f"Its members look like {', '.join(member.name for member in members[:3])}."
    else:
        contents = _junk(junk)
        hint = "Put images (PNG, JPEG, BMP, TIFF, WebP) into it, or name another one."
        if unread := [name for each in archives for name in each.unread]:
            hint = (
                f"{', '.join(unread[:3])} lies too deep or is damaged: an archive in an archive is"
                " read one level deep. Unpack the outer one."
            )
        if "://" in shown_as:
            hint = "Check the address."
    asked = ", ".join(include) or "PNG, JPEG, BMP, TIFF, WebP or HEIC"
    asked += f" and not {', '.join(exclude)}" if exclude else ""
    return SelectionError(
        f"{where}: 0 images match {asked}; {shown_as} holds {contents}.", hint=hint
    )


def _junk(junk: Counter[str]) -> str:
    """Return how many files an archive holds that are never looked at, and of which kinds."""
    if not junk:
        return "no files"
    kinds = ", ".join(kind for kind, _ in junk.most_common(3))
    if junk.total() == 1:
        return f"1 file, and that is no image ({kinds})"
    return f"{junk.total():,} files, none of them an image ({kinds})"
