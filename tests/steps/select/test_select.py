import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.archives import ArchiveError
from lfvpipe.config.spec import (
    LABELS,
    Evaluate,
    EvaluationArchive,
    ManifestSource,
    Sample,
    Share,
    Source,
    Sources,
    Split,
)
from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.selection import SelectedImage, read_selection
from lfvpipe.engine.inputs import Setting, flatten
from lfvpipe.errors import UserError
from lfvpipe.steps.context import Context
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.select.step import SelectStep
from tests.outcomes import fetch_outcome

DAGM = {
    "a": {f"Class3/{n}.png": b"" for n in range(1, 1001)} | {"labels.txt": b"", ".DS_Store": b""},
    "a_def": {f"Class3_def/{n}.png": b"" for n in range(1, 151)} | {"Class3_def/labels.txt": b""},
}
Change = Callable[..., Context]


@pytest.fixture
def fetched(archives: Callable[..., None], work: Any) -> Callable[..., None]:
    """Return a function that provides the archives of both labels, and others."""

    def write(normal: Any = DAGM["a"], anomaly: Any = DAGM["a_def"], **others: Any) -> None:
        archives(normal=normal, anomaly=anomaly, **others)

    return write


def selected(context: Context, work: Any) -> tuple[dict[str, SelectedImage], Any]:
    step = SelectStep(tuple(work.upstream))
    outcome = step.act(context, work)
    assert not step.missing(context, outcome)
    lines = read_selection(context.state_dir / str(outcome.facts["selection"]))
    return {image.id: image for image in lines}, outcome.facts["counts"]


def found_by(context: Context, work: Any) -> list[tuple[str, str]]:
    """Return code and text of what the selection found, without where it was found."""
    outcome = SelectStep(tuple(work.upstream)).act(context, work)
    found = SelectOutcome.from_json(outcome.facts).findings or ()
    return [(each.code, each.message.partition("not used: ")[2] or each.message) for each in found]


def evaluating(context: Context, change: Change, *images: str, **more: Any) -> Context:
    return change(evaluate=replace(context.pipeline.evaluate, images=images, **more))


def percent(value: float) -> Sample:
    return Sample({label: Share(percent=value) for label in LABELS})


def test_a_run_tells_how_many_images_that_it_tested_on_are_now_learnt_from(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    normal = {f"{n}.png": b"" for n in range(50)}
    anomaly = {f"{n}.png": b"" for n in range(100, 150)}
    step = SelectStep(())

    def run(normal: dict[str, bytes], context: Context) -> list[str]:
        fetched(normal, anomaly)
        work.warnings.clear()
        work.previous = step.act(context, work)
        return [each for each in work.warnings if "learnt from" in each]

    def part(outcome: Any, split: str) -> set[str]:
        lines = read_selection(context.state_dir / str(outcome.facts["selection"]))
        return {image.id for image in lines if image.split == split}

    assert run(normal, context) == []
    assert run(normal, context) == []
    before = part(work.previous, "test")
    (told,) = run({**normal, "one-more.png": b""}, context)
    moved = before & part(work.previous, "train")
    assert told.startswith(f"{len(moved)} of the {len(before)} images that were tested on before")
    assert "`stable: true` under `split`, at most one" in told
    assert "split.from" in told
    file = context.state_dir / str(work.previous.facts["selection"])
    file.write_text("no line")
    assert run(normal, context) == []


def test_40_percent_of_dagm_gives_the_tutorials_counts_with_evaluation_images_withheld(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched()
    names = ("Class3/100.png", "Class3/117.png", "Class3_def/100.png", "Class3_def/117.png")
    context = evaluating(context, lambda **parts: changed(sample=percent(40), **parts), *names)
    images, counts = selected(context, work)
    assert counts["normal"] == {
        "train": 320, "test": 80, "evaluate": 2, "unused": 0, "available": 1000,
    }  # fmt: skip
    assert (counts["anomaly"]["train"], counts["anomaly"]["test"]) == (48, 12)
    held = {image.member for image in images.values() if image.split == "evaluate"}
    assert held == set(names)


def test_a_larger_percentage_keeps_every_image_in_its_split(
    changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched()
    small, _ = selected(changed(sample=percent(40)), work)
    large, _ = selected(changed(sample=percent(100)), work)
    assert {name: image.split for name, image in small.items()}.items() <= {
        name: image.split for name, image in large.items()
    }.items()


def test_the_selection_does_not_depend_on_the_archives_order(
    changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched()
    step = SelectStep(())
    first = step.act(changed(sample=percent(40)), work)
    fetched(normal=dict(reversed(DAGM["a"].items())))
    assert step.act(changed(sample=percent(40)), work).digest == first.digest


def test_the_selection_changes_when_a_members_content_does(
    context: Context, work: Any, fetched: Callable[..., None]
) -> None:
    fetched()
    first = SelectStep(()).act(context, work)
    fetched(normal={**DAGM["a"], "Class3/1.png": b"other"})
    assert SelectStep(()).act(context, work).digest != first.digest


def test_the_same_names_in_both_archives_are_two_images(
    context: Context, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(normal={"x/1.png": b""}, anomaly={"x/1.png": b""})
    images, _ = selected(context, work)
    assert images.keys() == {"normal/x/1.png", "anomaly/x/1.png"}


def test_unused_images_are_those_that_neither_split_took(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched()
    context = evaluating(
        context, lambda **parts: changed(sample=percent(10), **parts), unused_per_label=20
    )
    images, counts = selected(context, work)
    assert (counts["normal"]["unused"], counts["anomaly"]["unused"]) == (20, 20)
    assert len(images) == 100 + 15 + 40


def test_include_chooses_by_glob_and_by_bare_name(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(
        normal={"s/good/1.png": b"", "s/good/deep/2.PNG": b"", "s/bad/3.png": b"", "4.gif": b""},
        anomaly={"normal-1.jpg": b"", "x/anomaly-1.jpg": b""},
    )
    sources = {
        "normal": Source("n.zip", include=("**/good/**/*.png",)),
        "anomaly": Source("a.zip", include=("anomaly*",)),
    }
    images, _ = selected(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert images.keys() == {
        "normal/s/good/1.png", "normal/s/good/deep/2.PNG", "anomaly/x/anomaly-1.jpg",
    }  # fmt: skip


def test_an_empty_label_says_what_the_archive_holds_instead(
    changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(anomaly={f"{n}.bmp": b"" for n in range(150)} | {"notes.txt": b""})
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", include=("**/*.png",))}
    with pytest.raises(SelectionError) as caught:
        selected(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert "sources.anomaly: 0 images match **/*.png; a.zip holds 150 .bmp" in str(caught.value)


def test_an_empty_archive_on_this_machine_has_no_address_to_check(
    changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(anomaly={})
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip")}
    with pytest.raises(SelectionError) as caught:
        selected(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert (
        caught.value.hint == "Put images (PNG, JPEG, BMP, TIFF, WebP) into it, or name another one."
    )


@pytest.mark.parametrize(
    ("members", "held"),
    [
        ({}, "holds no files."),
        ({"__MACOSX/1.png": b"", ".DS_Store": b"", ".x/2.png": b""},
         "holds 3 files, none of them an image (hidden, __macosx/)."),
        ({"Thumbs.db": b""}, "holds 1 file, and that is no image (thumbs.db)."),
    ],
)  # fmt: skip
def test_an_archive_of_junk_is_told_from_an_empty_one(
    members: dict[str, bytes],
    held: str,
    context: Context,
    work: Any,
    fetched: Callable[..., None],
) -> None:
    fetched(anomaly=members)
    with pytest.raises(SelectionError) as caught:
        SelectStep(()).act(context, work)
    assert held in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("Class3/7.png", ["normal/Class3/7.png"]),
        ("anomaly/Class3_def/7.png", ["anomaly/Class3_def/7.png"]),
        ("Class3_def/14?.png", [f"anomaly/Class3_def/14{n}.png" for n in range(10)]),
        ("**/150.png", ["anomaly/Class3_def/150.png", "normal/Class3/150.png"]),
    ],
)
def test_evaluation_images_are_named_by_member_label_or_glob(
    pattern: str, found: list[str], context: Context, changed: Change, work: Any,
    fetched: Callable[..., None],
) -> None:  # fmt: skip
    fetched()
    images, _ = selected(evaluating(context, changed, pattern), work)
    assert [name for name, image in images.items() if image.split == "evaluate"] == found


def test_an_archives_own_name_can_stand_for_the_folder_it_lacks(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(normal={"1.png": b"", "2.png": b""}, anomaly={"1.png": b""})
    images, _ = selected(evaluating(context, changed, "a_def/1.png"), work)
    assert images["anomaly/1.png"].split == "evaluate"


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("Class4/100.png", "Did you mean Class3/100.png"),
        ("100.png", "Name one with its folder"),
        ("nothing/*.png", "Did you mean"),
    ],
)
def test_an_evaluation_image_that_is_not_there_or_not_clear_is_an_error(
    pattern: str, hint: str, context: Context, changed: Change, work: Any,
    fetched: Callable[..., None],
) -> None:  # fmt: skip
    fetched()
    with pytest.raises(SelectionError) as caught:
        selected(evaluating(context, changed, pattern), work)
    assert pattern in caught.value.message
    assert hint in caught.value.hint


def test_evaluation_images_can_be_files_beside_the_pipeline(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None], tmp_path: Path
) -> None:
    fetched()
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "x.png").write_bytes(b"1")
    context = evaluating(context, changed, "extra/*.png")
    images, _ = selected(context, work)
    image = images["files/extra/x.png"]
    assert (image.split, image.label, image.source) == ("evaluate", None, "files")
    before = SelectStep(()).inputs(context)
    (tmp_path / "extra" / "x.png").write_bytes(b"changed")
    assert SelectStep(()).inputs(context) != before


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**.png", {"n1.png"}),
        ("ph**/*.png", {"photos/n1.png"}),
        ("**/n**1.png", {"n1.png", "photos/n1.png"}),
    ],
)
def test_two_stars_beside_other_signs_are_one(
    pattern: str, found: set[str], context: Context, changed: Change, work: Any,
    fetched: Callable[..., None], tmp_path: Path,
) -> None:  # fmt: skip
    fetched({f"a/{n}.jpg": b"" for n in range(9)}, {f"b/{n}.jpg": b"" for n in range(9)})
    (tmp_path / "photos").mkdir()
    for name in ("n1.png", "photos/n1.png"):
        (tmp_path / name).write_bytes(b"x")
    images, _ = selected(evaluating(context, changed, pattern), work)
    assert {one.member for one in images.values() if one.source == "files"} == found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file name is Unicode")
def test_an_evaluation_file_whose_name_is_not_utf_8_is_named(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None], tmp_path: Path
) -> None:
    fetched()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/Ger\xe4t.png")).write_bytes(b"x")
    with pytest.raises(UserError, match=r"udce4t\.png' has a name that is not UTF-8"):
        selected(evaluating(context, changed, "Ger*.png"), work)


def test_archives_of_evaluation_images(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(evaluate_0={"t/normal-1.png": b"", "t/anomaly-1.png": b""})
    extra = EvaluationArchive("t.zip", include=("normal*",), label="normal")
    images, counts = selected(evaluating(context, changed, archives=(extra,)), work)
    found = [image for image in images.values() if image.split == "evaluate"]
    assert [(image.label, image.source) for image in found] == [("normal", "evaluate-0")]
    assert counts["normal"]["available"] == 1000


def test_masks_are_found_in_their_own_archive(
    changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(
        anomaly={"d/1.jpg": b"", "d/2.jpg": b"", "d/3.jpg": b""},
        anomaly_masks={"m/1.png": b"", "m/2_mask.png": b"", "labels.txt": b""},
    )
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="m.zip")}
    images, _ = selected(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    masks = [images[f"anomaly/d/{n}.jpg"].mask for n in (1, 2, 3)]
    assert [mask and mask.member for mask in masks] == ["m/1.png", "m/2_mask.png", None]


def test_masks_inside_the_archive_in_the_layouts_of_mvtec_and_dagm(
    changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(
        anomaly={
            "b/test/large/000.png": b"",
            "b/test/small/000.png": b"",
            "b/ground_truth/large/000_mask.png": b"",
            "b/ground_truth/small/000_mask.png": b"",
            "Train/0001.PNG": b"",
            "Label/0001_label.PNG": b"",
        }
    )
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="a.zip")}
    images, counts = selected(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert counts["anomaly"]["available"] == 3
    found = {image.member: image.mask and image.mask.member for image in images.values()}
    assert found["b/test/small/000.png"] == "b/ground_truth/small/000_mask.png"
    assert found["Train/0001.PNG"] == "Label/0001_label.PNG"


def test_masks_nobody_asked_for_are_not_taken_for_images(
    context: Context, work: Any, fetched: Callable[..., None]
) -> None:
    images = {"Train/0001.PNG": b"", "Label/0001_label.PNG": b""}
    fetched(normal={"1.png": b""}, anomaly=images)
    _, counts = selected(context, work)
    assert counts["anomaly"]["available"] == 1
    assert found_by(context, work) == [
        ("left-out", "1 .png named like masks of others (`masks` would learn from them)")
    ]


def test_a_hostile_archive_stops_the_step(
    context: Context, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(anomaly={"../evil.png": b""})
    with pytest.raises(ArchiveError, match="leads out"):
        selected(context, work)


def test_inputs_name_the_keys_a_user_wrote(context: Context, changed: Change) -> None:
    step = SelectStep(())
    assert flatten(step.inputs(changed(sample=percent(40))))["sample.percent"] == 40
    each = Sample({"normal": Share(percent=40), "anomaly": Share(count=50)})
    inputs = flatten(step.inputs(changed(sample=each)))
    assert (inputs["sample.normal.percent"], inputs["sample.anomaly.count"]) == (40, 50)
    assert flatten(step.inputs(changed(sample=percent(40)))).keys() >= {
        "split.train.percent",
        "sample.seed",
    }


def test_ledgers_keep_the_keys_that_they_have_always_had(changed: Change) -> None:
    archive = EvaluationArchive("/t.zip", key="evaluate.images[2]")
    shares: Any = {"normal": Share(percent=60), "anomaly": Share(count=9)}
    context = changed(split=Split(shares, None), evaluate=Evaluate(archives=(archive,)))
    inputs = [each for each in SelectStep(()).inputs(context) if isinstance(each, Setting)]
    known = {each.ledger_key: each.key for each in inputs}
    assert known["split.train.anomaly.count"] == "split.anomaly.train.count"
    assert known["evaluate.archives.0.include"] == "evaluate.images[2].include"
    assert known["evaluate.archives.0.label"] == "evaluate.images[2].label"


# Exported manifests.


def entry(image: str, label: str, **more: Any) -> str:
    metadata = {"class-name": label, "type": "groundtruth/image-classification"}
    return json.dumps({"source-ref": image, "x": 7, "x-metadata": metadata, **more})


def masked(mask: str) -> dict[str, Any]:
    colours = {"0": {"class-name": "cracked", "hex-color": "#23A436"}}
    return {"anomaly-mask-ref": mask, "anomaly-mask-ref-metadata": {"internal-color-map": colours}}


@pytest.fixture
def exported(tmp_path: Path, changed: Change, work: Any) -> Callable[..., Context]:
    """Return a function that writes manifests from lines, and returns a context that has them."""

    def write(images: str | None = None, **lines: list[str]) -> Context:
        for split, text in lines.items():
            path = tmp_path / f"{split}.manifest"
            path.write_text("\n".join(text), encoding="utf-8-sig")
            work.upstream[f"fetch:manifest-{split}"] = fetch_outcome(path)
        test = str(tmp_path / "test.manifest") if "test" in lines else None
        source = ManifestSource(str(tmp_path / "train.manifest"), test, images)
        return changed(sources=Sources({}, source))

    return write


def test_manifests_give_labels_splits_and_masks_from_an_archive(
    exported: Callable[..., Context], archives: Callable[..., None], work: Any
) -> None:
    archives(
        manifest_images={"all/n/1.png": b"", "all/a/1.png": b"", "all/m/1.png": b"", "2.png": b""}
    )
    context = exported(
        "images.zip",
        train=[
            entry("s3://gone/x/n/1.png", "normal"),
            entry("s3://gone/x/a/1.png", "Anomaly", **masked("s3://gone/x/m/1.png")),
            entry("s3://gone/x/q/9.png", "unsure"),
            "",
        ],
        test=[entry("2.png", "normal")],
    )
    images, counts = selected(context, work)
    assert {i.member: (i.label, i.split) for i in images.values()} == {
        "all/n/1.png": ("normal", "train"),
        "all/a/1.png": ("anomaly", "train"),
        "2.png": ("normal", "test"),
    }
    mask = images["train/anomaly/x/a/1.png"].mask
    assert mask is not None
    assert (mask.member, mask.classes) == ("all/m/1.png", {"cracked": "#23A436"})
    assert "1 line was left out, with a class name that is neither" in work.warnings[0]
    assert "unsure (1)" in work.warnings[0]
    assert counts["normal"]["test"] == 1


def chained(image: str, *jobs: tuple[str, str]) -> str:
    """Return a line with an attribute ``job1``, ``job2`` … for each class name and date."""
    kind = "groundtruth/image-classification"
    made = {
        f"job{number}-metadata": {"class-name": name, "creation-date": date, "type": kind}
        for number, (name, date) in enumerate(jobs, 1)
    }
    return json.dumps({"source-ref": image, **made})


def test_the_newer_of_two_labelling_jobs_counts_and_differences_are_said(
    exported: Callable[..., Context], work: Any
) -> None:
    lines = [
        chained("s3://b/0.png", ("normal", "2020-01-01"), ("anomaly", "2021-01-01")),
        chained("s3://b/1.png", ("anomaly", "2020-01-01"), ("anomaly", "2021-01-01")),
        chained("s3://b/2.png", ("normal", "2020-01-01"), ("normal", "2021-01-01")),
    ]
    context = exported(train=lines)
    images, _ = selected(context, work)
    assert {image.member[-5]: image.label for image in images.values()} == {
        "0": "anomaly", "1": "anomaly", "2": "normal",
    }  # fmt: skip
    (warning,) = work.warnings
    assert "train.manifest: on 1 line labels differ; the newest by creation-date counts" in warning
    assert "not that of job1 (1)" in warning
    outcome = SelectOutcome.from_json(SelectStep(()).act(context, work).facts)
    assert outcome.findings is not None
    assert [(each.level, each.code) for each in outcome.findings] == [("warning", "labels-differ")]

    spec = context.pipeline.sources.manifest
    assert spec is not None
    first = Sources({}, replace(spec, attribute="job1"))
    chosen = Context(replace(context.pipeline, sources=first), context.state_root)
    images, _ = selected(chosen, work)
    assert sum(image.label == "normal" for image in images.values()) == 2


def test_of_lines_on_which_labels_differ_each_is_told_once(
    exported: Callable[..., Context], work: Any
) -> None:
    pairs = [("2020-01-01", "2020-01-01"), ("2020-01-01", "2021-01-01"), ("", "2021-01-01"),
             ("2020-01-01", "2020-01-01")]  # fmt: skip
    lines = [
        chained(f"s3://b/{n}.png", ("normal", first), ("anomaly", then))
        for n, (first, then) in enumerate(pairs)
    ]
    images, _ = selected(exported(train=lines), work)
    assert sorted(str(image.label) for image in images.values()) == [
        "anomaly", "anomaly", "normal", "normal",
    ]  # fmt: skip
    newer, undated = work.warnings
    assert "on 1 line labels differ; the newest by creation-date counts, not that of" in newer
    assert "on 3 lines labels differ and no creation-date tells which is newer" in undated
    assert "not that of job2 (2), job1 (1)" in undated


def test_masks_that_a_manifest_names_in_vain_are_told(
    exported: Callable[..., Context], archives: Callable[..., None], work: Any
) -> None:
    archives(manifest_images={"1.png": b"", "2.png": b"", "2_mask.png": b""})
    lines = [entry(f"{n}.png", "anomaly", **masked(f"{n}_mask.png")) for n in (1, 2)]
    context = exported("images.zip", train=lines)
    text = r"1 of 2 references to masks is not in images\.zip: name the .* \(1_mask\.png\)"
    with pytest.raises(SelectionError, match=text):
        selected(context, work)
    images = replace(context.pipeline.images, damaged="leave-out")
    pipeline = replace(context.pipeline, images=images)
    found, _ = selected(Context(pipeline, context.state_root), work)
    assert sorted(image.mask is None for image in found.values()) == [False, True]
    assert "1 of 2 references to masks is not in images.zip: left out" in work.warnings[-1]


def test_class_names_can_be_mapped_and_name_the_defect(
    exported: Callable[..., Context], work: Any
) -> None:
    lines = [entry(f"s3://b/{n}.png", name) for n, name in enumerate(["good", "Dent", "odd"])]
    context = exported(train=lines)
    with pytest.raises(SelectionError, match=r"neither normal nor anomaly: good \(1\), Dent \(1\)"):
        selected(context, work)
    spec = context.pipeline.sources.manifest
    assert spec is not None
    mapped = replace(spec, labels={"normal": ("Good",), "anomaly": ("dent",)})
    pipeline = replace(context.pipeline, sources=Sources({}, mapped))
    images, _ = selected(Context(pipeline, context.state_root), work)
    assert {image.member[-5]: (image.label, image.type) for image in images.values()} == {
        "0": ("normal", ""), "1": ("anomaly", "Dent"),
    }  # fmt: skip
    assert "odd (1)" in work.warnings[-1]


def test_choices_about_a_manifest_are_inputs_only_where_they_are_made(
    exported: Callable[..., Context],
) -> None:
    context = exported(train=[])
    spec = context.pipeline.sources.manifest
    assert spec is not None
    known = {each.ledger_key for each in SelectStep(()).inputs(context)}
    assert not any("sources.manifest" in key or key == "images.damaged" for key in known)
    said = replace(spec, attribute="job1", labels={"anomaly": ("dent",)})
    pipeline = replace(context.pipeline, sources=Sources({}, said))
    found = {e.ledger_key for e in SelectStep(()).inputs(Context(pipeline, context.state_root))}
    assert {"sources.manifest.attribute", "sources.manifest.labels.anomaly"} <= found


def test_references_without_an_archive_lead_to_files_or_objects(
    exported: Callable[..., Context], work: Any, tmp_path: Path
) -> None:
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "1.png").write_bytes(b"x")
    context = exported(train=[entry("n/1.png", "normal"), entry("s3://b/k.png", "anomaly")])
    images, _ = selected(context, work)
    assert {(i.source, i.member) for i in images.values()} == {
        ("files", "n/1.png"),
        ("s3", "s3://b/k.png"),
    }


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("no json", r"train.manifest:2: is no line of a manifest"),
        ('{"x": 1}', "source-ref"),
        ("[" * 100_000, "is no line"),
        (entry("gone.png", "normal"), "leads nowhere"),
        (entry("../../etc/x.png", "normal"), "leads nowhere"),
        (entry("/etc/x.png", "normal"), "leads nowhere"),
    ],
)
def test_a_bad_manifest_line_is_named(
    line: str, what: str, exported: Callable[..., Context], work: Any
) -> None:
    context = exported(train=[entry("s3://b/1.png", "normal"), line])
    with pytest.raises(SelectionError, match=what):
        selected(context, work)


def test_a_manifest_names_no_file_outside_of_its_folder(
    exported: Callable[..., Context], work: Any, tmp_path: Path
) -> None:
    secret = tmp_path.parent / "secret.png"
    secret.write_bytes(b"x")
    for reference in ("../secret.png", str(secret), f"n/../../{secret.name}"):
        context = exported(train=[entry(reference, "normal")])
        with pytest.raises(SelectionError, match="leads nowhere"):
            selected(context, work)


def test_a_reference_that_several_members_fit_is_named(
    exported: Callable[..., Context], archives: Callable[..., None], work: Any
) -> None:
    archives(manifest_images={"a/x/1.png": b"", "b/x/1.png": b""})
    context = exported("images.zip", train=[entry("s3://gone/x/1.png", "normal")])
    with pytest.raises(SelectionError, match=r"could be any of a/x/1\.png, b/x/1\.png"):
        selected(context, work)
    assert "a/x/1.png" in {
        image.member
        for image in selected(
            exported("images.zip", train=[entry("s3://gone/a/x/1.png", "normal")]), work
        )[0].values()
    }


def test_an_evaluation_image_of_a_manifest_is_in_no_other_split(
    exported: Callable[..., Context], work: Any
) -> None:
    context = exported(train=[entry(f"s3://b/{n}.png", "normal") for n in range(3)])
    spec = replace(context.pipeline, evaluate=replace(context.pipeline.evaluate, images=("1.png",)))
    images, counts = selected(Context(spec, context.state_root), work)
    assert {image.member: image.split for image in images.values()} == {
        "s3://b/0.png": "train", "s3://b/1.png": "evaluate", "s3://b/2.png": "train",
    }  # fmt: skip
    assert counts["normal"]["available"] == 3


def test_images_named_like_masks_are_taken_where_include_asks_for_them(
    changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(anomaly={"Train/0001.PNG": b"", "Label/0001_label.PNG": b"", "x.jpg": b""})
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", include=("*.PNG",))}
    _, counts = selected(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert counts["anomaly"]["available"] == 2  # of three: what `include` leaves out is not there
    assert work.warnings == ["a.zip: not used: 1 .jpg that `include` does not match (x.jpg)"]


def test_masks_that_the_pipeline_names_are_no_surprise(
    changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    files = {"Train/0001.PNG": b"", "Label/0001_label.PNG": b""}
    fetched(anomaly=files, anomaly_masks=files)
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="a.zip")}
    images, _ = selected(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert work.warnings == []
    mask = images["anomaly/Train/0001.PNG"].mask
    assert mask is not None
    assert (mask.source, mask.member) == ("anomaly", "Label/0001_label.PNG")


def test_a_name_that_looks_like_a_glob_stands_for_itself_first(
    context: Context, changed: Change, work: Any, fetched: Callable[..., None]
) -> None:
    fetched(normal={"p[1].png": b"", "p1.png": b"", "p2.png": b""})
    for pattern, found in (
        ("p[1].png", "p[1].png"),
        ("./p[2].png", "p2.png"),
        ("./p1.png", "p1.png"),
    ):
        images, _ = selected(evaluating(context, changed, pattern), work)
        assert [i.member for i in images.values() if i.split == "evaluate"] == [found]


@pytest.mark.parametrize("is_single", [False, True])
def test_parts_in_both_manifests_are_told(
    exported: Callable[..., Context], archives: Callable[..., None], work: Any, is_single: bool
) -> None:
    names = [f"SN{part:03}_{view}.png" for part in range(8) for view in range(4)]
    archives(manifest_images=dict.fromkeys(names, b""))
    lines = [entry(f"s3://gone/{name}", "normal") for name in names]
    if is_single:
        selected(exported("images.zip", train=lines), work)
    else:
        test = [line for line in lines if "_3.png" in line]
        train = [line for line in lines if "_3.png" not in line]
        selected(exported("images.zip", train=train, test=test), work)
    (said,) = (each for each in work.warnings if "parts" in each)
    count = "8 of 8 such parts may get into" if is_single else "8 of 8 such parts are in"
    assert f"{count} train and test" in said.replace("train and in test", "train and test")
    assert said.endswith("If they are parts, have all photographs of each in one manifest")
