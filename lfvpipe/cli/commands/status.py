"""`lfvpipe status`: where each step stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe.cli import output, planning, session, wording
from lfvpipe.cli.options import Json, PipelineOptions, Refresh
from lfvpipe.engine.lock import current_holder
from lfvpipe.report.durations import duration

if TYPE_CHECKING:
    from lfvpipe.cli.output import Style
    from lfvpipe.cli.planning import Planned
    from lfvpipe.engine.ledger import Record
    from lfvpipe.engine.lock import Holder
    from lfvpipe.engine.planning import PlanRow

STYLES: dict[str, Style | None] = {
    "done": "green",
    "stale": "yellow",
    "reusable": "cyan",
    "running": "cyan",
    "interrupted": "yellow",
    "failed": "red",
    "never run": "dim",
}


@dataclass(frozen=True)
class Standing:
    """Where one step stands.

    Attributes:
        row: What a run would do with it.
        record: The outcome it stands at, or what the last attempt left.
        at_work: A run holds the lock, so an attempt without an end goes on.
    """

    row: PlanRow
    record: Record | None
    at_work: bool = False

    @property
    def state(self) -> str:
        """One of the keys of `STYLES`."""
        codes = {reason.code for reason in self.row.reasons}
        if self.row.action == "unchanged":
            return "done"
        if self.row.action == "reuse":
            return "reusable"
        for code in ("failed", "interrupted"):
            if code in codes:
                return "running" if code == "interrupted" and self.at_work else code
        return "never run" if self.record is None else "stale"

    @property
    def seconds(self) -> float | None:
        """How long the last attempt took."""
        record = self.record
        return wording.seconds_between(record.started, record.finished) if record else None


@dataclass(frozen=True, kw_only=True)
class StatusOptions(PipelineOptions):
    """What `lfvpipe status` reads."""

    refresh: Refresh = False
    json: Json = False


def run(options: StatusOptions) -> int:
    """Print each step's state, outcome, time and facts; return 0."""
    planned = planning.plan_all(options, refresh=options.refresh)
    if options.json:
        output.print_json(_json(planned))
        return 0
    for one in planned:
        _print(one, options)
    return 0


def standings(one: Planned) -> list[Standing]:
    """Return where each step of a planned variant stands."""
    who = _running(one)
    rows = one.rows
    return [
        Standing(row, one.ledger.baseline(one.variant.name, row.step), bool(who)) for row in rows
    ]


def _running(one: Planned) -> Holder | None:
    """Return the run that is at work on this pipeline, if one is."""
    who = current_holder(one.variant.context.state_dir)
    return who if who and who.command.startswith("lfvpipe run") else None


def _print(one: Planned, options: StatusOptions) -> None:
    print(output.styled(one.title, "bold"))
    found = standings(one)
    if who := _running(one):
        print(output.styled(f"at work: {who}", "cyan"))
    head = ("step", "state", "outcome", "when", "took", "facts")
    cells = [head, *(_cells(standing) for standing in found)]
    print(output.table(cells, styles=["dim", *(STYLES[standing.state] for standing in found)]))
    _print_held(one, session.command("stop", options, one.file))
    stale = [row for row in one.rows if row.action == "run"]
    if stale:
        again = f"{len(stale)} of {len(one.rows)} steps to run"
        print(f"\n{again}: `{session.command('plan', options, one.file)}` says why")


def _print_held(one: Planned, command: str) -> None:
    for key in one.ledger.held:
        print(output.styled(f"hosted: {key}; `{command}` stops it", "yellow"))


def _cells(standing: Standing) -> tuple[str, ...]:
    record, why = standing.record, standing.row.reasons
    outcome = record.outcome if record else None
    told = wording.facts(standing.row.step, outcome.facts) if outcome else ""
    if standing.state not in {"done", "reusable", "running", "never run"} and why:
        told = wording.reason(why[0]) + (f" (and {len(why) - 1} more)" if len(why) > 1 else "")
    return (
        standing.row.step,
        standing.state,
        outcome.word if outcome else "",
        wording.when(record.finished) if record else "",
        duration(standing.seconds) if standing.seconds is not None else "",
        told,
    )


def _json(planned: tuple[Planned, ...]) -> dict[str, Any]:
    variants = [
        {
            "variant": one.variant.name,
            "held": {key: dict(facts) for key, facts in one.ledger.held.items()},
            "steps": [_step_json(standing) for standing in standings(one)],
        }
        for one in planned
    ]
    return {"name": planned[0].variant.context.pipeline.name, "variants": variants}


def _step_json(standing: Standing) -> dict[str, Any]:
    record = standing.record
    outcome = record.outcome if record else None
    return {
        **planning.row_json(standing.row),
        "state": standing.state,
        "outcome": outcome.word if outcome else None,
        "facts": dict(outcome.facts) if outcome else {},
        "started": record.started if record else None,
        "finished": record.finished if record else None,
        "error": record.error if record else None,
    }
