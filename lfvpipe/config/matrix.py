"""One experiment for each combination of the matrix's values."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe import config
from lfvpipe.config import schema, suggestions
from lfvpipe.config.building import build
from lfvpipe.config.problems import Problem, problem
from lfvpipe.config.rules import broken_rules
from lfvpipe.config.tree import Node, child, find, nearest, plain, put

if TYPE_CHECKING:
    from lfvpipe.config.loaded import Loaded
    from lfvpipe.config.spec import Pipeline

MOST_VARIANTS = 1000  # each trains a model
LONGEST_NAME = 100  # characters: Windows has 260 for a whole path
NOT_VARIED = ("include", "matrix", "name")


@dataclass(frozen=True)
class Variant:
    """One experiment of a matrix.

    Attributes:
        name: Readable, fit for a file's name, the same as long as the values are.
        pipeline: The pipeline with the values put in.
        values: Dotted keys to this variant's values; empty without a matrix.
    """

    name: str
    pipeline: Pipeline
    values: Mapping[str, object]


def expand(loaded: Loaded) -> tuple[Variant, ...]:
    """Return the experiments of `loaded`, the last key varying fastest.

    Without a matrix there is one, called ``default``.
    """
    combinations = list(_combinations(_axes(loaded.tree)))
    found = [{key: plain(node) for key, node in one.items()} for one in combinations]
    names = _names(found)
    return tuple(
        Variant(name, build(_with(loaded.tree, nodes), loaded.pipeline.file), values)
        for name, nodes, values in zip(names, combinations, found, strict=True)
    )


def problems(tree: Node, *, known: bool) -> list[Problem]:
    """Return what is wrong with the matrix of `tree`, which is valid otherwise."""
    axes = _axes(tree)
    found = [each for key, values in axes.items() for each in _axis_problems(tree, key, values)]
    count = math.prod(map(len, axes.values()))
    if count > MOST_VARIANTS:
        message = f"the matrix makes {count:,} experiments, at most {MOST_VARIANTS:,} are allowed"
        found.append(problem(_matrix(tree).key, message, "Vary fewer keys or values."))
    if not found and not known:
        found = [
            each
            for key, nodes in axes.items()
            for node in nodes
            for _, each in config.validation.validate(_with(tree, {key: node}))
        ]
    if not found:
        variants = (_with(tree, nodes) for nodes in _combinations(axes))
        found = [each for variant in variants for each in broken_rules(variant, set())]
    return list(dict.fromkeys(found))


def _matrix(tree: Node) -> Node:
    found = find(tree, ("matrix",))
    assert found is not None
    return found


def _axes(tree: Node) -> dict[str, tuple[Node, ...]]:
    found = child(tree, "matrix")
    given = found.value if found and isinstance(found.value, Mapping) else {}
    return {key: node.value for key, node in given.items() if isinstance(node.value, tuple)}


def _combinations(axes: Mapping[str, tuple[Node, ...]]) -> Iterator[dict[str, Node]]:
    for nodes in itertools.product(*axes.values()):
        yield dict(zip(axes, nodes, strict=True))


def _with(tree: Node, nodes: Mapping[str, Node]) -> Node:
    for key, node in nodes.items():
        tree = put(tree, tuple(key.split(".")), node)
    return tree


def _axis_problems(tree: Node, key: str, values: tuple[Node, ...]) -> Iterator[Problem]:
    where = tuple(key.split("."))
    place = nearest(_matrix(tree), (key,)).key
    if where[0] in NOT_VARIED:
        yield problem(place, f"{where[0]} cannot vary", "Vary keys of the experiment itself.")
    elif schema.at(where) is None:
        yield problem(place, *suggestions.unknown(where))
    seen = set()
    for node in values:
        text = json.dumps(plain(node), sort_keys=True)
        if text in seen:
            yield problem(node.place, f"{text} is there twice", "Keep one of them.")
        seen.add(text)


def _names(found: list[dict[str, object]]) -> list[str]:
    """Return a name for each variant: what varies, with a digest where that is long or no name."""
    names = []
    for values in found:
        text = ",".join(f"{key}={_word(value)}" for key, value in values.items())
        names.append(re.sub(r"[^A-Za-z0-9._=,+-]+", "_", text) or "default")
    # Two may come out the same, and some file systems do not tell upper from lower case.
    often = Counter(name.lower() for name in names)
    for index, (name, values) in enumerate(zip(names, found, strict=True)):
        if often[name.lower()] > 1 or len(name) > LONGEST_NAME:
            text = json.dumps(values, sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            names[index] = f"{name[: LONGEST_NAME - 9]}-{digest}"
    return names


def _word(value: object) -> str:
    if isinstance(value, Mapping):
        return "+".join(f"{key}-{_word(below)}" for key, below in value.items())
    if isinstance(value, list):
        return "+".join(map(_word, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)
