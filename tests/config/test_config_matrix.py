import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lfvpipe.config import Loaded, Problem
from lfvpipe.config.matrix import expand
from lfvpipe.config.spec import Share

Load = Callable[..., Loaded]
Problems = Callable[..., tuple[Problem, ...]]


def test_without_a_matrix_there_is_one_experiment(load_text: Load, good: str) -> None:
    loaded = load_text(good)
    (variant,) = expand(loaded)
    assert (variant.name, variant.values) == ("default", {})
    assert variant.pipeline == loaded.pipeline


def test_there_is_one_experiment_for_each_combination(load_text: Load, good: str) -> None:
    loaded = load_text(good + "matrix: {sample.percent: [10, 40.0], images.convert: [null, L]}\n")
    variants = expand(loaded)
    assert [variant.name for variant in variants] == [
        "sample.percent=10,images.convert=null",
        "sample.percent=10,images.convert=L",
        "sample.percent=40,images.convert=null",
        "sample.percent=40,images.convert=L",
    ]
    last = variants[-1]
    assert last.values == {"sample.percent": 40, "images.convert": "L"}
    assert last.pipeline.sample.shares["normal"] == Share(percent=40)
    assert last.pipeline.images.convert == "L"
    assert variants[0].pipeline.images.convert is None


def test_a_whole_section_and_a_path_can_vary(load_text: Load, good: str, tmp_path: Path) -> None:
    loaded = load_text(
        good + "matrix:\n  split: [{train: 80, test: 20}, {train: 100}]\n"
        "  sources.normal.archive: [a.zip, 'https://h/b.zip']\n"
    )
    variants = expand(loaded)
    assert variants[2].pipeline.split.test is None
    archives = [variant.pipeline.sources.by_label["normal"].archive for variant in variants]
    assert archives[:2] == [str(tmp_path / "a.zip"), "https://h/b.zip"]
    assert variants[0].name == "split=train-80+test-20,sources.normal.archive=a.zip"


def test_names_fit_into_file_names_and_stay_apart(load_text: Load, good: str) -> None:
    images = ["a/b", "a:b", "x" * 300, "X" * 300]
    loaded = load_text(good + f"matrix: {{evaluate.images: {[[image] for image in images]}}}\n")
    names = [variant.name for variant in expand(loaded)]
    assert len({name.lower() for name in names}) == len(images)
    assert all(re.fullmatch(r"[A-Za-z0-9._=,+-]{1,100}", name) for name in names)
    assert names == [variant.name for variant in expand(loaded)]


CASES = {
    "matrix: {sample.percent: [10, 400]}": (2, 31, "at most 100"),
    "matrix: {sample.percent: [10, lots]}": (2, 31, "a number is wanted"),
    "matrix: {sample.percnt: [10]}": (2, 10, 'unknown key "percnt" in sample'),
    "matrix: {name: [a, b]}": (2, 10, "name cannot vary"),
    "matrix: {matrix.sample.seed: [1]}": (2, 10, "matrix cannot vary"),
    "matrix: {sample.seed: [1, 2, 1]}": (2, 30, "1 is there twice"),
    "matrix: {split.train: [80, 90]}": (2, 24, "does not say what tests"),
    "matrix: {split: [{train: 80, test: 30}]}": (2, 18, "gives away 110 %"),
    "matrix: {sources.normal.archive: ['ftp://x/y']}": (2, 35, "ftp:// addresses"),
    "sample: {count: 9}\nmatrix: {sample.percent: [10]}": (2, 10, "both percent and count"),
    f"matrix: {{sample.seed: {list(range(40))}, sample.count: {list(range(1, 40))}}}": (
        2,
        1,
        "makes 1,560 experiments",
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_a_wrong_matrix_is_told_at_its_place(problems: Problems, good: str, text: str) -> None:
    line, column, message = CASES[text]
    found = problems(good + text + "\n")[0]
    assert (found.line, found.column) == (line, column)
    assert message in found.message
