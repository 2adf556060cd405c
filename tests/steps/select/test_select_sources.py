"""What can be declared, and what is counted, held against small archives."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lfvpipe.config.spec import (
    AnnotationSource,
    DefectTypes,
    Evaluate,
    EvaluationArchive,
    LayoutSource,
    Sample,
    Share,
    Source,
    Sources,
    Split,
    SplitGlobs,
    TableSource,
)
from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.listing import ListingError
from lfvpipe.dataset.selection import SelectedImage, read_selection
from lfvpipe.dataset.sources import archives_of, sources_of
from lfvpipe.engine.inputs import Setting, flatten
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.select.step import SelectStep
from tests.outcomes import fetch_outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.config.spec import Label, Pipeline
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.steps.context import Context

    Change = Callable[..., Context]


def shares(train: float, test: float) -> Split:
    labels: tuple[Label, ...] = ("normal", "anomaly")
    return Split(
        {label: Share(percent=train) for label in labels},
        {label: Share(percent=test) for label in labels},
    )


def select(context: Context, work: Any) -> tuple[dict[str, SelectedImage], dict[str, Finding]]:
    """Return the selected images by id, and the findings by code."""
    outcome = SelectStep(tuple(work.upstream)).act(context, work)
    facts = SelectOutcome.from_json(outcome.facts)
    images = {image.id: image for image in read_selection(context.state_dir / facts.selection)}
    return images, {found.code: found for found in facts.findings or ()}


def parts(images: dict[str, SelectedImage]) -> Counter[tuple[str | None, str]]:
    return Counter((image.label, image.split) for image in images.values())


def numbered(pattern: str, count: int, first: int = 0) -> dict[str, bytes]:
    return {pattern.format(number): b"" for number in range(first, first + count)}


SHARED = Sources(
    {
        "normal": Source("all.zip", include=("good/*",)),
        "anomaly": Source("all.zip", include=("bad/*",)),
    }
)


@pytest.fixture
def one_archive(archives: Callable[..., None], work: Any) -> None:
    files = numbered("good/{}.png", 10) | numbered("bad/{}.png", 10) | numbered("new/{}.png", 2)
    archives(normal=files | {"notes.txt": b""})
    work.upstream["fetch:anomaly"] = work.upstream["fetch:normal"]


@pytest.mark.usefixtures("one_archive")
def test_a_file_has_the_label_whose_include_matches_it_and_else_none(
    changed: Change, work: Any
) -> None:
    names = ("good/3.png", "bad/*.png", "new/1.png")
    images, found = select(changed(sources=SHARED, evaluate=Evaluate(images=names)), work)
    judged = {one.member: one.label for one in images.values() if one.split == "evaluate"}
    assert judged.pop("good/3.png") == "normal"
    assert judged.pop("new/1.png") is None
    assert judged == {f"bad/{number}.png": "anomaly" for number in range(10)}
    # What is judged is used: of the rest, what no label includes is counted.
    assert "1 .png that `include` does not match" in found["left-out"].message
    assert "1 .txt that is no image" in found["left-out"].message


@pytest.mark.usefixtures("one_archive")
def test_an_image_of_both_labels_is_an_error(changed: Change, work: Any) -> None:
    both = {"normal": Source("all.zip", exclude=("bad/*",)), "anomaly": Source("all.zip")}
    with pytest.raises(SelectionError, match=r"12 images, such as good/0\.png, are included as"):
        select(changed(sources=Sources(both)), work)  # type: ignore[arg-type]


def test_ledgers_of_pipelines_that_use_nothing_new_know_no_new_input(context: Context) -> None:
    known = flatten(SelectStep(()).inputs(context))
    new = ("exclude", "from", "stable", "images.damaged")
    assert not [k for k in known if k.startswith("code") or any(word in k for word in new)]


def test_what_is_excluded_takes_no_part_and_is_counted(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal=numbered("{}.png", 10), anomaly=numbered("{}.png", 10))
    sources = {"normal": Source("n.zip", exclude=("3.png", "4.*")), "anomaly": Source("a.zip")}
    images, found = select(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert not {"normal/3.png", "normal/4.png"} & images.keys()
    assert found["left-out"].message == "n.zip: not used: 2 .png that `exclude` names"
    assert found["left-out"].images == ("3.png", "4.png")


def test_a_glob_of_exclude_that_nothing_matches_is_told(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal=numbered("{}.png", 10) | {"img[1].png": b""}, anomaly=numbered("{}.png", 10))
    normal = Source("n.zip", exclude=("3.png", "img[1].png", "4.pgn"))
    sources = {"normal": normal, "anomaly": Source("a.zip")}
    images, found = select(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert "normal/img[1].png" not in images
    assert found["excluding-nothing"].message == (
        "`exclude` names 4.pgn, which nothing matches: names look like 0.png, 1.png, 2.png"
    )


def test_an_archive_of_several_that_gives_no_image_is_told(
    tmp_path: Path, changed: Change, work: Any
) -> None:
    for name in ("full", "void", "bad"):
        (tmp_path / name).mkdir()
        if name != "void":
            for number in range(5):
                (tmp_path / name / f"{number}.png").write_bytes(b"x")
    normal = Source(str(tmp_path / "full"), further=(str(tmp_path / "void"),))
    sources = Sources({"normal": normal, "anomaly": Source(str(tmp_path / "bad"))})
    for each in sources_of(replace(changed().pipeline, sources=sources)):
        folder = tmp_path / PurePosixPath(each.address).name
        work.upstream[f"fetch:{each.member}"] = fetch_outcome(folder, each.member)
    _, found = select(changed(sources=sources), work)
    assert found["empty-archive"].message.endswith("void")


def test_several_archives_have_their_own_names_before_their_images(
    tmp_path: Path, changed: Change, work: Any
) -> None:
    for name in ("b", "a"):
        (tmp_path / "more" / name).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "more" / name / f"{number}.png").write_bytes(b"x")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "0.png").write_bytes(b"y")
    glob = Source(str(tmp_path / "more" / "*"))
    sources = Sources({"normal": glob, "anomaly": Source(str(tmp_path / "bad"))})
    assert [one.member for one in archives_of("normal", glob)] == ["normal.a", "normal.b"]
    context = changed(sources=sources, evaluate=Evaluate(images=("b/2.png",)))
    for source in sources_of(context.pipeline):
        work.upstream[f"fetch:{source.member}"] = fetch_outcome(Path(source.address), source.member)
    images, _ = select(context, work)
    assert images["normal/b/2.png"].split == "evaluate"
    assert images["normal/a/2.png"].source == "normal.a"
    assert sum(one.label == "normal" for one in images.values()) == 10


def test_a_glob_that_matches_nothing_is_left_for_the_fetch_to_name(tmp_path: Path) -> None:
    glob = str(tmp_path / "none" / "*.zip")
    assert [one.address for one in archives_of("normal", Source(glob))] == [glob]


@pytest.mark.parametrize(
    ("types", "name", "expected"),
    [
        (DefectTypes(folder=-1), "a/scratch/1.png", "scratch"),
        (DefectTypes(folder=-1), "1.png", ""),
        (DefectTypes(folder=1), "scratch/deep/1.png", "scratch"),
        (DefectTypes(folder=3), "scratch/deep/1.png", ""),
        (DefectTypes(pattern="([a-z]+)_[0-9]+"), "x/dent_12.png", "dent"),
        (DefectTypes(pattern="dent|hole"), "x/hole1.png", "hole"),
        (DefectTypes(pattern="(a)|b"), "b.png", ""),
    ],
)
def test_types_stand_where_they_are_said_to(
    changed: Change,
    work: Any,
    archives: Callable[..., None],
    types: DefectTypes,
    name: str,
    expected: str,
) -> None:
    archives(normal={"n.png": b""}, anomaly={name: b""})
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", types=types)}
    images, found = select(
        changed(sources=Sources(sources), split=shares(100, 0)),  # type: ignore[arg-type]
        work,
    )
    assert images[f"anomaly/{name}"].type == expected
    assert ("untyped" in found) == (not expected)


def test_masks_that_fit_no_image_are_an_error_with_examples_of_both(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal={"n.png": b""}, anomaly=numbered("d{}.png", 3), anomaly_masks={"x.png": b""})
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="m.zip")}
    with pytest.raises(SelectionError, match=r"none of the 1 masks in m\.zip fits") as e:
        select(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert "d0.png" in e.value.hint
    assert "x.png" in e.value.hint


def test_masks_some_of_which_fit_nothing_are_counted(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    masks = {"d0_mask.png": b"", "d1.png": b"", "x.png": b""}
    archives(normal={"n.png": b""}, anomaly=numbered("d{}.png", 3), anomaly_masks=masks)
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="m.zip")}
    images, found = select(changed(sources=Sources(sources)), work)  # type: ignore[arg-type]
    assert found["unmatched-masks"].message == (
        "m.zip: 1 mask fits no image, such as x.png; 2 of 3 anomaly images have a mask"
    )
    assert sum(one.mask is not None for one in images.values()) == 2


def test_images_of_an_evaluation_archive_are_excluded_alike(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal={"n.png": b""}, anomaly={"a.png": b""}, evaluate_0=numbered("{}.png", 3))
    judged = EvaluationArchive("t.zip", exclude=("1.png",))
    images, found = select(changed(evaluate=Evaluate(archives=(judged,))), work)
    assert {one.member for one in images.values() if one.split == "evaluate"} == {"0.png", "2.png"}
    assert found["left-out"].message == "t.zip: not used: 1 .png that `exclude` names"


# --- Own splits and groups


def test_an_own_split_is_kept_exactly_and_sampled(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    files = numbered("train/{}.png", 12) | numbered("test/{}.png", 8) | {"other/1.png": b""}
    archives(normal=files, anomaly=files)
    split = replace(shares(80, 20), own=SplitGlobs(("train/*",), ("test/*",)))
    images, found = select(changed(split=split), work)
    assert all(one.member.startswith(one.split) for one in images.values())
    assert parts(images)["normal", "train"] == 12
    assert found["outside-the-split"].message.startswith("split.from: 2 images are neither")
    half: Sample = Sample({"normal": Share(percent=50), "anomaly": Share(percent=50)})
    fewer, _ = select(changed(split=split, sample=half), work)
    assert fewer.keys() < images.keys()
    assert all(images[name].split == one.split for name, one in fewer.items())


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [("train/*", "*", "is in train and in test"), ("train/*", "none/*", "no image is in test")],
)
def test_an_own_split_that_is_none_is_told(
    changed: Change,
    work: Any,
    archives: Callable[..., None],
    train: str,
    test: str,
    message: str,
) -> None:
    files = numbered("train/{}.png", 3) | numbered("test/{}.png", 3)
    archives(normal=files, anomaly=files)
    split = replace(shares(80, 20), own=SplitGlobs((train,), (test,)))
    with pytest.raises(SelectionError, match=message):
        select(changed(split=split), work)


def test_a_name_in_an_own_split_that_no_image_has_is_told(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    files = numbered("train/{}.png", 3) | numbered("test/{}.png", 3)
    archives(normal=files, anomaly=files)
    own = SplitGlobs(("train/*",), ("test/*", "tset/9.png"))
    _, found = select(changed(split=replace(shares(80, 20), own=own)), work)
    assert found["splitting-nothing"].message == (
        "split.from: 1 name matches no image, such as tset/9.png"
    )


@pytest.mark.parametrize("seed", range(4))
def test_photographs_of_one_part_stay_on_one_side(
    changed: Change, work: Any, archives: Callable[..., None], seed: int
) -> None:
    views = {f"p{part:02}_{view}.png": b"" for part in range(30) for view in range(part % 4 + 1)}
    archives(normal=views, anomaly={name: b"" for name in views if "_0" in name})
    context = changed(
        split=replace(shares(70, 30), group="^(p[0-9]+)_"),
        sample=replace(changed().pipeline.sample, seed=seed),
    )
    images, _ = select(context, work)
    sides: dict[str, set[str]] = {}
    for one in images.values():
        sides.setdefault(one.member[:3], set()).add(one.split)
    assert all(len(of_part) == 1 for of_part in sides.values())
    counted = parts(images)
    total = len(views)
    assert counted["normal", "train"] + counted["normal", "test"] == total
    assert abs(counted["normal", "train"] - 0.7 * total) <= 4  # a group
    assert abs(counted["anomaly", "train"] - 0.7 * 30) <= 3


@pytest.mark.parametrize("group", [None, "^([^_]+)_"], ids=["images", "groups"])
@pytest.mark.parametrize("sampled", [100, 60])
def test_images_keep_their_sides_when_others_come(
    group: str | None, sampled: float, changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    split = replace(shares(80, 20), group=group, stable=True)
    both: tuple[Label, ...] = ("normal", "anomaly")
    sample = Sample({label: Share(percent=sampled) for label in both})
    context = changed(split=split, sample=sample, evaluate=Evaluate(unused_per_label=999))

    def sides(parts_more: int) -> dict[str, str]:
        names = {f"p{n}_{k}.png": b"" for n in range(60 + parts_more) for k in range(3)}
        archives(normal=names, anomaly={f"p{n}_{k}.png": b"" for n in range(20) for k in (7, 8)})
        return {image.id: image.split for image in select(context, work)[0].values()}

    def moved(before: dict[str, str], after: dict[str, str]) -> set[str]:
        names = {n for n, side in before.items() if {side, after.get(n)} == {"train", "test"}}
        return {name.split("/")[1].split("_")[0] for name in names} if group else names

    before, after = sides(0), sides(1)
    counted = Counter((name.split("/")[0], side) for name, side in before.items())
    for label, total in (("normal", 180), ("anomaly", 40)):
        wanted = total * sampled / 100
        room = 3 if group else 1
        assert abs(counted[label, "test"] - wanted * 0.2) <= room
        assert abs(counted[label, "train"] - wanted * 0.8) <= room + 3
    # At most as many as came: three images, or one part.
    assert len(moved(before, after)) <= (1 if group else 3)
    assert len(moved(before, sides(4))) <= (4 if group else 12)
    context = changed(split=replace(split, stable=False), sample=sample)
    assert len(moved(sides(0), sides(4))) > (4 if group else 12)


@pytest.mark.parametrize("seed", range(6))
def test_of_several_parts_with_defects_one_is_tested_on(
    changed: Change, work: Any, archives: Callable[..., None], seed: int
) -> None:
    views = {f"p{part:02}_{view}.png": b"" for part in range(20) for view in range(3)}
    archives(normal=views, anomaly={"q1_0.png": b"", "q2_0.png": b"", "q3_0.png": b""})
    split = replace(shares(70, 20), group="^([pq][0-9]+)_")
    images, _ = select(
        changed(split=split, sample=replace(changed().pipeline.sample, seed=seed)), work
    )
    counted = parts(images)
    assert counted["anomaly", "train"] >= 1
    assert counted["anomaly", "test"] >= 1


def test_a_group_that_no_name_has_is_an_error_and_some_are_counted(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal={"p1_0.png": b"", "x.png": b""}, anomaly={"p1_1.png": b"", "p2.png": b""})
    with pytest.raises(SelectionError, match="is found in the name of no image"):
        select(changed(split=replace(shares(50, 50), group="q[0-9]")), work)
    _, found = select(changed(split=replace(shares(50, 50), group="p[0-9]")), work)
    assert "no group in the names of 1 image," in found["no-group"].message


def test_a_part_that_is_judged_and_learnt_from_is_told(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal=numbered("p1_{}.png", 9), anomaly=numbered("p1_{}.png", 9, 20))
    split = replace(shares(100, 0), group="^p[0-9]+")
    context = changed(split=split, evaluate=Evaluate(images=("p1_3.png",)))
    _, found = select(context, work)
    assert "1 group has images in train" in found["groups-in-both"].message


VIEWS = {f"kos{part:02}_Part{view}.png": b"" for part in range(12) for view in range(4)}


def test_parts_that_names_tell_on_both_sides_are_told_with_the_line_to_write(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal=VIEWS, anomaly={f"kos{part:02}_Part9.png": b"" for part in range(12)})
    images, found = select(changed(split=replace(shares(80, 20), is_default=True)), work)
    told = found["parts-in-both"]
    sides: dict[str, set[str]] = {}
    for one in images.values():
        sides.setdefault(one.member[:5], set()).add(one.split)
    shared = sorted(part for part, of_part in sides.items() if len(of_part) == 2)
    assert f"{len(shared)} of 12 such parts are in train and in test: {shared[0]}" in told.message
    assert told.images == tuple(shared[:10])
    assert all(images[name] for name in re.findall(r"\b(?:normal|anomaly)/\S+png", told.message))
    line = told.message.partition("keep each on one side: ")[2]
    written = yaml.safe_load(line)["split"]
    kept, found = select(changed(split=replace(shares(80, 20), group=written["group"])), work)
    assert "parts-in-both" not in found
    assert {one.split for one in kept.values()} == {"train", "test"}
    _, found = select(changed(split=shares(70, 30)), work)
    assert "split: {train: 70, test: 30, group: '" in found["parts-in-both"].message
    _, found = select(changed(split=replace(shares(100, 0), test=None)), work)
    assert "12 of 12 such parts may get into train and test" in found["parts-in-both"].message


def test_parts_on_both_sides_of_an_own_split_are_told_by_names_or_by_a_group(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal=VIEWS, anomaly={"ng_1.png": b"", "ng_2.png": b""})
    own = SplitGlobs(("*Part[012].png", "ng_1.png"), ("*Part3.png", "ng_2.png"))
    split = replace(shares(80, 20), own=own)
    _, found = select(changed(split=split), work)
    assert "put each on one side of split.from" in found["parts-in-both"].message
    images, found = select(changed(split=replace(split, group="^(kos[0-9]+)_")), work)
    assert "12 of 14 groups, such as kos00, are in train" in found["groups-in-both"].message
    assert images["normal/kos00_Part3.png"].split == "test"  # which is kept all the same


def test_names_without_parts_raise_no_alarm(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    archives(normal=numbered("good_{:03}.png", 60), anomaly=numbered("{}.png", 30))
    _, found = select(changed(split=shares(80, 20)), work)
    assert not found


# --- Lists


def listing(
    changed: Change, work: Any, archives: Callable[..., None], tmp_path: Path
) -> Callable[..., Context]:
    def make(source: Any, files: dict[str, bytes], **more: Any) -> Context:
        archives(images=files)
        table = more.pop("table", None)
        if table is not None:
            (tmp_path / "labels.csv").write_text(table)
            work.upstream["fetch:table"] = fetch_outcome(tmp_path / "labels.csv", "table")
        return changed(sources=Sources({}, listed=source), **more)

    return make


@pytest.fixture
def listed(
    changed: Change, work: Any, archives: Callable[..., None], tmp_path: Path
) -> Callable[..., Context]:
    """Return a maker of contexts whose images a table or a layout lists."""
    work.upstream.clear()
    return listing(changed, work, archives, tmp_path)


TABLE = TableSource(archive="p.zip", file="labels.csv", words={})


def test_rows_without_a_label_are_judged_and_those_without_an_image_counted(
    listed: Callable[..., Context], work: Any
) -> None:
    rows = "path,label,group\n" + "".join(f"{n}.png,{'ok' if n < 6 else 'ng'},g{n // 2}\n"
                                           for n in range(12))  # fmt: skip
    table = rows + "30.png,,\n99.png,ok,\n"
    files = numbered("deep/er/{}.png", 14) | {"30.png": b""}
    images, found = select(listed(TABLE, files, table=table, split=shares(50, 50)), work)
    assert images["images/30.png"].split == "evaluate"
    assert images["images/30.png"].label is None
    counted = parts(images)
    assert {counted["normal", "train"], counted["normal", "test"]} == {2, 4}  # in groups of two
    assert {counted["anomaly", "train"], counted["anomaly", "test"]} == {2, 4}
    assert found["not-there"].images == ("99.png",)
    assert found["left-out"].message == "p.zip: not used: 2 .png that the table does not list"


def test_what_lists_name_in_vain_is_counted_among_all_that_they_name(
    listed: Callable[..., Context], work: Any
) -> None:
    rows = "".join(f"{n}.png,{'ok' if n < 6 else 'ng'},{f'm/{n}.png' if n > 7 else ''}\n"
                   for n in range(12))  # fmt: skip
    files = numbered("{}.png", 12) | {"m/8.png": b""}
    _, found = select(listed(TABLE, files, table=f"path,label,mask\n{rows}"), work)
    assert found["not-there"].message.startswith("sources.table: 3 of 4 masks that it names are")

    export = coco(*(f"{n}.png" for n in range(15)), marked="1")
    _, found = select(listed(COCO, numbered("{}.png", 12) | {"a.json": export}), work)
    text = "sources.annotations: 3 of 15 images that it lists are not there"
    assert found["not-there"].message == text


def test_columns_of_a_table_are_read_by_the_names_that_are_said(
    listed: Callable[..., Context], work: Any
) -> None:
    rows = "".join(f"{n}.png,{'ok' if n < 6 else 'ng'}\n" for n in range(12))
    source = replace(TABLE, columns={"path": "Aufnahme", "label": "Befund"})
    context = listed(source, numbered("{}.png", 12), table=f"Aufnahme,Befund\n{rows}")
    images, _ = select(context, work)
    assert sum(image.label == "normal" for image in images.values()) == 6
    keys = [each.key for each in SelectStep([]).inputs(context) if isinstance(each, Setting)]
    assert "sources.table.columns" in keys
    context = listed(TABLE, numbered("{}.png", 12), table=f"path,label\n{rows}")
    keys = [each.key for each in SelectStep([]).inputs(context) if isinstance(each, Setting)]
    assert "sources.table.columns" not in keys


def test_a_table_none_of_whose_images_is_there_is_an_error(
    listed: Callable[..., Context], work: Any
) -> None:
    with pytest.raises(SelectionError, match=r"none of the images that it lists is in p\.zip"):
        select(listed(TABLE, {"a.png": b""}, table="path,label\nb.png,ok\n"), work)


def test_a_name_that_could_be_any_of_several_is_told_with_its_line(
    listed: Callable[..., Context], work: Any
) -> None:
    files = {"x/1.png": b"", "y/1.png": b""}
    with pytest.raises(SelectionError, match=r"labels\.csv:2: 1\.png could be any of x/1\.png"):
        select(listed(TABLE, files, table="path,label\n1.png,ok\n"), work)


TWO_FOLDERS = numbered("a/{}.png", 3) | numbered("b/{}.png", 3)
ROWS = [("a", n, "ok") for n in range(3)] + [("b", n, "ng") for n in range(3)]


@pytest.mark.parametrize(
    ("head", "row", "told"),
    [
        ("path,label", "{folder}/{n}.png,{label}", ""),
        ("Bild,Befund,Ordner", "{n}.png,{label},{folder}", ""),
        ("path,label,folder", "deep\\{folder}\\{n}.png,{label},{folder}", ""),
        ("path,label,folder", "{folder}/{n}.png,{label},camera 1", ""),
        ("path,label,serial", "{n}.png,{label},{folder}", "told-by-group"),
    ],
    ids=["in the name", "a column", "both", "a column of something else", "the part's number"],
)
def test_one_name_in_two_folders_is_two_images(
    head: str, row: str, told: str, listed: Callable[..., Context], work: Any
) -> None:
    rows = [row.format(folder=folder, n=n, label=label) for folder, n, label in ROWS]
    table = "\n".join([head, *rows])
    images, found = select(listed(TABLE, TWO_FOLDERS, table=table), work)
    labels = {image.member: image.label for image in images.values()}
    good = dict.fromkeys(numbered("a/{}.png", 3), "normal")
    assert labels == good | dict.fromkeys(numbered("b/{}.png", 3), "anomaly")
    assert [code for code in found if code.startswith("told")] == ([told] if told else [])


def test_a_row_is_about_no_image_of_its_name_in_another_folder(
    listed: Callable[..., Context], work: Any
) -> None:
    table = "path,label,folder\n0.png,ok,a\n1.png,ng,a\n9.png,ng,b\n"
    files = {"a/0.png": b"", "a/1.png": b"", "a/9.png": b""}
    images, found = select(listed(TABLE, files, table=table), work)
    assert {image.member for image in images.values()} == {"a/0.png", "a/1.png"}
    assert found["not-there"].images == ("b/9.png",)


def test_a_mask_of_several_of_its_name_is_the_one_in_its_images_folder(
    listed: Callable[..., Context], work: Any
) -> None:
    table = "path,label,mask\n" + "".join(
        f"{folder}/{n}.png,{label},{n}_mask.png\n" for folder, n, label in ROWS
    )
    files = TWO_FOLDERS | {f"masks/{name[:-4]}_mask.png": b"" for name in TWO_FOLDERS}
    images, _ = select(listed(TABLE, files, table=table), work)
    masks = {image.member: image.mask.member for image in images.values() if image.mask}
    assert masks == {f"b/{n}.png": f"masks/b/{n}_mask.png" for n in range(3)}


def test_an_image_listed_under_two_names_is_an_error(
    listed: Callable[..., Context], work: Any
) -> None:
    table = "path,label\n1.png,ok\nx/1.png,ng\n"
    with pytest.raises(SelectionError, match=r"both rows are about x/1\.png"):
        select(listed(TABLE, {"x/1.png": b""}, table=table), work)


def test_another_layout_is_told_with_what_is_there(
    listed: Callable[..., Context], work: Any
) -> None:
    source = LayoutSource(archive="p.zip", name="visa")
    with pytest.raises(ListingError, match="Nothing in the archive is laid out as visa is"):
        select(listed(source, {"a/1.png": b""}), work)


def test_annotations_that_are_nowhere_are_told(listed: Callable[..., Context], work: Any) -> None:
    source = AnnotationSource(archive="p.zip", format="coco", unmarked="listed", words={})
    with pytest.raises(SelectionError, match=r"there is no file of coco annotations"):
        select(listed(source, {"a/1.png": b""}), work)


def coco(*names: str, marked: str = "") -> bytes:
    """Return an export; in the images that begin with `marked` something is marked."""
    boxes = [
        {"id": at, "image_id": at, "category_id": 1, "bbox": [1, 1, 2, 2]}
        for at, name in enumerate(names)
        if marked and name.startswith(marked)
    ]
    images = [{"id": at, "file_name": name} for at, name in enumerate(names)]
    categories = [{"id": 1, "name": "scratch"}]
    return json.dumps({"images": images, "annotations": boxes, "categories": categories}).encode()


COCO = AnnotationSource(archive="p.zip", format="coco", unmarked="listed", words={})


def test_names_count_beside_the_file_that_says_them_and_the_folders_are_the_split(
    listed: Callable[..., Context], work: Any, context: Context
) -> None:
    files = {}
    for folder in ("train", "valid", "test"):
        files[f"{folder}/_annotations.coco.json"] = coco("ok1.png", "ng1.png", marked="ng")
        files |= {f"{folder}/ok1.png": b"", f"{folder}/ng1.png": b""}
    default = replace(context.pipeline.split, is_default=True)
    images, _ = select(listed(COCO, files, split=default), work)
    assert parts(images) == {
        ("normal", "train"): 1, ("normal", "test"): 2, ("anomaly", "train"): 1,
        ("anomaly", "test"): 2,
    }  # fmt: skip
    assert all(("train" in one.member) == (one.split == "train") for one in images.values())


def test_half_a_published_split_is_none_and_said(
    listed: Callable[..., Context], work: Any, context: Context
) -> None:
    names = [f"{kind}{at}.png" for kind in ("ok", "ng") for at in range(10)]
    files = {"instances_train.json": coco(*names, marked="ng")} | dict.fromkeys(names, b"")
    default = replace(context.pipeline.split, is_default=True)
    images, found = select(listed(COCO, files, split=default), work)
    assert {part for _, part in parts(images)} == {"train", "test"}
    assert found["half-a-split"].message.startswith("The source says of some images that")


@pytest.mark.parametrize(
    ("said", "lies"),
    [("my%20part.png", "my part.png"), ("C:\\data\\1.png", "1.png"), ("/mnt/x/1.png", "1.png")],
)
def test_an_image_is_found_by_what_tools_make_of_its_name(
    said: str, lies: str, listed: Callable[..., Context], work: Any
) -> None:
    files = {"a.json": coco("0.png", said, marked=said), "0.png": b"", lies: b""}
    images, _ = select(listed(COCO, files, split=shares(50, 50)), work)
    assert f"anomaly/{lies}" in images


def test_a_class_with_a_good_word_in_it_marks_a_defect_all_the_same(
    listed: Callable[..., Context], work: Any
) -> None:
    export = json.loads(coco("0.png", "1.png", marked="1"))
    export["categories"][0]["name"] = "clean_cut"
    files = {"a.json": json.dumps(export).encode(), "0.png": b"", "1.png": b""}
    images, _ = select(listed(COCO, files, split=shares(50, 50)), work)
    assert "anomaly/1.png" in images


def test_two_images_that_could_be_one_are_not_taken_for_one(
    listed: Callable[..., Context], work: Any
) -> None:
    files = {"a.json": coco("x/1.png", "y/1.png", marked="y"), "1.png": b""}
    with pytest.raises(SelectionError, match=r"x/1\.png and y/1\.png could both be 1\.png"):
        select(listed(COCO, files), work)


def test_files_of_one_name_in_folders_of_their_own_are_all_read(
    listed: Callable[..., Context], work: Any, tmp_path: Path
) -> None:
    source = replace(COCO, files=("train/a.json", "test/a.json"))
    for at, part in enumerate(("train", "test"), start=1):
        (tmp_path / part).mkdir()
        file = tmp_path / part / "a.json"
        file.write_bytes(coco(f"{part}-ok.png", f"ng-{part}.png", marked="ng"))
        work.upstream[f"fetch:annotations-{at}"] = fetch_outcome(file, f"annotations-{at}")
    names = [f"{p}-ok.png" for p in ("train", "test")] + [f"ng-{p}.png" for p in ("train", "test")]
    images, _ = select(listed(source, dict.fromkeys(names, b""), split=shares(50, 50)), work)
    assert len(images) == 4


def test_a_published_split_is_kept_unless_shares_are_said(
    listed: Callable[..., Context], work: Any, context: Context
) -> None:
    source = LayoutSource(archive="p.zip", name="mvtec-ad")
    files = numbered("b/train/good/{}.png", 6) | numbered("b/test/good/{}.png", 4)
    files |= numbered("b/test/hole/{}.png", 4)
    default = replace(context.pipeline.split, is_default=True)
    images, _ = select(listed(source, files, split=default), work)
    assert parts(images) == {("normal", "train"): 6, ("normal", "test"): 4, ("anomaly", "test"): 4}
    assert {one.type for one in images.values() if one.label == "anomaly"} == {"hole"}
    images, _ = select(listed(source, files, split=shares(50, 50)), work)
    assert parts(images)["anomaly", "train"] == 2


@pytest.mark.parametrize(
    ("layout", "good"),
    [
        ("mvtec-ad", "{}/train/good/1.png"),
        ("mvtec-ad", "top/{}/train/good/1.png"),
        ("visa", "VisA/{}/Data/Images/Normal/1.JPG"),
        ("dagm", "{}/Train/1.PNG"),
    ],
)
def test_a_whole_data_set_of_several_products_is_told(
    layout: str, good: str, listed: Callable[..., Context], work: Any
) -> None:
    source = LayoutSource(archive="p.zip", name=layout)
    one = {good.format("Class1"): b""}
    _, found = select(listed(source, one | {good.format("Class1")[:-5] + "2.png": b""}), work)
    assert "several-products" not in found
    _, found = select(listed(source, one | {good.format("Class2"): b""}), work)
    folder = good.partition("{}")[0]
    assert found["several-products"].message == (
        f"sources.layout: one model learns 2 products ({folder}Class1, {folder}Class2…);"
        f" `include: {folder}Class1/**` takes one"
    )


def keys(pipeline: Pipeline) -> list[str]:
    return [source.key for source in sources_of(pipeline)]


def test_every_file_of_a_list_is_fetched(changed: Change) -> None:
    source = AnnotationSource(
        archive="p.zip", format="coco", files=("a.json", "b.json"), unmarked="listed", words={}
    )
    context = changed(sources=Sources({}, listed=source))
    members = [one.member for one in sources_of(context.pipeline)]
    assert members == ["images", "annotations-1", "annotations-2"]
    assert keys(context.pipeline)[1] == "sources.annotations.file"


def test_only_tables_whose_words_are_said_to_be_defects_are_selected_once_more(
    changed: Change,
) -> None:
    def inputs(words: dict[str, Label]) -> dict[str, Any]:
        table = TableSource(archive="photos", file="labels.csv", words=words)
        return dict(flatten(SelectStep(()).inputs(changed(sources=Sources({}, listed=table)))))

    plain, good = inputs({}), inputs({"A": "normal"})
    assert not [key for key in {**plain, **good} if "types by words" in key]
    assert [key for key in inputs({"X7": "anomaly"}) if "types by words" in key]
