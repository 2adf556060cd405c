"""What reviewed labels change in the selection.

The archives are divided as if nobody had reviewed anything, and the decisions are applied to what
came out: so one decision moves one image, and every other image keeps its place, which keeps
models before and after a review comparable. A train or test image takes its new label along;
an image that neither took is learnt from once a person has said what it is; an evaluation image
is never learnt from, and gets its true label.

Images that no source has, which a review of detected ones adds, come after the division, and so
move none either.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.dataset.labels import (
    LabelsError,
    images_folder,
    label_of,
    read_decisions,
    standings,
)
from lfvpipe.dataset.local_files import display_name, file_stamp
from lfvpipe.dataset.selection import FILES, Review, SelectedImage, SelectedMask
from lfvpipe.engine.inputs import InputFile
from lfvpipe.engine.phrases import doing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lfvpipe.config.spec import Pipeline
    from lfvpipe.dataset.candidates import Candidate
    from lfvpipe.dataset.index import Image
    from lfvpipe.dataset.labels import Decision, Key
    from lfvpipe.engine.outcome import Json


@dataclass(frozen=True)
class Corrections:
    """The decisions that count, by image.

    Attributes:
        by_image: By source and name.
        by_name: Those that leave the source open, with the number of their line.
        masks: The painted masks, by the path that the labels file says.
        added: The images that no source has and the decisions add, by source and name; None for
            one that is decided to take no part.
    """

    by_image: Mapping[Key, tuple[int, Decision]]
    by_name: Mapping[str, tuple[int, Decision]]
    masks: Mapping[str, SelectedMask]
    added: Mapping[Key, SelectedImage | None]

    def of(self, image: SelectedImage | Image) -> Decision | None:
        """Return what is decided about `image`; the later line where two name it."""
        named = [
            self.by_image.get((image.source, image.member)),
            self.by_name.get(image.member),
        ]
        made = [each for each in named if each is not None]
        return max(made, key=lambda each: each[0])[1] if made else None

    def apply(self, image: SelectedImage) -> SelectedImage | None:
        """Return the image as it was decided to be, its id kept; None if it is left out."""
        decision = self.of(image)
        if decision is None:
            return image
        label = label_of(decision.label)
        # Nobody knows what it is: it can still be judged, but teaches and proves nothing.
        if label is None and (decision.label == "exclude" or image.split != "evaluate"):
            return None
        mask = image.mask if label == "anomaly" else None
        if label == "anomaly" and decision.mask:
            mask = self.masks[decision.mask]
        kind = (decision.type or image.type) if label == "anomaly" else image.type
        is_same = (label, mask, kind) == (image.label, image.mask, image.type)
        if is_same and image.split != "unused":
            return image
        before = None if image.split == "unused" else image.split
        return replace(
            image,
            label=label,
            split=before or decision.split or "train",
            mask=mask,
            type=kind,
            reviewed=Review(decision.sha256, image.label, before),
        )

    def additions(self, images: Iterable[SelectedImage]) -> list[SelectedImage]:
        """Return the images that the decisions add to these; what is among them is not added."""
        there = {(image.source, image.member) for image in images}
        return [image for key, image in self.added.items() if image and key not in there]

    def check(
        self, images: Iterable[Candidate | SelectedImage], warn: Callable[[str], None]
    ) -> None:
        """Hold the decisions against the images that there are; warn of those about none.

        Raises:
            LabelsError: A decision without a source could be about several images.
        """
        left = set(self.by_image) - set(self.added)
        holders: dict[str, set[str]] = {name: set() for name in self.by_name}
        for image in images:
            left.discard((image.source, image.member))
            if image.member in holders:
                holders[image.member].add(image.source)
        for name, sources in holders.items():
            if len(sources) > 1:
                held = " and ".join(sorted(sources))
                hint = 'Add "source" to its line, as `lfvpipe review` does.'
                raise LabelsError(f"sources.labels: {name} is in {held}.", hint=hint)
        lost = [name for _, name in left]
        lost += [name for name, sources in holders.items() if not sources]
        if lost:
            warn(
                f"sources.labels: {doing(len(lost), 'image', 'are')} not in the sources, such as"
                f" {min(lost)}."
            )


def read_corrections(pipeline: Pipeline) -> Corrections:
    """Return what the pipeline's labels file decides; nothing where none is named or there.

    Raises:
        LabelsError: The file, or a mask that it names, cannot be used.
    """
    file = pipeline.sources.labels
    by_image: dict[Key, tuple[int, Decision]] = {}
    by_name: dict[str, tuple[int, Decision]] = {}
    masks: dict[str, SelectedMask] = {}
    added: dict[Key, SelectedImage | None] = {}
    for key, standing in standings(read_decisions(Path(file)) if file else ()).items():
        decision = standing.decision
        if decision is None or file is None:
            continue
        decision = replace(decision, split=standing.split, sha256=standing.sha256)
        if decision.mask and decision.label == "anomaly":
            masks[decision.mask] = _mask(Path(file), decision, pipeline.folder)
        if key[0] is None:
            by_name[key[1]] = standing.number, decision
        else:
            by_image[key] = standing.number, decision
        if key[0] == FILES and (path := _added_file(Path(file), decision, pipeline.folder)):
            mask = masks.get(decision.mask or "") if decision.label == "anomaly" else None
            if label_of(decision.label) is None:
                added[key] = None
            elif decision.split is not None and path.is_file():
                added[key] = _addition(path, decision, mask)
    return Corrections(by_image, by_name, masks, added)


def _added_file(labels: Path, decision: Decision, folder: Path) -> Path | None:
    """Return where an image lies that a decision may add: in the folder that is for such.

    A labels file may be somebody else's, and is to name no other file of this machine.
    """
    path, home = (folder / decision.name).resolve(), images_folder(labels).resolve()
    return path if path.parent == home else None


def _addition(path: Path, decision: Decision, mask: SelectedMask | None) -> SelectedImage:
    stamp, size = file_stamp(path)
    assert decision.split is not None
    return SelectedImage(
        id=f"reviewed/{path.name}",
        label=label_of(decision.label),
        split=decision.split,
        source=FILES,
        member=decision.name,
        stamp=stamp,
        size=size,
        mask=mask,
        reviewed=Review(decision.sha256, None, None),
        type=(decision.type or "") if decision.label == "anomaly" else "",
    )


def _mask(file: Path, decision: Decision, folder: Path) -> SelectedMask:
    path = Path(os.path.normpath(file.parent / str(decision.mask)))
    try:
        status = path.stat()
    except OSError as error:
        raise LabelsError(
            f"{file}: the mask of {decision.name} cannot be read: {path} ({error.strerror})."
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise LabelsError(f"{file}: the mask of {decision.name} is no file: {path}.")
    stamp = f"m{status.st_mtime_ns:x}"
    member = display_name(path, folder)
    return SelectedMask(FILES, member, stamp, status.st_size, decision.classes)


def decision_inputs(pipeline: Pipeline) -> Sequence[InputFile]:
    """Return what of the labels file can change a selection, as one input of the select step.

    Who decided, when and in what order does not count; and as a label's own archive says what its
    images are, neither does a decision that agrees with it for an image that is in use already,
    but which those are, only the step finds out.
    """
    file = pipeline.sources.labels
    if file is None:
        return ()
    from lfvpipe.engine.outcome import digest

    found = read_corrections(pipeline)
    rows: dict[str, Json] = {}
    for _, decision in (*found.by_image.values(), *found.by_name.values()):
        key = decision.key
        if key in found.added and found.added[key] is None:
            continue  # it is in no dataset, and was in none
        mask = found.masks.get(decision.mask or "")
        said: list[Json] = [decision.label, decision.sha256]
        if mask is not None:
            said += [mask.stamp, mask.size, dict(mask.classes or {})]
        if decision.split or decision.type:  # fingerprints from before there were such stay
            said += [decision.split, decision.type, key in found.added]
        rows["\0".join((decision.source or "", decision.name))] = said
    return [InputFile(Path(file).name, digest(rows))] if rows else ()
