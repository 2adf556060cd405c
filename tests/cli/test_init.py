"""`lfvpipe init`: what it makes of the layouts that people have."""

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lfvpipe.config import load
from lfvpipe.config.spec import Pipeline

Make = Callable[[Path], None]


def _png(width: int = 64, height: int = 64) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def _zip(path: Path, names: list[str], **size: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, _png(**size))


def _folder(folder: Path, names: list[str], **size: int) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_png(**size))


def _numbered(folder: str, count: int) -> list[str]:
    return [f"{folder}/{number:03}.png" for number in range(count)]


def _started(lfvpipe: Any, *paths: Path) -> Pipeline:
    said = lfvpipe("init", *paths, "-o", paths[0].parent / "made.yaml")
    assert said.code == 0, said.err
    return load(paths[0].parent / "made.yaml").pipeline


def test_archives_by_label_are_told_by_their_names(project: Path, lfvpipe: Any) -> None:
    folder = project.parent
    spec = _started(lfvpipe, folder / "Texture_def.zip", folder / "Texture.zip")
    assert spec.sources.by_label["normal"].archive == str(folder / "Texture.zip")
    assert spec.sources.by_label["anomaly"].archive == str(folder / "Texture_def.zip")
    assert spec.split.train["normal"].percent == 80
    assert spec.split.stable
    assert spec.images.resize is None
    assert len(spec.evaluate.images) == 4  # there is something to get verdicts for
    again = lfvpipe("init", folder, "-o", folder / "again.yaml", "--json")
    assert again.json["missing"] == ""


def test_the_file_is_commented_and_points_editors_at_the_schema(
    project: Path, lfvpipe: Any
) -> None:
    _started(lfvpipe, project.parent / "Texture.zip", project.parent / "Texture_def.zip")
    text = (project.parent / "made.yaml").read_text()
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=.lfvpipe/pipeline.schema.json"
    assert (project.parent / ".lfvpipe" / "pipeline.schema.json").is_file()
    assert "# 80 images" in text
    assert str(project.parent) not in text  # paths are relative, so the folder can move


@pytest.mark.parametrize(
    ("good", "bad"), [("good", "defect"), ("ok", "ng"), ("normal", "anomaly"), ("OK", "NOK")]
)
def test_folders_named_after_labels(good: str, bad: str, tmp_path: Path, lfvpipe: Any) -> None:
    images = tmp_path / "part 7"
    _folder(images, _numbered(f"line/{good}", 30) + _numbered(f"line/{bad}", 12))
    spec = _started(lfvpipe, images)
    assert spec.sources.by_label["normal"].archive == str(images / "line" / good)
    assert spec.sources.by_label["anomaly"].archive == str(images / "line" / bad)
    assert spec.split.test is not None
    assert spec.split.test["anomaly"].percent == 80  # ten of twelve
    assert spec.project == "part-7"


def test_a_folder_of_x_and_x_def_is_as_if_both_were_named(tmp_path: Path, lfvpipe: Any) -> None:
    both = tmp_path / "dd"
    for name, count in (("cups", 40), ("cups_def", 30), ("cups_masks", 30), ("cups_test", 5)):
        _folder(both, _numbered(name, count))
    spec = _started(lfvpipe, both)
    assert spec.sources.by_label["normal"].archive == str(both / "cups")
    assert spec.sources.by_label["anomaly"].archive == str(both / "cups_def")
    assert [one.archive for one in spec.evaluate.archives] == [str(both / "cups_test")]
    assert "# masks: dd/cups_masks" in (tmp_path / "made.yaml").read_text()


def test_images_beside_folders_of_defects_are_not_taken_for_normal(
    tmp_path: Path, lfvpipe: Any
) -> None:
    _zip(tmp_path / "all.zip", _numbered(".", 40) + _numbered("cups_def", 30))
    said = lfvpipe("init", tmp_path / "all.zip", "-o", tmp_path / "made.yaml")
    assert (said.code, said.out) == (3, "")
    assert "cannot be told: all.zip (40 images); 0 others are good, and 30" in said.err
    assert "--normal 'all/*'" in said.err
    assert not (tmp_path / "made.yaml").exists()


def test_a_test_archive_is_evaluated_on_and_mixed_sizes_are_made_one(
    tmp_path: Path, lfvpipe: Any
) -> None:
    _zip(tmp_path / "cups.zip", _numbered("a", 40), width=80, height=64)
    _zip(tmp_path / "cups_def.zip", _numbered("a", 30), width=64, height=64)
    _zip(tmp_path / "cups_test.zip", _numbered("a", 5))
    folder = tmp_path / "elsewhere.yaml"
    said = lfvpipe("init", tmp_path, "-o", folder)
    assert "sizes of those looked at: 80x64 (40), 64x64 (30)\n" in said.out
    spec = load(folder).pipeline
    assert [one.archive for one in spec.evaluate.archives] == [str(tmp_path / "cups_test.zip")]
    assert (spec.images.resize, spec.images.fit) == ((80, 64), "contain")
    assert "  brought to 80x64 by `images.resize`, whole and undistorted" in said.out


@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((6000, 3000), (4096, 2048)),
        ((40, 40), (64, 64)),
        ((9000, 90), (4096, 64)),
        ((80, 64), None),
    ],
)
def test_sizes_that_the_service_refuses_are_brought_into_its_limits_undistorted(
    size: tuple[int, int], to: tuple[int, int] | None, tmp_path: Path, lfvpipe: Any
) -> None:
    _folder(tmp_path / "photos", _numbered("good", 4), width=size[0], height=size[1])
    said = lfvpipe("init", tmp_path / "photos", "-o", tmp_path / "made.yaml")
    spec = load(tmp_path / "made.yaml").pipeline
    assert (spec.images.resize, spec.images.fit) == (to, "contain" if to else None)
    assert (f"brought to {to[0]}x{to[1]} by" in said.out) if to else ("brought" not in said.out)
    assert lfvpipe("run", tmp_path / "made.yaml", "--until", "extract").code == 0


def _noise(folder: Path, count: int) -> None:
    _folder(folder, _numbered(".", count))
    for number, file in enumerate(sorted(folder.iterdir())):
        Image.effect_noise((64, 64), 40 + number + count).save(file)


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize(
    ("normal", "counts"), [(30, "train 24, test 6"), (3, "train 2, test 1"), (2, "train 2")]
)
def test_good_images_alone_are_enough_for_a_run(
    normal: int, counts: str, archived: bool, tmp_path: Path, lfvpipe: Any
) -> None:
    photos, file = tmp_path / "screws", tmp_path / "made.yaml"
    _noise(photos, normal)
    if archived:
        shutil.make_archive(str(photos), "zip", photos)
        shutil.rmtree(photos)
        photos = photos.with_suffix(".zip")
    said = lfvpipe("init", "--normal", photos, "-o", file)
    assert "none of defects: the model learns what good ones look like" in said.out
    assert f"next: lfvpipe run {file}" in said.out
    assert (
        lfvpipe("init", "--normal", photos, "-o", file, "--force", "--json").json["missing"] == ""
    )
    assert list(load(file).pipeline.sources.by_label) == ["normal"]
    assert "No images of defects were found" in file.read_text()
    assert lfvpipe("validate", file).code == 0
    run = lfvpipe("run", file, "--until", "check")
    assert run.code == 0, run.err
    assert counts in run.err


def test_a_single_image_is_not_enough(tmp_path: Path, lfvpipe: Any) -> None:
    _noise(tmp_path / "screws", 1)
    file = tmp_path / "made.yaml"
    said = lfvpipe("init", "--normal", tmp_path / "screws", "-o", file)
    assert "not enough for a run yet: a model needs 2 normal images at least" in said.out
    assert "next: name more images in it" in said.out
    run = lfvpipe("run", file, "--until", "check")
    assert "1 normal image in train, a model needs at least 2: add normal images." in run.err


@pytest.mark.parametrize("anomalies", [1, 5, 9])
def test_few_images_of_defects_are_tested_on(anomalies: int, tmp_path: Path, lfvpipe: Any) -> None:
    for folder, count in (("screws", 30), ("screws_def", anomalies)):
        _noise(tmp_path / folder, count)
    file = tmp_path / "made.yaml"
    assert lfvpipe("init", tmp_path / "screws", tmp_path / "screws_def", "-o", file).code == 0
    said = lfvpipe("run", file, "--until", "check")
    assert said.code == 0, said.err
    assert f"train 24, test {6 + anomalies}" in said.err


def test_ten_images_of_defects_named_in_the_file_are_then_enough(
    tmp_path: Path, lfvpipe: Any
) -> None:
    _noise(tmp_path / "screws", 25)
    _noise(tmp_path / "defective", 10)
    file = tmp_path / "made.yaml"
    assert lfvpipe("init", "--normal", tmp_path / "screws", "-o", file).code == 0
    named = file.read_text().replace("  # anomaly:", "  anomaly:")
    file.write_text(named.replace("  #   archive: defective.zip", "    archive: defective"))
    said = lfvpipe("run", file, "--until", "check")
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    ("normal", "anomaly", "counts"),
    [
        (31, 32, ["train 43, test 16, evaluate 4"]),  # 23 + 20, 6 + 10
        (26, 14, ["train 24, test 16"]),  # no image to spare
        (60, 60, ["train 92, test 24, evaluate 4"]),
        (21, 20, ["train 25, test 14, evaluate 2"]),  # one of each: 16 + 9, 4 + 10
    ],
)
def test_a_ready_file_leaves_images_to_judge_where_there_are_enough(
    normal: int, anomaly: int, counts: list[str], tmp_path: Path, lfvpipe: Any
) -> None:
    _folder(tmp_path / "cups", _numbered(".", normal))
    _folder(tmp_path / "cups_def", _numbered(".", anomaly))
    file = tmp_path / "made.yaml"
    assert lfvpipe("init", tmp_path / "cups", tmp_path / "cups_def", "-o", file).code == 0
    said = lfvpipe("run", file, "--until", "select")
    assert said.code == 0, said.err
    lines = [line for line in said.err.splitlines() if line.startswith("✓ select")]
    assert [line.split("s  ")[-1] for line in lines] == counts


def test_a_file_that_exists_is_only_overwritten_on_demand(project: Path, lfvpipe: Any) -> None:
    before = project.read_text()
    archive = project.parent / "Texture.zip"
    refused = lfvpipe("init", "--normal", archive, "-o", project)
    assert (refused.code, project.read_text()) == (3, before)
    assert lfvpipe("init", "--normal", archive, "-o", project, "--force").code == 0
    assert project.read_text() != before


def test_what_holds_no_images_is_refused(tmp_path: Path, lfvpipe: Any) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert lfvpipe("init", tmp_path, "-o", tmp_path / "p.yaml").code == 3
    said = lfvpipe("init", tmp_path / "gone", "-o", tmp_path / "p.yaml")
    assert (said.code, "is not there" in said.err) == (3, True)
    assert not (tmp_path / "p.yaml").exists()


@pytest.mark.parametrize(("normal", "anomaly"), [(58, 60), (40, 30), (22, 12), (30, 10)])
def test_the_split_leaves_ten_defects_to_test_on(
    normal: int, anomaly: int, tmp_path: Path, lfvpipe: Any
) -> None:
    _folder(tmp_path / "cups", _numbered(".", normal))
    _folder(tmp_path / "cups_def", _numbered(".", anomaly))
    file = tmp_path / "made.yaml"
    assert lfvpipe("init", tmp_path / "cups", tmp_path / "cups_def", "-o", file).code == 0
    found = lfvpipe("validate", file, "--json").json["variants"][0]["sources"]
    assert found[1]["test"] == max(10, round((anomaly - found[1]["evaluate"]) * 0.2))


def _photographs(folder: Path) -> Path:
    _folder(folder, _numbered("good", 60) + _numbered("defect", 20))
    return folder


def _name(file: Path) -> str:
    return load(file).pipeline.name


def test_the_pipeline_is_called_after_the_folder_of_the_photographs(
    here: Path, lfvpipe: Any
) -> None:
    photographs = _photographs(here / "Kettle lids (2024)")
    assert lfvpipe("init", photographs).code == 0
    assert _name(here / "pipeline.yaml") == "kettle-lids-2024"
    said = lfvpipe("run", "--until", "select")
    assert said.code == 0, said.err
    assert (here / ".lfvpipe" / "kettle-lids-2024" / "ledger.json").is_file()
    # Written anew, it goes on with the state that it has.
    assert lfvpipe("init", photographs, "--force").code == 0
    assert _name(here / "pipeline.yaml") == "kettle-lids-2024"


def test_a_file_whose_name_was_chosen_gives_the_pipeline_that_name(
    here: Path, lfvpipe: Any
) -> None:
    assert lfvpipe("init", _photographs(here / "lids"), "-o", "line-7.yaml").code == 0
    assert _name(here / "line-7.yaml") == "line-7"


def test_photographs_in_folders_that_say_nothing_leave_the_usual_name(
    here: Path, lfvpipe: Any
) -> None:
    assert lfvpipe("init", _photographs(here / "data" / "photos" / "images")).code == 0
    assert _name(here / "pipeline.yaml") == "pipeline"


@pytest.mark.parametrize("taken", ["pipeline", "lids"])
def test_a_state_that_is_there_is_neither_left_nor_taken(
    taken: str, here: Path, lfvpipe: Any
) -> None:
    photographs = _photographs(here / "lids")
    (here / f"{taken}.yaml").write_text("sources: {normal: {archive: lids/good}}")
    said = lfvpipe("run", f"{taken}.yaml", "--until", "select")
    assert said.code == 0, said.err
    assert lfvpipe("init", photographs, "--force").code == 0
    assert _name(here / "pipeline.yaml") == "pipeline"


def test_the_images_to_judge_are_drawn_the_same_each_time_and_said(
    tmp_path: Path, lfvpipe: Any
) -> None:
    names = _numbered("good", 30) + _numbered("defect", 30)
    _folder(tmp_path / "cups", names)
    said = lfvpipe("init", tmp_path / "cups", "-o", tmp_path / "made.yaml")
    assert "4 images, drawn by chance, are kept out to give verdicts on" in said.out
    drawn = load(tmp_path / "made.yaml").pipeline.evaluate.images
    assert [Path(name).parent.name for name in drawn] == ["normal"] * 2 + ["anomaly"] * 2
    first = {"normal/000.png", "normal/001.png", "anomaly/000.png", "anomaly/001.png"}
    assert not {*drawn} & first  # those by name
    assert "Drawn by chance" in (tmp_path / "made.yaml").read_text()
    assert lfvpipe("init", tmp_path / "cups", "-o", tmp_path / "made.yaml", "--force").code == 0
    assert load(tmp_path / "made.yaml").pipeline.evaluate.images == drawn


@pytest.mark.parametrize(("photographs", "share"), [(2, False), (3, True)])
def test_parts_are_kept_out_as_a_whole_where_they_are_small_enough(
    photographs: int, share: bool, tmp_path: Path, lfvpipe: Any
) -> None:
    parts = [f"{label}/SN{part:03}_{view}.png" for label, first in (("good", 100), ("defect", 200))
             for part in range(first, first + 20) for view in "abc"[:photographs]]  # fmt: skip
    _folder(tmp_path / "cups", parts)
    drawn = _started(lfvpipe, tmp_path / "cups").evaluate.images
    shown = {name.partition("_")[0] for name in drawn}
    assert (len(drawn), len(shown)) == (4, 4 if share else 2)
    text = (tmp_path / "made.yaml").read_text()
    assert "split.group" in text or "group:" in text
    assert ("Other photographs of the parts" in text) == share
