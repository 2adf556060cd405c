"""What a run leaves to show: its run file, the summary, and nothing hosted by mistake."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from lfvpipe import atomic
from lfvpipe import report as reporting
from lfvpipe.cli import output, wording
from lfvpipe.engine.events import StepWarning
from lfvpipe.errors import UserError
from lfvpipe.steps import hosting
from lfvpipe.steps.report import ReportOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.cli.session import Variant
    from lfvpipe.engine.events import Reporter
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.result import RunResult


def release_what_is_held(variant: Variant, ledger: Ledger, reporter: Reporter) -> None:
    """Stop the models that a killed or failed run left hosted, unless they are to keep running.

    Where that fails, the user is warned and the ledger goes on holding them: a run's own error is
    the one to end with.
    """
    if not ledger.held or variant.context.pipeline.hosting.keep_running:
        return
    try:
        stop_held(variant, ledger)
    except UserError as error:
        reporter(StepWarning("evaluate", hosting.still_hosted_warning(error)))


def stop_held(variant: Variant, ledger: Ledger) -> list[str]:
    """Stop every model that the ledger holds; return the keys of those that are stopped.

    Raises:
        UserError: The service cannot be reached, or refuses.
    """
    released = hosting.stop_models(variant.context, dict(ledger.held))
    for key in released:
        ledger.release(key)
    return released


def run_file(variant: Variant, ledger: Ledger) -> Path | None:
    """Return the run file that the variant's report stands at, None where there is none."""
    report = ReportOutcome.standing(ledger, variant.name)
    path = variant.context.state_dir / report.run_file if report else None
    return path if path and path.is_file() else None


def note_timings(variant: Variant, result: RunResult) -> None:
    """Put into the run file how long each step of this run took, when it made a report."""
    report = next((row for row in result.rows if row.step == "report"), None)
    if report is None or report.action != "run" or report.outcome is None:
        return
    timings = [
        reporting.records.Timing(row.step, row.outcome.word, row.seconds)
        for row in result.rows
        if row.action == "run" and row.outcome
    ]
    path = variant.context.state_dir / ReportOutcome.from_json(report.outcome.facts).run_file
    if path.is_file():
        reporting.run_file.add_timings(path, timings)


def turn_page(variant: Variant, result: RunResult) -> None:
    """Let ``report.html`` show the run that the pipeline went back to, if it did."""
    report = next((row for row in result.rows if row.step == "report"), None)
    if report is None or report.action != "reuse" or report.outcome is None:
        return
    state_dir = variant.context.state_dir
    page = state_dir / ReportOutcome.from_json(report.outcome.facts).page
    if page.is_file():
        atomic.write_bytes(state_dir / "report.html", page.read_bytes())


def page(variant: Variant, ledger: Ledger) -> Path | None:
    """Return the report page of what the variant stands at, None where there is none."""
    file = run_file(variant, ledger)
    if file is None:
        return None
    state_dir = variant.context.state_dir  # a matrix has one report.html for all its variants
    found = state_dir / "report.html" if variant.name == "default" else file.with_suffix(".html")
    return found if found.is_file() else None


def page_line(variant: Variant, ledger: Ledger) -> str:
    """Return a line on where the report page is, empty without one."""
    found = page(variant, ledger)
    return f"page      {wording.path(found)}\n" if found else ""


def summary(variant: Variant, ledger: Ledger) -> str:
    """Return the summary of the variant's last run for the terminal; empty without a report."""
    path = run_file(variant, ledger)
    if path is None:
        return ""
    width = shutil.get_terminal_size((100, 24)).columns
    return reporting.terminal.summary(
        reporting.run_file.load(path), width, output.has_colours(sys.stdout)
    )


def headline(variant: Variant, ledger: Ledger) -> str:
    """Return one line on what the variant stands at: model, scores, when."""
    record = ledger.standing_record(variant.name, "model")
    if record is None or record.outcome is None:
        return ""
    facts = wording.facts("model", record.outcome.facts)
    return f"model of {wording.when(record.finished)}: {facts}\n"


def run_json(variant: Variant, ledger: Ledger) -> dict[str, Any] | None:
    """Return the run file's content (see `lfvpipe schema run`), None where there is none."""
    path = run_file(variant, ledger)
    return dict(json.loads(path.read_bytes())) if path else None
