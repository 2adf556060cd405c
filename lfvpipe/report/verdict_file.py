"""Verdict files: JSON Lines, a verdict a line, sorted by id: equal runs leave equal bytes."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lfvpipe import atomic
from lfvpipe.damage import parse_json
from lfvpipe.report.records import Verdict


def write_verdicts(state_dir: Path, name: str, verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """Write `verdicts` to `name` under `state_dir`, whole or not at all.

    Returns:
        What the ledger and the run file say of it: path (relative), sha256, count.
    """
    hashed, count = hashlib.sha256(), 0
    with atomic.replacing(state_dir / name) as file:
        for verdict in sorted(verdicts, key=lambda verdict: verdict.id):
            line = (encode(verdict) + "\n").encode()
            hashed.update(line)
            file.write(line)
            count += 1
    return {"path": name, "sha256": hashed.hexdigest(), "count": count}


def encode(verdict: Verdict) -> str:
    """Return `verdict` as a line of JSON, without the line's end."""
    return json.dumps(verdict.as_json(), ensure_ascii=False, sort_keys=True, allow_nan=False)


def read_verdicts(path: Path) -> Iterator[Verdict]:
    """Yield the verdicts of a verdict file; none if it is not there."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Verdict.from_json(parse_json(line))


def read_partial(path: Path) -> Iterator[Verdict]:
    """Yield the verdicts of a file that a killed process appended to; a torn last line ends it."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                yield Verdict.from_json(parse_json(line))
            except (ValueError, KeyError):
                return
