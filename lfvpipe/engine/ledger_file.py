"""The ledger's file: read and checked, written whole, with one backup."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from lfvpipe import __version__, atomic, damage
from lfvpipe.engine.errors import EngineError

FORMAT = 1
STATES = frozenset({"running", "done", "failed"})
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
TABLES = ("outcomes", "standing", "attempted", "slots", "held")


class LedgerError(EngineError):
    """The ledger cannot be read or written; `path` is its file's."""

    def __init__(self, path: Path, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class LedgerDamaged(LedgerError):
    """The file is no ledger, or is lost.

    Attributes:
        fault: What is wrong, and where.
        backup: The ledger before this one, if it is there and sound.
    """

    def __init__(self, path: Path, fault: str) -> None:
        kept = backup(path)
        self.backup = kept if kept.exists() and _can_be_read(kept) else None
        hint = f"To start anew, move {path} away."
        if kept.exists() and not self.backup:
            hint = (
                f"The one before it, {kept.name}, cannot be used, either. Restore {path} from a"
                " copy; or, to start anew, move both away."
            )
        if self.backup:
            hint = f"The one before it is {kept.name}: to restore it, copy {kept} to {path}."
        super().__init__(path, f"The ledger {path} is damaged: {fault}.", hint=hint)
        self.fault = fault


class LedgerTooNew(LedgerError):
    """A later version wrote the ledger, in a format that this one cannot read."""

    def __init__(self, path: Path, written_by: str, found: int) -> None:
        super().__init__(
            path,
            f"The ledger {path} was written by version {written_by} in format {found};"
            f" this is version {__version__}, which reads up to {FORMAT}.",
            hint="Install that version or a later one.",
        )


class LedgerNotWritten(LedgerError):
    """The folder is read-only or the disk is full; the file is as it was."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            path,
            f"The ledger {path} cannot be written: {cause}.",
            hint="Free some space or make the folder writable.",
        )


def new() -> dict[str, Any]:
    """Return an empty ledger with a lineage of its own."""
    from uuid import uuid4

    head = {"format": FORMAT, "written_by": __version__, "lineage": str(uuid4()), "serial": 0}
    return {**head, **{table: {} for table in TABLES}}


def read(path: Path) -> dict[str, Any] | None:
    """Return the content of the ledger file, or None when there never was one.

    Raises:
        LedgerDamaged: It is not what `write` writes, or it is gone and its backup is not.
        LedgerTooNew: A later version wrote it.
        LedgerError: It cannot be read.
    """
    if kind := damage.kind_of(path):
        raise LedgerDamaged(path, f"{kind} is where a file belongs")
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if backup(path).exists():  # to begin anew here would replace the only copy there is
            raise LedgerDamaged(path, "it is gone, and only the one before it is there") from None
        return None
    except OSError as error:
        cause = error.strerror or str(error)
        raise LedgerError(path, f"The ledger {path} cannot be read: {cause}.") from error
    try:
        data = damage.parse_json(text, constant=_refuse)
    except ValueError as error:
        raise LedgerDamaged(path, f"it is not JSON ({error})") from error
    if not _is_text(text, data):
        raise LedgerDamaged(path, "a text holds half a surrogate pair, which is no character")
    found = data.get("format") if isinstance(data, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise LedgerTooNew(path, str(data.get("written_by", "?")), found)
    if not _is_sound(data):
        raise LedgerDamaged(path, _fault(data))
    return {**data, "written_by": __version__}


def _can_be_read(path: Path) -> bool:
    try:
        return read(path) is not None
    except LedgerError:
        return False


def write(path: Path, data: dict[str, Any]) -> None:
    """Replace the ledger file with `data`, and keep the one that was there as ``.bak``.

    Raises:
        LedgerNotWritten: The folder is read-only or the disk is full; the file is as it was.
    """
    text = _lines(data, 3) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _back_up(path)
        atomic.write_text(path, text)
    except OSError as error:
        raise LedgerNotWritten(path, error.strerror or str(error)) from error


def backup(path: Path) -> Path:
    """Return where the previous ledger is kept."""
    return path.with_name(f"{path.name}.bak")


def _back_up(path: Path) -> None:
    """Give the ledger's file a second name; it stays where it is until it is replaced."""
    if not path.exists():
        return
    # A hard link costs no copy, and at no moment is there neither ledger nor backup.
    temporary = path.with_name(atomic.temporary_name(backup(path).name))
    try:
        os.link(path, temporary)
    except OSError:  # a file system without hard links, or a full one
        atomic.write_bytes(backup(path), path.read_bytes())
        return
    temporary.replace(backup(path))
    # POSIX: renaming one name of a file onto another of the same file leaves both, as after a
    # kill between the backup and the write.
    temporary.unlink(missing_ok=True)


def _lines(value: Any, depth: int) -> str:
    """Return JSON with a line for each entry down to `depth`, for people to read and compare."""
    if depth == 0 or not isinstance(value, dict) or not value:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    entries = (f"{json.dumps(key)}: {_lines(entry, depth - 1)}" for key, entry in value.items())
    return "{\n" + ",\n".join(entries) + "\n}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _is_text(written: bytes, data: Any) -> bool:
    """Check that no text holds what no file has, but for names of files that are not UTF-8."""
    if not _SURROGATE.search(written):
        return True
    try:
        json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _is_sound(data: Any) -> bool:
    """Check what this package relies on, in a fraction of the time of the JSON Schema."""
    try:
        records = [record for kept in data["outcomes"].values() for record in kept.values()]
        return (
            data["format"] == FORMAT
            and isinstance(data["lineage"], str)
            and type(data["serial"]) is int
            and all(isinstance(data[table], dict) for table in TABLES)
            and all(_is_sound_table(data[kind]) for kind in ("standing", "attempted"))
            and all(isinstance(facts, dict) for facts in data["held"].values())
            and all(slot is None or isinstance(slot, str) for slot in data["slots"].values())
            and all(_is_sound_record(record) for record in records)
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _is_sound_table(table: dict[str, Any]) -> bool:
    return all(isinstance(print_, str) for steps in table.values() for print_ in steps.values())


def _is_sound_record(record: dict[str, Any]) -> bool:
    outcome, error = record["outcome"], record["error"]
    return (
        record["state"] in STATES
        and isinstance(record["inputs"], dict)
        and type(record["inputs"]["version"]) is int
        and type(record["attempts"]) is int
        and isinstance(record["saved"], dict)
        and _is_time(record["started"])
        and (record["finished"] is None or _is_time(record["finished"]))
        and all(_is_sound_outcome(earlier) for earlier in record.get("superseded", ()))
        and (error is None or isinstance(error["message"] + error["hint"], str))
        and (_is_sound_outcome(outcome) if outcome is not None else record["state"] != "done")
    )


def _is_time(text: Any) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_sound_outcome(outcome: dict[str, Any]) -> bool:
    return (
        isinstance(outcome["word"], str)
        and isinstance(outcome["facts"], dict)
        and isinstance(outcome["identity"], dict | None)
    )


def _fault(data: Any) -> str:
    """Say what is wrong with a ledger, by the JSON Schema; dear, so only when something is."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    shipped = Path(__file__).parents[1] / "_schemas"
    folder = shipped if shipped.is_dir() else Path(__file__).parents[2] / "schemas"
    schema = json.loads((folder / "ledger.schema.json").read_text("utf-8"))
    error = best_match(Draft202012Validator(schema).iter_errors(data))
    if error:
        return f"{error.json_path}: {error.message[:200]}"
    return "it holds a time that is none"  # which the schema knows by its signs alone
