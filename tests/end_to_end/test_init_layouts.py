"""`init`, then `validate`, then `run --until check`: every layout that `init` claims to know.

Each row: what lies there, what is said beside the paths, and how many images of each label come out
in each part.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import tarfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from lfvpipe.cli.main import main
from lfvpipe.config import load
from tests.end_to_end.layouts import LAYOUTS, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DATA = Path(os.environ.get("LFVPIPE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


def photo(seed: object, side: int = 64, suffix: str = ".png") -> bytes:
    """Return an image like no other."""
    noise = random.Random(str(seed)).randbytes(side * side)
    buffer = io.BytesIO()
    kind = "JPEG" if suffix.lower() in (".jpg", ".jpeg") else "PNG"
    Image.frombytes("L", (side, side), noise).save(buffer, kind)
    return buffer.getvalue()


def mask(marked: bool = True, kind: str = "PNG") -> bytes:
    """Return a mask with a square in it, or none."""
    image = Image.new("L", (64, 64))
    if marked:
        ImageDraw.Draw(image).rectangle((10, 10, 30, 30), fill=255)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def many(pattern: str, count: int, first: int = 1) -> list[str]:
    """Return names with numbers in them."""
    return [pattern.format(number) for number in range(first, first + count)]


def put(folder: Path, *names: Iterable[str], **files: bytes | str) -> None:
    """Write images under these names, and other files."""
    for name in (name for each in names for name in each):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photo(name, suffix=file.suffix))


def zipped(archive: Path, *names: Iterable[str], others: dict[str, bytes] | None = None) -> None:
    """Write a zip of images under these names, and of other files."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as file:
        for name in (name for each in names for name in each):
            file.writestr(name, photo(f"{archive.name}{name}", suffix=Path(name).suffix))
        for name, data in (others or {}).items():
            file.writestr(name, data)


def text(file: Path, content: str) -> None:
    """Write a text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")


# --- Layouts: each function makes one in a folder, and returns the words for `init`

MAKERS: dict[str, tuple[Callable[[Path], list[str]], str, str]] = {}


def layout(counts: str, says: str = "") -> Callable[[Callable[[Path], list[str]]], None]:
    """Register a layout: what comes out, as ``train 40+20 test 10+10 evaluate 4``, and a text."""

    def register(make: Callable[[Path], list[str]]) -> None:
        MAKERS[make.__name__] = (make, counts, says)

    return register


@layout("train 46+28 test 12+10 evaluate 2+2", "a folder or archive for each label")
def two_zips_good_and_bad(here: Path) -> list[str]:
    zipped(here / "good.zip", many("{:03}.png", 60))
    zipped(here / "bad.zip", many("{:03}.png", 40))
    return ["good.zip", "bad.zip"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def x_and_x_def(here: Path) -> list[str]:
    zipped(here / "cups.zip", many("cups/{}.png", 60))
    zipped(here / "cups_def.zip", many("cups_def/{}.png", 40))
    return ["cups.zip", "cups_def.zip"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def x_and_x_def_as_folders_of_one(here: Path) -> list[str]:
    put(here / "all", many("cups/{}.png", 60), many("cups_def/{}.png", 40))
    return ["all"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def german(here: Path) -> list[str]:
    put(here / "teile", many("gut/{}.jpg", 60), many("schlecht/{}.jpg", 40))
    return ["teile"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def german_in_order_and_not(here: Path) -> list[str]:
    put(here / "teile", many("i.O/{}.jpg", 60), many("n.i.O/{}.jpg", 40))
    return ["teile"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def ok_and_ng_in_one_zip(here: Path) -> list[str]:
    zipped(here / "line7.zip", many("OK/{}.png", 60), many("NG/{}.png", 40))
    return ["line7.zip"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def chinese_in_one_zip(here: Path) -> list[str]:
    zipped(here / "parts.zip", many("良品/{}.png", 60), many("不良品/{}.png", 40))
    return ["parts.zip"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def japanese_folders(here: Path) -> list[str]:
    put(here / "parts", many("良/{}.png", 60), many("不良/{}.png", 40))
    return ["parts"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def french_folders(here: Path) -> list[str]:
    put(here / "pièces", many("conforme/{}.png", 60), many("défaut/{}.png", 40))
    return ["pièces"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def tar_with_a_folder_above(here: Path) -> list[str]:
    with tarfile.open(here / "export.tar.gz", "w:gz") as archive:
        for name in (*many("run/pass/{}.png", 60), *many("run/fail/{}.png", 40)):
            data = photo(name)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return ["export.tar.gz"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def folders_named_one_by_one(here: Path) -> list[str]:
    put(here, many("good/{}.png", 60), many("faulty/{}.png", 40))
    return ["good", "faulty"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def a_folder_of_archives(here: Path) -> list[str]:
    zipped(here / "photos" / "normal.zip", many("{}.png", 60))
    zipped(here / "photos" / "anomaly.zip", many("{}.png", 40))
    return ["photos"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def archives_in_an_archive(here: Path) -> list[str]:
    inner = {}
    for name, count in (("good", 60), ("bad", 40)):
        zipped(here / f"{name}.zip", many("{}.png", count))
        inner[f"{name}.zip"] = (here / f"{name}.zip").read_bytes()
        (here / f"{name}.zip").unlink()
    zipped(here / "photos.zip", [], others=inner)
    return ["photos.zip"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def days_below_the_labels(here: Path) -> list[str]:
    put(here / "parts", many("good/monday/{}.png", 30), many("good/tuesday/{}.png", 30))
    put(here / "parts", many("bad/2024-05-01/{}.png", 20), many("bad/2024-05-02/{}.png", 20))
    return ["parts"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def labels_below_the_cameras(here: Path) -> list[str]:
    for camera in ("cam1", "cam2"):
        put(here / "parts", many(camera + "/ok/{}.png", 30), many(camera + "/nok/{}.png", 20))
    return ["parts"]


@layout("train 46+26 test 12+10 evaluate 2+2", "a folder of good products beside one for each type")
def types_of_defects_beside_good(here: Path) -> list[str]:
    put(here / "parts", many("good/{}.png", 60), many("scratch/{}.png", 18))
    put(here / "parts", many("dent/{}.png", 20))
    return ["parts"]


@layout("train 46+28 test 12+10 evaluate 2+2", "a folder of good products beside one for each type")
def types_of_defects_below_bad(here: Path) -> list[str]:
    put(here / "parts", many("good/{}.png", 60), many("bad/scratch/{}.png", 20))
    put(here / "parts", many("bad/dent/{}.png", 20))
    return ["parts"]


@layout("train 46+28 test 12+10 evaluate 2+2", "a folder of good products beside one for each type")
def types_of_defects_in_a_zip(here: Path) -> list[str]:
    zipped(here / "hazelnut.zip", many("hazelnut/good/{}.png", 60))
    with zipfile.ZipFile(here / "hazelnut.zip", "a") as archive:
        for name in (*many("hazelnut/crack/{}.png", 20), *many("hazelnut/hole/{}.png", 20)):
            archive.writestr(name, photo(name))
    return ["hazelnut.zip"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def an_archive_for_each_type_of_defect(here: Path) -> list[str]:
    zipped(here / "photos" / "good.zip", many("{}.png", 60))
    zipped(here / "photos" / "scratch.zip", many("s{}.png", 20))
    zipped(here / "photos" / "dent.zip", many("d{}.png", 20))
    return ["photos"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def unknown_folders_that_the_user_explains(here: Path) -> list[str]:
    put(here / "parts", many("A/{}.png", 60), many("B/{}.png", 40), many("C/{}.png", 5))
    return ["parts", "--normal", "A", "--anomaly", "B", "--leave-out", "C"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def folders_that_the_user_explains_alone(here: Path) -> list[str]:
    put(here, many("mon/{}.png", 60), many("kratzer/{}.png", 20), many("beule/{}.png", 20))
    return ["--normal", "mon", "--anomaly", "kratzer", "beule"]


@layout("train 30+18 test 12+12", "divided into train and test")
def train_and_test_above_the_labels(here: Path) -> list[str]:
    put(here / "parts", many("train/good/{}.png", 30), many("train/defect/{}.png", 18))
    put(here / "parts", many("test/good/a{}.png", 12), many("test/defect/a{}.png", 12))
    return ["parts"]


@layout("train 30+18 test 12+12", "divided into train and test")
def train_and_val_below_the_labels(here: Path) -> list[str]:
    zipped(
        here / "parts.zip", many("good/train/{}.png", 30), many("bad/train/{}.png", 18),
        many("good/val/a{}.png", 12), many("bad/val/a{}.png", 12),
    )  # fmt: skip
    return ["parts.zip"]


@layout("train 30+18 test 22+16", "divided into train and test")
def train_val_and_test(here: Path) -> list[str]:
    for part, normal, anomaly in (("train", 30, 18), ("val", 10, 4), ("test", 12, 12)):
        put(here / "parts", many(part + "/good/" + part + "{}.png", normal))
        put(here / "parts", many(part + "/bad/" + part + "{}.png", anomaly))
    return ["parts"]


@layout("train 30+18 test 12+12", "divided into train and test")
def train_and_test_archives(here: Path) -> list[str]:
    zipped(here / "train.zip", many("good/{}.png", 30), many("bad/{}.png", 18))
    zipped(here / "test.zip", many("good/{}.png", 12), many("bad/{}.png", 12))
    return ["train.zip", "test.zip"]


@layout("train 24+8 test 6+10 evaluate 9")
def train_sorted_and_test_not(here: Path) -> list[str]:
    put(here / "parts", many("train/good/{}.png", 30), many("train/defect/{}.png", 18))
    put(here / "parts", many("test/t{}.png", 9))
    return ["parts"]


@layout("train 46+28 test 12+10 evaluate 2+2", "files named after what they show")
def flat_files_by_prefix(here: Path) -> list[str]:
    put(here / "parts", many("ok_{:03}.png", 60), many("ng_{:03}.png", 40))
    return ["parts"]


@layout("train 46+28 test 12+10 evaluate 2+2", "files named after what they show")
def flat_files_by_suffix(here: Path) -> list[str]:
    put(here / "parts", many("{:03}_good.png", 60), many("{:03}_bad.png", 40, first=100))
    return ["parts"]


@layout("train 46+28 test 12+10 evaluate 2+2", "files named after what they show")
def flat_files_in_a_zip(here: Path) -> list[str]:
    zipped(here / "p.zip", many("p/IMG_OK_{}.png", 60), many("p/IMG_NG_{}.png", 40))
    return ["p.zip"]


@layout("train 46+28 test 12+10 evaluate 2+2", "files named after what they show")
def flat_files_that_the_user_explains(here: Path) -> list[str]:
    put(here / "p", many("a{}.png", 60), many("b{}.png", 40))
    return ["p", "--normal", "a*", "--anomaly", "b*"]


@layout("train 46+28 test 12+10 evaluate 2+2", "masks of the anomalous images")
def masks_beside_the_labels(here: Path) -> list[str]:
    put(here / "parts", many("good/{}.png", 60), many("bad/b{}.png", 40))
    for name in many("b{}.png", 39):
        file = here / "parts" / "masks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(mask())
    return ["parts"]


@layout("train 46+28 test 12+10 evaluate 2+2", "masks of the anomalous images")
def masks_among_the_images(here: Path) -> list[str]:
    zipped(
        here / "p.zip", many("good/{}.png", 60), many("bad/{}.png", 40),
        others={name: mask() for name in many("bad/{}_mask.png", 40)},
    )  # fmt: skip
    return ["p.zip"]


@layout("train 24+0 test 6+0", "good products alone")
def thirty_good_and_nothing_else(here: Path) -> list[str]:
    put(here / "good", many("IMG_{:04}.jpg", 30))
    return ["good"]


@layout("train 24+0 test 6+0", "good products alone")
def thirty_good_as_the_user_says(here: Path) -> list[str]:
    put(here / "screws", many("IMG_{:04}.jpg", 30))
    return ["--normal", "screws"]


@layout("train 24+0 test 6+3")
def thirty_good_and_three_defects(here: Path) -> list[str]:
    put(here / "screws", many("good/{}.jpg", 30), many("bad/{}.jpg", 3))
    return ["screws"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def serial_numbers_in_names(here: Path) -> list[str]:
    for view in ("top", "side"):
        put(here / "p", many("good/SN{:04}_" + view + ".png", 30))
        put(here / "p", many("bad/SN{:04}_" + view + ".png", 20, first=50))
    return ["p"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def other_files_among_the_images(here: Path) -> list[str]:
    put(here / "p", many("good/{}.png", 60), many("bad/{}.png", 40))
    for name in ("good/Thumbs.db", "readme.txt", "good/movie.mp4", "notes.xlsx", "settings.json"):
        text(here / "p" / name, "{}")
    return ["p"]


@layout("train 48+30 test 12+10")  # names that look like globs are not named to be judged
def odd_names(here: Path) -> list[str]:
    put(here / "my [new] parts", many("Good (ok)/{} [a].png", 60), many("not good/{} [a].png", 40))
    return ["my [new] parts"]


# --- Tables


def _table(file: Path, rows: Iterable[Iterable[object]], separator: str = ",") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=separator).writerows(rows)


def _rows(folder: str, normal: int, anomaly: int, good: str, bad: str) -> list[list[str]]:
    names = many(folder + "{:03}.png", normal + anomaly)
    return [[name, good if at < normal else bad] for at, name in enumerate(names)]


@layout("train 48+30 test 12+10", "a table, labels.csv")
def csv_beside_the_images(here: Path) -> list[str]:
    put(here / "p", many("{:03}.png", 100))
    _table(here / "p" / "labels.csv", [["filename", "label"], *_rows("", 60, 40, "good", "bad")])
    return ["p"]


@layout("train 48+30 test 12+10", "a table, labels.tsv")
def tsv_above_the_images(here: Path) -> list[str]:
    put(here / "p", many("images/{:03}.png", 100))
    rows = [["path", "label"], *_rows("images/", 60, 40, "0", "1")]
    rows[0][1] = "is_anomaly"
    _table(here / "p" / "labels.tsv", rows, "\t")
    return ["p"]


@layout("train 48+30 test 12+10", "a table, list.jsonl")
def json_lines_and_a_zip(here: Path) -> list[str]:
    zipped(here / "p.zip", many("x/{:03}.png", 100))
    lines = [json.dumps({"image": n, "label": w}) for n, w in _rows("x/", 60, 40, "OK", "NOK")]
    text(here / "list.jsonl", "\n".join(lines))
    return ["p.zip", "list.jsonl"]


@layout("train 30+20 test 30+20", "a table, labels.csv")
def csv_with_a_split_and_types(here: Path) -> list[str]:
    put(here / "p", many("{:03}.png", 100))
    rows = _rows("", 60, 40, "good", "scratch")
    rows = [[*row, "train" if at % 2 else "test"] for at, row in enumerate(rows)]
    _table(here / "p" / "labels.csv", [["file", "class", "split"], *rows])
    return ["p"]


@layout("train 48+30 test 12+10", "a table, labels.csv")
def csv_of_unknown_words_that_the_user_explains(here: Path) -> list[str]:
    put(here / "p", many("{:03}.png", 100))
    _table(here / "p" / "labels.csv", [["file", "class"], *_rows("", 60, 40, "A1", "B7")], ";")
    return ["p", "--normal", "A1", "--anomaly", "B7"]


# --- Published layouts


@layout("train 20+0 test 12+24", "the layout of MVTec AD")
def mvtec_ad(here: Path) -> list[str]:
    put(here / "bottle", many("train/good/{:03}.png", 20), many("test/good/t{:03}.png", 12))
    for kind in ("broken_large", "contamination"):
        put(here / "bottle", many("test/" + kind + "/{:03}.png", 12))
        for name in many("ground_truth/" + kind + "/{:03}_mask.png", 12):
            file = here / "bottle" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(mask())
    return ["bottle"]


@layout("train 20+0 test 12+12", "the layout of MVTec AD")
def one_product_of_an_mvtec_ad_zip(here: Path) -> list[str]:
    names = []
    for product in ("bottle", "cable"):
        names += many(product + "/train/good/{:03}.png", 20)
        names += many(product + "/test/good/t{:03}.png", 12)
        names += many(product + "/test/cut/{:03}.png", 12)
    masks = {name: mask() for name in many("cable/ground_truth/cut/{:03}_mask.png", 12)}
    zipped(here / "mvtec.zip", names, others=masks)
    return ["mvtec.zip", "--product", "cable"]


@layout("train 20+0 test 10+12", "the layout of VisA")
def visa(here: Path) -> list[str]:
    good, bad = many("candle/Data/Images/Normal/{:04}.JPG", 30), []
    bad = many("candle/Data/Images/Anomaly/{:03}.JPG", 12)
    put(here / "visa", good, bad)
    for name in many("{:03}.png", 12):
        file = here / "visa" / "candle/Data/Masks/Anomaly" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(mask())
    rows = [["candle", "train" if at < 20 else "test", "normal", n] for at, n in enumerate(good)]
    rows += [["candle", "test", "anomaly", name] for name in bad]
    _table(here / "visa/split_csv/1cls.csv", [["object", "split", "label", "image"], *rows])
    return ["visa"]


@layout("train 30+10 test 30+10", "the ten-class layout of DAGM")
def dagm_of_ten_classes(here: Path) -> list[str]:
    names = [*many("Class1/Train/{:04}.PNG", 40), *many("Class1/Test/{:04}.PNG", 40, first=101)]
    masks = {
        f"Class1/{part}/Label/{number:04}_label.PNG": mask()
        for part, first in (("Train", 1), ("Test", 101))
        for number in range(first, first + 10)
    }
    zipped(here / "Class1.zip", names, others=masks)
    return ["Class1.zip"]


@layout("train 46+28 test 12+10 evaluate 2+2")
def dagm_of_the_tutorial(here: Path) -> list[str]:
    zipped(here / "Class3.zip", many("Class3/{}.png", 60))
    zipped(here / "Class3_def.zip", many("Class3_def/{}.png", 40), others={"labels.txt": b"1 2"})
    return ["."]


@layout("", "the layout of KolektorSDD")
def kolektor_sdd(here: Path) -> list[str]:
    for part in range(1, 13):
        for view in range(5):
            stem = f"kos{part:02}/Part{view}"
            put(here / "KolektorSDD", [f"{stem}.jpg"])
            (here / "KolektorSDD" / f"{stem}_label.bmp").write_bytes(mask(view == 0, "BMP"))
    return ["KolektorSDD"]


@layout("train 30+10 test 20+10", "the layout of KolektorSDD")
def kolektor_sdd_2(here: Path) -> list[str]:
    for folder, normal, anomaly in (("train", 30, 10), ("test", 20, 10)):
        for number in range(normal + anomaly):
            put(here / "k2", [f"{folder}/{number}.png"])
            (here / "k2" / folder / f"{number}_GT.png").write_bytes(mask(number < anomaly))
    return ["k2"]


# --- Exports of annotation tools: of 100 images 40 have a mark


@layout("train 48+30 test 12+10", "an export in COCO's format")
def coco(here: Path) -> list[str]:
    put(here / "p", many("images/{:03}.png", 100))
    document = {
        "images": [
            {"id": n, "file_name": f"{n:03}.png", "width": 64, "height": 64} for n in range(1, 101)
        ],
        "categories": [{"id": 1, "name": "scratch"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [5, 5, 20, 20]} for n in range(1, 41)
        ],
    }
    text(here / "p" / "annotations" / "instances.json", json.dumps(document))
    return ["p"]


VOC = """<annotation><filename>{0}</filename><size><width>64</width><height>64</height></size>{1}\
</annotation>"""
BOX = """<object><name>scratch</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>30</xmax>\
<ymax>30</ymax></bndbox></object>"""


@layout("train 48+30 test 12+10", "annotations in Pascal VOC's format")
def pascal_voc(here: Path) -> list[str]:
    put(here / "p", many("JPEGImages/{:03}.jpg", 100))
    for n in range(1, 101):
        content = VOC.format(f"{n:03}.jpg", BOX if n <= 40 else "")
        text(here / "p" / "Annotations" / f"{n:03}.xml", content)
    return ["p"]


@layout("train 48+30 test 12+10", "annotations in Pascal VOC's format")
def pascal_voc_of_the_defective_alone(here: Path) -> list[str]:
    put(here / "p", many("{:03}.jpg", 100))
    for n in range(1, 41):
        text(here / "p" / f"{n:03}.xml", VOC.format(f"{n:03}.jpg", BOX))
    return ["p", "--unmarked", "normal"]


@layout("train 40+20 test 20+20", "labels in YOLO's format")
def yolo(here: Path) -> list[str]:
    for part, normal, anomaly in (("train", 40, 20), ("val", 20, 20)):
        for n in range(normal + anomaly):
            put(here / "p", [f"images/{part}/{part}{n}.jpg"])
            line = "0 0.5 0.5 0.2 0.1\n" if n < anomaly else ""
            text(here / "p" / f"labels/{part}/{part}{n}.txt", line)
    text(here / "p" / "data.yaml", "names: [scratch]\ntrain: images/train\nval: images/val\n")
    return ["p"]


@layout("train 48+30 test 12+10", "annotations by LabelMe")
def labelme(here: Path) -> list[str]:
    put(here / "p", many("{:03}.png", 100))
    for n in range(1, 101):
        shape = {"label": "dent", "shape_type": "rectangle", "points": [[5, 5], [30, 30]]}
        shapes = [shape] if n <= 40 else []
        content = {"shapes": shapes, "imagePath": f"{n:03}.png", "imageWidth": 64}
        text(here / "p" / f"{n:03}.json", json.dumps(content | {"imageHeight": 64, "flags": {}}))
    return ["p"]


@layout("train 48+30 test 12+10", "an export of Label Studio")
def label_studio(here: Path) -> list[str]:
    zipped(here / "p.zip", many("{:03}.png", 100))
    value = {"x": 5, "y": 5, "width": 30, "height": 30, "rectanglelabels": ["dent"]}
    result = {
        "type": "rectanglelabels", "value": value, "from_name": "l", "to_name": "i",
        "original_width": 64, "original_height": 64,
    }  # fmt: skip
    tasks = [
        {"id": n, "data": {"image": f"/data/upload/1/{n:03}.png"},
         "annotations": [{"id": n, "result": [result] if n <= 40 else []}]}
        for n in range(1, 101)
    ]  # fmt: skip
    text(here / "export.json", json.dumps(tasks))
    return ["p.zip", "export.json"]


@layout("train 48+30 test 12+10", "an export of CVAT")
def cvat(here: Path) -> list[str]:
    put(here / "p", many("images/{:03}.png", 100))
    box = '<box label="dent" xtl="5" ytl="5" xbr="30" ybr="30" occluded="0"/>'
    images = "".join(
        f'<image id="{n}" name="{n:03}.png" width="64" height="64">{box if n <= 40 else ""}</image>'
        for n in range(1, 101)
    )
    text(
        here / "p" / "annotations.xml", f"<annotations><version>1.1</version>{images}</annotations>"
    )
    return ["p"]


# --- Manifests exported from Lookout for Vision


def _line(name: str, label: str) -> str:
    metadata = {
        "class-name": label, "creation-date": "2022-08-22T20:52:51.851Z", "confidence": 1,
        "human-annotated": "yes", "job-name": "job", "type": "groundtruth/image-classification",
    }  # fmt: skip
    entry = {"source-ref": f"s3://gone/{name}", "anomaly-label": int(label == "anomaly")}
    return json.dumps(entry | {"anomaly-label-metadata": metadata})


@layout("train 30+20 test 30+20", "manifests exported from Lookout for Vision")
def exported_manifests(here: Path) -> list[str]:
    names = many("{:03}.png", 100)
    put(here / "export", [f"images/{name}" for name in names])
    lines = [_line(f"images/{n}", "normal" if at < 60 else "anomaly") for at, n in enumerate(names)]
    text(here / "export" / "train.manifest", "\n".join(lines[::2]))
    text(here / "export" / "test.manifest", "\n".join(lines[1::2]))
    return ["export"]


@layout("train 60+40 test 0+0", "an exported manifest")
def one_exported_manifest_and_a_zip(here: Path) -> list[str]:
    names = many("{:03}.png", 100)
    zipped(here / "p.zip", [f"images/{name}" for name in names])
    lines = [_line(f"images/{n}", "normal" if at < 60 else "anomaly") for at, n in enumerate(names)]
    text(here / "all.manifest", "\n".join(lines))
    return ["p.zip", "all.manifest"]


# --- Real photographs, where they are


def _real(here: Path, name: str, *archives: str) -> list[str]:
    if not (DATA / name).is_dir():
        pytest.skip(
            f"{DATA / name} is not there: LFVPIPE_TEST_DATA names the folder of real images"
        )
    for archive in archives or [file.name for file in sorted((DATA / name).glob("*.zip"))]:
        (here / archive).symlink_to(DATA / name / archive)
    return ["."]


@layout("train 44+46 test 12+12 evaluate 2+2")
def real_aliens(here: Path) -> list[str]:
    return _real(here, "aliens")


@layout("train 31+32 test 14+8", "32 masks of the anomalous images")
def real_cookies(here: Path) -> list[str]:
    return _real(here, "cookies")


@layout("train 760+312 test 190+78 evaluate 2+2", "392 masks of the anomalous images")
def real_magnetic_tile(here: Path) -> list[str]:
    return _real(here, "magnetic_tile")


@layout("train 276+40 test 69+10 evaluate 2+2", "52 masks of the anomalous images")
def real_kolektorsdd(here: Path) -> list[str]:
    return _real(here, "kolektorsdd")


@layout("train 468+248 test 118+63 evaluate 2+2")
def real_elpv(here: Path) -> list[str]:
    return _real(here, "elpv")


@layout("train 31+32 test 0+0", "22 images that the manifest does not list")
def real_cookies_by_their_manifest(here: Path) -> list[str]:
    _real(here, "cookies")
    (here / "template.manifest").symlink_to(DATA / "cookies" / "template.manifest")
    return ["."]


# --- The test


@dataclass(frozen=True)
class Outcome:
    """How many images of each label are in each part."""

    parts: Counter[tuple[str, str | None]]

    def __str__(self) -> str:
        said = []
        for part in ("train", "test", "evaluate"):
            normal, anomaly = self.parts[part, "normal"], self.parts[part, "anomaly"]
            unknown = self.parts[part, None]
            if part != "evaluate" or normal or anomaly or unknown:
                said.append(f"{part} {unknown or f'{normal}+{anomaly}'}")
        return " ".join(said)


def selected(folder: Path) -> Outcome:
    """Return what `select` chose."""
    (file,) = folder.glob(".lfvpipe/*/selection/*.jsonl")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return Outcome(Counter((line["split"], line.get("label")) for line in lines))


@pytest.mark.parametrize("name", MAKERS)
def test_what_init_writes_is_valid_and_passes_check(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, counts, says = MAKERS[name]
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    words = make(here)
    code = main(["init", *words])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert says in said.out
    assert main(["validate"]) == 0, capsys.readouterr()
    # what is checked of the manifest's photographs is checked of the same ones without it
    until = "select" if name == "real_cookies_by_their_manifest" else "check"
    code = main(["run", "--until", until])
    assert code == 0, f"{capsys.readouterr().err}\n{(here / 'pipeline.yaml').read_text('utf-8')}"
    if counts:
        assert str(selected(here)) == counts, (here / "pipeline.yaml").read_text("utf-8")
    pipeline = load(here / "pipeline.yaml").pipeline
    assert pipeline.sources.labels
    assert pipeline.project not in ("good", "pipeline", "train")


# --- The layouts whose declarations are tested beside: init finds these, too

# What no name tells there, and the user has to say.
SAID = {
    "several archives and a glob": ["--normal", "monday", "more"],
    "words of one's own": ["--normal", "A", "--anomaly", "X7"],
    "Pascal VOC": ["--unmarked", "normal"],
    "Pascal VOC with its sets": ["--unmarked", "normal"],
    "Pascal VOC in two zips": ["--unmarked", "normal"],
    "YOLO without files for clean images": ["--unmarked", "normal"],
    "LabelMe": ["--unmarked", "normal"],
    "new photographs beside both labels": ["--leave-out", "new"],
    "two products of MVTec AD in one folder": ["--product", "bottle"],
    "one of two products": ["--product", "bottle"],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_declared_elsewhere_is_found_by_init(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, LAYOUTS[name].files())
    monkeypatch.chdir(tmp_path)
    if name in SAID:
        assert main(["init", "."]) == 3
        assert "--" in capsys.readouterr().err  # an option that settles it
    assert main(["init", ".", *SAID.get(name, [])]) == 0, capsys.readouterr().err
    assert main(["validate"]) == 0
    assert main(["run", "--until", "check"]) == 0, capsys.readouterr().err
