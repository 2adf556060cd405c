"""`lfvpipe review` on the command line: what it needs, what it exports."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from lfvpipe import review
from lfvpipe.cli.main import main
from lfvpipe.config import load
from lfvpipe.config.spec import Bucket
from lfvpipe.dataset.index import Image, image_line
from lfvpipe.dataset.lines import write_lines
from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.outcome import Facts, Outcome
from lfvpipe.report.records import Verdict
from lfvpipe.report.verdict_file import write_verdicts
from lfvpipe.review.export import as_csv, as_manifest
from lfvpipe.steps.context import Context
from lfvpipe.steps.evaluate.outcome import VerdictFile
from tests import workshop
from tests.outcomes import evaluate_outcome, extract_outcome, model_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfvpipe.config.spec import Label


@pytest.fixture
def labels(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a labels file."""

    def write(*lines: dict[str, Any]) -> Path:
        file = tmp_path / "reviewed.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return file

    return write


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_row_for_each_decided_image_with_its_conflict(
    labels: Callable[..., Path],
) -> None:
    file = labels(
        {"name": "1.png", "label": "normal", "who": "Ana", "was": "anomaly"},
        {"name": "2.png", "label": "exclude", "who": "Ana"},
        {"name": "1.png", "label": "anomaly", "who": "Ben"},
        {"name": "2.png", "label": None, "who": "Ana"},
    )
    (row,) = rows(as_csv(file))
    assert (row["name"], row["label"], row["who"]) == ("1.png", "anomaly", "Ben")
    assert row["conflict"] == "Ana: normal; Ben: anomaly"


def test_no_cell_of_the_csv_is_a_formula(labels: Callable[..., Path]) -> None:
    file = labels({"name": "=HYPERLINK(1)", "label": "normal", "who": "@SUM(1)"})
    (row,) = rows(as_csv(file))
    assert (row["name"], row["who"]) == ("'=HYPERLINK(1)", "'@SUM(1)")


def test_the_manifest_has_the_decided_label_of_each_image_that_is_known(
    labels: Callable[..., Path], tmp_path: Path
) -> None:
    images = [
        Image(f"normal/{n}.png", "normal", "test", f"{n}.png", "normal", "p", f"normal/{n}.png",
              1, "0", 64, 64)
        for n in range(4)
    ]  # fmt: skip
    name, _ = write_lines(tmp_path, map(image_line, images))
    file = labels(
        {"name": "1.png", "source": "normal", "label": "anomaly", "when": "2026-01-31T13:00+01:00"},
        {"name": "2.png", "label": "normal"},
        {"name": "3.png", "label": "exclude"},
        {"name": "gone.png", "label": "normal"},
    )
    lines = [
        json.loads(line) for line in as_manifest(file, tmp_path / name, Bucket("b", prefix="x/"))
    ]
    told = {line["source-ref"]: line["anomaly-label-metadata"] for line in lines}
    said = {source: facts["class-name"] for source, facts in told.items()}
    assert said == {"s3://b/x/normal/1.png": "anomaly", "s3://b/x/normal/2.png": "normal"}
    made = [facts["creation-date"] for facts in told.values()]
    assert made == ["2026-01-31T12:00:00.000", "2020-11-20T00:00:00.000"]


def test_without_a_run_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text("sources: {normal: {archive: good.zip}}\n")
    assert main(["review", str(file), "--no-browser"]) == 3
    assert "no verdicts to review yet" in capsys.readouterr().err
    assert main(["review", str(file), "--export", "csv"]) == 3
    assert "Nothing has been reviewed yet" in capsys.readouterr().err


def test_a_labels_address_is_refused_with_its_place(tmp_path: Path) -> None:
    from lfvpipe.config import load
    from lfvpipe.config.problems import ConfigError

    file = tmp_path / "pipeline.yaml"
    file.write_text("sources:\n  normal: {archive: good.zip}\n  labels: s3://b/reviewed.jsonl\n")
    with pytest.raises(ConfigError, match=r"pipeline\.yaml:3:"):
        load(file)
    file.write_text("sources:\n  normal: {archive: good.zip}\n  labels: reviewed.jsonl\n")
    assert load(file).pipeline.sources.labels == str(tmp_path / "reviewed.jsonl")


MATRIX = """\
sources: {normal: {archive: good.zip}}
split: {train: 100}
matrix: {sample.percent: [25, 50, 100]}
"""


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    """Return a pipeline file of three variants; of 50, then of 25 percent images were judged."""
    file = tmp_path / "several.yaml"
    file.write_text(MATRIX)
    state_dir = tmp_path / ".lfvpipe" / "several"
    state_dir.mkdir(parents=True)
    index, _ = write_lines(state_dir, [])
    facts: dict[str, Facts] = {
        "extract": extract_outcome(index).facts,
        "model": model_outcome("several").as_json(),
        "evaluate": evaluate_outcome().as_json(),
    }
    ledger = Ledger.load(state_dir / "ledger.json")
    for percent in (50, 25):
        for step, known in facts.items():
            variant, digest = f"sample.percent={percent}", f"{percent:064x}"
            ledger.begin(variant, step, digest, {"version": 1}, exclusive=False)
            ledger.finish(variant, step, digest, Outcome("created", known), exclusive=False)
    return file


def _served(file: Path, *options: str) -> tuple[list[list[str]], dict[str, Any]]:
    """Return the words of what `review` prints until its page is there, and the page's state."""
    command = [sys.executable, "-m", "lfvpipe", "review", str(file), "--no-browser", *options]
    there = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    said: list[list[str]] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=there
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.split())
            if "http" in line:
                break
        state = httpx.get(f"{said[-1][-1]}api/state").json()
        process.terminate()
    return said, state


@pytest.mark.parametrize(
    ("options", "expected"), [([], "25"), (["--variant", "50"], "50"), (["--variant", "t=2"], "25")]
)
def test_of_a_matrix_the_variant_that_was_judged_last_is_reviewed_or_the_one_that_is_named(
    matrix: Path, options: list[str], expected: str
) -> None:
    said, state = _served(matrix, *options)
    assert state["title"] == f"several · sample.percent={expected}"
    assert said[0][:2] == ["reviewing", f"sample.percent={expected},"]
    listed = {words[-3] if "judged" not in words else words[0]: words for words in said[1:4]}
    assert listed[f"sample.percent={expected}"][0] == "*"
    assert listed["sample.percent=100"][1:] == ["not", "judged", "yet"]


def indexed(name: str, label: Label) -> Image:
    path, key = f"images/{name}", f"{label}/{name}"
    return Image(key, label, "train", name, label, path, key, 1, "0" * 64, 64, 64)


@pytest.fixture
def learnt(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of a pipeline file whose training said of each image what it is told."""

    def make(normal: Sequence[float], anomaly: Sequence[float]) -> Path:
        file = tmp_path / "learnt.yaml"
        file.write_text("sources: {normal: {archive: good.zip}}\n")
        state_dir = tmp_path / ".lfvpipe" / "learnt"
        state_dir.mkdir(parents=True)
        labels: tuple[tuple[Label, Sequence[float]], ...] = (
            ("anomaly", anomaly),
            ("normal", normal),
        )
        rows = [
            (indexed(f"{n}.png", label), p) for label, said in labels for n, p in enumerate(said)
        ]
        index, _ = write_lines(state_dir, [image_line(image) for image, _ in rows])
        verdicts = [
            Verdict(i.id, i.member, i.label, p >= 0.5, max(p, 1 - p), path=i.path) for i, p in rows
        ]
        kept = VerdictFile(**write_verdicts(state_dir, "evaluations/training.jsonl", verdicts))
        facts: dict[str, Facts] = {
            "extract": extract_outcome(index).facts,
            "model": model_outcome("learnt").as_json(),
            "evaluate": replace(evaluate_outcome(), training=kept).as_json(),
        }
        ledger = Ledger.load(state_dir / "ledger.json")
        for step, known in facts.items():
            ledger.begin("default", step, "0" * 64, {"version": 1}, exclusive=False)
            ledger.finish("default", step, "0" * 64, Outcome("created", known), exclusive=False)
        return file

    return make


def test_training_images_are_reviewed_by_how_much_their_labels_are_contradicted(
    learnt: Callable[..., Path],
) -> None:
    file = learnt([0.1] * 12 + [0.93, 0.97], [0.9] * 12 + [0.02])
    _, state = _served(file, "--of", "training")
    assert (state["total"], state["of_training"]) == (3, True)
    queue = review.queue.build_of_training(*standing(file), "default")
    assert [item.image.id for item in queue.items] == [
        "anomaly/12.png",
        "normal/13.png",
        "normal/12.png",
    ]
    assert all(item.is_wrong for item in queue.items)
    whole = review.queue.build_of_training(*standing(file), "default", everything=True)
    assert len(whole.items) == 27
    assert whole.items[:3] == queue.items


def test_decide_says_which_labels_to_correct_first(
    learnt: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = learnt([0.1] * 12 + [0.93, 0.97], [0.9] * 12 + [0.02])
    assert main(["decide", str(file)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "first correct the 3 training labels that are contradicted" in said
    assert "`lfvpipe review --of training`" in said
    assert main(["decide", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["contradicted"] == 3


def test_decide_says_that_a_run_is_due_where_labels_were_corrected_since(
    learnt: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = learnt([0.1] * 12 + [0.93, 0.97], [0.9] * 12 + [0.02])
    text = file.read_text("utf-8").replace("sources: {", "sources: {labels: labels.jsonl, ")
    file.write_text(text, "utf-8")

    def said(*decided: tuple[str, str, str]) -> tuple[str, dict[str, object]]:
        lines = [
            json.dumps({"name": name, "source": source, "label": label})
            for source, name, label in decided
        ]
        file.with_name("labels.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        assert main(["decide", str(file)]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert main(["decide", str(file), "--json"]) == 0
        return text, json.loads(capsys.readouterr().out)

    one = ("normal", "13.png", "anomaly")
    text, facts = said(one)
    assert "first correct the 2 training labels that are contradicted" in text
    assert "1 contradicted label was corrected since the model learnt: `lfvpipe run" in text
    assert f"`lfvpipe run {file}` is due before you decide" in text
    assert (facts["contradicted"], facts["corrected"], facts["run_is_due"]) == (3, 1, True)
    # One that a person holds to be right is not to be corrected either.
    text, facts = said(one, ("normal", "12.png", "normal"), ("anomaly", "12.png", "exclude"))
    assert "first correct" not in text
    assert "2 contradicted labels were corrected since the model learnt" in text
    assert facts["corrected"] == 2


def test_decide_names_no_labels_where_none_is_contradicted(
    learnt: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decide", str(learnt([0.1] * 12, [0.9] * 12))]) == 0
    assert "contradicted" not in capsys.readouterr().out


def test_at_least_a_tenth_of_the_training_images_is_shown(learnt: Callable[..., Path]) -> None:
    file = learnt([0.1] * 30 + [0.6], [0.9] * 12)
    queue = review.queue.build_of_training(*standing(file), "default")
    assert len(queue.items) == 5
    assert queue.items[0].image.id == "normal/30.png"


def standing(file: Path) -> tuple[Context, Ledger]:
    context = Context(load(file).pipeline, file.parent / ".lfvpipe")
    return context, Ledger.load(context.state_dir / "ledger.json")


def test_of_few_training_images_nothing_is_shown_and_why(
    learnt: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = learnt([0.1] * 12, [0.9] * 9)
    assert main(["review", str(file), "--of", "training", "--no-browser"]) == 3
    said = capsys.readouterr().err
    assert "Nobody could say which labels" in said
    assert "10 training images of each label" in said


@pytest.mark.parametrize(
    ("key", "options", "named"),
    [
        ("", [], "several.labels.jsonl"),
        ("  labels: l.jsonl\n", [], None),
        ("  labels: l.jsonl\n", ["--labels", "other.jsonl"], "other.jsonl"),
    ],
)
def test_the_page_says_which_key_is_missing_for_a_run_to_notice(
    matrix: Path, monkeypatch: pytest.MonkeyPatch, key: str, options: list[str], named: str | None
) -> None:
    monkeypatch.chdir(matrix.parent)
    sources = "sources:\n  normal: {archive: good.zip}\n" + key
    matrix.write_text(MATRIX.replace("sources: {normal: {archive: good.zip}}\n", sources))
    _, state = _served(matrix, *options)
    told = f"Name the file in several.yaml, under sources:  labels: {named}" if named else ""
    assert state["advice"] == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("75", "No variant is called '75'."),
        ("sample", "Several variants have 'sample' in their name"),
    ],
)
def test_a_variant_that_is_not_known_is_refused_with_those_that_are(
    matrix: Path, capsys: pytest.CaptureFixture[str], word: str, told: str
) -> None:
    assert main(["review", str(matrix), "--variant", word]) == 3
    said = capsys.readouterr().err
    assert told in said
    assert all(f"sample.percent={percent}" in said for percent in (25, 50, 100))


def test_a_variant_without_verdicts_is_named(
    matrix: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", str(matrix), "--variant", "100"]) == 3
    assert "several [sample.percent=100] has no verdicts" in capsys.readouterr().err


def test_the_browser_is_started_without_the_token_on_its_command_line(
    matrix: Path, tmp_path: Path
) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    os.mkfifo(seen)
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}\n')
    browser.chmod(0o700)
    command = [sys.executable, "-m", "lfvpipe", "review", str(matrix)]
    there = {**workshop.environment(), "BROWSER": f"{browser} %s"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=there) as process:
        assert process.stdout is not None
        address = next(line for line in process.stdout if "http" in line).split()[-1]
        opened = seen.read_text()
        token = address.rstrip("/").rpartition("/")[2]
        assert opened.startswith("file://")
        assert token not in opened
        way_in = Path(unquote(urlsplit(opened).path))
        assert stat.S_IMODE(way_in.stat().st_mode) == 0o600
        assert address in way_in.read_text()
        process.terminate()
    assert not way_in.exists()
