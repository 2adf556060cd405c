"""Files that grow with the images: JSON Lines, named after their content."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from lfvpipe.damage import parse_json
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")


class UnreadableName(UserError):
    """An image is called by bytes that are no UTF-8."""


class DamagedLine(UserError):
    """A line is not what the file's writer writes.

    Attributes:
        file: The file.
        line: The line's number, from 1.
    """

    def __init__(self, file: Path, line: int) -> None:
        self.file = file
        self.line = line
        super().__init__(
            f"{file}:{line}: This line cannot be read.",
            hint="The file is damaged, or another version wrote it: force its step to run again.",
        )


def write_lines(folder: Path, lines: Iterable[Mapping[str, object]]) -> tuple[str, str]:
    """Write `lines` to a JSON Lines file in `folder` that is named after its content.

    Returns:
        The file's name and its SHA-256.

    Raises:
        UnreadableName: A name in a line is not Unicode.
    """
    from lfvpipe.atomic import staging

    hashed = hashlib.sha256()
    with staging(folder / "lines.jsonl") as staged:
        for line in lines:
            try:
                text = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            except UnicodeEncodeError as error:
                name = ascii(line.get("id", ""))
                raise UnreadableName(
                    f"The image {name} has a name that is not UTF-8.",
                    hint="Rename it, and run again.",
                ) from error
            hashed.update(text)
            staged.file.write(text)
        staged.path = folder / f"{hashed.hexdigest()}.jsonl"
    return staged.path.name, hashed.hexdigest()


def share_words(line: dict[str, Any], *names: str) -> None:
    """Let equal words under these names be one object: most lines have them in common."""
    for name in names:
        if isinstance(word := line.get(name), str):
            line[name] = sys.intern(word)


def read_lines(file: Path, build: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """Yield what `build` makes of each line of a JSON Lines file.

    Raises:
        DamagedLine: A line is no JSON, or `build` misses something in it.
    """
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                value = build(parse_json(line))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise DamagedLine(file, number) from error
            yield value
