"""What the name of a folder, an archive or a file says of the images in it, and how surely."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from lfvpipe.dataset.words import (
    MEANINGS,
    denial_in,
    is_uncertain,
    is_undecided,
    labels_of,
    meaning_of,
    simplify,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.listing import Part

# Folders of what nobody has sorted yet, or of what is no product: never a type of defect.
_VAGUE_TEXT = (
    "unlabeled unlabelled new raw misc various mixed"
    " other others rest inbox backup backups old tmp temp copy archive archives export"
    " exports result results output outputs crop crops all image images img imgs photo photos pic"
    " pics picture pictures bild bilder foto fotos data dataset datasets sample samples left right"
    " top bottom front back camera cam calibration calib background dark flat preview previews"
    " thumbnail thumbnails thumbs label labels annotations doc docs archiv reference references"
    " referenz master golden template rework unsortiert sonstige sonstiges diverse diverses divers"
    " verschiedenes neu alt autre autres otros otras altri varie vari overig empty leer blank belt"
    " kalibrierung kalibrieren calibrage testbild testbilder warmebild warmebilder waermebild"
    " waermebilder thermal infrared infrarot hintergrund setup einrichtung alle tous todos"
)
_VAGUE = frozenset(_VAGUE_TEXT.split())

# Pictures that a program made of photographs, to look at: no photographs to learn from.
_MADE_TEXT = (
    "thumb thumbs thumbnail thumbnails miniatur miniaturen vorschau preview previews overlay"
    " overlays heatmap heatmaps annotated visualization visualisation visualizations vis debug"
    " prediction predictions screenshot screenshots aug augmented augmentation augmentations"
    " augmentiert"
)
# Names of photographs end so, too: these are doubted where a photograph without the word is there.
_MADE_BESIDE_TEXT = (
    "result results ergebnis ergebnisse output out marked markiert markup boxes bbox processed"
    " resized small copy kopie crop crops cropped proc edited bearbeitet flip flipped mirrored"
)
_MADE = frozenset(_MADE_TEXT.split())
_MADE_BESIDE = frozenset(_MADE_BESIDE_TEXT.split())


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
        shared: Words that are those of the product (`product_words`).
    """
    words = words_of(name)
    meanings = {MEANINGS.get(word) for word in (*words, "".join(words))}
    part: Part | None = "train" if "train" in meanings else "test" if "test" in meanings else None
    if {"train", "test"} <= meanings:
        part = None
    if "mask" in meanings:
        return Reading(part=part, is_mask=True)
    meaning = meaning_of(name, shared)
    return Reading(meaning if meaning == "normal" or meaning == "anomaly" else None, part)


def is_vague(name: str) -> bool:
    """Tell whether a folder beside good products may hold something else than a type of defects."""
    words = words_of(name)
    pairs = {a + b for a, b in pairwise(words)}  # heat maps
    if re.search(r"\d", name) or not (_VAGUE | _MADE).isdisjoint(pairs.union(words)):
        return True
    return is_undecided(name) or meaning_of(name) == "undecided"


# Folders of photographs of one product, from one day, camera or station each.
_SITES_TEXT = (
    "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag"
    " freitag samstag sonntag january february march april may june july august september october"
    " november december januar februar maerz marz mai juni juli oktober dezember today yesterday"
    " morning evening night early late frueh fruh spaet spat nacht frueschicht spaetschicht"
    " nachtschicht fruhschicht spatschicht shift schicht camera kamera cam line linie station batch"
    " charge lot run day tag week woche side seite view ansicht first second third one two three"
    " alt neu links rechts oben unten vorne hinten part operator"
)
_SITES = frozenset(_SITES_TEXT.split())


def is_same_product(name: str) -> bool:
    """Tell whether a folder beside others is called after a day, a camera or a place."""
    return is_vague(name) or not _SITES.isdisjoint(words_of(name))


def is_companion(name: str, other: str) -> bool:
    """Tell whether `other` is called as `name` is, with a word for defective: cups, cups_def."""
    words, more = words_of(name), words_of(other)
    rest = [word for word in more if MEANINGS.get(word) != "anomaly"]
    return len(rest) < len(more) and rest == words and read_name(other, words).label == "anomaly"


def doubt(
    folder: str,
    label: Label,
    above: str,
    shared: Collection[str] = (),
    *,
    is_all: bool = False,
) -> str:
    """Return what speaks against taking a folder for what the one above it is, as a phrase.

    Args:
        folder: Its name.
        label: What the one above says.
        above: The name of that.
        shared: Words that are those of the product.
        is_all: Nothing else lies there, or the user himself says what the images are: a second
            word of that kind (housing good, in good) says the same, whatever stands beside it.
    """
    against = next((word for each, word in labels_of(folder).items() if each != label), "")
    said, contrary = ("good", "defective") if label == "normal" else ("defective", "good")
    if against:
        return f"{above}/ says {said}, “{against}” in it says {contrary}"
    words = set(words_of(folder))
    # What stands in the name above, too, takes nothing back that this said: cup_good in cup_good.
    harmless = {*shared, *words_of(above), *(words if is_all else ())}
    if is_uncertain(folder, label, harmless):
        return f"{above}/ says {said}, the name of the folder in it that this is not certain"
    if word := denial_in(folder, label, shared):
        return f"{above}/ says {said}, “{word}” in it may deny that"
    if words & (_MADE | {"result", "results", "ergebnis", "ergebnisse"}):
        return MADE
    return ""


def may_be_made(folder: str) -> bool:
    """Tell whether a folder may hold what was made of photographs that are called the same."""
    return not _MADE_BESIDE.isdisjoint(words_of(folder))


def is_made(folder: str) -> bool:
    """Tell whether a folder is called as one of pictures that were made to look at."""
    return not _MADE.isdisjoint(words_of(folder))


MADE = "pictures that were made of photographs, by their name"
TWINS = "called as other images beside them, in another format: copies, or masks"


def made_of(stem: str, stems: Collection[str]) -> str:
    """Return by which beginning or end of its name a file is no photograph, but made of one.

    Args:
        stem: The file's name without its ending.
        stems: Those of all files, in small letters.
    """
    for found in (
        re.search(r"[\W_]+([^\W\d_]+)$", stem),
        re.search(r"^([^\W\d_]+)[\W_]+", stem),
        re.search(r"(?<=\d)()(overlay|thumb|heatmap)$", stem, re.IGNORECASE),
    ):
        if found is None:
            continue
        word = simplify(found[found.lastindex or 1])
        photograph = (stem[: found.start()] + stem[found.end() :]).lower()
        if word in _MADE or (word in _MADE_BESIDE and photograph in stems):
            return found[0]
    return ""
