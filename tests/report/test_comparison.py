"""Runs side by side: what may be compared, what explains it, and what became of each image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lfvpipe.report import certainty, comparison_view, history, learning_curve, metrics, run_file
from lfvpipe.report.comparison import compare
from lfvpipe.report.corrected_labels import Relabelled
from lfvpipe.report.history import differences
from lfvpipe.report.records import CorrectedLabel, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.report.records import RunRecord
    from tests.report.conftest import MakeRun


def _run(make_run: MakeRun, percent: int, verdicts: list[Verdict], **fields: object) -> RunRecord:
    defaults: dict[str, object] = {
        "id": f"202104{percent:02}T191844Z-0123abcd",
        "config": {"sample.normal.percent": percent, "sample.anomaly.percent": percent},
        "model": {"project": "dagm", "version": str(percent)},
        "data": {"train": {"normal": percent * 4, "anomaly": percent}},
        "scores": {"test": metrics.score_set(verdicts)},
        "verdicts": {"test": tuple(verdicts)},
        "verdict_files": {},
    }
    return make_run(**{**defaults, **fields})


def _verdicts(count: int, wrong: set[int] = frozenset()) -> list[Verdict]:  # type: ignore[assignment]  # an empty default
    """Return `count` verdicts, every other image an anomaly, right but for the numbers given."""
    return [
        Verdict(
            f"{n}.png",
            f"{n}.png",
            "anomaly" if n % 2 else "normal",
            bool(n % 2) != (n in wrong),
            0.9,
        )
        for n in range(count)
    ]


def test_sets_that_differ_are_compared_on_what_they_share(make_run: MakeRun) -> None:
    small = _run(make_run, 25, _verdicts(10, {1, 2}))
    large = _run(make_run, 50, _verdicts(20, {1, 15, 17}))
    comparison = compare([small, large])
    side = comparison.side("test")
    assert side is not None
    assert (side.basis, side.shared) == ("shared", 10)
    assert [each.confusion.total for each in side.on_shared] == [10, 10]
    assert [each.confusion.false_negative for each in side.on_shared] == [1, 1]
    assert [each.confusion.false_positive for each in side.on_shared] == [1, 0]
    (warning,) = comparison_view.warnings(comparison)
    assert "10" in warning


def test_the_same_set_needs_no_warning(make_run: MakeRun) -> None:
    comparison = compare(
        [_run(make_run, 25, _verdicts(10)), _run(make_run, 50, _verdicts(10, {3}))]
    )
    assert comparison_view.warnings(comparison) == []
    assert [side.basis for side in comparison.sides] == ["same"]


def test_an_image_whose_label_was_corrected_is_not_shared(make_run: MakeRun) -> None:
    first, *rest = _verdicts(10)
    corrected = Verdict(first.id, first.name, "anomaly", False, 0.9)
    comparison = compare(
        [_run(make_run, 25, [first, *rest]), _run(make_run, 50, [corrected, *rest])]
    )
    assert [side.shared for side in comparison.sides] == [9]


def test_other_labels_of_the_same_images_are_told_as_such(make_run: MakeRun) -> None:
    first, *rest = _verdicts(10)
    corrected = replace(first, label="anomaly")
    comparison = compare(
        [_run(make_run, 25, [first, *rest]), _run(make_run, 50, [corrected, *rest])]
    )
    (warning,) = comparison_view.warnings(comparison)
    assert "different labels in the test set" in warning
    assert comparison.relabelled == (
        (Relabelled("0.png", "0.png", "normal, test", "anomaly, test"),),
    )


def test_what_people_decided_about_training_images_is_told_in_both_directions(
    make_run: MakeRun,
) -> None:
    swapped = CorrectedLabel("a", "a.png", "anomaly", "train", "normal", "train", "dent")
    left_out = CorrectedLabel("b", "b.png", None, "", "normal", "train")
    added = CorrectedLabel("c", "c.png", "normal", "test", None, "", mask="masks/c.png")
    runs = [
        _run(make_run, percent, _verdicts(2), corrected=corrected)
        for percent, corrected in ((25, ()), (50, (swapped, left_out, added)), (75, None))
    ]
    told = [(each.id, each.before, each.after) for each in compare(runs[:2]).relabelled[0]]
    assert told == [
        ("a", "normal, train", "anomaly (dent), train"),
        ("b", "normal, train", "left out"),
        ("c", "not there", "normal, test, mask masks/c.png"),
    ]
    back = [(each.id, each.before, each.after) for each in compare(runs[1::-1]).relabelled[0]]
    assert back == [(name, after, before) for name, before, after in told]
    assert compare(runs[1:]).relabelled == ((),)  # nobody noted it then, so nothing is claimed


def test_images_for_a_person_are_counted_and_told_where_they_came_or_went(
    make_run: MakeRun,
) -> None:
    before = _verdicts(10, {3})
    after = [replace(each, to_person=each.id in ("3.png", "4.png")) for each in before]
    runs = [_run(make_run, 25, before), _run(make_run, 50, after)]
    comparison = compare(runs)
    assert comparison_view.warnings(comparison) == []
    (table,) = [each for each in comparison_view.tables(comparison) if each.title == "test set"]
    assert ("images", "10", "10") in table.rows
    assert ("of these, left to a person", "0", "2") in table.rows
    assert [row[3:] for row in comparison_view.change_rows(comparison.changes[0])] == [
        ("normal 0.900", "person (normal 0.900)", "to a person"),
        ("normal 0.900", "person (normal 0.900)", "to a person"),
    ]
    back = comparison_view.change_rows(compare(runs[::-1]).changes[0])
    assert [row[-1] for row in back] == ["broken", "fixed"]
    whole = [replace(each, to_person=True) for each in before]
    assert compare([runs[0], _run(make_run, 50, whole)]).side("test") is not None


def test_nothing_shared_is_said(make_run: MakeRun) -> None:
    other = [Verdict(f"other/{v.id}", v.name, v.label, v.is_anomalous, 0.9) for v in _verdicts(10)]
    comparison = compare([_run(make_run, 25, _verdicts(10)), _run(make_run, 50, other)])
    assert [side.basis for side in comparison.sides] == ["different"]
    assert "not comparable" in comparison_view.warnings(comparison)[0]


def test_changed_verdicts_go_both_ways_and_only_where_both_runs_looked(make_run: MakeRun) -> None:
    before = _run(make_run, 25, _verdicts(10, {1, 2}))
    after = _run(make_run, 50, _verdicts(20, {2, 4, 15}))
    (changes,) = compare([before, after]).changes
    assert {change.after.id: change.turn for change in changes} == {
        "1.png": "fixed",
        "4.png": "broken",
    }
    assert [row[-1] for row in comparison_view.change_rows(changes)] == ["broken", "fixed"]


def test_the_configuration_explains_the_difference_and_equal_labels_are_told_once(
    make_run: MakeRun,
) -> None:
    first = _run(make_run, 25, _verdicts(10))
    second = _run(make_run, 50, _verdicts(10))
    config = {**second.config, "sample.anomaly.percent": 100, "images.convert": "L"}
    third = _run(make_run, 50, _verdicts(10), config=config)
    (joined,) = compare([first, second]).differences
    assert (joined.key, joined.values) == ("sample.percent", (25, 50))
    found = {each.key: each.values for each in compare([second, third]).differences}
    assert found["images.convert"] == (None, "L")
    assert found["sample.anomaly.percent"] == (None, 100)


def test_a_learning_curve_asks_all_models_the_same_images(make_run: MakeRun) -> None:
    runs = [
        _run(make_run, 100 - 1, _verdicts(40, {31})),
        _run(make_run, 25, _verdicts(10, {1})),
        _run(make_run, 50, _verdicts(20, {1, 15, 17})),
    ]
    (curve,) = learning_curve.curves(compare(runs))
    assert [point.amount for point in curve.points] == [25, 50, 99]
    values = [point.estimate.value for point in curve.points]
    assert values == pytest.approx([8 / 9, 8 / 9, 1.0])
    title, *rows, scale = learning_curve.draw(curve)
    assert title == "F1 over sample.percent"
    assert all("●" in row for row in rows)
    assert rows[0].index("●") < rows[2].index("●")
    assert scale.endswith("1.0")


def test_runs_that_differ_in_more_than_data_make_curves_of_their_own(make_run: MakeRun) -> None:
    runs = [
        _run(
            make_run,
            percent,
            _verdicts(10),
            config={"sample.normal.percent": percent, "images.convert": convert},
        )
        for convert in ("L", "RGB")
        for percent in (25, 50)
    ]
    names = [curve.name for curve in learning_curve.curves(compare(runs))]
    assert names == ["images.convert=L", "images.convert=RGB"]
    assert learning_curve.curves(compare([runs[0], runs[2]])) == []


def test_counts_make_a_curve_over_training_images(make_run: MakeRun) -> None:
    runs = [
        _run(make_run, count, _verdicts(10), config={"sample.normal.count": count})
        for count in (20, 40)
    ]
    (curve,) = learning_curve.curves(compare(runs))
    assert curve.axis == "training images"
    assert [point.amount for point in curve.points] == [100, 200]


def test_the_page_escapes_what_runs_are_called_and_draws_the_curve(make_run: MakeRun) -> None:
    wild = "<script>alert(1)</script>"
    runs = [
        _run(make_run, percent, _verdicts(10, wrong), name=wild, variant=f"{wild}{percent}")
        for percent, wrong in ((25, {1}), (50, set()))
    ]
    comparison = compare(runs)
    page = comparison_view.page(comparison)
    assert wild not in page
    assert "&lt;script&gt;" in page
    assert "<svg" in page
    assert "fixed" in page
    picture = comparison_view.picture(comparison)
    assert picture is not None
    from xml.etree.ElementTree import fromstring

    assert fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"


def test_runs_are_found_by_id_beginning_age_version_and_variant(
    tmp_path: Path, make_run: MakeRun
) -> None:
    for number in (1, 2, 3):
        run_file.write(
            tmp_path,
            make_run(id=f"2021040{number}T000000Z-0123abcd", model={"version": str(number % 2)}),
        )
    variants = {"sample.percent=25": "20210402T000000Z-0123abcd"}

    def day(word: str) -> str:
        return history.find(tmp_path, word, variants).id[7]

    assert [day(word) for word in ("latest", "latest~2", "20210402", "v1", "v0")] == list("31232")
    assert day("sample.percent=25") == "2"
    assert day("20210401T000000Z-0123abcd") == "1"
    for word, told in (
        ("2021", "beginning of 3"),
        ("v7", "version 7"),
        ("latest~3", "runs so far: 3"),
        ("latest~-1", "No run is called"),
        ("../ledger", "No run is called"),
        ("", "beginning of 3"),
    ):
        with pytest.raises(history.NoSuchRun, match=told):
            history.find(tmp_path, word, variants)


def test_the_history_tells_what_each_run_changed_also_when_it_is_cut(
    tmp_path: Path, make_run: MakeRun
) -> None:
    for number, percent in enumerate((25, 50, 50)):
        run = make_run(id=f"2021040{number + 1}T000000Z-0123abcd", config={"sample.seed": percent})
        run_file.write(tmp_path, run)
    whole = history.entries(tmp_path)
    assert [[each.key for each in entry.changed] for entry in whole] == [[], ["sample.seed"], []]
    assert history.entries(tmp_path, 2) == whole[1:]
    assert whole[0].seconds == pytest.approx(78.75)


def test_a_key_that_an_earlier_version_does_not_know_had_its_default() -> None:
    now = {"service.detector": "default", "model.effort": "fast", "sources.labels": "a.jsonl"}
    found = {each.key: each.values for each in differences([{}, now])}
    assert found == {"model.effort": (None, "fast"), "sources.labels": (None, "a.jsonl")}


def test_what_is_not_known_of_a_run_without_defects_is_no_zero_in_a_comparison(
    make_run: MakeRun,
) -> None:
    good = [Verdict(f"{n}.png", f"{n}.png", "normal", False, 0.9) for n in range(6)]
    comparison = compare([_run(make_run, 25, good), _run(make_run, 50, good)])
    shown = {table.title: {row[0]: row[1:] for row in table.rows}
             for table in comparison_view.tables(comparison)}  # fmt: skip
    table = shown["test set"]
    assert table["images"] == ("6", "6")
    for metric in ("F1", "precision", "recall", "AUROC", "anomalies missed"):
        assert table[metric] == ("-", "-")
    assert table["normal rejected"] == ("0", "0")
    assert learning_curve.curves(comparison) == []
    assert "Learning curve" not in comparison_view.page(comparison)
    defects = compare([_run(make_run, 25, good), _run(make_run, 50, _verdicts(6))])
    drawn = "\n".join(
        line for curve in learning_curve.curves(defects) for line in learning_curve.draw(curve)
    )
    assert "nan" not in drawn
    comparison_view.page(defects)


def test_threshold_is_a_guess_where_too_few_defects_were_learnt_from(make_run: MakeRun) -> None:
    def said(data: dict[str, dict[str, int]], **config: object) -> str:
        found = certainty.threshold(make_run(data=data, config=config))
        return found.text if found else ""

    tested = {"normal": 10, "anomaly": 10}
    assert "no defective one" in said({"train": {"normal": 24}, "test": tested})
    few = {"train": {"normal": 24, "anomaly": 4}, "test": tested}
    assert "4 defective are too few to learn from, 5 are needed" in said(few)
    assert said({"train": {"normal": 24, "anomaly": 5}, "test": tested}) == ""
    assert "4 defective" in said({"train": {"normal": 24, "anomaly": 5}})  # one is tested on
    assert said(few, **{"service.endpoint": "https://lookout.example.org"}) == ""
    assert said({}) == ""
