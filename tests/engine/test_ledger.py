"""The ledger's file: whole, backed up, checked, and clear about what is wrong with it."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lfvpipe import atomic
from lfvpipe.engine.ledger import Ledger, LedgerError
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Work
from lfvpipe.errors import UserError

ROOT = Path(__file__).parents[2]
PRINT = "0" * 64


@pytest.fixture
def pipeline(steps: Any, bench: Any, world: Any) -> Any:
    """Return a pipeline whose ledger shows every kind of entry."""

    def breaks(work: Work) -> None:
        raise UserError("no", hint="do")

    def takes(work: Work) -> None:
        work.save(a=1)
        work.hold("thing", {"b": [2]})

    world.bodies.update(broken=breaks, slot=takes)
    ready = bench(
        steps.Writes("one"), steps.Writes("broken"), steps.Fills("slot", identity=lambda f: {})
    )
    ready.run()
    return ready


def damage(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_the_file_keeps_to_its_schema(pipeline: Any) -> None:
    schema = json.loads((ROOT / "schemas/ledger.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    data = json.loads(pipeline.path.read_text())
    assert [error.message for error in Draft202012Validator(schema).iter_errors(data)] == []
    assert {r["state"] for kept in data["outcomes"].values() for r in kept.values()} == {
        "done",
        "failed",
    }


def test_every_save_counts_and_keeps_the_lineage_and_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.json"
    ledger = Ledger.load(path)
    assert not path.parent.exists()
    ledger.save()
    first = path.read_bytes()
    ledger.save()
    assert (path.parent / "ledger.json.bak").read_bytes() == first
    assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.json", "ledger.json.bak"]
    again = Ledger.load(path)
    assert (again.serial, again.lineage) == (2, ledger.lineage)


def test_a_kill_between_backup_and_write_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.json"
    ledger = Ledger.load(path)
    ledger.save()

    def killed(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.save()
    assert Ledger.load(path).serial == 1
    for serial in (2, 3):
        ledger.save()
        assert Ledger.load(path).serial == serial
        assert Ledger.load(tmp_path / "ledger.json.bak").serial == serial - 1
        assert {file.name for file in tmp_path.iterdir()} == {"ledger.json", "ledger.json.bak"}


def test_a_file_system_without_hard_links_gets_its_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*names: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", unsupported)
    ledger = Ledger.load(tmp_path / "ledger.json")
    ledger.save()
    ledger.save()
    assert Ledger.load(tmp_path / "ledger.json.bak").serial == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("lineage"), "'lineage' is a required property"),
        (lambda d: d.update(serial="3"), "$.serial: '3' is not of type 'integer'"),
        (lambda d: d["outcomes"]["one"].update({PRINT: {}}), PRINT),
        (lambda d: d["outcomes"].update(one=[]), "$.outcomes.one: [] is not of type 'object'"),
        (lambda d: d["standing"].update(default={"one": 3}), "$.standing.default.one: 3 is not"),
        (lambda d: d["held"].update(x=1), "$.held.x: 1 is not of type 'object'"),
        (lambda d: next(iter(d["outcomes"]["one"].values())).update(outcome=None), "outcome"),
        (lambda d: next(iter(d["outcomes"]["one"].values())).update(state="idle"), "'idle'"),
        (lambda d: next(iter(d["outcomes"]["one"].values())).update(error={}), "error"),
        (lambda d: next(iter(d["outcomes"]["one"].values())).update(superseded=[1]), "superseded"),
    ],
)
def test_a_damaged_ledger_says_where_and_offers_the_backup(
    pipeline: Any, change: Callable[[Any], None], message: str
) -> None:
    damage(pipeline.path, change)
    with pytest.raises(LedgerError) as damaged:
        Ledger.load(pipeline.path)
    assert message in damaged.value.message
    assert f"copy {pipeline.path}.bak to {pipeline.path}" in damaged.value.hint


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\xff", '{"format": NaN}', "[]", "1"])
def test_what_is_no_ledger_at_all_is_damaged(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(LedgerError, match="is damaged") as damaged:
        Ledger.load(path)
    assert damaged.value.hint == f"To start anew, move {path} away."


def test_a_newer_ledger_names_its_writer(pipeline: Any) -> None:
    damage(pipeline.path, lambda data: data.update(format=9, written_by="4.5.6", outcomes=None))
    with pytest.raises(LedgerError, match=r"written by version 4\.5\.6 in format 9"):
        Ledger.load(pipeline.path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_or_a_read_only_folder_is_the_users_to_mend(
    pipeline: Any, world: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    world.bodies["broken"] = lambda work: None
    before = pipeline.path.read_bytes()

    def refuses(*_args: object, **_kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", refuses)
        with pytest.raises(LedgerError, match=os.strerror(code)):
            pipeline.run()
    assert pipeline.path.read_bytes() == before
    assert pipeline.run().ok


def test_a_folder_in_its_place_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").mkdir()
    with pytest.raises(LedgerError, match="a folder is where a file belongs"):
        Ledger.load(tmp_path / "ledger.json")


def test_an_outcome_that_is_overwritten_is_kept_for_destroy(pipeline: Any) -> None:
    ledger = pipeline.ledger
    (first,) = ledger.records("one")
    again = ("default", "one", first.fingerprint)
    for number in (2, 3):
        ledger.begin(*again, {"version": 1}, exclusive=False)
        ledger.finish(*again, Outcome("created", {"number": number}), exclusive=False)
    ledger.begin(*again, {"version": 1}, exclusive=False)
    ledger.fail("one", first.fingerprint, "no", outcome=Outcome("created", {"number": 3}))
    (record,) = pipeline.ledger.records("one")
    assert record.superseded == (first.outcome, Outcome("created", {"number": 2}))
    assert record.outcome == Outcome("created", {"number": 3})


def test_accepting_keeps_what_failed_attempts_created(pipeline: Any) -> None:
    ledger = pipeline.ledger
    ledger.begin("default", "one", PRINT, {"version": 1}, exclusive=False)
    ledger.remember("one", PRINT, {"job": 7})
    ledger.fail("one", PRINT, "no")
    ledger.accept("default", "one", PRINT, {"version": 1})
    assert pipeline.ledger.record("one", PRINT).saved == {"job": 7}


def test_a_ledger_from_before_outcomes_were_superseded_is_read(pipeline: Any) -> None:
    def dated(data: Any) -> None:
        for kept in data["outcomes"].values():
            for record in kept.values():
                del record["superseded"]

    damage(pipeline.path, dated)
    assert all(record.superseded == () for record in pipeline.ledger.records("one"))
    assert pipeline.run(force=frozenset({"one"})) is not None


def test_planning_imports_nothing_heavy() -> None:
    check = (
        "import sys, lfvpipe.engine.runner, lfvpipe.engine.ledger, lfvpipe.engine.lock;"
        "heavy = {'jsonschema', 'structlog', 'filelock', 'concurrent.futures', 'uuid', 'difflib'};"
        "sys.exit(' '.join(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr.strip()) == ("", "")
