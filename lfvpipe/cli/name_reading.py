"""What the name of a folder, an archive or a file says of the images in it, and how surely."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.dataset.words import MEANINGS, is_undecided, meaning_of, words_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.listing import Part

# In front of a word they take it back: almost good.
_HEDGES_TEXT = (
    "almost nearly quite mostly maybe perhaps probably partly but or fast fest vielleicht presque"
    " casi quasi bijna"
)
_HEDGES = frozenset(_HEDGES_TEXT.split())
# Behind a word they say nothing of the images.
_NEUTRAL_TEXT = (
    "image images img imgs photo photos pic pics picture pictures part parts piece pieces product"
    " products sample samples data dataset set bild bilder foto fotos teil teile png jpg jpeg raw"
    " only all folder"
)
_NEUTRAL = frozenset(_NEUTRAL_TEXT.split())
# Folders of what nobody has sorted yet, or of what is no product: never a type of defect.
_VAGUE_TEXT = (
    "unlabeled unlabelled new raw misc various mixed"
    " other others rest inbox backup backups old tmp temp copy archive archives export"
    " exports result results output outputs crop crops all image images img imgs photo photos pic"
    " pics picture pictures bild bilder foto fotos data dataset datasets sample samples left right"
    " top bottom front back camera cam calibration calib background dark flat preview previews"
    " thumbnail thumbnails thumbs label labels annotations doc docs archiv reference references"
    " referenz master golden template rework"
)
_VAGUE = frozenset(_VAGUE_TEXT.split())


@dataclass(frozen=True)
class Reading:
    """What a name says.

    Attributes:
        label: What the images are; None where the name does not say, or contradicts itself.
        part: The part of a published split.
        is_mask: Masks lie there.
    """

    label: Label | None = None
    part: Part | None = None
    is_mask: bool = False


def read_name(name: str, shared: Collection[str] = ()) -> Reading:
    """Return what a name says; what may be meant otherwise says nothing.

    Args:
        name: Of a folder or archive, or the part of a file's name that tells.
        shared: Words that are those of the product, since other names have them, too.
    """
    words = words_of(name)
    meanings = {MEANINGS.get(word) for word in (*words, "".join(words))}
    part: Part | None = "train" if "train" in meanings else "test" if "test" in meanings else None
    if {"train", "test"} <= meanings:
        part = None
    if "mask" in meanings:
        return Reading(part=part, is_mask=True)
    if {"normal", "anomaly"} <= {MEANINGS.get(word) for word in words}:  # good_vs_bad
        return Reading(part=part)
    label = meaning_of(" ".join(word for word in words if MEANINGS.get(word) not in _PARTS))
    if label == "normal" and not _is_plain(words, shared):
        return Reading(part=part)
    return Reading(label if label == "normal" or label == "anomaly" else None, part)


_PARTS = ("train", "test")


def _is_plain(words: list[str], shared: Collection[str]) -> bool:
    """Tell whether no other word of a name takes its word for good back."""
    if MEANINGS.get("".join(words)) == "normal":
        return True
    told = [at for at, word in enumerate(words) if MEANINGS.get(word) in ("normal", "anomaly")]
    if not told or set(words) & _HEDGES:
        return False
    behind = words[told[-1] + 1 :]
    return all(
        word in _NEUTRAL or word in shared or word.isdecimal() or MEANINGS.get(word) in _PARTS
        for word in behind
    )


def is_vague(name: str) -> bool:
    """Tell whether a folder beside good products may hold something else than a type of defects."""
    is_told = re.search(r"\d", name) or not _VAGUE.isdisjoint(words_of(name))
    return bool(is_told) or is_undecided(name)


def is_companion(name: str, other: str) -> bool:
    """Tell whether `other` is called as `name` is, with a word for defective: cups, cups_def."""
    words, more = words_of(name), words_of(other)
    rest = [word for word in more if MEANINGS.get(word) != "anomaly"]
    return len(rest) < len(more) and rest == words and read_name(other).label == "anomaly"
