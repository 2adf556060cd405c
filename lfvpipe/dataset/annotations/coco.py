"""COCO's object annotations: one JSON file with images, categories and annotations.

Format: https://cocodataset.org/#format-data. Segmentations are polygons, or run lengths as a list
or packed into text (the tools' `rleToString`); without one the box is the area. Ids are whole
numbers or, by some tools, texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from lfvpipe.dataset.annotations.fields import Node, parse_json
from lfvpipe.dataset.annotations.regions import (
    AnnotatedImage,
    AnnotationError,
    Polygon,
    Region,
    Runs,
    check_runs,
    pairs,
    rectangle,
    split_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(files: Mapping[str, bytes]) -> list[AnnotatedImage]:
    """Return the images of all the JSON files.

    ``instances_train2017.json`` names a split, too, and so does ``train/_annotations.coco.json``.

    Raises:
        AnnotationError: A file is none of COCO's, or contradicts itself.
    """
    return [image for name, data in files.items() for image in _read_file(name, data)]


def _read_file(name: str, data: bytes) -> list[AnnotatedImage]:
    document = parse_json(name, data)
    images = list(document.items("images"))
    types = {each.identifier("id"): each.text("name") for each in document.items("categories")}
    regions: dict[str, list[Region]] = {image.identifier("id"): [] for image in images}
    for each in document.items("annotations") if document.has("annotations") else ():
        owner, category = each.identifier("image_id"), each.identifier("category_id")
        if owner not in regions or category not in types:
            what = f"image {owner}" if owner not in regions else f"category {category}"
            raise AnnotationError(
                f"{each.where}: there is no {what}.", hint="Export the annotations again."
            )
        regions[owner].append(Region(types[category], _areas(each)))
    split = split_of(name, in_stem=True)
    return [
        AnnotatedImage(
            name=image.text("file_name"),
            regions=tuple(regions[image.identifier("id")]),
            split=split,
            width=image.integer("width") if image.has("width") else None,
            height=image.integer("height") if image.has("height") else None,
            where=image.where,
            file=name,
            other_names=(unquote(image.text("file_name")),),
        )
        for image in images
    ]


def _areas(annotation: Node) -> tuple[Polygon | Runs, ...]:
    if annotation.has("segmentation"):
        segmentation = annotation.at("segmentation")
        if isinstance(segmentation.value, dict):
            return (_runs(segmentation),)
        # Tools that simplify outlines leave some with two corners, or none: they cover nothing.
        outlines = [(each.numbers(), each.where) for each in segmentation.items()]
        polygons = [pairs(flat, where) for flat, where in outlines if len(flat) not in (0, 2, 4)]
        if polygons:
            return tuple(map(Polygon, polygons))
    left, top, width, height = annotation.numbers("bbox", 4)
    return (Polygon(rectangle(left, top, left + width, top + height)),)


def _runs(segmentation: Node) -> Runs:
    height, width = segmentation.numbers("size", 2)
    if isinstance(segmentation.at("counts").value, str):
        counts = unpack_counts(segmentation.text("counts"))
    else:
        counts = [int(count) for count in segmentation.numbers("counts")]
    runs = Runs(tuple(counts), int(width), int(height), by_columns=True)
    return check_runs(runs, segmentation.where)


def unpack_counts(text: str) -> list[int]:
    """Return the run lengths that COCO's `rleToString` packed.

    Each is a signed number of 5-bit groups, the lowest first, with bit 6 saying that more follow
    and the top bit of the last one the sign; from the third on it is the difference to the length
    two before (maskApi.c, P. Dollár and T.-Y. Lin).
    """
    counts: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        more = True
        while more and at < len(text):
            group = ord(text[at]) - 48
            value |= (group & 0x1F) << shift
            more = bool(group & 0x20)
            shift += 5
            at += 1
            if not more and group & 0x10:
                value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
