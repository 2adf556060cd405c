"""`lfvpipe report`: a run's summary again, and where its page and its run file are."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from lfvpipe.cli import output, session
from lfvpipe.cli.commands.history import standing_runs
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from lfvpipe.report.records import RunRecord


def run(options: argparse.Namespace) -> int:
    """Print the summary and the files' names, or the run file; open the page if asked; return 0."""
    from lfvpipe.report import history, run_file

    variants = session.open_variants(options)
    state_dir = variants[0].context.state_dir
    standing = standing_runs(variants)
    *_, word = ("latest", *history.standing_pair(state_dir, standing))
    found = history.find(state_dir, options.run or word, standing)
    path = run_file.path_of(state_dir, found.id)
    page = path.with_suffix(".html")
    if options.json:
        output.print_json(run_file.as_json(found))
    else:
        _print(found, path, page)
    if options.open:
        _open(page)
    return 0


def _print(found: RunRecord, path: Path, page: Path) -> None:
    from lfvpipe.report import terminal

    width = shutil.get_terminal_size((100, 24)).columns
    print(terminal.summary(found, width, output.has_colours(sys.stdout)))
    print(f"page      {page if page.is_file() else 'not there'}")
    print(f"run file  {path}")


def _open(page: Path) -> None:
    import webbrowser

    if not page.is_file():
        raise UserError(
            f"{page} is not there", hint="`lfvpipe run --force report` writes it again."
        )
    if not webbrowser.open(page.as_uri()):
        raise UserError("no browser can be opened from here", hint=f"Open {page} yourself.")
