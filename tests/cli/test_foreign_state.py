"""Ledgers, run files and labels files that somebody made up: told, never a traceback.

More with ``LFVPIPE_MUTATIONS=20000``.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lfvpipe import cli
from tests.mutations import MUTATIONS, mutate, mutate_json
from tests.workshop import Said

pytestmark = pytest.mark.slow

Call = Callable[..., Said]
LOOKS = [
    ["plan"],
    ["plan", "--json"],
    ["status"],
    ["status", "--json"],
    ["history"],
    ["history", "--json"],
    ["compare"],
    ["graph"],
    ["report"],
    ["report", "--json"],
    ["stop"],
    ["run", "--until", "check"],
]


@pytest.fixture
def crashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the command line takes for bugs of its own from now on."""
    found: list[str] = []

    def report(bug: BaseException, command: str, *_: object, **_more: object) -> int:
        found.append(f"{command}: {bug!r}")
        return 1

    monkeypatch.setattr(cli.crash, "report", report)
    return found


@pytest.fixture(scope="module")
def finished(trained: tuple[Path, Said], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a pipeline that was run to its end, in a folder of its own."""
    folder = tmp_path_factory.mktemp("foreign") / "small"
    shutil.copytree(trained[0].parent, folder)
    return folder / trained[0].name


@pytest.fixture
def pipeline(finished: Path) -> Iterator[Path]:
    """Return that file; afterwards its state is as it was."""
    copy = finished.parent.with_name("copy")
    if not copy.exists():
        shutil.copytree(finished.parent / ".lfvpipe", copy)
    yield finished
    shutil.rmtree(finished.parent / ".lfvpipe")
    shutil.copytree(copy, finished.parent / ".lfvpipe")


def texts(whole: bytes, count: int) -> Iterator[bytes]:
    """Yield a document with its members changed, and with its bytes changed."""
    for changed in mutate_json(json.loads(whole), count - count // 4):
        yield json.dumps(changed).encode()
    yield from mutate([whole], count // 4, texts=True)


@pytest.mark.parametrize("pattern", ["small/ledger.json", "small/runs/*.json"])
def test_foreign_documents_of_the_state_are_read_or_told(
    pattern: str, pipeline: Path, lfvpipe: Call, crashes: list[str]
) -> None:
    file = max((pipeline.parent / ".lfvpipe").glob(pattern))  # the last run's, which is looked at
    random = Random(7)
    whole = file.read_bytes()
    for text in texts(whole, MUTATIONS // 5):
        file.write_bytes(text)
        command, *options = random.choice(LOOKS)
        said = lfvpipe(command, pipeline, *options)
        assert said.code in (0, 1, 2, 3), said.err
        assert crashes == [], text
        for beside in file.parent.glob(f"{file.name}.bak"):
            beside.unlink()


LINES: list[dict[str, Any]] = [
    {"name": "Texture/1.png", "label": "anomaly"},
    {
        "name": "Texture/2.png",
        "source": "normal",
        "sha256": "0" * 64,
        "label": "anomaly",
        "was": "normal",
        "who": "Ana",
        "when": "2026-01-31T12:00:00Z",
        "mask": "mask.png",
        "classes": {"dent": "#23A436"},
    },
    {"name": "Texture/2.png", "label": None, "who": "Ana", "comment": "no"},
]


def test_foreign_labels_are_read_or_told(prepared: Path, lfvpipe: Call, crashes: list[str]) -> None:
    file = prepared.with_name("reviewed.jsonl")
    shutil.copy(Path(__file__), prepared.with_name("mask.png"))
    text = prepared.read_text()
    prepared.write_text(text.replace("sources:\n", "sources:\n  labels: reviewed.jsonl\n"))
    whole = "".join(f"{json.dumps(line)}\n" for line in LINES).encode()
    told = 0
    documents = (
        "".join(f"{json.dumps(line)}\n" for line in lines if line != "").encode()
        for lines in mutate_json(LINES, MUTATIONS // 10)
    )
    random = Random(8)
    for data in (*documents, *mutate([whole], MUTATIONS // 20, texts=True)):
        file.write_bytes(data)
        words = random.choice((["plan"], ["validate"], ["run", "--until", "select"]))
        said = lfvpipe(words[0], prepared, *words[1:])
        for form in ("csv", "manifest"):
            lfvpipe("review", prepared, "--labels", file, "--export", form)
        assert crashes == [], data
        told += "reviewed.jsonl" in said.err
    assert told


@pytest.mark.parametrize("mask", ["/dev/zero", ".", "\0", "a" * 5000])
def test_a_mask_that_is_no_file_is_told(
    mask: str, prepared: Path, lfvpipe: Call, crashes: list[str]
) -> None:
    file = prepared.with_name("reviewed.jsonl")
    text = prepared.read_text()
    prepared.write_text(text.replace("sources:\n", "sources:\n  labels: reviewed.jsonl\n"))
    file.write_text(json.dumps({**LINES[1], "mask": mask}))
    said = lfvpipe("plan", prepared)
    assert (said.code, crashes) == (1, []), said.err
    assert "reviewed.jsonl" in said.err
