"""The report page in a real browser, used as a person would."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy
import pytest
from PIL import Image

from lfvpipe.dataset.index import Mask
from lfvpipe.report import larger, metrics, run_file
from lfvpipe.report.heat_maps import Sight, overlay
from lfvpipe.report.page import write_page
from lfvpipe.report.records import RunRecord, Verdict
from lfvpipe.report.thumbnails import thumbnail

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

MakeRun = Callable[..., RunRecord]


def _verdicts(tmp_path: Path) -> dict[str, tuple[Verdict, ...]]:
    """Return sixteen verdicts a set, some wrong and some doubtful, with pictures."""
    chance = random.Random(3)
    sets: dict[str, list[Verdict]] = {"test": [], "evaluation": []}
    for number in range(32):
        label = "anomaly" if number % 2 else "normal"
        score = min(max(chance.gauss(0.75 if number % 2 else 0.25, 0.25), 0.01), 0.99)
        confidence = max(score, 1 - score)
        path = f"images/{number}.png"
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (96, 64), (100, 110, 90 + number)).save(tmp_path / path)
        name = f"{'a-long-name-' * (9 if number == 4 else 1)}{number}.png"
        rows = sets["test" if number < 16 else "evaluation"]
        digest = f"{number:064x}"
        verdict = Verdict(name, name, label, score >= 0.5, confidence, confidence < 0.75, digest)
        rows.append(replace(verdict, path=path))
    return {name: tuple(rows) for name, rows in sets.items()}


@pytest.fixture
def written(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunRecord]:
    """Return what writes the page of a run with heat maps; the model itself is a stand-in."""
    heat = numpy.zeros((8, 12), numpy.float32)
    heat[2:4, 5:8] = 0.9
    picture = overlay(heat)

    def looked(_state: Path, _model: Path, verdicts: Any, _on_done: Any) -> dict[str, Sight]:
        return {verdict.sha256: Sight(picture, None, {}) for verdict in verdicts}

    monkeypatch.setattr("lfvpipe.report.heat_maps.heat_maps", looked)

    def write(**fields: Any) -> RunRecord:
        verdicts = fields.pop("verdicts", None) or _verdicts(tmp_path)
        true_masks = fields.pop("true_masks", None)
        scores = {name: metrics.score_set(rows) for name, rows in verdicts.items()}
        run = make_run(verdicts=verdicts, scores=scores, **fields)
        run_file.write(tmp_path, run)
        write_page(tmp_path, run, model_file=tmp_path / "model.lfv", true_masks=true_masks)
        return run

    return write


@pytest.fixture
def shown(page: Page, written: Callable[..., RunRecord], tmp_path: Path) -> RunRecord:
    """Open the page of a run and return the run."""
    run = written()
    page.goto((tmp_path / "report.html").as_uri())
    return run


def _cells(page: Page, where: str = "#test") -> list[int]:
    """Return the confusion counts that the slider recomputes: tn, fp, fn, tp."""
    spots = [page.locator(f'{where} [data-out="{name}"]') for name in ("tn", "fp", "fn", "tp")]
    return [int(spot.last.inner_text()) for spot in spots]


def _expected(run: RunRecord, threshold: float) -> list[int]:
    counts = metrics.at_threshold(metrics.scored_images(run.verdicts["test"]), threshold)
    return [
        counts.true_negative,
        counts.false_positive,
        counts.false_negative,
        counts.true_positive,
    ]


def _menu(page: Page, name: str) -> Locator:
    return page.get_by_role("combobox", name=name)


def _names(page: Page) -> list[str]:
    return page.locator(".gallery li:visible .name").all_text_contents()


def _wait_for_focus(page: Page, name: str) -> None:
    """Wait until the image `name` has the focus: a dialog tells that it closed in a later task."""
    playwright.expect(page.locator(":focus img").first).to_have_attribute("alt", name)


def test_the_slider_recomputes_the_confusion_table_with_the_keyboard(
    page: Page, shown: RunRecord
) -> None:
    assert _cells(page) == _expected(shown, 0.5)
    slider = page.locator("#test").get_by_role("slider")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert page.locator('#test [data-out="threshold"]').inner_text() == "0.30"
    assert _cells(page) == _expected(shown, 0.3) != _expected(shown, 0.5)
    assert page.locator('#test [data-out="at"]').last.inner_text() == "at threshold 0.30"
    page.locator("#test").get_by_role("button", name="As decided").click()
    assert _cells(page) == _expected(shown, 0.5)


@pytest.mark.parametrize("kind", ["normal", "anomaly", None])
def test_where_all_of_a_kind_is_for_a_person_the_slider_and_the_filters_work(
    page: Page, written: Callable[..., RunRecord], tmp_path: Path, kind: str | None
) -> None:
    died: list[object] = []
    page.on("pageerror", lambda error: died.append(error))
    every = {
        name: tuple(
            replace(each, to_person=True, needs_review=True) if kind in {None, each.label} else each
            for each in rows
        )
        for name, rows in _verdicts(tmp_path).items()
    }
    run = written(verdicts=every)
    page.goto((tmp_path / "report.html").as_uri())
    assert not died
    page.locator("#test").get_by_role("slider").fill("0.3")
    assert _cells(page) == _expected(run, 0.3)
    rows = [*every["test"], *every["evaluation"]]
    shown: dict[str, Callable[[Verdict], bool]] = {
        "wrong": lambda each: each.correct is False,
        "doubtful": lambda each: each.is_doubtful,
        "for a person": lambda each: each.to_person,
        "called anomaly": lambda each: each.is_anomalous and not each.to_person,
        "called normal": lambda each: not each.is_anomalous and not each.to_person,
    }
    for show, fits in shown.items():
        _menu(page, "Show").select_option(label=show)
        assert sorted(_names(page)) == sorted(each.name for each in rows if fits(each)), show
    assert page.locator(".gallery .badge", has_text="doubtful").count() == sum(
        each.is_doubtful for each in rows
    )
    assert not died


def test_the_best_threshold_is_the_one_that_the_run_would_find(
    page: Page, shown: RunRecord
) -> None:
    page.locator("#test").get_by_role("button", name="Best F1").click()
    points = metrics.scored_images(shown.verdicts["test"])
    best = max(metrics.f1(metrics.at_threshold(points, n / 100)) or 0 for n in range(101))
    assert page.locator('#test [data-out="f1"]').inner_text() == f"{best:.3f}"


def test_a_dot_goes_along_the_curves(page: Page, shown: RunRecord) -> None:
    dot = page.locator("#test .here.roc")
    before = dot.get_attribute("cx")
    page.locator("#test").get_by_role("slider").fill("0")
    assert dot.get_attribute("cx") != before


def test_images_are_filtered_and_sorted(page: Page, shown: RunRecord) -> None:
    every = [verdict for rows in shown.verdicts.values() for verdict in rows]
    assert len(_names(page)) == 32
    _menu(page, "Show").select_option("wrong")
    wrong = {verdict.name for verdict in every if verdict.correct is False}
    assert set(_names(page)) == wrong
    _menu(page, "Show").select_option("")
    _menu(page, "Sort by").select_option("doubt")
    doubtful = sorted(every, key=lambda verdict: verdict.confidence)
    assert _names(page)[:5] == [verdict.name for verdict in doubtful[:5]]
    _menu(page, "Set").select_option("evaluation")
    page.get_by_label("Name contains").fill("-3")
    assert set(_names(page)) == {"a-long-name-30.png", "a-long-name-31.png"}
    page.get_by_label("Name contains").fill("no such image")
    assert _names(page) == []
    page.get_by_role("button", name="Show all images").click()
    assert len(_names(page)) == 32


def test_many_images_come_a_hundred_at_a_time(
    page: Page, written: Callable[..., RunRecord], tmp_path: Path
) -> None:
    rows = [Verdict(f"{n}", f"{n}.png", "normal", False, 0.6 + n / 1000) for n in range(250)]
    written(verdicts={"evaluation": tuple(rows)})
    page.goto((tmp_path / "report.html").as_uri())
    assert len(_names(page)) == 100
    _menu(page, "Sort by").select_option("score")
    assert _names(page)[:2] == ["0.png", "1.png"]
    more = page.get_by_role("button", name="Show 100 more")
    more.click()
    more.click()
    assert len(_names(page)) == 250
    assert more.is_hidden()


def test_heat_maps_are_laid_over_and_taken_away(page: Page, shown: RunRecord) -> None:
    button = page.get_by_role("button", name="Heat maps")
    overlays = page.locator(".overlay.heat:visible")
    assert overlays.count() == 32
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert (overlays.count(), button.get_attribute("aria-pressed")) == (0, "false")
    page.keyboard.press("h")
    assert (overlays.count(), button.get_attribute("aria-pressed")) == (32, "true")
    picture = page.locator(".gallery .layers").first
    assert picture.locator("img").first.bounding_box() == overlays.first.bounding_box()


def test_a_mask_hides_the_heat_map_until_it_is_taken_away(
    page: Page, written: Callable[..., RunRecord], tmp_path: Path
) -> None:
    Image.new("RGB", (96, 64), "#23A436").save(tmp_path / "mask.png")
    first, second, *_ = _verdicts(tmp_path)["evaluation"]
    written(verdicts={"evaluation": (replace(first, mask="mask.png"), second)})
    page.goto((tmp_path / "report.html").as_uri())
    heat, mask = (
        page.locator(".overlay.heat:visible"),
        page.locator(".predicted:visible").and_(page.locator("path")),
    )
    assert (heat.count(), mask.count()) == (1, 1)
    page.keyboard.press("m")
    assert (heat.count(), mask.count()) == (2, 0)
    assert (
        page.get_by_role("button", name="Predicted masks").get_attribute("aria-pressed") == "false"
    )


def test_true_and_predicted_masks_are_toggled_apart_also_in_the_larger_view(
    page: Page, written: Callable[..., RunRecord], tmp_path: Path
) -> None:
    for name, part in (("true.png", (60, 10, 90, 30)), ("found.png", (60, 10, 80, 30))):
        mask = Image.new("RGB", (96, 64), "#FFFFFF")
        mask.paste("#23A436", part)
        mask.save(tmp_path / name)
    row = replace(_verdicts(tmp_path)["evaluation"][1], mask="found.png")
    masks = {row.id: Mask("true.png", "", 1, "", {"crack": "#23A436"})}
    written(verdicts={"evaluation": (row,)}, true_masks=masks)
    page.goto((tmp_path / "report.html").as_uri())
    truth, found = page.locator("path.truth:visible"), page.locator("path.predicted:visible")
    heat = page.locator(".overlay.heat:visible")
    assert (truth.count(), found.count(), heat.count()) == (1, 1, 0)
    page.keyboard.press("t")
    assert (truth.count(), found.count(), heat.count()) == (0, 1, 0)
    page.get_by_role("button", name="Predicted masks").click()
    assert (truth.count(), found.count(), heat.count()) == (0, 0, 1)
    page.keyboard.press("t")
    page.locator(".gallery .open").first.click()
    dialog = page.get_by_role("dialog")
    drawn = dialog.locator("path.truth")
    picture = dialog.locator(".stage img").first.bounding_box()
    box = drawn.bounding_box()
    assert picture
    assert box
    assert (box["x"] - picture["x"]) / picture["width"] == pytest.approx(60 / 96, abs=0.01)
    assert box["width"] / picture["width"] == pytest.approx(30 / 96, abs=0.01)
    page.keyboard.press("z")  # magnified about what is marked
    stage, near = dialog.locator(".stage").bounding_box(), drawn.bounding_box()
    assert stage
    assert near
    assert near["width"] > 1.9 * box["width"]
    assert stage["x"] < near["x"] < near["x"] + near["width"] < stage["x"] + stage["width"]
    dialog.get_by_role("button", name="True mask").click()
    assert drawn.is_hidden()


def test_single_keys_filter_sort_and_search_and_can_be_switched_off(
    page: Page, shown: RunRecord
) -> None:
    page.keyboard.press("w")
    assert _menu(page, "Show").input_value() == "wrong"
    page.keyboard.press("r")
    assert _menu(page, "Show").input_value() == "review"
    page.keyboard.press("a")
    assert len(_names(page)) == 32
    page.keyboard.press("s")
    assert _menu(page, "Sort by").input_value() == "doubt"
    page.keyboard.press("/")
    page.keyboard.type("warh")
    assert page.get_by_label("Name contains").input_value() == "warh"
    assert _menu(page, "Show").input_value() == ""
    page.get_by_text("Keyboard", exact=True).click()
    page.get_by_label("Single keys work as shortcuts").uncheck()
    page.keyboard.press("w")
    assert _menu(page, "Show").input_value() == ""


def test_everything_can_be_reached_with_the_tab_key_and_is_seen_to_be(
    page: Page, shown: RunRecord
) -> None:
    wanted = page.evaluate(
        """[...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")]
        .filter((one) => one.checkVisibility()).length"""
    )
    reached = 0
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached += page.evaluate(
            """document.activeElement !== document.body
            && getComputedStyle(document.activeElement).outlineStyle !== "none" """
        )
    assert reached == wanted > 20


def _box(found: Locator) -> tuple[float, float]:
    box = found.bounding_box()
    assert box is not None
    return box["width"], box["height"]


def test_an_image_opens_larger_and_the_keyboard_goes_through_them(
    page: Page, shown: RunRecord
) -> None:
    names = _names(page)
    dialog = page.get_by_role("dialog")
    assert dialog.count() == 0
    small = page.get_by_role("button", name=names[0], exact=True)
    small.focus()
    before = _box(small.locator("img").first)
    page.keyboard.press("Enter")
    assert dialog.get_attribute("open") is not None
    assert dialog.get_by_role("heading").inner_text() == names[0]
    every = {verdict.name: verdict for rows in shown.verdicts.values() for verdict in rows}
    facts = dialog.locator(".facts").inner_text()
    assert f"{every[names[0]].confidence:.3f}" in facts
    assert ("missed" in facts) != ("false alarm" in facts)
    width, height = _box(dialog.locator(".stage img").first)
    assert width > 3 * before[0]
    assert width / height == pytest.approx(96 / 64, rel=0.01)
    assert _box(dialog.locator(".stage .heat")) == (width, height)
    for key, name in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        assert dialog.get_by_role("heading").inner_text() == names[name]
    assert dialog.get_by_text("2 of 32").is_visible()
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    _wait_for_focus(page, names[1])


def test_the_larger_view_keeps_to_the_images_that_are_filtered_and_to_its_ends(
    page: Page, shown: RunRecord
) -> None:
    page.keyboard.press("w")
    names = _names(page)
    page.locator(".gallery .open:visible").last.click()
    dialog = page.get_by_role("dialog")
    place = dialog.get_by_text(f"{len(names)} of {len(names)}")
    following = dialog.get_by_role("button", name="Next")
    assert (place.is_visible(), following.get_attribute("aria-disabled")) == (True, "true")
    page.keyboard.press("ArrowRight")
    assert place.is_visible()
    dialog.get_by_role("button", name="Previous").click()
    assert dialog.get_by_role("heading").inner_text() == names[-2]
    page.keyboard.press("a")  # a shortcut of the page behind it
    dialog.get_by_role("button", name="Close").click()
    assert _names(page) == names


def test_heat_maps_are_taken_away_in_the_larger_view_too(page: Page, shown: RunRecord) -> None:
    page.locator(".gallery .open").first.click()
    dialog = page.get_by_role("dialog")
    heat, button = dialog.locator(".stage .heat"), dialog.get_by_role("button", name="Heat map")
    assert heat.is_visible()
    page.keyboard.press("h")
    assert (heat.is_visible(), button.get_attribute("aria-pressed")) == (False, "false")
    page.keyboard.press("ArrowRight")
    assert heat.is_hidden()
    button.click()
    assert heat.is_visible()
    button.click()
    page.keyboard.press("Escape")
    assert page.locator(".gallery .overlay.heat:visible").count() == 0


def test_the_larger_view_shows_more_than_the_thumbnail_where_the_page_has_it(
    browser: Browser,
    written: Callable[..., RunRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()  # its console tells of the images that are not there
    first, second, *_ = _verdicts(tmp_path)["evaluation"]
    for verdict in (first, second):
        Image.effect_noise((640, 480), 60).save(tmp_path / str(verdict.path))
    Image.new("RGB", (640, 480), "#23A436").save(tmp_path / "mask.png")
    rows = (
        replace(first, mask="mask.png", label=None, confidence=0.51),
        replace(second, label=None, confidence=0.52),
    )
    one = thumbnail(tmp_path, rows[0], larger.SIDE)
    assert one is not None
    monkeypatch.setattr(larger, "MOST", round(1.5 * len(one.uri)))
    written(verdicts={"evaluation": rows})
    for verdict in rows:  # as where the page was sent
        (tmp_path / str(verdict.path)).unlink()
    page.goto((tmp_path / "report.html").as_uri())
    page.locator(".gallery .open").first.click()
    natural = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"
    stage = page.locator(".stage img:visible")
    coarse = page.get_by_text("enlarged from a small picture")
    assert [each.evaluate(natural) for each in stage.all()] == [[640, 480]]
    assert coarse.is_hidden()
    page.keyboard.press("m")
    assert (stage.count(), page.locator(".stage .heat").is_visible()) == (2, True)
    page.keyboard.press("ArrowRight")
    assert stage.first.evaluate(natural) == [224, 168]
    assert coarse.is_visible()
    assert page.get_by_role("link", name="the image itself").count() == 0
    page.get_by_text("which does not lie beside this page").wait_for()
    context.close()


@pytest.mark.parametrize("place", ["report.html", "runs/20210406T191844Z-0123abcd.html"])
def test_the_larger_view_shows_the_image_itself_where_it_lies_beside_the_page(
    page: Page, written: Callable[..., RunRecord], tmp_path: Path, place: str
) -> None:
    verdict = replace(_verdicts(tmp_path)["evaluation"][0], path="images/a #1 50%?.png")
    Image.effect_noise((1600, 1200), 60).save(tmp_path / str(verdict.path))
    written(verdicts={"evaluation": (verdict,)})
    page.goto((tmp_path / place).as_uri())
    page.locator(".gallery .open").first.click()
    link = page.get_by_role("link", name="the image itself")
    link.wait_for()
    assert link.evaluate("link => link.href") == (tmp_path / str(verdict.path)).as_uri()
    assert page.get_by_text("which does not lie beside this page").is_hidden()
    picture = page.locator(".stage img").first
    assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [1600, 1200]
    small = _box(picture)
    page.keyboard.press("z")
    assert _box(picture)[0] >= max(1600, 2 * small[0])
    page.locator(".stage").focus()
    page.get_by_role("button", name="Magnify").click()
    assert _box(picture) == small


def test_a_folder_that_was_moved_has_its_images_beside_the_page_still(
    page: Page, written: Callable[..., RunRecord], tmp_path: Path
) -> None:
    verdict = replace(_verdicts(tmp_path)["evaluation"][0], path="images/large.png")
    Image.effect_noise((1600, 1200), 60).save(tmp_path / str(verdict.path))
    written(verdicts={"evaluation": (verdict,)})
    moved = tmp_path / "else where"
    moved.mkdir()
    for name in ("images", "runs", "report.html"):
        (tmp_path / name).rename(moved / name)
    page.goto((moved / "report.html").as_uri())
    page.locator(".gallery .open").first.click()
    page.get_by_role("link", name="the image itself").wait_for()


def test_leaving_the_larger_view_beyond_what_is_listed_lists_more(
    page: Page, written: Callable[..., RunRecord], tmp_path: Path
) -> None:
    path = _verdicts(tmp_path)["test"][0].path
    rows = [
        Verdict(f"{n}", f"{n}.png", "normal", False, 0.6 + n / 1000, path=path) for n in range(120)
    ]
    written(verdicts={"evaluation": tuple(rows)})
    page.goto((tmp_path / "report.html").as_uri())
    page.locator(".gallery .open:visible").last.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    _wait_for_focus(page, "100.png")
    assert len(_names(page)) == 120


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740), (740, 360)])
def test_the_larger_view_fits_the_window_and_axe_finds_nothing_in_it(
    browser: Browser,
    written: Callable[..., RunRecord],
    axe: str,
    tmp_path: Path,
    scheme: Any,
    width: int,
    height: int,
) -> None:
    written()
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.locator(".gallery .open").first.click()
    for each in page.locator(".viewer, .viewer button, .viewer .layers").all():
        box = each.bounding_box()
        assert box is not None
        assert min(box["x"], box["y"]) >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
    context.close()


def test_no_request_leaves_the_file(
    page: Page, written: Callable[..., RunRecord], tmp_path: Path
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    written()
    page.goto((tmp_path / "report.html").as_uri())
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    playwright.expect(page.locator(".gallery img").first).to_have_js_property("complete", True)
    assert [url for url in asked if not url.startswith("data:")] == [page.url]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing(
    browser: Browser,
    written: Callable[..., RunRecord],
    axe: str,
    tmp_path: Path,
    scheme: Any,
    width: int,
) -> None:
    written()
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    page.keyboard.press("r")
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_paper_shows_what_is_folded_away_and_no_controls(page: Page, shown: RunRecord) -> None:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#evaluation .chart:visible").count() == 5
    assert page.get_by_text("The whole configuration").is_visible()
    assert page.locator("nav:visible, form.controls:visible, input:visible").count() == 0
    assert page.locator(".signoff:visible").count() == 1
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".gallery .overlay.heat:visible").count() == 32
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#evaluation .chart:visible").count() == 0


def test_without_scripts_everything_is_there_to_read(
    browser: Browser, written: Callable[..., RunRecord], tmp_path: Path
) -> None:
    written()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    assert len(page.locator(".gallery li .name").all()) == 32
    assert page.locator("form.controls").is_hidden()
    context.close()


@pytest.mark.parametrize("count", [0, 1])
def test_a_page_of_one_image_or_none_works(
    page: Page, written: Callable[..., RunRecord], make_run: MakeRun, tmp_path: Path, count: int
) -> None:
    one = _verdicts(tmp_path)["test"][:1]
    if count:
        written(verdicts={"evaluation": one})
    else:
        write_page(tmp_path, make_run(verdicts={}, scores={}))
    page.goto((tmp_path / "report.html").as_uri())
    page.keyboard.press("h")
    assert page.locator(".gallery li").count() == count
    said = page.locator("#images").inner_text()
    assert ("No images were judged" in said) == (count == 0)
    assert ("No evaluation images were judged" in said) == (count == 0)
