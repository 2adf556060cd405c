"""Layouts that people keep their photographs in: what lies there, and how it is declared.

Each row of `LAYOUTS` is made anew by the test that looks at it: small pictures, all different.
"""

from __future__ import annotations

import io
import json
import random
import tarfile
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Files = dict[str, bytes]
Folder = dict[str, bytes | Files]
SIDE = 64


@dataclass(frozen=True)
class Layout:
    """A folder as a user has it, and what comes out of it.

    Attributes:
        files: Makes what lies beside the pipeline file, by name; a zip's content is a mapping.
        declared: The pipeline file.
        counts: Images by (label, split).
        types: How many images of train and test show each type of defect.
        masks: How many images have a mask.
        findings: The codes of what `check` finds, but for those about too few images.
        unlabelled: How many images are judged of which nobody said what they are.
    """

    files: Callable[[], Folder]
    declared: str
    counts: Mapping[tuple[str, str], int]
    types: Mapping[str, int] = field(default_factory=dict)
    masks: int = 0
    findings: frozenset[str] = frozenset()
    unlabelled: int = 0


def picture(name: str, kind: str = "PNG") -> bytes:
    """Return a picture that no other name has."""
    seed = random.Random(name)
    small = Image.frombytes("L", (16, 16), seed.randbytes(256))
    buffer = io.BytesIO()
    small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, kind)
    return buffer.getvalue()


def mask(*, empty: bool = False, kind: str = "PNG") -> bytes:
    """Return a mask, black, with a white square where the defect is."""
    image = Image.new("L", (SIDE, SIDE))
    if not empty:
        ImageDraw.Draw(image).rectangle((20, 20, 35, 35), fill=255)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def pictures(pattern: str, count: int, first: int = 0) -> Files:
    """Return so many pictures, `{}` in their names a number."""
    names = [pattern.format(f"{number:03}") for number in range(first, first + count)]
    return {name: picture(name, "JPEG" if name.endswith("jpg") else "PNG") for name in names}


def masks(pattern: str, count: int, first: int = 0) -> Files:
    """Return so many masks, named likewise."""
    return {pattern.format(f"{number:03}"): mask() for number in range(first, first + count)}


def write(folder: Path, files: Mapping[str, bytes | Files]) -> None:
    """Write the files; a mapping becomes a zip."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
            continue
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in content.items():
                archive.writestr(member, data)


def two_zips() -> Folder:
    return {"good.zip": pictures("good/{}.png", 30), "bad.zip": pictures("bad/{}.png", 30, 100)}


def one_zip() -> Folder:
    return {"all.zip": pictures("part/good/{}.png", 30) | pictures("part/bad/{}.png", 30)}


def several_archives() -> Folder:
    return {
        "monday.zip": pictures("{}.png", 15),
        "more/tuesday.zip": pictures("{}.png", 15, 100),
        "more/wednesday.zip": pictures("{}.png", 10, 200),
        "bad/note.txt": b"x",
        **pictures("bad/{}.jpg", 20, 300),
    }


def by_folder_of_type() -> Folder:
    bad = pictures("bad/scratch/{}.png", 12) | pictures("bad/dent/{}.png", 8, 50)
    return {**pictures("good/{}.png", 20), **bad}


def flat() -> Folder:
    return {**pictures("parts/ok_{}.png", 20), **pictures("parts/ng_{}.png", 20)}


def table(
    columns: str, normal: str, anomaly: str, name: str = "labels.csv", **more: str
) -> Callable[[], Folder]:
    """Return a folder with a table; the rows are formats of a number."""

    def make() -> Folder:
        rows = [normal.format(number) for number in range(20)]
        rows += [anomaly.format(number) for number in range(20, 40)]
        text = "\n".join([columns, *rows] if columns else rows) + "\n"
        photographs = {f"photos/{n}.png": picture(f"{n}") for n in range(40)}
        return {name: text.encode(more.get("encoding", "utf-8")), **photographs}

    return make


def table_of_json() -> Folder:
    made = table(
        "",
        '{{"file": "{}.png", "result": "pass"}},',
        '{{"file": "{}.png", "result": "fail"}},',
        name="labels.json",
    )()
    rows = made["labels.json"]
    assert isinstance(rows, bytes)
    return made | {"labels.json": b"[" + rows.rstrip(b",\n") + b"]\n"}


def table_with_masks() -> Folder:
    lines = ["path,label,split,type,mask,group"]
    files: dict[str, bytes | Files] = {}
    for n in range(40):
        split, bad = ("train" if n % 20 < 10 else "test"), n >= 20
        truth = f"masks/{n}.png" if bad else ""
        lines.append(
            f"img/{n}.png,{'ng' if bad else 'ok'},{split},{'hole' if bad else ''},{truth},g{n}"
        )
        files[f"photos/img/{n}.png"] = picture(f"{n}")
        if bad:
            files[f"photos/{truth}"] = mask()
    return files | {"labels.csv": "\n".join(lines).encode()}


def mvtec() -> Folder:
    return {
        "bottle.zip": pictures("bottle/train/good/{}.png", 20)
        | pictures("bottle/test/good/{}.png", 10, 100)
        | pictures("bottle/test/broken_large/{}.png", 10, 200)
        | pictures("bottle/test/contamination/{}.png", 6, 300)
        | masks("bottle/ground_truth/broken_large/{}_mask.png", 10, 200)
        | masks("bottle/ground_truth/contamination/{}_mask.png", 6, 300)
        | {"bottle/license.txt": b"x", "bottle/readme.txt": b"x"}
    }


def visa() -> Folder:
    files = pictures("candle/Data/Images/Normal/{}.jpg", 20)
    files |= pictures("candle/Data/Images/Anomaly/{}.jpg", 12, 50)
    files |= masks("candle/Data/Masks/Anomaly/{}.png", 12, 50)
    rows = ["object,split,label,image,mask"]
    for name in files:
        if "Images" in name:
            part = (
                "train" if "Normal" in name and name < "candle/Data/Images/Normal/012" else "test"
            )
            label = "normal" if "Normal" in name else "anomaly"
            rows.append(f"candle,{part},{label},{name},")
    return {"VisA.zip": files | {"split_csv/1cls.csv": "\n".join(rows).encode()}}


def dagm_ten() -> Folder:
    files: Files = {}
    for part, count in (("Train", 20), ("Test", 20)):
        files |= pictures(f"Class1/{part}/{{}}.PNG", count, 500 if part == "Test" else 0)
        first = 500 if part == "Test" else 0
        files |= masks(f"Class1/{part}/Label/{{}}_label.PNG", 10, first)
    return {"Class1.zip": files}


def dagm_tutorial() -> Folder:
    return {
        "dagm.zip": pictures("Class1/{}.png", 20)
        | pictures("Class1_def/{}.png", 20)
        | {"Class1_def/labels.txt": b"1 2 3"}
    }


def kolektor() -> Folder:
    files: Files = {}
    for item in range(1, 21):
        for part in range(4):
            stem = f"kos{item:02}/Part{part}"
            files[f"{stem}.jpg"] = picture(stem, "JPEG")
            files[f"{stem}_label.png"] = mask(empty=part != 2)
    return {"KolektorSDD.zip": files}


def kolektor_two() -> Folder:
    files: Files = {}
    for number in range(40):
        part = "train" if number < 24 else "test"
        files[f"{part}/{10000 + number}.png"] = picture(f"{number}")
        files[f"{part}/{10000 + number}_GT.png"] = mask(empty=number % 3 > 0)
    return {"KSDD2.zip": files}


BOX = [20, 20, 16, 16]


def coco(split: str = "") -> Folder:
    images, marks = [], []
    for number in range(40):
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
        if number >= 20:
            kind = 1 + number % 2
            marks.append({"id": number, "image_id": number, "category_id": kind, "bbox": BOX})
    document = {
        "images": images,
        "annotations": marks,
        "categories": [{"id": 1, "name": "scratch"}, {"id": 2, "name": "dent"}],
    }
    photographs = {f"photos/images/{n}.png": picture(f"{n}") for n in range(45)}
    return {"instances.json": json.dumps(document).encode(), **photographs}


def coco_of_odd_classes() -> Folder:
    """Return marks of the product, of what is behind it, and of a class without a name."""
    files = coco()
    document = files["instances.json"]
    assert isinstance(document, bytes)
    read = json.loads(document)
    read["categories"] = [{"id": 1, "name": ""}, {"id": 2, "name": "background"},
                          {"id": 3, "name": "good"}]  # fmt: skip
    read["annotations"] += [
        {"id": 100 + n, "image_id": n, "category_id": 3, "bbox": BOX} for n in range(40)
    ]
    return files | {"instances.json": json.dumps(read).encode()}


def coco_split() -> Folder:
    found: dict[str, bytes | Files] = {}
    for part, first in (("train", 0), ("test", 100)):
        images, marks = [], []
        for number in range(first, first + 24):
            name = f"{part}/{number}.png"
            images.append({"id": number, "file_name": f"{number}.png"})
            found[f"set/{name}"] = picture(name)
            if number - first >= 12:
                mark = {"id": number, "image_id": number, "category_id": 1, "bbox": BOX}
                marks.append(mark)
        document = {"images": images, "annotations": marks,
                    "categories": [{"id": 1, "name": "scratch"}]}  # fmt: skip
        found[f"set/{part}/instances_{part}.json"] = json.dumps(document).encode()
    return found


def yolo() -> Folder:
    files: Files = {"set/data.yaml": b"names: [scratch, dent]\n"}
    for part, first in (("train", 0), ("val", 100)):
        for number in range(first, first + 24):
            files[f"set/images/{part}/{number}.png"] = picture(f"{number}")
            line = f"{number % 2} 0.5 0.5 0.2 0.2\n" if number - first >= 12 else ""
            files[f"set/labels/{part}/{number}.txt"] = line.encode()
    return {**files}


def yolo_of_other_folders() -> Folder:
    """Return photographs of one name in both parts, in folders that no tool chose."""
    files: Files = {"set/data.yaml": b"names: {0: scratch, 1: dent}\n"}
    for part in ("train", "val"):
        for number in range(24):
            files[f"set/{part}/photos/{number}.jfif"] = picture(f"{part}{number}", "JPEG")
            line = f"{number % 2} 0.5 0.5 0.2 0.2\n" if number >= 12 else ""
            files[f"set/{part}/labels/{number}.txt"] = line.encode()
    return {**files}


def yolo_apart() -> Folder:
    """Return labels beside the folder of the photographs, each named for itself."""
    files: Files = {"data.yaml": b"names: [scratch, dent]\n"}
    for number in range(48):
        files[f"photos/{number}.TIF"] = picture(f"{number}", "TIFF")
        line = f"{number % 2} 0.5 0.5 0.2 0.2\n" if number >= 24 else ""
        files[f"labels/{number}.txt"] = line.encode()
    return {**files}


def coco_of_text_ids() -> Folder:
    """Return an export whose ids are texts, as those of databases are."""
    files = coco()
    document = json.loads(files["instances.json"])  # type: ignore[arg-type]  # it is no zip
    for image in document["images"]:
        image["id"] = f"img-{image['id']}"
    for category in document["categories"]:
        category["id"] = str(category["id"])
    for mark in document["annotations"]:
        mark["id"] = f"mark-{mark['id']}" if "id" in mark else ""
        mark["image_id"] = f"img-{mark['image_id']}"
    return files | {"instances.json": json.dumps(document).encode()}


def voc() -> Folder:
    files: Files = {}
    for number in range(40):
        files[f"voc/JPEGImages/{number:03}.jpg"] = picture(f"{number}", "JPEG")
        if number >= 20:
            files[f"voc/Annotations/{number:03}.xml"] = (
                f"<annotation><filename>{number:03}.jpg</filename><size><width>{SIDE}</width>"
                f"<height>{SIDE}</height></size><object><name>crack</name><bndbox><xmin>20</xmin>"
                "<ymin>20</ymin><xmax>36</xmax><ymax>36</ymax></bndbox></object></annotation>"
            ).encode()
    return {**files}


def labelme() -> Folder:
    files: Files = {}
    for number in range(40):
        files[f"lm/{number:03}.png"] = picture(f"{number}")
        if number >= 20:
            shape = {"label": "scratch", "shape_type": "polygon",
                     "points": [[20, 20], [36, 20], [36, 36]]}  # fmt: skip
            files[f"lm/{number:03}.json"] = json.dumps(
                {"shapes": [shape], "imagePath": f"{number:03}.png", "imageWidth": SIDE,
                 "imageHeight": SIDE}
            ).encode()  # fmt: skip
    return {**files}


def cvat() -> Folder:
    rows = []
    files: dict[str, bytes | Files] = {}
    for number in range(40):
        files[f"photos/{number}.png"] = picture(f"{number}")
        box = '<box label="hole" xtl="20" ytl="20" xbr="36" ybr="36" occluded="0"/>'
        rows.append(
            f'<image id="{number}" name="{number}.png" width="{SIDE}" height="{SIDE}">'
            f"{box if number >= 20 else ''}</image>"
        )
    return files | {"annotations.xml": f"<annotations>{''.join(rows)}</annotations>".encode()}


def label_studio() -> Folder:
    tasks = []
    files: dict[str, bytes | Files] = {}
    for number in range(40):
        files[f"photos/{number}.png"] = picture(f"{number}")
        choice = {"type": "choices", "value": {"choices": ["OK" if number < 20 else "NG"]}}
        tasks.append(
            {"data": {"image": f"/data/upload/1/{number}.png"},
             "annotations": [{"result": [choice]}]}
        )  # fmt: skip
    return files | {"export.json": json.dumps(tasks).encode()}


def own_split() -> Folder:
    files: Files = {}
    for part, first in (("train", 0), ("test", 500)):
        files |= pictures(f"set/{part}/good/{{}}.png", 20, first)
        files |= pictures(f"set/{part}/bad/{{}}.png", 12, first + 100)
    return {**files}


def voc_with_its_sets() -> Folder:
    """Return the devkit's folders, with lists of names for each part and for a class."""
    files = {name.replace("voc/", "VOC/"): data for name, data in voc().items()}
    train = [number for number in range(40) if number % 2]
    test = [number for number in range(40) if not number % 2]
    for part, numbers in (("train", train), ("val", test)):
        lines = "".join(f"{number:03}\n" for number in numbers)
        files[f"VOC/ImageSets/Main/{part}.txt"] = lines.encode()
        marked = "".join(f"{number:03} {1 if number >= 20 else -1}\n" for number in numbers)
        files[f"VOC/ImageSets/Main/crack_{part}.txt"] = marked.encode()
    return files


def own_split_in_files() -> Folder:
    """Return good and bad ones, and lists as Windows' editors write them."""
    files = pictures("set/good/{}.png", 30) | pictures("set/bad/{}.png", 24, 100)
    train = [name for name in files if int(name[-7:-4]) % 3]
    test = [name for name in files if name not in train]
    lists: Folder = {
        "set/train.txt": "\r\n".join(train).replace("/", "\\").encode("utf-8-sig"),
        "set/test.txt": "\n".join(["# to test on", *test]).encode(),
    }
    return {**files, **lists}


def grouped() -> Folder:
    files: Files = {}
    for part in range(20):
        for view in range(3):
            files[f"good/p{part:02}_{view}.png"] = picture(f"g{part}.{view}")
            files[f"bad/p{part:02}_{view}.png"] = picture(f"b{part}.{view}")
    return {**files}


def nested() -> Folder:
    def pack(files: Files) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return buffer.getvalue()

    return {
        "all.zip": {
            "good.zip": pack(pictures("{}.png", 20)),
            "bad.zip": pack(pictures("{}.png", 20, 50)),
        }
    }


def shared_masks() -> Folder:
    return {
        "good.zip": pictures("{}.png", 20),
        "bad.zip": pictures("b{}.png", 20),
        "masks.zip": masks("b{}_mask.png", 15) | masks("c{}_mask.png", 3),
    }


def junk() -> Folder:
    good = pictures("{}.png", 20)
    more = {"Thumbs.db": b"x", "__MACOSX/._1.png": b"x", ".DS_Store": b"x", "a.gif": b"GIF89a"}
    return {"good.zip": good | more, "bad.zip": pictures("b{}.png", 20)}


def tar_with_links() -> Folder:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in pictures("good/{}.png", 20).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, target in (("good/linked.png", "000.png"), ("good/out.png", "/etc/passwd")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    return {"good.tar.gz": buffer.getvalue(), "bad.zip": pictures("b{}.png", 20)}


def backslashes() -> Folder:
    """Return what PowerShell 5.1 packs: backslashes between folders, and DOS as the system."""
    good, bad = (pictures(f"parts\\{kind}\\{{}}.png", 20) for kind in ("good", "bad"))
    return {"all.zip": packed_by_dos({name.encode(): data for name, data in (good | bad).items()})}


def packed_by_dos(files: Mapping[bytes, bytes]) -> bytes:
    """Return a zip whose names have no mark of their encoding; zipfile would set one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        stand_ins = {}
        for number, (name, data) in enumerate(files.items()):
            stand_in = f"{number:0{len(name)}}"[-len(name) :]
            stand_ins[stand_in.encode()] = name
            info = zipfile.ZipInfo(stand_in)
            info.create_system = 0
            archive.writestr(info, data)
    raw = buffer.getvalue()
    for written, name in stand_ins.items():
        raw = raw.replace(written, name)
    return raw


def japanese() -> Folder:
    def named(kind: str) -> dict[bytes, bytes]:
        files = pictures(f"{kind}/表面{{}}.png", 20)
        return {name.encode("cp932"): data for name, data in files.items()}

    return {"all.zip": packed_by_dos(named("良品") | named("不良"))}


def other_formats() -> Folder:
    def saved(pattern: str, kind: str, count: int) -> Files:
        return {pattern.format(n): picture(pattern.format(n), kind) for n in range(count)}

    return {
        "good.zip": saved("{}.bmp", "BMP", 10) | saved("t{}.tif", "TIFF", 10),
        "bad.zip": saved("{}.webp", "WEBP", 10) | saved("j{}.jpeg", "JPEG", 10),
    }


def unlabelled_beside() -> Folder:
    return {
        **pictures("set/good/{}.png", 20),
        **pictures("set/bad/{}.png", 20),
        **pictures("set/new/{}.png", 5),
    }


def table_to_judge() -> Folder:
    made = table("path,label", "{}.png,ok", "{}.png,ng")()
    rows = made["labels.csv"]
    assert isinstance(rows, bytes)
    new = {f"photos/new{n}.png": picture(f"new{n}") for n in range(3)}
    return made | new | {"labels.csv": rows + b"new0.png,\nnew1.png,\nnew2.png,\n"}


def utf16_table() -> Folder:
    return table("path;label", "{}.png;i.O.", "{}.png;n.i.O.", encoding="utf-16")()


def several_products() -> Folder:
    files: Files = {}
    for product in ("bottle", "cable"):
        files |= pictures(f"{product}/train/good/{{}}.png", 10)
        files |= pictures(f"{product}/test/good/{{}}.png", 5, 50)
        files |= pictures(f"{product}/test/broken/{{}}.png", 5, 80)
    return {**{f"mvtec/{name}": data for name, data in files.items()}}


def types_by_top_folder() -> Folder:
    files = pictures("bad/scratch/camera1/{}.png", 8) | pictures("bad/dent/camera2/{}.png", 8, 40)
    return {**pictures("good/{}.png", 20), **files}


def masks_beside() -> Folder:
    bad = pictures("bad/images/{}.png", 20) | masks("bad/ground_truth/{}_mask.png", 20)
    return {**pictures("good/{}.png", 20), **bad}


def empty_labels_of_yolo() -> Folder:
    files = dict(yolo())
    return {name: data for name, data in files.items() if data != b""}


def folders_of_voc_in_a_zip() -> Folder:
    files = {name.removeprefix("voc/"): data for name, data in voc().items()}
    images = {name: data for name, data in files.items() if name.endswith(".jpg")}
    notes = {name: data for name, data in files.items() if name.endswith(".xml")}
    assert all(isinstance(data, bytes) for data in files.values())
    return {"images.zip": images, "annotations.zip": notes}  # type: ignore[dict-item]


BOTH = "{normal: {archive: good.zip}, anomaly: {archive: bad.zip}}"
HALF = "split: {train: 50, test: 50}\n"


def counts(*numbers: int) -> dict[tuple[str, str], int]:
    """Return the counts: normal images in train and test, and anomalies."""
    keys = [(label, split) for label in ("normal", "anomaly") for split in ("train", "test")]
    return {key: number for key, number in zip(keys, numbers, strict=True) if number}


LEFT_OUT = frozenset({"left-out"})

LAYOUTS: dict[str, Layout] = {
    "two zips": Layout(two_zips, f"sources: {BOTH}\n{HALF}", counts(15, 15, 15, 15)),
    "one zip, told apart by include": Layout(
        one_zip,
        "sources: {normal: {archive: all.zip, include: '**/good/*'},"
        f" anomaly: {{archive: all.zip, include: '**/bad/*'}}}}\n{HALF}",
        counts(15, 15, 15, 15),
    ),
    "one zip, one image left out": Layout(
        one_zip,
        "sources: {normal: {archive: all.zip, include: '**/good/*', exclude: part/good/007.png},"
        f" anomaly: {{archive: all.zip, exclude: ['**/good/*']}}}}\n{HALF}",
        counts(14, 15, 15, 15),
        findings=LEFT_OUT,
    ),
    "several archives and a glob": Layout(
        several_archives,
        "sources: {normal: {archive: [monday.zip, 'more/*.zip']},"
        f" anomaly: {{archive: bad, include: '*.jpg'}}}}\n{HALF}",
        counts(20, 20, 10, 10),
        findings=LEFT_OUT | {"labels-told-by-camera"},  # good ones are PNG, defective ones JPEG
    ),
    "a folder for each type of defect": Layout(
        by_folder_of_type,
        f"sources: {{normal: {{archive: good}}, anomaly: {{archive: bad, types: folder}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        types={"scratch": 12, "dent": 8},
    ),
    "types by the name": Layout(
        by_folder_of_type,
        "sources: {normal: {archive: good}, anomaly: {archive: bad,"
        f" types: {{pattern: '^(scratch|dent)/'}}}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        types={"scratch": 12, "dent": 8},
    ),
    "one flat folder, labels in the names": Layout(
        flat,
        "sources: {normal: {archive: parts, include: 'ok_*'},"
        f" anomaly: {{archive: parts, include: 'ng_*'}}}}\n{HALF}",
        counts(10, 10, 10, 10),
    ),
    "an archive in an archive": Layout(
        nested,
        "sources: {normal: {archive: all.zip, include: 'good/*'},"
        f" anomaly: {{archive: all.zip, include: 'bad/*'}}}}\n{HALF}",
        counts(10, 10, 10, 10),
    ),
    "masks, some of which fit nothing": Layout(
        shared_masks,
        "sources: {normal: {archive: good.zip}, anomaly: {archive: bad.zip, masks: masks.zip}}\n"
        f"{HALF}",
        counts(10, 10, 10, 10),
        masks=15,
        findings=frozenset({"left-out", "unmatched-masks", "no-mask"}),
    ),
    "what systems leave lying about": Layout(
        junk, f"sources: {BOTH}\n{HALF}", counts(10, 10, 10, 10), findings=LEFT_OUT
    ),
    "own split by folders": Layout(
        own_split,
        "sources: {normal: {archive: set, include: '**/good/*'},"
        " anomaly: {archive: set, include: '**/bad/*'}}\n"
        "split: {from: {train: 'train/**', test: 'test/**'}}\n",
        counts(20, 20, 12, 12),
    ),
    "own split in text files": Layout(
        own_split_in_files,
        "sources: {normal: {archive: set/good}, anomaly: {archive: set/bad}}\n"
        "split: {from: {train: {file: set/train.txt}, test: {file: [set/test.txt]}}}\n",
        counts(20, 10, 16, 8),
    ),
    "Pascal VOC with its sets": Layout(
        voc_with_its_sets,
        "sources: {annotations: {format: pascal-voc, archive: VOC, unmarked: normal}}\n"
        "split: {from: {train: {file: VOC/ImageSets/Main/train.txt},"
        " test: {file: VOC/ImageSets/Main/val.txt}}}\n",
        counts(10, 10, 10, 10),
        types={"crack": 20},
        masks=20,
        findings=LEFT_OUT,
    ),
    "views of one part stay together": Layout(
        grouped,
        "sources: {normal: {archive: good}, anomaly: {archive: bad}}\n"
        "split: {train: 50, test: 50, group: '^(p[0-9]+)_'}\n",
        counts(30, 30, 30, 30),
    ),
    "CSV": Layout(
        table("path,label", "{}.png,ok", "{}.png,ng"),
        f"sources: {{table: {{file: labels.csv, archive: photos}}}}\n{HALF}",
        counts(10, 10, 10, 10),
    ),
    "CSV with semicolons, a byte order mark and types": Layout(
        table(
            "filename;class", "photos\\{}.png;gut", "photos\\{}.png;Kratzer", encoding="utf-8-sig"
        ),
        f"sources: {{table: {{file: labels.csv}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        types={"Kratzer": 20},
        findings=LEFT_OUT | {"words-as-types"},
    ),
    "TSV with 0 and 1": Layout(
        table("image\tis_anomaly", "{}.png\t0", "{}.png\t1", name="labels.tsv"),
        f"sources: {{table: {{file: labels.tsv, archive: photos}}}}\n{HALF}",
        counts(10, 10, 10, 10),
    ),
    "words of one's own": Layout(
        table("path,label", "{}.png,A", "{}.png,X7"),
        "sources: {table: {file: labels.csv, archive: photos,"
        f" labels: {{normal: A, anomaly: X7}}}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        types={"X7": 20},
    ),
    "JSON Lines": Layout(
        table(
            "",
            '{{"path": "{}.png", "label": "good"}}',
            '{{"path": "{}.png", "label": "dent"}}',
            name="labels.jsonl",
        ),
        f"sources: {{table: {{file: labels.jsonl, archive: photos}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        types={"dent": 20},
        findings=frozenset({"words-as-types"}),
    ),
    "an array of JSON": Layout(
        table_of_json,
        f"sources: {{table: {{file: labels.json, archive: photos}}}}\n{HALF}",
        counts(10, 10, 10, 10),
    ),
    "CSV with split, types, masks and groups": Layout(
        table_with_masks,
        "sources: {table: {file: labels.csv, archive: photos}}\n",
        counts(10, 10, 10, 10),
        types={"hole": 20},
        masks=20,
    ),
    "MVTec AD": Layout(
        mvtec,
        "sources: {layout: {name: mvtec-ad, archive: bottle.zip}}\n",
        counts(20, 10, 0, 16),
        types={"broken_large": 10, "contamination": 6},
        masks=16,
        findings=LEFT_OUT,
    ),
    "MVTec AD, divided anew": Layout(
        mvtec,
        f"sources: {{layout: {{name: mvtec-ad, archive: bottle.zip}}}}\n{HALF}",
        counts(15, 15, 8, 8),
        types={"broken_large": 10, "contamination": 6},
        masks=16,
        findings=LEFT_OUT,
    ),
    "VisA": Layout(
        visa,
        "sources: {layout: {name: visa, archive: VisA.zip}}\n",
        counts(12, 8, 0, 12),
        masks=12,
    ),
    "DAGM, ten classes": Layout(
        dagm_ten,
        "sources: {layout: {name: dagm, archive: Class1.zip}}\n",
        counts(10, 10, 10, 10),
        masks=20,
    ),
    "DAGM, as in the tutorial": Layout(
        dagm_tutorial,
        f"sources: {{layout: {{name: dagm, archive: dagm.zip}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        findings=frozenset({"junk"}),
    ),
    "KolektorSDD": Layout(
        kolektor,
        f"sources: {{layout: {{name: kolektor, archive: KolektorSDD.zip}}}}\n{HALF}",
        counts(30, 30, 10, 10),
        masks=20,
    ),
    "KolektorSDD2": Layout(
        kolektor_two,
        "sources: {layout: {name: kolektor, archive: KSDD2.zip}}\n",
        counts(16, 10, 8, 6),
        masks=14,
    ),
    "COCO": Layout(
        coco,
        "sources: {annotations: {format: coco, file: instances.json, archive: photos}}\n" + HALF,
        counts(10, 10, 10, 10),
        types={"scratch": 10, "dent": 10},
        masks=20,
        findings=LEFT_OUT,
    ),
    "COCO of text ids": Layout(
        coco_of_text_ids,
        "sources: {annotations: {format: coco, file: instances.json, archive: photos}}\n" + HALF,
        counts(10, 10, 10, 10),
        types={"scratch": 10, "dent": 10},
        masks=20,
        findings=LEFT_OUT,
    ),
    "COCO, all that is not marked is normal": Layout(
        coco,
        "sources: {annotations: {format: coco, file: instances.json, archive: photos,"
        f" unmarked: normal, labels: {{normal: dent}}}}}}\n{HALF}",
        counts(17, 18, 5, 5),
        types={"scratch": 10},
        masks=10,
    ),
    "COCO with marks that are no defects": Layout(
        coco_of_odd_classes,
        "sources: {annotations: {format: coco, file: instances.json, archive: photos}}\n" + HALF,
        counts(15, 15, 5, 5),
        masks=10,
        findings=LEFT_OUT,
    ),
    "COCO, cut and fitted": Layout(
        coco,
        "sources: {annotations: {format: coco, file: instances.json, archive: photos}}\n"
        f"{HALF}images: {{region: [8, 8, 48, 48], resize: {{size: 128x64, fit: contain}}}}\n",
        counts(10, 10, 10, 10),
        types={"scratch": 10, "dent": 10},
        masks=20,
        findings=LEFT_OUT | {"small-region"},
    ),
    "COCO among the images, with its split": Layout(
        coco_split,
        "sources: {annotations: {format: coco, archive: set}}\nsplit: {from: source}\n",
        counts(12, 12, 12, 12),
        types={"scratch": 24},
        masks=24,
    ),
    "YOLO": Layout(
        yolo,
        "sources: {annotations: {format: yolo, archive: set}}\n",
        counts(12, 12, 12, 12),
        types={"scratch": 12, "dent": 12},
        masks=24,
    ),
    "YOLO in folders of other names": Layout(
        yolo_of_other_folders,
        "sources: {annotations: {format: yolo, archive: set}}\n",
        counts(12, 12, 12, 12),
        types={"scratch": 12, "dent": 12},
        masks=24,
    ),
    "YOLO, photographs and labels apart": Layout(
        yolo_apart,
        "sources: {annotations: {format: yolo, file: [labels, data.yaml], archive: photos}}\n"
        f"{HALF}",
        counts(12, 12, 12, 12),
        types={"scratch": 12, "dent": 12},
        masks=24,
        findings=frozenset({"changed-format"}),
    ),
    "Pascal VOC": Layout(
        voc,
        f"sources: {{annotations: {{format: pascal-voc, archive: voc, unmarked: normal}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        types={"crack": 20},
        masks=20,
    ),
    "LabelMe": Layout(
        labelme,
        f"sources: {{annotations: {{format: labelme, archive: lm, unmarked: normal}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        types={"scratch": 20},
        masks=20,
    ),
    "CVAT": Layout(
        cvat,
        "sources: {annotations: {format: cvat, file: annotations.xml, archive: photos}}\n" + HALF,
        counts(10, 10, 10, 10),
        types={"hole": 20},
        masks=20,
    ),
    "Label Studio, words for whole images": Layout(
        label_studio,
        "sources: {annotations: {format: label-studio, file: export.json, archive: photos}}\n"
        + HALF,
        counts(10, 10, 10, 10),
    ),
    "a tar with links, inside and out": Layout(
        tar_with_links,
        f"sources: {{normal: {{archive: good.tar.gz}}, anomaly: {{archive: bad.zip}}}}\n{HALF}",
        counts(10, 11, 10, 10),
        findings=LEFT_OUT | {"copies-in-test"},  # a link is a copy
    ),
    "a zip of PowerShell 5.1": Layout(
        backslashes,
        "sources: {normal: {archive: all.zip, include: 'parts/good/*'},"
        f" anomaly: {{archive: all.zip, include: 'parts/bad/*'}}}}\n{HALF}",
        counts(10, 10, 10, 10),
    ),
    "a zip of a Japanese Windows": Layout(
        japanese,
        "sources: {normal: {archive: all.zip, include: '良品/*'},"
        f" anomaly: {{archive: all.zip, include: '不良/*'}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        findings=frozenset({"guessed-encoding"}),
    ),
    "a zip whose encoding is declared": Layout(
        japanese,
        "sources: {normal: {archive: all.zip, include: '良品/*', encoding: shift_jis},"
        " anomaly: {archive: all.zip, include: '不良/*', encoding: shift_jis}}\n" + HALF,
        counts(10, 10, 10, 10),
    ),
    "BMP, TIFF, WebP and JPEG": Layout(
        other_formats,
        f"sources: {BOTH}\n{HALF}",
        counts(10, 10, 10, 10),
        findings=frozenset({"changed-format", "labels-told-by-camera", "mixed-modes"}),
    ),
    "new photographs beside both labels": Layout(
        unlabelled_beside,
        "sources: {normal: {archive: set, include: 'good/*'},"
        " anomaly: {archive: set, include: 'bad/*'}}\n"
        f"{HALF}evaluate: {{images: 'new/*'}}\n",
        counts(10, 10, 10, 10),
        unlabelled=5,
    ),
    "a table with rows to judge": Layout(
        table_to_judge,
        f"sources: {{table: {{file: labels.csv, archive: photos}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        unlabelled=3,
        findings=frozenset({"rows-without-label"}),
    ),
    "a table of Excel in UTF-16, in German": Layout(
        utf16_table,
        f"sources: {{table: {{file: labels.csv, archive: photos}}}}\n{HALF}",
        counts(10, 10, 10, 10),
    ),
    "a table of which one image is excluded": Layout(
        table("path,label", "{}.png,ok", "{}.png,ng"),
        f"sources: {{table: {{file: labels.csv, archive: photos, exclude: 7.png}}}}\n{HALF}",
        counts(9, 10, 10, 10),
        findings=LEFT_OUT,
    ),
    "two products of MVTec AD in one folder": Layout(
        several_products,
        "sources: {layout: {name: mvtec-ad, archive: mvtec}}\n",
        counts(20, 10, 0, 10),
        types={"broken": 10},
        findings=frozenset({"several-products"}),
    ),
    "one of two products": Layout(
        several_products,
        "sources: {layout: {name: mvtec-ad, archive: mvtec, include: 'cable/**'}}\n",
        counts(10, 5, 0, 5),
        types={"broken": 5},
        findings=LEFT_OUT,
    ),
    "types by the topmost folder": Layout(
        types_by_top_folder,
        "sources: {normal: {archive: good}, anomaly: {archive: bad, types: {folder: 1}}}\n" + HALF,
        counts(10, 10, 8, 8),
        types={"scratch": 8, "dent": 8},
    ),
    "masks beside the images": Layout(
        masks_beside,
        f"sources: {{normal: {{archive: good}}, anomaly: {{archive: bad, masks: bad}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        masks=20,
    ),
    "masks that nobody asked for": Layout(
        masks_beside,
        f"sources: {{normal: {{archive: good}}, anomaly: {{archive: bad}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        findings=LEFT_OUT,
    ),
    "YOLO without files for clean images": Layout(
        empty_labels_of_yolo,
        f"sources: {{annotations: {{format: yolo, archive: set, unmarked: normal}}}}\n{HALF}",
        counts(12, 12, 12, 12),
        types={"scratch": 12, "dent": 12},
        masks=24,
    ),
    "Pascal VOC in two zips": Layout(
        folders_of_voc_in_a_zip,
        "sources: {annotations: {format: pascal-voc, file: annotations.zip, archive: images.zip,"
        f" unmarked: normal}}}}\n{HALF}",
        counts(10, 10, 10, 10),
        types={"crack": 20},
        masks=20,
    ),
    "views of one part, by a column": Layout(
        table_with_masks,
        "sources: {table: {file: labels.csv, archive: photos}}\n" + HALF,
        counts(10, 10, 10, 10),
        types={"hole": 20},
        masks=20,
    ),
}
