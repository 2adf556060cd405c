"""One style for what errors say: whole sentences, the hint a sentence of its own.

A message begins with a capital letter, or with the name, path or address that it is about, and it
ends with a full stop or a question mark; so does a hint. Looked at are the texts that stand in the
code where a `UserError` of any kind is made.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lfvpipe.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "lfvpipe").rglob("*.py"))

PUT_IN = "\0"  # what stands for `{…}` in the texts below
# A capital letter; or something put in, quoted, an option, an environment variable or a config key.
BEGINNING = re.compile(r"[A-Z\0“'\"`$]|--\w|[a-z_]+[.=][\w\0]|[a-z]+:|lfvpipe\b")
END = re.compile(r"[.?][)”]?$")


@dataclass(frozen=True)
class ErrorClass:
    """A kind of `UserError`; one that `composes` takes facts and words its message itself."""

    name: str
    composes: bool


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _error_classes(trees: dict[Path, ast.Module]) -> dict[str, ErrorClass]:
    """Return all kinds of `UserError`, by name."""
    found = {"UserError": ErrorClass("UserError", composes=False)}
    classes = [
        node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    while True:
        new = {}
        for node in classes:
            bases = [found[name] for name in map(_name_of, node.bases) if name in found]
            if bases and node.name not in found:
                own = any(function.name == "__init__" for function in _functions(node))
                composes = own or any(base.composes for base in bases)
                new[node.name] = ErrorClass(node.name, composes)
        if not new:
            return found
        found |= new


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.expr, function: ast.AST) -> list[str]:
    """Return the texts that an expression may come to; none where that is not in sight."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) and node.value else []
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else PUT_IN for part in node.values]
        return ["".join(map(str, parts))]
    if isinstance(node, ast.IfExp):
        return _texts(node.body, function) + _texts(node.orelse, function)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left = _texts(node.left, function) or [PUT_IN]
        right = _texts(node.right, function) or [PUT_IN]
        return [one + other for one in left for other in right]
    if isinstance(node, ast.Name):
        return [
            text
            for each in ast.walk(function)
            if isinstance(each, ast.Assign) and node.id in map(_name_of, each.targets)
            for text in _texts(each.value, function)
        ]
    return []


def _said(tree: ast.Module, errors: dict[str, ErrorClass]) -> Iterator[tuple[int, str]]:
    """Yield line and text of all messages and hints in a module."""
    for function in _functions(tree):
        for call in ast.walk(function):
            if not isinstance(call, ast.Call):
                continue
            error = errors.get(_name_of(call.func))
            is_base = isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"
            if error is None and not is_base:
                continue
            texts = [keyword.value for keyword in call.keywords if keyword.arg == "hint"]
            if error is not None and not error.composes:
                texts += call.args[:1]
            for text in texts:
                yield from ((call.lineno, found) for found in _texts(text, function))


@cache
def trees() -> dict[Path, ast.Module]:
    """Return all modules, parsed."""
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}


@cache
def errors() -> dict[str, ErrorClass]:
    """Return all kinds of `UserError`, by name."""
    return _error_classes(trees())


def _faults(file: Path) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{line}: {text.replace(PUT_IN, '{…}')}"
        for line, text in dict.fromkeys(_said(trees()[file], errors()))
        if not (BEGINNING.match(text) and END.search(text))
    ]


# What the packages that the service stands on must not speak of: its clients run no pipeline.
PIPELINE_WORDS = re.compile(
    r"lfvpipe [a-z]|--[a-z]|[Rr]un (it )?again"
    r"|`(bucket|evaluate|images|include|masks|region|sources)"
)


@pytest.mark.parametrize("package", ["archives", "images", "storage"])
def test_what_the_service_stands_on_knows_no_pipeline(package: str) -> None:
    files = [file for file in FILES if file.relative_to(ROOT / "lfvpipe").parts[0] == package]
    texts = [
        node.value
        for file in files
        for node in ast.walk(trees()[file])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    documentation = {
        ast.get_docstring(node, clean=False)
        for file in files
        for node in ast.walk(trees()[file])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    told = [text for text in texts if text not in documentation]
    assert [text for text in told if PIPELINE_WORDS.search(text)] == []


def _kinds(base: type[StorageError]) -> list[type[StorageError]]:
    return [base, *(kind for each in base.__subclasses__() for kind in _kinds(each))]


PACKAGES = sorted({file.relative_to(ROOT / "lfvpipe").parts[0] for file in FILES})


def test_there_is_something_to_look_at() -> None:
    assert len(errors()) > 30
    assert sum(len(list(_said(tree, errors()))) for tree in trees().values()) > 200


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_and_hints_are_sentences(package: str) -> None:
    files = [file for file in FILES if file.relative_to(ROOT / "lfvpipe").parts[0] == package]
    assert [fault for file in files for fault in _faults(file)] == []


@pytest.mark.parametrize("kind", _kinds(StorageError), ids=lambda kind: kind.__name__)
def test_what_storage_says_is_made_of_sentences(kind: type[StorageError]) -> None:
    for text in (f"{kind.sentence.format(where='s3://b/k')}.", kind.what_to_do or "None."):
        assert re.match(r"[A-Z]|s3://", text)
        assert text.endswith((".", "?"))


def test_advice_is_a_sentence_for_every_error() -> None:
    told = [
        text
        for each in _functions(trees()[ROOT / "lfvpipe/steps/advice.py"])
        for node in ast.walk(each)
        if isinstance(node, ast.Return) and node.value is not None
        for text in _texts(node.value, each)
    ]
    assert len(told) > 10
    assert [text for text in told if not (BEGINNING.match(text) and END.search(text))] == []
