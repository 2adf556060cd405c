"""A pipeline file in, a validated pipeline out, or everything that is wrong with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from lfvpipe import config
from lfvpipe.config import matrix, schema
from lfvpipe.config.building import build
from lfvpipe.config.composing import compose
from lfvpipe.config.loaded import Loaded
from lfvpipe.config.problems import ConfigError, Problem
from lfvpipe.config.rules import broken_rules
from lfvpipe.config.tree import Node, plain, without_nulls
from lfvpipe.engine.outcome import Json, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


def load(
    file: Path,
    *,
    overrides: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    is_known_valid: Callable[[str], bool] | None = None,
) -> Loaded:
    """Return the pipeline that `file` describes.

    Args:
        file: A YAML file; paths in it are relative to it.
        overrides: ``dotted.key=value`` arguments, the value in YAML.
        env: The variables for ``${env:NAME}``; the process's own by default.
        is_known_valid: Told the digest, says whether it was found valid before; then the
            schema is not gone through again, which is most of the time that loading takes.

    Raises:
        ConfigError: The file cannot be used; holds everything that is wrong.
    """
    tree, problems = compose(file, overrides, os.environ if env is None else env)
    data = plain(tree)
    fingerprint = digest(cast("Json", {"data": data, "schema": schema.schema_digest("pipeline")}))
    known = not problems and is_known_valid is not None and is_known_valid(fingerprint)
    problems += _wrong(tree, problems, known=known)
    if problems:
        raise ConfigError(sorted(problems, key=lambda each: (each.file, each.line, each.column)))
    kept = cast("Mapping[str, object]", without_nulls(data))
    return Loaded(build(tree, file), fingerprint, kept, tree)


def _wrong(tree: Node, before: Sequence[Problem], *, known: bool) -> list[Problem]:
    """Return what the schema and the rules find, where nothing else was found before."""
    found = [] if known else config.validation.validate(tree)
    sections = {str(where[0]) if where else "" for where, _ in found}
    problems = [problem for _, problem in found] + list(broken_rules(tree, sections))
    if not problems and not before:
        problems += matrix.problems(tree, known=known)
    places = {(problem.file, problem.line, problem.column) for problem in before}
    return [each for each in problems if (each.file, each.line, each.column) not in places]
