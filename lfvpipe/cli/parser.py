"""The parser of the command line, derived from the commands and what each of them reads."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from dataclasses import MISSING, Field, fields
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NoReturn,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from lfvpipe import __version__
from lfvpipe.cli.catalogue import COMMANDS, Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.cli.options import Option, Options

USAGE_EXIT_CODE = 3
EXIT_CODES = (
    "exit codes: 0 done; 1 a step failed; 2 plan found work to do; "
    "3 the command line or the config is wrong; 4 locked by another run; 130 interrupted"
)
GROUPS = ("target", "config", "command", "state", "output", "debug")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose usage errors do not end with `plan`'s exit code."""

    def error(self, message: str) -> NoReturn:
        """Print the usage, the mistake and a suggestion, and exit with USAGE_EXIT_CODE."""
        self.print_usage(sys.stderr)
        self.exit(USAGE_EXIT_CODE, f"error: {message}{_suggestion(message)}\n")


def parse(arguments: Sequence[str]) -> tuple[Command, Options]:
    """Return the command that the arguments name, and what it reads.

    Raises:
        SystemExit: They ask for help or the version, which is printed, or they are wrong.
    """
    first = next((word for word in arguments if not word.startswith("-")), None)
    named = [command for command in COMMANDS if command.name == first]
    # To tell of all commands takes their names alone: only one that is called has to be imported.
    parser = build(named) if named else build(with_options=False)
    given = vars(parser.parse_args(arguments))
    if given.pop("command") is None:
        parser.print_help(sys.stderr)
        raise SystemExit(USAGE_EXIT_CODE)
    (command,) = named
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return command, command.options.from_words(**values)


def build(commands: Sequence[Command] = COMMANDS, *, with_options: bool = True) -> Parser:
    """Return a parser that knows `commands`, with what they read or by their names alone."""
    parser = Parser(
        prog="lfvpipe",
        description="From archives of product images to a trained anomaly detector, in one file.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"lfvpipe {__version__}")
    children = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in commands:
        child = children.add_parser(
            command.name,
            help=command.summary,
            description=f"lfvpipe {command.name}: {command.summary}.",
            epilog=f"example: {command.example}",
        )
        if with_options:
            for field, kind, option in declarations(command.options):
                words = option.flags or (field.name,)
                action = child.add_argument(*words, **_settings(field, kind, option))
                action.completes = option.completes  # type: ignore[attr-defined]  # for `completion`
    return parser


def declarations(options: type[Options]) -> Iterator[tuple[Field[Any], Any, Option]]:
    """Yield the fields that the command line gives, with type and option, in `--help`'s order."""
    hints = get_type_hints(options, include_extras=True)
    # A field without an option is filled by the class itself, in `from_words`.
    found = [(each, *get_args(hints[each.name])) for each in fields(options)]
    with_option = [each for each in found if len(each) == 3 and hasattr(each[2], "flags")]
    yield from sorted(with_option, key=lambda e: (bool(e[2].flags), GROUPS.index(e[2].group)))


def _settings(field: Field[Any], kind: Any, option: Option) -> dict[str, Any]:
    """Return what `add_argument` is told of a field beside its words."""
    # What is not given stays unsaid, so that the class's own default holds.
    settings: dict[str, Any] = {"help": option.about, "default": argparse.SUPPRESS}
    if option.flags:
        settings["dest"] = field.name
    if kind is bool:
        return {**settings, "action": "store_true"}
    settings["metavar"] = option.metavar
    if get_origin(kind) in {Union, UnionType}:  # of a type and None
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        settings["choices"] = get_args(kind)
    elif option.read or kind is int:
        settings["type"] = option.read or int
    return {**settings, **_arity(field, option, is_many=get_origin(kind) is tuple)}


def _arity(field: Field[Any], option: Option, *, is_many: bool) -> dict[str, Any]:
    """Return how many words a field takes, and how often, in argparse's terms."""
    if not option.flags:
        if field.default is MISSING:
            return {"nargs": "+"} if is_many else {}
        return {"nargs": "*" if is_many else "?", "default": field.default}
    if option.is_greedy:
        return {"action": "extend", "nargs": "+"}
    arity: dict[str, Any] = {"action": "append"} if is_many else {}
    if option.alone is not None:
        arity |= {"nargs": "?", "const": option.alone}
    return arity


def _suggestion(message: str) -> str:
    wrong = re.search(r"argument COMMAND: invalid choice: '([^']*)'", message)
    if not wrong:
        return ""
    names = [command.name for command in COMMANDS]
    close = difflib.get_close_matches(wrong[1], names, n=1)
    return f"\n  did you mean {close[0]!r}?" if close else ""
