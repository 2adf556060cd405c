"""What annotation tools export: COCO, Pascal VOC, YOLO, LabelMe, Label Studio and CVAT.

Readers of our own rather than a library: datumaro, which reads them all, brings OpenCV, pandas and
some thirty other packages, decodes images itself, and passes over in silence what it does not
understand; each reader here is a page, bounded, and names the file and the place of what is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.dataset.annotations.regions import AnnotatedImage, AnnotationError, Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FORMATS", "AnnotatedImage", "AnnotationError", "Region", "guess_format", "read"]

# By the word that `sources.annotations.format` takes: the endings of the files that belong to it.
FORMATS: dict[str, tuple[str, ...]] = {
    "coco": (".json",),
    "pascal-voc": (".xml",),
    "yolo": (".txt", ".yaml", ".yml", ".names"),
    "labelme": (".json",),
    "label-studio": (".json",),
    "cvat": (".xml",),
}


def read(format_: str, files: Mapping[str, bytes]) -> list[AnnotatedImage]:
    """Return what a tool said of each image.

    Lines and points count where nothing else is marked in an image: it has a defect then, and no
    mask of it.

    Args:
        format_: One of `FORMATS`.
        files: The files of annotations by name, those of other endings left out.

    Raises:
        AnnotationError: A file cannot be used.
    """
    images = _reader(format_)(files)
    return [
        replace(_without_lines(each), overruled=tuple(map(_without_lines, each.overruled)))
        for each in images
    ]


def _without_lines(image: AnnotatedImage) -> AnnotatedImage:
    areas = tuple(region for region in image.regions if region.areas)
    return replace(image, regions=areas) if areas else image


def _reader(format_: str) -> Callable[[Mapping[str, bytes]], list[AnnotatedImage]]:
    from importlib import import_module

    module = import_module(f"{__name__}.{format_.replace('-', '_')}")
    reader: Callable[[Mapping[str, bytes]], list[AnnotatedImage]] = module.read
    return reader


def guess_format(name: str, data: bytes) -> str:
    """Return the format that a file of annotations is of, by its name and beginning; "" if none."""
    import json

    name = name.lower()
    if name.endswith(".xml"):
        head = data[:4096]
        return "cvat" if b"<annotations" in head else "pascal-voc" if b"<annotation" in head else ""
    if name.endswith(".json"):
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return ""
        if isinstance(document, dict):
            if {"images", "categories"} <= document.keys():
                return "coco"
            return "labelme" if "shapes" in document else ""
        first = document[0] if isinstance(document, list) and document else None
        return "label-studio" if isinstance(first, dict) and "data" in first else ""
    if name.endswith((".yaml", ".yml")) and b"names:" in data:
        return "yolo"
    if name.endswith(".txt"):
        words = data.split(b"\n", 1)[0].split()
        is_label = len(words) >= 5 and words[0].isdigit()
        return (
            "yolo" if is_label and all(w.replace(b".", b"", 1).isdigit() for w in words[1:]) else ""
        )
    return ""
