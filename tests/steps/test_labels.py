"""Reviewed labels: what the file says, and what it changes in selection and index."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.config.spec import LABELS, Evaluate, Sample, Share
from lfvpipe.dataset.index import Image, read_index
from lfvpipe.dataset.labels import Decision, LabelsError, read_decisions, standings
from lfvpipe.dataset.selection import SelectedImage, read_selection
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.select.step import SelectStep

Change = Callable[..., Context]
GOOD = [f"a/{n}.png" for n in range(20)]
BAD = [f"b/{n}.png" for n in range(10)]


@pytest.fixture
def made(archives: Callable[..., None], picture: Callable[..., bytes]) -> None:
    archives(
        normal={name: picture(n) for n, name in enumerate(GOOD)},
        anomaly={name: picture(100 + n) for n, name in enumerate(BAD)},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reviewed.jsonl"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("[" * 100_000 + "]" * 100_000 + "}", "this is not JSON"),
        ('{"name": "x\\ud800.png", "label": "normal"}', "half a surrogate pair"),
    ],
)
def test_a_line_that_no_tool_can_read_is_named(file: Path, line: str, fault: str) -> None:
    file.write_text(line + "\n")
    with pytest.raises(LabelsError, match=f":1: .*{fault}"):
        read_decisions(file)


@pytest.fixture
def reviewed(changed: Change, context: Context, file: Path) -> Change:
    """Return a function that gives the context with a labels file and other changes."""

    def change(**parts: Any) -> Context:
        sources = replace(context.pipeline.sources, labels=str(file))
        return changed(sources=sources, **parts)

    return change


def say(file: Path, *lines: dict[str, Any] | str) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("".join(f"{text}\n" for text in texts))


def selection(context: Context, work: Any) -> dict[str, SelectedImage]:
    outcome = SelectStep(()).act(context, work)
    work.upstream["select"] = outcome
    lines = read_selection(context.state_dir / str(outcome.facts["selection"]))
    return {image.id: image for image in lines}


def index(context: Context, work: Any) -> dict[str, Image]:
    selection(context, work)
    outcome = ExtractStep().act(context, work)
    file = context.state_dir / str(outcome.facts["index"])
    return {image.id: image for image in read_index(file)}


def of(images: dict[str, SelectedImage], split: str, label: str | None) -> list[SelectedImage]:
    return [each for each in images.values() if (each.split, each.label) == (split, label)]


def test_a_labels_file_that_is_not_there_yet_changes_nothing(
    reviewed: Change, context: Context, work: Any, made: None
) -> None:
    assert selection(reviewed(), work) == selection(context, work)
    assert SelectStep(()).inputs(reviewed()) == SelectStep(()).inputs(context)


def test_a_corrected_image_changes_label_and_nothing_else_moves(
    reviewed: Change, context: Context, work: Any, made: None, file: Path
) -> None:
    before = selection(context, work)
    wrong = of(before, "train", "normal")[0]
    say(file, {"name": wrong.member, "source": "normal", "label": "anomaly"})
    after = selection(reviewed(), work)
    assert after.keys() == before.keys()
    assert (after[wrong.id].label, after[wrong.id].split) == ("anomaly", "train")
    same = {name: image for name, image in after.items() if name != wrong.id}
    assert same == {name: image for name, image in before.items() if name != wrong.id}


@pytest.mark.parametrize("choice", ["exclude", "unsure"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_excluded_and_unsure_images_are_left_out(
    reviewed: Change, context: Context, work: Any, made: None, file: Path, choice: str, split: str
) -> None:
    before = selection(context, work)
    bad = of(before, split, "anomaly")[0]
    say(file, {"name": bad.member, "label": choice})
    assert before.keys() - selection(reviewed(), work).keys() == {bad.id}


def test_an_unused_image_is_learnt_from_once_it_is_reviewed_and_the_next_takes_its_place(
    reviewed: Change, work: Any, made: None, file: Path
) -> None:
    half = Sample({label: Share(percent=50) for label in LABELS})
    context = reviewed(sample=half, evaluate=Evaluate(unused_per_label=2))
    before = selection(context, work)
    first = of(before, "unused", "normal")[0]
    say(file, {"name": first.member, "label": "normal"})
    after = selection(context, work)
    assert after[first.id].split == "train"
    assert len(of(after, "unused", "normal")) == 2
    assert before.keys() < after.keys()


@pytest.mark.parametrize(
    ("choice", "label"), [("anomaly", "anomaly"), ("normal", "normal"), ("unsure", None)]
)
def test_an_evaluation_image_gets_its_true_label_and_stays_out_of_training(
    reviewed: Change, work: Any, made: None, file: Path, choice: str, label: str | None
) -> None:
    context = reviewed(evaluate=Evaluate(images=(GOOD[3],)))
    say(file, {"name": GOOD[3], "label": choice})
    image = selection(context, work)[f"normal/{GOOD[3]}"]
    assert (image.split, image.label) == ("evaluate", label)


def test_an_excluded_evaluation_image_is_not_evaluated(
    reviewed: Change, work: Any, made: None, file: Path
) -> None:
    say(file, {"name": GOOD[3], "label": "exclude"})
    assert (
        of(selection(reviewed(evaluate=Evaluate(images=(GOOD[3],))), work), "evaluate", None) == []
    )


def test_only_what_changes_something_makes_the_selection_stale(
    reviewed: Change, made: None, file: Path
) -> None:
    first = {"name": GOOD[1], "label": "anomaly", "who": "Ana"}
    second = {"name": GOOD[2], "label": "exclude", "who": "Ben"}
    say(file, first, second)
    inputs = SelectStep(()).inputs(reviewed())
    say(file, "# seen on Monday", "", second, first | {"comment": "scratch", "who": "Cleo"})
    assert SelectStep(()).inputs(reviewed()) == inputs
    say(file, first, second | {"label": "normal"})
    assert SelectStep(()).inputs(reviewed()) != inputs


def test_agreeing_with_the_archive_leaves_the_selection_as_it_was(
    reviewed: Change, context: Context, work: Any, made: None, file: Path
) -> None:
    say(file, {"name": GOOD[1], "source": "normal", "label": "normal", "sha256": "0" * 64})
    assert selection(reviewed(), work) == selection(context, work)


def test_the_object_key_stays_so_that_nothing_is_uploaded_again(
    reviewed: Change, context: Context, work: Any, made: None, file: Path
) -> None:
    before = index(context, work)[f"normal/{GOOD[1]}"]
    say(file, {"name": GOOD[1], "label": "anomaly"})
    after = index(reviewed(), work)[f"normal/{GOOD[1]}"]
    assert (after.label, after.key) == ("anomaly", before.key)


def test_a_label_given_to_other_bytes_does_not_count_and_is_said(
    reviewed: Change,
    context: Context,
    work: Any,
    made: None,
    file: Path,
    picture: Callable[..., bytes],
) -> None:
    seen = hashlib.sha256(picture(1)).hexdigest()
    say(file, {"name": GOOD[1], "label": "anomaly", "sha256": seen})
    assert index(reviewed(), work)[f"normal/{GOOD[1]}"].label == "anomaly"
    assert work.warnings == []
    say(file, {"name": GOOD[1], "label": "anomaly", "sha256": "0" * 64})
    assert index(reviewed(), work) == index(context, work)
    assert any("changed after the review" in warning for warning in work.warnings)


def test_the_digest_is_of_the_file_before_it_was_prepared(
    reviewed: Change, work: Any, made: None, file: Path, picture: Callable[..., bytes]
) -> None:
    seen = hashlib.sha256(picture(1)).hexdigest()
    say(file, {"name": GOOD[1], "label": "anomaly", "sha256": seen})
    images = replace(reviewed().pipeline.images, resize=(80, 80))
    assert index(reviewed(images=images), work)[f"normal/{GOOD[1]}"].label == "anomaly"
    assert work.warnings == []


def test_a_painted_mask_comes_with_the_image(
    reviewed: Change, work: Any, made: None, file: Path, tmp_path: Path
) -> None:
    from PIL import Image as Pillow

    mask = Pillow.new("RGB", (64, 64), "white")
    mask.paste((35, 164, 54), (5, 5, 20, 20))
    mask.save(tmp_path / "painted.png")
    classes = {"scratch": "#23a436"}
    line = {"name": GOOD[1], "label": "anomaly", "mask": "painted.png", "classes": classes}
    say(file, line)
    image = index(reviewed(), work)[f"normal/{GOOD[1]}"]
    assert image.mask is not None
    assert image.mask.classes == {"scratch": "#23A436"}
    (tmp_path / "painted.png").unlink()
    with pytest.raises(LabelsError, match=r"mask of a/1\.png cannot be read"):
        SelectStep(()).inputs(reviewed())


def test_decisions_about_images_that_are_not_there_are_said(
    reviewed: Change, work: Any, made: None, file: Path
) -> None:
    say(file, {"name": "a/gone.png", "source": "normal", "label": "anomaly"})
    selection(reviewed(), work)
    assert any("not in the sources, such as a/gone.png" in warning for warning in work.warnings)


def test_a_name_that_two_sources_have_needs_its_source(
    reviewed: Change, work: Any, archives: Any, picture: Callable[..., bytes], file: Path
) -> None:
    archives(
        normal={f"{n}.png": picture(n) for n in range(20)},
        anomaly={f"{n}.png": picture(100 + n) for n in range(10)},
    )
    say(file, {"name": "1.png", "label": "exclude"})
    with pytest.raises(LabelsError, match=r"1\.png is in anomaly and normal"):
        selection(reviewed(), work)
    say(file, {"name": "1.png", "source": "anomaly", "label": "normal"})
    found = selection(reviewed(), work)
    assert (found["anomaly/1.png"].label, found["normal/1.png"].label) == ("normal", "normal")


def test_later_lines_win_and_people_who_differ_are_a_conflict() -> None:
    ana = Decision("1.png", "normal", who="Ana")
    ben = Decision("1.png", "anomaly", who="Ben")
    (standing,) = standings([ana, ben]).values()
    assert standing.decision == ben
    assert standing.is_conflict
    (standing,) = standings([ana, ben, replace(ana, label="anomaly")]).values()
    assert not standing.is_conflict
    (standing,) = standings([ana, ben, replace(ben, label=None)]).values()
    assert (standing.decision, standing.is_conflict) == (ana, False)


def test_a_line_that_a_kill_cut_short_is_passed_over_and_a_wrong_one_is_named(file: Path) -> None:
    say(file, {"name": "1.png", "label": "normal"})
    whole = file.read_text()
    file.write_text(f'{whole}{{"name": "2.p')
    assert [decision.name for decision in read_decisions(file)] == ["1.png"]
    for wrong in ('{"name": "2.png", "label": "good"}', '{"label": "normal"}', "[1]", "{"):
        file.write_text(f"{whole}{wrong}\n")
        with pytest.raises(LabelsError, match=r"reviewed\.jsonl:2: "):
            read_decisions(file)


@pytest.mark.parametrize("with_source_last", [True, False])
def test_the_later_line_counts_whether_it_names_the_source_or_not(
    reviewed: Change, context: Context, work: Any, made: None, file: Path, with_source_last: bool
) -> None:
    wrong = of(selection(context, work), "train", "normal")[0]
    lines = [
        {"name": wrong.member, "label": "exclude"},
        {"name": wrong.member, "source": "normal", "label": "anomaly"},
    ]
    say(file, *(lines if with_source_last else reversed(lines)))
    after = selection(reviewed(), work)
    assert (wrong.id in after) == with_source_last
