"""Files of the state that are not what was written: each is noticed, and made again or refused.

Every file of a finished pipeline's state is emptied, cut (within a line and at a line's end),
zeroed, partly and as a whole, and replaced by JSON of another kind.

Where one check finds the damage in whatever file, which damage meets which file takes turns: each
file has some, and each damage some files. All meet all by ``LFVPIPE_DAMAGE_EVERY=1``, when what
checks them is changed. What is read by code of its own meets all damages each time.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import workshop
from tests.cli.conftest import DATA, SMALL
from tests.workshop import Said

pytestmark = pytest.mark.slow

Call = Callable[..., Said]


def _zero(data: bytes) -> bytes:
    return bytes(len(data))


def _zero_some(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(min(64, len(data) // 4)) + data[len(data) // 2 + 64 :]


def _cut_line(data: bytes) -> bytes:
    return b"".join(data.splitlines(keepends=True)[:-1])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda data: data[: len(data) * 2 // 3],
    "cut at a line": _cut_line,
    "zeroed": _zero,
    "partly zeroed": _zero_some,
    "wrong type": lambda _: b"[1, 2]\n",
}


def turns(files: Iterable[str], ways: Iterable[str], each: int) -> list[tuple[str, str]]:
    """Return pairs of both: for each file so many ways, in turns; all where that is asked for."""
    ways = list(ways)
    if os.environ.get("LFVPIPE_DAMAGE_EVERY") == "1":
        each = len(ways)
    return [
        (file, ways[(number * each + more) % len(ways)])
        for number, file in enumerate(files)
        for more in range(each)
    ]


@dataclass(frozen=True)
class Finished:
    """A pipeline that was run to its end, and a copy of its state to go back to.

    Attributes:
        left: What each file is known by, by path: its node, size and time.
    """

    file: Path
    copy: Path
    left: dict[Path, tuple[int, ...]] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.file.parent / ".lfvpipe"

    def restore(self) -> None:
        """Go back to the state as the run left it, times included.

        What a test has left alone stays: most of it is a model of megabytes, which each command
        would have to look at again, were it another file.
        """
        for path in sorted(self.state.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                if not (self.copy / path.relative_to(self.state)).is_dir():
                    path.rmdir()
            elif self.left.get(path) != _known_by(path) or "service.db" in path.name:
                path.unlink()
        for kept in sorted(self.copy.rglob("*")):
            path = self.state / kept.relative_to(self.copy)
            if kept.is_dir():
                path.mkdir(exist_ok=True)
            elif not path.exists():
                shutil.copy2(kept, path)
                self.left[path] = _known_by(path)


def _known_by(path: Path) -> tuple[int, ...]:
    found = path.lstat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("damaged")
    for name in ("Texture.zip", "Texture_def.zip"):
        shutil.copy(DATA / name, folder / name)
    file = folder / "small.yaml"
    # With five anomalies, of which the training tells its verdicts; small, since networks learn.
    file.write_text(SMALL.replace("count: 8", "count: 10") + "images: {resize: 64x64}\n")
    assert workshop.call("run", file).code == 0
    assert workshop.call("run", file).code == 0  # which notes what it found right
    shutil.copytree(folder / ".lfvpipe", folder / "copy")
    made = Finished(file, folder / "copy")
    made.left.update((path, _known_by(path)) for path in made.state.rglob("*"))
    return made


@pytest.fixture
def pipeline(finished: Finished) -> Iterator[Finished]:
    yield finished
    finished.restore()


def first(state: Path, pattern: str) -> Path:
    return min(path for path in state.glob(pattern) if path.is_file())


# What a run makes again: all but the training.
REMADE = [
    "small/selection/*.jsonl",
    "small/index/*.jsonl",
    "small/images/normal/*.png",
    "small/verdicts/*.jsonl",
    "small/evaluations/*.jsonl",
    "small/runs/*.json",
    "small/runs/*.html",
    "buckets/small/normal/Texture/*.png",
    "buckets/small/manifests/train-*.manifest",
]


@pytest.mark.parametrize(("pattern", "how"), turns(REMADE, DAMAGES, 2))
def test_what_can_be_made_again_is_named_and_made_again(
    pattern: str, how: str, pipeline: Finished, lfvpipe: Call
) -> None:
    file = first(pipeline.state, pattern)
    whole = file.read_bytes()
    damaged = DAMAGES[how](whole)
    if damaged == whole:
        pytest.skip("that is how it is")
    file.write_bytes(damaged)
    planned = lfvpipe("plan", pipeline.file)
    assert planned.code == 2, planned.out
    assert "output damaged" in planned.out, planned.out
    assert file.name in planned.out.replace("\n", "")
    ran = lfvpipe("run", pipeline.file)
    assert ran.code == 0, ran.err
    if "runs" not in pattern:
        assert file.read_bytes() == whole
    assert lfvpipe("plan", pipeline.file).code == 0


# What is only remembered, and found out again without a word: a cache, a journal, a lock.
REMEMBERED = [
    "known-valid.json",
    "small/images/journal.jsonl",
    "small/fetch/*.json",
    "small/heat-maps/*",
    "small/verified/*.json",
    "small/upload/*.keys",
    "small/ledger.json.bak",
    "small/lock",
    "small/report.html",
    "service/region",
    "service/logs/*",
]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("pattern", REMEMBERED)
def test_what_is_only_remembered_stands_in_no_way(
    pattern: str, how: str, pipeline: Finished, lfvpipe: Call
) -> None:
    if not [path for path in pipeline.state.glob(pattern) if path.is_file()]:
        pytest.skip("there is none")
    file = first(pipeline.state, pattern)
    file.write_bytes(DAMAGES[how](file.read_bytes()))
    assert lfvpipe("plan", pipeline.file).code == 0
    ran = lfvpipe("run", pipeline.file, "--force", "extract", "--force", "report")
    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize(
    "pattern", ["service/service.db", "service/models/1/model.lfv", "small/ledger.json"]
)
def test_what_a_run_cannot_make_again_by_itself_is_told(
    pattern: str, how: str, pipeline: Finished, lfvpipe: Call
) -> None:
    file = first(pipeline.state, pattern)
    whole = file.read_bytes()
    if (pattern, how) == ("service/service.db", "partly zeroed"):
        pytest.skip("SQLite has no checksums: a text that changed is not told from another")
    file.write_bytes(DAMAGES[how](whole))
    for beside in ("service.db-wal", "service.db-shm"):
        file.with_name(beside).unlink(missing_ok=True)
    planned = lfvpipe("plan", pipeline.file)
    assert planned.code in (1, 2), planned.out
    assert "damaged" in planned.out + planned.err
    assert "Traceback" not in planned.err
    assert "bug" not in planned.err


def _deep(file: Path) -> None:
    file.write_text("[" * 200_000)


# What stands where a file belongs.
MISFITS: dict[str, Callable[[Path], None]] = {
    "folder": Path.mkdir,
    "link to nothing": lambda file: file.symlink_to("/nonexistent/x"),
    "link to itself": lambda file: file.symlink_to(file),
    "pipe": lambda file: os.mkfifo(file),
    "deep JSON": _deep,
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes, and asks for rights to links")
@pytest.mark.parametrize(("pattern", "how"), turns(REMADE + REMEMBERED, MISFITS, 2))
def test_what_is_no_file_is_told_and_set_aside(
    pattern: str, how: str, pipeline: Finished, lfvpipe: Call
) -> None:
    if not [path for path in pipeline.state.glob(pattern) if path.is_file()]:
        pytest.skip("there is none")
    file = first(pipeline.state, pattern)
    file.unlink()
    MISFITS[how](file)
    if how != "deep JSON":
        for command in ("plan", "doctor"):
            said = lfvpipe(command, pipeline.file)
            assert said.code in (1, 2)
            assert "is where a file belongs" in (said.out + said.err).replace("\n", " ")
            assert "doctor --repair" in said.out + said.err
    ran = lfvpipe("run", pipeline.file)
    assert ran.code == 0, ran.err
    if how != "deep JSON":
        assert "set aside" in ran.err
        assert list(file.parent.glob(f"{file.name}.damaged-*"))
    assert lfvpipe("plan", pipeline.file).code == 0
    assert lfvpipe("doctor", pipeline.file).out == "the state is sound\n"


def _alter(data: bytes) -> bytes:
    """Return what the service may have written just as well: each number of 0.x another."""
    return re.sub(rb"(?<=: 0\.)\d", lambda digit: b"%d" % (9 - int(digit[0])), data)


EVALUATION = ["EvaluationManifest", "EvaluationResult", "TrainingVerdicts"]


@pytest.mark.parametrize("how", [*DAMAGES, "altered"])
@pytest.mark.parametrize("name", EVALUATION)
def test_an_evaluation_that_is_damaged_is_made_again_from_the_services_own(
    name: str, how: str, pipeline: Finished, lfvpipe: Call
) -> None:
    file, whole = _damage_evaluation(pipeline, name, how)
    looked = lfvpipe("doctor", pipeline.file)
    assert looked.code == 2
    assert file.name in looked.out
    assert lfvpipe("run", pipeline.file).code == 0
    assert file.read_bytes() == whole
    assert lfvpipe("doctor", pipeline.file).out == "the state is sound\n"


@pytest.mark.parametrize("how", [*DAMAGES, "altered"])
@pytest.mark.parametrize("name", EVALUATION)
def test_an_evaluation_that_is_damaged_and_has_no_copy_is_refused(
    name: str, how: str, pipeline: Finished, lfvpipe: Call
) -> None:
    _damage_evaluation(pipeline, name, how)
    first(pipeline.state, f"service/models/*/{name}.json").unlink()
    for options in ((), ("--force", "evaluate"), ("--force", "evaluate")):
        said = lfvpipe("run", pipeline.file, *options)
        assert said.code == 1, said.out
        assert "is damaged" in said.out + said.err
        assert "--force model" in said.out + said.err
        assert "Traceback" not in said.err
    for words in ([], ["--repair"]):
        looked = lfvpipe("doctor", pipeline.file, *words)
        assert (looked.code, "the model's evaluation" in looked.out.lower()) == (2, True)
        assert name in looked.out
        assert "--force model" in looked.out


def _damage_evaluation(pipeline: Finished, name: str, how: str) -> tuple[Path, bytes]:
    file = first(pipeline.state, f"buckets/small/{name}-*.json")
    whole = file.read_bytes()
    damaged = {**DAMAGES, "altered": _alter}[how](whole)
    if damaged == whole:
        pytest.skip("that is how it is")
    file.write_bytes(damaged)
    return file, whole
