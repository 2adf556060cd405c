"""The parser of the command line, made of the catalogue of commands."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from lfvpipe import __version__
from lfvpipe.cli.catalogue import COMMANDS, Command
from lfvpipe.cli.options import DEBUG

USAGE_EXIT_CODE = 3
EXIT_CODES = (
    "exit codes: 0 done; 1 a step failed; 2 plan found work to do; "
    "3 the command line or the config is wrong; 4 locked by another run; 130 interrupted"
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose usage errors do not end with `plan`'s exit code."""

    def error(self, message: str) -> NoReturn:
        """Print the usage, the mistake and a suggestion, and exit with USAGE_EXIT_CODE."""
        self.print_usage(_stderr())
        self.exit(USAGE_EXIT_CODE, f"error: {message}{_suggestion(message)}\n")


def build(only: str | None = None) -> Parser:
    """Return the parser of the command line: of `only` one command, which is quicker, or of all."""
    parser = Parser(
        prog="lfvpipe",
        description="From archives of product images to a trained anomaly detector, in one file.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"lfvpipe {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    chosen = [command for command in COMMANDS if command.name == only] or COMMANDS
    for command in chosen:
        _add(commands, command)
    return parser


def _add(commands: argparse._SubParsersAction[Parser], command: Command) -> None:
    example = f"example: {command.example}" if command.example else None
    parser = commands.add_parser(
        command.name,
        help=command.summary,
        description=f"lfvpipe {command.name}: {command.summary}.",
    )
    parser.epilog = example
    for each in (*command.options, DEBUG):
        parser.add_argument(*each.flags, **each.settings)


def _stderr() -> Any:
    import sys

    return sys.stderr


def _suggestion(message: str) -> str:
    import difflib
    import re

    wrong = re.search(r"argument COMMAND: invalid choice: '([^']*)'", message)
    if not wrong:
        return ""
    names = [command.name for command in COMMANDS]
    close = difflib.get_close_matches(wrong[1], names, n=1)
    return f"\n  did you mean {close[0]!r}?" if close else ""
