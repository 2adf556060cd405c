"""What a list says twice, and not the same: it is refused, or counted and said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image as Pillow

from lfvpipe.cli.main import main
from tests.end_to_end.layouts import mask, masks, pictures, write
from tests.end_to_end.test_layouts import outcome

if TYPE_CHECKING:
    from pathlib import Path

GOOD, BAD = 14, 12
Run = Callable[[str], int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a pipeline of these sources as far as the check."""
    monkeypatch.chdir(tmp_path)

    def run_sources(sources: str) -> int:
        text = f"sources: {sources}\nsplit: {{train: 50, test: 50}}\n"
        (tmp_path / "pipeline.yaml").write_text(text, encoding="utf-8")
        return main(["run", "--until", "check"])

    return run_sources


def findings(folder: Path) -> dict[str, str]:
    return {found.code: found.message for found in outcome(folder)[1]}


def dagm(folder: Path, defective: int, painted: int, rows: int = 20) -> None:
    """Write a class of DAGM whose list calls so many images defective, and so many have a mask."""
    for part, first in (("Train", 0), ("Test", 500)):
        files = pictures(f"p/Class1/{part}/{{}}.PNG", 20, first)
        files |= masks(f"p/Class1/{part}/Label/{{}}_label.PNG", painted, first)
        lines = [
            f"{n}\t{int(n < defective)}\t{first + n:03}.PNG\t0\t"
            + (f"{first + n:03}_label.PNG" if n < defective else "0")
            for n in range(rows)
        ]
        listed = "\r\n".join(["1", *lines, ""]).encode()
        write(folder, {**files, f"p/Class1/{part}/Label/Labels.txt": listed})


LAYOUT = "{layout: {name: dagm, archive: p}}"


def test_the_list_of_dagm_agrees_with_its_masks(tmp_path: Path, run: Run) -> None:
    dagm(tmp_path, 10, 10)
    assert run(LAYOUT) == 0
    labels = [image.label for image in outcome(tmp_path)[0]]
    assert (labels.count("normal"), labels.count("anomaly")) == (20, 20)
    assert "junk" not in findings(tmp_path)


@pytest.mark.parametrize(
    ("defective", "painted", "rows", "said"),
    [
        (10, 8, 20, "Labels.txt:10 calls p/Class1/Test/508.PNG defective, and 508_label.PNG is"),
        (10, 0, 20, "Labels.txt:2 calls p/Class1/Test/500.PNG defective"),
        (10, 11, 20, "Labels.txt:12 calls p/Class1/Test/510.PNG good"),
        (10, 10, 18, "p/Class1/Test/518.PNG is not in its Labels.txt"),
    ],
)
def test_a_defective_image_of_dagm_without_its_mask_is_not_good(
    defective: int,
    painted: int,
    rows: int,
    said: str,
    tmp_path: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dagm(tmp_path, defective, painted, rows)
    assert run(LAYOUT) == 1
    assert said.replace("p/Class1", "Class1") in capsys.readouterr().err
    assert main(["init", "p", "-o", "other.yaml"]) != 0
    assert said.replace("p/Class1/", "") in capsys.readouterr().err


def studio(number: int, *said: tuple[str, str, bool]) -> dict[str, Any]:
    """Return a task that several people did: what they say, when, and whether they gave up."""
    return {
        "data": {"image": f"/data/upload/1/ab12cd34-{number:03}.png"},
        "annotations": [
            {
                "created_at": date,
                "was_cancelled": cancelled,
                "result": [{"type": "choices", "value": {"choices": [word]}}],
            }
            for word, date, cancelled in said
        ],
    }


@pytest.mark.parametrize(
    ("dates", "cancelled", "differ"),
    [
        (("2023-01-01T00:00:00Z", "2021-01-01T00:00:00Z"), False, True),  # the first is newer
        (("", ""), True, False),  # the last was given up
    ],
)
def test_of_annotators_who_deny_each_other_the_newest_counts_and_that_is_said(
    dates: tuple[str, str], cancelled: bool, differ: bool, tmp_path: Path, run: Run
) -> None:
    def said(number: int) -> dict[str, Any]:
        words = ("ok", "ng") if number < GOOD else ("ng", "ok")
        return studio(number, (words[0], dates[0], False), (words[1], dates[1], cancelled))

    tasks = [said(number) for number in range(GOOD + BAD)]
    write(tmp_path, {"e.json": json.dumps(tasks).encode(), **pictures("p/{}.png", GOOD + BAD)})
    assert run("{annotations: {format: label-studio, file: e.json, archive: p}}") == 0
    labels = {image.member: image.label for image in outcome(tmp_path)[0]}
    assert labels["000.png"] == "normal"
    assert labels["025.png"] == "anomaly"
    message = findings(tmp_path).get("contradicting-annotators", "")
    assert ("annotations of 26 images contradict each other" in message) == differ


def rows(head: str, *lines: str) -> bytes:
    """Return a table; `{}` in the line of good ones and that of defective ones is the number."""
    made = [lines[0 if n < GOOD else 1].format(f"{n:03}") for n in range(GOOD + BAD)]
    return "\n".join([head, *made, *lines[2:]]).encode()


def test_columns_that_deny_each_other_are_refused_with_their_rows(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    table = rows("path,label,is_anomaly", "{}.png,ok,0", "{}.png,ok,1")
    write(tmp_path, {"l.csv": table, **pictures("p/{}.png", GOOD + BAD)})
    assert run("{table: {file: l.csv, archive: p}}") == 1
    assert "contradict each other in 12 rows: l.csv:16 (ok, 1)" in capsys.readouterr().err
    assert main(["init", "p", "l.csv", "-o", "other.yaml"]) != 0
    assert "contradict each other in 12 rows" in capsys.readouterr().err


def test_good_rows_with_a_type_and_rows_without_a_label_are_counted(
    tmp_path: Path, run: Run
) -> None:
    more = ["026.png,,", "027.png,,", "028.png,ok,none", "029.png,ok,scratch"]
    table = rows("path,label,type", "{}.png,ok,", "{}.png,ng,dent", *more)
    write(tmp_path, {"l.csv": table, **pictures("p/{}.png", GOOD + BAD + 4)})
    assert run("{table: {file: l.csv, archive: p}}") == 0
    found = findings(tmp_path)
    assert found["rows-without-label"].startswith("l.csv: 2 rows have no label;")
    assert "1 row calls an image good in spite" in found["good-of-type"]
    assert "l.csv:31" in found["good-of-type"]


def test_a_mask_that_is_not_there_is_not_the_photograph_of_its_name(
    tmp_path: Path, run: Run
) -> None:
    table = rows("path,label,mask", "{}.png,ok,", "{}.png,ng,masks/{}.png".replace("{}", "{0}"))
    write(tmp_path, {"l.csv": table, **pictures("p/{}.png", GOOD + BAD)})
    assert run("{table: {file: l.csv, archive: p}}") == 0
    assert not any(image.mask for image in outcome(tmp_path)[0])
    assert "12 of 12 masks that it names are not there" in findings(tmp_path)["not-there"]


BY_LABEL = "{normal: {archive: good}, anomaly: {archive: bad, masks: m}}"


def test_one_mask_is_not_given_to_two_images(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    files = pictures("good/{}.png", 20) | pictures("bad/scratch/{}.png", 10)
    files |= {name.replace("scratch", "dent"): data for name, data in files.items()}
    write(tmp_path, {**files, **masks("m/{}.png", 10)})
    assert run(BY_LABEL) == 1
    assert "000.png fits 2 images: dent/000.png, scratch/000.png, and 9 more fit several" in (
        capsys.readouterr().err
    )


def test_a_mask_in_a_folder_of_types_is_not_that_of_another_type(tmp_path: Path, run: Run) -> None:
    files = pictures("good/{}.png", 20) | pictures("bad/dent/{}.png", 10)
    files |= pictures("bad/scratch/{}.png", 10, 5)
    write(tmp_path, {**files, **masks("m/dent/{}.png", 10)})
    assert run(BY_LABEL) == 0
    masked = {image.member for image in outcome(tmp_path)[0] if image.mask}
    assert masked == {f"dent/{n:03}.png" for n in range(10)}


@pytest.mark.parametrize("place", ["掩膜", "掩膜/*.png"])
def test_masks_lie_in_any_folder_of_the_archive(place: str, tmp_path: Path, run: Run) -> None:
    files = pictures("part/良品/{}.png", 20) | pictures("part/不良/{}.png", 12)
    write(tmp_path, {"x.zip": files | masks("part/掩膜/{}.png", 12)})
    normal = "normal: {archive: x.zip, include: part/良品/**}"
    anomaly = f"anomaly: {{archive: x.zip, exclude: part/良品/**, masks: 'x.zip/part/{place}'}}"
    assert run(f"{{{normal}, {anomaly}}}") == 0
    found = outcome(tmp_path)[0]
    assert sum(image.mask is not None for image in found) == 12
    assert len(found) == 32
    assert main(["validate"]) == 0


def test_masks_of_the_good_part_are_told(tmp_path: Path, run: Run) -> None:
    picture = Pillow.open(io.BytesIO(mask())).convert("L").point(lambda grey: 255 * (grey == 0))
    data = io.BytesIO()
    picture.save(data, "PNG")
    swapped = {f"m/{n:03}.png": data.getvalue() for n in range(12)}
    files = pictures("good/{}.png", 20) | pictures("bad/{}.png", 12, 0)
    write(tmp_path, {**files, **swapped})
    assert run(BY_LABEL) == 0
    assert findings(tmp_path)["mostly-marked"].startswith("12 masks mark more than half of")
