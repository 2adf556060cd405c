"""Models in a real browser: trained, followed, cancelled, hosted, deleted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal

import pytest

from .conftest import Offered, pages
from .drifting import judge
from .test_models_pages import HERE, filled, trained
from .test_projects_browser import violations

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["filled", "trained"]


LOOKS: Final[tuple[tuple[Literal["light", "dark"], int], ...]] = (("light", 1280), ("dark", 360))
SAME = pages("projects", "p", "model-comparison") + "?first=1&second=1"


def enter(page: Page, offered: Offered, path: str) -> None:
    """Sign in by a ticket, and go to a page."""
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{path}")


def test_a_training_is_begun_followed_cancelled_and_done_again(page: Page, filled: Offered) -> None:
    hold = filled.detector.hold = threading.Event()
    enter(page, filled, HERE)
    page.get_by_role("button", name="Train", exact=True).click()
    playwright.expect(page.get_by_role("status")).to_have_text("Version 1 is being trained.")
    playwright.expect(page.locator(".phrase")).to_have_text("looks at the images")
    page.get_by_role("button", name="Cancel the training of version 1").click()
    playwright.expect(page.get_by_role("status")).to_contain_text("cancelled")
    playwright.expect(page.get_by_text("No model yet")).to_be_visible()
    hold.set()
    page.get_by_label("Description").fill("after-a-cancelled-one")
    page.get_by_role("button", name="Train", exact=True).click()
    playwright.expect(page.locator(".state")).to_have_text("trained")
    playwright.expect(page.get_by_text("after-a-cancelled-one")).to_be_visible()


def test_a_version_is_hosted_stopped_and_deleted(page: Page, trained: Offered) -> None:
    enter(page, trained, f"{HERE}/1")
    page.get_by_role("button", name="Start", exact=True).click()
    playwright.expect(page.locator(".state")).to_have_text("hosted")
    page.get_by_role("button", name="Stop", exact=True).click()
    playwright.expect(page.locator(".state")).to_have_text("trained")
    page.get_by_label("Type p/1 to delete it.").fill("p/1")
    page.get_by_role("button", name="Delete").click()
    playwright.expect(page.get_by_text("No model yet")).to_be_visible()


def test_axe_finds_nothing(page: Page, trained: Offered, axe: str) -> None:
    hold = trained.detector.hold = threading.Event()
    output = {"S3Location": {"Bucket": "bucket", "Prefix": "out_"}}
    client = trained.client()
    client.create_model(ProjectName="p", OutputConfig=output, Description="long" * 40)
    judge(trained, 60, 40)
    judge(trained, 60, 0, days_ago=1)
    enter(page, trained, HERE)
    light, dark = LOOKS
    shown = ((HERE, dark), (f"{HERE}/1", light), (f"{HERE}/1", dark), (f"{HERE}/2", dark))
    for path, (scheme, width) in (*shown, (SAME, dark)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{trained.url}{path}")
        for numbers in page.locator("#drift summary").all():
            numbers.click()
        assert violations(page, axe) == [], (path, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    hold.set()


def test_a_test_image_is_seen_larger_and_a_threshold_is_tried_and_decided_by(
    page: Page, trained: Offered
) -> None:
    enter(page, trained, f"{HERE}/1")
    page.locator("[data-sight]").first.click()
    dialog = page.get_by_role("dialog")
    playwright.expect(dialog.get_by_role("status")).to_contain_text("confidence")
    first = dialog.get_by_role("heading").inner_text()
    page.keyboard.press("ArrowRight")
    playwright.expect(dialog.get_by_role("heading")).not_to_have_text(first)
    page.keyboard.press("Escape")
    playwright.expect(dialog).to_be_hidden()
    page.get_by_role("slider").fill("0.95")
    playwright.expect(page.get_by_role("spinbutton", name="Threshold")).to_have_value("0.95")
    page.get_by_role("button", name="Decide by it").click()
    playwright.expect(page.locator(".notice")).to_contain_text("0.95 or more")
