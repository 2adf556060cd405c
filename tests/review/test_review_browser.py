"""The review page in a real browser, used as a person would."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

    Serve = Callable[..., Any]


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("#place:not(:empty)").wait_for()


def shown(page: Page, name: str) -> None:
    """Wait until the page shows an image."""
    playwright.expect(page.locator("#name")).to_have_text(name)


def test_keys_decide_move_and_undo(page: Page, serve: Serve) -> None:
    desk = serve()
    opened(page, desk.address)
    shown(page, "p/0.png")
    page.keyboard.press("n")
    shown(page, "p/1.png")
    page.keyboard.press("x")
    shown(page, "p/2.png")
    playwright.expect(page.locator("#progress")).to_have_text("2 of 6 decided")
    playwright.expect(page.locator("#live")).to_contain_text("Saved: p/1.png is excluded")
    assert [line["label"] for line in desk.decisions()] == ["normal", "exclude"]
    page.keyboard.press("ArrowLeft")
    shown(page, "p/1.png")
    page.keyboard.press("z")
    playwright.expect(page.locator("#progress")).to_have_text("1 of 6 decided")
    shown(page, "p/1.png")
    page.keyboard.press("ArrowRight")
    shown(page, "p/2.png")


def test_everything_can_be_reached_and_pressed_with_the_keyboard_alone(
    page: Page, serve: Serve
) -> None:
    desk = serve()
    opened(page, desk.address)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.label") == "unsure":
            break
    page.keyboard.press("Enter")
    shown(page, "p/1.png")
    assert desk.decisions()[0]["label"] == "unsure"


def test_single_keys_can_be_switched_off_and_do_nothing_while_one_types(
    page: Page, serve: Serve
) -> None:
    desk = serve(who="")
    opened(page, desk.address)
    page.keyboard.press("n")
    playwright.expect(page.locator("#error")).to_contain_text("enter your name")
    page.locator("#who").press_sequentially("Anna Nunx")
    assert desk.decisions() == []
    page.locator("summary").click()
    page.get_by_label("Single keys work as shortcuts").uncheck()
    page.keyboard.press("n")
    page.get_by_role("button", name="Anomaly").click()
    shown(page, "p/1.png")
    assert [(line["label"], line["who"]) for line in desk.decisions()] == [("anomaly", "Anna Nunx")]


@pytest.mark.parametrize("advice", ["", "Name the file in p.yaml, under sources:  labels: l.jsonl"])
def test_the_end_says_how_many_are_learnt_from_and_what_that_takes(
    page: Page, serve: Serve, advice: str
) -> None:
    desk = serve(count=3, unused=2, advice=advice)
    opened(page, desk.address)
    playwright.expect(page.locator("#advice")).to_have_text(advice)
    assert page.locator("#advice").is_visible() == bool(advice)
    for name, key in (("p/0.png", "n"), ("p/1.png", "x"), ("p/2.png", "a")):
        shown(page, name)
        page.keyboard.press(key)
    when = "Once the pipeline file names them, lfvpipe run" if advice else "The next lfvpipe run"
    told = f"{when} learns from 1, tests on 1, leaves 1 out."
    playwright.expect(page.locator("#empty")).to_contain_text(told)


def test_the_next_person_sees_decisions_and_conflicts(page: Page, serve: Serve) -> None:
    desk = serve(count=2)
    opened(page, desk.address)
    page.keyboard.press("n")
    shown(page, "p/1.png")
    page.keyboard.press("a")
    playwright.expect(page.locator("#empty")).to_contain_text("All 2 images are decided")
    page.get_by_label("Your name").fill("Ben")
    page.locator("#filter").select_option("all")
    shown(page, "p/0.png")
    page.get_by_role("button", name="Anomaly").click()
    shown(page, "p/1.png")
    page.get_by_role("button", name="Previous").click()
    playwright.expect(page.locator("#conflict")).to_contain_text("anomaly, by Ben")
    page.locator("#filter").select_option("conflicts")
    playwright.expect(page.locator("#place")).to_contain_text("image 1 of 1")


def test_the_heat_map_is_laid_over_and_taken_away(page: Page, serve: Serve) -> None:
    opened(page, serve().address)
    page.keyboard.press("h")
    page.locator("#overlay").wait_for()
    playwright.expect(page.get_by_role("button", name="Heat map")).to_have_attribute(
        "aria-pressed", "true"
    )
    legend = page.get_by_text("Where the model sees evidence")
    assert legend.is_visible()
    ramp = page.locator("#ramp").evaluate("one => getComputedStyle(one).backgroundImage")
    assert "rgb(252, 255, 164)" in ramp or "252 255 164" in ramp or "252, 255, 164" in ramp
    page.keyboard.press("h")
    page.locator("#overlay").wait_for(state="hidden")
    assert legend.is_hidden()


def test_a_mask_is_painted_undone_and_saved_with_the_decision(page: Page, serve: Serve) -> None:
    from PIL import Image

    desk = serve(masks=True)
    opened(page, desk.address)
    page.keyboard.press("ArrowRight")
    shown(page, "p/1.png")
    page.get_by_role("button", name="Paint a mask").click()
    page.locator("#class").select_option("stain")
    box = page.locator("#canvas").bounding_box()
    assert box is not None

    def stroke(*points: float) -> None:
        spots = [(box["x"] + box["width"] * p, box["y"] + box["height"] * p) for p in points]
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(*spot, steps=4)
        page.mouse.up()

    stroke(0.5, 0.75)
    stroke(0.1, 0.2)
    page.get_by_role("button", name="Undo stroke").click()
    page.get_by_role("button", name="Polygon").click()
    for across, down in ((0.7, 0.1), (0.95, 0.1), (0.95, 0.4)):
        page.mouse.click(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
    page.mouse.move(box["x"] + 5, box["y"] + 5)  # a corner that is not set
    page.keyboard.press("Enter")
    page.mouse.click(box["x"] + 5, box["y"] + 5)  # one that is dropped
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    shown(page, "p/2.png")
    (line,) = desk.decisions()
    with Image.open(desk.labels.parent / line["mask"]) as mask:
        assert mask.getpixel((40, 40)) == (0xD6, 0x27, 0x28)
        assert mask.getpixel((10, 10)) == (255, 255, 255)
        width, height = mask.size
        assert mask.getpixel((int(0.9 * width), int(0.2 * height))) == (0xD6, 0x27, 0x28)
        assert mask.getpixel((int(0.75 * width), int(0.35 * height))) == (255, 255, 255)
        assert set(mask.get_flattened_data()) == {(0xD6, 0x27, 0x28), (255, 255, 255)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing(
    browser: Browser, serve: Serve, axe: str, scheme: Any, width: int
) -> None:
    desk = serve(masks=True)
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    opened(page, desk.address)
    page.keyboard.press("a")
    shown(page, "p/1.png")
    page.locator("summary").click()
    page.keyboard.press("p")
    page.get_by_label("Your name").fill("Ben")
    page.locator("#filter").select_option("all")
    page.get_by_role("button", name="Previous").click()
    shown(page, "p/0.png")
    page.get_by_role("button", name="Normal").click()
    shown(page, "p/1.png")
    page.get_by_role("button", name="Previous").click()
    page.locator("#conflict").wait_for()
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_in_the_grid_or_beside_a_normal_image(
    browser: Browser, serve: Serve, axe: str, scheme: Any, width: int
) -> None:
    desk = serve()
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    opened(page, desk.address)
    page.keyboard.press("r")
    page.locator("#reference").wait_for()
    page.evaluate(axe)
    for press in ("", "g"):
        if press:
            page.keyboard.press(press)
            page.locator(".tile").first.wait_for()
            page.keyboard.press("Space")
        found = page.evaluate("axe.run()")
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_several_images_are_decided_in_the_grid_with_the_keyboard_alone(
    page: Page, serve: Serve
) -> None:
    desk = serve(count=8, detected=True)
    opened(page, desk.address)
    page.keyboard.press("g")
    page.locator(".tile").first.wait_for()
    assert page.get_by_role("button", name="Normal N").is_disabled()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    playwright.expect(page.locator("#chosen")).to_have_text("3 of 8 selected")
    page.locator("#goes").select_option("test")
    page.locator("#type").fill("dent")
    page.locator("#comment").fill("left =1+1 <b>edge</b>")
    page.get_by_role("button", name="Anomaly").click()
    playwright.expect(page.locator("#live")).to_have_text("Saved: 3 images are anomaly.")
    playwright.expect(page.locator(".tile")).to_have_count(5)
    lines = desk.decisions()
    assert {(each["label"], each["split"], each["type"]) for each in lines} == {
        ("anomaly", "test", "dent")
    }
    assert all((desk.labels.parent / each["name"]).is_file() for each in lines)
    page.locator(".tile").first.focus()
    page.keyboard.press("Control+a")
    playwright.expect(page.locator("#chosen")).to_have_text("5 of 5 selected")
    page.keyboard.press("z")
    playwright.expect(page.locator(".tile")).to_have_count(8)
    page.keyboard.press("Enter")
    page.locator("#name").wait_for()


def test_the_wheel_enlarges_where_the_pointer_is_and_dragging_moves(
    page: Page, serve: Serve
) -> None:
    opened(page, serve().address)

    def spot() -> Any:
        return page.evaluate(
            """() => { const box = document.querySelector("#sheet").getBoundingClientRect();
            return [box.left, box.top, box.height]; }"""
        )

    box = page.locator("#view").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.4
    before = spot()
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    playwright.expect(page.locator("#zoom")).to_have_value("-1")
    after = spot()
    assert after[2] > 1.5 * before[2]
    shares = [(y - top) / height for _, top, height in (before, after)]
    assert shares[0] == pytest.approx(shares[1], abs=0.02)
    page.mouse.down()
    page.mouse.move(x - 50, y - 30, steps=4)
    page.mouse.up()
    moved = spot()
    assert moved[1] - after[1] == pytest.approx(-30, abs=2)
    page.keyboard.press("0")
    assert spot() == before


@pytest.mark.skipif(sys.platform == "win32", reason="the review is ended as Ctrl-C does on POSIX")
def test_ten_images_reviewed_are_in_the_next_dataset_and_model(page: Page, plant: Any) -> None:
    wrong = {f"good/{number}.png" for number in range(30, 40)}
    before = plant.index()
    process = subprocess.Popen(
        plant.command("review", "--no-browser", "--who", "Ana", "--all"),
        cwd=plant.folder,
        env=plant.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = re.search(r"http://\S+", process.stdout.readline())
    assert address is not None
    _review(page, address[0], wrong)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert "10 decided" in said
    assert {line["name"] for line in plant.decisions()} == wrong

    plan = plant.lfvpipe("plan")
    assert plan.code == 2
    assert "reviewed.jsonl" in plan.out
    done = plant.lfvpipe("run")
    assert done.code == 0, done.err
    after = plant.index()
    assert {name for name in after if after[name]["label"] != before[name]["label"]} == wrong
    assert all(after[name]["key"] == before[name]["key"] for name in before)
    assert plant.outcome("upload")["uploaded"] == 0
    classes = plant.entries("train") | plant.entries("test")
    corrected = {Path(before[name]["key"]).name for name in wrong}
    assert {name: classes[name] for name in corrected} == dict.fromkeys(corrected, "anomaly")
    assert plant.outcome("model")["version"] == "2"
    assert plant.outcome("datasets")["train"]["status"] == "UPDATE_COMPLETE"
    assert plant.lfvpipe("plan").code == 0


def _review(page: Page, address: str, wrong: set[str]) -> None:
    """Look at every image, and mark those of `wrong` as anomalies."""
    opened(page, address)
    page.keyboard.press("h")
    page.locator("#overlay").wait_for()  # the trained model drew it
    page.keyboard.press("h")
    found = page.locator("#place").inner_text()
    total = int(found.split(" of ")[1].split()[0])
    left = set(wrong)
    for number in range(1, total + 1):
        playwright.expect(page.locator("#place")).to_contain_text(f"image {number} of ")
        name = page.locator("#name").inner_text()
        page.keyboard.press("a" if name in left else "ArrowRight")
        left.discard(name)
    playwright.expect(page.locator("#progress")).to_contain_text(f"{len(wrong)} of ")
    assert left == set()
