"""Two pipelines in one project and one bucket, as the command line tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.dataset.kept import KeptVerdict, store_of
from tests.cli.conftest import SMALL

if TYPE_CHECKING:
    from pathlib import Path

EVEN = SMALL.replace("{normal: {count: 20}, anomaly: {count: 8}}", "{count: 20}")
NAMED = "project: shared\nbucket: {name: shared-images}\n"


@pytest.fixture
def two(project: Path, lfvpipe: Any) -> tuple[Path, Path]:
    """Return two pipeline files that name one project, the second with the more images, both with
    datasets: the second has those of the first one."""
    first, second = project.with_name("first.yaml"), project.with_name("second.yaml")
    first.write_text(EVEN + NAMED)
    second.write_text(EVEN.replace("count: 20", "count: 24") + NAMED)
    said = lfvpipe("run", first, "--until", "datasets")
    assert said.code == 0, said.err
    return first, second


def test_a_plan_says_whose_the_project_is_and_a_run_stops(
    two: tuple[Path, Path], lfvpipe: Any
) -> None:
    first, second = two
    told = "! project shared bears the mark of pipeline first (of "
    assert told in lfvpipe("plan", second).out
    assert told not in lfvpipe("plan", first).out
    said = lfvpipe("run", second, "--until", "datasets")
    assert said.code == 1
    assert "error: project: Project shared belongs to pipeline first (of " in said.err
    assert "`lfvpipe run --adopt` takes it over; or name a `project` of your own." in said.err
    assert lfvpipe("run", second, "--until", "datasets", "--adopt").code == 0
    assert "bears the mark of pipeline second" in lfvpipe("plan", first).out
    (variant,) = lfvpipe("plan", first, "--json").json["variants"]
    assert [mark["pipeline"] for mark in variant["marks"]] == ["second"]


@pytest.mark.parametrize("second_ran", [True, False])
def test_kept_verdicts_go_with_the_pipeline_whose_project_it_is(
    two: tuple[Path, Path], lfvpipe: Any, project: Path, second_ran: bool
) -> None:
    first, second = two
    if second_ran:
        assert lfvpipe("run", second, "--until", "datasets").code == 1
    store = store_of(project.parent / ".lfvpipe", "us-east-1", "shared")
    store.keep(KeptVerdict("0" * 64, "a.png", "/a.png", 1, 1, False, 0.9, "1", "2026-11-28"))
    assert lfvpipe("prune", second, "--keep-verdicts", "0", "--yes").code == 0
    said = lfvpipe("destroy", second)  # nobody agrees
    assert not {"verdicts", "project"} & {line.split()[0] for line in goes(said.out)}
    assert lfvpipe("destroy", second, "--yes").code == 0
    assert len(store.read()) == 1
    pruned = lfvpipe("prune", first, "--keep-verdicts", "0", "--dry-run", "--json").json["groups"]
    size = (store.folder / "verdicts.jsonl").stat().st_size
    assert [each["bytes"] for each in pruned if each["kind"] == "verdicts"] == [size]
    assert lfvpipe("destroy", first, "--yes").code == 0
    assert not store.folder.exists()


def goes(out: str) -> list[str]:
    """Return what `destroy` says goes, a line each."""
    return out.partition("this goes\n")[2].partition("this stays")[0].splitlines()


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_where_another_pipelines_manifest_is_damaged_anything_may_be_its_own(
    two: tuple[Path, Path], lfvpipe: Any, project: Path, damage: str
) -> None:
    first, second = two
    text = second.read_text().replace(NAMED, "bucket: {name: shared-images}\n")
    second.write_text(text.replace("count: 24", "count: 16"))
    assert lfvpipe("run", second, "--until", "datasets").code == 0
    folder = project.parent / ".lfvpipe" / "buckets" / "shared-images"
    (manifest,) = [
        file for file in folder.glob("manifests/train-*") if len(file.read_bytes().split()) < 20
    ]
    if damage == "gone":
        manifest.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes()[:-40])
    images = [file.name for file in folder.rglob("*.png")]
    said = lfvpipe("destroy", first, "--yes")
    assert said.code == 0, said.err
    assert " objects in bucket shared-images: pipeline second (of " in said.out
    assert [file.name for file in folder.rglob("*.png")] == images


def test_destroy_removes_no_image_that_another_pipeline_uses(
    two: tuple[Path, Path], lfvpipe: Any, project: Path
) -> None:
    first, second = two
    other = "project: another\nbucket: {name: shared-images}\n"
    second.write_text(second.read_text().replace(NAMED, other))
    assert lfvpipe("run", second, "--until", "datasets").code == 0
    folder = project.parent / ".lfvpipe" / "buckets" / "shared-images"
    manifests = [*folder.glob("manifests/*")]
    said = lfvpipe("destroy", first, "--yes")
    assert said.code == 0, said.err
    assert "removed project shared" in said.out
    assert " objects in bucket shared-images: pipeline second (of " in said.out
    assert len([*folder.glob("manifests/*")]) == 2 < len(manifests)
    assert lfvpipe("plan", second, "--until", "datasets", "--refresh").code == 0
    said = lfvpipe("destroy", second, "--yes")
    assert said.code == 0, said.err
    assert not folder.exists() or not [*folder.rglob("*.*")]
