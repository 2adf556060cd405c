"""How to ask a model, in a real browser: programs are copied, an image is dropped and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.service.conftest import GREEN, RED, picture

from .conftest import Offered, pages
from .models import add_model, draw_heat_maps, train
from .test_projects_browser import violations

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "<img src=x onerror=document.title='owned'>%s$&\u202e.png"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_a_program_is_copied_and_an_image_tried(
    browser: Browser,
    offered: Offered,
    axe: str,
    monkeypatch: pytest.MonkeyPatch,
    scheme: Any,
    width: int,
) -> None:
    train(offered)
    add_model(offered)
    draw_heat_maps(monkeypatch)
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{pages('projects', 'p')}")
    page.get_by_role("link", name="Use the model").click()
    page.get_by_role("button", name="Copy: Python (boto3)").click()
    playwright.expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f'endpoint_url="{offered.url}"' in copied
    assert '"ModelVersion": "2"' in copied
    page.locator("select").select_option("1")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/use?version=1")
    playwright.expect(page.locator(".scripted").first).to_be_visible()  # by the page's script
    choice = page.get_by_label("Image", exact=True)
    choice.set_input_files({"name": EVIL, "mimeType": "image/png", "buffer": picture(RED)})
    verdict = page.locator(".said")
    playwright.expect(verdict).to_have_text("Anomalous, confidence 90.0%")
    playwright.expect(page.get_by_alt_text("onerror")).to_be_visible()
    playwright.expect(page.locator(".stage .heat")).to_be_visible()
    page.get_by_label("Show where the model sees evidence").uncheck()
    playwright.expect(page.locator(".stage .heat")).to_be_hidden()
    assert violations(page, axe) == []
    assert page.title() == "Use the model · p · lfvpipe"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dropped = page.evaluate_handle(
        "async (image) => { const data = new DataTransfer();"
        " const bytes = await (await fetch(image)).blob();"
        " data.items.add(new File([bytes], 'green.png')); return data; }",
        f"{offered.url}/console/static/icon.svg",
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
    playwright.expect(verdict).to_contain_text("not a PNG or JPEG image")
    choice.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": picture(GREEN)})
    playwright.expect(verdict).to_have_text("Normal, confidence 90.0%")
    assert [each for each in said if "Content Security Policy" in each] == []
    context.close()
