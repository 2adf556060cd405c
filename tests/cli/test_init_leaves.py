"""Only what nothing tells is asked, by folder; Enter is never good where something denies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.config import load
from tests.cli.test_init_asks import at_a_terminal, not_on_windows
from tests.end_to_end.test_init_layouts import many, put, text, zipped

if TYPE_CHECKING:
    from pathlib import Path

LINES = [f"{n}.png;{'OK' if n < 16 else 'NOK'}" for n in range(1, 25)]


@not_on_windows
@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["Datei;Ergebnis", *LINES[:-1], "24.png;offen"], "liste.csv:25: the label offen is"),
        (
            ["Datei;Fehleranzahl", *(f"{n}.png;{n // 16 * 2}" for n in range(1, 25))],
            "no column says what the images are",
        ),
        (["Datei;Ergebnis", *(f"{n}.png;{n // 16}" for n in range(1, 25))], "the label 0 is"),
        (["Pruefprotokoll Linie 3;", "Datei;Ergebnis", *LINES], "liste.csv:"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_before_the_question(
    lines: list[str], why: str, here: Path
) -> None:
    put(here / "p", many("images/{}.png", 24))
    text(here / "p" / "liste.csv", "\n".join(lines) + "\n")
    code, said = at_a_terminal(here, ["p"], ["\n", "1\n"])
    assert code == 0, said
    told, question = said.split("What do the images in p/ (24 images) show", maxsplit=1)
    assert "A table lies there, and cannot be used." in told
    assert why in told
    assert "Nothing tells which is right: type 1 to 3." in question


@not_on_windows
def test_a_list_that_the_user_overrules_proposes_nothing(here: Path) -> None:
    put(here / "p", many("A/{}.png", 20), many("B/x{}.png", 12))
    lines = [*(f"A/{n}.png;OK" for n in range(1, 21)), *(f"B/x{n}.png;NOK" for n in range(1, 13))]
    text(here / "p" / "liste.csv", "\n".join(["Datei;Ergebnis", *lines]))
    code, said = at_a_terminal(here, ["p", "--normal", "A"], ["\n", "2\n"])
    assert code == 0, said
    assert "Not used is a table, liste.csv, since you say --normal A." in said
    assert "Nothing tells which is right" in said


@not_on_windows
@pytest.mark.parametrize("is_zip", [False, True])
def test_folders_in_a_folder_are_asked_for_one_by_one(is_zip: bool, here: Path) -> None:
    files = [*many("Zelle/A/{}.png", 20), *many("Zelle/Kratzer/x{}.png", 14)]
    if is_zip:
        zipped(here / "p.zip", files)
    else:
        put(here / "p", files)
    code, said = at_a_terminal(here, ["p.zip" if is_zip else "p"], ["\n", "1\n", "\n", "2\n"])
    assert code == 0, said
    assert "Zelle/A/ (20 images) show" in said
    assert "Zelle/Kratzer/ (14 images) show" in said
    assert "(“kratzer” in Kratzer/ may say defective)" in said
    assert said.count("Nothing tells which is right") == 2
    assert "20 normal images in" in said
    assert "14 anomalous images in" in said


@not_on_windows
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Kratzer/{}.png", "“kratzer” in Kratzer/"),
        ("zu prüfen/{}.png", "“prufen” in zu prüfen/ leaves open what they show"),
        ("x/scratch_{}.png", "“scratch” in 12 names of files may say defective"),
    ],
)
def test_of_one_folder_too_enter_does_not_say_good_where_a_name_denies_it(
    name: str, why: str, here: Path
) -> None:
    put(here / "p", many(name, 12))
    _, said = at_a_terminal(here, ["p"], ["\n", "\x04"])
    assert why in said
    assert "Nothing tells which is right" in said


def test_days_with_classes_in_them_are_settled_by_the_classes(here: Path, lfvpipe: Any) -> None:
    for day in range(1, 11):
        put(here / "p", many(f"2024-05-{day:02}/0/{{}}.png", 3))
        put(here / "p", many(f"2024-05-{day:02}/1/x{{}}.png", 2))
    said = lfvpipe("init", "p").err
    assert "0/ in 10 folders (30 images), 1/ in 10 folders (20 images)" in said
    assert "they are 0 1." in said
    made = lfvpipe("init", "p", "--normal", "0", "--anomaly", "1", "--json").json
    assert (made["normal"], made["anomaly"]) == (30, 20)


@not_on_windows
def test_an_answer_for_folders_of_one_name_settles_all_of_them(here: Path, lfvpipe: Any) -> None:
    for day in range(1, 14):
        put(here / "p", many(f"2024-05-{day:02}/0/{{}}.png", 3))
        put(here / "p", many(f"2024-05-{day:02}/1/x{{}}.png", 2))
    code, said = at_a_terminal(here, ["p"], ["1\n", "2\n"])
    assert code == 0, said
    assert "39 normal images in 13 folders" in said
    assert "26 anomalous images in 13 folders" in said
    assert lfvpipe("run", "--until", "check").code == 0


def test_a_folder_for_each_part_is_one_thing_to_say_and_none_to_propose(
    here: Path, lfvpipe: Any
) -> None:
    for part in range(1, 21):
        put(here / "p", many(f"SN{part:04}/{{}}.png", 2))
    said = lfvpipe("init", "p").err
    assert "p/ (40 images)" in said
    assert "20 folders, SN0001/ to SN0020/: one may be good, and another not" in said
    assert lfvpipe("init", "--normal", "p").code == 0


def test_unknown_folders_beside_known_ones_are_listed_one_by_one(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("Puebla/OK/{}.png", 10), many("Puebla/NG/{}.png", 8))
    put(
        here / "p",
        many("Manaus/A/{}.png", 6),
        many("Manaus/B/{}.png", 4),
        many("Manaus/C/{}.png", 2),
    )
    said = lfvpipe("init", "p").err
    assert "Manaus/A/ (6 images), Manaus/B/ (4 images), Manaus/C/ (2 images)" in said
    words = ["--normal", "Manaus/A", "--anomaly", "Manaus/B", "--leave-out", "Manaus/C"]
    assert lfvpipe("init", "p", "--product", "all", *words).code == 0
    sources = load(here / "pipeline.yaml").pipeline.sources.by_label
    assert sources["normal"].include == ("Manaus/A/**", "Puebla/OK/**")


def test_the_line_that_is_offered_is_whole(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("OK/{}.png", 12), many("NG/{}.png", 8))
    names = ["Golden", "Intake", "Hold", "Limit", "Setup", "Trial"]
    put(here / "p", *(many(name + "/{}.png", 2) for name in names))
    said = lfvpipe("init", "p", "--product", "all", "--leave-out", "Trial", "-o", "x.yaml").err
    assert (
        "`lfvpipe init p --anomaly Golden Hold Intake Limit Setup --leave-out Trial"
        " --product all --output x.yaml` if all are defective"
    ) in said


# --- Names of files


def test_names_that_nothing_tells_are_asked_and_the_others_stay_told(
    here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("IMG_{:03}_OK_D00.png", 16), many("IMG_{:03}_NOK_D01.png", 12))
    put(here / "p", ["IMG_070.png", "IMG_071.png"])
    said = lfvpipe("init", "p").err
    assert "IMG_???.* (2 images); 16 others are good, and 12 defective" in said
    assert "--leave-out 'IMG_???.*' if they are neither" in said
    made = lfvpipe("init", "p", "--leave-out", "IMG_???.*", "--json").json
    assert (made["normal"], made["anomaly"]) == (16, 12)
    assert lfvpipe("run", "--until", "check").code == 0


ENDS = [
    *(f"20240511_{n}_pass.png" for n in range(12)),
    *(f"20240511_{n}_fail.png" for n in range(8)),
    "20240512_60_passfail.png",
    "20240512_90_nopass.png",
    "bypass_10.png",
    "failsafe_11.png",
]


def test_a_few_names_of_another_form_do_not_make_the_others_unknown(
    here: Path, lfvpipe: Any
) -> None:
    put(here / "p", ENDS)
    said = lfvpipe("init", "p").err
    assert "12 others are good, and 8 defective" in said
    words = ["*_passfail.*", "*_nopass.*", "bypass_*", "failsafe_*"]
    assert all(word in said for word in words)
    made = lfvpipe("init", "p", "--leave-out", *words, "--json").json
    assert (made["normal"], made["anomaly"]) == (12, 8)


@pytest.mark.parametrize(
    ("kind", "pattern", "open_"),
    [
        ("normal", "./*", "*_fail.* (8 images)"),
        ("normal", "*.png", "*_fail.* (8 images)"),
        ("anomaly", "./*", "*_pass.* (12 images)"),
    ],
)
def test_a_glob_over_all_files_does_not_overrule_what_their_names_say(
    kind: str, pattern: str, open_: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", ENDS)
    said = lfvpipe("init", "p", f"--{kind}", pattern)
    assert said.code == 3, said.out
    assert open_ in said.err
    assert f"--{kind} {pattern} says" in said.err


def test_a_glob_that_names_the_word_is_meant(here: Path, lfvpipe: Any) -> None:
    put(here / "p", ENDS)
    made = lfvpipe("init", "p", "--normal", "./*", "*_fail.*", "--json")
    assert made.code == 0, made.err
    assert (made.json["normal"], made.json["anomaly"]) == (len(ENDS), 0)


@pytest.mark.parametrize(
    ("files", "open_"),
    [
        (["IO/Kratzer/{}.png"], "IO/Kratzer/"),
        (["IO/k{}_Kratzer.png"], "IO/*_Kratzer.*"),
        (["IO/escape/{}.png"], "IO/escape/"),
        (["IO/reklamiert/{}.png"], "IO/reklamiert/"),
        (["IO/k{}_returned.png"], "IO/*_returned.*"),
        (["NIO/nach Reparatur/{}.png"], "NIO/nach Reparatur/"),
        (["NIO/nachher/{}.png"], "NIO/nachher/"),
        (["NIO/k{}_Pseudofehler.png"], "NIO/*_Pseudofehler.*"),
        (["NIO/k{}_overkill.png"], "NIO/*_overkill.*"),
        (["NIO/k{}_false call.png"], "NIO/*_false call.*"),
        (["NIO/k{} nachher.png"], "NIO/* nachher.*"),
    ],
)
def test_what_denies_a_folder_is_asked_in_folders_and_in_files_alike(
    files: list[str], open_: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("IO/{}.png", 12), many("NIO/b{}.png", 8))
    put(here / "p", *(many(pattern, 3) for pattern in files))
    said = lfvpipe("init", "p")
    assert said.code == 3, said.out
    assert f"{open_} (3 images); 12 others are good, and 8 defective" in said.err


def test_what_denies_a_word_in_a_flat_name_is_asked(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("OK_{}.png", 12), many("NG_{}.png", 8), many("OK_{}_Kratzer.png", 3))
    assert "*_Kratzer.* (3 images)" in lfvpipe("init", "p").err


@pytest.mark.parametrize(
    "files",
    [
        ["OK/{}.png", "NOK/Kratzer/{}.png", "NOK/reklamiert/x{}.png"],
        ["OK/hole_{}.png", "NOK/hole_{}_b.png"],  # what the photographs show
        ["OK/valve_open_{}.png", "NOK/valve_open_x{}.png"],
        ["OK/before_{}.png", "NOK/before_x{}.png"],
    ],
)
def test_what_agrees_with_the_folder_or_is_in_all_names_is_not_asked(
    files: list[str], here: Path, lfvpipe: Any
) -> None:
    put(here / "p", *(many(pattern, 12) for pattern in files))
    said = lfvpipe("init", "p")
    assert said.code == 0, said.err


def test_defects_among_names_that_say_nothing_are_asked_apart(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("img_{}.png", 20), many("img_{}_crack.png", 5))
    said = lfvpipe("init", "p").err
    assert "p/ (20 images), *_crack.* (5 images)" in said
    assert "“crack” in the names may say defective" in said
    words = ["--normal", "./*", "--anomaly", "*_crack.*"]
    made = lfvpipe("init", "p", *words, "--json").json
    assert (made["normal"], made["anomaly"]) == (20, 5)


# --- Signs of globs in names


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["--anomaly", "Charge [neu]", "OK?"], (14, 14)),
        (["--anomaly", "Charge [neu]", "--leave-out", "OK?"], (14, 12)),
        (["--anomaly", "Charge [[]neu]/*", "--leave-out", "p/OK?"], (14, 12)),
        (["--anomaly", "p/Charge [neu]", "--leave-out", "OK?/1.png", "OK?/2.png"], (14, 12)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_folders_whose_names_look_like_globs_are_called_by_their_names(
    words: list[str], counts: tuple[int, int], here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("OK/{}.png", 14), many("NOK/b{}.png", 8))
    put(here / "p", many("Charge [neu]/{}.png", 4), many("OK?/{}.png", 2))
    refused = lfvpipe("init", "p").err
    assert "`lfvpipe init p --anomaly 'Charge [neu]' 'OK?'` if all are defective" in refused
    made = lfvpipe("init", "p", *words, "--json")
    assert made.code == 0, made.err
    assert (made.json["normal"], made.json["anomaly"]) == counts
    assert lfvpipe("run", "--until", "select").code == 0


# --- Parts of a split


def test_a_station_called_after_a_test_is_no_part_of_a_split(here: Path, lfvpipe: Any) -> None:
    for station in ("EOL Test", "Montage"):
        put(here / "p", many(station + "/OK/{}.png", 10), many(station + "/NOK/{}.png", 8))
    refused = lfvpipe("init", "p").err
    assert "These look like 2 products, each with good images: EOL Test/, Montage/." in refused
    assert "--product 'EOL Test'" in refused
    said = lfvpipe("init", "p", "--product", "all")
    assert "EOL Test/ is not taken for a part of a split into train and test" in said.out
    assert "to test on" not in said.out
    assert load(here / "pipeline.yaml").pipeline.split.own is None
    assert lfvpipe("run", "--until", "check").code == 0


@pytest.mark.parametrize(
    "files",
    [
        ["good/{}.png", "test/good/t{}.png", "test/bad/x{}.png"],
        ["good/{}.png", "Test 2024/good/t{}.png", "Test 2024/bad/x{}.png"],
        ["cups train/good/{}.png", "cups test/good/t{}.png", "cups test/bad/x{}.png"],
    ],
)
def test_a_folder_for_testing_still_is_one(files: list[str], here: Path, lfvpipe: Any) -> None:
    put(here / "p", *(many(pattern, 12) for pattern in files))
    said = lfvpipe("init", "p").out
    assert "12 anomalous images in" in said
    assert "the division into train and test is kept as it is; the file says how to" in said


def test_all_of_one_product_may_be_said(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 12), many("bad/{}.png", 8))
    assert lfvpipe("init", "p", "--product", "all").code == 0


def test_why_an_archive_in_a_folder_gives_no_images_is_told(here: Path, lfvpipe: Any) -> None:
    zipped(here / "p/bad.zip", many("{}.png", 12))
    (here / "p/good.tar.gz").write_bytes(b"\x1f\x8b\x08" + bytes(40))
    for words in (["p"], ["p", "--normal", "p/good.tar.gz"]):
        said = lfvpipe("init", *words)
        assert said.code == 3, said.out
        assert "An archive there cannot be read: good.tar.gz: is truncated or damaged" in said.err
