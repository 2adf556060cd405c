"""How much of a training is said to be done: held against stages of trainings that were traced."""

import json
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.service.jobs.training.estimate import Estimate, words_of

# As the detector told of them on two cores beside other work, 2026-11-28: a stage, when it ended in
# seconds, how many parts it had.
TRACES = {
    "aliens": [
        *(("features at 256 px", 7.5, 83), ("drawn defects at 256 px", 8.0, 41)),
        *(("memory bank at 256 px", 8.2, 83), ("local evidence at 256 px", 9.3, 124)),
        *(("places", 9.7, 124), ("fine-tuning at 256 px", 49.1, 43)),
    ],
    "kolektorsdd": [
        *(("features at 256 px", 12.4, 142), ("drawn defects at 256 px", 14.0, 100)),
        *(("memory bank at 256 px", 14.2, 142), ("local evidence at 256 px", 16.9, 242)),
        ("fine-tuning at 256 px", 93.1, 43),
    ],
    "normal aliens": [
        *(("features at 416 px", 8.8, 41), ("drawn defects at 416 px", 12.3, 41)),
        *(("memory bank at 416 px", 12.6, 41), ("local evidence at 416 px", 19.2, 82)),
        *(("places", 23.9, 82), ("features at 416 px", 31.5, 41)),
        *(("drawn defects at 416 px", 36.5, 41), ("memory bank at 416 px", 36.7, 41)),
        *(("local evidence at 416 px", 39.7, 82), ("places", 43.4, 82)),
    ],
}


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def follow(file: Path, trace: Any, *, by_defects: bool, slower: float = 1.0) -> list[Any]:
    """Return what is said at each moment: (moment, what)."""
    clock = Clock()
    estimate = Estimate(file, "x", by_defects=by_defects, tested=0.0, clock=clock)
    said, began = [], 0.0
    for stage, ended, parts in trace:
        for part in range(parts):
            clock.now = slower * (began + (ended - began) * (part + 1) / parts)
            said.append((clock.now, estimate.tell(stage, part + 1, parts)))
        began = ended
    estimate.finish()
    return said


@pytest.mark.parametrize("slower", [0.5, 1.0, 8.0])
@pytest.mark.parametrize("name", TRACES)
def test_after_a_fifth_of_the_time_the_whole_is_known_within_30_percent(
    name: str, slower: float, tmp_path: Path
) -> None:
    by_defects = "normal" not in name
    for _ in ("as on another machine", "as the last one was"):
        said = follow(tmp_path / "pace.json", TRACES[name], by_defects=by_defects, slower=slower)
        whole = said[-1][0]
        known = [(at, doing) for at, doing in said if at >= 0.2 * whole]
        assert all(doing.left is not None for _, doing in known)
        assert max(abs((at + doing.left) / whole - 1) for at, doing in known) < 0.3
        shares = [doing.share or 0.0 for _, doing in said]
        assert shares == sorted(shares)
        assert shares[-1] <= 0.99


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"x": 1}', b'{"x": [["look"]]}', b'{"x": [[1,"a"]]}']
)
def test_a_damaged_file_of_times_is_as_none(damage: bytes, tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    without = follow(file, TRACES["aliens"], by_defects=True)
    file.write_bytes(damage)
    assert follow(file, TRACES["aliens"], by_defects=True) == without
    assert len(json.loads(file.read_bytes())["x"]) == 6


def test_a_scale_that_nobody_expected_is_expected_once_it_begins(tmp_path: Path) -> None:
    trace = [
        *TRACES["aliens"],
        ("features at 416 px", 69.0, 83),
        ("fine-tuning at 416 px", 175, 43),
    ]
    said = follow(tmp_path / "pace.json", trace, by_defects=True)
    at, doing = next(each for each in said if each[0] > 62)
    assert at + doing.left > 90
    assert all(0 <= doing.left < 1000 for _, doing in said if doing.left is not None)


def test_stages_of_another_detector_are_said_as_it_calls_them(tmp_path: Path) -> None:
    assert words_of("Colours") == "colours"
    said = follow(tmp_path / "pace.json", [("colours", 100.0, 50)], by_defects=True)
    assert {doing.words for _, doing in said} == {"colours"}
