"""The benchmark: its arithmetic against examples worked out by hand, and what it measures again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lfvpipe.detector import Effort, Example
from tests.benchmarks.detector import (
    disturbances,
    figures,
    maps,
    measure,
    results,
    sets,
    splits,
    table,
)
from tests.benchmarks.detector.maps import Seen
from tests.benchmarks.detector.peers import held_out


def _seen(heat: list[list[float]], truth: list[list[int]]) -> Seen:
    return Seen(np.array(heat, np.float32), np.array(truth, np.bool_))


# Ten normal pixels, 0.0 to 0.9: a pixel of a region that k of them outshine is found from k/10 on.
NORMAL = [each / 10 for each in range(10)]


@pytest.mark.parametrize(
    ("anomalous", "expected"),
    [
        ([[2.0, 2.0]], 1.0),  # above all normal pixels
        ([[-1.0, -1.0]], 0.0),  # below all
        ([[0.85, -1.0]], (2 / 3 + 0) / 2),  # found from .1 on: .2 of .3 is left; never within .3
        ([[0.85], [2.0]], (2 / 3 + 1) / 2),  # two regions, each worth as much
        ([[0.85, 0.85, 0.85], [2.0]], (2 / 3 + 1) / 2),  # however large one is
        # One of ten ties with it: it is found between 0 and .1, so .25 of .3 is left.
        ([[0.9]], 0.25 / 0.3),
        # It ties from .2 to .3 with one: .05 is left.
        ([[0.7]], 0.05 / 0.3),
    ],
)
def test_aupro_is_what_is_left_of_thirty_percent_from_where_a_region_is_found(
    anomalous: list[list[float]], expected: float
) -> None:
    seen = [_seen([NORMAL], [[0] * 10])]
    seen += [_seen([region], [[1] * len(region)]) for region in anomalous]
    assert maps.aupro(seen) == pytest.approx(expected, abs=1e-6)


def test_aupro_of_a_map_that_says_nothing_is_that_of_chance() -> None:
    assert maps.aupro([_seen([[1.0] * 4], [[0, 0, 1, 1]])]) == pytest.approx(0.15)


def test_aupro_is_that_of_a_fine_sweep_of_thresholds() -> None:
    random = np.random.default_rng(0)
    heat = random.normal(size=(40, 40)).astype(np.float32)
    truth = np.zeros((40, 40), np.bool_)
    truth[5:15, 5:15] = truth[20:24, 20:39] = True
    heat[truth] += 1.5
    rates, overlaps = [0.0], [0.0]
    for level in np.unique(heat)[::-1]:
        rates.append((heat[~truth] >= level).mean())
        parts = (heat[5:15, 5:15], heat[20:24, 20:39])
        overlaps.append(np.mean([(part >= level).mean() for part in parts]))
    fine = np.linspace(0, 0.3, 100_001)
    swept = float(np.trapezoid(np.interp(fine, rates, overlaps), fine)) / 0.3
    assert maps.aupro([Seen(heat, truth)]) == pytest.approx(swept, abs=1e-3)


def test_regions_touch_at_sides_and_corners() -> None:
    truth = np.array(
        [
            [1, 0, 0, 1, 0, 0, 0],
            [0, 1, 0, 1, 0, 1, 1],
            [0, 0, 1, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 1, 0],
            [1, 1, 0, 0, 1, 0, 0],
        ],
        np.bool_,
    )
    found = maps.regions(truth)
    pixels = sorted(sorted(zip(*map(np.ndarray.tolist, each), strict=True)) for each in found)
    assert pixels == [
        [(0, 0), (0, 3), (1, 1), (1, 3), (2, 2)],
        [(1, 5), (1, 6)],
        [(3, 5), (4, 4)],
        [(4, 0), (4, 1)],
    ]


def _with_peak(row: int, column: int) -> Seen:
    heat, truth = np.zeros((50, 100), np.float32), np.zeros((50, 100), np.bool_)
    truth[20:30, 40:60] = True
    heat[row, column] = 1
    return Seen(heat, truth)


@pytest.mark.parametrize(
    ("peak", "expected"),
    [
        ((25, 50), 1),
        ((18, 38), 1),  # two pixels off, of a hundred: the tolerance
        ((17, 50), 0),
        ((25, 62), 0),
    ],
)
def test_a_peak_points_where_it_lies_in_the_mask_or_two_percent_beside(
    peak: tuple[int, int], expected: float
) -> None:
    assert maps.pointing(_with_peak(*peak)) == expected


def test_of_several_peaks_the_share_that_points_counts() -> None:
    seen = _with_peak(25, 50)
    seen.heat[0, :3] = 1
    assert maps.pointing(seen) == 0.25


def test_maps_are_judged_at_the_resolution_of_masks(tmp_path: Path) -> None:
    def write(name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Path:
        Image.fromarray(values).save(tmp_path / name)
        return tmp_path / name

    blank = np.zeros((8, 8), np.uint8)
    marked = blank.copy()
    marked[:4, :4] = 255
    bad, empty = write("bad.png", blank), write("empty.png", blank)
    tested = [
        Example(bad, "anomaly", write("mask.png", marked)),
        Example(write("good.png", blank), "normal"),
        Example(empty, "anomaly", write("nothing.png", blank)),  # its mask marks nothing
        Example(write("unmarked.png", blank), "anomaly"),
    ]
    hot, cold = np.array([[1, 0], [0, 0]], np.float32), np.zeros((2, 2), np.float32)
    found = maps.map_figures([hot, cold, hot, hot], tested)
    assert (found["marked"], found["unmarked"], found["pointing"]) == (1, 2, 1.0)
    alone = maps.map_figures([hot, cold], tested[:2])
    assert {**found, "unmarked": 0} == alone
    assert found["pixel_auroc"] > 0.95
    assert found["pointing_chance"] == 0.25
    assert maps.map_figures([cold], [tested[1]]) == {}


def test_verdicts_and_honesty() -> None:
    labels = np.array([False] * 4 + [True] * 2)
    scores = np.array([0.1, 0.2, 0.3, 0.6, 0.4, 0.9])
    judged = figures.Judged(scores, scores >= 0.5, scores, {"auroc": 1.0, "false_positives": 0.0})
    found = figures.image_figures(judged, labels, 100)
    assert found["auroc"] == 7 / 8
    assert found["f1"] == 0.5  # one found, one missed, one false alarm
    assert found["best_f1"] == 0.8  # from .4 on: two found, one false alarm
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.09 + 0.36 + 0.36 + 0.01) / 6)
    # Five groups of the six: .1 and .2 together, then one each.
    expected = (2 * 0.15 + 0.3 + abs(0.4 - 1) + 0.6 + abs(0.9 - 1)) / 6
    assert found["calibration_error"] == pytest.approx(expected)
    assert found["auroc_gap"] == 1 / 8
    assert found["false_positives"] == 0.25
    assert found["false_positives_within"] == 0  # of a hundred without any, 4 % at most


def test_the_best_threshold_may_be_below_all_scores() -> None:
    assert figures.best_f1(np.array([0.1, 0.2, 0.3]), np.array([True, True, False])) == 0.8


def test_a_calibration_never_turns_a_ranking_round() -> None:
    labels = np.array([False] * 4 + [True] * 4)
    scores = np.arange(8.0)
    assert held_out.sigmoid(scores, labels)[0] > 0
    # As many of each: even odds.
    assert held_out.sigmoid(-scores, labels) == pytest.approx((0, 0))


def test_an_interval_of_a_share_is_wilsons() -> None:
    assert figures.interval(0.0, 100) == pytest.approx((0, 0.0370), abs=1e-4)
    assert figures.interval(0.1, 50) == pytest.approx((0.0435, 0.2136), abs=1e-4)


def test_flips_are_verdicts_that_change_mean_over_the_variants() -> None:
    called, labels = np.array([False, False, True, True]), np.array([False, False, True, True])
    low, high = np.array([0.1, 0.2, 0.3, 0.9]), np.array([0.1, 0.2, 0.8, 0.9])
    found = figures.robustness(called, {"turn": [(low, low >= 0.5), (high, high >= 0.5)]}, labels)
    assert found == {"flips_turn": 1 / 8, "auroc_turn": 1.0}


def test_disturbed_images_keep_their_size_and_most_of_their_pixels(tmp_path: Path) -> None:
    y, x = np.mgrid[:60, :90]
    pixels = np.stack([y * 2, x * 2, 9 * (x % 8) + y], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    written = disturbances.disturb([tmp_path / "image.png"], tmp_path / "disturbed")
    assert {kind: len(variants) for kind, variants in written.items()} == {
        kind: len(variants) for kind, variants in disturbances.KINDS.items()
    }
    for variants in written.values():
        for (path,) in variants:
            other = np.asarray(Image.open(path)).astype(int)
            assert other.shape == pixels.shape
            assert 0 < np.abs(other - pixels).mean() < 20
    (right,), (up,) = written["shift"]
    np.testing.assert_array_equal(np.asarray(Image.open(right))[:, 4:], pixels[:, :-4])
    np.testing.assert_array_equal(np.asarray(Image.open(up))[:-4], pixels[4:])
    turned = np.asarray(Image.open(written["turn"][0][0])).astype(int)
    assert np.abs(turned[28:32, 43:47] - pixels[28:32, 43:47]).max() <= 2  # about the middle


def _set(*, with_splits: bool) -> sets.ImageSet:
    normal = [Example(Path(f"n{each}.png"), "normal") for each in range(10)]
    anomaly = [Example(Path(f"a{each}.png"), "anomaly") for each in range(10)]
    names = {
        "train/normal": ["n1.png", "n2.png"],
        "train/anomaly": [f"a{each}.png" for each in range(6)],
        "test/normal": ["n3.png"],
        "test/anomaly": ["a9.png"],
    }
    return sets.ImageSet("parts", False, normal, anomaly, {3: names} if with_splits else {})


def _names(examples: list[Example]) -> list[str]:
    return [each.path.stem for each in examples]


@pytest.mark.parametrize("with_splits", [True, False])
def test_more_anomalies_are_the_same_ones_and_others(with_splits: bool) -> None:
    images = _set(with_splits=with_splits)
    learnt = {
        limit: _names(splits.split_of(images, 3, 0.6, limit).learnt) for limit in (0, 1, 4, None)
    }
    assert learnt[0] == [each for each in learnt[0] if each.startswith("n")]
    assert learnt[1][:-1] == learnt[0]
    assert learnt[4][: len(learnt[1])] == learnt[1]
    assert learnt[None][: len(learnt[4])] == learnt[4]
    assert len(learnt[None]) == len(learnt[0]) + 6
    assert learnt[4][-4:] != sorted(learnt[4][-4:])  # by a drawn order, not by name


def test_a_split_file_says_what_is_learnt_from_and_tested_on() -> None:
    split = splits.split_of(_set(with_splits=True), 3, 0.7, None)
    assert sorted(_names(split.learnt)) == ["a0", "a1", "a2", "a3", "a4", "a5", "n1", "n2"]
    assert _names(split.tested) == ["n3", "a9"]
    with pytest.raises(SystemExit, match="no split 0"):
        splits.split_of(_set(with_splits=True), 0, 0.7, None)


def _run(method: str = "lfvpipe", *, maps_too: bool = False, number: int = 3) -> splits.Run:
    return splits.Run(
        images="parts",
        generated=False,
        method=method,
        number=number,
        seed=0,
        split=splits.split_of(_set(with_splits=True), 3, 0.7, None),
        masks=False,
        maps=maps_too,
        robustness=False,
    )


def test_other_effort_has_lines_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for asked in ([], ["--effort", "fast"]):
        monkeypatch.setattr("sys.argv", ["measure.py", "--methods", "lfvpipe", *asked])
        (run,) = measure.runs(_set(with_splits=True), measure.options())
        found.append((run.images, run.effort))
    assert found == [("parts", Effort.DEFAULT), ("parts, fast", Effort.FAST)]


def test_what_is_in_the_file_is_not_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    results.Results(file).add(_run(), {"auroc": 0.9, "aupro": float("nan")})
    known = results.Results(file).known(_run())
    assert known is not None
    assert known["auroc"] == 0.9
    assert "aupro" not in known  # not a number
    assert results.Results(file).known(_run("pooled")) is None
    assert results.Results(file).known(_run(number=4)) is None


def test_a_run_is_measured_again_for_more_parts_after_a_failure_and_with_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "figures.json"
    results.Results(file).add(_run(), {"auroc": 0.9})
    assert results.Results(file).known(_run(maps_too=True)) is None
    results.Results(file).add(_run(maps_too=True), {"auroc": 0.8})
    known = results.Results(file).known(_run())  # has more than is asked for
    assert known is not None
    assert known["auroc"] == 0.8
    assert len(json.loads(file.read_text())) == 1
    monkeypatch.setattr(results, "code", lambda method: "other")
    assert results.Results(file).known(_run()) is None
    monkeypatch.undo()
    results.Results(file).add(_run(), {"failed": "no memory"})
    assert results.Results(file).known(_run()) is None


def _row(method: str, split: int, auroc: float, anomalies: int = 5, **more: object) -> table.Row:
    row = {"set": "parts", "generated": False, "method": method, "split": split, "seed": 0}
    return row | {"normals": 9, "anomalies": anomalies, "masks": False, "auroc": auroc} | more


def test_tables_have_medians_with_their_range_and_the_splits_that_are_won() -> None:
    ours, theirs = (0.9, 0.7, 0.8), (0.8, 0.7, 0.85)
    rows = [_row("lfvpipe", at, area, f1=0.5) for at, area in enumerate(ours)]
    rows += [_row("pooled", at, area, f1=0.5) for at, area in enumerate(theirs)]
    rows += [{**_row("padim", 0, 0), "failed": "a | b"}]
    del rows[-1]["auroc"]
    written = table.tables(rows)
    assert written.startswith("## Real\n\n### Verdicts")
    assert "| parts | lfvpipe | 9 + 5 | 3 | 0.800 (0.700 to 0.900) |  | 0.500 |" in written
    assert "| pooled | 3 | 1 | 1 | 1 | +0.0000 |" in written
    assert "| parts | padim | 9 + 5 | 1 of 1: a / b |" in written
    assert "Heat maps" not in written


def test_two_files_are_held_against_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, area in (("before", 0.8), ("after", 0.9)):
        (tmp_path / f"{name}.json").write_text(json.dumps([_row("lfvpipe", 0, area, f1=1.0)]))
    files = [str(tmp_path / "before.json"), str(tmp_path / "after.json")]
    monkeypatch.setattr("sys.argv", ["table.py", *files])
    table.main()
    assert "| lfvpipe (before) | 1 | 1 | 0 | 0 | +0.1000 |" in capsys.readouterr().out


def test_sets_have_a_mean_where_each_has_one_line() -> None:
    rows = [_row("lfvpipe", 0, 0.8, f1=1.0), _row("lfvpipe", 0, 0.9, f1=1.0, set="others")]
    assert "| mean of the sets | lfvpipe |  |  | 0.850 |" in table.tables(rows)
    rows.append(_row("lfvpipe", 0, 0.7, anomalies=3, f1=1.0))
    assert "mean of the sets" not in table.tables(rows)


def test_generated_sets_have_tables_of_their_own() -> None:
    rows = [_row("lfvpipe", 0, 0.9, f1=1.0), _row("lfvpipe", 0, 1.0, f1=1.0, generated=True)]
    real, generated = table.tables(rows).split("## Generated")
    assert "0.900" in real
    assert "0.900" not in generated


def test_a_curve_marks_where_more_labels_made_it_worse() -> None:
    rows = [_row("lfvpipe", 0, area, n) for n, area in ((0, 0.8), (3, 0.7), (5, 0.75), (10, 0.9))]
    assert "| parts | lfvpipe | 0.800 | 0.700 ↓ | 0.750 ↓ | 0.900 |" in table.curve(rows)
