"""Data sets in a real browser: from an empty project to labelled images, without a shell."""

from __future__ import annotations

import json
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.lookout.waiters import wait_for_dataset
from tests.service.conftest import picture

from .conftest import Offered, pages
from .test_projects_browser import EVIL, violations

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from lfvpipe.lookout.api import LookoutClient

expect = playwright.expect


def fill(offered: Offered, count: int, **labels: str) -> None:
    """Make a project p whose training data set has images, some with labels by their names."""
    client, bucket = offered.client(), offered.buckets.bucket("bucket")
    client.create_project(ProjectName="p")
    bucket.create()
    lines = []
    for number in range(count):
        bucket.put(f"{number:03}.png", picture((number, 0, 0)))
        line: dict[str, Any] = {"source-ref": f"s3://bucket/{number:03}.png"}
        if label := labels.get(f"i{number}"):
            line["x-metadata"] = {"class-name": label}
        lines.append(json.dumps(line))
    client.create_dataset(ProjectName="p", DatasetType="train")
    changes = "\n".join(lines).encode()
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changes)
    wait(client)


def wait(client: LookoutClient, kind: Any = "train") -> None:
    options: Any = {"on_status": lambda *_: None, "cancelled": Event()}
    wait_for_dataset(client, project="p", dataset_type=kind, **options)


def enter(page: Page, offered: Offered, *parts: str) -> None:
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{pages('projects', *parts)}")


def labels(offered: Offered, kind: Any = "train") -> dict[str, str]:
    found = offered.lookout.of("us-east-1").images.catalogue("p", kind).images  # type: ignore[union-attr]
    return {each.key.rpartition("/")[2]: each.label or "" for each in found}


def test_images_are_chosen_over_all_pages_labelled_by_keys_and_undone(
    page: Page, offered: Offered
) -> None:
    fill(offered, 130, i0="normal", i1="anomaly")
    enter(page, offered, "p", "datasets")
    expect(page.locator(".tile")).to_have_count(120)
    page.get_by_label("Label").first.select_option("Without a label")
    expect(page.locator("#shown")).to_have_text("128 images")
    page.get_by_role("button", name="Choose all 128").click()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    expect(page.locator(".tile :checked")).to_have_count(8)
    page.locator(".tile input").first.focus()
    page.keyboard.press("n")
    expect(page.get_by_text("128 images labelled.")).to_be_visible()
    expect(page.get_by_text("No image is like that.")).to_be_visible()
    assert sorted(labels(offered).values()) == ["anomaly", *["normal"] * 129]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("128 images are as before.")).to_be_visible()
    assert list(labels(offered).values()).count("") == 128

    page.get_by_label("Name contains").fill("00")
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(9)
    boxes = page.locator(".tile input")
    boxes.nth(1).click()
    page.locator(".tile").nth(3).click(modifiers=["Shift"])
    expect(page.locator("#chosen")).to_have_text("3 chosen")
    page.get_by_role("button", name="Show", exact=True).click()  # the same once more
    expect(page.locator("#chosen")).to_have_text("3 chosen")
    page.get_by_label("Anomaly type, if it has one").fill("dent")
    page.get_by_role("button", name="Anomaly", exact=True).click()
    expect(page.get_by_text("3 images labelled.")).to_be_visible()
    page.get_by_label("Label").first.select_option("Anomalous")
    page.locator("#look select[name=kind]").select_option("dent (3)")
    expect(page.locator(".tile")).to_have_count(3)
    expect(page.get_by_text("anomaly: dent")).to_have_count(3)

    # What is chosen is let go where others are looked at: keys would act on what nobody sees.
    boxes.nth(0).click()
    page.get_by_label("Name contains").fill("0")
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_have_text("0 chosen")
    boxes.nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("u")
    expect(page.get_by_text("1 image labelled.")).to_be_visible()
    assert list(labels(offered).values()).count("anomaly") == 3
    page.reload()
    page.keyboard.press("z")
    expect(page.get_by_text("1 image is as before.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_text("3 images are as before.")).to_be_visible()
    assert list(labels(offered).values()).count("anomaly") == 1


def test_an_image_that_somebody_else_labels_meanwhile_is_left_alone(
    page: Page, offered: Offered
) -> None:
    fill(offered, 3)
    enter(page, offered, "p", "datasets")
    page.get_by_role("button", name="Choose this page").click()
    line = {"source-ref": "s3://bucket/001.png", "x-metadata": {"class-name": "anomaly"}}
    changes = json.dumps(line).encode()
    client = offered.client()
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changes)
    wait(client)  # while it goes on, no other change is taken
    page.get_by_role("button", name="Normal", exact=True).click()
    expect(page.locator("#said")).to_contain_text(
        "2 images labelled. 1 was changed by somebody else"
    )
    assert labels(offered) == {"000.png": "normal", "001.png": "anomaly", "002.png": "normal"}
    page.get_by_role("button", name="Choose this page").click()
    page.get_by_role("button", name="Move to test").click()
    expect(page.get_by_text("3 images moved to test.")).to_be_visible()
    assert labels(offered, "test")["001.png"] == "anomaly"
    assert labels(offered) == {}


def test_a_folder_is_uploaded_in_parts_and_none_twice(
    page: Page, offered: Offered, tmp_path: Path
) -> None:
    offered.client().create_project(ProjectName="p")
    folder = tmp_path / "photos"
    for number in range(25):
        place = folder / ("good" if number % 2 else "bad/dent")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(picture((number, 9, 9)))
    (folder / "good/copy.png").write_bytes(picture((1, 9, 9)))
    (folder / "good/cut.png").write_bytes(picture((2, 9, 9))[:60])
    (folder / "notes.txt").write_text("no image", "utf-8")
    enter(page, offered, "p", "datasets")
    expect(page.locator("#upload")).to_be_visible()  # by its script
    page.get_by_label("Choose a folder").set_input_files(folder)
    expect(page.locator("#shown")).to_have_text("25 images")
    assert offered.client().describe_dataset(ProjectName="p", DatasetType="train")[
        "DatasetDescription"
    ]["ImageStats"] == {"Total": 25, "Labeled": 25, "Normal": 12, "Anomaly": 13}

    expect(page.locator("#upload")).to_be_visible()  # by its script
    page.get_by_label("Choose a folder").set_input_files(folder)
    expect(page.locator("#upload-said")).to_have_text(
        "0 added, 26 there already, 1 refused. Left out, being no images by their names: 1."
    )
    expect(page.locator("#upload-refused")).to_contain_text("cut.png")
    assert len(labels(offered)) == 25

    dragged = page.evaluate_handle(
        """(bytes) => {
          const dragged = new DataTransfer();
          dragged.items.add(new File([new Uint8Array(bytes)], "dragged.png"));
          return dragged;
        }""",
        list(picture((200, 1, 1))),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": dragged})
    expect(page.locator("#shown")).to_have_text("26 images")
    assert labels(offered)["dragged.png"] == ""


@pytest.mark.parametrize(
    ("scheme", "width", "paths"),
    [("light", 1280, ["train?name=none"]), ("dark", 360, ["test", "train?check=alike"])],
)
def test_axe_finds_nothing_and_names_stay_names(
    browser: Browser, offered: Offered, axe: str, scheme: Any, width: int, paths: list[str]
) -> None:
    fill(offered, 2, i0="normal")
    bucket, name = offered.buckets.bucket("bucket"), f"{EVIL}.png".replace("/", "")
    bucket.put(name, picture((1, 2, 3)))
    metadata = {"class-name": "anomaly", "defect-type": f'"><img src=x onerror="{EVIL}">'}
    line = json.dumps({"source-ref": f"s3://bucket/{name}", "x-metadata": metadata})
    client = offered.client()
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=line.encode())
    wait(client)
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    enter(page, offered, "p", "datasets")
    for path in paths:
        page.goto(f"{offered.url}{pages('projects', 'p', 'datasets')}/{path}")
        assert violations(page, axe) == [], path
        assert page.title() != "owned"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(f"{offered.url}{pages('projects', 'p', 'datasets', 'train')}")
    tile = page.locator(".tile.anomaly")
    expect(tile).to_contain_text("<script>document.title='owned'<")
    expect(tile).to_contain_text('anomaly: "><img src=x')
    context.close()


def test_images_that_lie_elsewhere_are_all_fetched_for_who_asks_for_it(
    page: Page, offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(offered, 3)
    monkeypatch.setattr("lfvpipe.storage.local.LocalBuckets.endpoint", "https://s3.example")
    enter(page, offered, "p", "datasets")
    expect(page.get_by_text("Looking at the images: 0 of 3")).to_be_visible()
    expect(page.locator(".tile input").first).to_be_enabled()  # the script has gone through
    looked = offered.console._desks["us-east-1"].examining
    assert looked.seen(looked.images("p")) == {}
    page.get_by_role("button", name="Look at all images").click()
    expect(page.get_by_role("link", name="Nearly the same: 3")).to_be_visible()


def test_what_is_worth_a_look_is_there_once_all_images_were_looked_at(
    page: Page, offered: Offered
) -> None:
    fill(offered, 3)
    offered.buckets.bucket("bucket").put("001.png", picture((0, 0, 0)))
    enter(page, offered, "p", "datasets")
    page.get_by_role("link", name="Exact copies: 2").click()
    expect(page.locator(".tile")).to_have_count(2)
    expect(page.locator("#look select[name=check]")).to_have_value("same")
    page.locator(".tile input").nth(1).focus()
    page.keyboard.press("n")
    expect(page.get_by_text("1 image labelled.")).to_be_visible()
    page.get_by_role("button", name="Choose all 2").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#shown")).to_have_text("No image is like that.")
    assert list(labels(offered)) == ["002.png"]
