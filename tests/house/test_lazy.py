"""Lazy faces: they show what they say, load nothing before it is used, and are used everywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from lfvpipe import lazy

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "lfvpipe").rglob("*.py"))
FACES = [file for file in FILES if "import lazy\n" in file.read_text(encoding="utf-8")]
# Packages that still import inside functions; whoever mends one takes it out of here.
NOT_YET = {"dataset", "detector"}
NOT_YET |= {"service", "steps"}
# The one that has to answer Ctrl-C before anything is imported.
FIRST_OF_ALL = "__main__.py"


def _name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).parent.parts)


def _behind(tree: ast.Module, package: str) -> dict[str, str]:
    """Return the names that a type checker sees, with the modules that they come from."""
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


@pytest.mark.parametrize("file", FACES, ids=_name)
def test_a_face_shows_python_what_it_shows_people_and_mypy(file: Path) -> None:
    package = _name(file)
    shown = import_module(package)
    behind = _behind(ast.parse(file.read_text(encoding="utf-8")), package)
    assert sorted(shown.__all__) == sorted(behind)
    for name, module in behind.items():
        expected = import_module(f"{package}.{name}" if module == package else module)
        assert shown.__getattr__(name) is (
            expected if module == package else getattr(expected, name)
        )


@pytest.mark.parametrize("file", FACES, ids=_name)
def test_a_face_loads_nothing_before_it_is_used(file: Path) -> None:
    package = _name(file)
    code = f"import sys, {package}; print(*[m for m in sys.modules if m.startswith('{package}.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_name_that_a_face_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'lfvpipe\.x' has no attribute 'y'"):
        lazy.face("lfvpipe.x", {})("y")


def _imports_inside_functions(file: Path) -> list[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for function in ast.walk(tree)
        if isinstance(function, functions)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lfvpipe")
    ]


def test_what_is_ours_is_imported_at_the_top() -> None:
    exempt = {FIRST_OF_ALL, *NOT_YET}
    mended = [file for file in FILES if file.relative_to(ROOT / "lfvpipe").parts[0] not in exempt]
    assert [at for file in mended for at in _imports_inside_functions(file)] == []
