"""The JSON lines of a manifest, read as leniently as real customers' files need.

The class name decides; the integer beside it is ignored, since AWS's own tools disagreed on it.
A class name other than normal and anomaly, or none, leaves the entry in the dataset, unlabelled.
The guide does not say whether case matters; here it does not, because one of AWS's own sample
files says ``Anomaly`` and its author certainly meant it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from lfvpipe.errors import UserError
from lfvpipe.lookout.rules import BACKGROUND_CLASS
from lfvpipe.storage import StorageError, check_key, parse_s3_uri

_LABELS: Mapping[str, Literal["normal", "anomaly"]] = {"normal": "normal", "anomaly": "anomaly"}
_BUCKET = re.compile(r"[0-9A-Za-z._-]{3,63}")  # the API's S3BucketName
_METADATA = "-metadata"
_MASK_METADATA = "-ref-metadata"


class LineError(UserError):
    """A line that cannot be a dataset entry."""


@dataclass(frozen=True)
class Entry:
    """One image of a dataset.

    Attributes:
        source: The image's ``s3://`` address.
        label: None when unlabelled.
        created: The label's creation date in epoch seconds, where the line has a readable one.
        mask: The mask's ``s3://`` address.
        mask_classes: Anomaly type to its colour in the mask, ``#RRGGBB``.
    """

    source: str
    label: Literal["normal", "anomaly"] | None
    created: float | None = None
    mask: str | None = None
    mask_classes: Mapping[str, str] = field(default_factory=dict)


def read_line(text: str, *, longest: int) -> Entry:
    """Return the entry that a JSON line of at most `longest` characters describes.

    Raises:
        LineError: It is no JSON object, or names no image.
    """
    if len(text) > longest:
        raise LineError(f"has {len(text)} characters; {longest} are allowed")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LineError(f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise LineError("is no JSON object")
    metadata = _classification(found)
    mask, classes = _mask(found)
    name = str(metadata.get("class-name", "")).casefold()
    created = _epoch(metadata.get("creation-date"))
    return Entry(_address(found, "source-ref"), _LABELS.get(name), created, mask, classes)


def _address(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str):
        raise LineError(f"has no {key}")
    problem = f"has a {key} that is no object's address: {value[:200]}"
    try:
        bucket, name = parse_s3_uri(value)
        check_key(name)
    except StorageError as error:
        raise LineError(problem) from error
    if not _BUCKET.fullmatch(bucket):
        raise LineError(problem)
    return value


def _classification(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata of the classification label, whatever the label is called."""
    for metadata in _metadata(found, _METADATA):
        kind = metadata.get("type", "groundtruth/image-classification")
        if kind == "groundtruth/image-classification" and "class-name" in metadata:
            return metadata
    return {}


def _metadata(found: Mapping[str, Any], ending: str) -> Iterator[Mapping[str, Any]]:
    for key, value in found.items():
        if key.endswith(ending) and isinstance(value, dict):
            yield value


def _mask(found: Mapping[str, Any]) -> tuple[str | None, Mapping[str, str]]:
    """Return the mask's address and types; a map with nothing but background is no mask."""
    for key, metadata in found.items():
        reference = key.removesuffix(_METADATA)
        if key.endswith(_MASK_METADATA) and isinstance(metadata, dict) and reference in found:
            classes = _classes(metadata.get("internal-color-map"))
            return (_address(found, reference), classes) if classes else (None, {})
    return None, {}


def _classes(colours: Any) -> Mapping[str, str]:
    entries = colours.values() if isinstance(colours, dict) else ()
    found = {}
    for entry in entries:
        name, colour = _named(entry)
        if name.upper() == BACKGROUND_CLASS:
            continue
        if not re.fullmatch(r"#[0-9A-Fa-f]{6}", colour):
            raise LineError(f"has no hex-color such as #23A436 for the anomaly type {name!r}")
        found[name] = colour.upper()
    return found


def _named(entry: Any) -> tuple[str, str]:
    facts = entry if isinstance(entry, dict) else {}
    return str(facts.get("class-name", "")), str(facts.get("hex-color", ""))


def _epoch(value: Any) -> float | None:
    """Read a UTC ISO date; other spellings, which real files have, count as none."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
