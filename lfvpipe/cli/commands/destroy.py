"""`lfvpipe destroy`: remove what the pipeline created, and nothing else."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from lfvpipe import engine, steps
from lfvpipe.atomic import remove_folder
from lfvpipe.cli import output
from lfvpipe.cli.agreement import is_agreed
from lfvpipe.cli.held_models import stop_held_models
from lfvpipe.cli.options import Json, LockOptions, Option
from lfvpipe.cli.unnamed_labels import usual_labels_file
from lfvpipe.cli.variants import ledger_of, locked, open_variants
from lfvpipe.dataset.kept import store_of
from lfvpipe.dataset.labels import images_folder
from lfvpipe.engine.outcome import digest
from lfvpipe.engine.phrases import size
from lfvpipe.lookout.descriptions import describe_project
from lfvpipe.steps.project import owns_project
from lfvpipe.steps.pruning.holdings import files_of
from lfvpipe.steps.pruning.scale import Scale, files_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger
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
    variants = open_variants(options)
    first = variants[0]
    # Each name once: variants share their ledger, and removal goes by the ledger's outcomes.
    members = tuple({step.name: step for each in variants for step in each.steps}.values())
    with locked("destroy", options, first):
        ledger = ledger_of(first)
        _ask_service(first, ledger)
        if not options.json:
            _print_what_goes(first, members, ledger, with_state=options.state)
        if not (options.yes or is_agreed("destroy", "remove what goes?")):
            print("nothing was removed", file=sys.stderr)
            return 1
        removed, left = _remove(options, first, members, ledger)
    folder = first.context.state_dir
    if options.state and folder.is_dir():
        remove_folder(folder)  # only now that the lock in it is released, for Windows' sake
        removed.append(str(folder))
    if options.json:
        output.print_json({"removed": removed, "left": left})
    elif not removed and not left:
        print("there was nothing to remove")
    return 0


def _ask_service(variant: Variant, ledger: Ledger) -> None:
    """Ask the service for something, where it has something of ours.

    A service that cannot be reached, or whose state a later version wrote, refuses here, and not
    after what lies on this machine is gone.

    Raises:
        UserError: It refuses.
    """
    if any(ledger.records(step) for step in ("project", "datasets", "model")):
        describe_project(variant.context.lookout, variant.pipeline.project)


def _print_what_goes(
    variant: Variant, members: Sequence[Step[Context]], ledger: Ledger, *, with_state: bool
) -> None:
    """Print what goes, with the room that it takes on this machine, and what stays."""
    context, scale = variant.context, Scale()
    by_name = {step.name: step for step in members}
    kept = engine.kept_outcomes(members, ledger)
    known = [(by_name[k.step], k.outcome) for k in kept if k.outcome is not None]
    ours = {(s.name, digest(s.thing(o))) for s, o in known if s.stays(o) is None}
    goes: dict[tuple[str, str], int] = {}
    stays: dict[tuple[str, str], None] = {}

    def go(name: str, about: str, files: Iterable[Path]) -> None:
        goes[name, about] = goes.get((name, about), 0) + scale.freed(files)

    for each in kept:
        if each.outcome is None:
            go(each.step, "what an attempt that did not finish created", ())
            continue
        step = by_name[each.step]
        left = step.stays(each.outcome)
        if left is None:
            go(each.step, step.describe(each.outcome), files_of(context, each.step, each.outcome))
        elif (step.name, digest(step.thing(each.outcome))) not in ours:
            stays[each.step, left] = None
    if verdicts := _kept_verdicts(variant, ledger):
        go("verdicts", f"of detected images, in {verdicts}", files_below(verdicts))
    stays |= {("labels", f"{place}, your own"): None for place in _decisions(variant)}
    if with_state:
        go("state", str(context.state_dir), files_below(context.state_dir))
    print(output.styled(f"{variant.pipeline.name}: this goes", "bold"))
    rows = [(f"  {name}", size(freed), about) for (name, about), freed in goes.items()]
    if together := sum(goes.values()):
        rows.append(("  together", size(together), "on this machine"))
    print(output.table(rows) or "  nothing")
    if stays:
        print(output.styled("this stays", "bold"))
        print(output.table([(f"  {name}", about) for name, about in stays]))


def _decisions(variant: Variant) -> Iterator[Path]:
    """Yield the labels file, and the folder of the images that it adds, where they are there."""
    labels = Path(variant.pipeline.sources.labels or usual_labels_file(variant.pipeline))
    yield from filter(Path.exists, (labels, images_folder(labels)))


def _kept_verdicts(variant: Variant, ledger: Ledger) -> Path | None:
    """Return the folder of the project's kept verdicts; None if they are not this pipeline's."""
    context, pipeline = variant.context, variant.pipeline
    folder = store_of(context.state_root, pipeline.region, pipeline.project).folder
    return folder if folder.is_dir() and owns_project(context, ledger) else None


def _remove(
    options: DestroyOptions, variant: Variant, members: Sequence[Step[Context]], ledger: Ledger
) -> tuple[list[str], list[str]]:
    """Remove what the ledger knows of; return what was removed and what stays."""
    if ledger.held:
        stop_held_models(variant, ledger)  # a model cannot be deleted while it is hosted
    stay: list[str] = []

    def on_removed(_step: str, thing: str) -> None:
        if not options.json:
            print(f"removed {thing}")

    def on_leftover(_step: str, left: Leftover) -> None:
        stay.append(left.thing)
        if not options.json:
            print(f"left {left.thing}: {left.why}")

    # Before the ledger forgets whose they are, for a kill in between.
    verdicts = _kept_verdicts(variant, ledger)
    if verdicts:
        remove_folder(verdicts)
    removed = engine.destroy(
        members, variant.context, ledger, on_removed=on_removed, on_leftover=on_leftover
    )
    others = list(map(str, steps.remove_leftovers(variant.context)))
    others += [str(verdicts)] if verdicts else []
    for file in others:
        on_removed("", file)
    return [*removed, *others], stay
