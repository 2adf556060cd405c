"""YOLO's labels: a text file an image, a line a box or polygon, in fractions of the image's sides.

``0 0.5 0.5 0.2 0.1`` is class, centre x and y, width, height; ``0 0.1 0.1 0.2 0.1 0.2 0.3`` is
class and corners. The classes' names stand in ``data.yaml`` (a list or a mapping under
``names``), or a line each in ``classes.txt`` or ``obj.names``. An empty file is an image without
defects.
Format: https://docs.ultralytics.com/datasets/detect/ and …/segment/.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import yaml

from lfvpipe.dataset.annotations.fields import check_number
from lfvpipe.dataset.annotations.regions import (
    AnnotatedImage,
    AnnotationError,
    Point,
    Polygon,
    Region,
    pairs,
    rectangle,
    split_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASS_FILES = ("classes.txt", "obj.names", "names.txt")
_OTHER_TEXTS = frozenset(
    {*CLASS_FILES, "train.txt", "val.txt", "valid.txt", "test.txt", "notes.txt", "license.txt"}
)


def read(files: Mapping[str, bytes]) -> list[AnnotatedImage]:
    """Return an image, named without its ending, for each label file.

    Raises:
        AnnotationError: A line is no label, or its class has no name.
    """
    names = _class_names(files)
    return [
        _read_file(name, data, names)
        for name, data in files.items()
        if name.lower().endswith(".txt") and not _is_other_text(PurePosixPath(name).name.lower())
    ]


def _is_other_text(name: str) -> bool:
    """Tell a text about the data from labels: Roboflow writes ``README.roboflow.txt``, too."""
    return name in _OTHER_TEXTS or name.split(".", maxsplit=1)[0] == "readme"


def _class_names(files: Mapping[str, bytes]) -> dict[int, str]:
    for name, data in files.items():
        path = PurePosixPath(name.lower())
        if path.suffix in (".yaml", ".yml"):
            try:
                document = yaml.safe_load(data)
            except (yaml.YAMLError, RecursionError) as error:
                raise AnnotationError(f"{name}: this is not YAML.") from error
            found = document.get("names") if isinstance(document, dict) else None
            if isinstance(found, list):
                return {at: str(each) for at, each in enumerate(found)}
            if isinstance(found, dict):
                return {int(at): str(each) for at, each in found.items() if str(at).isdecimal()}
        elif path.name in CLASS_FILES:
            return dict(enumerate(data.decode(errors="replace").split("\n")))
    return {}


def _read_file(name: str, data: bytes, names: Mapping[int, str]) -> AnnotatedImage:
    regions = []
    for line_number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{name}:{line_number}"
        kind, points = _parse(line, where)
        if names and not names.get(kind, "").strip():
            raise AnnotationError(
                f"{where}: the class {kind} has no name.", hint="Name it in data.yaml."
            )
        regions.append(Region(names.get(kind, f"class{kind}").strip(), (Polygon(points, True),)))
    path = PurePosixPath(name)
    # Labels lie in labels/ beside images/, once for all or once in each split's folder; or the
    # folder of the images is called as somebody liked.
    image = PurePosixPath(*("images" if part == "labels" else part for part in path.parts))
    below = path.parts[path.parts.index("labels") + 1 :] if "labels" in path.parts else ()
    return AnnotatedImage(
        name=image.with_suffix("").as_posix(),
        other_names=(PurePosixPath(*below).with_suffix("").as_posix(),) if below else (),
        regions=tuple(regions),
        split=split_of(name),
        where=name,
        file=name,
    )


def _parse(line: str, where: str) -> tuple[int, tuple[Point, ...]]:
    try:
        kind, *numbers = line.split()
        values = [check_number(float(each), where) for each in numbers]
        class_number = int(kind)
    except ValueError:
        raise AnnotationError(
            f"{where}: is no label: a class number and fractions are expected.",
            hint="Name only folders of YOLO labels, or export them again.",
        ) from None
    if len(values) in (4, 5):  # a fifth is the confidence of a prediction
        x, y, width, height = values[:4]
        corners = rectangle(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return class_number, pairs([each for corner in corners for each in corner], where)
    return class_number, pairs(values, where)
