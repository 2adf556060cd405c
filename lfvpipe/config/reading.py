"""YAML text in, nodes with their places out; hostile text is refused, never expanded."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from lfvpipe.config.problems import ConfigError, Problem, problem
from lfvpipe.config.scalars import scalar
from lfvpipe.config.tree import Node, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Far more than anyone writes by hand, and little enough to read in a second or two.
LARGEST_FILE = 1_000_000  # bytes
MOST_NODES = 100_000
DEEPEST = 40

_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")


def read(file: Path, shown: str) -> bytes:
    """Return the bytes of `file`, which messages call `shown`.

    Raises:
        ConfigError: It cannot be read, is not a file, or is larger than `LARGEST_FILE`.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError([Problem(shown, 0, 0, "this is not a file", "Name a YAML file.")])
        if status.st_size > LARGEST_FILE:
            size = f"{status.st_size:,} bytes, at most {LARGEST_FILE:,}"
            message = f"this file is too large for a configuration: {size}"
            hint = "Is it the right file? Images and lists of them belong into archives or globs."
            raise ConfigError([Problem(shown, 0, 0, message, hint)])
        return file.read_bytes()
    except FileNotFoundError as error:
        absent = Problem(shown, 0, 0, "there is no such file", _suggest_files(file))
        raise ConfigError([absent]) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"this file cannot be read: {reason}"
        raise ConfigError([Problem(shown, 0, 0, message, "Check the path.")]) from error


def _suggest_files(missing: Path) -> str:
    """Return what a user may have meant by a file that is not there."""
    from difflib import get_close_matches

    beside = missing.absolute().parent
    names = sorted(path.name for path in beside.glob("*.y*ml")) if beside.is_dir() else []
    near = get_close_matches(missing.name, names, n=2) or names[:3]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return "Check the path, or let `lfvpipe init` make one from a folder or archives of images."


def parse(data: bytes, file: str, folder: Path) -> tuple[Node, list[Problem]]:
    """Return the mapping that the YAML document `data` holds, and what is wrong with it.

    Args:
        data: UTF-8, with or without a byte order mark.
        file: What messages call it.
        folder: What relative paths in it are relative to.

    Raises:
        ConfigError: Nothing useful can be read from it.
    """
    reading = _Reading(file, folder)
    node = reading.document(_decode(data, file))
    if not isinstance(node.value, dict):
        hint = "Write keys with values, such as `sources:`; `lfvpipe init` makes a first file."
        what = "is empty" if node.value is None else "has no keys at its top level"
        raise ConfigError([*reading.problems, problem(node.place, f"this file {what}", hint)])
    return node, reading.problems


def parse_value(text: str, place: Place) -> tuple[Node, list[Problem]]:
    """Return the value that YAML `text` holds, all of it at `place`, and what is wrong with it.

    Nothing at all is no value here: the shell makes it of a variable that is not set.

    Raises:
        ConfigError: It is not YAML.
    """
    reading = _Reading(place.file, place.folder, fixed=place)
    return reading.document(text), reading.problems


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"this is not UTF-8 text (byte 0x{data[error.start]:02x})"
        hint = "Save the file as UTF-8; a YAML file is wanted, not an archive or an image."
        raise ConfigError([Problem(file, line, column, message, hint)]) from error


class _Reading:
    """One document while it is read: PyYAML's events in, nodes out."""

    def __init__(self, file: str, folder: Path, fixed: Place | None = None) -> None:
        self.file, self.folder, self.fixed = file, folder, fixed
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        self.nodes = 0

    def document(self, text: str) -> Node:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        node: Node | None = None
        try:
            events = yaml.parse(text, Loader=loader)
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    if node is not None:
                        hint = "Put each document into a file of its own and remove the line `---`."
                        self._stop(self._place(event), "a second YAML document begins here", hint)
                    node = self._node(next(events), events, 0)
        except yaml.YAMLError as error:
            raise ConfigError([*self.problems, self._syntax(error, text)]) from error
        if node is None and self.fixed:
            self._refuse_nothing(self.fixed)
        start = self.fixed or Place(self.file, 1, 1, self.folder)
        return node or Node(None, start, start)

    def _node(self, event: Any, events: Iterator[yaml.Event], depth: int) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor or "", place, depth)
        self._count(1, place)
        self._descend(depth, place)
        before = self.nodes
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, place)
        elif isinstance(event, yaml.MappingStartEvent):
            self._refuse_tag(event, place)
            node = self._mapping(place, events, depth + 1)
        else:
            self._refuse_tag(event, place)
            items = []
            while not isinstance(event_below := next(events), yaml.SequenceEndEvent):
                items.append(self._node(event_below, events, depth + 1))
            node = Node(tuple(items), place, place)
        if event.anchor:  # only now: an alias inside of what it stands for would have no end
            self.anchors[event.anchor] = (node, self.nodes - before + 1, _height(node))
        return node

    def _mapping(self, place: Place, events: Iterator[yaml.Event], depth: int) -> Node:
        found: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            plain_key = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
            key = self._node(event, events, depth)
            value = self._node(next(events), events, depth)
            if plain_key and key.value == "<<":
                merged = {**self._merge_values(value), **merged}
            elif not isinstance(key.value, str):
                hint = "Keys are names; quote it if meant."
                self.problems.append(problem(key.place, "this key is not text", hint))
            elif key.value in found:  # YAML forbids it, and most readers take the last in silence
                first = found[key.value].key
                message = f'the key "{key.value}" is here a second time'
                hint = f"The first is at {first.line}:{first.column}; keep one of them."
                self.problems.append(problem(key.place, message, hint))
            else:
                found[key.value] = replace(value, key=key.place)
        # What is written here counts more than what is merged in, wherever the `<<` stands.
        return Node({**merged, **found}, place, place)

    def _merge_values(self, value: Node) -> dict[str, Node]:
        merged: dict[str, Node] = {}
        for node in value.value if isinstance(value.value, tuple) else (value,):
            if isinstance(node.value, dict):
                merged = {**node.value, **merged}
            else:
                message = "`<<` takes a mapping, or a list of mappings"
                self.problems.append(problem(node.place, message, "Refer to one as `<<: *name`."))
        return merged

    def _alias(self, name: str, place: Place, depth: int) -> Node:
        if name not in self.anchors:
            hint = f"Define `&{name}` above; put text that begins with * in quotes."
            self._stop(place, f"`*{name}` refers to nothing that is complete here", hint)
        node, size, height = self.anchors[name]
        # As if it were written out here: nine lines of aliases can stand for a billion values.
        self._count(size, place)
        self._descend(depth + height, place)
        return node

    def _descend(self, depth: int, place: Place) -> None:
        if depth > DEEPEST:
            self._stop(place, f"this is nested more than {DEEPEST} levels deep", "Flatten it.")

    def _count(self, size: int, place: Place) -> None:
        self.nodes += size
        if self.nodes > MOST_NODES:
            message = f"this file holds more than {MOST_NODES:,} values, aliases written out"
            self._stop(place, message, "Use globs instead of long lists, and fewer aliases.")

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Node:
        text = event.value
        if not event.implicit[0]:
            self._refuse_tag(event, place)
            return Node(text, place, place)
        if not text and self.fixed:
            self._refuse_nothing(place)
        try:
            return Node(scalar(text), place, place, text if self.fixed else None)
        except ValueError:
            message = f"{text} is not a finite number"
            self.problems.append(problem(place, message, "Put it in quotes if it is text."))
            return Node(None, place, place)

    def _refuse_nothing(self, place: Place) -> None:
        hint = (
            "Is a variable of the shell not set? Write null for what is the default, and '\"\"',"
            " quotes in quotes, for text without a letter."
        )
        self.problems.append(problem(place, "a value is empty", hint))

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag not in _TEXT_TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.append(problem(place, f"the tag {tag} is not supported", "Remove it."))

    def _place(self, event: Any) -> Place:
        mark = event.start_mark
        return self.fixed or Place(self.file, mark.line + 1, mark.column + 1, self.folder)

    def _stop(self, place: Place, message: str, hint: str) -> None:
        raise ConfigError([*self.problems, problem(place, message, hint)])

    def _syntax(self, error: yaml.YAMLError, text: str) -> Problem:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        offset = getattr(error, "position", None)
        if mark:
            line, column = mark.line + 1, mark.column + 1
        else:
            before = text[: offset or 0]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        place = self.fixed or Place(self.file, line, column, self.folder)
        current = text.split("\n")[line - 1 : line]
        return problem(place, f"this is not YAML: {what}", _advice(what, "".join(current), column))


def _advice(what: str, line: str, column: int) -> str:
    if re.match(r" *\t", line) or line[column - 1 : column] == "\t":
        return "Indent with spaces: YAML does not allow tabs there."
    if "alphabetic or numeric" in what:
        return "Put text that begins with * or & in quotes."
    if "cannot start any token" in what:
        return "Put text that begins with a special character in quotes."
    if "control characters" in what or "special characters" in what:
        return "Remove the invisible character, or save the file as UTF-8 text."
    if "${" in line and "{" in line.replace("${", ""):
        return 'Within { }, put a value that holds ${env:NAME} in quotes: "${env:NAME}".'
    return "Check the indentation, colons, brackets and quotes here and on the line above."


def _height(node: Node) -> int:
    if not isinstance(node.value, (dict, tuple)):
        return 0
    below = node.value.values() if isinstance(node.value, dict) else node.value
    return 1 + max(map(_height, below), default=0)
