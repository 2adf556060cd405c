"""Sources that cannot be right: refused with what is wrong, where, and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lfvpipe.cli.main import main
from tests.end_to_end import layouts
from tests.end_to_end.layouts import HALF, Folder, picture, pictures, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def table(text: str) -> Callable[[], Folder]:
    return lambda: {"labels.csv": text.encode(), **pictures("photos/{}.png", 5)}


def annotated(document: object) -> Callable[[], Folder]:
    def make() -> Folder:
        text = document if isinstance(document, str) else json.dumps(document)
        return {"a.json": text.encode(), **layouts.pictures("photos/{}.png", 40)}

    return make


def coco_of_another_size() -> Folder:
    files = dict(layouts.coco())
    document = files["instances.json"]
    assert isinstance(document, bytes)
    return files | {"instances.json": document.replace(b'"width": 64', b'"width": 640')}


def overlapping() -> Folder:
    return {"all.zip": pictures("{}.png", 5)}


def strange_masks() -> Folder:
    return layouts.two_zips() | {"masks.zip": {"x1.png": layouts.mask()}}


def web_page() -> Folder:
    return {"good.zip": b"<!doctype html><title>Sign in</title>", "bad.zip": pictures("{}.png", 3)}


def seven_zip() -> Folder:
    return {"good.zip": b"7z\xbc\xaf'\x1c" + b"\0" * 50, "bad.zip": {"1.png": picture("1")}}


TABLE = "sources: {table: {file: labels.csv, archive: photos}}\n"
COCO = "sources: {annotations: {format: coco, file: a.json, archive: photos}}\n"

LISTS = (
    "sources: {normal: {archive: set/good}, anomaly: {archive: set/bad}}\n"
    "split: {from: {train: {file: set/train.txt}, test: {file: set/test.txt}}}\n"
)

REFUSED: dict[str, tuple[Callable[[], Folder], str, str]] = {
    "no column of names": (table("x,label\n000.png,ok\n"), TABLE, "names no column `path`"),
    "an image twice": (
        table("path,label\n000.png,ok\n000.png,ng\n"),
        TABLE,
        "labels.csv:3: 000.png is listed a second time",
    ),
    "an unknown label": (
        table("path,label\n000.png,2\n"),
        TABLE,
        "labels.csv:2: the label 2 is neither normal nor anomaly",
    ),
    "an unknown split": (
        table("path,label,split\n000.png,ok,holdout\n"),
        TABLE,
        "labels.csv:2: the split holdout is neither train nor test",
    ),
    "a path out of the folder": (
        table("path,label\n../000.png,ok\n"),
        TABLE,
        "leads out of the folder",
    ),
    "images that are elsewhere": (
        table("path,label\nmissing.png,ok\n"),
        TABLE,
        "none of the images that it lists is in",
    ),
    "a split without test images": (
        table("path,label,split\n000.png,ok,train\n001.png,ng,train\n"),
        f"{TABLE}split: {{from: source}}\n",
        "no image is in test; 2 are in train and 0 in test",
    ),
    "another layout": (
        layouts.two_zips,
        "sources: {layout: {name: dagm, archive: good.zip}}\n",
        "Nothing in the archive is laid out as dagm is",
    ),
    "annotations that are cut off": (
        annotated('{"images": ['),
        COCO,
        "a.json:1:13: this is not JSON",
    ),
    "annotations of another tool": (annotated({"shapes": []}), COCO, "a.json: has no images"),
    "annotations of no image here": (
        annotated({"images": [{"id": 1, "file_name": "z.png"}], "categories": []}),
        COCO,
        "none of the images that it lists is in",
    ),
    "annotations of another size": (
        coco_of_another_size,
        COCO.replace("a.json", "instances.json") + HALF,
        "was annotated at 640 x 64 pixels",
    ),
    "no annotations": (
        overlapping,
        "sources: {annotations: {format: yolo, archive: all.zip}}\n",
        "there is no file of yolo annotations",
    ),
    "one image of both labels": (
        overlapping,
        "sources: {normal: {archive: all.zip}, anomaly: {archive: all.zip, include: '00*'}}\n",
        "5 images, such as 000.png, are included as anomaly and normal",
    ),
    "masks of something else": (
        strange_masks,
        "sources: {normal: {archive: good.zip}, anomaly: {archive: bad.zip, masks: masks.zip}}\n",
        "none of the 1 masks in",
    ),
    "everything excluded": (
        layouts.two_zips,
        "sources: {normal: {archive: good.zip, exclude: '*.png'}, anomaly: {archive: bad.zip}}\n",
        "and not *.png",
    ),
    "a glob that matches nothing": (
        layouts.two_zips,
        "sources: {normal: {archive: 'mon*.zip'}, anomaly: {archive: bad.zip}}\n",
        "mon*.zip does not exist",
    ),
    "an own split with an image in both": (
        layouts.two_zips,
        f"sources: {layouts.BOTH}\nsplit: {{from: {{train: '*', test: '*5.png'}}}}\n",
        "is in train and in test",
    ),
    "an image in both lists": (
        lambda: layouts.own_split_in_files() | {"set/test.txt": b"102\n001.png\n"},
        LISTS,
        "normal/001.png is in train and in test (train.txt:1 and test.txt:2)",
    ),
    "a list that is not there": (
        lambda: layouts.own_split_in_files() | {"set/test.txt": {}},
        LISTS.replace("set/test.txt", "set/validation.txt"),
        "validation.txt cannot be read (No such file or directory)",
    ),
    "groups that no name has": (
        layouts.two_zips,
        f"sources: {layouts.BOTH}\nsplit: {{train: 50, test: 50, group: 'part_([0-9]+)'}}\n",
        "is found in the name of no image",
    ),
    "a web page for an archive": (web_page, f"sources: {layouts.BOTH}\n", "is a web page"),
    "a 7-Zip archive": (seven_zip, f"sources: {layouts.BOTH}\n", "is a 7-Zip archive"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_with_its_reason(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, declared, said = REFUSED[name]
    write(tmp_path, files())
    file = tmp_path / "pipeline.yaml"
    file.write_text(declared)
    assert main(["run", str(file), "--until", "check"]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert "bug in lfvpipe" not in told
