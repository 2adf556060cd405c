"""What a policy comes to: by hand where that can be done, by chance where a rate is promised."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from math import nextafter

import numpy as np
import pytest

from lfvpipe.config.spec import Costs, Decide, ToPerson
from lfvpipe.decision import Decision
from lfvpipe.detector.calibration import Calibration
from lfvpipe.report.policies import Choice, Judged, calibrated_at_half, decide

LINE = [i / 20 for i in range(1, 20)]


@dataclass(frozen=True)
class Said:
    """What a calibration makes of logits on a line; every other image is anomalous."""

    judged: list[Judged]
    calibrated: list[float]

    @property
    def half(self) -> float | None:
        scores = (each.score for each in self.judged)
        return calibrated_at_half(zip(scores, self.calibrated, strict=True))


def _said(calibration: Calibration) -> Said:
    logits = np.array([each * 12 - 6 for each in LINE])
    scores, calibrated = calibration.probability(logits), calibration.calibrated(logits)
    judged = [Judged(score, number % 2 == 0) for number, score in enumerate(scores.tolist())]
    return Said(judged, calibrated.tolist())


def test_without_a_policy_the_models_own_threshold_stands() -> None:
    assert decide(None, None, []) == Choice(Decision(0.5), "the best expected F1")


def test_a_threshold_is_taken_as_it_is_said() -> None:
    found = decide(Decide(threshold=0.31), ToPerson(0.2, 0.4), [])
    assert found.decision == Decision(0.31, 0.2, 0.4)


@pytest.mark.parametrize("own", [0.2, 0.4, 0.8])
@pytest.mark.parametrize(("accept", "reject"), [(1, 1), (20, 1), (1000, 1), (1, 5)])
def test_costs_reject_by_the_calibrated_probability(own: float, accept: int, reject: int) -> None:
    said = _said(Calibration(1.0, 0.0, own))
    assert said.half == pytest.approx(own)
    found = decide(Decide(costs=Costs(accept, reject)), None, said.judged, said.half).decision
    for each, calibrated in zip(said.judged, said.calibrated, strict=True):
        dearer_to_pass = calibrated * accept >= (1 - calibrated) * reject
        assert found.call(each.score).is_anomalous == dearer_to_pass


def test_a_rare_defect_is_rejected_for_better_reasons() -> None:
    said = _said(Calibration(1.0, 0.0, 0.5))
    common, rare = (
        decide(policy, None, said.judged, said.half).decision.threshold
        for policy in (
            Decide(costs=Costs(20, 1)),
            Decide(costs=Costs(20, 1), prevalence=0.01),
        )
    )
    # Ten anomalies among nineteen images; the odds of the costs, times theirs, over the line's.
    odds = 1 / 20 * (10 / 9) / (0.01 / 0.99)
    assert rare == pytest.approx(odds / (1 + odds), abs=1e-4)
    assert rare > common


def test_where_no_probabilities_are_known_scores_are_held_for_them_and_that_is_said() -> None:
    found = decide(Decide(costs=Costs(3, 1)), None, [])
    assert found.decision.threshold == pytest.approx(0.25)
    assert "scores are held for probabilities" in found.note


def test_that_the_line_has_as_many_defects_as_the_training_images_is_said_to_be_assumed() -> None:
    said = _said(Calibration(1.0, 0.0, 0.5))
    assumed = decide(Decide(costs=Costs(20, 1)), None, said.judged, said.half)
    assert "as many defects as the training images, 53 %: `prevalence: 0.02`" in assumed.note
    stated = Decide(costs=Costs(20, 1), prevalence=0.01)
    assert decide(stated, None, said.judged, said.half).note == ""


@pytest.mark.parametrize("prevalence", [None, 0.02])
@pytest.mark.parametrize("look", [0.05, 0.4])
def test_a_person_is_asked_where_that_costs_the_least(
    prevalence: float | None, look: float
) -> None:
    said = _said(Calibration(1.0, 0.0, 0.4))
    policy = Decide(costs=Costs(20, 1, look), prevalence=prevalence)
    found = decide(policy, None, said.judged, said.half).decision
    shift = 1.0 if prevalence is None else (prevalence / (1 - prevalence)) / (10 / 9)
    asked = set()
    for each, calibrated in zip(said.judged, said.calibrated, strict=True):
        odds = calibrated / (1 - calibrated) * shift
        probability = odds / (1 + odds)
        passed, rejected = 20 * probability, 1 - probability
        called = found.call(each.score)
        assert called.to_person == (look < min(passed, rejected))
        assert called.is_anomalous == (rejected <= passed)
        asked.add(called.to_person)
    assert asked == {True, False}


def test_a_look_that_costs_too_much_asks_nobody_and_a_stated_band_counts_more() -> None:
    said = _said(Calibration(1.0, 0.0, 0.5))
    dear = decide(Decide(costs=Costs(20, 1, 0.96)), None, said.judged, said.half)
    assert (dear.decision.above, dear.decision.below) == (None, None)
    assert "a person's look at 0.96 costs no less than to decide without one" in dear.note
    assert "it pays under 0.95" in dear.note
    stated = decide(Decide(costs=Costs(20, 1, 0.2)), ToPerson(0.3, 0.4), said.judged, said.half)
    assert (stated.decision.above, stated.decision.below) == (0.3, 0.4)


@pytest.mark.parametrize("escapes", [True, False])
def test_a_largest_rate_holds_with_its_confidence(escapes: bool) -> None:
    chance = random.Random(5)
    held = 0
    for _ in range(300):
        scores = [chance.random() for _ in range(120)]
        policy = (
            Decide(confidence=0.9, max_escape_rate=0.05)
            if escapes
            else Decide(confidence=0.9, max_false_alarm_rate=0.05)
        )
        found = decide(policy, None, [Judged(each, escapes) for each in scores])
        assert found.note == ""
        # The scores are uniform: the share beyond a threshold is the threshold itself.
        share = found.decision.threshold if escapes else 1 - found.decision.threshold
        held += share <= 0.05
    assert 0.87 <= held / 300 <= 1


@pytest.mark.parametrize("policy", [Decide(max_escape_rate=0.3), Decide(max_false_alarm_rate=0.3)])
def test_a_rate_that_the_models_own_threshold_keeps_moves_nothing(policy: Decide) -> None:
    apart = [Judged(0.9, is_anomaly=True)] * 60 + [Judged(0.1, is_anomaly=False)] * 60
    assert decide(policy, None, apart).decision == Decision(0.5)


def test_a_rate_that_the_images_are_too_few_for_is_said_and_what_they_promise() -> None:
    judged = [Judged(0.3 + each / 2, is_anomaly=True) for each in LINE]
    found = decide(Decide(max_escape_rate=0.01), None, judged)
    assert found.decision.threshold == judged[0].score
    assert "19 defective training images can promise 15 % at best" in found.note
    assert "1 % takes 299 of them, 280 more" in found.note


@pytest.mark.parametrize("escapes", [True, False])
def test_the_advised_band_holds_all_on_its_side_of_any_threshold_and_then_is_advised_no_more(
    escapes: bool,
) -> None:
    policy = Decide(max_escape_rate=0.01) if escapes else Decide(max_false_alarm_rate=0.01)
    for score in (0.224246, 0.5, 0.3, *(random.Random(5).uniform(1e-9, 1) for _ in range(500))):
        judged = [Judged(score, is_anomaly=escapes)] * 5
        found = decide(policy, None, judged)
        ((above, below),) = re.findall(r"{above: ([\d.]+), below: ([\d.]+)}", found.note)
        band = ToPerson(float(above), float(below))
        then = decide(policy, band, judged)
        threshold = then.decision.threshold
        beside = (nextafter(threshold, 0), 0.0) if escapes else (threshold, 1.0)
        assert all(then.decision.asks_person(each) for each in beside), (score, found.note)
        assert "to_person" not in then.note, (score, then.note)
        assert "until then a person looks at all" in then.note


def test_a_rate_of_many_images_is_worked_out_without_end() -> None:
    judged = [Judged(number / 50_000, is_anomaly=True) for number in range(1, 50_000)]
    found = decide(Decide(max_escape_rate=0.5), None, judged)
    assert found.decision.threshold == pytest.approx(0.4963, abs=1e-3)


def test_a_band_over_the_whole_scale_leaves_out_no_score() -> None:
    assert all(Decision(0.5, 0.0, 1.0).call(score).to_person for score in (0.0, 0.5, 1.0))
    half = Decision(0.5, 0.0, 0.5)
    assert [half.call(score).to_person for score in (0.0, 0.49, 0.5)] == [True, True, False]
    inside = Decision(0.5, 0.2, 0.8)
    assert not any(inside.call(score).to_person for score in (0.0, 0.2, 0.8, 1.0))


@pytest.mark.parametrize("decision", [Decision(), Decision(0.31), Decision(0.1, 0.05, 0.7)])
def test_a_decision_is_read_as_it_was_written(decision: Decision) -> None:
    assert Decision.from_text(decision.as_text()) == decision


@pytest.mark.parametrize("text", ["", "x", "0", "1", "nan", "0.5 1", "0.5 0.6:0.3", "0.5 0.1:2"])
def test_what_is_no_decision_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Decision.from_text(text)
