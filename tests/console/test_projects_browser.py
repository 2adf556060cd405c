"""Projects and changes in a real browser, used as a person would."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import KEYS, Offered, pages

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMED = {
    *("button", "checkbox", "combobox", "dialog", "image", "link", "navigation", "progressbar"),
    *("region", "searchbox", "slider", "spinbutton", "table", "textbox", "toolbar"),
}
"""Roles of what a screen reader calls by its name."""
EVIL = "<script>document.title='owned'</script><b>\u202e"


def test_a_project_is_made_looked_at_and_deleted_by_typing_its_name(
    page: Page, offered: Offered
) -> None:
    page.goto(f"{offered.url}/console/")
    page.get_by_label("Access key ID").fill("ADA")
    page.get_by_label("Secret access key").fill(KEYS["ADA"].secret)
    page.keyboard.press("Enter")
    page.get_by_label("Name").fill("bottles")
    page.get_by_role("button", name="Create").click()
    playwright.expect(page.get_by_role("status")).to_have_text("The project bottles is there.")
    described = offered.client().describe_project(ProjectName="bottles")
    assert described["ProjectDescription"]["ProjectName"] == "bottles"
    page.get_by_label("Type bottles to delete it.").fill("bottle")
    page.get_by_role("button", name="Delete").click()
    playwright.expect(page.get_by_role("alert")).to_contain_text("Nothing was deleted")
    page.get_by_label("Type bottles to delete it.").fill("bottles")
    page.get_by_role("button", name="Delete").click()
    playwright.expect(page.get_by_role("status")).to_contain_text("bottles is deleted")
    assert offered.client().list_projects()["Projects"] == []
    page.get_by_role("link", name="Changes").click()
    playwright.expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Sign out").click()
    playwright.expect(page.get_by_role("heading")).to_have_text("Sign in")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing_and_words_of_clients_stay_words(
    browser: Browser, offered: Offered, axe: str, scheme: Any, width: int
) -> None:
    client = offered.client()
    client.create_project(ProjectName="p")
    client.create_project(ProjectName="x" * 255)
    client.create_dataset(ProjectName="p", DatasetType="train")
    image = json.dumps({"source-ref": f"s3://bucket/{EVIL}"})
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=image.encode())
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        timezone_id="Asia/Kolkata",
        locale="en-GB",
    )
    page = context.new_page()
    page.goto(f"{offered.url}/console/sign-in")
    assert violations(page, axe) == []
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    of_projects = (pages("projects"), pages("projects", "p"), pages("projects", "x" * 255))
    for path in (*of_projects, pages("changes"), pages("none")):
        page.goto(f"{offered.url}{path}")
        assert violations(page, axe) == [], path
        assert page.title() != "owned"
        assert path != pages("changes") or "<script>" in page.inner_text("table")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
        if path == pages("projects"):
            made = page.locator("time").first  # in the zone of whoever looks; UTC without script
            playwright.expect(made).to_have_text(re.compile(r"\d{2}:\d{2},? GMT\+5:30$"))
            playwright.expect(made).to_have_attribute("title", re.compile(r"\d{2}:\d{2} UTC$"))
    context.close()


def violations(page: Page, axe: str) -> list[str]:
    """Return what axe-core finds on a page, and what has no name for a screen reader."""
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    told = [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]
    session = page.context.new_cdp_session(page)
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if role in NAMED and not node["ignored"] and not node.get("name", {}).get("value"):
            told.append(f"a {role} without a name")
    session.detach()
    return told
