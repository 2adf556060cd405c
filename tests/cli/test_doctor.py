"""`lfvpipe doctor` on a project as far as no model is needed."""

import gc
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workshop import Said

Call = Callable[..., Said]


@pytest.fixture
def made(project: Path, lfvpipe: Call) -> Path:
    """Return a pipeline file whose datasets were made."""
    assert lfvpipe("run", project, "--until", "datasets").code == 0
    return project


@pytest.fixture
def state(made: Path) -> Path:
    return made.parent / ".lfvpipe"


def test_a_sound_state_is_called_so(made: Path, lfvpipe: Call) -> None:
    said = lfvpipe("doctor", made)
    assert (said.code, said.out) == (0, "the state is sound\n")
    assert lfvpipe("doctor", made, "--json").json == {"sound": True, "complaints": []}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux tells open files")
@pytest.mark.parametrize("words", [("run", "--until", "datasets"), ("plan", "--refresh")])
def test_no_file_of_the_state_is_open_once_a_command_has_ended(
    made: Path, lfvpipe: Call, words: tuple[str, ...]
) -> None:
    gc.disable()
    try:
        lfvpipe(words[0], made, *words[1:], *(["--force"] if words[0] == "run" else []))
        links = [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        opened = {str(each.readlink()) for each in links if os.path.lexists(each)}
    finally:
        gc.enable()
    assert [each for each in opened if str(made.parent) in each] == []


def test_where_nothing_was_run_nothing_is_wrong(project: Path, lfvpipe: Call) -> None:
    assert lfvpipe("doctor", project).code == 0
    assert not (project.parent / ".lfvpipe" / "pipeline").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes")
@pytest.mark.parametrize(
    "where", ["other/ledger.json.bak", "other/runs/x.json", "buckets/others/a.lfv"]
)
def test_what_is_no_file_in_anothers_state_stops_only_the_other(
    made: Path, state: Path, lfvpipe: Call, where: str
) -> None:
    misfit = state / where
    misfit.parent.mkdir(parents=True)
    os.mkfifo(misfit)
    for command, code in (("status", 0), ("plan", 2), ("validate", 0), ("run", 0)):
        words = ("--until", "datasets") if command == "run" else ()
        said = lfvpipe(command, made, *words)
        assert said.code == code, said.err
        assert f"note: {misfit}: a pipe is where a file belongs" in said.err
    assert misfit.is_fifo()
    other = made.with_name("other.yaml")
    other.write_text(f"bucket: {{name: others}}\n{made.read_text()}")
    assert "is where a file belongs" in lfvpipe("status", other).err
    assert lfvpipe("status", other).code == 1
    looked = lfvpipe("doctor", made)
    assert (looked.code, str(misfit) in looked.out) == (2, True)
    assert lfvpipe("doctor", made, "--repair").code == 0
    assert lfvpipe("doctor", made).out == "the state is sound\n"


def test_a_damaged_ledger_is_set_aside_and_the_one_before_it_restored(
    made: Path, state: Path, lfvpipe: Call
) -> None:
    ledger = state / "pipeline" / "ledger.json"
    ledger.write_bytes(ledger.read_bytes()[:1000])
    ran = lfvpipe("run", made, "--until", "datasets")
    assert "lfvpipe doctor --repair" in ran.err
    looked = lfvpipe("doctor", made)
    assert looked.code == 2
    assert "is damaged" in looked.out
    assert ledger.stat().st_size == 1000
    repaired = lfvpipe("doctor", made, "--repair")
    assert repaired.code == 0, repaired.out
    assert len(list(ledger.parent.glob("ledger.json.damaged-*"))) == 1
    assert lfvpipe("run", made, "--until", "datasets").code == 0
    assert lfvpipe("doctor", made).code == 0


def test_a_lost_ledger_beside_its_backup_is_no_new_one(
    made: Path, state: Path, lfvpipe: Call
) -> None:
    ledger = state / "pipeline" / "ledger.json"
    backup = ledger.with_name("ledger.json.bak")
    kept = backup.read_bytes()
    ledger.unlink()
    for command in ("run", "plan", "status"):
        said = lfvpipe(command, made)
        assert said.code == 1, said.out
        assert "lfvpipe doctor --repair" in said.err
        assert (ledger.exists(), backup.read_bytes()) == (False, kept)
    looked = lfvpipe("doctor", made)
    assert looked.code == 2
    assert "is gone" in looked.out
    assert lfvpipe("doctor", made, "--repair").code == 0
    assert ledger.read_bytes() == kept
    assert lfvpipe("run", made, "--until", "datasets").code == 0
    assert lfvpipe("doctor", made).out == "the state is sound\n"


def test_of_two_damaged_ledgers_no_repair_is_promised(
    made: Path, state: Path, lfvpipe: Call
) -> None:
    ledger = state / "pipeline" / "ledger.json"
    backup = ledger.with_name("ledger.json.bak")
    for file in (ledger, backup):
        file.write_bytes(b"{")
    for words in (("run",), ("status",), ("doctor", "--repair")):
        said = lfvpipe(words[0], made, *words[1:])
        assert said.code in (1, 2)
        assert "move both away. `lfvpipe run --adopt` then" in said.out + said.err
        assert "--repair" not in said.out + said.err
    ledger.unlink()
    backup.unlink()
    assert lfvpipe("run", made, "--until", "datasets", "--adopt").code == 0


@pytest.mark.parametrize("content", [b"", b"nonsense" * 2000])
def test_a_damaged_database_is_set_aside_and_made_again_by_a_run(
    content: bytes, made: Path, state: Path, lfvpipe: Call
) -> None:
    database = state / "service" / "service.db"
    # A file of its own: a connection of the run before that is yet to be collected would write
    # its log into the old one.
    for each in ("", "-wal", "-shm"):
        database.with_name(database.name + each).unlink(missing_ok=True)
    database.write_bytes(content)
    planned = lfvpipe("plan", made, "--until", "datasets")
    assert planned.code == 2
    assert "service.db" in planned.out.replace("\n", "")
    assert "damaged" in planned.out
    if content:
        ran = lfvpipe("run", made, "--until", "datasets")
        assert ran.code == 1
        assert "lfvpipe doctor --repair" in ran.err
        (told,) = lfvpipe("doctor", made, "--json").json["complaints"]
        assert "let `lfvpipe doctor --repair` set it aside" in told["remedy"]
    repaired = lfvpipe("doctor", made, "--repair")
    assert "set aside as" in repaired.out
    assert lfvpipe("run", made, "--until", "datasets").code == 0
    assert lfvpipe("doctor", made).code == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes, and asks for rights to links")
@pytest.mark.parametrize(
    ("pattern", "how"),
    [
        ("known-valid.json", "pipe"),
        ("service/service.db", "link"),
        ("pipeline/ledger.json", "pipe"),
        ("pipeline/ledger.json", "folder"),
        ("pipeline/lock", "folder"),
        ("pipeline/fetch/normal.json", "pipe"),
        ("pipeline/index/*.jsonl", "folder"),
        ("pipeline/images/normal/*.png", "circle"),
        ("buckets/*/manifests/*.manifest", "folder"),
        ("buckets/*/normal/*/*.png", "link"),
    ],
)
def test_what_stands_where_a_file_belongs_is_told_and_set_aside(
    pattern: str, how: str, made: Path, state: Path, lfvpipe: Call
) -> None:
    file = min(state.glob(pattern))
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/nonexistent/x" if how == "link" else file)
    for command in ("plan", "doctor"):
        said = lfvpipe(command, made)
        assert said.code in (1, 2), said.out
        assert "is where a file belongs" in (said.out + said.err).replace("\n", " ")
        assert "bug" not in said.err
    if file.name in ("service.db", "ledger.json"):  # a run does not do it by itself
        assert "doctor --repair" in lfvpipe("run", made, "--until", "datasets").err
        assert "set aside as" in lfvpipe("doctor", made, "--repair").out
    ran = lfvpipe("run", made, "--until", "datasets")
    assert ran.code == 0, ran.out + ran.err
    assert list(file.parent.glob(f"{file.name}.damaged-*"))
    assert lfvpipe("doctor", made).out == "the state is sound\n"


@pytest.mark.parametrize("name", ["known-valid.json", "pipeline/fetch/normal.json"])
def test_json_too_deep_to_read_stands_in_no_way(
    name: str, made: Path, state: Path, lfvpipe: Call
) -> None:
    (state / name).write_text("[" * 200_000)
    for command in (["plan"], ["doctor"], ["doctor", "--repair"]):
        assert "bug" not in lfvpipe(command[0], made, *command[1:]).err
    ran = lfvpipe("run", made, "--until", "datasets")
    assert ran.code == 0, ran.err


def test_damage_that_keeps_size_and_times_is_found(made: Path, state: Path, lfvpipe: Call) -> None:
    image = min((state / "pipeline" / "images" / "normal").iterdir())
    status = image.stat()
    image.write_bytes(bytes(status.st_size))
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    said = lfvpipe("doctor", made, "--json")
    assert said.code == 2
    (complaint,) = said.json["complaints"]
    assert image.name in complaint["what"]
    assert lfvpipe("run", made, "--until", "datasets").code == 0
    assert lfvpipe("doctor", made).code == 0


def test_what_is_no_run_file_and_what_a_kill_left_is_put_away(
    made: Path, state: Path, lfvpipe: Call
) -> None:
    runs = state / "pipeline" / "runs"
    runs.mkdir()
    (runs / "20260101T000000Z-00000000.json").write_text("[]")
    (state / "pipeline" / ".ledger.json.0123456789abcdef.tmp").write_text("{")
    assert lfvpipe("history", made).code == 1
    assert lfvpipe("doctor", made).code == 2
    repaired = lfvpipe("doctor", made, "--repair", "--json")
    assert [each["repaired"] for each in repaired.json["complaints"]] == [True, True]
    assert not list((state / "pipeline").rglob("*.tmp"))
    assert lfvpipe("doctor", made).code == 0


def test_a_lost_local_bucket_is_noticed(made: Path, state: Path, lfvpipe: Call) -> None:
    shutil.rmtree(state / "buckets")
    said = lfvpipe("doctor", made, "--json")
    assert said.code == 2
    assert json.dumps(said.json).count("output missing") >= 1
