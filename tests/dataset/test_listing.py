"""Tables that people keep beside their photographs, and published layouts, as rows."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lfvpipe.config.schema import schema_file
from lfvpipe.dataset.layouts import rows_of
from lfvpipe.dataset.listing import COLUMNS, ListingError, Row, column_of, read_table
from lfvpipe.dataset.naming import NameFinder, match_rows, shared_top
from lfvpipe.dataset.words import meaning_of

if TYPE_CHECKING:
    from pathlib import Path


def plain(rows: tuple[Row, ...]) -> list[tuple[object, ...]]:
    return [(r.path, r.label, r.split, r.type, r.mask, r.group) for r in rows]


TABLES = [
    (
        "labels.csv",
        "path,label,split,type,group\na.png,good,train,,p1\nb.png,bad,test,dent,p2\n",
    ),
    (
        "labels.csv",
        "File;Status;Set;Defect type;Part ID\r\na.png;OK;Train;;p1\r\n\r\nb.png;NG;val;dent;p2",
    ),
    (
        "labels.tsv",
        (
            "image\tlabel\tsplit\tdefect_type\tgroup\n"
            "a.png\tgut\ttrain\t\tp1\nb.png\tschlecht\ttest\tdent\tp2\n"
        ),
    ),
    (
        "labels.csv",
        "path,is_anomaly,split,type,group\na.png,0,train,,p1\nb.png,1,test,dent,p2\n",
    ),
    (
        "labels.csv",
        "# made by hand\npath,class,split,group\na.png,i.O.,train,p1\n.\\b.png,dent,test,p2\n",
    ),
    (
        "labels.jsonl",
        (
            '{"path": "a.png", "label": "normal", "split": "train", "group": "p1"}\n\n'
            '{"image": "b.png", "label": "anomaly", "type": "dent", "split": "test", "group": "p2",'
            ' "mask": null}\n'
        ),
    ),
]


@pytest.mark.parametrize(("name", "text"), TABLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_says_what_each_image_is(name: str, text: str, encoding: str) -> None:
    assert plain(read_table(name, text.encode(encoding)).rows) == [
        ("a.png", "normal", "train", "", "", "p1"),
        ("b.png", "anomaly", "test", "dent", "", "p2"),
    ]


@pytest.mark.parametrize(("no", "yes"), [("no", "YES"), ("False", "True"), ("0.0", "1.0")])
def test_whether_an_image_is_defective_is_said_in_the_words_of_spreadsheets(
    no: str, yes: str
) -> None:
    rows = read_table("l.csv", f"Datei;is_defective\na.png;{no}\nb.png;{yes}\n".encode()).rows
    assert [row.label for row in rows] == ["normal", "anomaly"]


def test_an_image_whose_name_begins_like_a_comment_is_no_comment() -> None:
    rows = read_table("l.csv", b"# list\npath,label\n#1.png,ok\n# second half\nb.png,ng\n").rows
    assert [row.path for row in rows] == ["#1.png", "b.png"]


def test_a_declared_encoding_is_not_guessed_at() -> None:
    text = "path,label\n\u5212\u75d5.png,ok\nb.png,ng\n".encode("gbk")
    told = read_table("l.csv", text, encoding="gbk")
    assert (told.rows[0].path, told.guess) == ("\u5212\u75d5.png", "")
    unicode = read_table("l.csv", "path,label\n\u00e4.png,ok\n".encode(), encoding="gbk")
    assert unicode.rows[0].path == "\u00e4.png"  # which is sure where it is UTF-8


def test_absolute_paths_of_images_and_masks_are_told_by_what_follows_their_folder() -> None:
    text = (
        b"path,label,mask\n"
        b"C:\\fotos\\monday\\a.png,ok,\n"
        b"C:\\fotos\\friday\\a.png,ng,C:\\masks\\friday\\a.png\n"
        b"C:\\fotos\\sunday\\a.png,ng,\n"
    )
    rows = read_table("l.csv", text).rows
    finder = NameFinder(["x/monday/a.png", "x/friday/a.png"])
    matches = match_rows(rows, finder)
    assert matches.by_name == {"x/monday/a.png": rows[0], "x/friday/a.png": rows[1]}
    assert matches.lacking == ("C:/fotos/sunday/a.png",)  # not the other days'
    assert len(matches.absolute) == 2
    masks = NameFinder(["m/a.png"])
    assert shared_top(row.mask for row in rows) == "C:/masks/friday/"
    assert masks.find_below(rows[1].mask, "l.csv:3", "C:/masks/friday/") == "m/a.png"


def test_an_absolute_path_into_the_folder_itself_is_that_file(tmp_path: Path) -> None:
    finder = NameFinder(["a.png", "photos/a.png"], tmp_path)
    assert finder.find(f"{tmp_path.as_posix()}/a.png", "l.csv:2") == "a.png"


def test_words_of_ones_own_are_mapped() -> None:
    rows = read_table("l.csv", b"path,label\na,1\nb,0\n", {"1": "normal", "0": "anomaly"}).rows
    assert [row.label for row in rows] == ["normal", "anomaly"]


def test_an_image_without_a_label_is_one_to_judge() -> None:
    assert read_table("l.csv", b"path,label\na.png,\n").rows[0].label is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "l.csv: lists no image"),
        (b"name of it,label\na,ok\n", "l.csv:1: names no column `path`"),
        (b"path,file,label\na,a,ok\n", "l.csv:1: several columns could be the path: path, file"),
        (b"path,is_defective\na.png,maybe\n", "l.csv:2: maybe does not say whether"),
        (b"path,label\na.png,1\n", "l.csv:2: the label 1 is neither"),
        (b"path,label,type\na.png,dent,\n", "l.csv:2: the label dent is neither"),
        (b"path,label\na.png,ok\nb.png,to check\n", "l.csv:3: the label to check is neither"),
        (b"path,label\na.png,ok\nb.png,unklar\n", "l.csv:3: the label unklar is neither"),
        (b"path,label\na.png,ok\n\na.png,ng\n", "l.csv:4: a.png is listed a second time"),
        (
            b"path,label,folder\na.png,ok,x\na.png,ng,x\n",
            "l.csv:3: a.png is listed a second time",
        ),
        (b"path,label\na,b.png,ok\n", "l.csv:2: has 3 cells"),
        (b"path,label\n../a.png,ok\n", "l.csv:2: ../a.png leads out"),
        (b"path,label,split\na.png,ok,third\n", "l.csv:2: the split third is neither"),
        (b'path,label\n"a.png,ok\n', "l.csv:2: is no line of a table"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: bytes, said: str) -> None:
    with pytest.raises(ListingError, match=said.replace("?", r"\?")):
        read_table("l.csv", text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "Nr;Aufnahme;Befund;label\n1;a, b.png;ok;x\n2;c.png;ng;y\n"),
        (
            "l.csv",
            "Nr,AUFNAHME ,befund,status\n1,'a, b.png',ok,x\n2,c.png,ng,y\n".replace("'", '"'),
        ),
        (
            "l.jsonl",
            '{"Aufnahme": "a, b.png", "Befund": "ok"}\n{"Befund": "ng", "Aufnahme": "c.png"}',
        ),
    ],
)
def test_columns_are_called_as_the_user_says(name: str, text: str) -> None:
    columns = {"path": "Aufnahme", "label": "Befund"}
    rows = read_table(name, text.encode(), columns=columns).rows
    assert [(row.path, row.label) for row in rows] == [("a, b.png", "normal"), ("c.png", "anomaly")]


def test_each_column_of_a_table_has_a_key_and_known_names() -> None:
    schema = json.loads(schema_file("pipeline").read_text("utf-8"))
    table = schema["properties"]["sources"]["properties"]["table"]["properties"]
    assert tuple(table["columns"]["properties"]) == COLUMNS
    for column in COLUMNS:
        assert column_of(column) == column


@pytest.mark.parametrize("name", ["l.csv", "l.jsonl"])
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"path": "gone"},
            "names no column gone, which is said to hold the path; it names file, x",
        ),
        ({"path": "x", "label": "x"}, "The column x is said to hold several things"),
        ({"mask": "m"}, "names no column m, which is said to hold the mask"),
    ],
)
def test_a_column_that_is_not_there_is_named(name: str, columns: dict[str, str], said: str) -> None:
    data = b'{"file": "a.png", "x": "ok"}' if name == "l.jsonl" else b"file,x\na.png,ok\n"
    with pytest.raises(ListingError, match=said):
        read_table(name, data, columns=columns)


@given(
    st.sampled_from(["l.csv", "l.tsv", "l.jsonl", "l.json"]),
    st.binary(max_size=200) | st.text().map(str.encode),
)
def test_no_bytes_are_a_traceback(name: str, data: bytes) -> None:
    with contextlib.suppress(ListingError):
        read_table(name, data)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("good", "normal"), ("OK", "normal"), ("Gut-Teile", "normal"), ("i.O.", "normal"),
        ("n.i.O.", "anomaly"), ("NG", "anomaly"), ("not_ok", "anomaly"),
        ("in Ordnung", "normal"), ("In_Ordnung", "normal"), ("nicht in Ordnung", "anomaly"),
        ("Class3_def", "anomaly"),
        ("no_defect", "normal"), ("defect-free", "normal"), ("NotGood", "anomaly"),
        ("良品", "normal"), ("不良", "anomaly"), ("Défauts", "anomaly"), ("ground_truth", "mask"),
        ("De\u0301faut", "anomaly"), ("I\u0307YI\u0307", "normal"), ("i\u0307yi\u0307", "normal"),
        ("hatas\u0131z", "normal"), ("HATALI", "anomaly"),
        ("scratch", None), ("Texture", None), ("dent", None), ("goodyear", None), ("", None),
    ],
)  # fmt: skip
def test_words_mean_what_inspectors_mean(name: str, meaning: str | None) -> None:
    assert meaning_of(name) == meaning


def refuse(name: str) -> bytes:
    raise AssertionError(f"{name} need not be read")


def test_mvtec_ad() -> None:
    names = [
        "bottle/train/good/000.png", "bottle/test/good/000.png", "bottle/test/broken/000.png",
        "bottle/ground_truth/broken/000_mask.png", "bottle/license.txt",
    ]  # fmt: skip
    assert plain(tuple(rows_of("mvtec-ad", names, refuse))) == [
        ("bottle/test/broken/000.png", "anomaly", "test", "broken",
         "bottle/ground_truth/broken/000_mask.png", ""),
        ("bottle/test/good/000.png", "normal", "test", "", "", ""),
        ("bottle/train/good/000.png", "normal", "train", "", "", ""),
    ]  # fmt: skip


def test_visa_with_its_published_split() -> None:
    names = [
        "VisA/pcb1/Data/Images/Normal/000.JPG", "VisA/pcb1/Data/Images/Anomaly/000.JPG",
        "VisA/pcb1/Data/Masks/Anomaly/000.png", "VisA/split_csv/1cls.csv",
    ]  # fmt: skip
    table = (
        b"object,split,label,image,mask\n"
        b"pcb1,train,normal,pcb1/Data/Images/Normal/000.JPG,\n"
        b"pcb1,test,anomaly,pcb1/Data/Images/Anomaly/000.JPG,pcb1/Data/Masks/Anomaly/000.png\n"
    )
    assert plain(tuple(rows_of("visa", names, lambda _: table))) == [
        (names[1], "anomaly", "test", "", names[2], ""),
        (names[0], "normal", "train", "", "", ""),
    ]


def test_dagm_in_both_layouts() -> None:
    names = ["Class1/Train/0001.PNG", "Class1/Train/0002.PNG", "Class1/Train/Label/0002_label.PNG"]
    assert plain(tuple(rows_of("dagm", names, refuse))) == [
        (names[0], "normal", "train", "", "", ""),
        (names[1], "anomaly", "train", "", names[2], ""),
    ]
    old = ["Class3/1.png", "Class3_def/1.png", "Class3_def/labels.txt"]
    found = [(row.path, row.label) for row in rows_of("dagm", old, refuse)]
    assert found == [("Class3/1.png", "normal"), ("Class3_def/1.png", "anomaly")]


def test_kolektor_is_told_by_what_the_masks_mark() -> None:
    def mask(name: str) -> bytes:
        image = Image.new("L", (8, 8))
        if "Part1" in name or "7_GT" in name:
            image.putpixel((3, 3), 255)
        buffer = io.BytesIO()
        image.save(buffer, "BMP")
        return buffer.getvalue()

    names = ["kos01/Part0.jpg", "kos01/Part0_label.bmp", "kos01/Part1.jpg", "kos01/Part1_label.bmp"]
    assert plain(tuple(rows_of("kolektor", names, mask))) == [
        ("kos01/Part0.jpg", "normal", None, "", "", "kos01"),
        ("kos01/Part1.jpg", "anomaly", None, "", "kos01/Part1_label.bmp", "kos01"),
    ]
    second = ["train/7.png", "train/7_GT.png", "test/8.png", "test/8_GT.png"]
    assert [(r.label, r.split) for r in rows_of("kolektor", second, mask)] == [
        ("normal", "test"), ("anomaly", "train"),
    ]  # fmt: skip


def test_an_archive_of_another_layout_is_refused() -> None:
    with pytest.raises(ListingError, match="laid out as mvtec-ad"):
        rows_of("mvtec-ad", ["photos/a.png"], refuse)
