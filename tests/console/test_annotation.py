"""Where the anomaly is, marked by a person in a browser, and learnt from by the service."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lfvpipe.manifest import read_line
from lfvpipe.storage import parse_s3_uri
from tests.service.conftest import line, picture

from .conftest import Offered, pages
from .test_projects_browser import violations

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

GREEN, RED, WHITE = (0x23, 0xA4, 0x36), (0xD7, 0x26, 0x3D), (255, 255, 255)
SIZE = 64


@pytest.fixture
def address(offered: Offered) -> str:
    """Return the path of the only anomaly of project p."""
    bucket = offered.buckets.bucket("bucket")
    bucket.create()
    client = offered.client()
    client.create_project(ProjectName="p")
    client.create_dataset(ProjectName="p", DatasetType="train")
    bucket.put("bad/<i>0.png", picture((200, 0, 0), (SIZE, SIZE)))
    bucket.put("good/0.png", picture((0, 200, 0), (SIZE, SIZE)))
    lines = [line("bad/<i>0.png", "anomaly"), line("good/0.png", "normal")]
    changes = "\n".join(map(json.dumps, lines)).encode()
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changes)
    service = offered.lookout.of("us-east-1")
    assert service is not None
    person = offered.person("ADA")
    person.get(pages("projects", "p", "datasets", "train"))  # waits for the update
    images: list[Any] = []
    while not images:
        images = list(service.images.catalogue("p", "train").images)
    return pages("projects", "p", "datasets", "train", "images", str(images[0].id))


def entry(offered: Offered) -> dict[str, Any]:
    """Return the anomaly's line as the API has it."""
    listed = offered.client().list_dataset_entries(ProjectName="p", DatasetType="train")
    found: dict[str, Any] = json.loads(listed["DatasetEntries"][0])
    return found


def mask_of(offered: Offered) -> Any:
    """Return the mask that the anomaly's line names, as colours by place."""
    bucket, key = parse_s3_uri(entry(offered)["anomaly-mask-ref"])
    with Image.open(io.BytesIO(offered.buckets.bucket(bucket).get(key, limit=10**7))) as mask:
        return mask.convert("RGB")


def colours_in(offered: Offered, kind: Any) -> dict[str, str]:
    """Return the colours of the masks of a data set, by type; each has one."""
    listed = offered.client().list_dataset_entries(ProjectName="p", DatasetType=kind)
    found: dict[str, str] = {}
    for each in listed["DatasetEntries"]:
        for mask in read_line(each).masks:
            for colour in mask.colours or ():
                if colour.class_name != "BACKGROUND":
                    assert found.setdefault(colour.class_name, colour.colour) == colour.colour
    return found


def painting(colour: str, box: tuple[int, int, int, int], size: int = SIZE) -> str:
    file = io.BytesIO()
    image = Image.new("RGBA", (size, size))
    image.paste(Image.new("RGBA", (box[2] - box[0], box[3] - box[1]), colour), box)
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_person_paints_saves_and_finds_it_again(
    page: Page, offered: Offered, address: str
) -> None:
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{pages('projects', 'p', 'datasets', 'train')}")
    page.get_by_role("link", name="Mark the anomaly in <i>0.png").click()
    page.locator("#work[data-ready]").wait_for()
    page.get_by_label("New type").fill("deep scratch")
    page.get_by_role("button", name="Add").click()
    box = page.locator("#canvas").bounding_box()
    assert box is not None

    def spot(across: float, down: float) -> tuple[float, float]:
        return box["x"] + box["width"] * across, box["y"] + box["height"] * down

    page.get_by_role("button", name="Polygon").click()
    for corner in ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5)):
        page.mouse.click(*spot(*corner))
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Save").click()
    playwright.expect(page.get_by_role("status")).to_contain_text("Saved.")
    shown = mask_of(offered)
    assert shown.getpixel((20, 20)) == RED
    assert shown.getpixel((50, 50)) == WHITE
    page.reload()
    page.locator("#work[data-ready]").wait_for()
    page.get_by_role("button", name="Eraser").click()
    page.get_by_label("Width").fill("60")
    page.mouse.move(*spot(0.2, 0.3))
    page.mouse.down()
    page.mouse.move(*spot(0.2, 0.31))
    page.mouse.up()
    page.get_by_role("button", name="Save").click()
    playwright.expect(page.get_by_role("status")).to_contain_text("Saved.")
    shown = mask_of(offered)
    assert shown.getpixel((12, 19)) == WHITE
    assert shown.getpixel((29, 19)) == RED  # a type keeps the colour of its masks
    colours = entry(offered)["anomaly-mask-ref-metadata"]["internal-color-map"]
    assert {each["class-name"] for each in colours.values()} == {"BACKGROUND", "deep scratch"}
    assert entry(offered)["anomaly-label-metadata"]["class-name"] == "anomaly"


def test_types_of_any_name_are_painted_and_what_is_open_is_closed(
    page: Page, offered: Offered, address: str
) -> None:
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{address}/annotation")
    page.locator("#work[data-ready]").wait_for()
    status, kind = page.get_by_role("status"), page.get_by_role("combobox", name="Type")
    page.get_by_label("New type").fill("Background")
    page.get_by_role("button", name="Add").click()
    playwright.expect(status).to_contain_text("“Background” is no anomaly type")
    for name in ("__proto__", "constructor"):  # which each object of a script has by itself
        page.get_by_label("New type").fill(name)
        page.get_by_role("button", name="Add").click()
        playwright.expect(kind).to_have_value(name)
        playwright.expect(page.locator("#legend li").last).to_have_text(name)
    page.get_by_role("button", name="Polygon").click()
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    for across, down in ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5)):
        page.mouse.click(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
    page.get_by_role("button", name="Save").click()
    playwright.expect(status).to_contain_text("the mask says where")
    assert mask_of(offered).getpixel((20, 12)) != WHITE
    colours = entry(offered)["anomaly-mask-ref-metadata"]["internal-color-map"]
    assert {each["class-name"] for each in colours.values()} == {"BACKGROUND", "constructor"}
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Save").click()
    playwright.expect(status).to_contain_text("nothing is marked")


def test_what_somebody_else_changed_meanwhile_stays(offered: Offered, address: str) -> None:
    ann, ben = offered.person("ADA"), offered.person("RITA")
    stand = stand_on(ann.get(f"{address}/annotation").text)
    first = save(ann, address, painting("#23A436", (0, 0, 8, 8)), stand)
    assert first.status_code == 200
    second = save(ben, address, painting("#23A436", (8, 8, 16, 16)), stand)
    assert second.status_code == 400
    assert "Somebody else changed" in second.json()["error"]
    assert mask_of(offered).getpixel((2, 2)) == GREEN
    again = save(ben, address, painting("#23A436", (8, 8, 16, 16)), first.json()["stand"])
    assert again.status_code == 200
    assert mask_of(offered).getpixel((2, 2)) == WHITE


def test_a_clear_painting_takes_the_mask_away(offered: Offered, address: str) -> None:
    person = offered.person("RITA")
    stand = stand_on(person.get(f"{address}/annotation").text)
    stand = save(person, address, painting("#23A436", (0, 0, 8, 8)), stand).json()["stand"]
    assert save(person, address, painting("#00000000", (0, 0, 8, 8)), stand).status_code == 200
    assert read_line(json.dumps(entry(offered))).masks == ()
    assert person.get(f"{address}/mask").status_code == 404


@pytest.mark.parametrize(
    ("mask", "classes"),
    [
        ("no base 64", {"dent": "#23A436"}),
        (base64.b64encode(b"no png").decode(), {"dent": "#23A436"}),
        (painting("#23A436", (0, 0, 8, 8), size=32), {"dent": "#23A436"}),
        (painting("#808080", (0, 0, 8, 8)), {"dent": "#23A436", "rust": "#D7263D"}),
        (painting("#FFFFFF", (0, 0, SIZE, SIZE)), {"dent": "#23A436"}),
        (painting("#23A436", (0, 0, 8, 8)), {}),
        (painting("#23A436", (0, 0, 8, 8)), {"dent": "#FFFFFF"}),
        (painting("#23A436", (0, 0, 8, 8)), {"dent": "#23A436", "rust": "#23a436"}),
        (painting("#23A436", (0, 0, 8, 8)), {"background": "#23A436"}),
        (painting("#23A436", (0, 0, 8, 8)), {"dent": "green"}),
    ],
)
def test_what_is_no_painting_changes_nothing(
    offered: Offered, address: str, mask: str, classes: Any
) -> None:
    person = offered.person("ADA")
    stand = stand_on(person.get(f"{address}/annotation").text)
    before = entry(offered)
    answer = save(person, address, mask, stand, classes)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert entry(offered) == before


def test_soft_edges_belong_to_the_type_that_they_are_nearest_to(
    offered: Offered, address: str
) -> None:
    image = Image.new("RGBA", (SIZE, SIZE))
    image.paste((*GREEN, 255), (0, 0, 32, 64))
    image.paste((*RED, 255), (34, 0, 64, 64))
    for column, share in ((32, 0.3), (33, 0.7)):  # of a red stroke over the green
        mixed = [round(g + (r - g) * share) for g, r in zip(GREEN, RED, strict=True)]
        image.paste((*mixed, 255), (column, 0, column + 1, 64))
    file = io.BytesIO()
    image.save(file, "PNG")
    person = offered.person("ADA")
    stand = stand_on(person.get(f"{address}/annotation").text)
    painted = base64.b64encode(file.getvalue()).decode()
    answer = save(person, address, painted, stand, {"dent": "#23A436", "rust": "#D7263D"})
    assert answer.status_code == 200, answer.text
    shown = mask_of(offered)
    assert [shown.getpixel((x, 9)) for x in (31, 32, 33, 34)] == [GREEN, GREEN, RED, RED]


def test_a_type_has_one_colour_in_all_masks_of_both_data_sets(
    offered: Offered, address: str
) -> None:
    person, client = offered.person("ADA"), offered.client()
    stand = stand_on(person.get(f"{address}/annotation").text)
    # A page offers its first type in green, and its second in red: this one is the second.
    save(person, address, painting("#D7263D", (0, 0, 8, 8)), stand, {"cracked": "#D7263D"})
    client.create_dataset(ProjectName="p", DatasetType="test")
    offered.buckets.bucket("bucket").put("bad/1.png", picture((9, 0, 0), (SIZE, SIZE)))
    told = json.dumps(line("bad/1.png", "anomaly")).encode()
    client.update_dataset_entries(ProjectName="p", DatasetType="test", Changes=told)
    service = offered.lookout.of("us-east-1")
    assert service is not None
    images: list[Any] = []
    while not images:
        images = list(service.images.catalogue("p", "test").images)
    other = pages("projects", "p", "datasets", "test", "images", str(images[0].id))
    page = person.get(f"{other}/annotation").text
    assert "#D7263D" in page.partition("data-classes=")[2].partition("data-palette")[0]
    # A page that was open before, with other colours: what is kept has the project's.
    both = Image.new("RGBA", (SIZE, SIZE))
    both.paste(Image.new("RGBA", (8, 8), "#23A436"), (0, 0))
    both.paste(Image.new("RGBA", (8, 8), "#D7263D"), (8, 8))
    file = io.BytesIO()
    both.save(file, "PNG")
    painted = base64.b64encode(file.getvalue()).decode()
    classes = {"cracked": "#23A436", "dent": "#D7263D"}
    assert save(person, other, painted, stand_on(page), classes).status_code == 200
    assert colours_in(offered, "test") == {"cracked": "#D7263D", "dent": "#23A436"}
    # What is called otherwise takes the colour of the type that takes it in.
    person.post(pages("projects", "p", "datasets", "types"), {"old": "cracked", "new": "crack"})
    assert colours_in(offered, "train") == {"crack": "#D7263D"}
    stand = stand_on(person.get(f"{address}/annotation").text)
    save(person, address, painting("#1B6CA8", (0, 0, 8, 8)), stand, {"hole": "#1B6CA8"})
    person.post(pages("projects", "p", "datasets", "types"), {"old": "hole", "new": "dent"})
    assert colours_in(offered, "train") == {"dent": "#23A436"}
    assert mask_of(offered).getpixel((2, 2)) == GREEN


def test_a_type_of_two_colours_takes_one_by_its_own_name(offered: Offered, address: str) -> None:
    person, client = offered.person("ADA"), offered.client()
    stand = stand_on(person.get(f"{address}/annotation").text)
    save(person, address, painting("#23A436", (0, 0, 8, 8)), stand)
    mask = entry(offered)["anomaly-mask-ref"]
    copies = []
    for number in (1, 2):  # of another program, in a colour of its own
        offered.buckets.bucket("bucket").put(f"bad/{number}.png", picture((9, 0, 0), (SIZE, SIZE)))
        red = {"0": {"class-name": "dent", "hex-color": "#D7263D", "confidence": 0}}
        facts = {"internal-color-map": red, "type": "groundtruth/semantic-segmentation"}
        copies.append(
            {**line(f"bad/{number}.png", "anomaly"), "m-ref": mask, "m-ref-metadata": facts}
        )
    changes = "\n".join(map(json.dumps, copies)).encode()
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changes)
    service = offered.lookout.of("us-east-1")
    assert service is not None
    while len(service.images.catalogue("p", "train").images) < 4:
        person.get(pages("projects", "p", "datasets", "train"))
    train = pages("projects", "p", "datasets", "train")
    told = "dent have two colours, #23A436 and #D7263D"
    assert told in person.get(train).text
    person.post(pages("projects", "p", "datasets", "types"), {"old": "dent", "new": "dent"})
    assert told not in person.get(train).text
    assert colours_in(offered, "train") == {"dent": "#D7263D"}
    assert mask_of(offered).getpixel((2, 2)) == RED


def test_a_picture_that_is_gone_is_told_without_the_servers_folders(
    offered: Offered, address: str
) -> None:
    offered.buckets.bucket("bucket").delete(["bad/<i>0.png"])
    said = offered.person("VIC").get(f"{address}/annotation").text
    assert "0.png does not exist" in said
    assert str(offered.buckets.bucket("bucket")) not in said
    assert "/bucket/" not in said


def test_a_viewer_marks_nothing_and_leaves_nothing_in_the_bucket(
    offered: Offered, address: str
) -> None:
    person = offered.person("VIC")
    shown = person.get(f"{address}/annotation").text
    assert ">Save<" not in shown
    assert "data-tool" not in shown
    answer = save(person, address, painting("#23A436", (0, 0, 8, 8)), stand_on(shown))
    assert answer.status_code == 403
    assert list(offered.buckets.bucket("bucket").list("lfvpipe-masks/")) == []


def test_a_viewer_sees_what_is_marked_and_has_nothing_to_paint_with(
    page: Page, offered: Offered, address: str
) -> None:
    ada, vic = offered.person("ADA"), offered.person("VIC")
    stand = stand_on(ada.get(f"{address}/annotation").text)
    assert save(ada, address, painting("#23A436", (0, 0, 64, 64)), stand).status_code == 200
    name, value = next(iter(vic.http.cookies.items()))
    page.context.add_cookies([{"name": name, "value": value, "url": offered.url}])
    page.goto(f"{offered.url}{address}/annotation")
    page.locator("#work[data-ready]").wait_for()
    key = page.get_by_label("Colours of the anomaly types").get_by_role("listitem")
    playwright.expect(key).to_have_text("dent")
    playwright.expect(key.locator("rect")).to_have_attribute("fill", "#23A436")
    pixel = "[...document.getElementById('canvas').getContext('2d').getImageData(9, 9, 1, 1).data]"
    assert page.evaluate(pixel) == [*GREEN, 255]
    playwright.expect(page.locator("[data-tool], #save, #clear, #class")).to_have_count(0)
    box = page.locator("#view").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("button", name="Larger").click()
    page.keyboard.press("Control+z")
    page.reload()  # without a question
    page.locator("#work[data-ready]").wait_for()
    assert page.evaluate(pixel) == [*GREEN, 255]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing(
    browser: Browser, offered: Offered, address: str, axe: str, scheme: Any, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{offered.url}{offered.console.entrance()}")
    page.wait_for_url("**/projects")
    page.goto(f"{offered.url}{address}/annotation")
    page.locator("#work[data-ready]").wait_for()
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def stand_on(text: str) -> str:
    return text.partition('data-stand="')[2].partition('"')[0]


def save(person: Any, address: str, mask: str, stand: str, classes: Any = None) -> Any:
    body = {"mask": mask, "classes": classes or {"dent": "#23A436"}, "stand": stand}
    if classes is not None:
        body["classes"] = classes
    headers = {
        "origin": person.base,
        "accept": "application/json",
        "x-lfvpipe-csrf": person.form_token(),
    }
    return person.http.post(
        f"{person.base}{address}/mask", content=json.dumps(body), headers=headers
    )
