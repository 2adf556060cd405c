"""From the command line to pipelines ready to run: files, state folders, variants, selections."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import __version__, atomic, config, steps
from lfvpipe.cli.options import DEFAULT_FILE, EVERY_STEP
from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.order import in_order
from lfvpipe.engine.selection import Selection, resolve
from lfvpipe.errors import UserError
from lfvpipe.steps.context import Context
from lfvpipe.steps.mlflow import insist_on_extra
from lfvpipe.steps.pipeline import steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.cli.options import PipelineOptions, StepOptions
    from lfvpipe.config import Loaded
    from lfvpipe.config.spec import Pipeline
    from lfvpipe.engine.step import Step

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


def open_variants(options: PipelineOptions) -> tuple[Variant, ...]:
    """Load the pipeline file and return its experiments, at least one.

    Raises:
        ConfigError: The file, or an override, is wrong.
    """
    root = options.state_root
    loaded = load(options)
    if not loaded.pipeline.matrix:
        return (_variant("default", loaded.pipeline, root),)
    return tuple(_variant(each.name, each.pipeline, root) for each in config.expand(loaded))


def ledger_of(variant: Variant) -> Ledger:
    """Return the ledger as it is on the disk, a new one if there is none."""
    return Ledger.load(ledger_path(variant.context))


def ledger_path(context: Context) -> Path:
    """Return where the pipeline's ledger lies."""
    return context.state_dir / "ledger.json"


def selection(options: StepOptions, variant: Variant) -> Selection:
    """Return which steps the user asked for.

    Raises:
        UsageError: There is no such step, or the options contradict each other.
        UserError: A step needs an extra that is not installed.
    """
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
        raise UsageError(error.message, hint=steps.advise(error)) from None
    if "mlflow" in resolved.selected:
        insist_on_extra()
    return asked


def command(
    name: str,
    options: PipelineOptions,
    file: Path | None = None,
    *,
    selecting: Sequence[str] = (),
) -> str:
    """Return a command line about the same experiment as this one, ready to be pasted.

    Args:
        name: The command.
        options: Of this command line.
        file: How to name the pipeline file; as the user did by default.
        selecting: Words that select steps: `selecting_words`, or some of them.
    """
    named = file or options.file
    words = ["lfvpipe", name, *([str(named)] if named else []), *selecting]
    for override in options.overrides:
        words += ["--set", override]
    if options.state_dir:
        words += ["--state-dir", options.state_dir]
    return shlex.join(words)


def selecting_words(options: StepOptions, *, again: bool = False) -> list[str]:
    """Return the words that select the same steps.

    Args:
        options: Of this command line.
        again: They are for the same run once more: what was forced or accepted has been done.
    """
    one_each = {"--from": options.from_, "--until": options.until, "--only": options.only}
    words = [word for flag, step in one_each.items() if step for word in (flag, step)]
    if again:
        return words
    for step in options.force:
        words += ["--force"] if step == EVERY_STEP else ["--force", step]
    for step in options.accept:
        words += ["--accept", step]
    return words


def load(options: PipelineOptions) -> Loaded:
    """Load the pipeline file; what was found valid before is not checked again.

    Raises:
        ConfigError: The file, or an override, is wrong.
    """
    root = options.state_root
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
    return Variant(name, Context(pipeline, root, name), tuple(steps_of(pipeline)))


def remember_valid(options: PipelineOptions) -> None:
    """Write down, now that the state folder exists, that the configuration is valid."""
    if not (options.state_root / _KNOWN_VALID).exists():
        load(options)
