"""What the service's files tell to whoever only looks: nothing is opened for writing.

Light, since a run that has nothing to do looks here whether what it relies on is still there.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import struct
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lfvpipe.service.errors import ModelTooNew, StateTooNew
from lfvpipe.service.state.schema import VERSION

if TYPE_CHECKING:
    from pathlib import Path

STATE: Final = "service.db"
HOME: Final = "region"
"""The file that names the region of the folder itself."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # as a pipeline's; it names a folder
_MODEL_HEAD = struct.Struct("<8sII")
# As in lfvpipe.detector.model_file, which imports numpy.
_MODEL_MAGIC = b"lfv-det\n"
MODEL_VERSION: Final = 6
_NO_VERSION = 1000  # nor is a number that damage made
# SQLite's result codes, and what it says of a state without its tables.
_CORRUPT, _NOT_A_DATABASE = 11, 26
_NO_TABLE = "no such table"


class StateDamaged(Exception):
    """The state's file is no state."""


@dataclass(frozen=True)
class KnownModel:
    """A model version as the state's file has it.

    Attributes:
        status: The API's name of it.
        detector: Which one made it.
        file: Where the default detector's models lie.
    """

    status: str
    detector: str
    file: Path


def home_of(folder: Path) -> str | None:
    """Return the region of a service's folder itself; None where no sound file tells."""
    try:
        text = (folder / HOME).read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return None
    # One that was cut has no line end; it could be the name of another region.
    return text.strip() if text.endswith("\n") and _NAME.fullmatch(text.strip()) else None


def cancelled_learning(folder: Path, project: str) -> Path:
    """Return where what a cancelled training of a project had learnt lies, if there is any.

    Args:
        folder: Of a region's service, as `find_folder` returns it.
        project: The project's name.
    """
    # By digest: names that differ in case only would share a folder.
    return folder / "cancelled" / hashlib.sha256(project.encode()).hexdigest()[:16]


def find_folder(state_dir: Path, region: str) -> Path:
    """Return the state folder of a region without touching anything: it may not exist."""
    home = home_of(state_dir)
    return state_dir if home in (None, region) else state_dir / "regions" / region


def has_project(state_dir: Path, region: str, project: str) -> bool:
    """Tell whether a project is in the state; True also where the file cannot be asked now.

    Raises:
        StateDamaged: The file is no state.
    """
    file = find_folder(state_dir, region) / STATE
    row = _ask(file, "SELECT 1 FROM projects WHERE name = ?", project)
    return row is not None


def find_model(state_dir: Path, region: str, project: str, version: str) -> KnownModel | None:
    """Return a model version; None where there is none.

    Raises:
        StateDamaged: The file is no state.
        sqlite3.Error: It cannot be asked now.
    """
    folder = find_folder(state_dir, region)
    query = "SELECT id, status, detector FROM models WHERE project = ? AND version = ?"
    row = _ask(folder / STATE, query, project, int(version))
    if row is None:
        return None
    return KnownModel(str(row[1]), str(row[2]), folder / "models" / str(row[0]) / "model.lfv")


def is_whole_model(file: Path) -> bool:
    """Tell whether a model file of the default detector has the digest that it names.

    Raises:
        ModelTooNew: A later version wrote it, which is no damage.
    """
    data = file.read_bytes()
    start = _MODEL_HEAD.size + hashlib.sha256().digest_size
    if len(data) < start or not data.startswith(_MODEL_MAGIC):
        return False
    version = _MODEL_HEAD.unpack_from(data)[1]
    if MODEL_VERSION < version < _NO_VERSION:
        raise ModelTooNew(file, version, MODEL_VERSION)
    digest = hashlib.sha256(data[: _MODEL_HEAD.size])
    digest.update(memoryview(data)[start:])
    return digest.digest() == data[_MODEL_HEAD.size : start]


def damage_of(file: Path) -> str | None:
    """Return what SQLite finds wrong with a state's file, all of which it reads; None if nothing.

    Nothing is said of a file that cannot be asked now, such as one that may not be read.

    Raises:
        StateTooNew: A later version wrote it.
    """
    try:
        _ask(file, "SELECT 1 FROM projects")
        row = _ask(file, "PRAGMA integrity_check(1)")
    except StateDamaged as error:
        return str(error)
    except sqlite3.Error:
        return None
    return None if row is not None and row[0] == "ok" else str(row[0] if row else "it is gone")


def lines_in_use(file: Path) -> list[str]:
    """Return the manifest lines that the data sets of a state's file hold, and its trainings.

    Raises:
        StateDamaged: The file is no state.
        StateTooNew: A later version wrote it.
        sqlite3.Error: It cannot be asked now.
    """
    rows = _rows(
        file,
        "SELECT line FROM entries WHERE content IN (SELECT content FROM datasets"
        " UNION SELECT next_content FROM datasets"
        " UNION SELECT train_content FROM models WHERE status = 'TRAINING'"
        " UNION SELECT test_content FROM models WHERE status = 'TRAINING')",
    )
    return [str(line) for (line,) in rows]


def is_changing(file: Path) -> bool:
    """Say whether a data set of a state's file is being created or updated; see `lines_in_use`."""
    query = "SELECT 1 FROM datasets WHERE next_content IS NOT NULL OR status LIKE '%IN_PROGRESS'"
    return _ask(file, query) is not None


def sources_of_trials(file: Path) -> list[str]:
    """Return the addresses of the images of trial detections; see `lines_in_use`."""
    if _ask(file, "SELECT 1 FROM sqlite_master WHERE name = 'trial_images'") is None:
        return []  # an earlier version's
    return [str(source) for (source,) in _rows(file, "SELECT source FROM trial_images")]


def _ask(file: Path, query: str, *values: Any) -> Any:
    """Return the first row of a query; None where there is none, or no file; see `_rows`."""
    rows = _rows(file, query, *values)
    return rows[0] if rows else None


def _rows(file: Path, query: str, *values: Any) -> list[Any]:
    """Return the rows of a query; none where there is no file.

    Raises:
        StateDamaged: The file is no state.
        StateTooNew: A later version wrote it.
        sqlite3.Error: It cannot be asked now.
    """
    if not file.is_file():
        return []
    if file.stat().st_size == 0 and not file.with_name(f"{file.name}-wal").is_file():
        raise StateDamaged("it is empty")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as state:
            version = int(state.execute("PRAGMA user_version").fetchone()[0])
            if version > VERSION:
                raise StateTooNew(file, version, VERSION)
            return state.execute(query, values).fetchall()
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (_CORRUPT, _NOT_A_DATABASE) or _NO_TABLE in str(error):
            raise StateDamaged(str(error)) from error
        raise
