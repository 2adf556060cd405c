"""What annotation tools export is read as what was marked, and damage is named."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lfvpipe.dataset.annotations import (
    AnnotatedImage,
    AnnotationError,
    Region,
    guess_format,
    masks,
    read,
)
from lfvpipe.dataset.annotations.coco import unpack_counts
from lfvpipe.dataset.annotations.regions import Polygon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SIZE = (40, 30)
BOX = (10, 5, 20, 15)  # left, top, right, bottom: what every export below marks as a scratch

COCO = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
        {"id": 2, "file_name": "b.png", "width": 40, "height": 30},
    ],
    "categories": [{"id": 7, "name": "scratch"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 5, 10, 10], "segmentation": []}
    ],
}
VOC = """<annotation><filename>a.png</filename>
  <size><width>40</width><height>30</height><depth>3</depth></size>
  <object><name>scratch</name>
    <bndbox><xmin>10</xmin><ymin>5</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></object>
</annotation>"""
LABELME = {
    "imagePath": "..\\photos\\a.png",
    "imageWidth": 40,
    "imageHeight": 30,
    "shapes": [
        {"label": "scratch", "shape_type": "rectangle", "points": [[20, 15], [10, 5]]},
        {"label": "note", "shape_type": "point", "points": [[1, 1]]},
    ],
}
STUDIO: list[Any] = [
    {
        "data": {"image": "/data/upload/3/0a1b2c3d-a.png"},
        "annotations": [
            {"was_cancelled": True, "result": [{"value": {"choices": ["wrong"]}}]},
            {
                "result": [
                    {
                        "original_width": 40,
                        "original_height": 30,
                        "value": {
                            "x": 25,
                            "y": 100 * 5 / 30,
                            "width": 25,
                            "height": 100 / 3,
                            "rotation": 0,
                            "rectanglelabels": ["scratch"],
                        },
                    }
                ]
            },
        ],
    },
    {"data": {"image": "s3://bucket/b.png"}, "annotations": [{"result": []}]},
]
CVAT = """<annotations><version>1.1</version>
  <image id="0" name="a.png" subset="train" width="40" height="30">
    <box label="scratch" xtl="10" ytl="5" xbr="20" ybr="15"/>
    <polyline label="edge" points="0,0;4,4"/>
  </image>
  <image id="1" name="b.png" width="40" height="30"><tag label="good"/></image>
</annotations>"""
YOLO = {
    "data.yaml": b"names: [dent, scratch]\n",
    "train/labels/a.txt": b"1 0.375 0.333333333 0.25 0.333333333\n",
    "train/labels/b.txt": b"",
}

EXPORTS: dict[str, Mapping[str, bytes]] = {
    "coco": {"instances_train.json": json.dumps(COCO).encode()},
    "pascal-voc": {"a.xml": VOC.encode()},
    "labelme": {"a.json": json.dumps(LABELME).encode()},
    "label-studio": {"export.json": json.dumps(STUDIO).encode()},
    "cvat": {"annotations.xml": CVAT.encode()},
    "yolo": YOLO,
}


def pixels(image: AnnotatedImage, colours: Mapping[str, str]) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(masks.draw(image, SIZE, colours))))


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_marks_the_same_area(name: str) -> None:
    image = read(name, EXPORTS[name])[0]
    assert image.name.endswith("a") or image.name.endswith("a.png")
    assert {region.type for region in image.regions} == {"scratch"}
    found = pixels(image, {"scratch": "#010203"})
    marked = np.argwhere((found == (1, 2, 3)).all(axis=2))
    left, top, right, bottom = BOX
    assert abs(marked.min(axis=0) - (top, left)).max() <= 1
    assert abs(marked.max(axis=0) - (bottom, right)).max() <= 1
    unmarked = found[(found != (1, 2, 3)).any(axis=2)]
    assert (unmarked == 255).all()


@pytest.mark.parametrize("name", ["coco", "label-studio", "cvat", "yolo"])
def test_an_image_in_which_nothing_is_marked_is_there_without_regions(name: str) -> None:
    images = {image.name.rpartition("/")[2][:1]: image for image in read(name, EXPORTS[name])}
    assert images["b"].regions == ()


def test_what_the_image_as_a_whole_is_called_is_kept() -> None:
    images = read("cvat", EXPORTS["cvat"])
    assert [image.classes for image in images] == [(), ("good",)]


def test_published_splits_are_kept() -> None:
    assert read("coco", EXPORTS["coco"])[0].split == "train"
    assert read("cvat", EXPORTS["cvat"])[0].split == "train"
    assert read("yolo", EXPORTS["yolo"])[0].split == "train"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train/_annotations.coco.json", "train"),
        ("valid/_annotations.coco.json", "valid"),
        ("instances_val2017.json", "val"),
        ("test.json", "test"),
        ("latest.json", ""),
        ("valves.json", ""),
        ("restrained.json", ""),
    ],
)
def test_a_split_is_a_word_of_the_path_and_no_part_of_one(name: str, split: str) -> None:
    assert read("coco", {name: json.dumps(COCO).encode()})[0].split == split


def test_the_folders_of_pascal_voc_are_a_split() -> None:
    assert read("pascal-voc", {"test/a.xml": VOC.encode()})[0].split == "test"


@pytest.mark.parametrize("annotations", [[], [{"was_cancelled": True, "result": []}]])
def test_a_task_of_label_studio_that_nobody_has_done_says_nothing(annotations: list[Any]) -> None:
    tasks = [*STUDIO, {"data": {"image": "c.png"}, "annotations": annotations}]
    images = read("label-studio", {"export.json": json.dumps(tasks).encode()})
    assert [image.name for image in images] == ["a.png", "b.png"]


def test_relations_between_marks_of_label_studio_are_passed_over() -> None:
    task = {"data": {"image": "a.png"}, "annotations": [{"result": [{"type": "relation"}]}]}
    assert read("label-studio", {"export.json": json.dumps([task]).encode()})[0].regions == ()


def test_an_image_in_which_only_a_line_is_marked_has_a_defect_without_an_area() -> None:
    xml = """<annotations><image name="a.png" width="40" height="30">
      <polyline label="crack" points="0,0;4,4"/></image></annotations>"""
    assert read("cvat", {"a.xml": xml.encode()})[0].regions == (Region("crack"),)
    line = {"label": "crack", "shape_type": "line", "points": [[0, 0], [4, 4]]}
    labelme = json.dumps({**LABELME, "shapes": [line]}).encode()
    assert read("labelme", {"a.json": labelme})[0].regions == (Region("crack"),)
    point = {"value": {"keypointlabels": ["crack"], "x": 1, "y": 1}}
    task = {"data": {"image": "a.png"}, "annotations": [{"result": [point]}]}
    studio = read("label-studio", {"export.json": json.dumps([task]).encode()})
    assert studio[0].regions == (Region("crack"),)


@pytest.mark.parametrize("first", [0, 255])
def test_what_was_painted_in_labelme_is_marked_where_it_was(first: int) -> None:
    painted = np.full((10, 8), 255, np.uint8)
    painted[0, 0] = first
    buffer = io.BytesIO()
    Image.fromarray(painted).save(buffer, "PNG")
    shape = {
        "label": "scratch",
        "shape_type": "mask",
        "points": [[12, 5], [19, 14]],
        "mask": base64.b64encode(buffer.getvalue()).decode(),
    }
    image = read("labelme", {"a.json": json.dumps({**LABELME, "shapes": [shape]}).encode()})[0]
    found = (pixels(image, {"scratch": "#010203"}) == (1, 2, 3)).all(axis=2)
    expected = np.zeros((30, 40), bool)
    expected[5:15, 12:20] = painted > 0
    assert np.array_equal(found, expected)
    shape["mask"] = "no"
    with pytest.raises(AnnotationError, match="its mask is no PNG"):
        read("labelme", {"a.json": json.dumps({**LABELME, "shapes": [shape]}).encode()})


@pytest.mark.parametrize("segmentation", [[[]], [[1, 1, 9, 9]]])
def test_an_outline_of_coco_that_covers_nothing_leaves_the_box(segmentation: Any) -> None:
    (one,) = COCO["annotations"]
    document = {**COCO, "annotations": [{**one, "segmentation": segmentation}]}
    regions = read("coco", {"a.json": json.dumps(document).encode()})[0].regions
    assert regions == read("coco", EXPORTS["coco"])[0].regions


@pytest.mark.parametrize("name", ["README.roboflow.txt", "train/README.dataset.txt"])
def test_texts_about_the_data_are_no_labels_of_yolo(name: str) -> None:
    assert read("yolo", {**YOLO, name: b"exported on Monday"}) == read("yolo", YOLO)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_format_is_recognised_by_its_files(name: str) -> None:
    guesses = {guess_format(file, data) for file, data in EXPORTS[name].items()}
    assert guesses - {""} == {name}


def pack(counts: list[int]) -> str:
    """Pack run lengths as COCO's tools do (maskApi.c, rleToString)."""
    text = ""
    for at, count in enumerate(counts):
        value = count - counts[at - 2] if at > 2 else count
        more = True
        while more:
            group = value & 0x1F
            value >>= 5
            more = value != -1 if group & 0x10 else value != 0
            text += chr((group | 0x20 if more else group) + 48)
    return text


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=40))
def test_packed_run_lengths_are_unpacked(counts: list[int]) -> None:
    assert list(unpack_counts(pack(counts))) == counts


@pytest.mark.parametrize("packed", [False, True])
def test_runs_of_coco_go_down_the_columns(packed: bool) -> None:
    counts = [31, 2, 40 * 30 - 33]  # the second column, rows 1 and 2
    runs = {"size": [30, 40], "counts": pack(counts) if packed else counts}
    document = json.loads(json.dumps(COCO))
    document["annotations"][0]["segmentation"] = runs
    (image, _) = read("coco", {"a.json": json.dumps(document).encode()})
    found = pixels(image, {"scratch": "#000000"})
    assert np.argwhere(found[..., 0] == 0).tolist() == [[1, 1], [2, 1]]


def test_runs_of_cvat_go_along_the_rows_of_their_box() -> None:
    mask = '<mask label="scratch" rle="1,2,1" left="5" top="7" width="2" height="2"/>'
    text = CVAT.replace('<box label="scratch" xtl="10" ytl="5" xbr="20" ybr="15"/>', mask)
    image = read("cvat", {"a.xml": text.encode()})[0]
    found = pixels(image, {"scratch": "#000000"})
    assert np.argwhere(found[..., 0] == 0).tolist() == [[7, 6], [8, 5]]


def test_a_hairline_leaves_a_trace() -> None:
    line = Polygon(((2.2, 3.1), (9.4, 3.3), (9.4, 3.4)))
    image = AnnotatedImage("a.png", (Region("crack", (line,)),))
    assert (pixels(image, {"crack": "#000000"})[..., 0] == 0).sum() >= 7


def test_an_image_of_another_size_than_the_tool_saw_is_refused() -> None:
    image = read("coco", EXPORTS["coco"])[0]
    with pytest.raises(AnnotationError, match="annotated at 40 x 30"):
        masks.draw(image, (80, 60), {})


def test_types_have_colours_that_differ_and_do_not_depend_on_their_order() -> None:
    names = [f"type{number}" for number in range(30)]
    found = masks.colours(names)
    assert len(set(found.values())) == 30
    assert "#FFFFFF" not in found.values()
    assert found == masks.colours(names[::-1])


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        ("coco", {"a.json": b"{"}, "a.json:1:2: this is not JSON"),
        ("coco", {"a.json": b"[]"}, "a.json: has no images"),
        ("coco", {"a.json": json.dumps({**COCO, "images": []}).encode()}, r"\[0\]: there is no im"),
        ("coco", {"a.json": json.dumps({**COCO, "categories": []}).encode()}, "no category 7"),
        ("pascal-voc", {"a.xml": b"<annotation>"}, "a.xml:1:13: this is not XML"),
        ("pascal-voc", {"a.xml": b"<!DOCTYPE x><annotation/>"}, "a.xml: has a document type"),
        (
            "pascal-voc",
            {"a.xml": '<?xml version="1.0"?><!DOCTYPE x><annotation/>'.encode("utf-16")},
            "a.xml: has a document type",
        ),
        ("pascal-voc", {"a.xml": b"<x/>"}, "no annotation of Pascal VOC"),
        ("cvat", {"a.xml": b"<annotations><track/></annotations>"}, "CVAT for video"),
        ("yolo", {"a.txt": b"scratch here\n"}, "a.txt:1: is no label"),
        ("yolo", {"data.yaml": b"names: [x]", "a.txt": b"3 .1 .1 .1 .1\n"}, "class 3 has no name"),
        ("labelme", {"a.json": b"{}"}, "a.json: has no shapes"),
        ("label-studio", {"a.json": b"{}"}, "a.json: is no list of tasks"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    name: str, files: Mapping[str, bytes], said: str
) -> None:
    with pytest.raises(AnnotationError, match=said):
        read(name, files)


def read_and_draw(name: str, files: Mapping[str, bytes]) -> None:
    """Read an export that may be damaged, and draw it; a clear refusal will do."""
    with contextlib.suppress(AnnotationError):
        for image in read(name, files):
            masks.draw(image, SIZE, masks.colours([region.type for region in image.regions]))


@given(st.sampled_from(sorted(EXPORTS)), st.data())
def test_damage_anywhere_is_never_a_traceback(name: str, data: st.DataObject) -> None:
    files = dict(EXPORTS[name])
    victim = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[victim])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    files[victim] = bytes(content)
    read_and_draw(name, files)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, member in inside for place in places(member, (*path, key)))]


@given(st.sampled_from([("coco", COCO), ("labelme", LABELME), ("label-studio", STUDIO)]), st.data())
def test_any_json_in_any_place_is_never_a_traceback(
    export: tuple[str, Any], data: st.DataObject
) -> None:
    name, document = export[0], json.loads(json.dumps(export[1]))
    path = data.draw(st.sampled_from(places(document)))
    value = data.draw(JSON)
    if not path:
        document = value
    else:
        holder = document
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
    read_and_draw(name, {"a.json": json.dumps(document).encode()})
