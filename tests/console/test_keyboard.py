"""The console by keys and ears: what a page is called, where the focus is after a deed."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest

from lfvpipe.console import dataset_pages
from tests.service.conftest import picture

from .conftest import Offered, Person, pages
from .models import train
from .test_trials import begin, bring

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


def enter(page: Page, offered: Offered, path: str) -> None:
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{path}")


def titles(person: Person, paths: list[str]) -> list[str]:
    return [re.findall("<title>(.*?)</title>", person.get(path).text)[0] for path in paths]


def test_each_page_of_a_project_has_a_title_of_its_own(offered: Offered) -> None:
    train(offered)
    ada = offered.person("ADA")
    trial = begin(ada)
    parts = ["datasets/train", "datasets/test", "models", "models/1", "trials", "use", "packages"]
    paths = [pages("projects", "p"), *(pages("projects", "p", part) for part in parts), trial]
    found = titles(ada, paths)
    assert len(set(found)) == len(paths), found
    assert all("p" in title for title in found)


def test_the_focus_is_on_what_became_of_a_form(page: Page, offered: Offered) -> None:
    enter(page, offered, pages("projects"))
    page.get_by_label("Name").fill("bottles")
    page.keyboard.press("Enter")
    page.wait_for_url("**/bottles")
    playwright.expect(page.get_by_text("The project bottles is there.")).to_be_focused()
    page.keyboard.press("Tab")  # goes on below, not in the bar
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_the_next_page_of_a_gallery_begins_with_its_first_image(
    page: Page, offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(offered)
    monkeypatch.setattr(dataset_pages, "A_PAGE", 4)
    enter(page, offered, pages("projects", "p", "datasets", "train"))
    page.get_by_role("link", name="Next").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**page=2")
    playwright.expect(page.locator(".tile").first.locator("input")).to_be_focused()
    playwright.expect(page.locator("#heard")).to_contain_text("10 images")


def test_a_verified_image_that_is_shown_no_more_leaves_the_focus_in_its_place(
    page: Page, offered: Offered
) -> None:
    train(offered)
    ada = offered.person("ADA")
    trial = begin(ada)
    for number in range(3):
        bring(ada, trial, f"{number}.png", picture((200, 0, number)))
    enter(page, offered, f"{trial}?show=unverified")
    page.locator("[data-place='2'] input").focus()
    page.keyboard.press("c")
    playwright.expect(page.locator("#verified-said")).to_have_text(
        "1 verdict is verified as correct."
    )
    playwright.expect(page.locator("#tiles .tile")).to_have_count(2)
    assert page.locator("#tiles input:checked").count() == 0
    playwright.expect(page.locator("[data-place='3'] input")).to_be_focused()
    page.keyboard.press("i")
    playwright.expect(page.locator("#tiles .tile")).to_have_count(1)
    page.keyboard.press("c")
    playwright.expect(page.get_by_text("No image is shown.")).to_be_visible()
    assert page.get_by_label("All that are shown, over all pages (0)").count() == 1


def test_a_page_that_loads_itself_anew_gives_the_focus_back(page: Page, offered: Offered) -> None:
    train(offered)
    hold = offered.detector.hold = threading.Event()
    output = {"S3Location": {"Bucket": "bucket", "Prefix": "out/"}}
    offered.client().create_model(ProjectName="p", OutputConfig=output)
    enter(page, offered, pages("projects", "p", "models"))
    page.get_by_role("link", name="Version 2").focus()
    hold.set()
    playwright.expect(page.locator(".state").first).to_have_text("trained")
    playwright.expect(page.get_by_role("link", name="Version 2")).to_be_focused()


def test_what_is_chosen_while_an_answer_is_on_its_way_stays_chosen(
    page: Page, offered: Offered
) -> None:
    train(offered)
    ada = offered.person("ADA")
    trial = begin(ada)
    for number in range(3):
        bring(ada, trial, f"{number}.png", picture((200, 0, number)))
    held: list[Route] = []
    page.route("**/verify", lambda route: held.append(route))
    enter(page, offered, trial)
    page.locator("[data-place='1'] input").check()
    with page.expect_request("**/verify"):
        page.get_by_role("button", name="Incorrect (I)").click()
    page.locator("[data-place='3'] input").check()
    while not held:  # Playwright tells it between two calls
        page.evaluate("0")
    held[0].continue_()
    playwright.expect(page.locator("#tiles .verified")).to_have_text("Verified: incorrect")
    chosen = page.locator("#tiles input:checked")
    playwright.expect(chosen).to_have_count(1)
    assert chosen.input_value() == "3"
