"""From the command line to pipelines ready to run: files, state folders, variants, selections."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import __version__, atomic
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from lfvpipe.config import Loaded
    from lfvpipe.config.spec import Pipeline
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.selection import Selection
    from lfvpipe.engine.step import Step
    from lfvpipe.steps.context import Context

DEFAULT_FILE = "pipeline.yaml"
STATE_FOLDER = ".lfvpipe"
SELECTING = ("from", "until", "only", "force", "accept")
_KNOWN_VALID = "known-valid.json"
_MOST_KNOWN = 50


class UsageError(UserError):
    """The command line asks for something that is not there."""

    exit_code = 3


@dataclass(frozen=True)
class Variant:
    """One experiment of a pipeline file: the only one, or one combination of its matrix.

    Attributes:
        name: ``default``, or the matrix keys with their values.
        context: What its steps share.
        steps: Its steps, in order.
    """

    name: str
    context: Context
    steps: tuple[Step[Context], ...]


def pipeline_file(options: argparse.Namespace) -> Path:
    """Return the pipeline file that the user means, absolute; it need not exist."""
    return Path(options.file or DEFAULT_FILE).absolute()


def state_root(options: argparse.Namespace) -> Path:
    """Return the folder of all state: `--state-dir`, or ``.lfvpipe`` beside the pipeline file."""
    if options.state_dir:
        return Path(options.state_dir).absolute()
    return pipeline_file(options).parent / STATE_FOLDER


def open_variants(options: argparse.Namespace) -> tuple[Variant, ...]:
    """Load the pipeline file and return its experiments, at least one.

    Raises:
        ConfigError: The file, or an override, is wrong.
    """
    root = state_root(options)
    loaded = load(options)
    if not loaded.pipeline.matrix:
        return (_variant("default", loaded.pipeline, root),)
    from lfvpipe.config.matrix import expand

    return tuple(_variant(each.name, each.pipeline, root) for each in expand(loaded))


def ledger_of(variant: Variant) -> Ledger:
    """Return the ledger as it is on the disk, a new one if there is none."""
    from lfvpipe.engine.ledger import Ledger

    return Ledger.load(ledger_path(variant.context))


def ledger_path(context: Context) -> Path:
    """Return where the pipeline's ledger lies."""
    return context.state_dir / "ledger.json"


def selection(options: argparse.Namespace, variant: Variant) -> Selection:
    """Return which steps the user asked for.

    Raises:
        UsageError: There is no such step, or the options contradict each other.
        UserError: A step needs an extra that is not installed.
    """
    from lfvpipe.engine.order import in_order
    from lfvpipe.engine.selection import Selection, resolve

    asked = Selection(
        from_=options.from_,
        until=options.until,
        only=options.only,
        force=frozenset(options.force),
        accept=frozenset(options.accept),
    )
    try:
        resolved = resolve(in_order(variant.steps), asked)
    except UserError as error:
        raise UsageError(error.message, hint=error.hint) from None
    if "mlflow" in resolved.selected:
        from lfvpipe.steps.mlflow import insist_on_extra

        insist_on_extra()
    return asked


def command(
    name: str,
    options: argparse.Namespace,
    file: Path | None = None,
    *,
    selecting: Sequence[str] = (),
) -> str:
    """Return a command line about the same experiment as this one, ready to be pasted.

    Args:
        name: The command.
        options: Of this command line.
        file: How to name the pipeline file; as the user did by default.
        selecting: Which of the options that select steps are said too: `SELECTING`, or some.
    """
    import shlex

    named = file or options.file
    words = ["lfvpipe", name, *([str(named)] if named else [])]
    for option in selecting:
        said = getattr(options, option.replace("from", "from_"), None) or ()
        for step in [said] if isinstance(said, str) else said:
            words += [f"--{option}"] if step == "*" else [f"--{option}", step]
    for override in options.overrides:
        words += ["--set", override]
    if options.state_dir:
        words += ["--state-dir", str(options.state_dir)]
    return shlex.join(words)


def untangle(options: argparse.Namespace) -> None:
    """Give back to PIPELINE what ``--force PIPELINE`` or ``--why PIPELINE`` took for a step."""
    if options.file is not None:
        return
    for name in [*options.force, options.why]:
        if name and name.endswith((".yaml", ".yml")):
            options.file = name
            options.force = ["*" if each == name else each for each in options.force]
            options.why = "*" if options.why == name else options.why
            return


def load(options: argparse.Namespace) -> Loaded:
    """Load the pipeline file; what was found valid before is not checked again.

    Raises:
        ConfigError: The file, or an override, is wrong.
    """
    from lfvpipe import config

    root = state_root(options)
    known = _known_valid(root)
    loaded = config.load(
        Path(options.file or DEFAULT_FILE),
        overrides=options.overrides,
        is_known_valid=lambda digest: f"{__version__} {digest}" in known,
    )
    entry = f"{__version__} {loaded.digest}"
    if entry not in known and root.is_dir():
        _remember(root, [*known, entry])
    return loaded


def _known_valid(root: Path) -> list[str]:
    """Return the digests of configurations that passed the schema: a cache, so never an error."""
    try:
        known = json.loads((root / _KNOWN_VALID).read_bytes())
    except (OSError, ValueError):
        return []
    return [str(entry) for entry in known] if isinstance(known, list) else []


def _remember(root: Path, entries: list[str]) -> None:
    try:
        atomic.write_text(root / _KNOWN_VALID, json.dumps(entries[-_MOST_KNOWN:]))
    except OSError:
        return  # a read-only folder only costs the next start its shortcut


def _variant(name: str, pipeline: Pipeline, root: Path) -> Variant:
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.pipeline import steps_of

    return Variant(name, Context(pipeline, root, name), tuple(steps_of(pipeline)))


def remember_valid(options: argparse.Namespace) -> None:
    """Write down, now that the state folder exists, that the configuration is valid."""
    if not (state_root(options) / _KNOWN_VALID).exists():
        load(options)
