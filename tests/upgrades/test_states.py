"""What earlier versions left is read, and what a later one left is refused with the way forward.

`make.py` made the archives in `fixtures`, each by the version that it is named after.
"""

import hashlib
import json
import sqlite3
import struct
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lfvpipe.detector import model_file
from lfvpipe.service import looks
from lfvpipe.service.state.schema import VERSION
from tests.workshop import Said, call

pytestmark = pytest.mark.slow
FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.tar.xz"))


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[[Path], Path]:
    def extract(archive: Path) -> Path:
        with tarfile.open(archive) as packed:
            packed.extractall(tmp_path / "small", filter="data")
        return tmp_path / "small"

    return extract


def files(folder: Path, pattern: str) -> dict[str, str]:
    """Return the digests of files by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob(pattern))
    }


@pytest.mark.parametrize("archive", FIXTURES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def test_a_pipeline_of_an_earlier_version_goes_on(
    archive: Path, unpack: Callable[[Path], Path]
) -> None:
    """Nothing is trained again, and the model says what it said."""
    folder = unpack(archive)
    before = files(folder, "model.lfv")
    ran = call("run", "p.yaml", cwd=folder)
    assert (ran.code, "Traceback" in ran.err) == (0, False)
    assert files(folder, "model.lfv") == before
    assert len(before) == 1
    said = call("detect", "p.yaml", "good", "bad", "--json", cwd=folder)
    then = json.loads((folder / "verdicts.json").read_text("utf-8"))
    assert _verdicts(said.json) == _verdicts(then)
    (model,) = (folder / ".lfvpipe").rglob("model.lfv")
    alone = call("detect", "--model", str(model), "good/00.jpg", "--json", cwd=folder)
    assert _verdicts(alone.json) == _verdicts(then)[:1]
    for command in ("history", "status", "plan", "doctor"):
        told = call(command, "p.yaml", cwd=folder)
        assert told.code == 0, (command, told.out, told.err)
    assert call("report", "p.yaml", cwd=folder).code == 0
    assert call("destroy", "p.yaml", "--yes", cwd=folder).code == 0


def raise_number(file: Path, name: str) -> None:
    data = json.loads(file.read_text("utf-8"))
    data[name] += 1
    data["written_by"] = "9.9"
    file.write_text(json.dumps(data), "utf-8")


def of_ledger(folder: Path) -> Path:
    file = folder / ".lfvpipe" / "p" / "ledger.json"
    raise_number(file, "format")
    return file


def of_run_file(folder: Path) -> Path:
    (file,) = (folder / ".lfvpipe" / "p" / "runs").glob("*.json")
    raise_number(file, "format")
    return file


def of_model_file(folder: Path) -> Path:
    (file,) = (folder / ".lfvpipe" / "service").rglob("model.lfv")
    data = bytearray(file.read_bytes())
    struct.pack_into("<I", data, 8, struct.unpack_from("<I", data, 8)[0] + 1)
    file.write_bytes(data)
    return file


def of_service(folder: Path) -> Path:
    (file,) = (folder / ".lfvpipe" / "service").glob("service.db")
    with closing(sqlite3.connect(file)) as state:
        state.execute(f"PRAGMA user_version = {VERSION + 1}")
    return file


COMMANDS: dict[Callable[[Path], Path], list[tuple[str, ...]]] = {
    of_ledger: [("run", "p.yaml"), ("plan", "p.yaml"), ("detect", "p.yaml", "good/00.jpg")],
    of_run_file: [("history", "p.yaml"), ("run", "p.yaml", "--force", "report")],
    of_model_file: [
        ("run", "p.yaml"),
        ("plan", "p.yaml"),
        ("detect", "p.yaml", "good/00.jpg"),
        ("detect", "--model", "MODEL", "good/00.jpg"),
    ],
    of_service: [("run", "p.yaml"), ("plan", "p.yaml"), ("detect", "p.yaml", "good/00.jpg")],
}


@pytest.mark.parametrize("make_newer", list(COMMANDS), ids=lambda each: each.__name__)
def test_what_a_later_version_wrote_is_refused_and_left_alone(
    unpack: Callable[[Path], Path], make_newer: Callable[[Path], Path]
) -> None:
    folder = unpack(FIXTURES[-1])
    file = make_newer(folder)
    there = file.read_bytes()
    for words in COMMANDS[make_newer]:
        said = call(*(str(file) if word == "MODEL" else word for word in words), cwd=folder)
        assert _is_refusal(said), (words, said)
        assert file.read_bytes() == there, words
    repaired = call("doctor", "p.yaml", "--repair", cwd=folder)
    assert "Traceback" not in repaired.err
    assert file.read_bytes() == there


@pytest.mark.parametrize("make_newer", [of_ledger, of_service], ids=["ledger", "service"])
def test_a_refused_destroy_removes_nothing(
    unpack: Callable[[Path], Path], make_newer: Callable[[Path], Path]
) -> None:
    folder = unpack(FIXTURES[-1])
    make_newer(folder)
    there = {path for path in folder.rglob("*") if path.is_file()}
    said = call("destroy", "--yes", "p.yaml", cwd=folder)
    assert _is_refusal(said), said
    assert {path for path in there if not path.is_file()} == set()
    assert "removed" not in said.out


def _is_refusal(said: Said) -> bool:
    text = " ".join((said.out + said.err).split())
    told = any(word in text for word in ("newer", "later version", "written by version"))
    return said.code != 0 and told and "Traceback" not in text and "bug" not in text


def _verdicts(said: object) -> list[tuple[object, ...]]:
    images = said["images"] if isinstance(said, dict) else said
    assert isinstance(images, list)
    return [(each["image"], each["is_anomalous"], round(each["confidence"], 4)) for each in images]


def test_the_version_of_model_files_is_told_without_the_detector() -> None:
    assert looks.MODEL_VERSION == model_file.VERSION
