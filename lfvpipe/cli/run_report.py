"""What a variant's report leaves to show: its run file, its page, and its summary."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from lfvpipe import atomic, report, steps
from lfvpipe.cli import formatting, output
from lfvpipe.cli.variants import ledger_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.result import RunResult


def run_file(variant: Variant, ledger: Ledger) -> Path | None:
    """Return the run file that the variant's report stands at, None where there is none."""
    standing = steps.ReportOutcome.standing(ledger, variant.name)
    path = variant.context.state_dir / standing.run_file if standing else None
    return path if path and path.is_file() else None


def run_json(variant: Variant, ledger: Ledger) -> dict[str, Any] | None:
    """Return the run file's content (see `lfvpipe schema run`), None where there is none."""
    path = run_file(variant, ledger)
    return dict(json.loads(path.read_bytes())) if path else None


def page(variant: Variant, ledger: Ledger) -> Path | None:
    """Return the report page of what the variant stands at, None where there is none."""
    file = run_file(variant, ledger)
    if file is None:
        return None
    # A matrix has one report.html for all its variants, so each run's own page is named.
    latest = variant.context.state_dir / "report.html"
    found = file.with_suffix(".html") if variant.is_of_matrix else latest
    return found if found.is_file() else None


def page_line(variant: Variant, ledger: Ledger) -> str:
    """Return a line on where the report page is, empty without one."""
    found = page(variant, ledger)
    if found is None:
        return ""
    export = ""
    if variant.pipeline.service.endpoint == "embedded" and not variant.is_of_matrix:
        export = "model     `lfvpipe export` puts it into a folder that judges by itself\n"
    return f"{export}page      {formatting.path(found)}\n"


def summary(variant: Variant, ledger: Ledger) -> str:
    """Return the summary of the variant's last run for the terminal; empty without a report."""
    path = run_file(variant, ledger)
    if path is None:
        return ""
    width = shutil.get_terminal_size((100, 24)).columns
    run = report.run_file.load(path)
    return report.terminal.summary(run, width, output.has_colours(sys.stdout))


def headline(variant: Variant, ledger: Ledger) -> str:
    """Return one line on what the variant stands at: model, scores, when."""
    record = ledger.standing_record(variant.name, "model")
    if record is None or record.outcome is None:
        return ""
    facts = variant.describe("model", record.outcome)
    return f"model of {formatting.when(record.finished)}: {facts}\n"


def update_after_run(variant: Variant, result: RunResult) -> None:
    """Bring the report's files in line with a run that made a report, or went back to one."""
    row = next((row for row in result.rows if row.step == "report"), None)
    if row is None or row.outcome is None or row.action not in {"run", "reuse"}:
        return
    state_dir = variant.context.state_dir
    outcome = steps.ReportOutcome.from_json(row.outcome.facts)
    if row.action == "run":
        # The report is a step of the run: how long the steps took is known only now.
        timings = [
            report.records.Timing(each.step, each.outcome.word, each.seconds)
            for each in result.rows
            if each.action == "run" and each.outcome
        ]
        path = state_dir / outcome.run_file
        if path.is_file():
            report.run_file.add_timings(path, timings)
    else:
        # report.html shows the latest run; going back to an earlier one makes that the latest.
        page_of_run = state_dir / outcome.page
        if page_of_run.is_file():
            atomic.write_bytes(state_dir / "report.html", page_of_run.read_bytes())


def standing_runs(variants: Iterable[Variant]) -> dict[str, str]:
    """Return the run that each variant stands at, by the variant's name."""
    runs: dict[str, str] = {}
    for variant in variants:
        standing = steps.ReportOutcome.standing(ledger_of(variant), variant.name)
        if standing is not None:
            runs[variant.name] = standing.run
    return runs
