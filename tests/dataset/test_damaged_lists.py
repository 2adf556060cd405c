"""Tables, exports of annotation tools and lists of names, damaged: told by file and place, or read.

A quarter of the mutations that `tests/mutations.py` says for each form.
"""

from __future__ import annotations

import base64
import io
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lfvpipe.dataset.annotations import AnnotationError, guess_format, masks, read
from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.listing import ListingError, read_table
from lfvpipe.dataset.naming import NameFinder, match_rows
from lfvpipe.dataset.split_lists import read_names
from tests.dataset.test_annotations import EXPORTS, SIZE
from tests.dataset.test_listing import TABLES
from tests.mutations import MUTATIONS, mutate

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ["a.png", "b.png", "photos/a.png", "photos/b.png", "masks/b.png"]
MASK = io.BytesIO()
Image.new("L", (4, 4), 255).save(MASK, "PNG")
# Shapes that the examples of the readers' tests lack.
MORE: dict[str, Mapping[str, bytes]] = {
    "coco": {
        "a.json": json.dumps(
            {
                "images": [{"id": "x", "file_name": "a.png"}],
                "categories": [{"id": 1, "name": "dent"}],
                "annotations": [
                    {"image_id": "x", "category_id": 1, "bbox": [1, 2, 3, 4],
                     "segmentation": {"size": [30, 40], "counts": [100, 20, 1080]}},
                    {"image_id": "x", "category_id": 1, "segmentation": [[1, 2, 9, 2, 9, 9]]},
                ],
            }
        ).encode()
    },
    "pascal-voc": {
        "a.xml": b"<annotation><filename>a.png</filename><object><name>dent</name><polygon>"
        b"<x1>1</x1><y1>1</y1><x2>9</x2><y2>1</y2><x3>9</x3><y3>9</y3></polygon></object></annotation>"
    },
    "labelme": {
        "a.json": json.dumps(
            {
                "imagePath": "a.png",
                "flags": {"good": True},
                "shapes": [
                    {"label": "s", "shape_type": "circle", "points": [[5, 5], [8, 8]]},
                    {"label": "s", "points": [[1, 1], [9, 1], [9, 9]]},
                    {"label": "s", "shape_type": "mask", "points": [[1, 1], [4, 4]],
                     "mask": base64.b64encode(MASK.getvalue()).decode()},
                ],
            }
        ).encode()
    },
    "cvat": {
        "a.xml": b'<annotations><image name="a.png" width="40" height="30"><polygon label="s"'
        b' points="1,1;9,1;9,9"/><ellipse label="s" cx="9" cy="9" rx="3" ry="2" rotation="30"/>'
        b'<mask label="s" rle="4, 4" left="1" top="1" width="2" height="4"/></image></annotations>'
    },
    "yolo": {
        "data.yaml": b"names: {0: a, 1: b}\n",
        "classes.txt": b"a\nb\n",
        "labels/a.txt": b"0 0.1 0.1 0.2 0.1 0.2 0.3\n1 0.5 0.5 0.2 0.1 0.9\n",
    },
}  # fmt: skip


def exported() -> list[tuple[str, str, Mapping[str, bytes]]]:
    """Return each file of each export with the others of its export."""
    return [
        (format_, name, files)
        for exports in (EXPORTS, MORE)
        for format_, files in exports.items()
        for name in files
    ]


@pytest.mark.parametrize("format_", EXPORTS)
def test_damaged_annotations_are_told_with_their_file(format_: str) -> None:
    files = [(name, whole) for each, name, whole in exported() if each == format_]
    refused: list[str] = []
    count = MUTATIONS // 4
    for name, whole in files:
        for data in mutate([whole[name]], count // len(files) + 1, texts=True):
            guess_format(name, data)
            try:
                for image in read(format_, {**whole, name: data}):
                    types = {region.type for region in image.regions}
                    masks.draw(image, SIZE, dict.fromkeys(types, "#010203"))
            except AnnotationError as error:
                refused.append(error.message)
    assert refused
    names = [name for name, _ in files]
    unnamed = [said for said in refused if not any(name in said for name in names)]
    assert unnamed == []
    assert [said for said in refused if not said.endswith(".")] == []


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "labels.jsonl", "labels.json"])
def test_damaged_tables_are_told_with_their_line(name: str) -> None:
    texts = [text for each, text in TABLES if each == name]
    if name == "labels.json":  # arrays of what others have a line each
        lines = [text.strip().splitlines() for each, text in TABLES if each == "labels.jsonl"]
        texts = [f"[{', '.join(each)}]" for each in lines]
    whole = [text.encode(each) for text in texts for each in ("utf-8", "cp1252", "utf-16")]
    finder = NameFinder(NAMES)
    refused: list[str] = []
    for data in mutate(whole, MUTATIONS // 4, texts=True):
        try:
            match_rows(read_table(name, data).rows, finder)
        except (ListingError, SelectionError) as error:
            refused.append(error.message)
    assert refused
    about_all = r"lists no image|no key is|no image is called good|no column says"
    place = re.compile(rf"{re.escape(name)}(:\d+|: ({about_all}))")
    assert [said for said in refused if not place.match(said)] == []


def test_damaged_lists_of_names_are_read() -> None:
    whole = ["\ufeffa.png\r\nphotos\\b.png\n".encode(), b"# list\na 1\nb -1\n"]
    finder = NameFinder(NAMES)
    for data in mutate(whole, MUTATIONS // 4, texts=True):
        with suppress(ListingError, SelectionError):
            for where, name in read_names("train.txt", data):
                assert re.fullmatch(r"train\.txt:\d+", where)
                finder.find(name, where)
