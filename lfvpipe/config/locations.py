"""Addresses and paths: relative ones are made absolute against the file that says them."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lfvpipe.config.problems import Problem, problem
from lfvpipe.config.tree import Node, Where, find, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACES: tuple[Where, ...] = (
    ("sources", "normal", "archive"),
    ("sources", "normal", "masks"),
    ("sources", "anomaly", "archive"),
    ("sources", "anomaly", "masks"),
    ("sources", "manifest", "train"),
    ("sources", "manifest", "test"),
    ("sources", "manifest", "images"),
    ("sources", "table", "file"),
    ("sources", "table", "archive"),
    ("sources", "layout", "archive"),
    ("sources", "annotations", "file"),
    ("sources", "annotations", "archive"),
    ("sources", "labels"),
    ("split", "from", "train", "file"),
    ("split", "from", "test", "file"),
    ("images", "ignore"),
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_ONE_SLASH = re.compile(r"(https?|s3|ftp):/(?!/)", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
SPELLING = "Check its spelling, the brackets and the port."
_REMOTE = ("http", "https", "s3")
# A key may hold a `?`; what is behind it is a signature where it says so.
_SIGNATURE = re.compile(r"[?&](X-Amz-[A-Za-z-]+|AWSAccessKeyId|Signature)=", re.IGNORECASE)
_CREDENTIALS = "Credentials come from AWS_ACCESS_KEY_ID and the like, or a profile."


def absolute(tree: Node) -> Node:
    """Return `tree` with every path absolute, and the schemes of addresses in small letters."""
    return _make_absolute(tree, (), {where for where, _ in _locations(tree)})


def problems(tree: Node) -> Iterator[Problem]:
    """Yield what is wrong with the addresses and paths of `tree`."""
    for _, node in _locations(tree):
        text = str(node.value)
        match = _SCHEME.match(text)
        if short := _ONE_SLASH.match(text):  # no path: its login and query are not for the ledger
            message = f"one slash is missing after {short[0]}"
            yield problem(node.place, message, f"Write {short[0]}/ before the host.")
        elif match and match[1].lower() not in _REMOTE:
            message = f"{match[1]}:// addresses are not supported"
            hint = "Use https://, http:// or s3://, or the path of a file or folder."
            yield problem(node.place, message, hint)
        elif match and not match[2].strip("/"):
            yield problem(node.place, f"{text} names nothing", "Write the whole address.")
        elif match and not is_address(text):
            yield problem(node.place, f"this {match[1]}:// address has no valid host", SPELLING)
        elif match and match[1].lower() == "s3":
            yield from _secrets_of_s3(node, match[2])
        elif not match and _expand_home(text) is None:
            yield problem(node.place, f"{text}: no such home folder", "Write the path in full.")


def _secrets_of_s3(node: Node, rest: str) -> Iterator[Problem]:
    """Yield what no request for an object carries, and would stand in the ledger for a key."""
    if "@" in rest.partition("/")[0]:
        message = "this s3:// address holds a login, which no request would carry"
        yield problem(node.place, message, f"Write s3://BUCKET/KEY. {_CREDENTIALS}")
    elif _SIGNATURE.search(rest):
        message = "this s3:// address is signed, and only https:// addresses can be"
        hint = f"Write the https:// address, or leave out what begins with `?`. {_CREDENTIALS}"
        yield problem(node.place, message, hint)


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
        for below, each in walk(node, where) if node else ():  # one, or a list
            if isinstance(each.value, str):
                yield below, each
    images = ("evaluate", "images")
    evaluation = find(tree, images)
    for where, node in walk(evaluation, images) if evaluation else ():
        if where[-1] == "archive" and isinstance(node.value, str):
            yield where, node


def _make_absolute(node: Node, where: Where, locations: set[Where]) -> Node:
    if isinstance(node.value, dict):
        below = {
            key: _make_absolute(child, (*where, key), locations)
            for key, child in node.value.items()
        }
        return replace(node, value=below)
    if isinstance(node.value, tuple):
        items = (
            _make_absolute(item, (*where, index), locations)
            for index, item in enumerate(node.value)
        )
        return replace(node, value=tuple(items))
    text = str(node.value)
    if where not in locations or _DRIVE.match(text):
        return node
    if match := _SCHEME.match(text):  # HTTPS:// is https://, and its secrets are secrets
        return replace(node, value=f"{match[1].lower()}://{match[2]}")
    path = _expand_home(text)
    if path is None:
        return node
    # Not resolve(): a link that is turned elsewhere tomorrow should be followed tomorrow.
    return replace(node, value=os.path.normpath(node.place.folder / path))


def _expand_home(text: str) -> Path | None:
    """Return a path with ~ written out; None where there is no such home folder."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return None
