"""Who watches a run: live lines on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.engine.events import Reporter


@contextmanager
def reporting(log_format: str) -> Iterator[Reporter]:
    """Yield the reporter that suits standard error; what it shows live is removed at the end."""
    if log_format == "json":
        from lfvpipe.cli.reporters.structured import Structured, structured_logs

        with structured_logs():
            yield Structured()
    elif _is_live():
        from lfvpipe.cli.reporters.live import Live

        live = Live()
        try:
            yield live
        finally:
            live.close()
    else:
        from lfvpipe.cli.reporters.plain import Plain

        plain = Plain(sys.stderr)
        try:
            yield plain
        finally:
            plain.close()


def _is_live() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
