"""Gives a line another label, and leaves all else of it as its author wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.manifest.labels import is_label
from lfvpipe.manifest.lines import (
    DEFECT,
    METADATA,
    Classification,
    Line,
    LineError,
    Reference,
    read_line,
    read_object,
    write_line,
)

if TYPE_CHECKING:
    from lfvpipe.config.spec import Label


@dataclass(frozen=True)
class NewLabel:
    """What a person calls an image.

    Attributes:
        label: None takes the image's label away.
        created: The moment, as `creation_date` spells it.
        defect: The type of an anomaly; "" where that is not said.
    """

    label: Label | None
    created: str
    defect: str = ""


def relabel(text: str, new: NewLabel) -> str:
    """Return a line whose image is called what `new` says.

    The labels that the line has go, whatever their attributes are called; what is no label stays,
    unknown attributes as well. A normal image has no defect to mark, so that its masks go too.

    Raises:
        LineError: It is no line, or names no image.
    """
    found, line = read_object(text), read_line(text)
    if not line.image:
        raise LineError("has no source-ref")
    gone = [each.attribute for each in line.classifications if is_label(each)]
    if new.label == "normal":
        gone += [mask.attribute for mask in line.masks]
    for name in gone:
        found.pop(name, None)
        found.pop(name + METADATA, None)
    if new.label is not None:
        label = Classification(new.label, created=new.created, defect=new.defect)
        found |= read_object(write_line(Line(line.image, (label,))))
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def mark(text: str, new: NewLabel, mask: Reference | None) -> str:
    """Return a line whose image is called what `new` says, and has this mask in place of others.

    Args:
        text: The line.
        new: What the image is called; its type is the mask's to tell.
        mask: None takes the masks away.

    Raises:
        LineError: It is no line, or names no image.
    """
    return remask(relabel(text, new), mask)


def remask(text: str, mask: Reference | None) -> str:
    """Return a line whose image has this mask in place of others, and is called what it was.

    Args:
        text: The line.
        mask: None takes the masks away.

    Raises:
        LineError: It is no line, or names no image.
    """
    found, line = read_object(text), read_line(text)
    for each in line.masks:
        found.pop(each.attribute, None)
        found.pop(each.attribute + METADATA, None)
    if mask is not None:
        found |= read_object(write_line(Line(line.image, (), (mask,))))
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def rename_type(text: str, old: str, new: str) -> str:
    """Return a line with an anomaly type called otherwise: of its label, and of its masks' colours.

    Raises:
        LineError: It is no line, or a mask of its has both types, each with a colour of its own.
    """
    found, line = read_object(text), read_line(text)
    for label in line.classifications:
        if is_label(label) and label.defect == old:
            found[label.attribute + METADATA][DEFECT] = new
    for mask in line.masks:
        names = [each.class_name.strip() for each in mask.colours or ()]
        if old not in names:
            continue
        if new in names:
            raise LineError(f"has a mask with both {old} and {new}, in two colours")
        colours = found[mask.attribute + METADATA]["internal-color-map"]
        for entry in colours.values():
            if str(entry.get("class-name", "")).strip() == old:
                entry["class-name"] = new
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))
