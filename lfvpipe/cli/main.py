"""The way in: parse, call one command, turn errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lfvpipe.cli.parser import USAGE_EXIT_CODE, build
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments without the program's name; None for those of the process.

    Returns:
        The exit code: 0 done; 1 a step failed; 2 plan found work to do; 3 the command line or
        the config is wrong; 4 locked by another run; 130 interrupted.
    """
    _print_what_the_console_can_show()
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build(only=arguments[0] if arguments else None)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    if options.command is None:
        parser.print_help(sys.stderr)
        return USAGE_EXIT_CODE
    return _guarded(options)


def _guarded(options: argparse.Namespace) -> int:
    """Call the command; the one place where errors end."""
    try:
        code = _command(options.command)(options)
        sys.stdout.flush()
    except UserError as error:
        return _explain(error, options)
    except BrokenPipeError:
        return _reader_went_away()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as bug:  # the documented boundary: nothing below may swallow a bug
        from lfvpipe.cli.crash import report

        return report(bug, options, debug=_debug(options))
    return code


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    from importlib import import_module

    run: Callable[[argparse.Namespace], int]
    run = import_module(f"lfvpipe.cli.commands.{name}").run
    return run


def _explain(error: UserError, options: argparse.Namespace) -> int:
    from lfvpipe.steps.advice import advise

    if _debug(options):
        import traceback

        traceback.print_exception(error)
    for message in getattr(error, "problems", (error.message,)):
        print(f"error: {message}", file=sys.stderr)
    for line in advise(error).splitlines():
        print(f"  {line}", file=sys.stderr)
    return error.exit_code


def _debug(options: argparse.Namespace) -> bool:
    return bool(options.debug or os.environ.get("LFVPIPE_DEBUG"))


def _reader_went_away() -> int:
    """Point stdout at nothing, so that the interpreter's last flush does not complain."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
    return 1


def _print_what_the_console_can_show() -> None:
    """Replace characters that the console's encoding lacks, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
