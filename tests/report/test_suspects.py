"""Which labels of training images are worth a second look, and where the report says so."""

import json
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from lfvpipe.report import run_file
from lfvpipe.report.page import write_page
from lfvpipe.report.records import Lookalike, Suspect, Verdict
from lfvpipe.report.suspects import LEAST, contradicted
from lfvpipe.report.terminal import summary
from tests.report.conftest import MakeRun

SCHEMA = Path(__file__).parents[2] / "schemas" / "run.schema.json"


def said(name: str, label: str, probability: float) -> Verdict:
    anomalous = probability >= 0.5
    confidence = probability if anomalous else 1 - probability
    return Verdict(f"{label}/{name}", name, label, anomalous, confidence)


def images(label: str, probability: float, count: int = LEAST) -> list[Verdict]:
    return [said(f"{n}.png", label, probability) for n in range(count)]


def test_what_contradicts_its_label_most_comes_first() -> None:
    rows = [*images("normal", 0.1, 20), *images("anomaly", 0.9, 20)]
    rows += [said("a", "normal", 0.93), said("b", "anomaly", 0.02), said("c", "normal", 0.97)]
    found = contradicted(rows)
    assert found is not None
    assert [each.name for each in found] == ["b", "c", "a"]


def test_a_label_is_doubted_only_where_the_model_is_as_sure_as_it_mostly_is() -> None:
    rows = [*images("normal", 0.1), *images("anomaly", 0.9), said("a", "normal", 0.7)]
    assert contradicted(rows) == []
    unsure = [*images("normal", 0.4), *images("anomaly", 0.6), said("a", "normal", 0.7)]
    found = contradicted(unsure)
    assert found is not None
    assert [each.name for each in found] == ["a"]


@pytest.mark.parametrize("few", ["normal", "anomaly"])
def test_of_few_images_nothing_is_said(few: str) -> None:
    other = {"normal": "anomaly", "anomaly": "normal"}[few]
    rows = [*images(few, 0.5, LEAST - 1), *images(other, 0.5, 50)]
    assert contradicted(rows) is None
    assert contradicted([*rows, said("one more", few, 0.5)]) is not None


SUSPECTS = (
    Suspect(
        "normal/a<b.png",
        "a<b.png",
        "normal",
        0.934,
        path="images/a.png",
        alike=(Lookalike("twin.png", "anomaly", "images/twin.png"),),
    ),
    Suspect("anomaly/c.png", "c.png", "anomaly", 0.02),
)


def test_the_page_shows_them_with_what_looks_the_same(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a", "twin"):
        Image.new("RGB", (40, 20), "red").save(tmp_path / "images" / f"{name}.png")
    html = write_page(tmp_path, make_run(suspects=SUSPECTS)).read_text("utf-8")
    section = html.partition('<section id="labels"')[2].partition("</section>")[0]
    assert section.index("a&lt;b.png") < section.index("c.png")
    assert "the model says anomaly 0.934" in section
    assert "the model says normal 0.980" in section
    assert "looks nearly the same, labelled anomaly" in section
    assert section.count("data:image/webp") == 2
    assert "review --of training" in section


def test_the_page_tells_nothing_found_from_nobody_could_say(
    make_run: MakeRun, tmp_path: Path
) -> None:
    html = write_page(tmp_path, make_run(suspects=())).read_text("utf-8")
    assert "No label of a training image is contradicted" in html
    assert 'id="labels"' not in write_page(tmp_path, make_run()).read_text("utf-8")


@pytest.mark.parametrize("suspects", [None, (), SUSPECTS])
def test_the_run_file_holds_them_by_its_schema(
    make_run: MakeRun, tmp_path: Path, suspects: tuple[Suspect, ...] | None
) -> None:
    path = run_file.write(tmp_path, make_run(suspects=suspects))
    jsonschema.validate(json.loads(path.read_text("utf-8")), json.loads(SCHEMA.read_text("utf-8")))
    assert run_file.load(path, with_verdicts=False).suspects == suspects


def test_the_terminal_sums_up_what_both_sets_say(make_run: MakeRun) -> None:
    text = summary(make_run(), 100, color=False)
    assert "all together  44 labelled images" in text
    assert "1 of 22 anomalies missed, none of 22 normal images wrongly rejected" in text
