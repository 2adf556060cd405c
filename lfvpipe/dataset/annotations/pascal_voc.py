"""Pascal VOC's annotations: an XML file an image, with boxes and, by some tools, polygons.

Format: the VOC2012 development kit; polygons as CVAT, Roboflow and labelImg's forks write them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.annotations.fields import parse_number, parse_xml
from lfvpipe.dataset.annotations.regions import (
    AnnotatedImage,
    AnnotationError,
    Polygon,
    Region,
    pairs,
    rectangle,
    split_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read(files: Mapping[str, bytes]) -> list[AnnotatedImage]:
    """Return an image for each XML file.

    Raises:
        AnnotationError: A file is none of Pascal VOC's.
    """
    return [_read_file(name, data) for name, data in files.items()]


def _read_file(name: str, data: bytes) -> AnnotatedImage:
    root = parse_xml(name, data)
    if root.tag != "annotation":
        raise AnnotationError(f"{name}: is XML, but no annotation of Pascal VOC.")
    regions = [
        _region(each, f"{name}: object {at}") for at, each in enumerate(root.iter("object"), 1)
    ]
    width, height = root.findtext("size/width"), root.findtext("size/height")
    own = PurePosixPath(name).stem
    return AnnotatedImage(
        # Some tools leave the image's ending out, or the name altogether; and whoever renames
        # images renames these files with them, not what stands in them.
        name=(root.findtext("filename") or "").strip() or own,
        regions=tuple(regions),
        width=int(parse_number(width, name)) if width else None,
        height=int(parse_number(height, name)) if height else None,
        where=name,
        split=split_of(name),
        file=name,
        other_names=(own,),
    )


def _region(element: Element, where: str) -> Region:
    polygon, box = element.find("polygon"), element.find("bndbox")
    if polygon is not None and len(polygon):
        # x1, y1, x2, y2, …, in whatever order the tool wrote the elements.
        corners = {child.tag: parse_number(child.text, where) for child in polygon}
        count = sum(tag.startswith("x") for tag in corners)
        keys = [f"{axis}{at}" for at in range(1, count + 1) for axis in "xy"]
        if not corners.keys() >= set(keys):
            raise AnnotationError(f"{where}: its polygon lacks a corner's coordinate.")
        points = pairs([corners[key] for key in keys], where)
    elif box is not None:
        points = rectangle(*(parse_number(box.findtext(side), where) for side in _SIDES))
    else:
        raise AnnotationError(f"{where}: has neither a box nor a polygon.")
    return Region((element.findtext("name") or "").strip(), (Polygon(points),))
