"""`validate` counts as a run does: what is judged, what is left out, and what is not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.dataset.checks.findings import Finding
from lfvpipe.dataset.inventory import JUNK
from lfvpipe.dataset.selection import read_selection

if TYPE_CHECKING:
    from pathlib import Path

GROUPED = """\
sources:
  normal: {archive: p/ok}
  anomaly: {archive: p/ng, exclude: SN10/*}
split: {train: 80, test: 20, group: '(SN\\d+)/'}
evaluate: {images: [SN0/0.png, SN0/1.png, SN10/0.png, SN10/1.png]}
"""
SHARED = """\
sources:
  normal: {archive: p, include: "ok/**"}
  anomaly: {archive: p, include: "ng/**"}
split: {train: 50, test: 50}
evaluate: {images: ["new/*", ok/SN0/0.png, "beside/*"]}
"""
ARCHIVE = """\
sources:
  normal: {archive: p, include: "ok/**"}
  anomaly: {archive: p, include: "ng/**"}
evaluate: {images: [{archive: p, include: "new/*", exclude: "3.png", label: normal}]}
"""
TABLE = "sources: {table: {file: p/l.csv, archive: p, include: ['ok/**', 'ng/**']}}\n"
MANIFEST = "sources: {manifest: {train: p/train.manifest, test: p/test.manifest}}\n"


def line(image: str, label: str) -> str:
    return json.dumps({"source-ref": image, "x": 0, "x-metadata": {"class-name": label}})


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of sixty photographs of twenty parts, with what lists them."""
    monkeypatch.chdir(tmp_path)
    named = [f"ok/SN{n}/{k}.png" for n in range(10) for k in range(3)]
    named += [f"ng/SN{n}/{k}.png" for n in range(10, 20) for k in range(3)]
    for name in [*(f"p/{each}" for each in named), *(f"p/new/{n}.png" for n in range(5)),
                 "p/notes.txt", "beside/1.png"]:  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    labels = {name: name.split("/")[0] if n % 5 else "" for n, name in enumerate(named)}
    rows = [f"{name},{label}" for name, label in labels.items()]
    (tmp_path / "p" / "l.csv").write_text("path,label\n" + "\n".join(rows))
    words = {"ok": "normal", "ng": "anomaly"}
    lines = [line(name, words[name[:2]]) for name in named]
    (tmp_path / "p" / "train.manifest").write_text("\n".join(lines[::2]))
    (tmp_path / "p" / "test.manifest").write_text("\n".join(lines[1::2]))
    return tmp_path / "p"


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize(
    ("text", "judged"),
    [(GROUPED, 4), (SHARED, 7), (ARCHIVE, 4), (TABLE, 12), (MANIFEST, 0)],
    ids=["excluded", "not included", "an archive", "rows without a label", "manifests"],
)
def test_validate_and_a_run_count_the_same(
    text: str, judged: int, lfvpipe: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    told = lfvpipe("validate", "a.yaml", "--json")
    assert told.code == 0, told.out
    sources = told.json["variants"][0]["sources"]
    ran = lfvpipe("run", "a.yaml", "--until", "select", "--json")
    assert ran.code == 0, ran.err
    (selection,) = (tmp_path / ".lfvpipe" / "a" / "selection").glob("*.jsonl")
    images = list(read_selection(selection))
    for split in ("train", "test"):
        counted = sum(image.split == split for image in images)
        assert sum(one[split] or 0 for one in sources) == counted > 0
    assert sum(image.split == "evaluate" for image in images) == judged
    # Those of no known label have a row of their own, as an archive of them has.
    only = sum(one["images"] for one in sources if one["label"] == "evaluate")
    assert only + sum(one["evaluate"] or 0 for one in sources) == judged
    steps = lfvpipe("status", "a.yaml", "--json").json["variants"][0]["steps"]
    facts = next(row for row in steps if row["step"] == "select")["facts"]
    assert facts["judged"] == judged
    found = [Finding.from_json(each) for each in facts.get("findings") or ()]
    notes = [note for one in sources for note in one["notes"]]
    assert [note.split(" (")[0] for note in notes] == [
        each.message.split(" (")[0] for each in found if each.code != JUNK
    ]
    said = lfvpipe("run", "a.yaml", "--until", "select", "--force", "select")
    assert (f"evaluate {judged}" in said.err) == bool(judged)


@pytest.mark.usefixtures("photographs")
def test_what_is_excluded_and_named_to_be_judged_is_judged_and_told(
    lfvpipe: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(GROUPED)
    said = lfvpipe("validate", "a.yaml")
    assert "note: evaluate.images names 2 images that `exclude` leaves out: they are" in said.out
    assert "not used: 1 .png that `exclude` names (SN10/2.png)" in said.out
    assert "2 images to judge, of unknown label" in said.out


def test_what_a_manifest_names_in_vain_is_told_at_once_and_may_be_left_out(
    photographs: Path, lfvpipe: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(MANIFEST)
    for n in range(0, 10, 2):
        (photographs / f"ok/SN{n}/0.png").unlink()  # in the one manifest
        (photographs / f"ng/SN{n + 10}/1.png").unlink()  # in the other
    checked = lfvpipe("validate", "a.yaml")
    assert checked.code == 3
    stopped = lfvpipe("run", "a.yaml", "--until", "select")
    assert stopped.code == 1
    for name in ("train", "test"):
        text = f"{name}.manifest: 5 of 30 references to images lead nowhere: name the folder or"
        assert text in checked.out
        assert text in stopped.err
    assert "images.damaged: leave-out" in checked.out
    assert "ok/SN0/0.png, ok/SN2/0.png, ok/SN4/0.png and 2 more" in checked.out

    (tmp_path / "a.yaml").write_text(f"{MANIFEST}images: {{damaged: leave-out}}\n")
    checked = lfvpipe("validate", "a.yaml")
    assert checked.code == 0
    assert "train.manifest: 5 of 30 references to images lead nowhere: left out" in checked.out
    went_on = lfvpipe("run", "a.yaml", "--until", "select")
    assert went_on.code == 0
    assert "train 25, test 25" in went_on.err
    assert "test.manifest: 5 of 30 references to images lead nowhere: left out" in went_on.err


def test_a_manifest_none_of_whose_images_is_there_stops_a_run_all_the_same(
    photographs: Path, lfvpipe: Any, tmp_path: Path
) -> None:
    (photographs / "train.manifest").write_text(line("gone/1.png", "normal"))
    (tmp_path / "a.yaml").write_text(f"{MANIFEST}images: {{damaged: leave-out}}\n")
    said = lfvpipe("validate", "a.yaml")
    assert said.code == 3
    assert "1 of 1 references to images leads nowhere: name the folder or archive" in said.out
    assert "leave-out" not in said.out
