"""`lfvpipe prune`: remove what no run needs any more."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lfvpipe import detector, disk, steps
from lfvpipe.cli import output
from lfvpipe.cli.agreement import is_agreed
from lfvpipe.cli.options import Json, LockOptions, Option, at_least
from lfvpipe.cli.variants import ledger_of, locked, open_variants
from lfvpipe.engine.phrases import count_of, size
from lfvpipe.steps.pruning import removal, survey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.step import Leftover
    from lfvpipe.steps.pruning.survey import Group, Kind, Wish

# What a group is called, and its things.
WORDS: Mapping[Kind, tuple[str, str]] = {
    "models": ("models of old runs", "model"),
    "runs": ("pages, verdicts of old runs", "file"),
    "images": ("images of unused selections", "file"),
    "objects": ("objects in the bucket", "object"),
    "archives": ("fetched archives", "file"),
    "trainings": ("learnt by cancelled trainings", "file"),
    "verdicts": ("verdicts of detected images", "verdict"),
    "networks": ("networks of other versions", "file"),
    "left": ("left by killed commands", "file"),
}


@dataclass(frozen=True, kw_only=True)
class PruneOptions(LockOptions):
    """What `lfvpipe prune` reads."""

    keep: Annotated[
        int,
        Option(
            "--keep",
            metavar="N",
            read=at_least(1),
            about="how many runs of each variant stay, with all that they need: the one that it"
            " stands at, then the latest (default: 1)",
        ),
    ] = 1
    keep_verdicts: Annotated[
        int | None,
        Option(
            "--keep-verdicts",
            metavar="N",
            read=at_least(0),
            about="how many of the kept verdicts of `detect` and `serve` stay, the newest"
            " (default: all)",
        ),
    ] = None
    dry_run: Annotated[
        bool, Option("--dry-run", about="show what would be removed, and remove nothing")
    ] = False
    yes: Annotated[bool, Option("--yes", "-y", about="do not ask", group="state")] = False
    json: Json = False


def run(options: PruneOptions) -> int:
    """List what nobody needs, ask, and remove it; return 0, or 1 where the user says no."""
    variant = open_variants(options)[0]  # variants share their ledger
    wish = survey.Wish(options.keep, options.keep_verdicts)
    if not variant.context.state_dir.is_dir():
        return _end(options, [], 0, [])
    if options.dry_run:
        groups = _groups(variant, ledger_of(variant), wish)
        if options.json or not groups:
            return _end(options, groups, 0, [])
        _print_groups(variant, groups)
        return 0
    with locked("prune", options, variant):
        ledger = ledger_of(variant)
        groups = _groups(variant, ledger, wish)
        if groups and not options.json:
            _print_groups(variant, groups)
        if groups and not (options.yes or is_agreed("prune", "remove this?")):
            print("nothing was removed", file=sys.stderr)
            return 1
        if not options.yes and groups != _groups(variant, ledger, wish):
            print("something has changed meanwhile, and nothing was removed", file=sys.stderr)
            return 1
        freed, left = _remove(options, variant, ledger, groups, wish)
    return _end(options, groups, freed, left)


def _groups(variant: Variant, ledger: Ledger, wish: Wish) -> list[Group]:
    others = detector.networks_of_other_versions()
    left = list(steps.leftovers(variant.context))
    return survey.survey(variant.context, ledger, wish, networks=others, left=left)


def _remove(
    options: PruneOptions, variant: Variant, ledger: Ledger, groups: Sequence[Group], wish: Wish
) -> tuple[int, list[Leftover]]:
    """Remove the groups, saying what each has freed; return the bytes, and what stays."""
    freed, left = 0, []
    for group in groups:
        try:
            stayed = removal.remove(variant.context, ledger, group, wish)
        except OSError as error:
            raise disk.refusal(error) or error from error
        left += stayed
        if stayed:
            continue
        freed += group.bytes
        if not options.json:
            print(f"removed {_phrase(group)}, {WORDS[group.kind][0]}")
    return freed, left


def _phrase(group: Group) -> str:
    return f"{count_of(group.number, WORDS[group.kind][1])}, {size(group.bytes) or '0 B'}"


def _print_groups(variant: Variant, groups: Sequence[Group]) -> None:
    print(output.styled(f"{variant.pipeline.name}: no run needs this", "bold"))
    rows = [(f"  {WORDS[group.kind][0]}", _phrase(group)) for group in groups]
    print(
        output.table([*rows, ("  together", size(sum(group.bytes for group in groups)) or "0 B")])
    )


def _end(
    options: PruneOptions, groups: Sequence[Group], freed: int, left: Sequence[Leftover]
) -> int:
    if options.json:
        found: dict[str, Any] = {
            "groups": [
                {"kind": each.kind, "number": each.number, "bytes": each.bytes} for each in groups
            ],
            "freed": freed,
            "left": [str(each.thing) for each in left],
        }
        output.print_json(found)
        return 0
    for each in left:
        print(f"left {each.thing}: {each.why}")
    if not groups:
        print("there is nothing that no run needs")
    else:
        print(f"freed {size(freed) or '0 B'}")
    return 0
