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
    problems: list[Problem] = []
    return _inside(node, env, problems), problems


def _inside(node: Node, env: Mapping[str, str], problems: list[Problem]) -> Node:
    if isinstance(node.value, Mapping):
        value = {key: _inside(child, env, problems) for key, child in node.value.items()}
        return replace(node, value=value)
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(_inside(child, env, problems) for child in node.value))
    if not isinstance(node.value, str) or _MARK not in node.value:
        return node
    return _filled(node, node.value, env, problems)


def _filled(node: Node, text: str, env: Mapping[str, str], problems: list[Problem]) -> Node:
    def fill(match: re.Match[str]) -> str:
        if match["escaped"]:
            return _MARK
        if match["broken"]:
            hint = "Write ${env:NAME} or ${env:NAME:-default}; $${env: for the plain text."
            problems.append(problem(node.place, "`${env:` does not name a variable", hint))
            return ""
        value = env.get(match["name"]) or match["default"]
        return env.get(match["name"], _unset(match["name"])) if value is None else value

    def _unset(name: str) -> str:
        if name not in env:
            hint = f"Set {name}, or give a default: ${{env:{name}:-…}}."
            problems.append(
                problem(node.place, f"the environment variable {name} is not set", hint)
            )
        return ""

    filled = _VARIABLE.sub(fill, text)
    return replace(node, value=filled, text=filled)
