"""Addresses and paths: relative ones are made absolute against the file that says them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lfvpipe.config.problems import Problem, problem
from lfvpipe.config.tree import Node, Where, find, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLACES: tuple[Where, ...] = (
    ("sources", "normal", "archive"),
    ("sources", "normal", "masks"),
    ("sources", "anomaly", "archive"),
    ("sources", "anomaly", "masks"),
    ("sources", "manifest", "train"),
    ("sources", "manifest", "test"),
    ("sources", "manifest", "images"),
    ("sources", "labels"),
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
SPELLING = "Check its spelling, the brackets and the port."
_REMOTE = ("http", "https", "s3")


def absolute(tree: Node) -> Node:
    """Return `tree` with every path absolute; addresses stay as they are."""
    ways = {where for where, _ in _locations(tree)}
    return _changed(tree, (), lambda where, node: _located(node) if where in ways else node)


def problems(tree: Node) -> Iterator[Problem]:
    """Yield what is wrong with the addresses and paths of `tree`."""
    for _, node in _locations(tree):
        text = str(node.value)
        match = _SCHEME.match(text)
        if match and match[1].lower() not in _REMOTE:
            message = f"{match[1]}:// addresses are not supported"
            hint = "Use https://, http:// or s3://, or the path of a file or folder."
            yield problem(node.place, message, hint)
        elif match and not match[2].strip("/"):
            yield problem(node.place, f"{text} names nothing", "Write the whole address.")
        elif match and not is_address(text):
            yield problem(node.place, f"this {match[1]}:// address has no valid host", SPELLING)
        elif not match and _expanded(text) is None:
            yield problem(node.place, f"{text}: no such home folder", "Write the path in full.")


def is_address(text: str) -> bool:
    """Tell whether host and port of an address can be read."""
    try:
        parts = urlsplit(text)
        return bool(parts.netloc) and (parts.scheme == "s3" or parts.port != 0)
    except ValueError:
        return False


def _locations(tree: Node) -> Iterator[tuple[Where, Node]]:
    for where in _PLACES:
        node = find(tree, where)
        if node is not None and isinstance(node.value, str):
            yield where, node
    images = ("evaluate", "images")
    evaluation = find(tree, images)
    for where, node in walk(evaluation, images) if evaluation else ():
        if where[-1] == "archive" and isinstance(node.value, str):
            yield where, node


def _changed(node: Node, where: Where, change: Callable[[Where, Node], Node]) -> Node:
    if isinstance(node.value, dict):
        below = {key: _changed(child, (*where, key), change) for key, child in node.value.items()}
        return replace(node, value=below)
    if isinstance(node.value, tuple):
        items = (_changed(item, (*where, i), change) for i, item in enumerate(node.value))
        return replace(node, value=tuple(items))
    return change(where, node)


def _located(node: Node) -> Node:
    text = str(node.value)
    if _SCHEME.match(text) or _DRIVE.match(text):
        return node
    path = _expanded(text)
    return node if path is None else replace(node, value=_normal(node.place.folder / path))


def _normal(path: Path) -> str:
    # Not resolve(): a link that is turned elsewhere tomorrow should be followed tomorrow.
    import os

    return os.path.normpath(path)


def _expanded(text: str) -> Path | None:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return None
