"""LabelMe's annotations: a JSON file an image, with shapes in pixels.

Format: https://github.com/wkentaro/labelme. Lines and points mark a defect without an area;
`flags` that are set are what the image as a whole was called.
"""

from __future__ import annotations

import base64
import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe import images
from lfvpipe.dataset.annotations.fields import Node, parse_json
from lfvpipe.dataset.annotations.regions import (
    AnnotatedImage,
    AnnotationError,
    Point,
    Polygon,
    Region,
    Runs,
    check_runs,
    ellipse,
    pairs,
    rectangle,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_WITHOUT_AREA = frozenset({"point", "line", "linestrip", "points"})


def read(files: Mapping[str, bytes]) -> list[AnnotatedImage]:
    """Return an image for each JSON file.

    Raises:
        AnnotationError: A file is none of LabelMe's.
    """
    return [_read_file(name, data) for name, data in files.items()]


def _read_file(name: str, data: bytes) -> AnnotatedImage:
    document = parse_json(name, data)
    regions = [
        Region(
            shape.text("label"),
            () if _kind(shape) in _WITHOUT_AREA else (_area(shape),),
        )
        for shape in document.items("shapes")
    ]
    flags = document.at("flags").value if document.has("flags") else {}
    # A path of the machine that it was annotated on, often Windows; the name can be relied on.
    path = document.text("imagePath") if document.has("imagePath") else PurePosixPath(name).stem
    said = PurePosixPath(path.replace("\\", "/"))
    image = said.name
    # ``../images/001.png``: the folders above are those beside the annotations' own.
    folders = "/".join(part for part in said.parts if part != "..")
    return AnnotatedImage(
        name=(PurePosixPath(name).parent / image).as_posix(),
        regions=tuple(regions),
        classes=tuple(flag for flag in flags if flags[flag] is True)
        if isinstance(flags, dict)
        else (),
        width=document.integer("imageWidth") if document.has("imageWidth") else None,
        height=document.integer("imageHeight") if document.has("imageHeight") else None,
        where=name,
        file=name,
        other_names=(folders, image),
    )


def _kind(shape: Node) -> str:
    return shape.text("shape_type") if shape.has("shape_type") else "polygon"


def _area(shape: Node) -> Polygon | Runs:
    return _painted(shape) if _kind(shape) == "mask" else Polygon(_corners(shape))


def _painted(shape: Node) -> Runs:
    """Return what was painted with the brush or found by the tool: a PNG within two corners."""
    import numpy

    try:
        data = base64.b64decode(shape.text("mask"))
        marked = numpy.asarray(images.read_image(data).image.convert("L")) > 0
    except (ValueError, images.ImageError) as error:
        raise AnnotationError(
            f"{shape.where}: its mask is no PNG.", hint="Export the annotations again."
        ) from error
    corners = list(shape.items("points"))
    left, top = corners[0].numbers(count=2) if corners else (0.0, 0.0)
    flat = marked.ravel()
    changes = numpy.flatnonzero(numpy.diff(flat)) + 1
    counts = numpy.diff([0, *([] if not flat[0] else [0]), *changes, flat.size])
    height, width = marked.shape
    return check_runs(
        Runs(tuple(map(int, counts)), width, height, left=round(left), top=round(top)), shape.where
    )


def _corners(shape: Node) -> tuple[Point, ...]:
    kind = _kind(shape)
    points = [point.numbers(count=2) for point in shape.items("points")]
    if kind == "rectangle" and len(points) == 2:
        return rectangle(*points[0], *points[1])
    if kind == "circle" and len(points) == 2:  # its centre, and a point on it
        centre, on_it = points
        radius = math.dist(centre, on_it)
        return ellipse((centre[0], centre[1]), radius, radius)
    if kind not in ("polygon", "oriented_rectangle"):
        raise AnnotationError(
            f"{shape.where}: a {kind} of {len(points)} points is not known here.",
            hint="Export it as a polygon.",
        )
    return pairs([each for point in points for each in point], shape.where)
