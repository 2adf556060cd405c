"""The reporter that suits standard error."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lfvpipe.cli import reporters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.cli.options import LogFormat
    from lfvpipe.cli.reporters.lines import Describe
    from lfvpipe.engine.events import Reporter


@contextmanager
def reporting(log_format: LogFormat, describe: Describe) -> Iterator[Reporter]:
    """Yield the reporter that suits standard error; what it shows live is removed at the end.

    Args:
        log_format: ``human``, or ``json`` for machines.
        describe: Says what of a step's outcome is worth showing to people.
    """
    if log_format == "json":
        with reporters.structured.structured_logs():
            yield reporters.structured.Structured()
        return
    is_live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    reporter = (
        reporters.live.Live(describe) if is_live else reporters.plain.Plain(sys.stderr, describe)
    )
    try:
        yield reporter
    finally:
        reporter.close()
