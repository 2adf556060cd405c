"""Outlines of true and predicted masks over the pictures of galleries."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lfvpipe.service.judging import Judge
from tests.service.conftest import GREEN, RED, ColourModel, Waits, line, picture

from .conftest import Offered, pages
from .models import add_model
from .test_models_pages import HERE
from .test_projects_browser import violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from lfvpipe.detector import Verdict

HALF, WHOLE = "M0 0H480V240H0z", "M0 0H480V480H0z"
MAP = {"0": {"class-name": "crack", "hex-color": "#23A436", "confidence": 0}}


@pytest.fixture
def marked(offered: Offered, waits: Waits) -> Offered:
    """Serve a project p with a model that marks cracks, which it calls the whole of each image."""
    client, bucket = offered.client(), offered.buckets.bucket("bucket")
    client.create_project(ProjectName="p")
    bucket.create()
    mask = Image.new("RGB", (64, 64), "white")
    mask.paste((0x23, 0xA4, 0x36), (0, 0, 64, 32))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    lines = []
    for label, count, colour in (("normal", 6, GREEN), ("anomaly", 4, RED)):
        for number in range(count):
            key = f"{label}/{number}.png"
            bucket.put(key, picture(colour))
            made: dict[str, Any] = line(key, label)
            if label == "anomaly":
                bucket.put(f"masks/{key}", buffer.getvalue())
                made["anomaly-mask-ref"] = f"s3://bucket/masks/{key}"
                made["anomaly-mask-ref-metadata"] = {
                    "internal-color-map": MAP,
                    "type": "groundtruth/semantic-segmentation",
                    "human-annotated": "yes",
                    "creation-date": "2021-04-06T19:18:44.208156",
                }
            lines.append(made)
    bucket.put("train.manifest", "\n".join(map(json.dumps, lines)).encode())
    source: Any = {
        "GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": "train.manifest"}}
    }
    for kind in ("train", "test"):
        typed: Any = kind
        client.create_dataset(ProjectName="p", DatasetType=typed, DatasetSource=source)
        waits.dataset(client, kind)
    add_model(offered)
    return offered


def paths(text: str) -> dict[str, str]:
    return dict(re.findall(r'<path class="(\w+)" d="([^"]+)"', text))


def test_true_and_predicted_masks_of_test_images_are_outlined_and_drawn_once(
    marked: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = marked.person("VIC")
    page = person.get(f"{HERE}/1").text
    assert re.search(
        r'caption>Predicted masks.*?"row">crack</th><td class="number">4<', page, re.DOTALL
    )
    names = re.findall(r'data-outlines="([^"]+)".*?class="file">([^<]+)<', page)
    found = {name: address for address, name in names}
    assert paths(person.get(found["anomaly/1.png"]).text) == {"truth": HALF, "predicted": WHOLE}
    assert paths(person.get(found["normal/1.png"]).text) == {"predicted": WHOLE}
    marked.buckets.bucket("bucket").delete(["masks/anomaly/2.png"])
    assert paths(person.get(found["anomaly/2.png"]).text) == {"predicted": WHOLE}
    sight = found["anomaly/1.png"].replace("outlines", "sights")
    assert paths(person.get(sight).json()["outlines"]) == {"truth": HALF, "predicted": WHOLE}
    for number in ("999", "-1", "x"):
        assert person.get(f"{HERE}/1/outlines/{number}").status_code == 404

    def refuse(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(Judge, "judge", refuse)
    assert paths(person.get(found["anomaly/1.png"]).text)["truth"] == HALF


def test_nothing_is_outlined_of_a_type_that_is_white_as_the_ground_is(
    marked: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = ColourModel.detect

    def paint_white(self: ColourModel, image: Any) -> Verdict:
        found = detect(self, image)
        anomalies = tuple(replace(each, color="#FFFFFF") for each in found.anomalies)
        return replace(found, anomalies=anomalies, mask_png=picture((255, 255, 255)))

    monkeypatch.setattr(ColourModel, "detect", paint_white)
    person = marked.person("VIC")
    drawn = [paths(person.get(f"{HERE}/1/outlines/{number}").text) for number in range(10)]
    assert sorted(map(str, drawn)) == sorted([*["{}"] * 6, *[str({"truth": HALF})] * 4])


def test_trials_outline_what_the_model_marks(marked: Offered) -> None:
    person = marked.person("ADA")
    fields = {"name": "t", "version": "1", "address": "s3://bucket/anomaly/"}
    trial = person.post(pages("projects", "p", "trials"), fields).headers["location"]
    said = {
        "origin": person.base,
        "accept": "application/json",
        "x-lfvpipe-csrf": person.form_token(),
    }
    told = person.http.post(f"{person.base}{trial}/next", content=b"", headers=said).json()
    assert paths(told["tile"]) == {"predicted": WHOLE}
    shown = person.get(trial).text
    assert paths(shown) == {"predicted": WHOLE}
    assert shown.count("<path") == 1


def test_outlines_are_shown_and_hidden(page: Page, marked: Offered, axe: str) -> None:
    from playwright.sync_api import expect

    page.goto(f"{marked.url}{marked.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{marked.url}{HERE}/1")
    tile = page.locator(".tiles li").filter(has_text="anomaly/0.png")
    tile.scroll_into_view_if_needed()
    expect(tile.locator(".truth[d]")).to_be_visible()
    expect(tile.locator(".predicted")).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 800})
    page.emulate_media(color_scheme="dark")
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    photo, drawn = tile.locator("img").bounding_box(), tile.locator("svg").bounding_box()
    assert photo == drawn
    page.get_by_role("checkbox", name="Predicted masks").uncheck()
    expect(tile.locator(".predicted")).to_be_hidden()
    expect(tile.locator(".truth[d]")).to_be_visible()
    tile.locator("a").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("path.truth")).to_be_visible()
    expect(dialog.locator("path.predicted")).to_be_hidden()
    dialog.get_by_role("checkbox", name="Predicted masks").check()
    expect(dialog.locator("path.predicted")).to_be_visible()
    page.keyboard.press("Escape")
    expect(tile.locator(".predicted")).to_be_visible()
