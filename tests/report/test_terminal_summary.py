"""The summary at the end of a run: what it says, that it fits, and when it is in colour."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lfvpipe.report import metrics, terminal
from lfvpipe.report.records import Finding, RunRecord, Verdict

MakeRun = Callable[..., RunRecord]


def test_it_shows_metrics_confusion_verdicts_review_and_times(make_run: MakeRun) -> None:
    text = terminal.summary(make_run(), width=100, color=False)
    for part in ("dagm-class3", "model 1", "F1", "AUROC", "is anomaly", "2 of 4 doubtful"):
        assert part in text
    assert "1 min 19 s of work  model 1 min 15 s, upload 3.5 s" in text
    assert "warning: the same image is in train and test" in text


def test_the_wrong_verdict_comes_first_and_then_the_least_confident(make_run: MakeRun) -> None:
    text = terminal.summary(make_run(), width=100, color=False)
    verdicts = [line.split()[0] for line in text.splitlines() if line.startswith("  Class3")]
    assert verdicts == [
        "Class3_def/100.png",
        "Class3/117.png",
        "Class3/100.png",
        "Class3_def/117.png",
    ]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(make_run: MakeRun, width: int) -> None:
    lines = terminal.summary(make_run(), width=width, color=False).splitlines()
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_of_good_images_alone_false_alarms_are_told_and_what_cannot_be_known(
    width: int, make_run: MakeRun
) -> None:
    rows = [Verdict(str(n), f"{n}.png", "normal", n == 0, 0.9) for n in range(11)]
    run = make_run(
        scores={"test": metrics.score_set(rows)}, verdicts={}, data={"train": {"normal": 30}}
    )
    text = terminal.summary(run, width=width, color=False)
    assert max(map(len, text.splitlines())) <= width
    said = " ".join(text.split())
    told = "1 of 11 good images called anomalous; with 95 % confidence 2 % to 38 %"
    assert f"false alarms {told}" in said
    assert "missed defects cannot be told: no defective image to test on" in said
    assert "threshold a guess from good images alone: no defective one to learn from" in said
    assert not {"F1", "precision", "recall", "AUROC", "anomaly"} & set(said.split())
    assert "0.000" not in said
    assert "nan" not in said.lower()


def test_a_model_that_nothing_was_tested_with_says_so(make_run: MakeRun) -> None:
    text = terminal.summary(make_run(scores={}, verdicts={}), width=80, color=False)
    assert "no labelled image was judged\n  false alarms    cannot be told: no good image" in text
    assert "missed defects  cannot be told: no defective image to test on" in text


def test_where_all_is_left_to_a_person_that_is_why_there_are_no_figures(make_run: MakeRun) -> None:
    run = make_run()
    verdicts = {
        name: tuple(replace(each, to_person=True, needs_review=True) for each in rows)
        for name, rows in run.verdicts.items()
    }
    scores = {name: metrics.score_set(rows) for name, rows in verdicts.items()}
    text = terminal.summary(make_run(scores=scores, verdicts=verdicts), 80, color=False)
    assert "test set  40 labelled images, for a person to decide on" in text
    assert "all 44 labelled images that were judged are for a person to decide on" in text
    assert "defects  cannot be told: all 22 defective images are for a person" in text
    # Whose confidence it is, and in what; that it is no doubtful verdict.
    assert "Class3_def/117.png  person  0.959  model: anomaly\n" in text
    assert "doubtful" not in text


def test_few_anomalies_have_metrics_and_words_beside_them(make_run: MakeRun) -> None:
    rows = [Verdict(f"n{n}", "n.png", "normal", False, 0.9) for n in range(6)]
    rows += [Verdict(f"a{n}", "a.png", "anomaly", n > 0, 0.9) for n in range(4)]
    data = {"train": {"normal": 24}, "test": {"normal": 6, "anomaly": 4}}
    scores = {"test": metrics.score_set(rows)}
    text = terminal.summary(make_run(scores=scores, verdicts={}, data=data), 120, color=False)
    assert "recall 0.750 (0.30 to 0.95)" in text
    assert "1 of 4 defective images called normal; with 95 % confidence 5 % to 70 %" in text
    assert "0 of 6 good images called anomalous; with 95 % confidence at most 39 %" in text
    assert "threshold" in text


def test_enough_images_of_both_kinds_need_no_words(make_run: MakeRun) -> None:
    text = terminal.summary(make_run(), width=80, color=False)
    assert "false alarms" not in text
    assert "threshold" not in text
    said = "With 95 % confidence 1 % to 22 % of all anomalies are missed"
    assert said in " ".join(text.split())


@pytest.mark.parametrize("width", [40, 80])
def test_a_long_message_is_shown_whole_on_several_lines(make_run: MakeRun, width: int) -> None:
    message = " ".join(f"word{n}" for n in range(40))
    fields = {"findings": (Finding("warning", message),), "errors": ({"message": message},)}
    text = terminal.summary(make_run(**fields), width=width, color=False)
    assert "1 finding\n" in text
    assert f"warning: {message} " in " ".join(text.split()) + " "
    assert f"1 image got no verdict: {message} " in " ".join(text.split()) + " "
    assert max(map(len, text.splitlines())) <= width


def test_a_thousand_verdicts_still_fit_a_screen(make_run: MakeRun) -> None:
    many = tuple(Verdict(str(n), f"{n}.png", "normal", False, 0.9) for n in range(1000))
    text = terminal.summary(make_run(verdicts={"evaluation": many}), width=80, color=False)
    assert len(text.splitlines()) <= 45
    assert "and 988 more" in text


def test_without_colour_there_is_no_escape_and_with_it_there_is(make_run: MakeRun) -> None:
    assert "\x1b" not in terminal.summary(make_run(), width=80, color=False)
    assert "\x1b[31m" in terminal.summary(make_run(), width=80, color=True)


def test_control_characters_in_a_name_cannot_drive_the_terminal(make_run: MakeRun) -> None:
    hostile = (Verdict("x", "\x1b]0;owned\x07.png", "normal", True, 0.9),)
    text = terminal.summary(make_run(verdicts={"evaluation": hostile}), width=80, color=False)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_run_without_evaluation_images_has_no_verdict_list(make_run: MakeRun) -> None:
    text = terminal.summary(make_run(verdicts={}, findings=(), timings=()), width=80, color=False)
    assert "verdicts" not in text
    assert "findings" not in text
