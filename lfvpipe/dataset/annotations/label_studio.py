"""Label Studio's JSON export: a list of tasks, each an image with the results of its annotations.

Format: https://labelstud.io/guide/export. Coordinates are per cent of the image's sides, turned
clockwise about the upper left corner. Cancelled annotations do not count; of several the newest
does, and the last where dates do not tell.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from lfvpipe.dataset.annotations.fields import Node, parse_json
from lfvpipe.dataset.annotations.regions import (
    AnnotatedImage,
    AnnotationError,
    Polygon,
    Region,
    ellipse,
    pairs,
    rectangle,
    turn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_IMAGE_KEYS = ("image", "img", "photo", "url")
_LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")


def read(files: Mapping[str, bytes]) -> list[AnnotatedImage]:
    """Return the images of all tasks that somebody has done.

    Raises:
        AnnotationError: A file is no export of Label Studio's, or a result is a brush's.
    """
    images = []
    for name, data in files.items():
        document = parse_json(name, data)
        if not isinstance(document.value, list):
            raise AnnotationError(
                f"{name}: is no list of tasks.", hint="Export as JSON, not as JSON-MIN."
            )
        tasks = (_read_task(task, name) for task in document.items())
        images += [image for image in tasks if image is not None]
    return images


def _read_task(task: Node, file: str) -> AnnotatedImage | None:
    """Return what was said of an image; None where nobody has looked at it, or it was skipped."""
    data = task.at("data")
    key = next((key for key in _IMAGE_KEYS if data.has(key)), "")
    address = data.text(key or "image")
    annotations = list(task.items("annotations")) if task.has("annotations") else []
    done = [
        each
        for each in annotations
        if not (each.has("was_cancelled") and each.at("was_cancelled").value)
    ]
    if not done:
        return None
    name, *others = _paths(address)
    said = [
        AnnotatedImage(
            name,
            *_read_results(each),
            where=task.where,
            file=file,
            other_names=tuple(others),
        )
        for each in sorted(done, key=_date)
    ]
    return replace(said[-1], overruled=tuple(said[:-1]))


def _date(annotation: Node) -> datetime:
    """Return when an annotation was made or last changed; long ago where it does not say."""
    for key in ("updated_at", "created_at"):
        if annotation.has(key) and isinstance(text := annotation.at(key).value, str):
            try:
                date = datetime.fromisoformat(text)
            except ValueError:
                continue
            return date if date.tzinfo else date.replace(tzinfo=UTC)
    return datetime.min.replace(tzinfo=UTC)


def _read_results(annotation: Node) -> tuple[tuple[Region, ...], tuple[str, ...]]:
    """Return what an annotation marks, and what it calls the image as a whole."""
    regions: list[Region] = []
    classes: list[str] = []
    for result in annotation.items("result"):
        if not result.has("value"):  # a relation between two others
            continue
        value = result.at("value")
        if value.has("brushlabels"):
            raise AnnotationError(
                f"{value.where}: was painted with the brush, whose form is Label Studio's own.",
                hint="Export as COCO with masks instead.",
            )
        if value.has("choices"):
            classes += [choice.text() for choice in value.items("choices")]
        for labels in _LABELS:
            if value.has(labels):
                types = [label.text() for label in value.items(labels)]
                regions += [Region(type_, (_area(result),)) for type_ in types[:1]]
        if value.has("keypointlabels"):
            regions += [Region(label.text()) for label in value.items("keypointlabels")]
    return tuple(regions), tuple(classes)


def _area(result: Node) -> Polygon:
    value = result.at("value")
    if value.has("points"):
        flat = [each / 100 for point in value.items("points") for each in point.numbers(count=2)]
        return Polygon(pairs(flat, value.where), relative=True)
    # Angles are angles in pixels: a turned box is turned before it is brought to fractions.
    width = max(result.number("original_width"), 1.0) if result.has("original_width") else 1.0
    height = max(result.number("original_height"), 1.0) if result.has("original_height") else 1.0
    x, y = value.number("x") / 100 * width, value.number("y") / 100 * height
    degrees = value.number("rotation") if value.has("rotation") else 0.0
    if value.has("radiusX"):
        radius_x = value.number("radiusX") / 100 * width
        radius_y = value.number("radiusY") / 100 * height
        corners = ellipse((x, y), radius_x, radius_y, degrees)
    else:
        right = x + value.number("width") / 100 * width
        bottom = y + value.number("height") / 100 * height
        corners = turn(rectangle(x, y, right, bottom), degrees, (x, y))
    return Polygon(tuple((left / width, top / height) for left, top in corners), relative=True)


def _paths(address: str) -> list[str]:
    """Return the image's path, and what it may be instead.

    Local files are served as ``/data/local-files/?d=PATH``.
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # a broken address of IPv6: a file that is called so
        return [address]
    local = parse_qs(parts.query).get("d")
    path = unquote(local[0] if local else parts.path).lstrip("/")
    # An upload is ``data/upload/PROJECT/8-hex-digits-NAME``.
    if path.startswith("data/upload/"):
        folder, _, name = path.rpartition("/")
        digits, dash, rest = name.partition("-")
        if dash and len(digits) == 8 and set(digits) <= set("0123456789abcdef"):
            return [rest, name]  # as it was called before, and as it lies in the upload's folder
        return [name or folder]
    return [path]
