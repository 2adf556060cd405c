"""`${env:NAME}` and `${env:NAME:-default}` in strings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.config.problems import Problem, problem

if TYPE_CHECKING:
    from lfvpipe.config.tree import Node

_MARK = "${env:"
_VARIABLE = re.compile(
    r"(?P<escaped>\$\$\{env:)"
    r"|\$\{env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
    r"|(?P<broken>\$\{env:)"
)


def interpolate(node: Node, env: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    """Return `node` with the variables of `env` put into its strings, and what is wrong.

    As in a shell, ``:-`` gives a default for a variable that is unset or empty.
    """
    if isinstance(node.value, Mapping):
        below = {key: interpolate(child, env) for key, child in node.value.items()}
        problems = [problem for _, found in below.values() for problem in found]
        return replace(node, value={key: child for key, (child, _) in below.items()}), problems
    if isinstance(node.value, tuple):
        items = [interpolate(child, env) for child in node.value]
        problems = [problem for _, found in items for problem in found]
        return replace(node, value=tuple(child for child, _ in items)), problems
    if not isinstance(node.value, str) or _MARK not in node.value:
        return node, []
    return _fill_in(node, node.value, env)


def _fill_in(node: Node, text: str, env: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    problems: list[Problem] = []

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if match["escaped"]:
            return _MARK
        if match["broken"]:
            hint = "Write ${env:NAME} or ${env:NAME:-default}; $${env: for the plain text."
            problems.append(problem(node.place, "`${env:` does not name a variable", hint))
        elif env.get(name):
            return env[name]
        elif match["default"] is not None:
            return match["default"]
        elif name not in env:
            message = f"the environment variable {name} is not set"
            hint = f"Set {name}, or give a default: ${{env:{name}:-…}}."
            problems.append(problem(node.place, message, hint))
        return ""

    filled = _VARIABLE.sub(fill, text)
    # With its text: the schema may want a number of what a variable gives.
    return replace(node, value=filled, text=filled), problems
