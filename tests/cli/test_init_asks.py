"""What `init` cannot tell it asks, or refuses; what it leaves out, it says."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lfvpipe.config import load
from tests import workshop
from tests.end_to_end.test_init_layouts import many, mask, put, text, zipped


def _refused(lfvpipe: Any, here: Path, *words: str) -> str:
    said = lfvpipe("init", *words, "-o", here / "made.yaml")
    assert (said.code, said.out) == (3, ""), said.out
    assert not (here / "made.yaml").exists()
    assert not (here / ".lfvpipe").exists()
    return str(said.err)


def test_one_unknown_folder_is_refused_with_what_to_say(here: Path, lfvpipe: Any) -> None:
    put(here / "screws", many("IMG_{}.png", 30))
    said = _refused(lfvpipe, here, "screws")
    assert "cannot be told: screws/ (30 images)" in said
    made = here / "made.yaml"
    assert f"`lfvpipe init --normal screws --output {made}` if they are good" in said


@pytest.mark.parametrize(
    ("files", "words", "said"),
    [
        # Never a type of defect without being asked: nobody has sorted it, or it may be a camera.
        (["good/{}.png", "unsorted/{}.png"], ["p"], "unsorted/ (12 images)"),
        (["good/{}.png", "cam2/{}.png"], ["p"], "cam2/ (12 images)"),
        (["good/{}.png", "crack/{}.png", "to check/{}.png"], ["p"], "to check/ (12 images)"),
        (["gut/{}.png", "riss/{}.png", "Nacharbeit/{}.png"], ["p"], "Nacharbeit/ (12 images)"),
        (["good/{}.png", "crack/{}.png", "reference/{}.png"], ["p"], "reference/ (12 images)"),
        # Beside both labels it may be anything.
        (["good/{}.png", "bad/{}.png", "scratch/{}.png"], ["p"], "scratch/ (12 images)"),
        # Words that take the word for good back.
        (["almost good/{}.png", "bad/{}.png"], ["p"], "almost good/ (12 images)"),
        (["good with scratches/{}.png", "bad/{}.png"], ["p"], "good with scratches/ (12 images)"),
        (["good_vs_bad/{}.png"], ["p"], "p/ (12 images)"),
        (["A/{}.png", "B/{}.png"], ["p"], "A/ (12 images), B/ (12 images)"),
        (["ok_{}.png", "scratch_{}.png"], ["p"], "scratch_* (12 images)"),
        (["x/ok_{}.png", "x/kratzer_{}.png"], ["p"], "x/kratzer_* (12 images)"),
        (["bad/{}.png"], ["p"], "no images of good products"),
        (["good/{}.png"], ["p", "--normal", "bad"], "No image fits --normal bad"),
        (["A/{}.png"], ["p", "--normal", "A", "--anomaly", "A"], "fits --normal A and --anomaly A"),
        (["A/x{}.png", "A/y{}.png"], ["p", "--normal", "x*"], "A/ (12 images)"),
    ],
)
def test_what_no_name_tells_is_refused(
    files: list[str], words: list[str], said: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", *(many(pattern, 12) for pattern in files))
    assert said in _refused(lfvpipe, here, *words)


def test_a_folder_called_good_has_none_of_defects_in_it(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("x/{}.png", 12), many("cups_def/{}.png", 12))
    assert "cups_def/1.png would be good by --normal p, and lies in cups_def/." in _refused(
        lfvpipe, here, "--normal", "p"
    )
    put(here / "p", many("{}.png", 12))
    said = _refused(lfvpipe, here, "p")
    assert "--anomaly" in said
    made = lfvpipe("init", "p", "--normal", "./*", "--leave-out", "x")
    assert "12 normal images in p/" in made.out
    assert lfvpipe("run", "--until", "select").code == 0


def test_the_refusal_is_what_to_paste_but_for_which_is_which(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("A/{}.png", 30), many("B 1/{}.png", 12), many("C/{}.png", 12))
    said = _refused(lfvpipe, here, "p")
    made = f"--output {here / 'made.yaml'}"
    assert f"`lfvpipe init p --normal FOLDER_OF_GOOD --anomaly FOLDERS_OF_DEFECTIVE {made}`" in said
    assert "they are A 'B 1' C" in said
    made = lfvpipe("init", "p", "--normal", "A", "--anomaly", "B 1", "C", "-o", here / "made.yaml")
    assert made.code == 0
    assert "24 anomalous" not in made.out
    assert "12 anomalous images in B 1/" in made.out


def test_images_that_annotations_do_not_list_are_not_taken_for_good(
    here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("{:03}.jpg", 30))
    for n in range(1, 13):
        content = (
            "<annotation><object><name>dent</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
            "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
        )
        text(here / "p" / f"{n:03}.xml", content)
    said = _refused(lfvpipe, here, "p")
    assert "12 images have marks, and 18 others are not in the annotations" in said
    assert "--unmarked normal" in said


def test_words_of_a_table_are_not_guessed_at(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("{:03}.png", 4))
    text(here / "p" / "list.csv", "file,class\n001.png,A1\n002.png,A1\n003.png,B7\n004.png,B7\n")
    said = _refused(lfvpipe, here, "p")
    assert "no image is called good; unknown words among the labels are A1 (2), B7 (2)." in said
    assert "--normal A1 if it is good" in said


def test_a_table_that_cannot_be_used_is_not_passed_over(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("img{}.png", 30))
    lines = [f"img{n}.png;{'OK' if n % 3 else 'NG'}" for n in range(29)]
    (here / "p" / "list.csv").write_text("\n".join(["image;label", *lines, "img29.png;offen"]))
    said = _refused(lfvpipe, here, "p")
    assert "list.csv:31: the label offen is neither normal nor anomaly." in said
    assert "Put that right" in said


def test_one_of_several_products_is_to_be_named(here: Path, lfvpipe: Any) -> None:
    for product in ("bottle", "cable"):
        put(here / "mvtec", many(product + "/train/good/{}.png", 12))
        put(here / "mvtec", many(product + "/test/cut/{}.png", 12))
    said = _refused(lfvpipe, here, "mvtec")
    assert "holds 2 products in the layout of MVTec AD: bottle, cable" in said
    assert "--product bottle" in said


def test_every_file_is_accounted_for(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 30), many("bad/{}.png", 12), many("todo/{}.png", 5))
    for name in many("masks/x{}.png", 3):
        (here / "p/masks").mkdir(exist_ok=True)
        (here / "p" / name).write_bytes(mask())
    for name in ("a.gif", "b.gif", "notes.txt", "good/.DS_Store"):
        text(here / "p" / name, "x")
    (here / "p/gone.png").symlink_to(here / "nowhere.png")
    said = lfvpipe("init", "p", "--leave-out", "todo")
    assert said.code == 0, said.err
    for line in (
        "30 normal images in good/",
        "12 anomalous images in bad/",
        "5 images in todo/: by --leave-out todo",
        "3 images in masks/: masks of no image",
        "2 .gif, 1 .txt: no images that can be used",
        "1 link that leads nowhere",
    ):
        assert line in said.out
    written = (here / "pipeline.yaml").read_text()
    assert "# - 5 images in todo/: by --leave-out todo" in written
    assert "# - 3 images in masks/: masks of no image" in written


def test_one_type_of_defects_is_a_type(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 30), many("scratch/{}.png", 12))
    assert lfvpipe("init", "p").code == 0
    assert load(here / "pipeline.yaml").pipeline.sources.by_label["anomaly"].types is not None
    assert lfvpipe("run", "--until", "check").code == 0


def test_a_damaged_archive_in_a_folder_is_left_out_and_named(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 30), many("bad/{}.png", 12))
    text(here / "p" / "bad" / "raw.zip", "PK rubbish")
    said = lfvpipe("init", "p")
    assert said.code == 0, said.err
    assert "1 archive inside that cannot be read: bad/raw.zip" in said.out


def test_archives_that_are_not_read_are_named_with_the_reason(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("gut/{}.png", 30))
    (here / "p/schlecht.rar").write_bytes(b"Rar!\x1a\x07\x01\0" + bytes(30))
    (here / "p/x.7z").write_bytes(b"7z\xbc\xaf'\x1c" + bytes(30))
    zipped(here / "p/NG.zip", many("{}.png", 3))
    packed = (here / "p/NG.zip").read_bytes()
    # The flag that says encrypted, in the headers of members and in the directory at the end.
    for sign, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        parts = packed.split(sign)
        marked = [bytes([*each[: at - 4], each[at - 4] | 1, *each[at - 3 :]]) for each in parts[1:]]
        packed = sign.join([parts[0], *marked])
    (here / "p/NG.zip").write_bytes(packed)
    said = lfvpipe("init", "p")
    assert said.code == 0, said.err
    line = "2 archives of a kind that is not read: schlecht.rar, x.7z; images may be in there: use"
    encrypted = "1 archive inside that cannot be read: NG.zip: the member '1.png' is encrypted."
    for told in (said.out, (here / "pipeline.yaml").read_text()):
        assert line in told
        assert encrypted in told


def test_decisions_of_a_review_are_no_table(here: Path, lfvpipe: Any) -> None:
    put(here, many("good/{}.png", 30), many("bad/{}.png", 12))
    text(here / "old.labels.jsonl", '{"name": "normal/1.png", "label": "normal"}\n')
    said = lfvpipe("init", ".")
    assert "found a folder or archive for each label" in said.out


def test_types_of_defects_and_the_published_split_are_in_the_file(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("train/good/{}.png", 12), many("test/good/t{}.png", 12))
    put(here / "p", many("train/bad/dent/{}.png", 12), many("test/bad/dent/t{}.png", 6))
    put(here / "p", many("test/bad/hole/{}.png", 6))
    assert lfvpipe("init", "p").code == 0
    spec = load(here / "pipeline.yaml").pipeline
    assert spec.sources.by_label["anomaly"].types is not None
    assert spec.split.own is not None
    assert spec.project == "p"


def test_photographs_that_lie_are_as_large_as_they_are_looked_at(here: Path, lfvpipe: Any) -> None:
    for label, count in (("good", 30), ("bad", 20)):
        for number in range(count):
            path = here / "p" / label / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.new("RGB", (64, 96), (number, 99, 9))
            exif = Image.Exif()
            if number % 3:  # two of three were taken with the camera on its side
                image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), 6
            image.save(path, exif=exif)
    assert lfvpipe("init", "p", "-o", here / "p.yaml").code == 0
    assert load(here / "p.yaml").pipeline.images.resize is None
    assert "all 64x96 px" in (here / "p.yaml").read_text()


def test_a_group_is_suggested_where_names_look_like_serial_numbers(
    here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("good/SN{:04}_top.png", 20), many("good/SN{:04}_side.png", 20))
    put(here / "p", many("bad/SN{:04}_top.png", 12, first=50))
    said = lfvpipe("init", "p")
    assert "several photographs seem to show one part:" in said.out
    written = (here / "pipeline.yaml").read_text()
    assert said.out.count("  group: '") == written.count("group: '") == 1
    (line,) = (line for line in written.splitlines() if "group:" in line)
    grouped = re.sub(
        r"^split: \{.*(?=\})", lambda m: f"{m[0]}, {line.strip('# ')}", written, flags=re.MULTILINE
    )
    assert grouped != written
    (here / "pipeline.yaml").write_text(grouped)
    assert lfvpipe("validate").code == 0


@pytest.mark.parametrize(
    ("where", "words", "counts"),
    [
        ("work", ["--normal", "../data/ok"], (20, 0)),
        ("work", ["--normal", "../data/ok", "--anomaly", "../data/ng"], (20, 12)),
        ("work", ["../data", "--normal", "../data/ok", "--anomaly", "../data/ng"], (20, 15)),
        ("work", ["../data", "--normal", "../data/ok/*", "--anomaly", "../data/ng/*"], (20, 15)),
        ("work", ["--normal", "../work/../data/ok/1*.png"], (11, 0)),
        ("data", ["--normal", "ok/*"], (20, 0)),
        ("data", ["--normal", "ok/*.png", "--anomaly", "./ng/*.png"], (20, 12)),
        ("data", ["--normal", "ok", "--leave-out", "ok/1.png"], (19, 0)),
        ("data", ["--normal", "ok", "--leave-out", "ok/1?.png"], (10, 0)),
        (
            "data",
            ["--normal", *many("ok/{}.png", 20), "--anomaly", *many("ng/{}.png", 12)],
            (20, 12),
        ),
        ("data", ["--normal", "ok", "--anomaly", "NG.z*"], (20, 3)),
        ("data", ["--normal", "ok/1.png", "ok/2.png", "--anomaly", "ng"], (2, 12)),
        ("data/ok", ["--normal", "*.png"], (20, 0)),
        ("data/ok", ["--normal", "./*", "--anomaly", "../ng/*"], (20, 12)),
    ],
)
def test_paths_and_globs_of_options_are_a_shells(
    where: str,
    words: list[str],
    counts: tuple[int, int],
    tmp_path: Path,
    lfvpipe: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(tmp_path / "data", many("ok/{}.png", 20), many("ng/{}.png", 12))
    zipped(tmp_path / "data/NG.zip", many("z{}.png", 3))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / where)
    said = lfvpipe("init", *words, "--json")
    assert (said.code, said.err) == (0, "")
    assert (said.json["normal"], said.json["anomaly"]) == counts
    assert lfvpipe("validate").code == 0


def test_files_that_a_shell_named_one_by_one_are_their_folder(here: Path, lfvpipe: Any) -> None:
    put(here, many("ok/{}.png", 20), many("ng/{}.png", 12), many("x/{}.png", 3))
    words = ["--normal", *many("ok/{}.png", 20), "--anomaly", *many("ng/{}.png", 11)]
    said = lfvpipe("init", *words, "--leave-out", *many("x/{}.png", 3))
    assert said.code == 0, said.err
    assert "  3 images in x/: by --leave-out x/*\n" in said.out
    assert "  1 image in ng/: not among what you named\n" in said.out
    sources = load(here / "pipeline.yaml").pipeline.sources.by_label
    assert sources["normal"].include == ("./*",)
    assert len(sources["anomaly"].include) == 11
    assert lfvpipe("run", "--until", "select").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--normal", "okay"], "There is no folder, archive or image by the name of okay."),
        (["--normal", "x*/*.png"], "fits --normal x*/*.png.\n  Images lie in p/ng/, p/ok/."),
        (["p", "--normal", "x"], "No image fits --normal x.\n  Images lie in ng/, ok/."),
        (
            ["--normal", "*.png"],
            "p/ng/1.png would be good by --normal *.png, and lies in ng/.",
        ),
        (["p", "--anomaly", "*.png"], "ok/1.png would be defective by --anomaly *.png"),
    ],
)
def test_words_that_lead_nowhere_or_too_far_are_refused(
    words: list[str], said: str, here: Path, lfvpipe: Any
) -> None:
    put(here / "p", many("ok/{}.png", 20), many("ng/{}.png", 12))
    assert said in _refused(lfvpipe, here, *words)


# --- At a terminal


def at_a_terminal(here: Path, words: list[str], answers: list[str]) -> tuple[int, str]:
    """Return how `init` ends at a pseudo-terminal where these answers are typed, and its words."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = workshop.command("init", *words)
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=here, close_fds=True,
        env={**workshop.environment(), "TERM": "dumb"}, start_new_session=True,
        preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(theirs)
    said, waiting, typed, silent = "", list(answers), "", 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.2)
        if ready:
            try:
                data = os.read(ours, 4096)
            except OSError:
                break
            if not data:
                break
            said, silent = said + data.decode(), 0
            if re.search(r"\nNumber( \[\d\])?: $", said) and waiting:
                typed = waiting.pop(0)
                os.write(ours, typed.encode())
        elif process.poll() is not None:
            break
        elif typed == "\x03" and (silent := silent + 1) % 25 == 0:
            # It may have come just before the program began to read; else that is about to end.
            os.write(ours, typed.encode())
    os.close(ours)
    return process.wait(60), said


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")


@not_on_windows
def test_at_a_terminal_it_asks_and_enter_takes_the_usual_answer(here: Path) -> None:
    put(here / "screws", many("IMG_{}.png", 30))
    code, said = at_a_terminal(here, ["screws"], ["9\n", "\n"])
    assert code == 0, said
    assert "What do the images in screws/ (30 images) show, such as IMG_1.png" in said
    assert "*1  good products" in said
    assert "'9' is none of 1 to 3" in said
    assert list(load(here / "pipeline.yaml").pipeline.sources.by_label) == ["normal"]


@not_on_windows
def test_at_a_terminal_each_open_folder_is_asked_for(here: Path) -> None:
    put(here / "p", many("A/{}.png", 30), many("B/{}.png", 12), many("C/{}.png", 12))
    code, said = at_a_terminal(here, ["p"], ["1\n", "2\n", "3\n"])
    assert code == 0, said
    assert "12 images in C/: as you said" in said
    sources = load(here / "pipeline.yaml").pipeline.sources.by_label
    assert sources["normal"].archive.endswith("/A")
    assert sources["anomaly"].archive.endswith("/B")


@not_on_windows
def test_at_a_terminal_types_of_defects_are_confirmed(here: Path) -> None:
    put(here / "p", many("good/{}.png", 30), many("dent/{}.png", 12), many("glue/{}.png", 12))
    code, said = at_a_terminal(here, ["p"], ["\n"])
    assert code == 0, said
    assert "Beside the good products lie dent/ (12 images), glue/ (12 images)" in said
    assert "12 anomalous images in glue/" in said
    assert load(here / "pipeline.yaml").pipeline.sources.by_label["anomaly"].types is not None
    (here / "pipeline.yaml").unlink()
    code, said = at_a_terminal(here, ["p"], ["2\n", "2\n", "3\n"])
    assert code == 0, said
    assert "12 images in glue/: as you said" in said
    (here / "pipeline.yaml").unlink()
    code, said = at_a_terminal(here, ["p"], ["3\n"])
    assert code == 0, said
    assert "12 images in dent/: as you said" in said


@not_on_windows
@pytest.mark.parametrize(
    ("words", "answers", "counts"),
    [
        (["liberado"], ["1\n"], (13, 0)),
        (["use as is"], ["\n"], (10, 0)),  # Enter never makes a label
        (["liberado", "NOK"], ["2\n"], (10, 3)),
        (["A7", "B 8"], ["1\n"], (10, 3)),
        (["A7", "B 8"], ["\n", "1\n", "2\n"], (12, 1)),
        (["A7", "B 8"], ["3\n"], (10, 0)),
        (["Kratzer"], [], (10, 3)),
    ],
)
def test_at_a_terminal_unknown_words_of_a_table_are_asked_for(
    words: list[str], answers: list[str], counts: tuple[int, int], here: Path
) -> None:
    put(here / "p", many("{:02}.png", 13))
    rows = [f"{n:02}.png;{'OK' if n < 11 else words[n % len(words)]}" for n in range(1, 14)]
    text(here / "p/liste.csv", "\n".join(["Datei;Ergebnis", *rows]))
    code, said = at_a_terminal(here, ["p"], answers)
    assert code == 0, said
    assert said.count("Number [") == len(answers)
    listed = load(here / "pipeline.yaml").pipeline.sources.listed
    assert listed is not None
    found = re.findall(r"(\d+) (normal|anomalous) image", said)
    assert dict.fromkeys(["normal", "anomalous"], 0) | {b: int(a) for a, b in found} == {
        "normal": counts[0],
        "anomalous": counts[1],
    }


@not_on_windows
def test_at_a_terminal_contradictions_are_asked_with_their_reason(here: Path) -> None:
    put(here / "p", many("gut/{}.png", 30), many("schlecht/{}.png", 12))
    put(here / "p", many("gut/x{}_NG.png", 2), many("gut/thumbs/{}.png", 3))
    code, said = at_a_terminal(here, ["p"], ["2\n", "\n"])
    assert code == 0, said
    assert "(the folder says good, “ng” in the names says defective)" in said
    assert "(pictures that were made of photographs, by their name)" in said
    assert "3 images in gut/thumbs/: as you said" in said
    sources = load(here / "pipeline.yaml").pipeline.sources.by_label
    assert sources["normal"].exclude == ("gut/*_NG.*", "gut/thumbs/**")
    assert sources["anomaly"].include == ("gut/*_NG.*", "schlecht/**")


@not_on_windows
def test_at_a_terminal_one_of_several_products_is_asked_for(here: Path) -> None:
    for product in ("bottle", "cable"):
        put(here / "p", many(product + "/good/{}.png", 30), many(product + "/bad/{}.png", 12))
    code, said = at_a_terminal(here, ["p"], ["2\n"])
    assert code == 0, said
    assert "*1  bottle/ (42 images)" in said
    assert "30 images in bottle/good/: another product than cable" in said
    assert load(here / "pipeline.yaml").pipeline.project == "cable"


@not_on_windows
@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 3)])
def test_a_question_can_be_left(typed: str, code: int, here: Path) -> None:
    put(here / "screws", many("IMG_{}.png", 30))
    ended, said = at_a_terminal(here, ["screws"], [typed])
    assert ended in (code, -signal.SIGINT), said
    assert "Traceback" not in said
    assert list(here.iterdir()) == [here / "screws"]


def test_a_zip_of_a_nested_folder_is_called_by_its_name(here: Path, lfvpipe: Any) -> None:
    zipped(here / "p.zip", many("export/x/{}.png", 30))
    said = _refused(lfvpipe, here, "p.zip")
    assert "cannot be told: p.zip (30 images)" in said
    assert "--normal p.zip" in said
