"""How defects are divided, from none to twenty-five: one more never means fewer on either side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy
import pytest
from PIL import Image

from lfvpipe.config.spec import LABELS
from lfvpipe.lookout.limits import single_test_size

if TYPE_CHECKING:
    from pathlib import Path

NORMAL = 24
COUNTS = range(26)
SPLITS = {
    "by default": "",
    "train: 80, test: 20": "train: 80, test: 20",
    "no whole": "train: 70, test: 10",
    "most to train": "train: 99, test: 1",
    "counts": "train: {count: 12}, test: {count: 6}",
    "groups": "group: '^([0-9]+)'",
}


@pytest.fixture
def divide(tmp_path: Path, lfvpipe: Any) -> Any:
    """Return a function that says how many of each label a pipeline trains and tests on."""

    def ask(defects: int, split: str | None) -> dict[str, tuple[int, int]]:
        folder = tmp_path / f"{defects}"
        for name, count in (("good", NORMAL), ("bad", defects)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                Image.new("L", (64, 64)).save(folder / name / f"{number:03}.png")
        file = folder / "p.yaml"
        if split is None:
            named = ["--anomaly", folder / "bad"] if defects else []
            said = lfvpipe("init", "--normal", folder / "good", *named, "-o", file, "--force")
            assert said.code == 0, said.err
        else:
            anomaly = "  anomaly: {archive: bad}\n" if defects else ""
            file.write_text(f"sources:\n  normal: {{archive: good}}\n{anomaly}split: {{{split}}}\n")
        said = lfvpipe("validate", file, "--json")
        assert said.code == 0, said.err
        sources = {one["label"]: one for one in said.json["variants"][0]["sources"]}
        return {
            label: (sources[label]["train"], sources[label]["test"]) if label in sources else (0, 0)
            for label in LABELS
        }

    return ask


@pytest.mark.parametrize("defects", COUNTS)
@pytest.mark.parametrize("split", [None, *SPLITS])
def test_one_more_defect_never_means_fewer_and_two_leave_one_to_test_on(
    divide: Any, split: str | None, defects: int
) -> None:
    said = SPLITS.get(split) if split else None
    now = divide(defects, said)
    if defects:
        before = divide(defects - 1, said)
        is_by_group = (
            split == "groups"
        )  # as nearly as whole groups, with good images in them, allow
        assert is_by_group or all(now["anomaly"][at] >= before["anomaly"][at] for at in (0, 1))
    assert now["anomaly"][1] >= (1 if defects >= 2 else 0)
    assert sum(now["anomaly"]) <= defects
    if split is None:  # ten are tested on first, the others learnt from
        withheld = max(0, min(defects - 15, NORMAL - 20, 2))
        tested = min(defects - withheld, 10)
        assert now["anomaly"] == (defects - withheld - tested, tested)


@pytest.mark.parametrize("defects", COUNTS)
def test_of_a_single_dataset_the_service_tests_on_one_of_two_and_never_on_fewer_of_more(
    defects: int,
) -> None:
    tested = single_test_size(defects, anomalous=True)
    assert tested == (0 if defects < 2 else max(1, round(defects / 5)))
    before = single_test_size(max(defects - 1, 0), anomalous=True)
    assert before <= tested <= before + 1


def test_two_normal_images_in_a_single_dataset_are_both_learnt_from() -> None:
    assert [single_test_size(count, anomalous=False) for count in range(6)] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("split", ["", "train: 100", "train: 70, test: 30"])
@pytest.mark.parametrize("defects", [0, 1, 4, 12])
def test_validate_foretells_what_check_says_of_few_images(
    tmp_path: Path, lfvpipe: Any, defects: int, split: str
) -> None:
    noise = numpy.random.default_rng(1)
    for name, count in (("good", NORMAL), ("bad", defects)):
        (tmp_path / name).mkdir()
        for number in range(count):
            pixels = noise.integers(0, 256, (64, 64), numpy.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"sn{number // 2:03}_{number}.png")
    anomaly = "  anomaly: {archive: bad}\n" if defects else ""
    file = tmp_path / "p.yaml"
    file.write_text(f"sources:\n  normal: {{archive: good}}\n{anomaly}split: {{{split}}}\n")
    said = lfvpipe("validate", file)
    run = lfvpipe("run", file, "--until", "check")
    told = set(re.findall(r"^! \w+ +(.+)$", run.err, re.MULTILINE))
    assert told
    by_json = lfvpipe("validate", file, "--json").json
    notes = {note for one in by_json["variants"][0]["sources"] for note in one["notes"]}
    assert {*by_json["warnings"]} | notes == told
    assert all(f": {text}\n" in said.out for text in told)


@pytest.mark.parametrize("split", ["{train: 20, test: 80}", "{train: 33, test: 67}"])
def test_how_many_defects_are_needed_in_all_is_said_and_holds(
    split: str, tmp_path: Path, lfvpipe: Any
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "sources:\n  normal: {archive: good}\n  anomaly: {archive: bad}\n"
        f"split: {{train: 80, test: 20, anomaly: {split}, stable: true}}\n"
    )

    def said(defects: int) -> str:
        for name, count in (("good", NORMAL), ("bad", defects)):
            (tmp_path / name).mkdir(exist_ok=True)
            for number in range(count):
                Image.new("L", (64, 64)).save(tmp_path / name / f"{number:03}.png")
        told = lfvpipe("validate", file)
        assert told.code == 0, told.err
        return str(told.out + told.err)

    told = re.search(r"With (\d+) more anomaly images, (\d+) in all", said(14))
    assert told is not None
    assert 14 + int(told[1]) == int(told[2])
    assert f", {told[2]} in all" in said(int(told[2]) - 1)
    assert "learns from them" not in said(int(told[2]))
