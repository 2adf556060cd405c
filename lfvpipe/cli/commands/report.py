"""`lfvpipe report`: a run's summary again, and where its page and its run file are."""

from __future__ import annotations

import shutil
import sys
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from lfvpipe import atomic, report
from lfvpipe.cli import output
from lfvpipe.cli.options import Json, Option, PipelineOptions
from lfvpipe.cli.run_report import standing_runs
from lfvpipe.cli.variants import open_variants
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.report.records import RunRecord


@dataclass(frozen=True, kw_only=True)
class ReportOptions(PipelineOptions):
    """What `lfvpipe report` reads."""

    run: Annotated[
        str | None,
        Option(
            "--run",
            metavar="RUN",
            about="which run, as `compare` takes it (default: the one that the pipeline stands at)",
        ),
    ] = None
    open: Annotated[bool, Option("--open", about="open the report page in the browser")] = False
    json: Json = False


def run(options: ReportOptions) -> int:
    """Print the summary and the files' names, or the run file; open the page if asked; return 0."""
    variants = open_variants(options)
    state_dir = variants[0].context.state_dir
    standing = standing_runs(variants)
    *_, word = ("latest", *report.history.standing_pair(state_dir, standing))
    found = report.history.find(state_dir, options.run or word, standing)
    path = report.run_file.path_of(state_dir, found.id)
    page = path.with_suffix(".html")
    if options.json:
        output.print_json(report.run_file.as_json(found))
    else:
        _print(found, path, page)
    if options.open:
        _open(page)
    return 0


def _print(found: RunRecord, path: Path, page: Path) -> None:
    width = shutil.get_terminal_size((100, 24)).columns
    print(report.terminal.summary(found, width, output.has_colours(sys.stdout)))
    print(f"page      {page if page.is_file() else 'not there'}")
    print(f"run file  {path}")


def _open(page: Path) -> None:
    if not page.is_file():
        raise UserError(
            f"{page} is not there.", hint="`lfvpipe run --force report` writes it again."
        )
    with atomic.as_usual():
        is_open = webbrowser.open(page.as_uri())
    if not is_open:
        raise UserError("No browser can be opened from here.", hint=f"Open {page} yourself.")
