"""Anomalies marked in images of a trial detection, and given to a data set with mask and type."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lfvpipe.console.bucket import console_bucket
from lfvpipe.storage import parse_s3_uri
from tests.service.conftest import picture

from .models import draw_heat_maps, train
from .test_annotation import painting, save, stand_on
from .test_projects_browser import violations
from .test_trials import TRIALS, ask, begin, bring, everything, notice, service_of, sources

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .conftest import Offered

MARK = painting("#23A436", (0, 0, 8, 8))


def lines(offered: Offered, name: str) -> list[dict[str, Any]]:
    """Return the lines of images with a name, of the training data set."""
    return [json.loads(line) for line in sources(offered, "train") if name in line]


def test_what_is_marked_goes_with_the_image_into_a_data_set(offered: Offered) -> None:
    train(offered)
    ada, rita = offered.person("ADA"), offered.person("RITA")
    trial = begin(ada)
    bring(ada, trial, "missed.png", picture((0, 200, 1)))
    bring(ada, trial, "scratched.png", picture((201, 0, 0)))
    bring(ada, trial, "bent.png", picture((200, 0, 1)))
    bring(ada, trial, "fine.png", picture((0, 200, 2)))
    # A reviewer marks an anomaly that the model called normal: by that it is one.
    missed = f"{trial}/images/1"
    stand = stand_on(rita.get(f"{missed}/annotation").text)
    assert stand == ""
    first = save(rita, missed, MARK, stand, {"deep <b>dent": "#23A436", "rust": "#D7263D"})
    assert first.status_code == 200, first.text
    assert "verified as anomalous" in first.json()["text"]
    assert "Marked: deep &lt;b&gt;dent" in rita.get(trial).text
    assert rita.get(f"{missed}/mask").headers["content-type"] == "image/png"
    image = service_of(offered).trials.find("p", 1, [1])[0]
    assert (image.truth, dict(image.painting.classes)) == (True, {"deep <b>dent": "#23A436"})
    # Somebody who had the page open before is not to take that away; the newest mask is kept.
    assert "somebody else marked" in save(ada, missed, MARK, stand).json()["error"].casefold()
    again = save(ada, missed, painting("#23A436", (8, 8, 16, 16)), first.json()["stand"])
    bucket = console_bucket(service_of(offered))
    (kept,) = bucket.list("console/trials/1/masks/")
    assert again.json()["stand"] == f"s3://{bucket.name}/{kept.key}"
    # Judged again, it stays marked.
    bring(ada, trial, "missed.png", picture((0, 200, 1)))
    assert ada.get(trial).text.count('<path class="truth"') == 1
    # That the model was right, and it a normal one, is not said beside a mark.
    told = notice(ada, f"{trial}/verify", {"verified": "correct", "place": [1]})
    assert "0 verdicts are verified as correct. 1 image has a marked anomaly" in told

    fields = {"verified": "correct", "place": [2, 3, 4]}
    notice(ada, f"{trial}/verify", fields)
    notice(ada, f"{trial}/add", {"to": "train", "place": [2, 4], "type": " scratch "})
    sight = everything(ada, trial)["sight"]
    ask(ada, f"{trial}/add", f"to=train&all=yes&sight={sight}&show=all&after=0&type=".encode())
    (scratched,) = lines(offered, "scratched.png")
    assert scratched["anomaly-label-metadata"]["defect-type"] == "scratch"
    (fine,) = lines(offered, "fine.png")
    assert fine["anomaly-label-metadata"]["class-name"] == "normal"
    assert "defect-type" not in fine["anomaly-label-metadata"]
    (bent,) = lines(offered, "bent.png")
    assert "defect-type" not in bent["anomaly-label-metadata"]
    (line,) = lines(offered, "missed.png")
    assert line["anomaly-label-metadata"]["class-name"] == "anomaly"
    colours = line["anomaly-mask-ref-metadata"]["internal-color-map"]
    assert [each["class-name"] for each in colours.values()] == ["BACKGROUND", "dent"]
    name, key = parse_s3_uri(line["anomaly-mask-ref"])
    assert (name, key.partition("/")[0]) == ("bucket", "lfvpipe-masks")
    with Image.open(io.BytesIO(offered.buckets.bucket(name).get(key))) as mask:
        shown = mask.convert("RGB")
    assert (shown.getpixel((9, 9)), shown.getpixel((2, 2))) == ((0x23, 0xA4, 0x36), (255,) * 3)
    # From now on it is marked there.
    assert "mark it there" in ada.get(f"{missed}/annotation").text
    told = save(ada, missed, MARK, again.json()["stand"]).json()["error"]
    assert "mark it there" in told
    assert ">✎<" not in ada.get(trial).text
    # With the trial its masks go, those of data sets stay.
    ada.post(f"{trial}/delete", {"name": "Monday"})
    assert [*bucket.list("console/trials/")] == []
    assert offered.buckets.bucket("bucket").head(key) is not None
    operations = [change.operation for change in service_of(offered).changes(project="p")]
    assert operations.count("MarkTrialDetection") == 2


def test_a_clear_painting_takes_the_mask_away_and_others_change_nothing(offered: Offered) -> None:
    train(offered).bucket.put("new/a.png", picture((201, 0, 0)))
    ada, vic = offered.person("ADA"), offered.person("VIC")
    trial = begin(ada, address="s3://bucket/new/")
    one = f"{trial}/images/1"
    assert "no verdict yet" in ada.get(f"{one}/annotation").text
    ask(ada, f"{trial}/next")
    assert save(vic, one, MARK, "").status_code == 403
    for mask, classes in [
        ("no base 64", {"dent": "#23A436"}),
        ("\u00e9", {"dent": "#23A436"}),
        (painting("#23A436", (0, 0, 8, 8), size=32), {"dent": "#23A436"}),
        (MARK, {}),
        (MARK, {"normal": "#23A436"}),
    ]:
        assert save(ada, one, mask, "", classes).status_code == 400
    bucket = console_bucket(service_of(offered))
    assert [*bucket.list("console/trials/")] == []
    stand = save(ada, one, MARK, "").json()["stand"]
    cleared = save(ada, one, painting("#00000000", (0, 0, 8, 8)), stand)
    assert (cleared.json()["stand"], "no" in cleared.json()["text"].casefold()) == ("", True)
    assert [*bucket.list("console/trials/")] == []
    assert ada.get(f"{one}/mask").status_code == 404
    # What is marked cannot be called normal; what is cleared can, and takes no mask along.
    stand = save(ada, one, MARK, "").json()["stand"]
    told = notice(ada, f"{trial}/verify", {"verified": "incorrect", "place": 1})
    assert "stays anomalous" in told
    save(ada, one, painting("#00000000", (0, 0, 8, 8)), stand)
    notice(ada, f"{trial}/verify", {"verified": "incorrect", "place": 1})
    notice(ada, f"{trial}/add", {"to": "train", "place": 1, "type": "dent"})
    (line,) = (json.loads(each) for each in sources(offered, "train"))
    assert (line["anomaly-label-metadata"]["class-name"], "anomaly-mask-ref" in line) == (
        "normal",
        False,
    )
    said = notice(ada, f"{trial}/add", {"to": "train", "place": 1, "type": "x" * 101})
    assert "1 to 100 characters" in said


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_the_model_proposes_and_a_person_keeps_it(
    browser: Browser,
    offered: Offered,
    axe: str,
    monkeypatch: pytest.MonkeyPatch,
    scheme: Any,
    width: int,
) -> None:
    train(offered).bucket.put("new/a.png", picture((201, 0, 0)))
    draw_heat_maps(monkeypatch)
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{TRIALS}")
    page.get_by_label("Name").fill("Monday")
    page.get_by_label("Images in a bucket").fill("s3://bucket/new/")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("link", name="Mark the anomaly in a.png").click()
    page.locator("#work[data-ready]").wait_for()
    playwright.expect(page.locator("#said")).to_contain_text("where the model sees evidence")
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Save").click()
    playwright.expect(page.locator("#said")).to_contain_text("Saved with the trial")
    image = service_of(offered).trials.find("p", 1, [1])[0]
    name, key = parse_s3_uri(image.painting.mask)
    with Image.open(io.BytesIO(offered.buckets.bucket(name).get(key))) as mask:
        shown = mask.convert("RGB")
    assert (shown.getpixel((3, 3)), shown.getpixel((60, 60))) == ((0x23, 0xA4, 0x36), (255,) * 3)
    page.get_by_role("link", name="Back to the trial detection").click()
    playwright.expect(page.get_by_text("Verified: correct")).to_be_visible()
    # Enter in the field of the type verifies nothing and adds nothing.
    page.get_by_label("All that are shown").check()
    page.get_by_label("Anomaly type of those not marked").fill("dent")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Add to the training data set").click()
    playwright.expect(page.locator("#adding-said")).to_contain_text("1 image is added")
    (line,) = lines(offered, "a.png")
    assert "anomaly-mask-ref" in line
    context.close()
