"""What a line means as an entry of a dataset: to the service, and to who takes over exported data.

Both let the class name decide. Neither minds how it is capitalised: the guide does not say whether
the service did, but one of AWS's own sample files says ``Anomaly``, and its author certainly meant
it. A class name other than normal and anomaly, or none, leaves the entry unlabelled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lfvpipe.lookout.rules import BACKGROUND_CLASS
from lfvpipe.manifest.lines import CLASSIFICATION, SOURCE, LineError, read_line
from lfvpipe.storage import StorageError, check_key, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lfvpipe.config.spec import Label
    from lfvpipe.manifest.lines import MapColour

_LABELS: Mapping[str, Label] = {"normal": "normal", "anomaly": "anomaly"}
_BUCKET = re.compile(r"[0-9A-Za-z._-]{3,63}")  # the API's S3BucketName
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True)
class Entry:
    """One image of a dataset.

    Attributes:
        source: The image's address.
        label: None when unlabelled.
        created: The label's creation date in epoch seconds, where the line has a readable one.
        mask: The mask's address.
        mask_classes: Anomaly type to its colour in the mask, ``#RRGGBB``.
    """

    source: str
    label: Label | None
    created: float | None = None
    mask: str | None = None
    mask_classes: Mapping[str, str] = field(default_factory=dict)


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
    mask: str | None = None
    classes: Mapping[str, str] = {}
    # The first described reference is the mask. In an EvaluationManifest that is the image's own,
    # which has no colours, so that its masks are not found. So it has been since 0.1.0.
    described = next((each for each in line.references if each.is_described), None)
    if described is not None and (classes := _service_colours(described.colours or ())):
        mask = _object_address(described.address, described.attribute)
    source = _object_address(line.image, SOURCE)
    for each in line.classifications:
        if each.type in (None, CLASSIFICATION):
            return Entry(source, _label(each.class_name), _epoch(each.created), mask, classes)
    return Entry(source, None, None, mask, classes)


def exported_entry(text: bytes) -> Entry:
    """Return the entry that a line of an exported manifest stands for, as leniently as can be.

    Real files disagree with the guide: label attributes of any name and type, blanks around class
    names, colour maps without BACKGROUND and with colours that are none (left out), relative
    addresses (for the caller to resolve).

    Raises:
        LineError: It is no JSON object, or names no image.
    """
    line = read_line(text)
    if line.image is None:
        raise LineError("has no source-ref")
    label = _label(line.classifications[0].class_name.strip()) if line.classifications else None
    for each in line.masks:
        if each.address is not None and each.colours is not None:
            return Entry(line.image, label, None, each.address, _exported_colours(each.colours))
    return Entry(line.image, label)


def _label(class_name: str) -> Label | None:
    return _LABELS.get(class_name.casefold())


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


def _service_colours(colours: Iterable[MapColour]) -> dict[str, str]:
    """Return the colour of each anomaly type; the background is none of them."""
    found = {}
    for each in colours:
        name = each.class_name
        if name.upper() == BACKGROUND_CLASS:
            continue
        if not _COLOUR.fullmatch(each.colour):
            raise LineError(f"has no hex-color such as #23A436 for the anomaly type {name!r}")
        found[name] = each.colour.upper()
    return found


def _exported_colours(colours: Iterable[MapColour]) -> dict[str, str]:
    found = {
        each.class_name: each.colour.upper()
        for each in colours
        if each.class_name
        and each.class_name.upper() != BACKGROUND_CLASS
        and _COLOUR.fullmatch(each.colour)
    }
    return dict(sorted(found.items()))


def _epoch(text: str | None) -> float | None:
    """Read a UTC ISO date; other spellings, which real files have, count as none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
