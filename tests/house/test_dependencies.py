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
# Benchmarks against peers install these themselves, each into an environment of its own.
PEERS = {"anomalib", "torch", "torchvision", "lightning", "efficientnet-lite-pytorch", "opencv"}
OURS = {"lfvpipe", "tests"}


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s\[<>=!~;]", each)[0].lower().replace("_", "-") for each in requirements}


def _imports(folder: Path) -> dict[str, str]:
    """Return the first part of each name that is imported below `folder`, and one file of each."""
    found: dict[str, str] = {}
    for file in sorted(folder.rglob("*.py")):
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
        ("lfvpipe", [*PROJECT["dependencies"], *EXTRAS["mlflow"]]),
        ("tests", [*PROJECT["dependencies"], *EXTRAS["mlflow"], *EXTRAS["dev"]]),
        (".ci", EXTRAS["dev"]),
    ],
)
def test_every_import_is_of_a_declared_distribution(folder: str, declared: list[str]) -> None:
    installed = packages_distributions()
    names = _names(declared)
    undeclared = {
        f"{name} ({at})"
        for name, at in _imports(ROOT / folder).items()
        if not names & {each.lower().replace("_", "-") for each in installed.get(name, [name])}
        and not (folder == "tests" and "benchmarks" in at)
    }
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
