"""Tables as people have them: `init`, `validate` and a run read or refuse them alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lfvpipe.cli.main import main
from tests.end_to_end.layouts import own_split_in_files, picture, pictures, write
from tests.end_to_end.test_layouts import outcome

if TYPE_CHECKING:
    from pathlib import Path

GOOD, BAD = 14, 12
NAMES = [f"{number:03}.png" for number in range(GOOD + BAD)]


def table(
    pattern: str, head: str = "path,label", good: str = "ok", bad: str = "ng", separator: str = ","
) -> str:
    """Return a table of all images, `{}` in the pattern the name of one."""
    rows = [
        f"{pattern.format(name)}{separator}{good if at < GOOD else bad}"
        for at, name in enumerate(NAMES)
    ]
    return "\n".join([head, *rows]) + "\n"


# Name: the table, in what, what is said to init, and what check finds.
READ: dict[str, tuple[str, str, list[str], set[str]]] = {
    "cp1252, as Excel saves": (
        table("{}", "Datei;Prüfergebnis;Status", "°C · ü;gut", "é;schlecht", ";"),
        "cp1252",
        [],
        {"guessed-encoding"},
    ),
    "UTF-16 without its mark": (table("{}"), "utf-16-le", [], set()),
    "UTF-16, tabs, as Excel's Unicode text": (
        table("{}", "path\tlabel", separator="\t"),
        "utf-16",
        [],
        set(),
    ),
    "the code page of a Chinese Windows": (
        table("{}", "path,label", "良品", "不良品"),
        "gbk",
        [],
        {"guessed-encoding"},
    ),
    "Excel's first line": (
        "sep=;\r\n" + table("{}", "path;label", separator=";"),
        "utf-8",
        [],
        set(),
    ),
    "Excel's first line of another separator": (
        "sep=|\n" + table("{}", "path|label", separator="|"),
        "utf-8",
        [],
        set(),
    ),
    "quoted, separators in names of columns": (
        table('"{}"', 'path;"size, in mm";label', '"1,5";ok', '"2,5";ng', ";"),
        "utf-8",
        [],
        set(),
    ),
    "decimal commas": (table("{}", "path;is_anomaly", "0,0", "1,0", ";"), "utf-8", [], set()),
    "a name of commas for another column": (
        table("{}", "file;a,b,c;label", "1;ok", "2;ng", ";"),
        "utf-8",
        [],
        set(),
    ),
    "paths of another machine": (table("/data/line 3/{}"), "utf-8", [], {"absolute-paths"}),
    "paths of Windows": (table(r"C:\fotos\{}"), "utf-8", [], {"absolute-paths"}),
    "paths of a share": (table(r"\\server\fotos\{}"), "utf-8", [], {"absolute-paths"}),
    "another word for the label": (
        table("{}", "file,decision", "pass", "reject"),
        "utf-8",
        [],
        set(),
    ),
    "words of one's own": (
        table("{}", good="A", bad="B"),
        "utf-8",
        ["--normal", "A", "--anomaly", "B"],
        set(),
    ),
    "columns in French": (
        table("{}", "Nom de fichier;Résultat", "Conforme", "Non conforme", ";"),
        "cp1252",
        [],
        {"guessed-encoding"},
    ),
    "columns in Spanish": (table("{}", "Imagen;Resultado", separator=";"), "utf-8", [], set()),
    "columns in Polish": (table("{}", "Plik;Wynik", separator=";"), "utf-8", [], set()),
    "types of defects": (table("{}", bad="dent"), "utf-8", [], {"words-as-types"}),
}


@pytest.mark.parametrize("name", READ)
def test_a_table_is_read_as_people_have_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, encoding, said, findings = READ[name]
    write(tmp_path, {"labels.csv": text.encode(encoding), **pictures("photos/{}.png", GOOD + BAD)})
    monkeypatch.chdir(tmp_path)
    assert main(["init", "photos", "labels.csv", *said, "--json"]) == 0, capsys.readouterr().err
    told = json.loads(capsys.readouterr().out)
    assert (told["normal"], told["anomaly"]) == (GOOD, BAD)
    assert main(["validate"]) == 0, capsys.readouterr()
    assert main(["run", "--until", "check"]) == 0, capsys.readouterr().err
    codes = {finding.code for finding in outcome(tmp_path)[1]}
    assert codes & {"guessed-encoding", "absolute-paths", "words-as-types"} == findings


# Name: the table, and what is said of it by whoever reads it.
REFUSED: dict[str, tuple[str, str]] = {
    "no column says what images are": (
        table("{}", "image;defect", "", "dent", ";"),
        "labels.csv:1: no column says what the images are; the columns are image, defect.",
    ),
    "grades": (
        table("{}", good="A", bad="B"),
        "labels.csv: no image is called good; unknown words among the labels are A (14), B (12).",
    ),
    "numbers": (
        table("{}", good="0", bad="1"),
        "labels.csv:2: the label 0 is neither normal nor anomaly, nor is 1.",
    ),
    "a word of nobody's decision": (
        table("{}") + "999.png,to check\n",
        "labels.csv:28: the label to check is neither normal nor anomaly.",
    ),
    "an image twice": (
        table("{}") + "003.png,ng\n",
        "labels.csv:28: 003.png is listed a second time.",
    ),
    "an image under two names": (
        table("{}") + "photos/003.png,ng\n",
        "labels.csv:5 and labels.csv:28: both rows are about 003.png, as normal and as anomaly.",
    ),
    "a name of several images": (
        table("{}").replace("003.png", "/data/twice.png"),
        "labels.csv:5: twice.png could be any of",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_cannot_be_used_is_refused_alike(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = REFUSED[name]
    photos = pictures("photos/{}.png", GOOD + BAD)
    if "twice.png" in text:
        photos |= {f"photos/{day}/twice.png": picture(day) for day in ("monday", "friday")}
    write(tmp_path, {"labels.csv": text.encode(), **photos})
    monkeypatch.chdir(tmp_path)
    assert main(["init", "photos", "labels.csv"]) != 0
    assert said in capsys.readouterr().err
    (tmp_path / "pipeline.yaml").write_text(
        "sources: {table: {file: labels.csv, archive: photos}}\n", encoding="utf-8"
    )
    assert main(["validate"]) == 3
    assert said in capsys.readouterr().out
    assert main(["run", "--until", "check"]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_words_of_a_table_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = table("{}").replace("003.png,ok", "003.png,to check")
    write(tmp_path, {"labels.csv": text.encode(), **pictures("photos/{}.png", GOOD + BAD)})
    monkeypatch.chdir(tmp_path)
    assert main(["init", "photos", "labels.csv"]) == 3
    assert "--leave-out 'to check' if it is neither" in capsys.readouterr().err
    assert main(["init", "photos", "labels.csv", "--leave-out", "to check", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["normal"], told["anomaly"]) == (GOOD - 1, BAD)
    assert "1 image that the table calls to check, as you said" in told["left_out"]
    assert main(["validate"]) == 0
    assert main(["run", "--until", "check"]) == 0
    assert "1 .png that the table calls to check, which `labels` says" in capsys.readouterr().err


def test_a_table_with_a_fault_beside_sorted_folders_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        tmp_path,
        {
            "labels.csv": b"path,label\n001.png,ok\n001.png,ng\n",
            "sizes.csv": b"machine,size\n1,2\n",
            "machines.csv": b"name,size\nPress,2\n",
            "notes.csv": b"name,remark\n001.png,dark\n",
            **pictures("good/{}.png", 30),
            **pictures("bad/{}.png", 20, 100),
        },
    )
    monkeypatch.chdir(tmp_path)
    assert main(["init", "."]) == 0
    told = capsys.readouterr().out
    assert "a table: labels.csv:3: 001.png is listed a second time." in told
    assert "a table: notes.csv:1: no column says what the images are" in told
    assert "sizes.csv" not in told
    assert "machines.csv" not in told


def test_a_list_of_a_split_that_changes_divides_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, own_split_in_files())
    monkeypatch.chdir(tmp_path)
    assert main(["init", "set"]) == 0
    assert "the division into train and test is kept as it is" in capsys.readouterr().out
    assert main(["run", "--until", "select"]) == 0
    assert main(["run", "--until", "select"]) == 0
    assert "nothing changed" in capsys.readouterr().out
    tests = tmp_path / "set" / "test.txt"
    tests.write_text(tests.read_text("utf-8") + "\nnowhere.png\n", encoding="utf-8")
    assert main(["run", "--until", "select"]) == 0
    told = capsys.readouterr().err
    assert "split.from: 1 name in text files of no image, such as nowhere.png" in told


def test_a_workbook_is_to_be_saved_as_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {"p/l.xlsx": {"xl/workbook.xml": b"<x/>"}, **pictures("p/ok/{}.png", 20)})
    write(tmp_path, pictures("p/ng/{}.png", 12, 50))
    monkeypatch.chdir(tmp_path)
    assert main(["init", "p"]) == 0
    assert "a table: l.xlsx: this is a workbook, which is not read." in capsys.readouterr().out
    assert main(["init", "p", "p/l.xlsx", "--force"]) != 0
    assert "Save its sheet as CSV UTF-8" in capsys.readouterr().err
    (tmp_path / "pipeline.yaml").write_text("sources: {table: {file: p/l.xlsx, archive: p}}\n")
    assert main(["validate"]) == 3
    assert "this is a workbook" in capsys.readouterr().out
