"""One line of a manifest, as it is spelled: read with every oddity kept, written as documented.

Source: Amazon Lookout for Vision Developer Guide (June 2023), "Creating a manifest file". Any
attribute name is allowed; its metadata stand under the same name with ``-metadata`` behind it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from lfvpipe.errors import UserError
from lfvpipe.lookout.rules import BACKGROUND_CLASS, BACKGROUND_COLOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

SOURCE: Final = "source-ref"
REFERENCE: Final = "-ref"
METADATA: Final = "-metadata"
DEFECT: Final = "defect-type"
CLASSIFICATION: Final = "groundtruth/image-classification"
SEGMENTATION: Final = "groundtruth/semantic-segmentation"


class LineError(UserError):
    """A text that is no line of a manifest.

    Attributes:
        problem: What is wrong, as it goes on behind "Line 3" in a message of the caller's.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"A line of a manifest {problem}.")
        self.problem = problem


@dataclass(frozen=True)
class Classification:
    """What an attribute's metadata call the image.

    The number beside the metadata is neither kept nor looked at: AWS's own tools disagreed on
    whether 1 is good or bad, so the class name decides. It is written as the final guide has it.

    Attributes:
        class_name: As written: ``normal``, ``anomaly``, or whatever else is there.
        attribute: The attribute's name.
        type: As written; None where there is none.
        created: The creation date as written; None where there is none.
        defect: The type of the defect where no mask tells it. lfvpipe's own; the service reads
            over metadata that it does not know.
    """

    class_name: str
    attribute: str = "anomaly-label"
    type: str | None = CLASSIFICATION
    created: str | None = None
    defect: str = ""


@dataclass(frozen=True)
class MapColour:
    """One entry of an ``internal-color-map``, as written; "" where a text is missing."""

    number: str
    class_name: str
    colour: str
    confidence: float | None = 0


@dataclass(frozen=True)
class Reference:
    """A reference to another image of the same piece: its mask.

    Attributes:
        address: As written; None where it is no text.
        colours: The colour map, in its order; None where the metadata have none.
        attribute: The reference's name, which ends in ``-ref``.
        is_described: Whether there are metadata for it.
        created: The creation date as written; None where there is none.
    """

    address: str | None
    colours: tuple[MapColour, ...] | None
    attribute: str = "anomaly-mask-ref"
    is_described: bool = True
    created: str | None = None


@dataclass(frozen=True)
class Line:
    """One line of a manifest.

    Attributes:
        image: The image's address as written; "" where it is no text, None where there is none.
        classifications: In the order of the line; a documented line has one.
        references: To masks, in the order of the line; mostly none or one. The image's own is
            among them where it has metadata, as in an EvaluationManifest.
    """

    image: str | None
    classifications: tuple[Classification, ...] = ()
    references: tuple[Reference, ...] = ()

    @property
    def masks(self) -> tuple[Reference, ...]:
        """The references but for the image's own."""
        return tuple(each for each in self.references if each.attribute != SOURCE)


def read_line(text: str | bytes) -> Line:
    """Return what a JSON line says.

    Raises:
        LineError: It is no JSON object.
    """
    found = read_object(text)
    image = (_address(found[SOURCE]) or "") if SOURCE in found else None
    return Line(image, tuple(_classifications(found)), tuple(_references(found)))


def read_object(text: str | bytes) -> dict[str, Any]:
    """Return the object that a JSON line holds; raises `LineError` where it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LineError(f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise LineError("is no JSON object")
    return found


def _classifications(found: Mapping[str, Any]) -> Iterator[Classification]:
    for key, metadata in found.items():
        if key.endswith(METADATA) and isinstance(metadata, dict) and "class-name" in metadata:
            yield Classification(
                class_name=str(metadata["class-name"]),
                attribute=key.removesuffix(METADATA),
                type=_text(metadata.get("type")),
                created=_text(metadata.get("creation-date")),
                defect=_text(metadata.get(DEFECT)) or "",
            )


def _references(found: Mapping[str, Any]) -> Iterator[Reference]:
    for key, value in found.items():
        if key.endswith(REFERENCE + METADATA) and isinstance(value, dict):
            attribute = key.removesuffix(METADATA)
            if attribute in found:
                colours = value.get("internal-color-map")
                yield Reference(
                    address=_address(found[attribute]),
                    colours=tuple(_colours(colours)) if isinstance(colours, dict) else None,
                    attribute=attribute,
                    created=_text(value.get("creation-date")),
                )
        elif (
            key.endswith(REFERENCE)
            and key != SOURCE
            and not isinstance(found.get(key + METADATA), dict)
        ):
            yield Reference(_address(value), None, attribute=key, is_described=False)


def _colours(colours: Mapping[str, Any]) -> Iterator[MapColour]:
    for number, entry in colours.items():
        facts = entry if isinstance(entry, dict) else {}
        confidence = facts.get("confidence")
        yield MapColour(
            number=number,
            class_name=str(facts.get("class-name", "")),
            colour=str(facts.get("hex-color", "")),
            confidence=confidence if isinstance(confidence, int | float) else None,
        )


def _address(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def write_line(line: Line) -> str:
    """Return the JSON line, without its end, in the documented order and without blanks.

    Raises:
        ValueError: The line has no image.
    """
    if not line.image:
        raise ValueError("a line of a manifest needs an image")
    entry: dict[str, object] = {SOURCE: line.image}
    for label in line.classifications:
        entry[label.attribute] = 1 if label.class_name == "anomaly" else 0
        entry[label.attribute + METADATA] = {
            "confidence": 1,
            "class-name": label.class_name,
            "human-annotated": "yes",
            **_dated(label.created),
            **({} if label.type is None else {"type": label.type}),
            **({DEFECT: label.defect} if label.defect else {}),
        }
    for mask in line.references:
        if mask.attribute != SOURCE:
            entry[mask.attribute] = mask.address
        if not mask.is_described:
            continue
        entry[mask.attribute + METADATA] = {
            **({} if mask.colours is None else {"internal-color-map": _colour_map(mask.colours)}),
            "type": SEGMENTATION,
            "human-annotated": "yes",
            **_dated(mask.created),
        }
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def _dated(created: str | None) -> dict[str, str]:
    return {} if created is None else {"creation-date": created}


def _colour_map(colours: tuple[MapColour, ...]) -> dict[str, dict[str, object]]:
    return {
        each.number: {
            "class-name": each.class_name,
            "hex-color": each.colour,
            **({} if each.confidence is None else {"confidence": each.confidence}),
        }
        for each in colours
    }


def mask_reference(
    address: str, classes: Mapping[str, str], created: str | None = None
) -> Reference:
    """Return the reference to a mask as the guide documents it: the background is number 0.

    Args:
        address: The mask's ``s3://`` address.
        classes: The colours, ``#RRGGBB``, by anomaly type.
        created: See `Reference`.
    """
    rows = [(BACKGROUND_CLASS, BACKGROUND_COLOUR), *sorted(classes.items())]
    colours = tuple(MapColour(str(number), *row) for number, row in enumerate(rows))
    return Reference(address, colours, created=created)


def creation_date(moment: datetime) -> str:
    """Return a moment as the guide spells it: ISO 8601 in UTC, milliseconds, without a zone.

    One without a zone is in UTC already.

    Raises:
        OverflowError: It is in no year that can be written in UTC.
    """
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds")
