"""What a step depends on beyond its settings: local files by content, and the code it shares."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.engine.outcome import digest
from lfvpipe.steps.extract import preparation

if TYPE_CHECKING:
    from pathlib import Path

FILES = "evaluate: {images: [local/*.png, local/a.png, Texture/7.png]}\n"


@pytest.fixture
def local(project: Path) -> Path:
    """Return a folder with two images beside a pipeline that evaluates on them."""
    folder = project.parent / "local"
    folder.mkdir()
    with zipfile.ZipFile(project.parent / "Texture.zip") as archive:
        for name, number in (("a", 8), ("b", 9)):
            (folder / f"{name}.png").write_bytes(archive.read(f"Texture/{number}.png"))
    text = project.read_text()
    project.write_text(text.replace("evaluate: {images: [Texture/7.png]}\n", FILES))
    return folder


def reasons(lfvpipe: Any, project: Path, step: str) -> list[tuple[str, str]]:
    rows = lfvpipe("plan", project, "--until", "extract", "--json").json["variants"][0]["steps"]
    found = next(row for row in rows if row["step"] == step)["reasons"]
    return [(reason["code"], reason["subject"]) for reason in found]


def test_a_new_version_of_the_preparation_makes_extract_stale_and_says_so(
    prepared: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reasons(lfvpipe, prepared, "extract") == []
    monkeypatch.setattr(preparation, "VERSION", preparation.VERSION + 1)
    assert reasons(lfvpipe, prepared, "extract") == [("step-changed", "preparation")]
    (variant,) = lfvpipe("run", prepared, "--until", "extract", "--json").json["variants"]
    facts = next(row["facts"] for row in variant["steps"] if row["step"] == "extract")
    assert facts["new"] == facts["images"]  # what the older code made is not passed off as new
    assert reasons(lfvpipe, prepared, "extract") == []
    monkeypatch.undo()
    assert reasons(lfvpipe, prepared, "extract") == []  # what it was made into is still known


def test_a_touched_evaluation_file_is_no_change_but_new_content_is(
    project: Path, local: Path, lfvpipe: Any
) -> None:
    assert lfvpipe("run", project, "--until", "extract").code == 0
    for file in local.iterdir():
        os.utime(file, ns=(1, 1))
    assert lfvpipe("plan", project, "--until", "extract").code == 0
    status = (local / "b.png").stat()
    shutil.copyfile(local / "a.png", local / "b.png")
    os.utime(local / "b.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert reasons(lfvpipe, project, "select") == [("input-changed", "local/*.png")]


def test_an_evaluation_file_more_or_less_is_a_change(
    project: Path, local: Path, lfvpipe: Any
) -> None:
    assert lfvpipe("run", project, "--until", "extract").code == 0
    (local / "a.png").rename(local / "c.png")
    names = [("input-changed", "local/*.png"), ("input-changed", "local/a.png")]
    assert reasons(lfvpipe, project, "select") == names


def test_a_ledger_that_has_files_by_their_time_repeats_select_and_nothing_after_it(
    project: Path, local: Path, lfvpipe: Any
) -> None:
    assert lfvpipe("run", project, "--until", "extract").code == 0
    file = project.parent / ".lfvpipe" / "pipeline" / "ledger.json"
    ledger = json.loads(file.read_text())
    (record,) = ledger["outcomes"]["select"].values()
    inputs = {key: value for key, value in record["inputs"].items() if "local" not in key}
    for path in sorted(local.iterdir()):
        status = path.stat()
        inputs[f"file local/{path.name}"] = f"m{status.st_mtime_ns:x}-{status.st_size}"
    record["inputs"] = inputs
    ledger["outcomes"]["select"] = {digest(inputs): record}
    ledger["standing"]["default"]["select"] = digest(inputs)
    file.write_text(json.dumps(ledger))
    said = lfvpipe("run", project, "--until", "extract", "--json")
    actions = {row["step"]: row["action"] for row in said.json["variants"][0]["steps"]}
    assert (actions["select"], actions["extract"]) == ("run", "unchanged")


def test_a_plan_of_a_folder_that_was_moved_says_what_a_run_does(
    prepared: Path, lfvpipe: Any
) -> None:
    moved = prepared.parent.with_name("moved")
    prepared.parent.rename(moved)
    words = (moved / prepared.name, "--until", "extract", "--json")
    planned = lfvpipe("plan", *words).json["variants"][0]["steps"]
    acted = lfvpipe("run", *words).json["variants"][0]["steps"]
    assert [row["action"] for row in planned] == [row["action"] for row in acted]
    stocked = [row["step"] for row in planned if row["action"] == "run"]
    assert stocked == ["fetch:normal", "fetch:anomaly"]
    assert lfvpipe("plan", *words).code == 0


def test_a_plan_foretells_nothing_of_a_source_that_is_not_the_one_pinned(
    prepared: Path, lfvpipe: Any
) -> None:
    pinned = prepared.read_text().replace("Texture.zip}", f"Texture.zip, sha256: {'0' * 64}}}")
    prepared.write_text(pinned)
    rows = lfvpipe("plan", prepared, "--until", "extract", "--json").json["variants"][0]["steps"]
    selected = [row["step"] for row in rows if row["action"] == "run"]
    assert selected == ["fetch:normal", "select", "extract"]


@pytest.mark.parametrize("tree", ["pipeline/images", "buckets"])
def test_images_that_stood_unchanged_for_long_are_looked_at_as_those_just_written(
    project: Path, lfvpipe: Any, tree: str
) -> None:
    assert lfvpipe("run", project, "--until", "upload").code == 0
    state = project.parent / ".lfvpipe"
    for image in state.rglob("*.png"):
        os.utime(image, (image.stat().st_atime, image.stat().st_mtime - 3600))
    for _ in range(2):  # the first one notes how they stand
        assert lfvpipe("plan", project, "--until", "upload").code == 0
    image = sorted((state / tree).rglob("*.png"))[3]
    stood, content = image.stat(), image.read_bytes()
    names = {each.name for each in state.rglob("*.png") if each.samefile(image)}

    image.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    damaged = lfvpipe("plan", project, "--until", "upload")
    said = damaged.out.replace("\n", "")  # of a file with two names either will do
    assert (damaged.code, any(name in said for name in names)) == (2, True)
    image.write_bytes(content)
    assert lfvpipe("plan", project, "--until", "upload").code == 0
    os.utime(image, ns=(stood.st_atime_ns, stood.st_mtime_ns))
    assert lfvpipe("plan", project, "--until", "upload").code == 0

    image.rename(image.with_name("another.png"))
    lost = lfvpipe("plan", project, "--until", "upload")
    assert (lost.code, image.name in lost.out.replace("\n", "")) == (2, True)
    assert lfvpipe("run", project, "--until", "upload").code == 0
    assert image.read_bytes() == content
