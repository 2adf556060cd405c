"""`lfvpipe destroy`: remove what the pipeline created, and nothing it adopted."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from lfvpipe.cli import output, results, session, wording
from lfvpipe.cli.commands.run import locked
from lfvpipe.cli.options import Json, LockOptions, Option
from lfvpipe.engine import removal

if TYPE_CHECKING:
    from lfvpipe.cli.session import Variant
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.removal import KeptOutcome
    from lfvpipe.engine.step import Leftover, Step
    from lfvpipe.steps.context import Context


@dataclass(frozen=True, kw_only=True)
class DestroyOptions(LockOptions):
    """What `lfvpipe destroy` reads."""

    yes: Annotated[bool, Option("--yes", "-y", about="do not ask", group="state")] = False
    state: Annotated[
        bool,
        Option(
            "--state",
            about="also remove the local state of this pipeline",
            group="state",
        ),
    ] = False
    json: Json = False


def run(options: DestroyOptions) -> int:
    """List what would go, ask, and remove it; return 0, or 1 where the user says no."""
    variants = session.open_variants(options)
    first = variants[0]
    with locked("destroy", options, first):
        ledger = session.ledger_of(first)
        steps = _all_steps(variants)
        if not options.json:
            _list(first, steps, ledger, with_state=options.state)
        if not _agreed(options):
            print("nothing was removed", file=sys.stderr)
            return 1
        removed, left = _remove(options, first, steps, ledger)
    if options.state:
        removed += _remove_state(first)
    if options.json:
        output.print_json({"removed": removed, "left": left})
    elif not removed and not left:
        print("there was nothing to remove")
    return 0


def _all_steps(variants: tuple[Variant, ...]) -> tuple[Step[Context], ...]:
    """Return the steps of all variants, each name once: removal goes by the ledger's outcomes."""
    by_name = {step.name: step for variant in variants for step in variant.steps}
    return tuple(by_name.values())


def _list(
    variant: Variant, steps: tuple[Step[Context], ...], ledger: Ledger, *, with_state: bool
) -> None:
    print(output.styled(f"{variant.context.pipeline.name}: what was created goes", "bold"))
    for kept in removal.kept_outcomes(steps, ledger):
        print(f"  {_described(kept)}")
    if with_state:
        print(f"  {variant.context.state_dir}: the ledger, selections, extracted images, reports")
    print("what was adopted stays, and so does the cache of fetched archives")


def _described(kept: KeptOutcome) -> str:
    if kept.outcome is None:
        return f"{kept.step}: what an attempt that did not finish created"
    facts = wording.facts(kept.step, kept.outcome.facts)
    return f"{kept.step}: {kept.outcome.word}{f' ({facts})' if facts else ''}"


def _agreed(options: DestroyOptions) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        hint = "say --yes to go on without being asked"
        raise session.UsageError("destroy asks first, and nobody is there to answer", hint=hint)
    print("remove all this? [yes/no] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"yes", "y"}


def _remove(
    options: DestroyOptions,
    variant: Variant,
    steps: tuple[Step[Context], ...],
    ledger: Ledger,
) -> tuple[list[str], list[str]]:
    """Remove what the ledger knows of; return what was removed and what stays."""
    if ledger.held:
        results.stop_held(variant, ledger)

    stay: list[str] = []

    def on_removed(_step: str, thing: str) -> None:
        if not options.json:
            print(f"removed {thing}")

    def on_leftover(_step: str, left: Leftover) -> None:
        stay.append(left.thing)
        if not options.json:
            print(f"left {left.thing}: {left.why}")

    context = variant.context
    return list(
        removal.destroy(steps, context, ledger, on_removed=on_removed, on_leftover=on_leftover)
    ), stay


def _remove_state(variant: Variant) -> list[str]:
    """Remove the pipeline's own state folder; the lock is released, for Windows' sake."""
    folder = variant.context.state_dir
    if not folder.is_dir():
        return []
    shutil.rmtree(folder)
    return [str(folder)]
