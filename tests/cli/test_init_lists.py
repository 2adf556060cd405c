"""What lists the images counts, also beside what the user says of folders and files."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.config import load
from tests.end_to_end.layouts import pictures, write

if TYPE_CHECKING:
    from pathlib import Path

GOOD, BAD = 14, 12


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a table, which denies two of the folders' names; the working one."""
    files = pictures("p/OK/{}.png", GOOD) | pictures("p/NG/{}.png", BAD, 50)
    rows = [f"OK/{n:03}.png,ok" for n in range(GOOD)]
    rows += [f"NG/{n:03}.png,{'ok' if n < 52 else 'ng'}" for n in range(50, 50 + BAD)]
    table = "\n".join(["path,label", *rows]).encode()
    write(tmp_path, {**files, **pictures("p/old/{}.png", 5, 80), "p/labels.csv": table})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("more", [[], ["p/labels.csv"]])
@pytest.mark.parametrize(
    ("away", "good", "excluded"),
    [
        (["old"], 16, ()),
        (["p/old"], 16, ()),
        (["NG/050.png"], 15, ("NG/050.png",)),
        (["OK/00*", "old"], 6, tuple(f"OK/{n:03}.png" for n in range(10))),
    ],
)
def test_a_table_counts_though_images_are_left_out(
    more: list[str], away: list[str], good: int, excluded: tuple[str, ...], here: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("init", "p", *more, "--leave-out", *away, "--json")
    assert said.code == 0, said.err
    assert said.json["layout"] == "a table, labels.csv"
    assert (said.json["normal"], said.json["anomaly"]) == (good, BAD - 2)
    assert any("by --leave-out" in line for line in said.json["left_out"])
    listed = load(here / "pipeline.yaml").pipeline.sources.listed
    assert listed is not None
    assert set(excluded) <= set(listed.exclude)
    checked = lfvpipe("validate")
    assert checked.code == 0, checked.err
    assert f"{good} images" in checked.out


def _table(here: Path, head: str, *, words: tuple[str, str] = ("ok", "ng"), more: str = "") -> None:
    rows = [f"OK/{n:03}.png;{words[0]};{n}{more}" for n in range(GOOD)]
    rows += [f"NG/{n:03}.png;{words[1]};{n}{more}" for n in range(50, 50 + BAD)]
    (here / "p/labels.csv").write_text("\n".join([head, *rows]), encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Aufnahme: taken for the path, by what is in it"),
        (["--column", "path=Aufnahme"], "column Sicht: taken for the label, by what is in it"),
        (["--column", "path=Aufnahme", "label=Sicht"], ""),
    ],
)
def test_columns_of_unknown_names_are_said_or_told_by_what_is_in_them(
    words: list[str], told: str, here: Path, lfvpipe: Any
) -> None:
    _table(here, "Aufnahme;Sicht;Nr")
    said = lfvpipe("init", "p", *words)
    assert said.code == 0, said.err
    assert told in said.out
    assert ("taken for" in said.out) == bool(told)
    written = (here / "pipeline.yaml").read_text()
    assert "    columns:\n      path: Aufnahme\n      label: Sicht\n" in written
    assert ("# Told by what is in the columns: " in written) == bool(told)
    assert lfvpipe("run", "--until", "select").code == 0


@pytest.mark.parametrize(
    ("head", "more", "words", "said"),
    [
        ("Aufnahme;Sicht;Nr;x", ";{}.png", [], "--column path=NAME"),  # two columns of images
        ("file;A;Nr;x", ";ok", [], "--column label=NAME, or is_anomaly=NAME"),
        ("file;A;Nr;x", ";gut", ["--column", "label=B"], "names no column B, which is said to"),
        ("file;file name;Nr", "", [], "Say which one it is: --column path=NAME."),
        ("file;label;Nr", "", ["--column", "pfad=file"], "Write WHAT=NAME, such as path=Aufnahme"),
        ("file;label;Nr", "", ["--column", "path"], "Write WHAT=NAME, such as path=Aufnahme"),
    ],
)
def test_columns_that_could_be_several_are_asked_for(
    head: str, more: str, words: list[str], said: str, here: Path, lfvpipe: Any
) -> None:
    _table(here, head, words=("A1", "B2") if head.startswith("file;A") else ("ok", "ng"))
    file = here / "p/labels.csv"
    if more:
        lines = file.read_text().splitlines()
        rest = [line + (f";{line.split(';')[0]}" if "{}" in more else more) for line in lines[1:]]
        file.write_text("\n".join([lines[0], *rest]))
    refused = lfvpipe("init", "p", "p/labels.csv", *words)
    assert refused.code in (1, 3), refused.out
    assert said in refused.err


def _export_with_tags(here: Path, tag: str) -> None:
    (here / "p/labels.csv").unlink()
    tags = {f"OK/{n:03}.png": "good" for n in range(GOOD)}
    tags |= {f"NG/{n:03}.png": tag if n < 55 else "defect" for n in range(50, 50 + BAD)}
    images = "".join(
        f'<image id="{n}" name="{name}" width="64" height="64"><tag label="{tag}"/></image>'
        for n, (name, tag) in enumerate(tags.items())
    )
    text = f"<annotations><version>1.1</version>{images}</annotations>"
    (here / "a.xml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("is_export", [False, True], ids=["table", "export"])
def test_words_of_known_types_of_defects_are_told(
    is_export: bool, here: Path, lfvpipe: Any
) -> None:
    if is_export:
        _export_with_tags(here, "deep scratch")
    else:
        _table(here, "path;label;x", words=("ok", "deep scratch"))
    said = lfvpipe("init", "p", *(["a.xml"] if is_export else []))
    assert "  taken for types of defects, by what they are called: deep scratch\n" in said.out
    written = (here / "pipeline.yaml").read_text()
    assert "# Types of defects, by what they are called: deep scratch." in written
    assert 'labels: {normal: ["deep scratch"]}' in written
    ran = lfvpipe("run", "--until", "select")
    assert "count as types of defects: deep scratch (" in " ".join(ran.err.split())


@pytest.mark.parametrize(
    "word", ["liberado", "use as is", "accepté sous dérogation", "in Arbeit", "Referenz", "glue"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_words_that_nobody_knows_are_no_defects_unless_said(
    word: str, encoding: str, here: Path, lfvpipe: Any
) -> None:
    _table(here, "path;label;x", words=("ok", word))
    table = here / "p/labels.csv"
    table.write_text(table.read_text("utf-8"), encoding)
    refused = lfvpipe("init", "p")
    assert refused.code == 3
    assert f"labels.csv: some images are called good, and others {word} (12 images)" in refused.err
    assert f"`lfvpipe init p --anomaly {shlex.quote(word)}` if all of these are" in refused.err
    assert not (here / "pipeline.yaml").exists()

    said = lfvpipe("init", "p", "--anomaly", word, "--json")
    assert (said.json["normal"], said.json["anomaly"]) == (GOOD, BAD), said.err
    assert lfvpipe("run", "--until", "select").code == 0
    assert _types(here) == {word: BAD}  # what is said to be a defect keeps its type
    said = lfvpipe("init", "p", "--normal", word, "--json", "--force")
    assert (said.json["normal"], said.json["anomaly"]) == (GOOD + BAD, 0), said.err
    said = lfvpipe("init", "p", "--leave-out", word, "--json", "--force")
    assert (said.json["normal"], said.json["anomaly"]) == (GOOD, 0), said.err


def test_an_unknown_word_with_a_separator_is_written_into_the_file(
    here: Path, lfvpipe: Any
) -> None:
    _table(here, "path;label;x", words=("ok", '"frei; mit Auflage"'))
    assert lfvpipe("init", "p", "--normal", "frei; mit Auflage").code == 0
    assert f"{GOOD + BAD} images" in lfvpipe("validate").out


def test_an_unknown_word_for_whole_images_of_an_export_is_no_defect_unless_said(
    here: Path, lfvpipe: Any
) -> None:
    _export_with_tags(here, "front view")
    refused = lfvpipe("init", "p", "a.xml")
    assert refused.code == 3
    assert "a.xml: some images are called good, and others front view (5 images)" in refused.err
    assert "--anomaly 'front view'` if all of these are types of defects" in refused.err
    assert lfvpipe("init", "p", "a.xml", "--anomaly", "front view").code == 0
    assert lfvpipe("run", "--until", "select").code == 0
    assert _types(here) == {"front view": 5, "": 7}
    made = lfvpipe("init", "p", "a.xml", "--normal", "front view", "--json", "--force")
    assert (made.json["normal"], made.json["anomaly"]) == (GOOD + 5, BAD - 5)


def _types(here: Path) -> Counter[str]:
    """Return how many images there are of each type of defect, "" for none, in the selection."""
    (file,) = here.glob(".lfvpipe/*/selection/*.jsonl")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return Counter(each.get("type", "") for each in lines if each["label"] == "anomaly")


def _entries(good: str = "pass", bad: str = "fail") -> list[dict[str, object]]:
    names = [f"OK/{n:03}.png" for n in range(GOOD)]
    names += [f"NG/{n:03}.png" for n in range(50, 50 + BAD)]
    said = [good] * GOOD + [bad] * BAD
    return [{"filename": a, "result": b, "score": 0.5} for a, b in zip(names, said, strict=True)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("named", [[], ["p/export.json"]])
def test_an_array_of_json_is_a_table(
    named: list[str], indent: int | None, here: Path, lfvpipe: Any
) -> None:
    (here / "p/labels.csv").unlink()
    (here / "p/export.json").write_text(json.dumps(_entries(), indent=indent))
    said = lfvpipe("init", "p", *named, "--leave-out", "old", "--json")
    assert said.code == 0, said.err
    assert said.json["layout"] == "a table, export.json"
    assert (said.json["normal"], said.json["anomaly"]) == (GOOD, BAD)
    assert lfvpipe("run", "--until", "select").code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps({"OK/001.png": "ok"}), "export.json:1: is no list of images."),
        ("[\n {]", "export.json:2:3: this is not JSON ("),
        (json.dumps(["OK/001.png"]), 'export.json:1:2: is not {"path": an image, "label": …}.'),
        (json.dumps(_entries(bad="unklar")), "is neither normal nor anomaly"),
        (
            json.dumps(_entries() + _entries()[:1], indent=1),
            "export.json:132:2: OK/000.png is listed",
        ),
        (json.dumps([{"a": 1}]), "export.json: no column names images that are there, such as"),
    ],
)
@pytest.mark.parametrize("is_named", [True, False])
def test_json_that_is_no_table_is_told(
    content: str, said: str, is_named: bool, here: Path, lfvpipe: Any
) -> None:
    (here / "p/labels.csv").unlink()
    (here / "p/export.json").write_text(content, encoding="utf-8")
    refused = lfvpipe("init", "p", *(["p/export.json"] if is_named else []))
    assert refused.code in (1, 3)
    names_images = "OK/0" in content
    assert (said in refused.err) == (is_named or names_images), refused.err


def test_a_table_of_other_names_is_told_and_leads_in_no_circle(here: Path, lfvpipe: Any) -> None:
    rows = [f"{n};{'OK' if n < GOOD else 'NOK'}" for n in range(GOOD + BAD)]
    (here / "p/labels.csv").write_text("\n".join(["Nr;Ergebnis", *rows]))
    refused = lfvpipe("init", "p")
    assert "labels.csv: no column names images that are there, such as NG/050.png;" in refused.err
    assert "--column" not in refused.err
    for more in ([], ["p/labels.csv"]):
        refused = lfvpipe("init", "p", *more, "--column", "path=Nr")
        assert refused.code in (1, 3)
        assert "labels.csv: names images by 0, 1, 2, and none is called so;" in refused.err
    (here / "p/labels.csv").write_text("path;label\n777.png;OK\n")
    said = lfvpipe("init", "p", "--leave-out", "old")
    assert "  a table: labels.csv: names images by 777.png, and none is called so" in said.out


@pytest.mark.parametrize("above", ["Protokoll", "Protokoll;", "Protokoll;2024;x\n\nLinie 3;;"])
@pytest.mark.parametrize("said", [[], ["--column", "path=Aufnahme", "label=Sicht"]])
def test_lines_above_the_names_of_the_columns_are_named(
    said: list[str], above: str, here: Path, lfvpipe: Any
) -> None:
    _table(here, "Aufnahme;Sicht;x" if said else "Datei;Ergebnis;x")
    table = here / "p/labels.csv"
    table.write_text(f"{above}\n{table.read_text()}")
    refused = lfvpipe("init", "p", *said)
    line = above.count("\n") + 2
    assert f"labels.csv:{line}: this line names the columns (" in refused.err
    assert "and is not the first; line 1 is Protokoll" in refused.err
    assert f"Take what stands above line {line} out of the table." in refused.err


def test_where_the_ending_is_missing_it_is_asked_for(here: Path, lfvpipe: Any) -> None:
    for image in (here / "p/OK").glob("*.png"):
        image.with_suffix(".jpg").write_bytes(image.read_bytes())
    table = here / "p/labels.csv"
    table.write_text(table.read_text().replace(".png", ""))
    refused = lfvpipe("init", "p")
    assert "could be any of OK/000.jpg, OK/000.png. Write it with its ending;" in refused.err


@pytest.mark.parametrize("above", ["", "{}/", "{}\\", r"C:\Fotos\{}" + "\\", "file:///srv/x/{}/"])
def test_the_column_of_images_is_told_whatever_their_paths(
    above: str, here: Path, lfvpipe: Any
) -> None:
    _table(here, "Aufnahmeort;Ergebnis;x")
    table = here / "p/labels.csv"
    lines = table.read_text().replace("OK/", above.format("OK")).replace("NG/", above.format("NG"))
    table.write_text(lines)
    said = lfvpipe("init", "p", "--leave-out", "old", "--json")
    assert (said.json["normal"], said.json["anomaly"]) == (GOOD, BAD), said.err
    assert "column Aufnahmeort: taken for the path, by what is in it" in said.json["used"]


def test_a_column_without_a_table_is_refused(here: Path, lfvpipe: Any) -> None:
    (here / "p/labels.csv").unlink()
    said = lfvpipe("init", "p", "--leave-out", "old", "--column", "path=Aufnahme")
    assert said.code == 3
    assert "--column is about a table of the images, and there is none." in said.err


@pytest.mark.parametrize("word", ["zzz.png", "Bizarre", "path"])
def test_what_fits_neither_an_image_nor_a_word_of_the_table_is_refused(
    word: str, here: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("init", "p", "--leave-out", word)
    assert said.code == 3
    assert f"No image fits --leave-out {word}, nor is it a word in a table, labels.csv." in said.err


def test_a_word_and_a_file_are_left_out_together(here: Path, lfvpipe: Any) -> None:
    table = here / "p/labels.csv"
    table.write_text(table.read_text().replace("OK/003.png,ok", "OK/003.png,unsure"))
    said = lfvpipe("init", "p", "--leave-out", "unsure", "OK/001.png", "--json")
    assert said.code == 0, said.err
    assert said.json["normal"] == 14
    assert "1 image that the table calls unsure, as you said" in said.json["left_out"]
    assert "1 image by --leave-out OK/001.png" in said.json["left_out"]


def test_where_the_user_says_what_folders_show_the_table_is_told_and_two_are_refused(
    here: Path, lfvpipe: Any
) -> None:
    options = ["--normal", "p/OK", "--anomaly", "p/NG", "--leave-out", "p/old"]
    said = lfvpipe("init", "p", *options, "--json")
    assert (said.json["normal"], said.json["anomaly"]) == (GOOD, BAD)
    line = "a table, labels.csv, as --normal p/OK says what the images show; it denies that of 2"
    assert said.json["left_out"][0].startswith(line)
    assert line in (here / "pipeline.yaml").read_text()
    refused = lfvpipe("init", "p", "p/labels.csv", *options, "--force")
    assert refused.code == 3
    assert "told twice: by a table, labels.csv, and by --normal p/OK" in refused.err


def test_unmarked_without_annotations_is_refused(here: Path, lfvpipe: Any) -> None:
    assert "--unmarked is about" in lfvpipe("init", "p", "--unmarked", "normal").err


@pytest.fixture
def labelme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of LabelMe's files: one good image is marked, three defective ones not."""
    files = pictures("q/gut/{}.png", GOOD) | pictures("q/schlecht/{}.png", BAD, 50)
    points = [[10, 10], [40, 10], [40, 40]]
    for name in ["gut/003", *(f"schlecht/{n:03}" for n in range(50, 59))]:
        shape = {"label": "Kratzer", "points": points, "shape_type": "polygon"}
        size = {"imageHeight": 64, "imageWidth": 64}
        made = {"shapes": [shape], "imagePath": f"{name[-3:]}.png", **size}
        files[f"q/{name}.json"] = json.dumps(made).encode()
    write(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_unmarked_images_that_their_folder_calls_defective_are_not_good(
    labelme: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("init", "q", "--unmarked", "normal")
    assert said.code == 3
    assert "3 images have no mark and would be good by --unmarked normal, but" in said.err
    names = [f"schlecht/{n:03}.png" for n in (59, 60, 61)]
    assert f"`--leave-out {' '.join(names)}`" in said.err
    made = lfvpipe("init", "q", "--unmarked", "normal", "--leave-out", *names, "--json")
    assert made.code == 0, made.err
    assert made.json["layout"] == "annotations by LabelMe"
    assert (made.json["normal"], made.json["anomaly"]) == (GOOD - 1, 10)
    assert f"{GOOD - 1} images" in lfvpipe("validate").out


def test_what_a_list_names_and_is_not_there_is_told(here: Path, lfvpipe: Any) -> None:
    _table(here, "path;label;number")
    file = here / "p/labels.csv"
    file.write_text(f"{file.read_text()}\nOK/gone.png;ok;99")
    said = lfvpipe("init", "p")
    assert said.code == 0, said.err
    assert "1 listed image that is not there, such as OK/gone.png" in said.out


def _coco(here: Path, *, marked: int) -> None:
    """Write an export with a mark on the image of a number, and an image that is not there."""
    (here / "p/labels.csv").unlink()
    names = [f"OK/{n:03}.png" for n in range(GOOD)] + ["gone.png"]
    names += [f"NG/{n:03}.png" for n in range(50, 50 + BAD)]
    images = [
        {"id": n, "file_name": name, "width": 64, "height": 64} for n, name in enumerate(names)
    ]
    marks = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 9, 9], "segmentation": []}
        for n in [*range(GOOD + 1, len(names)), marked]
    ]
    export = {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "dent"}]}
    (here / "p/instances.json").write_text(json.dumps(export))


def test_what_an_export_names_and_is_not_there_is_told(here: Path, lfvpipe: Any) -> None:
    _coco(here, marked=GOOD + 1)
    said = lfvpipe("init", "p")
    assert said.code == 0, said.err
    assert "1 listed image that is not there, such as gone.png" in said.out


def test_of_an_export_in_the_folder_it_is_said_what_is_wrong_with_it(
    here: Path, lfvpipe: Any
) -> None:
    _coco(here, marked=12345)
    said = lfvpipe("init", "p", "--leave-out", "OK")
    assert said.code == 3, said.out
    assert "Annotations lie there, and cannot be used." in said.err
    assert "there is no image 12345" in said.err
