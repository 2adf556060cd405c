"""What clients had judged, held against the test: what is said of it, and what cannot be."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from html import unescape
from typing import TYPE_CHECKING

import pytest

from lfvpipe.console.drift.charts import Group, find_drift, join_days
from lfvpipe.service.state.judged import Count
from lfvpipe.storage import StorageError
from lfvpipe.storage.local import LocalBucket
from tests.service.conftest import picture

from .conftest import Offered, pages
from .drifting import judge, retell_test
from .models import train
from .test_models_pages import send
from .test_trials import begin, bring

if TYPE_CHECKING:
    from .conftest import Person

HERE = pages("projects", "p", "models", "1")
SPREAD = [0.1 + 0.01 * (number % 7) for number in range(40)]
"""Scores of forty normal images, whose mean is 0.13."""


@pytest.fixture
def used(offered: Offered) -> Offered:
    """Have a model whose test had forty normal images, and no false alarm."""
    train(offered)
    retell_test(offered, SPREAD)
    return offered


def told(person: Person) -> str:
    """Return the words of the page's section on drift."""
    section = person.get(HERE).text.split('id="drift"')[1].split("</section>")[0]
    return " ".join(unescape(re.sub("<[^>]+>", " ", section)).split())


def test_days_with_few_images_are_joined_with_those_that_follow() -> None:
    days = {1: 12, 2: 7, 4: 1, 5: 500, 6: 19, 9: 3}
    by_hour = {day * 24 + 3: Count(images) for day, images in days.items()}
    by_hour[5 * 24 + 23] = Count(2)
    assert list(join_days(by_hour)) == [
        Group(1, 4, Count(20)),
        Group(5, 5, Count(502)),
        Group(6, 9, Count(22)),
    ]
    assert list(join_days({24: Count(5)})) == [Group(1, 1, Count(5))]
    assert list(join_days({})) == []


def test_more_anomalies_than_the_test_explains_are_said_with_the_day_and_the_limit(
    used: Offered,
) -> None:
    person = used.person("VIC")
    judge(used, 60, 0, days_ago=5)
    assert "No more anomalies than the false alarms of its test explain" in told(person)
    judge(used, 60, 30, days_ago=3)
    judge(used, 60, 40, days_ago=2)
    judge(used, 4, 0, days_ago=1)  # too few to tell otherwise
    said = told(person)
    assert re.search(
        r"Since \d+ [A-Z][a-z]+ \d{4} more anomalies than its test explains"
        r" \(newest: 40 of 60; limit \d+\)",
        said,
    )
    assert "too few images to tell" in said
    judge(used, 60, 0)
    assert "Before that, 2 groups of days were beyond a limit, the last on" in told(person)


def test_it_is_on_the_dashboard_while_the_version_is_hosted(used: Offered) -> None:
    person = used.person("VIC")
    judge(used, 60, 40)
    assert "more anomalies than" not in person.get(pages("dashboard")).text
    used.client().start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    assert "more anomalies than its test explains" in person.get(pages("dashboard")).text


def test_a_share_that_is_expected_is_gone_by_until_it_is_taken_back(used: Offered) -> None:
    person = used.person("ADA")
    judge(used, 100, 40)
    said = told(person)
    assert "more anomalies than its test explains" in said
    assert "Of the 100 images shown here, 40.00% were called so." in said
    for wrong in ("0", "1e-300", "100", "-3", "nan", "half", "1e400"):
        assert "from 0.0001 % to below 100 %" in send(person, f"{HERE}/expect", {"percent": wrong})
    assert send(person, f"{HERE}/expect", {"percent": "40"}) == ""
    assert "As many anomalies as the 40.00% that were expected explain" in told(person)
    assert send(person, f"{HERE}/expect", {"percent": "90"}) == ""
    assert "fewer anomalies than the 90.00% that were expected explain" in told(person)
    assert send(person, f"{HERE}/expect", {"percent": ""}) == ""
    assert "more anomalies than its test explains" in told(person)
    assert "lfvpipe:expected" in person.get(pages("changes")).text
    for key in ("RITA", "VIC"):
        assert send(used.person(key), f"{HERE}/expect", {"percent": "40"}) != ""


def test_what_was_decided_by_another_threshold_is_left_out(used: Offered) -> None:
    person = used.person("ADA")
    judge(used, 60, 40, days_ago=2)
    assert "more anomalies than" in told(person)
    assert send(person, f"{HERE}/decide", {"threshold": "0.7"}) == ""
    said = told(person)
    assert "60 images were judged before, by another threshold or in the same hour" in said
    assert "What was judged before the threshold was last changed is left out" in said
    assert send(person, f"{HERE}/tag", {"tag_key": "shift", "tag_value": "late"}) == ""
    assert told(person).split("begin with")[1][:80] == said.split("begin with")[1][:80]


def test_normal_images_that_score_higher_than_the_tests_are_said(used: Offered) -> None:
    person = used.person("VIC")
    judge(used, 60, 0, days_ago=2, score=0.13)
    assert "score as the normal ones of its test" in told(person)
    judge(used, 60, 0, days_ago=1, score=0.2)
    assert "look more anomalous to it than the normal ones of its test" in told(person)
    judge(used, 60, 0, score=0.01)
    said = told(person)
    assert "look less anomalous to it than the normal ones of its test" in said
    assert "newest: mean score 0.010 of 60" in said


def test_a_trial_of_images_that_are_other_than_the_tests_says_so(used: Offered) -> None:
    person = used.person("RITA")
    trial = begin(person)
    for number in range(20):
        bring(person, trial, f"{number}.png", picture((number, 200, 0)))
    text = person.get(trial).text
    assert "look less anomalous to it than the normal ones of its test (mean score 0.100" in text
    assert "More anomalies than" not in text
    for number in range(20):
        bring(person, trial, f"bad-{number}.png", picture((200, number, 0)))
    text = person.get(trial).text
    assert re.search(
        r"More anomalies than the false alarms of its test explain \(20 of 40; limit \d+\)", text
    )


def test_a_store_that_does_not_answer_keeps_no_other_version_from_being_told_of(
    used: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(used, 60, 40)
    used.client().start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    for file in (used.root / "service").glob("models/*/EvaluationManifest.json"):
        file.unlink()

    def fail(_self: LocalBucket, _key: str, **_options: object) -> bytes:
        raise StorageError("s3://bucket")

    monkeypatch.setattr(LocalBucket, "get", fail)
    answer = used.person("VIC").get(pages("dashboard"))
    assert (answer.status_code, "more anomalies" in answer.text) == (200, False)
    service = used.lookout.of("us-east-1")
    assert service is not None
    counted = service.tally.since(0)
    assert "the store does not give" in find_drift(service, "p", "1", counted).rate.said
    assert "the store does not give" in find_drift(service, "p", "1", counted).score.said


def test_what_cannot_be_told_is_said(used: Offered) -> None:
    person = used.person("VIC")
    assert "No client has had an image judged in this time" in told(person)
    judge(used, 19, 19)
    assert "Too few images to tell: 19 so far, 20 are needed." in told(person)
    with closing(sqlite3.connect(used.root / "service" / "service.db")) as state, state:
        state.execute("UPDATE judged SET images = 40, anomalies = 2")  # by an earlier version
    said = told(person)
    assert "38 of the images that were called normal were counted without their scores" in said
    retell_test(used, [0.1] * 40)
    assert "they all score the same" in told(person)
    retell_test(used, [])
    assert "there are no verdicts on normal test images" in told(person)
    assert "says no share" not in told(person)
    client = used.client()
    described = client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]
    with closing(sqlite3.connect(used.root / "service" / "service.db")) as state, state:
        row = (described["ModelArn"], "lfvpipe:expected", "many")  # taken by an earlier version
        state.execute("INSERT INTO tags (arn, key, value) VALUES (?, ?, ?)", row)
    assert "The tag lfvpipe:expected says no share above 0 and below 1" in told(person)
