"""`lfvpipe plan`: what a run would do, like a diff."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.cli import output, planning, session, wording
from lfvpipe.cli.options import EVERY_STEP, Json, Refresh, StepOptions, Why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.cli.output import Style
    from lfvpipe.cli.planning import Planned
    from lfvpipe.engine.planning import PlanRow

WORK_TO_DO = 2
MOST_REASONS = 6
MARKS: dict[str, tuple[str, str, Style]] = {
    "create": ("+", "run", "green"),
    "run": ("~", "run again", "yellow"),
    "follow": ("~", "run again if what it needs changes", "yellow"),
    "reuse": ("<", "reuse an earlier outcome", "cyan"),
    "unchanged": (" ", "unchanged", "dim"),
    "skip": ("-", "not selected", "dim"),
}


@dataclass(frozen=True, kw_only=True)
class PlanOptions(StepOptions):
    """What `lfvpipe plan` reads."""

    refresh: Refresh = False
    why: Why = None
    json: Json = False


def run(options: PlanOptions) -> int:
    """Print the plan; return 2 when there is work to do, 0 when there is none."""
    planned = planning.plan_all(options, steps=options, refresh=options.refresh)
    if options.json:
        output.print_json(planning.as_json(planned))
    elif options.why is not None:
        explain(planned, options.why)
    else:
        for one in planned:
            _print(one)
        _print_command(options, planned)
    return WORK_TO_DO if any(one.has_work for one in planned) else 0


def explain(planned: tuple[Planned, ...], step: str) -> None:
    """Print every reason why `step`, or with ``*`` each step, would run."""
    for one in planned:
        rows = [
            row for row in one.rows if step in (EVERY_STEP, row.step, row.step.partition(":")[0])
        ]
        if not rows:
            known = ", ".join(row.step for row in one.rows)
            raise session.UsageError(f"there is no step {step!r}", hint=f"steps: {known}")
        print(output.styled(one.title, "bold"))
        _print_rows(rows, most=sys.maxsize)


def _print(one: Planned) -> None:
    count = len(one.to_run)
    reused = sum(row.action == "reuse" for row in one.rows)
    print(output.styled(one.title, "bold"), end="")
    if not one.has_work:
        chosen = sum(row.action != "skip" for row in one.rows)
        which = "" if chosen == len(one.rows) else "selected "
        print(f": nothing to do, all {chosen} {which}steps are up to date")
        return
    more = f", {reused} to reuse" if reused else ""
    print(f": {count} of {len(one.rows)} steps to run{more}")
    _print_rows(one.rows, most=MOST_REASONS)
    print()


def _print_command(options: PlanOptions, planned: Sequence[Planned]) -> None:
    """Say how to do it: once, as one command runs all variants."""
    if any(one.has_work for one in planned):
        named = planned[0].file
        selecting = session.selecting_words(options)
        command = session.command("run", options, named, selecting=selecting)
        print("run it with", output.styled(command, "bold"))


def _print_rows(rows: Sequence[PlanRow], most: int) -> None:
    width = max(18, *(len(row.step) for row in rows))
    for row in rows:
        _print_row(row, width, most)


def _print_row(row: PlanRow, width: int, most: int) -> None:
    kind = _kind(row)
    mark, word, style = MARKS[kind]
    print(output.styled(f"{mark} {row.step:<{width}} {word}", style))
    said = _said(row)
    for text in said[:most]:
        print(f"    {text}")
    if len(said) > most:
        print(f"    and {len(said) - most} more reasons: --why {row.step}")


def _kind(row: PlanRow) -> str:
    """Return the row's key in `MARKS`; steps that merely follow others are told apart."""
    if row.action != "run":
        return row.action
    if _is_first(row):
        return "create"
    return "follow" if all(why.code == "upstream" for why in row.reasons) else "run"


def _said(row: PlanRow) -> list[str]:
    """Return the reasons as phrases; what merely follows from other steps comes last, in one."""
    if _is_first(row):
        return []
    own = [wording.reason(why) for why in row.reasons if why.code != "upstream"]
    after = [why.subject for why in row.reasons if why.code == "upstream"]
    return [*own, f"after {', '.join(after)}"] if after else own


def _is_first(row: PlanRow) -> bool:
    return any(why.code == "never-run" for why in row.reasons)
