"""What `export` makes judges by itself, as the pipeline does, and says what it is."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def images(file: Path, tmp_path: Path) -> list[Path]:
    with zipfile.ZipFile(file.parent / "Texture_def.zip") as archive:
        archive.extract("Texture_def/7.png", tmp_path)
    with zipfile.ZipFile(file.parent / "Texture.zip") as archive:
        archive.extract("Texture/7.png", tmp_path)
    return sorted(tmp_path.glob("Texture*/*.png"))


def _run(folder: Path, images: list[Path]) -> list[dict[str, Any]]:
    command = [sys.executable, str(folder / "run.py"), *map(str, images)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_export_judges_as_the_pipeline_does_and_names_its_model(
    file: Path, images: list[Path], lfvpipe: Any, tmp_path: Path
) -> None:
    to = tmp_path / "line 7"
    said = lfvpipe("export", file, "-o", to)
    assert said.code == 0, said.err
    judged = lfvpipe("detect", file, *images, "--json").json["images"]
    by_itself = [line["DetectAnomalyResult"] for line in _run(to, images)]
    assert [each["IsAnomalous"] for each in by_itself] == [each["is_anomalous"] for each in judged]
    assert [each["Confidence"] for each in by_itself] == [each["confidence"] for each in judged]
    for script in to.rglob("*.py"):  # of which `detect` runs none
        script.write_text("raise SystemExit('somebody else put this here')")
    of_folder = lfvpipe("detect", "--model", to, *images, "--json").json["images"]
    assert [each["confidence"] for each in of_folder] == [each["confidence"] for each in judged]
    card = json.loads((to / "card.json").read_text())
    assert card["data"]["train"]["normal"] == 10
    assert card["decision"]["threshold"] == 0.5
    assert f"`{card['model']['sha256']}`" in (to / "card.md").read_text()
    assert not [each for each in tmp_path.iterdir() if each.name.endswith(".incomplete")]


def test_an_export_takes_what_is_decided_by_with_it_and_replaces_an_earlier_one(
    file: Path, images: list[Path], lfvpipe: Any, tmp_path: Path
) -> None:
    to = tmp_path / "export"
    assert lfvpipe("export", file, "-o", to).code == 0
    (to / "run.py").write_text("of the earlier one")
    (tmp_path / ".export.incomplete").mkdir()  # of one that was killed
    decide = ("--set", "evaluate.decide.threshold=0.00001")
    assert lfvpipe("run", file, *decide).code == 0
    assert lfvpipe("export", file, *decide, "-o", to).code == 0
    assert not (tmp_path / ".export.incomplete").exists()
    assert [line["DetectAnomalyResult"]["IsAnomalous"] for line in _run(to, images)] == [True] * 2
    told = lfvpipe("detect", "--model", to, *images, "--json").json["images"]
    assert [each["verdict"] for each in told] == ["anomaly"] * 2
    said = lfvpipe("detect", "--model", to, *images)
    own = f"Decided at a score of 1e-05 (the model's own is 0.5), as {to / 'decision.json'} says"
    assert own in " ".join(said.err.split())
    # The model file in there is the export's as well; a copy elsewhere is not.
    by_file = lfvpipe("detect", "--model", to / "model.lfv", *images, "--json").json
    assert [each["verdict"] for each in by_file["images"]] == ["anomaly"] * 2
    assert [each["threshold"] for each in by_file["images"]] == [0.00001] * 2
    assert str(to / "decision.json") in by_file["notes"][0]
    copy = shutil.copyfile(to / "model.lfv", tmp_path / "copy.lfv")
    by_copy = lfvpipe("detect", "--model", copy, *images, "--json").json["images"]
    assert [each["threshold"] for each in by_copy] == [0.5] * 2
    into_export: list[tuple[Any, ...]] = [
        ("detect", file, images[0].parent, "--out", to),
        ("detect", file, images[0].parent, "--out", to / "code" / "new"),
        ("detect", "--model", to, images[0], "--heat-maps", to / "maps"),
        ("export", file, *decide, "-o", to / "again"),
    ]
    for words in into_export:
        refused = lfvpipe(*words)
        assert (refused.code, refused.out) == (3, ""), words
        assert f"is in an export, {to}" in " ".join(refused.err.split())
    assert "a score of 1e-05" in (to / "card.md").read_text()


def test_a_damaged_export_judges_nothing_and_says_which_of_its_files_it_is(
    file: Path, images: list[Path], lfvpipe: Any, tmp_path: Path
) -> None:
    to = tmp_path / "line"
    labels = file.parent / "labels.jsonl"
    labels.write_text("image,label\n")
    text = file.read_text()
    file.write_text(text.replace("sources:\n", "sources:\n  labels: labels.jsonl\n"))
    assert file.read_text() != text
    said = lfvpipe("export", file, "-o", to)
    assert said.code == 0, said.err
    assert "cannot be told" in " ".join(said.err.split())
    labels.write_text('{"name": "Texture/2.png", "source": "normal", "label": "exclude"}\n')
    said = lfvpipe("export", file, "-o", to)
    assert said.code == 0, said.err
    assert "the model in here has not learnt that" in " ".join(said.err.split())
    os.mkfifo(to.parent / "pipe.png")
    waiting = _run_py(to, str(to.parent / "pipe.png"), str(to.parent / "none.png"))
    assert waiting.returncode == 1
    why = [json.loads(line)["Error"].rpartition(" is ")[2] for line in waiting.stdout.splitlines()]
    assert why == ["no file.", "not there."]
    (helped,) = [_run_py(to, "--help")]
    assert (helped.returncode, "run.py IMAGE" in helped.stdout) == (0, True)
    decision = to / "decision.json"
    unknown = '{"threshold": 0.5, "thresold": 0.3}'
    half = '{"threshold": 0.5, "below": 0.7}'
    for content in (unknown, half, "{}", "[]", '{"threshold": 2}', "x", None):
        if content is None:
            decision.unlink()
        else:
            decision.write_text(content)
        said = lfvpipe("detect", "--model", to, images[0])
        assert (said.code, said.out) == (3, ""), content
        assert f"{decision} cannot be read" in said.err
        by_itself = _run_py(to, str(images[0]))
        assert (by_itself.returncode, by_itself.stdout) == (2, "")
        assert by_itself.stderr.startswith(f"error: {decision} cannot be read")
    decision.write_text('{"threshold": 0.5}')
    assert lfvpipe("detect", "--model", to, images[0]).code == 0
    (to / "model.lfv").write_bytes(b"no model")
    by_itself = _run_py(to, str(images[0]))
    assert by_itself.returncode == 2
    assert by_itself.stderr == f"error: {to / 'model.lfv'} is not a model file of lfvpipe.\n"


def _run_py(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(folder / "run.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_an_export_is_an_archive_where_its_name_says_so(
    file: Path, images: list[Path], lfvpipe: Any, tmp_path: Path
) -> None:
    assert lfvpipe("export", file, "-o", tmp_path / "line.zip").code == 0
    said = lfvpipe("detect", "--model", tmp_path / "line.zip", images[0])
    assert said.code == 3
    assert "line.zip is an archive" in said.err
    assert "Unpack it" in said.err
    state = file.parent / ".lfvpipe"
    into_state: list[tuple[Any, ...]] = [
        ("detect", file, images[0], "--heat-maps", state / "maps"),
        ("detect", file, images[0].parent, "--out", state / "out"),
    ]
    for words in into_state:
        said = lfvpipe(*words)
        assert (said.code, said.out) == (3, ""), words
        assert "where `lfvpipe destroy` and `lfvpipe prune` remove" in said.err
    empty: list[tuple[Any, ...]] = [
        ("detect", "--model", "", images[0]),
        ("detect", file, ""),
        ("run", file, "--state-dir", ""),
        ("run", ""),
    ]
    for words in empty:
        said = lfvpipe(*words)
        assert (said.code, said.out) == (3, ""), words
        assert "the value is empty" in " ".join(said.err.split())
    assert f"{os.devnull} is no file" in lfvpipe("detect", "--model", os.devnull, images[0]).err
    with zipfile.ZipFile(tmp_path / "line.zip") as archive:
        assert {"run.py", "model.lfv", "card.md", "decision.json"} <= {*archive.namelist()}


def test_an_export_goes_into_no_folder_of_a_source(
    file: Path, images: list[Path], lfvpipe: Any, tmp_path: Path
) -> None:
    folder = images[0].parent
    source = ("--set", f"sources.anomaly.archive={folder}")
    said = lfvpipe("export", file, *source, "-o", folder / "line")
    assert (said.code, said.out) == (3, "")
    told = f"which {file.name} has for its images as sources.anomaly"
    assert told in " ".join(said.err.split())
    assert sorted(folder.iterdir()) == [images[0]]


def test_what_is_no_export_is_not_replaced(file: Path, lfvpipe: Any, tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.mkdir()
    (kept / "notes.txt").write_text("mine")
    for to in (kept, kept / "notes.txt"):
        said = lfvpipe("export", file, "-o", to)
        assert said.code == 3
        assert "is there already" in said.err
    assert (kept / "notes.txt").read_text() == "mine"
    export = tmp_path / "export"
    assert lfvpipe("export", file, "-o", export).code == 0
    (export / "ours.txt").write_text("added by hand")
    said = lfvpipe("export", file, "-o", export)
    assert (said.code, "ours.txt" in said.err) == (3, True)
    assert (export / "ours.txt").read_text() == "added by hand"
    said = lfvpipe("export", file, "-o", tmp_path / "nowhere" / "x")
    assert (said.code, "is no folder" in said.err) == (3, True)


@pytest.mark.parametrize(
    ("to", "told"),
    [
        (".lfvpipe/for-the-line", "is among the state"),
        ("/proc/for-the-line", "Nothing can be made in /proc"),
        ("", "the value is empty"),
    ],
)
def test_what_is_no_place_is_refused(file: Path, lfvpipe: Any, to: str, told: str) -> None:
    state = file.parent / ".lfvpipe"
    found = lfvpipe("export", str(file), "-o", to.replace(".lfvpipe", str(state)))
    assert found.code == 3
    assert told in found.err
    assert not (state / "for-the-line").exists()


def test_without_a_model_there_is_nothing_to_export(project: Path, lfvpipe: Any) -> None:
    said = lfvpipe("export", project)
    assert said.code == 3
    assert "has no model yet" in said.err
