"""The report page: one file, safe with hostile names, and true to the run."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lfvpipe.report import gallery, larger, metrics, run_file
from lfvpipe.report.outlook import outlooks
from lfvpipe.report.page import differences, headline, write_page
from lfvpipe.report.records import Confusion, Finding, RunRecord, Scores, Timing, Verdict
from lfvpipe.report.terminal import summary
from lfvpipe.report.thumbnails import SIDE, thumbnail
from lfvpipe.report.verdict_file import encode

MakeRun = Callable[..., RunRecord]
HOSTILE = "</script><img src=x onerror=alert(1)>'\"--><!--/timings-->.png"


def _written(tmp_path: Path, run: RunRecord) -> str:
    run_file.write(tmp_path, run)
    return write_page(tmp_path, run).read_text(encoding="utf-8")


def _picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (640, 320)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 90).save(path)


def test_the_page_is_one_file_that_loads_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    _picture(tmp_path / "images" / "a.png")
    run = make_run()
    verdicts = [replace(verdict, path="images/a.png") for verdict in run.verdicts["evaluation"]]
    html = _written(tmp_path, replace(run, verdicts={"evaluation": tuple(verdicts)}))
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert html.count('src="data:image/webp;base64,') == 4
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(" not in html
    assert "@import" not in html


def test_the_policy_allows_just_the_script_that_is_there(make_run: MakeRun, tmp_path: Path) -> None:
    html = _written(tmp_path, make_run())
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "default-src 'none'" in html


def test_hostile_texts_stay_texts(make_run: MakeRun, tmp_path: Path) -> None:
    verdict = Verdict(HOSTILE, HOSTILE, "normal", True, 0.9, anomalies=({"Name": "background"},))
    run = make_run(
        name=HOSTILE,
        config={HOSTILE: HOSTILE},
        findings=(Finding("warning", HOSTILE, (HOSTILE,)),),
        errors=({"id": HOSTILE, "message": HOSTILE},),
        timings=(Timing(HOSTILE, HOSTILE, 1.0),),
        verdicts={"evaluation": (verdict,)},
    )
    html = _written(tmp_path, run)
    assert "<img src=x" not in html
    assert html.count("</script>") == 1
    assert html.count("<!--/timings-->") == 1


def test_the_gallery_shows_wrong_verdicts_first_then_doubtful(
    make_run: MakeRun, tmp_path: Path
) -> None:
    html = _written(tmp_path, make_run())
    names = re.findall(r'<span class="name"[^>]*>([^<]*)', html)
    assert names[:2] == ["Class3_def/100.png", "Class3/117.png"]
    assert len(names) == 44
    assert html.count(">missed</span>") == 1


def test_more_images_than_a_page_holds_are_counted(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "MOST_IMAGES", 3)
    html = _written(tmp_path, make_run())
    assert html.count('class="name"') == 3
    assert "41 more are in the verdict files" in html


def test_every_chart_says_in_words_what_it_shows(make_run: MakeRun, tmp_path: Path) -> None:
    html = _written(tmp_path, make_run())
    labels = re.findall(r'<svg class="chart"[^>]*role="img" aria-label="([^"]*)"', html)
    assert len(labels) == 10
    assert "ROC curve. Area 1.000; as decided, 100% of the anomalies are caught" in " ".join(labels)


def test_a_set_with_one_class_has_figures_but_no_curves(make_run: MakeRun, tmp_path: Path) -> None:
    from lfvpipe.report.metrics import score_set

    rows = (Verdict("a", "a.png", "normal", False, 0.9), Verdict("b", "b.png", None, True, 0.9))
    run = make_run(verdicts={"evaluation": rows}, scores={"evaluation": score_set(rows)})
    html = _written(tmp_path, run)
    assert 'class="chart"' not in html
    assert "2 images, 1 of them labelled" in html


def test_a_run_without_any_verdict_has_a_page(make_run: MakeRun, tmp_path: Path) -> None:
    html = _written(tmp_path, make_run(verdicts={}, scores={}, verdict_files={}))
    assert "No images were judged" in html
    assert "nothing is known of how good the model is" in html


def test_what_changed_since_the_previous_run_is_shown(make_run: MakeRun, tmp_path: Path) -> None:
    old = make_run(id="20210101T000000Z-00000000", config={"sample.percent": 10, "split.train": 80})
    run_file.write(tmp_path, old)
    html = _written(tmp_path, make_run())
    assert "<del>10</del>" in html
    assert "<ins>40</ins>" in html
    assert "<del>80</del>" not in html


def test_figures_that_changed_since_the_previous_run_are_shown(
    make_run: MakeRun, tmp_path: Path
) -> None:
    from lfvpipe.report.metrics import score_set

    run = make_run()
    worse = tuple(replace(v, is_anomalous=False) for v in run.verdicts["evaluation"])
    old = make_run(
        id="20210101T000000Z-00000000",
        scores={"test": run.scores["test"], "evaluation": score_set(worse)},
        data={"train": {"normal": 300, "anomaly": 48}, "test": {"normal": 80, "anomaly": 12}},
    )
    run_file.write(tmp_path, old)
    html = _written(tmp_path, run)
    section = html.partition('<section id="changes"')[2].partition("</section>")[0]
    assert "20210101T000000Z-00000000" in section
    assert "2 of 2 anomalies missed" in section
    assert "1 of 2 anomalies missed" in section
    assert "300 normal, 48 anomaly" in section
    assert "320 normal, 48 anomaly" in section
    assert "Test set" not in section
    assert 'id="changes"' not in _written(tmp_path, make_run(id="20200101T000000Z-00000000"))


@pytest.mark.parametrize(
    ("is_anomalous", "share", "badge"),
    [
        (False, 0.0, None),
        (True, 0.0, "crack under 0.01 %"),
        (False, 0.00001, None),
        (True, 0.00001, "crack under 0.01 %"),
        (False, 0.25, "crack 25.00 %"),
        (True, 0.25, "crack 25.00 %"),
    ],
)
def test_a_normal_image_does_not_bear_an_anomaly_of_no_area(
    make_run: MakeRun, tmp_path: Path, is_anomalous: bool, share: float, badge: str | None
) -> None:
    area = {"Name": "crack", "PixelAnomaly": {"TotalPercentageArea": share, "Color": "#23A436"}}
    row = Verdict("a", "a.png", None, is_anomalous, 0.9, anomalies=(area,))
    html = _written(tmp_path, make_run(verdicts={"evaluation": (row,)}))
    badges = re.findall(r'<span class="badge type">([^<]*)</span>', html)
    assert badges == ([badge] if badge else [])


def test_a_segmentation_model_has_figures_of_its_masks(make_run: MakeRun, tmp_path: Path) -> None:
    row = {"type": "crack", "f1": 0.697, "precision": 0.75, "recall": 0.651, "iou": None}
    html = _written(tmp_path, make_run(model={"project": "p", "version": "1", "pixels": [row]}))
    table = html.partition("Predicted masks, by type of anomaly: ")[2].partition("</table>")[0]
    assert re.findall(r'<td class="number">([^<]*)</td>', table) == [
        "\N{EN DASH}",
        "0.697",
        "\N{EN DASH}",
        "0.750",
        "0.651",
    ]
    assert "model pixels" not in html
    assert "Predicted masks, by type" not in _written(tmp_path, make_run())


COUNTED = "image|example|finding|verdict|anomaly|label|key|defect|mask"
PLURALS = "images|examples|findings|verdicts|anomalies|labels|keys|defects|masks"


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_counts_agree_with_what_they_count(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, hidden: int
) -> None:
    rows = tuple(
        Verdict(f"{label}{n}", f"{label}-{n}.png", label, label == "normal", 0.6, types=types)
        for label, types in (("normal", ()), ("anomaly", ("crack",)))
        for n in range(count)
    )
    unknown = tuple(Verdict(f"u{n}", f"u{n}.png", None, True, 0.9) for n in range(count))
    verdicts = {"test": rows, "evaluation": rows + unknown}
    monkeypatch.setattr(gallery, "MOST_IMAGES", max(0, 5 * count - hidden))
    finding = Finding("warning", "Something.", tuple("ab"[:count]))
    old = make_run(
        id="20210101T000000Z-00000000", config={f"k{n}": n for n in range(count)}, verdict_files={}
    )
    run_file.write(tmp_path, old)
    run = make_run(
        verdicts=verdicts,
        verdict_files={},
        scores={name: metrics.score_set(each) for name, each in verdicts.items()},
        findings=(finding,) * count,
        errors=({"id": "e", "message": "It is no image."},) * count,
        config={},
    )
    page = _written(tmp_path, run).partition("<body>")[2].partition("<script>")[0]
    for text in (re.sub(r"<[^>]*>", "", page), summary(run, 100, color=False)):
        assert re.findall(rf"\b1 (?:[a-z]+ )?(?:{PLURALS})\b", text) == []
        assert re.findall(rf"\b(?:0|[2-9]|none of [2-9]) (?:[a-z]+ )?(?:{COUNTED})\b", text) == []


def test_the_page_says_what_more_images_would_tell(make_run: MakeRun, tmp_path: Path) -> None:
    html = _written(tmp_path, make_run())
    section = html.partition('<section id="outlook"')[2].partition("</section>")[0]
    told = re.findall(r"<p>([^<]*)</p>", section)
    # 21 of 22 were found: the interval of 0.9545 of 78 is 0.0998 wide, of 77 it is 0.1005.
    assert told[0] == (
        "With 40 more anomalous images, judged as those were, the interval of the recall would be"
        " 0.87 to 0.98 instead of 0.78 to 0.99; with about 56 more it would be 0.10 wide."
    )
    assert told[1].startswith("With 40 more normal images")
    assert "of 222 images: " in section
    without = make_run(scores={}, verdicts={}, verdict_files={})
    assert 'id="outlook"' not in _written(tmp_path, without)


def test_what_is_known_well_is_said_to_be(make_run: MakeRun) -> None:
    counts = Confusion(true_positive=500, false_negative=10)
    scores = Scores(510, counts, metrics.score_set(()).estimates)
    (only,) = outlooks(make_run(scores={"test": scores}))
    assert (only.metric, only.enough) == ("recall", 0)
    assert only.told == "The interval of the recall is narrow: 0.96 to 0.99."


def test_differences_name_removed_and_added_keys() -> None:
    rows = {row.key: row for row in differences({"a": 1, "b": [1, 2]}, {"a": 1.0, "c": True})}
    assert (rows["a"].changed, rows["b"].now, rows["b"].before) == (False, "1, 2", None)
    assert (rows["c"].now, rows["c"].before) == (None, "true")


def test_timings_are_put_into_the_page_after_the_run(make_run: MakeRun, tmp_path: Path) -> None:
    before = _written(tmp_path, make_run(timings=()))
    path = run_file.path_of(tmp_path, make_run().id)
    run_file.add_timings(path, [Timing("model", "created", 75.0)])
    for file in (path.with_suffix(".html"), tmp_path / "report.html"):
        after = file.read_text(encoding="utf-8")
        assert "1 min 15 s" in after
        assert len(after) > len(before)
        assert after.rstrip().endswith("</html>")


def test_the_headline_counts_the_mistakes_of_all_images_that_were_judged(
    make_run: MakeRun,
) -> None:
    run = make_run()
    assert headline(run) == (
        "Test set and evaluation images: 1 of 22 anomalies missed, none of 22 normal images wrongly"
        " rejected. With 95 % confidence 1 % to 22 % of all anomalies are missed, and at most 15 %"
        " of all normal images wrongly rejected."
    )
    assert headline(make_run(scores={"test": run.scores["test"]})) == (
        "Test set: none of 20 anomalies missed, none of 20 normal images wrongly rejected. With"
        " 95 % confidence at most 16 % of all anomalies are missed, and at most 16 % of all normal"
        " images wrongly rejected."
    )
    assert headline(make_run(scores={"evaluation": run.scores["evaluation"]})).startswith(
        "Evaluation images: 1 of 2 anomalies missed, none of 2 normal images wrongly rejected. With"
        " 95 % confidence 9 % to 91 % of all anomalies are missed"
    )


def test_the_headline_and_the_page_say_what_cannot_be_told(
    make_run: MakeRun, tmp_path: Path
) -> None:
    rows = [Verdict(f"{n}", f"{n}.png", "normal", False, 0.9) for n in range(6)]
    fields = {"scores": {"test": metrics.score_set(rows)}, "data": {"train": {"normal": 24}}}
    run = make_run(**fields, verdicts={"test": tuple(rows)}, verdict_files={})
    assert headline(run) == (
        "Test set: 0 of 6 good images called anomalous; with 95 % confidence at most 39 %. How many"
        " defects are missed cannot be told: no defective image to test on."
    )
    html = _written(tmp_path, run)
    assert "What this report can tell, and what it cannot" in html
    assert "0 of 6 good images called anomalous; with 95 % confidence at most 39 %." in html
    assert "Cannot be told: no defective image to test on." in html
    assert "A guess from good images alone: no defective one to learn from." in html
    assert "F1, precision, recall, AUROC</dt><dd>cannot be told" in html
    assert "is anomaly" not in html
    assert "nan" not in html.partition("<script>")[0].lower().split()
    untested = make_run(scores={}, verdicts={}, verdict_files={})
    assert "Cannot be told: no good image to test on." in _written(tmp_path, untested)
    assert "What this report can tell" not in _written(tmp_path, make_run())


def test_the_headline_of_defective_images_alone_says_that_false_alarms_cannot_be_told(
    make_run: MakeRun,
) -> None:
    rows = [Verdict(f"{n}", f"{n}.png", "anomaly", n > 0, 0.9) for n in range(3)]
    run = make_run(scores={"test": metrics.score_set(rows)})
    assert headline(run) == (
        "Test set: 1 of 3 defective images called normal; with 95 % confidence 6 % to 79 %. How"
        " many false alarms there are cannot be told: no good image to test on."
    )


def _left_to_person(run: RunRecord, label: str | None) -> RunRecord:
    """Return a run whose images of a label, or all, are for a person to decide on."""
    verdicts = {
        name: tuple(replace(each, to_person=label in {None, each.label}) for each in rows)
        for name, rows in run.verdicts.items()
    }
    scores = {name: metrics.score_set(rows) for name, rows in verdicts.items()}
    return replace(run, verdicts=verdicts, scores=scores)


def test_where_all_is_left_to_a_person_headline_and_page_say_so(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = _left_to_person(make_run(), None)
    said = "All 44 labelled images that were judged are for a person to decide on, so nothing"
    assert headline(run).startswith(said)
    html = _written(tmp_path, run)
    assert "Cannot be told: all 22 defective images are for a person to decide on." in html
    assert "cannot be told: all 40 images among them are for a person to decide on" in html
    assert "<dt>F1, precision, recall</dt>" in html
    assert "<dt>AUROC</dt>" in html
    assert "as decided, all images of a kind are for a person" in html
    assert "has a label, so the verdicts" not in html
    assert "no defective image" not in html


def test_where_one_kind_is_left_to_a_person_no_such_image_is_said_to_lack(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = _left_to_person(make_run(), "anomaly")
    assert headline(run) == (
        "Test set and evaluation images: 0 of 22 good images called anomalous; with 95 % confidence"
        " at most 15 %. How many defects are missed cannot be told: all 22 defective images are for"
        " a person to decide on."
    )
    html = _written(tmp_path, run)
    assert "all 20 defective among them are for a person to decide on" in html
    some = make_run()
    test = some.verdicts["test"]
    some = replace(some, verdicts={"test": (replace(test[0], to_person=True), *test[1:])})
    some = replace(some, scores={"test": metrics.score_set(some.verdicts["test"])})
    assert headline(some).endswith(" 1 more image is for a person to decide on.")
    assert "of all anomalies that the model decides on are missed" in headline(some)


def test_a_thumbnail_is_small_and_keeps_its_shape(tmp_path: Path) -> None:
    _picture(tmp_path / "a.jpg")
    found = thumbnail(tmp_path, Verdict("a", "a", None, True, 0.9, path="a.jpg"))
    assert found is not None
    assert (found.width, found.height) == (SIDE, SIDE // 2)
    assert len(found.uri) < 3000


def _many(tmp_path: Path, count: int, side: int) -> tuple[Verdict, ...]:
    """Return verdicts, the least confident first, on images of noise."""
    for n in range(count):
        noise = Image.effect_noise((side, side), 90)
        noise.save(tmp_path / f"{n}.png")
    return tuple(
        Verdict(f"{n}", f"{n}.png", "normal", False, 0.6 + n / 100, path=f"{n}.png")
        for n in range(count)
    )


def _larger(html: str) -> dict[int, tuple[int, int]]:
    """Return the size of each larger picture of a page, by the image's place."""
    blocks = re.findall(r'<script type="application/json" id="larger-(\d+)">(.*?)</script>', html)
    found = {}
    for place, text in blocks:
        told = json.loads(text)
        data = base64.b64decode(told["uri"].partition(",")[2])
        assert Image.open(io.BytesIO(data)).size == (told["width"], told["height"])
        found[int(place)] = told["width"], told["height"]
    return found


def test_larger_pictures_are_there_for_images_that_the_thumbnail_reduces(
    make_run: MakeRun, tmp_path: Path
) -> None:
    sizes = {"small": (SIDE, 200), "middling": (300, 600), "large": (2400, 1200)}
    for name, size in sizes.items():
        _picture(tmp_path / f"{name}.png", size=size)
    rows = [
        Verdict(name, name, "normal", False, 0.6 + n / 10, path=f"{name}.png")
        for n, name in enumerate(sizes)
    ]
    html = _written(tmp_path, make_run(verdicts={"evaluation": tuple(rows)}))
    assert _larger(html) == {1: (300, 600), 2: (larger.SIDE, larger.SIDE // 2)}
    assert html.count("data-reduced") == 2
    assert "Larger pictures" not in html


def test_the_most_doubtful_images_are_the_ones_shown_larger_and_the_page_says_so(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _many(tmp_path, 6, 400)
    one = thumbnail(tmp_path, rows[0], larger.SIDE)
    assert one is not None
    monkeypatch.setattr(larger, "MOST", round(2.5 * len(one.uri)))
    html = _written(tmp_path, make_run(verdicts={"evaluation": rows}))
    assert list(_larger(html)) == [0, 1]
    assert "Larger pictures for 2 of 6 images, the wrong and doubtful ones first." in html


def test_thumbnails_leave_less_room_for_larger_pictures(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _many(tmp_path, 6, 400)
    small = sum(len(found.uri) for row in rows if (found := thumbnail(tmp_path, row)))
    monkeypatch.setattr(larger, "MOST_PICTURES", small + 10)
    html = _written(tmp_path, make_run(verdicts={"evaluation": rows}))
    assert _larger(html) == {}
    assert "Larger pictures for 0 of 6" not in html
    assert "No picture is kept larger" in html


@pytest.mark.parametrize("content", [None, b"", b"not a picture", b"\x89PNG\r\n\x1a\n broken"])
def test_a_picture_that_cannot_be_read_leaves_a_gap(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    assert thumbnail(tmp_path, Verdict("a", "a", None, True, 0.9, path="a.png")) is None


def test_each_pass_over_the_images_is_counted_under_its_own_name(
    make_run: MakeRun, tmp_path: Path
) -> None:
    told: dict[str, list[int]] = {}

    def note(done: int, total: int, what: str) -> None:
        assert total == 3
        told.setdefault(what, []).append(done)

    rows = _many(tmp_path, 3, 400)
    write_page(tmp_path, make_run(verdicts={"evaluation": rows}), note)
    assert told == {"pictures": [1, 2, 3], "larger pictures": [1, 2, 3]}


def test_who_stops_it_while_thumbnails_are_made_is_heard(make_run: MakeRun, tmp_path: Path) -> None:
    def stop(done: int, total: int, what: str) -> None:
        assert (done, total, what) == (1, 44, "pictures")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_page(tmp_path, make_run(), stop)
    assert not (tmp_path / "report.html").exists()


def test_the_recall_of_each_type_is_on_the_page_and_in_the_terminal(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run()
    assert "Recall by type" not in _written(tmp_path, run)
    both = {
        name: tuple(
            replace(one, types=("scratch",)) if one.label == "anomaly" else one for one in rows
        )
        for name, rows in run.verdicts.items()
    }
    typed = replace(run, verdicts=both)
    text = _written(tmp_path, typed)
    assert text.count("<caption>Recall by type of defect</caption>") == 2
    assert "really anomaly: scratch" in text
    assert "scratch: 1 of 2 found" in summary(typed, 100, color=False)
    shown = both["evaluation"][2]
    assert Verdict.from_json(json.loads(encode(shown))) == shown
