"""What is imported is declared, and what is declared can be had."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"lfvpipe", "tests"}
OF_EXTRAS = {"mlflow": "mlflow-skinny"}  # which need not be installed


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s\[<>=!~;]", each)[0].lower().replace("_", "-") for each in requirements}


def _imports(folder: Path) -> dict[str, str]:
    """Return the first part of each name that is imported below `folder`, and a file that does so.

    Benchmarks against peers install those themselves, each into an environment of its own.
    """
    found: dict[str, str] = {}
    for file in sorted(folder.rglob("*.py")):
        if "peers" in file.parts and "benchmarks" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names.append(str(node.module))
            for name in names:
                found.setdefault(name.partition(".")[0], file.relative_to(ROOT).as_posix())
    return {name: at for name, at in found.items() if name not in sys.stdlib_module_names | OURS}


@pytest.mark.parametrize(
    ("folder", "declared"),
    [
        ("lfvpipe", [*PROJECT["dependencies"], *EXTRAS["dask"], *EXTRAS["mlflow"]]),
        ("tests", [*PROJECT["dependencies"], *EXTRAS["mlflow"], *EXTRAS["dev"]]),
        (".ci", EXTRAS["dev"]),
    ],
)
def test_every_import_is_of_a_declared_distribution(folder: str, declared: list[str]) -> None:
    installed = packages_distributions()
    undeclared = set()
    for name, file in _imports(ROOT / folder).items():
        brought_by = _names(installed.get(name, [OF_EXTRAS.get(name, name)]))
        if not brought_by & _names(declared):
            undeclared.add(f"{name} ({file})")
    assert undeclared == set()


def test_every_bound_below_is_stated() -> None:
    everything = [*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)]
    assert [each for each in everything if not re.search(r"[=>]=", each)] == []


def test_the_lock_file_names_no_index_and_every_hash() -> None:
    lines = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line[0].isspace()]
    assert all(re.match(r"[\w.-]+==\S+ (; .+ )?\\$", pin) for pin in pins), pins
    assert all(line.lstrip().startswith("--hash=sha256:") for line in lines if line[:1] == " ")
    locked = {pin.partition("==")[0] for pin in pins}
    assert _names([*PROJECT["dependencies"], *EXTRAS["dev"]]) <= locked
