"""What one name says and another denies is not settled without a word."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.config import load
from tests.end_to_end.test_init_layouts import many, put, zipped

if TYPE_CHECKING:
    from pathlib import Path


GOOD_AND_BAD = ["good/g{}.png", "bad/b{}.png"]


@pytest.mark.parametrize(
    ("files", "words", "open_", "why"),
    [
        (
            ["OK/p{}_NG.png"],
            [],
            "OK/*_NG.* (12 images)",
            "the folder says good, “ng” in the names says defective",
        ),
        (["OK/NG_{}.png"], [], "OK/NG_* (12 images)", "“ng” in the names says"),
        (["OK/p_NG_{}_x.png"], [], "OK/*", "“ng” in the names says"),
        (["OK/p{}NG.png"], [], "OK/*NG.* (12 images)", "“ng” in the names says"),
        (
            ["bad/b{}_no_defect.png"],
            [],
            "bad/*_no_defect.*",
            "“no defect” in the names says",
        ),
        (["good/false rejects/{}.png"], [], "good/false rejects/ (12 images)", "“rejects”"),
        (["gut/NIO_verdacht/{}.png", "gut/{}.png"], [], "gut/NIO_verdacht/", "gut/ says good"),
        (["gut/zu prüfen/{}.png", "gut/{}.png"], [], "gut/zu prüfen/", "this is not certain"),
        (
            ["schlecht/doch gut/{}.png"],
            [],
            "schlecht/doch gut/",
            "says defective, “gut” in it says good",
        ),
        (["bad/recheck/{}.png"], [], "bad/recheck/", "this is not certain"),
        (["bad/b{}_result.png"], [], "bad/*_result.*", "pictures that were made of photographs"),
        (["bad/b{}-overlay.png"], [], "bad/*-overlay.*", "pictures that were made of"),
        (["good/thumbs/{}.png"], [], "good/thumbs/", "pictures that were made of photographs"),
        (["heatmaps/{}.png"], [], "heatmaps/", "cannot be told"),
        (["good/aug/{}_flip.png"], [], "good/aug/", "pictures that were made of photographs"),
        (["good/processed/g{}.png"], [], "good/processed/", "pictures that were made of"),
        (["bad/b{}.jpg"], [], "bad/*.png (12 images)", "in another format: copies, or masks"),
        (["good/g{}.bmp"], [], "good/*.png (12 images)", "in another format: copies, or masks"),
        (["good/g{}.JPG", "good/x{}.JPG"], [], "good/*.png (12 images)", "in another format"),
        (["NG_verdacht/{}.png"], [], "NG_verdacht/ (12 images)", "cannot be told"),
        (["bad_repaired/{}.png"], [], "bad_repaired/ (12 images)", "cannot be told"),
        # A folder that the user himself named, too.
        (["good/p{}_NG.png"], ["--normal", "good"], "good/*_NG.*", "says defective"),
        (["good/review/{}.png"], ["--normal", "good"], "good/review/", "this is not certain"),
        (["bad/x/ok again/{}.png"], ["--anomaly", "bad"], "bad/x/ok again/", "says good"),
    ],
)
def test_names_that_deny_what_their_folder_says_are_refused(
    files: list[str], words: list[str], open_: str, why: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", *(many(pattern, 12) for pattern in [*GOOD_AND_BAD, *files]))
    said = lfvpipe("init", "p", *words)
    assert (said.code, said.out) == (3, ""), said.out
    assert open_ in said.err
    assert why in said.err
    assert "--leave-out" in said.err


@pytest.mark.parametrize(
    ("names", "open_"),
    [
        # The product's number, or the verdict?
        (["NG-4711_{}_OK.png", "KL-12_{}_OK.png", "KL-12_{}_NG.png"], "NG-*"),
        (["ok_{}.png", "ng_{}.png", "ok_{}_bad.png"], "*_bad.*"),
        (["{}_ok.png", "{}_ng.png", "7_ng_{}_ok.png"], "*ng*_ok.*"),
    ],
)
def test_a_name_that_says_both_is_refused(
    names: list[str], open_: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", *(many(pattern, 12) for pattern in names))
    said = lfvpipe("init", "p")
    assert said.code == 3, said.out
    assert f"{open_.casefold()} (12 images)" in said.err.casefold()
    assert "the names say both good and defective" in said.err


def test_what_all_names_begin_with_is_the_products_and_that_is_told(
    here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("NG-4711_{}_OK.png", 20), many("NG-4711_{}_NG.png", 12))
    said = lfvpipe("init", "p")
    assert "20 normal images in p/" in said.out
    assert "12 anomalous images in p/" in said.out
    assert "all names begin with NG-4711_: that is taken for a part of the product" in said.out
    put(here / "q", many("gut/NG-4711_{}.png", 20), many("schlecht/NG-4711_{}.png", 12))
    said = lfvpipe("init", "q", "-o", "q.yaml")
    assert "20 normal images in gut/" in said.out
    assert "all names begin with NG-4711_" in said.out
    put(here / "r", many("gut/NG_{}.png", 20))
    assert lfvpipe("init", "r", "-o", "r.yaml").code == 3


def test_a_folder_named_after_defects_may_hold_both(here: Path, lfvpipe: Any) -> None:
    put(here / "casting defects", many("ok/{}.png", 20), many("def/{}.png", 12))
    said = lfvpipe("init", ".")
    assert "20 normal images in casting defects/ok/" in said.out, said.err
    assert "12 anomalous images in casting defects/def/" in said.out


@pytest.mark.parametrize(
    ("option", "counts"),
    [("--normal", (22, 12)), ("--anomaly", (20, 14)), ("--leave-out", (20, 12))],
)
def test_what_is_refused_is_settled_by_what_is_proposed(
    option: str, counts: tuple[int, int], here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("OK/p{}.png", 20), many("OK/p{}_NG.png", 2, first=31))
    put(here / "p", many("NG/p{}.png", 12, first=50))
    refused = lfvpipe("init", "p").err
    assert f"{option} 'OK/*_NG.*'" in refused
    said = lfvpipe("init", "p", option, "OK/*_NG.*", "--json")
    assert (said.json["normal"], said.json["anomaly"]) == counts
    files = "" if option == "--leave-out" else "and files "
    assert said.json["layout"].startswith(f"folders {files}named after what they")
    assert lfvpipe("validate").code == 0
    assert lfvpipe("run", "--until", "check").code == 0


def test_a_word_for_some_of_the_images_of_another_counts_for_those(
    here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("x/{}.png", 20), many("x/y/{}.png", 12), many("x/q{}.png", 3))
    said = lfvpipe("init", "p", "--normal", "x", "--anomaly", "y", "--leave-out", "x/q*")
    assert said.code == 0, said.err
    assert "20 normal images in x/" in said.out
    assert "12 anomalous images in x/y/" in said.out
    assert "3 images in x/: by --leave-out x/q*" in said.out
    sources = load(here / "pipeline.yaml").pipeline.sources.by_label
    assert sources["normal"].include == ("x/**",)
    assert sources["normal"].exclude == ("x/q*", "x/y/**")


def test_copies_that_a_storage_box_makes_are_no_photographs(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 20), many("bad/{}.png", 12))
    for number in range(1, 5):
        put(here / "p/good/@eaDir", [f"{number}.png/SYNOPHOTO_THUMB_XL.jpg"])
    put(here / "p/#recycle", ["bad/old.png"])
    put(here / "p/.thumbnails", ["1.png"])
    said = lfvpipe("init", "p")
    assert "20 normal images in good/" in said.out
    assert "4 @eadir/" in said.out
    assert "1 #recycle/" in said.out
    ran = lfvpipe("run", "--until", "check")
    assert ran.code == 0
    assert "4 @eadir/" in ran.err


@pytest.mark.parametrize("folder", ["unsortiert", "à vérifier", "da verificare", "要確認", "neu"])
def test_what_nobody_sorted_is_no_type_of_defects_in_any_language(
    folder: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("good/{}.png", 20), many(folder + "/{}.png", 12))
    said = lfvpipe("init", "p")
    assert (said.code, f"{folder}/ (12 images)" in said.err) == (3, True)


@pytest.mark.parametrize(
    ("good", "bad"),
    [("buenas", "malas"), ("buoni", "scarti"), ("bonnes", "rebuts"), ("goed", "afkeur"),
     ("годные", "брак"), ("OK品", "NG品"), ("boas", "ruins"), ("conforme", "non conforme")],
)  # fmt: skip
def test_labels_are_known_in_the_languages_of_inspectors(
    good: str, bad: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many(good + "/{}.png", 20), many(bad + "/{}.png", 12))
    said = lfvpipe("init", "p", "--json")
    assert (said.json["normal"], said.json["anomaly"]) == (20, 12)


@pytest.mark.parametrize(
    ("one", "other"), [("Y", "X"), ("0", "1"), ("rissfrei", "Riss"), ("K1", "heatmaps")]
)
def test_of_unknown_folders_nobody_says_which_is_good(
    one: str, other: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many(one + "/{}.png", 30), many(other + "/{}.png", 12))
    said = lfvpipe("init", "p")
    assert said.code == 3, said.out
    for name in (one, other):
        assert f"--normal {name} --anomaly" not in said.err
        assert f"--anomaly {name}`" not in said.err


def test_where_a_sheet_lies_it_is_named_and_no_folder_is_proposed(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("Bilder/{}.png", 30))
    (here / "p/list.xlsx").write_bytes(b"PK")
    said = lfvpipe("init", "p")
    assert said.code == 3
    assert "list.xlsx" in said.err
    assert "--normal" not in said.err
    (here / "p/list.xlsx").unlink()
    (here / "p/list.csv").write_text("file;label\n1.png;ok\n1.png;ng\n", encoding="utf-8")
    assert "--normal" not in lfvpipe("init", "p").err


TAKEN_BACK = [
    "pas trop bon", "presque conforme", "no longer ok", "not quite ok", "good but scratched",
    "false ok", "nearly ok", "rework ok", "conditional pass", "ng (false alarm)", "ok or ng",
    "FALSE_PASS", "scratch_ok", "wrongly_good", "predicted_good", "deleted_good", "pseudo_ng",
    "bad_lighting", "vermutlich gut", "evtl. NOK", "kaum gut", "never ok", "isn't ok", "not bad",
    "ei ok", "OKではない", "誤NG", "0 defects", "NG behoben", "falsch NIO",
    "defect=0",
    "defect none",
    "none defect",
    "scratch-free",
    "kratzerfrei",
    "true negative",
    "acceptable",
    "nicht beanstandet",
    "误报",
    "nothing wrong",
    "no issues",
    "Kratzer entfernt",
    "ok=0",
    "good 0",
    "defect 0",
    "Kratzer_0",
    "Kratzer (0)",
    "uncracked",
    "傷なし",
]  # fmt: skip
DENIED = [
    "pas conforme",
    "niet goed",
    "ikke ok",
    "ej godkänd",
    "não conforme",
    "pas bon",
    "inte ok",
    "nie dobre",
    "není OK",
    "nem ok",
    "не годен",
    "nicht i.O.",
    "no conforme",
    "non buono",
    "不OK",
]
FREE_OF_DEFECTS = [
    "sin defecto",
    "zonder defect",
    "aucun défaut",
    "nessun difetto",
    "free of defects",
    "zero_defects",
    "sans défaut",
    "ohne Fehler",
    "без дефектов",
    "unbeschädigt",
    "fehlerfrei",
    "unauffällig",
    "欠陥なし",
]


@pytest.mark.parametrize(("names", "label"), [(DENIED, "anomaly"), (FREE_OF_DEFECTS, "normal")])
def test_words_that_are_denied_for_certain_are_turned_round(
    names: list[str], label: str, here: Path, lfvpipe: Any
) -> None:
    for name in names:
        put(here / name, many("OK/{}.png", 12), many("NG/{}.png", 12), many(name + "/{}.png", 3))
        said = lfvpipe("init", name, "--json", "--force")
        assert said.code == 0, (name, said.err)
        assert said.json[label] == 15, name


@pytest.mark.parametrize("name", TAKEN_BACK)
def test_a_word_that_another_may_take_back_says_nothing(
    name: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("OK/{}.png", 12), many("Kratzer/{}.png", 12), many(name + "/{}.png", 3))
    said = lfvpipe("init", "p")
    assert said.code == 3, said.out
    assert f"cannot be told: {name}/ (3 images)" in said.err
    put(here / "q", many("ok_{}.png", 12), many("ng_{}.png", 12))
    if not any(sign.isdecimal() for sign in name):
        put(here / "q", many(name + "_{}.png", 3))
        assert lfvpipe("init", "q").code == 3
    put(here / "r", many("{}.png", 30))
    lines = [f"{n}.png;{['ok', 'ng', name][n % 3]}" for n in range(1, 31)]
    (here / "list.csv").write_text("\n".join(["file;label", *lines]), encoding="utf-8")
    assert f"the label {name} is neither normal nor anomaly" in lfvpipe("init", "r", "list.csv").err


@pytest.mark.parametrize(
    "name",
    ["false alarm", "Pseudofehler", "ohne Befund", "nachgeprüft", "in Klärung", "reinspected",
     "heat maps", "Wärmebild", "freigegeben", "A-Ware", "broken teeth", "none", "glue", "no cap",
     "Ausschnitt", "cover", "Kalibrierung", "empty belt", "false rejects", "Fehlalarm"],
)  # fmt: skip
def test_what_is_no_type_of_defects_does_not_become_one(
    name: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("OK/{}.png", 12), many("Kratzer/{}.png", 12), many(name + "/{}.png", 3))
    assert f"cannot be told: {name}/ (3 images)" in lfvpipe("init", "p").err


@pytest.mark.parametrize(
    "name",
    ["scratches", "deep scratch", "Risse", "Beule_gross", "crack 2", "rayure", "划痕", "キズ",
     "焊接不良", "broken_large", "damaged edge", "surface contamination"],
)  # fmt: skip
def test_types_of_defects_that_are_known_need_no_word(name: str, here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("OK/{}.png", 20), many("Kratzer/{}.png", 12), many(name + "/{}.png", 3))
    said = lfvpipe("init", "p")
    assert f"3 anomalous images in {name}/" in said.out, said.err


def test_unknown_folders_beside_good_ones_are_settled_by_the_line_that_is_offered(
    here: Path, lfvpipe: Any
) -> None:
    unknown = ["color", "glue", "thread", "poke", "flip"]
    put(here / "p", many("good/{}.png", 20), many("scratch/{}.png", 12))
    put(here / "p", *(many(name + "/{}.png", 3) for name in unknown))
    said = lfvpipe("init", "p")
    assert (said.code, said.out) == (3, "")
    assert f"`lfvpipe init p --anomaly {' '.join(sorted(unknown))}` if all are" in said.err
    assert lfvpipe("init", "p", "--anomaly", *unknown).code == 0
    spec = load(here / "pipeline.yaml").pipeline.sources.by_label
    assert spec["anomaly"].types is not None
    ran = lfvpipe("run", "--until", "select")
    assert ran.code == 0, ran.err
    (file,) = here.glob(".lfvpipe/*/selection/*.jsonl")
    assert all(f'"type":"{name}"' in file.read_text() for name in [*unknown, "scratch"])


@pytest.mark.parametrize("name", ["scratch-free", "none", "acceptable", "kratzerfrei", "no crack"])
def test_a_folder_among_defects_that_takes_that_back_is_refused(
    name: str, here: Path, lfvpipe: Any
) -> None:
    put(
        here / "p",
        many("good/{}.png", 20),
        many("bad/x/{}.png", 12),
        many(f"bad/{name}/{{}}.png", 3),
    )
    said = lfvpipe("init", "p")
    assert said.code == 3, said.out
    assert f"bad/{name}/ (3 images)" in said.err


@pytest.mark.parametrize("name", ["no_defect", "ok", "acceptable", "scratch-free"])
def test_a_layout_whose_types_deny_that_they_are_is_told(
    name: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("train/good/{}.png", 20), many("test/good/t{}.png", 12))
    put(here / "p", many("test/glue/{}.png", 12), many(f"test/{name}/{{}}.png", 3))
    said = lfvpipe("init", "p")
    assert said.code == 3, said.out
    assert f"{name}/ would be a type of defects, and its name says otherwise" in said.err
    made = lfvpipe("init", "p", "--leave-out", name)
    assert made.code == 0, made.err
    assert lfvpipe("validate").code == 0
    source = "{name: mvtec-ad, archive: p}"
    (here / "own.yaml").write_text(f"sources: {{layout: {source}}}\n", encoding="utf-8")
    ran = lfvpipe("run", "own.yaml", "--until", "check")
    assert f"folders called {name} are types of defects in the layout mvtec-ad" in ran.err


def test_a_product_may_be_called_as_a_type_of_defects_is(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("blister ok/{}.png", 20), many("blister ng/{}.png", 12))
    put(here / "q", many("chip_ok_{}.png", 20), many("chip_ng_{}.png", 12))
    for folder in ("p", "q"):
        said = lfvpipe("init", folder, "--json", "--force")
        assert (said.code, said.err) == (0, "")
        assert (said.json["normal"], said.json["anomaly"]) == (20, 12)


def test_what_lies_in_a_folder_that_is_thrown_away_is_not_taken(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 12), many("bad/{}.png", 12), many("trash/good/{}.png", 3))
    assert "cannot be told: trash/ (3 images)" in lfvpipe("init", "p").err


@pytest.mark.parametrize(
    ("good", "bad"),
    [("cam1_ok_{:04}.png", "cam1_ng_{:04}.png"), ("gear ok/{}.png", "gear ng/{}.png"),
     ("OK Bilder/{}.png", "NG Bilder/{}.png"), ("left_good_{}.png", "left_bad_{}.png"),
     ("gear_{}_conforme.png", "gear_{}_pas_conforme.png"), ("ok 2024-05-01/{}.png", "ng 7/{}.png")],
)  # fmt: skip
def test_the_products_name_numbers_and_cameras_take_nothing_back(
    good: str, bad: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many(good, 20), many(bad, 12))
    said = lfvpipe("init", "p", "--json")
    assert said.code == 0, said.err
    assert (said.json["normal"], said.json["anomaly"]) == (20, 12)


@pytest.mark.parametrize(
    ("good", "bad", "inside"),
    [("cup_good", "cup_bad", "{}"), ("cup-ok", "cup-ng", "{}"), ("good", "bad", "housing {}"),
     ("deckel_gut", "deckel_schlecht", "{}"), ("widget_good", "widget_defect", "{}")],
)  # fmt: skip
def test_a_folder_that_says_again_what_its_archive_says_leaves_no_doubt(
    good: str, bad: str, inside: str, here: Path, lfvpipe: Any
) -> None:
    for name, number in ((good, 20), (bad, 12)):
        zipped(here / f"{name}.zip", many(f"{inside.format(name)}/{{}}.png", number))
    archives = (f"{good}.zip", f"{bad}.zip")
    for said in (archives, ("--normal", archives[0], "--anomaly", archives[1])):
        made = lfvpipe("init", *said, "--json", "--force")
        assert made.code == 0, made.err
        assert (made.json["normal"], made.json["anomaly"]) == (20, 12)


def test_an_archive_and_a_folder_of_one_name_are_not_mixed(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 30), many("bad/{}.png", 12))
    zipped(here / "p/good.zip", many("{}.png", 20))
    said = lfvpipe("init", "p")
    assert said.code == 3
    assert "good.zip and the folder of that name beside it both hold 1.png" in said.err
    (here / "pipeline.yaml").write_text(
        "sources:\n  normal: {archive: p, include: good/**}\n  anomaly: {archive: p/bad}\n"
    )
    said = lfvpipe("run", "--until", "select")
    assert "sources.normal: 20 images, such as good/1.png, lie there twice." in said.err


@pytest.mark.parametrize("word", ["nearly good", "false ok", "to check", "OK?", "ok/ng"])
def test_a_tag_that_another_word_takes_back_is_refused_until_it_is_said(
    word: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("{}.png", 40))
    tags = {n: "good" if n <= 20 else "defect" if n <= 32 else word for n in range(1, 41)}
    images = "".join(
        f'<image id="{n}" name="{n}.png" width="64" height="64"><tag label="{tag}"/></image>'
        for n, tag in tags.items()
    )
    text = f"<annotations><version>1.1</version>{images}</annotations>"
    (here / "a.xml").write_text(text, encoding="utf-8")
    said = lfvpipe("init", "p", "a.xml")
    assert said.code == 3, said.out
    assert f"the label {word} is neither normal nor anomaly" in said.err
    source = "{format: cvat, file: a.xml, archive: p}"
    (here / "own.yaml").write_text(f"sources: {{annotations: {source}}}\n", encoding="utf-8")
    assert f"the label {word} is neither" in lfvpipe("run", "own.yaml", "--until", "select").err
    made = lfvpipe("init", "p", "a.xml", "--anomaly", word, "--json")
    assert (made.json["normal"], made.json["anomaly"]) == (20, 20), made.err
    assert lfvpipe("run", "--until", "select").code == 0


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (("cup_good", "cup_good"), ("cup_bad", "cup_bad")),
        (("cup-ok", "cup-ok"), ("cup-ng", "cup-ng")),
        (("good", "housing good"), ("bad", "housing bad")),
    ],
)
@pytest.mark.parametrize("is_said", [False, True])
def test_an_archive_and_the_folder_in_it_may_say_the_same(
    good: tuple[str, str], bad: tuple[str, str], is_said: bool, here: Path, lfvpipe: Any
) -> None:
    names = []
    for archive, folder in (good, bad):
        zipped(here / f"{archive}.zip", many(f"{folder}/{{}}.png", 12))
        names.append(f"{archive}.zip")
    said = lfvpipe("init", *(["--normal", names[0], "--anomaly", names[1]] if is_said else names))
    assert said.code == 0, said.err
    assert f"12 normal images in {good[0]}.zip: {good[1]}/" in said.out
    assert f"12 anomalous images in {bad[0]}.zip: {bad[1]}/" in said.out


@pytest.mark.parametrize("is_said", [False, True])
def test_the_command_that_a_refusal_prints_works(is_said: bool, here: Path, lfvpipe: Any) -> None:
    zipped(here / "good.zip", many("review/{}.png", 12))
    zipped(here / "bad.zip", many("Export/{}.png", 12))
    words = ["--normal", "good.zip", "--anomaly", "bad.zip"] if is_said else ["good.zip", "bad.zip"]
    said = lfvpipe("init", *words)
    assert said.code == 3, said.out
    proposed = re.search(r"`lfvpipe (init [^`]+)`", said.err)
    assert proposed, said.err
    assert lfvpipe(*shlex.split(proposed[1])).code == 0
