"""`lfvpipe review` on the command line: what it needs, what it exports."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.config.spec import Bucket
from lfvpipe.review.export import as_csv, as_manifest
from lfvpipe.steps.index import Image, image_line, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
        {"name": "1.png", "source": "normal", "label": "anomaly"},
        {"name": "2.png", "label": "normal"},
        {"name": "3.png", "label": "exclude"},
        {"name": "gone.png", "label": "normal"},
    )
    lines = [
        json.loads(line) for line in as_manifest(file, tmp_path / name, Bucket("b", prefix="x/"))
    ]
    said = {line["source-ref"]: line["anomaly-label-metadata"]["class-name"] for line in lines}
    assert said == {"s3://b/x/normal/1.png": "anomaly", "s3://b/x/normal/2.png": "normal"}


def test_without_a_run_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lfvpipe.cli.main import main

    file = tmp_path / "pipeline.yaml"
    file.write_text("sources: {normal: {archive: good.zip}}\n")
    assert main(["review", str(file), "--no-browser"]) == 1
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
    assert load(file).pipeline.sources.reviewed == str(tmp_path / "reviewed.jsonl")
