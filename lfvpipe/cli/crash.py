"""What a user sees of a bug: a short message, and where the traceback is."""

from __future__ import annotations

import sys
import tempfile
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import __version__
from lfvpipe.atomic import write_text

if TYPE_CHECKING:
    from lfvpipe.cli.options import Options


def report(bug: BaseException, command: str, options: Options, *, debug: bool) -> int:
    """Say that `bug` is ours, write its traceback to a file, and return the exit code."""
    text = "".join(traceback.format_exception(bug))
    print(f"error: this is a bug in lfvpipe: {type(bug).__name__}: {bug}", file=sys.stderr)
    if debug:
        print(text, file=sys.stderr)
    print(f"  traceback: {_write(text, command, options.state_folder)}", file=sys.stderr)
    print("  please report it with that file; nothing is lost, a rerun resumes", file=sys.stderr)
    return 1


def _write(text: str, command: str, state_folder: Path | None) -> str:
    """Write the report beside the state, else into a folder of its own; return its path.

    It may hold names and addresses of its user's, and is for nobody else.
    """
    now = datetime.now(UTC)
    head = f"lfvpipe {__version__}, Python {sys.version.split()[0]}, {sys.platform}\n"
    head += f"command: {command}\nat: {now.isoformat()}\n\n"
    name = f"lfvpipe-crash-{now:%Y%m%dT%H%M%S%f}.txt"
    if state_folder is not None and state_folder.is_dir():
        with suppress(OSError):
            write_text(state_folder / name, head + text, secret=True)
            return str(state_folder / name)
    with suppress(OSError):
        path = Path(tempfile.mkdtemp(prefix="lfvpipe-crash-")) / name
        write_text(path, head + text, secret=True)
        return str(path)
    return "it could not be written; run again with --debug"
