"""The way in: parse, call one command, turn errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import nullcontext
from typing import TYPE_CHECKING

from lfvpipe import cli, disk, steps
from lfvpipe.cli.parser import parse
from lfvpipe.errors import UserError
from lfvpipe.visible import visible
from lfvpipe.wrapping import fitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.cli.catalogue import Command
    from lfvpipe.cli.options import Options

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments without the program's name; None for those of the process.

    Returns:
        The exit code: 0 done; 1 a step failed; 2 plan found work to do; 3 the command line or
        the config is wrong; 4 locked by another run; 130 interrupted.
    """
    # A console whose encoding lacks a character shows another in its place; nothing fails on it.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    with fitting():
        try:
            command, options = parse(sys.argv[1:] if argv is None else argv)
        except SystemExit as end:
            return int(end.code or 0)
        return _call(command, options)


def _call(command: Command, options: Options) -> int:
    """Call the command; the one place where errors end."""
    is_debugging = bool(options.debug or os.environ.get("LFVPIPE_DEBUG"))
    try:
        root = options.state_root
        with cli.private_state.private_state(root) if root else nullcontext():
            try:
                code = command.run(options)
            finally:
                cli.endings.end()
        sys.stdout.flush()
    except UserError as error:
        return _tell(error, is_debugging=is_debugging)
    except BrokenPipeError:
        # Whoever read went away. The interpreter flushes once more at its end, and must not fail.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as bug:  # the documented boundary: nothing below may swallow a bug
        refused = disk.refusal(bug)
        if refused is not None:
            refused.__cause__ = bug
            return _tell(refused, is_debugging=is_debugging)
        return cli.crash.report(bug, command.name, options, debug=is_debugging)
    return code


def _tell(error: UserError, *, is_debugging: bool) -> int:
    """Print what happened and what to do; return the exit code."""
    if is_debugging:
        traceback.print_exception(error)
    for message in getattr(error, "problems", (error.message,)):
        print(f"error: {visible(str(message))}", file=sys.stderr)
    for line in steps.advise(error).splitlines():
        print(f"  {visible(line)}", file=sys.stderr)
    return error.exit_code
