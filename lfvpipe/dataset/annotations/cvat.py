"""CVAT's "for images 1.1": one XML file with boxes, polygons, ellipses, masks and tags of images.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.dataset.annotations.fields import parse_number, parse_xml
from lfvpipe.dataset.annotations.regions import (
    AnnotatedImage,
    AnnotationError,
    Polygon,
    Region,
    Runs,
    check_runs,
    ellipse,
    pairs,
    rectangle,
    turn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

_WITHOUT_AREA = frozenset({"points", "polyline", "skeleton", "cuboid"})


def read(files: Mapping[str, bytes]) -> list[AnnotatedImage]:
    """Return the images of all the XML files.

    Raises:
        AnnotationError: A file is none of CVAT's, or is one for video.
    """
    images = []
    for name, data in files.items():
        root = parse_xml(name, data)
        if root.tag != "annotations":
            raise AnnotationError(f"{name}: is XML, but none of CVAT's.")
        if root.find("track") is not None:
            raise AnnotationError(
                f"{name}: is CVAT for video, whose frames are no files.",
                hint="Export the task as CVAT for images 1.1.",
            )
        images += [
            _read_image(each, name, f"{name}: image {at}")
            for at, each in enumerate(root.iter("image"))
        ]
    return images


def _read_image(element: Element, file: str, where: str) -> AnnotatedImage:
    regions = []
    for child in element:
        if child.tag in _WITHOUT_AREA:
            regions.append(Region(child.get("label", "")))
        elif child.tag != "tag":
            area = _area(child, f"{where}: {child.tag}")
            regions.append(Region(child.get("label", ""), (area,)))
    name = element.get("name", "")
    if not name:
        raise AnnotationError(f"{where}: has no name.")
    return AnnotatedImage(
        name=name,
        regions=tuple(regions),
        classes=tuple(tag.get("label", "") for tag in element.iter("tag")),
        split=element.get("subset", ""),
        width=int(parse_number(element.get("width"), where)),
        height=int(parse_number(element.get("height"), where)),
        where=where,
        file=file,
    )


def _area(element: Element, where: str) -> Polygon | Runs:
    def read_number(key: str) -> float:
        return parse_number(element.get(key), where)

    degrees = parse_number(element.get("rotation", "0"), where)
    if element.tag == "box":
        left, top, right, bottom = map(read_number, ("xtl", "ytl", "xbr", "ybr"))
        corners = rectangle(left, top, right, bottom)
        return Polygon(turn(corners, degrees, ((left + right) / 2, (top + bottom) / 2)))
    if element.tag == "ellipse":
        x, y, radius_x, radius_y = map(read_number, ("cx", "cy", "rx", "ry"))
        return Polygon(ellipse((x, y), radius_x, radius_y, degrees))
    if element.tag == "polygon":
        flat = [
            parse_number(each, where)
            for point in element.get("points", "").split(";")
            for each in point.split(",")
        ]
        return Polygon(pairs(flat, where))
    if element.tag == "mask":
        left, top, width, height = (
            int(read_number(key)) for key in ("left", "top", "width", "height")
        )
        counts = tuple(int(parse_number(each, where)) for each in element.get("rle", "").split(","))
        return check_runs(Runs(counts, width, height, left=left, top=top), where)
    raise AnnotationError(f"{where}: this shape is not known here.", hint="Export it as a polygon.")
