"""What a line means as an entry of a dataset: to the service, and to who takes over exported data.

Labels are read alike (`lfvpipe.manifest.labels`), and so are masks: the newest reference with a
colour map that names an anomaly type is the mask; a map of nothing but background, such as normal
images have in some exports, is none. What differs is meant: the service refuses, as it did, what an
export may hold and can be used without, such as relative addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.lookout.rules import BACKGROUND_CLASS
from lfvpipe.manifest.labels import GivenLabel, LabelRules, epoch_of, given_label
from lfvpipe.manifest.lines import SOURCE, LineError, read_line
from lfvpipe.storage import StorageError, check_key, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lfvpipe.config.spec import Label
    from lfvpipe.manifest.lines import Classification, Line, MapColour, Reference

_BUCKET = re.compile(r"[0-9A-Za-z._-]{3,63}")  # the API's S3BucketName
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True)
class Entry:
    """One image of a dataset.

    Attributes:
        source: The image's address.
        given: Its label, and how it came to that.
        mask: The mask's address.
        mask_classes: Anomaly type to its colour in the mask, ``#RRGGBB``: what may be in it.
        classifications: All that the line calls the image.
        colourless: Anomaly types of the mask that were left out: their colours are none.
    """

    source: str
    given: GivenLabel
    mask: str | None = None
    mask_classes: Mapping[str, str] = field(default_factory=dict)
    classifications: tuple[Classification, ...] = ()
    colourless: tuple[str, ...] = ()

    @property
    def label(self) -> Label | None:
        """None when unlabelled."""
        return self.given.label

    @property
    def created(self) -> float | None:
        """The label's creation date in epoch seconds, where the line has a readable one."""
        return self.given.created


def service_entry(text: str, *, longest: int) -> Entry:
    """Return the entry that a line gives a dataset, as strictly as the service read it.

    Args:
        text: The line.
        longest: How many characters it may have.

    Raises:
        LineError: It is no JSON object, names no image or mask by an ``s3://`` address, or a
            colour of its mask cannot be told.
    """
    if len(text) > longest:
        raise LineError(f"has {len(text)} characters; {longest} are allowed")
    line = read_line(text)
    mask, classes, colourless = _mask(line)
    if colourless:
        name = colourless[0]
        raise LineError(f"has no hex-color such as #23A436 for the anomaly type {name!r}")
    address = None if mask is None else _object_address(mask.address, mask.attribute)
    source = _object_address(line.image, SOURCE)
    return Entry(source, given_label(line), address, classes, line.classifications)


def exported_entry(text: bytes, rules: LabelRules | None = None) -> Entry:
    """Return the entry that a line of an exported manifest stands for, as leniently as can be.

    Real files disagree with the guide: colour maps without BACKGROUND and with colours that are
    none (left out), relative addresses (for the caller to resolve).

    Raises:
        LineError: It is no JSON object, or names no image.
    """
    line = read_line(text)
    if line.image is None:
        raise LineError("has no source-ref")
    given = given_label(line, rules or LabelRules())
    mask, classes, colourless = _mask(line)
    if mask is None or mask.address is None or not classes:
        return Entry(line.image, given, None, {}, line.classifications, colourless)
    return Entry(line.image, given, mask.address, classes, line.classifications, colourless)


def _mask(line: Line) -> tuple[Reference | None, dict[str, str], tuple[str, ...]]:
    """Return the newest mask of a line, its types' colours, and the types whose colour is none.

    The first of equally new ones; None where no map names an anomaly type.
    """
    found: tuple[Reference | None, dict[str, str], tuple[str, ...]] = (None, {}, ())
    newest = float("-inf")
    for each in line.masks:
        classes, colourless = _colours(each.colours or ())
        if not classes and not colourless:
            continue
        created = epoch_of(each.created)
        age = float("-inf") if created is None else created
        if found[0] is None or age > newest:
            found, newest = (each, classes, colourless), age
    return found


def _object_address(address: str | None, attribute: str) -> str:
    """Return `address` if it is that of an object that the API could name."""
    if not address:
        raise LineError(f"has no {attribute}")
    problem = f"has a {attribute} that is no object's address: {address[:200]}"
    try:
        bucket, key = parse_s3_uri(address)
        check_key(key)
    except StorageError as error:
        raise LineError(problem) from error
    if not _BUCKET.fullmatch(bucket):
        raise LineError(problem)
    return address


def _colours(colours: Iterable[MapColour]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the colour of each anomaly type, and the types without; background is none of them."""
    found = {}
    without = []
    for each in colours:
        name = each.class_name.strip()
        if not name or name.upper() == BACKGROUND_CLASS:
            continue
        if _COLOUR.fullmatch(each.colour.strip()):
            found[name] = each.colour.strip().upper()
        else:
            without.append(name)
    return dict(sorted(found.items())), tuple(without)
