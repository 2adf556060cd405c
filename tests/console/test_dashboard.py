"""The dashboard: what is hosted and trained, and what was judged over time."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from lfvpipe.console.dashboard import FRAMES, Frame, Judged, draw
from lfvpipe.service.state import judged
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.judged import Count, Hour
from tests.service.conftest import GREEN, OUTPUT, RED, picture

from .conftest import Offered, pages
from .test_models_browser import LOOKS, enter
from .test_models_pages import filled, trained
from .test_projects_browser import violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.service.conftest import Waits

__all__ = ["filled", "trained"]
HERE = pages("dashboard")


def test_bars_are_of_hours_and_of_days(offered: Offered) -> None:
    day, week, month = FRAMES
    noon = 20_000 * 24 + 12
    client, service = offered.client(), offered.lookout.of("us-east-1")
    assert service is not None
    for name in ("p", "q"):
        client.create_project(ProjectName=name)
    counted = {
        Hour("p", 1, noon): Count(4, 1),
        Hour("p", 2, noon): Count(1, 0),
        Hour("p", 2, noon - 3): Count(2, 2),
        Hour("p", 1, noon - 13): Count(1, 0),  # the day before
        Hour("p", 1, noon - 24 * 40): Count(9, 9),
        Hour("q", 1, noon): Count(100, 100),
    }
    with sqlite3.connect(offered.root / "service" / "service.db") as database:
        judged.add(Transaction(database), counted)
    database.close()
    now = noon * 3600 + 59.0

    def drawn(frame: Frame, project: str = "p") -> Judged:
        sums = service.tally.sums(frame.starts(now)[0], frame.hours)
        return draw(sums.get(project, {}), frame, now)

    assert (len(drawn(day).bars), drawn(day).total) == (24, Count(8, 3))
    assert (drawn(day).bars[-1].count, drawn(day).bars[-1].height) == (Count(5, 1), 60.0)
    assert [bar.count for bar in drawn(week).bars[-2:]] == [Count(1, 0), Count(7, 3)]
    assert drawn(month).total == Count(8, 3)
    assert drawn(month, "none").total == Count()
    assert set(service.tally.since(noon, "p")) == {Hour("p", 1, noon), Hour("p", 2, noon)}


@pytest.fixture
def busy(trained: Offered, waits: Waits) -> Offered:
    """Host version 1, ask it twice, and have version 2 in training."""
    client = trained.client()
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    asked = {"ProjectName": "p", "ModelVersion": "1", "ContentType": "image/png"}
    for colour in (RED, GREEN):
        client.detect_anomalies(**asked, Body=picture(colour))
    service = trained.lookout.of("us-east-1")
    assert service is not None
    service.alarms.note("p", 1, "rate", (1, 2), {"said": "Since 2 Jan 1970 more anomalies."})
    service.alarms.settle(service.alarms.due()[0], "the answer is 500")
    trained.detector.hold = threading.Event()
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    client.create_project(ProjectName="empty")
    return trained


def test_it_shows_what_goes_on_and_axe_finds_nothing(page: Page, busy: Offered, axe: str) -> None:
    enter(page, busy, HERE)
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert violations(page, axe) == [], scheme
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    text = page.inner_text("main")
    assert "2 images judged, 1 anomalous." in text
    assert "Nothing was judged in this time." in text
    assert "Since 2 Jan 1970 more anomalies." in text
    assert "hosted" in text
    assert "in training" in text
    page.get_by_role("link", name="Month").click()
    page.wait_for_url("**over=month")
    states = busy.person("VIC").get(pages("dashboard-states")).json()["versions"]
    assert {key: state["status"] for key, state in states.items()} == {
        "p/1": "HOSTED",
        "p/2": "TRAINING",
    }
