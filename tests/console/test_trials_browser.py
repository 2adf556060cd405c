"""A trial detection in a real browser: from images on the computer to a larger data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.console.trials import work
from tests.service.conftest import RED, picture

from .conftest import Offered, pages
from .models import draw_heat_maps, train
from .test_projects_browser import violations

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "<img src=x onerror=document.title='owned'>\u202e.png"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_images_are_brought_verified_by_keys_and_added(
    browser: Browser,
    offered: Offered,
    axe: str,
    monkeypatch: pytest.MonkeyPatch,
    scheme: Any,
    width: int,
) -> None:
    bucket = train(offered).bucket
    for number in range(3):
        bucket.put(f"new/{number}.png", picture((0, 201, number)))
    draw_heat_maps(monkeypatch)
    monkeypatch.setattr(work, "A_PART", 3)
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{pages('projects', 'p', 'trials')}")
    page.get_by_label("Name").fill("<b>Monday</b>")
    page.get_by_label("Images in a bucket").fill("s3://bucket/new/")
    page.get_by_role("button", name="Begin").click()
    playwright.expect(page.get_by_text("All are judged.")).to_be_visible()
    tiles = page.locator("#tiles .tile")
    playwright.expect(tiles.get_by_text("Normal, 90.0%")).to_have_count(3)

    files: Any = [
        {"name": EVIL, "mimeType": "image/png", "buffer": picture((201, 0, 0))},
        {"name": "wrong.png", "mimeType": "image/png", "buffer": picture(RED, (80, 64))},
        {"name": "lot $& 7.pdf", "mimeType": "application/pdf", "buffer": b"rust"},
    ]
    playwright.expect(page.locator("#bring")).to_be_visible()  # by its script
    page.get_by_label("Images", exact=True).set_input_files(files)
    playwright.expect(page.locator("#bring-refused")).to_contain_text("80x64 pixels")
    said_so = "being no image by its name: lot $& 7.pdf."
    playwright.expect(page.locator("#bring-said")).to_contain_text(said_so)
    playwright.expect(tiles).to_have_count(4)
    playwright.expect(tiles.get_by_text("Anomalous, 90.0%")).to_be_visible()
    files = [{"name": f"{n}.txt", "mimeType": "text/plain", "buffer": b"rust"} for n in range(7)]
    page.get_by_label("Images", exact=True).set_input_files(files)
    playwright.expect(page.locator("#bring-said")).to_have_text(
        "There is no PNG or JPEG among these. Left out, 7 being no images by their names: "
        "0.txt, 1.txt, 2.txt, 3.txt, 4.txt and others."
    )
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    playwright.expect(tiles.locator(".heat").first).to_be_visible()
    page.get_by_label("Heat maps").uncheck()
    playwright.expect(tiles.locator(".heat").first).to_be_hidden()

    tiles.filter(has_text="Anomalous").locator("input").focus()
    page.keyboard.press("c")
    playwright.expect(page.locator("#verified-said")).to_contain_text("1 verdict is verified")
    # In place: whoever goes through the images by keys is where they were.
    playwright.expect(page.locator("[data-place='4'] input")).to_be_focused()
    page.get_by_label("Choose all on this page").check()
    tiles.filter(has_text="Anomalous").locator("input").uncheck()
    page.keyboard.press("i")
    playwright.expect(page.locator("#verified-said")).to_contain_text("3 verdicts are verified")
    page.get_by_label("All that are shown, over all pages (4)").check()
    page.get_by_role("button", name="Add to the training data set").click()
    playwright.expect(page.locator("#adding-said")).to_have_text(
        "4 images are added to the training data set."
    )
    playwright.expect(page.locator("button[value=train]")).to_be_focused()  # where one was
    playwright.expect(page.get_by_text("In the training data set")).to_have_count(4)
    assert violations(page, axe) == []
    stats = offered.client().describe_dataset(ProjectName="p", DatasetType="train")
    counts = stats["DatasetDescription"]["ImageStats"]
    assert (counts["Normal"], counts["Anomaly"]) == (6, 8)

    page.locator("select[name=show]").select_option("incorrect")
    page.locator(".look button").click()
    playwright.expect(tiles).to_have_count(3)
    page.get_by_role("link", name="Trial detections").click()
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("link", name="<b>Monday</b>").click()
    page.get_by_label("Type <b>Monday</b> to delete it").fill("<b>Monday</b>")
    page.get_by_role("button", name="Delete", exact=True).click()
    playwright.expect(page.get_by_role("status")).to_contain_text("is deleted")
    assert page.title() == "Trial detections · p · lfvpipe"
    assert [each for each in said if "Content Security Policy" in each] == []
    context.close()
