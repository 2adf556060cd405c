"""From the options of a command to experiments ready to run: steps, ledger, selection, lock."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import __version__, atomic, config, damage, disk, engine, steps
from lfvpipe.cli import endings
from lfvpipe.cli.options import DEFAULT_FILE
from lfvpipe.cli.usage import UsageError
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.cli.options import LockOptions, PipelineOptions, StepOptions
    from lfvpipe.config import Loaded
    from lfvpipe.config.spec import Pipeline
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.lock import Holder
    from lfvpipe.engine.outcome import Outcome
    from lfvpipe.engine.selection import Selection
    from lfvpipe.engine.step import Step
    from lfvpipe.steps.context import Context

DEFAULT_VARIANT = "default"
_KNOWN_VALID = "known-valid.json"
_MOST_KNOWN = 50


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

    @property
    def pipeline(self) -> Pipeline:
        """What its configuration says."""
        return self.context.pipeline

    @property
    def is_of_matrix(self) -> bool:
        """Whether the file describes several experiments, of which this is one."""
        return self.name != DEFAULT_VARIANT

    def describe(self, step: str, outcome: Outcome) -> str:
        """Return the few facts of a step's outcome that fit behind its line."""
        return next((each.describe(outcome) for each in self.steps if each.name == step), "")

    @property
    def title(self) -> str:
        """The pipeline's name, with the variant's where there is a matrix."""
        return f"{self.pipeline.name} [{self.name}]" if self.is_of_matrix else self.pipeline.name


def open_variants(
    options: PipelineOptions, *, adopt: bool = False, trains: bool = False, detach: bool = False
) -> tuple[Variant, ...]:
    """Load the pipeline file and return its experiments, at least one.

    What they open, the command's end closes.

    Args:
        options: What names them.
        adopt: Take over what is another pipeline's.
        trains: The command may start a training, or go on with one: only `run` does.
        detach: Do not wait for trainings.

    Raises:
        ConfigError: The file, or an override, is wrong.
        NoFile: Something else stands where a file of this pipeline's state belongs.
    """
    loaded = _load(options)
    for path in damage.misfits(options.state_root):
        if _concerns(path, options.state_root, loaded.pipeline):
            raise damage.NoFile(path)
        what = f"{damage.kind_of(path)} is where a file belongs, but none of this pipeline"
        print(f"note: {path}: {what}", file=sys.stderr)
    if loaded.pipeline.matrix:
        experiments = [(each.name, each.pipeline) for each in config.expand(loaded)]
    else:
        experiments = [(DEFAULT_VARIANT, loaded.pipeline)]
    variants = tuple(
        Variant(
            name,
            steps.Context(pipeline, options.state_root, name, adopt, trains, detach),
            steps.steps_of(pipeline),
        )
        for name, pipeline in experiments
    )
    for variant in variants:
        endings.at_end(variant.context.close)
    return variants


def _concerns(path: Path, root: Path, pipeline: Pipeline) -> bool:
    """Tell whether a file of the state is this pipeline's, or of what all of them share."""
    first, *below = path.relative_to(root).parts
    if first == "buckets" and below:
        return below[0] == pipeline.bucket.name
    return first in {pipeline.name, "buckets", "cache", "service", _KNOWN_VALID}


def set_misfits_aside(options: PipelineOptions) -> None:
    """Set aside, and say so, what stands where a file belongs and a run makes that again.

    The service's database it makes again by training, which only `doctor --repair` decides.
    """
    pipeline = _load(options).pipeline
    for path in damage.misfits(options.state_root):
        if path.name == "service.db" or not _concerns(path, options.state_root, pipeline):
            continue
        kind = damage.kind_of(path)
        try:
            aside = damage.set_aside(path)
        except OSError as error:
            raise disk.refusal(error) or damage.NoFile(path) from error
        print(f"set aside {path} as {aside.name}: it was {kind}, and no file", file=sys.stderr)


def where_set(options: PipelineOptions, *keys: str) -> str:
    """Return where the first of some dotted keys that is set is: a file, or ``--set key=value``."""
    return _load(options).where_set(*keys)


def ledger_of(variant: Variant) -> Ledger:
    """Return the ledger as it is on the disk, a new one if there is none."""
    return engine.Ledger.load(variant.context.state_dir / "ledger.json")


def selection_of(options: StepOptions, variant: Variant) -> Selection:
    """Return which steps the user asked for.

    Raises:
        UsageError: There is no such step, or the options contradict each other.
        UserError: A step needs an extra that is not installed.
    """
    asked = engine.Selection(
        from_=options.from_,
        until=options.until,
        only=options.only,
        force=frozenset(options.force),
        accept=frozenset(options.accept),
    )
    try:
        resolved = engine.resolve(engine.in_order(variant.steps), asked)
    except UserError as error:
        raise UsageError(error.message, hint=steps.advise(error)) from None
    if "mlflow" in resolved.selected:
        steps.insist_on_extra()
    return asked


@contextmanager
def locked(command: str, options: LockOptions, variant: Variant) -> Iterator[None]:
    """Hold the pipeline's lock for a command; say so when that means waiting.

    Where the last holder was killed, the temporary files that it left are removed first.

    Raises:
        Locked: Another run holds it.
        StateFolderUnusable: It cannot be made.
    """

    def on_wait(holder: Holder | None) -> None:
        print(f"waiting for {holder or 'another run'} to end", file=sys.stderr)

    said = f"lfvpipe {command} {options.file or DEFAULT_FILE}"
    folder = variant.context.state_dir
    try:
        atomic.make_folder(options.state_root)
    except OSError as error:
        raise engine.StateFolderUnusable(options.state_root, error) from error
    with engine.hold(
        folder,
        said,
        options.lock_timeout,
        on_wait=on_wait,
        on_killed=lambda: steps.remove_leftovers(variant.context),
    ):
        yield


def remember_valid(options: PipelineOptions) -> None:
    """Write down, now that the state folder exists, that the configuration is valid."""
    if not (options.state_root / _KNOWN_VALID).exists():
        _load(options)


def _load(options: PipelineOptions) -> Loaded:
    """Load the pipeline file; what was found valid before is not checked again.

    Raises:
        ConfigError: The file, or an override, is wrong.
    """
    notes = options.state_root / _KNOWN_VALID
    is_misfit = bool(damage.kind_of(notes))  # which is told, once it is known whose state this is
    try:  # the notes are a shortcut alone, so nothing that is wrong with them is an error
        found = [] if is_misfit else damage.parse_json(notes.read_bytes())
    except (OSError, ValueError):
        found = []
    known = [str(entry) for entry in found] if isinstance(found, list) else []
    loaded = config.load(
        Path(options.file or DEFAULT_FILE),
        overrides=options.overrides,
        is_known_valid=lambda digest: f"{__version__} {digest}" in known,
    )
    entry = f"{__version__} {loaded.digest}"
    if entry not in known and not is_misfit and options.state_root.is_dir():
        with suppress(OSError):  # a read-only folder only costs the next start its shortcut
            atomic.write_text(notes, json.dumps([*known, entry][-_MOST_KNOWN:]), secret=True)
    return loaded
