"""`lfvpipe prune`: what no run needs goes, and nothing else; a kill in the middle loses nothing."""

import hashlib
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lfvpipe import engine
from lfvpipe.config import load
from lfvpipe.dataset.kept import KeptVerdict, store_of
from lfvpipe.engine.outcome import Outcome
from lfvpipe.service.looks import cancelled_learning, find_folder
from lfvpipe.steps.pruning.scale import bytes_below
from tests.outcomes import model_outcome
from tests.workshop import Said

OLD = ("--set", "sample.seed=5")
UNTIL = ("--until", "manifests")


@pytest.fixture
def twice(project: Path, lfvpipe: Any) -> Path:
    """Return a pipeline that was run with another selection first."""
    assert lfvpipe("run", project, *UNTIL, *OLD).code == 0
    assert lfvpipe("run", project, *UNTIL).code == 0
    return project


def state(project: Path) -> Path:
    return project.parent / ".lfvpipe"


def digests(folder: Path) -> dict[str, str]:
    """Return the digests of what was made of images, by path."""
    names = ("images", "index", "selection", "buckets", "cache")
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and set(file.relative_to(folder).parts[:-1]) & {*names}
        if file.name != "journal.jsonl" and file.parent.name not in ("pipelines", "verified")
    }


def kinds(said: Said) -> dict[str, int]:
    return {group["kind"]: group["number"] for group in said.json["groups"]}


def test_what_the_last_run_needs_stays_and_an_earlier_one_is_made_again(
    twice: Path, lfvpipe: Any
) -> None:
    both = digests(state(twice))
    said = lfvpipe("prune", twice, "--yes", "--json")
    assert (said.code, set(kinds(said))) == (0, {"images", "objects"})
    now = digests(state(twice))
    assert now.items() < both.items()
    assert "nothing to do" in lfvpipe("plan", twice, *UNTIL).out
    assert lfvpipe("doctor", twice).code == 0
    assert kinds(lfvpipe("prune", twice, "--yes", "--json")) == {}

    assert lfvpipe("run", twice, *UNTIL, *OLD).code == 0
    assert digests(state(twice)) == both


def test_freed_is_what_the_disk_has_more_of(twice: Path, lfvpipe: Any) -> None:
    def used() -> int:
        found = [file.stat() for file in state(twice).rglob("*") if file.is_file()]
        return sum({each.st_ino: each.st_size for each in found}.values())

    foretold = lfvpipe("status", twice, "--json").json["disk"]
    before = used()
    assert foretold["bytes"] == before
    freed = lfvpipe("prune", twice, "--yes", "--json").json["freed"]
    assert freed == foretold["prunable"] > 0
    assert abs(before - used() - freed) < 10_000  # the ledger and the journal are shorter


def test_it_asks_and_takes_no_for_an_answer(
    twice: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests(state(twice))
    shown = lfvpipe("prune", twice, "--dry-run")
    assert (shown.code, "images of unused selections" in shown.out) == (0, True)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    nobody = lfvpipe("prune", twice)
    assert (nobody.code, "--yes" in nobody.err) == (3, True)
    assert digests(state(twice)) == before


def test_of_the_variants_of_a_matrix_all_stay(project: Path, lfvpipe: Any) -> None:
    with project.open("a") as file:
        file.write("matrix: {sample.seed: [1, 2, 3]}\n")
    assert lfvpipe("run", project, *UNTIL).code == 0
    assert kinds(lfvpipe("prune", project, "--dry-run", "--json")) == {}
    assert "would free" not in lfvpipe("status", project).out


def test_a_kill_in_the_middle_is_made_good_by_the_next(
    twice: Path,
    lfvpipe: Any,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = shutil.copytree(state(twice), tmp_path_factory.mktemp("before") / "state")
    assert lfvpipe("prune", twice, "--yes").code == 0
    whole = digests(state(twice))
    unlink, passed = Path.unlink, 0

    def stop(path: Path, **options: Any) -> None:
        nonlocal passed
        if path.suffix in (".png", ".jsonl"):
            passed += 1
            if passed > deadly:
                raise KeyboardInterrupt
        unlink(path, **options)

    def stop_before_the_ledger(*_: object) -> None:
        raise KeyboardInterrupt

    for deadly in (0, 5, 1000):
        shutil.rmtree(state(twice))
        shutil.copytree(before, state(twice))
        passed = 0
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", stop)
            if deadly == 1000:
                patch.setattr(engine.Ledger, "forget_outcomes", stop_before_the_ledger)
            assert lfvpipe("prune", twice, "--yes").code == 130
        assert "nothing to do" in lfvpipe("plan", twice, *UNTIL).out
        assert lfvpipe("prune", twice, "--yes").code == 0
        assert digests(state(twice)) == whole


def test_what_a_run_that_did_not_finish_needs_stays(twice: Path, lfvpipe: Any) -> None:
    file = state(twice) / "pipeline" / "ledger.json"
    ledger = json.loads(file.read_bytes())
    old = next(
        fingerprint
        for fingerprint in ledger["outcomes"]["upload"]
        if fingerprint != ledger["standing"]["default"]["upload"]
    )
    ledger["outcomes"]["upload"][old]["state"] = "running"
    file.write_text(json.dumps(ledger))
    before = digests(state(twice))
    lfvpipe("prune", twice, "--yes")
    assert digests(state(twice)) == before


def test_an_extraction_that_did_not_finish_keeps_its_images(twice: Path, lfvpipe: Any) -> None:
    file = state(twice) / "pipeline" / "ledger.json"
    ledger = json.loads(file.read_bytes())
    for record in ledger["outcomes"]["extract"].values():
        record["state"] = "running"
    file.write_text(json.dumps(ledger))
    assert "images" not in kinds(lfvpipe("prune", twice, "--dry-run", "--json"))


def test_an_index_that_was_cut_frees_nothing(twice: Path, lfvpipe: Any) -> None:
    for index in (state(twice) / "pipeline" / "index").glob("*.jsonl"):
        lines = index.read_bytes().splitlines(keepends=True)
        index.write_bytes(b"".join(lines[: len(lines) // 2]))
    assert kinds(lfvpipe("prune", twice, "--yes", "--json")) == {}


def test_what_nobody_of_us_put_there_stays(twice: Path, lfvpipe: Any) -> None:
    strangers = [
        state(twice) / "buckets" / "pipeline" / "normal" / "mine.png",
        state(twice) / "pipeline" / "images" / "notes.txt",
        state(twice) / "pipeline" / "runs.txt",
    ]
    for each in strangers:
        each.parent.mkdir(exist_ok=True)
        each.write_bytes(b"mine")
    assert lfvpipe("prune", twice, "--yes").code == 0
    assert all(each.read_bytes() == b"mine" for each in strangers)


def test_what_another_pipeline_uses_stays(twice: Path, lfvpipe: Any) -> None:
    other = twice.with_name("other.yaml")
    other.write_text(f"{twice.read_text()}bucket: {{name: pipeline}}\n")
    assert lfvpipe("run", other, *UNTIL, *OLD).code == 0
    before = digests(state(twice) / "buckets")
    assert lfvpipe("prune", twice, "--yes").code == 0
    assert digests(state(twice) / "buckets").keys() >= before.keys() - {"x"}
    for each in (twice, other):
        assert "nothing to do" in lfvpipe("plan", each, *UNTIL, *(OLD if each == other else ())).out


def test_a_ledger_of_another_pipeline_that_cannot_be_read_keeps_what_is_shared(
    twice: Path, lfvpipe: Any
) -> None:
    damaged = state(twice) / "other" / "ledger.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    archive = state(twice) / "cache" / ("01" * 16) / "a.zip"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"PK")
    assert set(kinds(lfvpipe("prune", twice, "--yes", "--json"))) == {"images"}
    assert archive.is_file()
    shutil.rmtree(damaged.parent)
    assert set(kinds(lfvpipe("prune", twice, "--yes", "--json"))) == {"objects", "archives"}
    assert not archive.exists()


def test_what_a_cancelled_training_had_learnt_goes_where_no_run_goes_on_from_it(
    prepared: Path, lfvpipe: Any
) -> None:
    pipeline = load(prepared).pipeline
    service = find_folder(state(prepared) / "service", pipeline.region)
    folder = cancelled_learning(service, pipeline.project)
    folder.mkdir(parents=True)
    (folder / "made of.kept").write_bytes(bytes(1000))
    ledger = engine.Ledger.load(state(prepared) / pipeline.name / "ledger.json")
    ledger.begin("default", "model", "0" * 64, {"version": 1}, exclusive=False)
    assert kinds(lfvpipe("prune", prepared, "--yes", "--json")) == {}
    outcome = Outcome("created", model_outcome(pipeline.project).as_json())
    ledger.finish("default", "model", "0" * 64, outcome, exclusive=False)
    said = lfvpipe("prune", prepared, "--yes", "--json")
    assert (kinds(said), said.json["freed"]) == ({"trainings": 1}, 1000)
    assert not folder.exists()


def test_the_oldest_kept_verdicts_go_with_their_images(prepared: Path, lfvpipe: Any) -> None:
    pipeline = load(prepared).pipeline
    store = store_of(state(prepared), pipeline.region, pipeline.project)
    for number in range(3):
        data = bytes([number]) * 1000
        sha256 = hashlib.sha256(data).hexdigest()
        when = f"2026-11-28T00:00:0{number}Z"
        store.keep(KeptVerdict(sha256, f"{number}", None, 1, 1, False, 0.9, "1", when), data)
    assert lfvpipe("run", prepared, "--until", "project").code == 0
    assert kinds(lfvpipe("prune", prepared, "--dry-run", "--json")) == {}
    before = bytes_below(store.folder)
    said = lfvpipe("prune", prepared, "--keep-verdicts", "1", "--yes", "--json")
    assert kinds(said) == {"verdicts": 2}
    assert said.json["freed"] == before - bytes_below(store.folder) > 2000
    assert [each.name for each in store.read()] == ["2"]
    assert len(list((store.folder / "images").iterdir())) == 1


@pytest.mark.slow
def test_old_models_and_pages_go_and_the_history_stays(file: Path, lfvpipe: Any) -> None:
    before = len(lfvpipe("history", file, "--json").json)
    assert lfvpipe("run", file, "--force", "model").code == 0
    models = state(file) / "service" / "models"
    assert len(list(models.iterdir())) == 2
    assert lfvpipe("prune", file, "--keep", "2", "--dry-run", "--json").json["groups"] == []
    with closing(sqlite3.connect(state(file) / "service" / "service.db")) as service:
        for status, shown in (("HOSTED", False), ("TRAINED", True)):
            service.execute("UPDATE models SET status = ? WHERE version = 1", [status])
            service.commit()
            found = kinds(lfvpipe("prune", file, "--dry-run", "--json"))
            assert ("models" in found) is shown
    latest = max((state(file) / "small" / "runs").glob("*.json"))
    whole = latest.read_text()
    latest.write_text(json.dumps(json.loads(whole) | {"verdict_files": []}))
    # Which verdicts are its own cannot be told, so none goes.
    assert "runs" not in kinds(lfvpipe("prune", file, "--dry-run", "--json"))
    latest.write_text(whole)
    said = lfvpipe("prune", file, "--yes", "--json")
    assert {"models", "runs"} <= kinds(said).keys()
    assert kinds(said)["models"] == 1
    assert len(list(models.iterdir())) == 1
    assert len(lfvpipe("history", file, "--json").json) == before + 1
    assert len(list((state(file) / "small" / "runs").glob("*.html"))) == 1
    assert lfvpipe("doctor", file).code == 0
    assert "nothing to do" in lfvpipe("plan", file).out
    assert lfvpipe("compare", file, "latest~1", "latest").code == 0
