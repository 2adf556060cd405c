"""The ledger's file: read and checked, written whole, with one backup."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from lfvpipe import __version__, atomic
from lfvpipe.errors import UserError

FORMAT = 1
STATES = frozenset({"running", "done", "failed"})
TABLES = ("outcomes", "standing", "attempted", "slots", "held")


class LedgerError(UserError):
    """The ledger cannot be read or written."""


def new() -> dict[str, Any]:
    """Return an empty ledger with a lineage of its own."""
    from uuid import uuid4

    head = {"format": FORMAT, "written_by": __version__, "lineage": str(uuid4()), "serial": 0}
    return {**head, **{table: {} for table in TABLES}}


def read(path: Path) -> dict[str, Any] | None:
    """Return the content of the ledger file, or None when there is none.

    Raises:
        LedgerError: The file is damaged, unreadable, or from a newer lfvpipe.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error.strerror}.") from error
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not JSON ({error})") from error
    _refuse_newer(path, data)
    if not _sound(data):
        raise _damaged(path, _fault(data))
    return {**data, "written_by": __version__}


def write(path: Path, data: dict[str, Any]) -> None:
    """Replace the ledger file with `data`, and keep the one that was there as ``.bak``.

    Raises:
        LedgerError: The folder is read-only or the disk is full; the file is as it was.
    """
    text = _lines(data, 3) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _back_up(path)
        atomic.write_text(path, text)
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} cannot be written: {error.strerror}.",
            hint="Free some space or make the folder writable, then run again: it resumes.",
        ) from error


def backup(path: Path) -> Path:
    """Return where the previous ledger is kept."""
    return path.with_name(f"{path.name}.bak")


def _back_up(path: Path) -> None:
    """Give the ledger's file a second name; it stays where it is until it is replaced."""
    if not path.exists():
        return
    temporary = path.with_name(f".{path.name}.bak.tmp")
    temporary.unlink(missing_ok=True)
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


def _refuse_newer(path: Path, data: Any) -> None:
    if not isinstance(data, dict) or not isinstance(found := data.get("format"), int):
        return
    if found > FORMAT:
        raise LedgerError(
            f"The ledger {path} was written by lfvpipe {data.get('written_by', '?')}"
            f" in format {found}; this is lfvpipe {__version__}, which reads up to {FORMAT}.",
            hint="Install that version or a later one, or use another --state-dir.",
        )


def _sound(data: Any) -> bool:
    """Check what this package relies on, in a fraction of the time of the JSON Schema."""
    try:
        return (
            data["format"] == FORMAT
            and isinstance(data["lineage"], str)
            and type(data["serial"]) is int
            and all(isinstance(data[table], dict) for table in TABLES)
            and all(_sound_table(data[kind]) for kind in ("standing", "attempted"))
            and all(isinstance(facts, dict) for facts in data["held"].values())
            and all(slot is None or isinstance(slot, str) for slot in data["slots"].values())
            and all(_sound_record(r) for kept in data["outcomes"].values() for r in kept.values())
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _sound_table(table: dict[str, Any]) -> bool:
    return all(isinstance(print_, str) for steps in table.values() for print_ in steps.values())


def _sound_record(record: dict[str, Any]) -> bool:
    outcome, error = record["outcome"], record["error"]
    return (
        record["state"] in STATES
        and isinstance(record["inputs"], dict)
        and type(record["inputs"]["version"]) is int
        and type(record["attempts"]) is int
        and isinstance(record["saved"], dict)
        and isinstance(record["started"], str)
        and isinstance(record["finished"], str | None)
        and all(_sound_outcome(earlier) for earlier in record.get("superseded", ()))
        and (error is None or isinstance(error["message"] + error["hint"], str))
        and (_sound_outcome(outcome) if outcome is not None else record["state"] != "done")
    )


def _sound_outcome(outcome: dict[str, Any]) -> bool:
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
    return f"{error.json_path}: {error.message[:200]}" if error else "it is not a ledger"


def _damaged(path: Path, fault: str) -> LedgerError:
    kept = backup(path)
    hint = f"To start anew, move {path} away."
    if kept.exists():
        hint = f"The one before it is {kept.name}: to restore it, copy {kept} to {path}."
    return LedgerError(f"The ledger {path} is damaged: {fault}.", hint=hint)
