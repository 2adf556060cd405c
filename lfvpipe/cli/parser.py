"""The parser of the command line, derived from the commands and what each of them reads."""

from __future__ import annotations

import argparse
import difflib
import functools
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
from lfvpipe.wrapping import columns, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lfvpipe.cli.options import Option, Options

USAGE_EXIT_CODE = 3
EXIT_CODES = (
    "exit codes: 0 done; 1 a step failed; 2 plan found work to do, or doctor damage; "
    "3 the command line or the config is wrong; 4 locked by another run; 130 interrupted"
)
GROUPS = ("target", "config", "command", "state", "output", "debug")


class Words(argparse.HelpFormatter):
    """A formatter that breaks lines between words alone; `--state-dir` is one word."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, width, "")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in wrapped(text, width - len(indent), ""))


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose usage errors do not end with `plan`'s exit code."""

    def __init__(self, *, part_of: Parser | None = None, **settings: Any) -> None:
        super().__init__(formatter_class=Words, **settings)
        self._whole = part_of or self

    def error(self, message: str) -> NoReturn:
        """Print the usage, the mistake and a suggestion, and exit with USAGE_EXIT_CODE."""
        self._whole.print_usage(sys.stderr)
        actions = self._whole._actions  # noqa: SLF001  (argparse has no public way to list them)
        flags = [flag for action in actions for flag in action.option_strings]
        said = [*wrapped(f"error: {message}", columns()), *_suggestion(message, flags)]
        self.exit(USAGE_EXIT_CODE, "\n".join(said) + "\n")


def parse(arguments: Sequence[str]) -> tuple[Command, Options]:
    """Return the command that the arguments name, and what it reads.

    Raises:
        SystemExit: They ask for help or the version, which is printed, or they are wrong.
    """
    words = list(arguments)
    by_name = {command.name: command for command in COMMANDS}
    place = 0
    if words and words[0].startswith("-"):  # options of a command may stand before it, too
        place = next((at for at, word in enumerate(words) if word in by_name), len(words))
    command = by_name.get(words[place]) if place < len(words) else None
    if command is None or "--version" in words[:place]:
        # To tell of all commands takes their names alone: only one that is called is imported.
        parser = build(with_options=False)
        parser.parse_args(words[: place + 1])
        parser.print_help(sys.stderr)
        raise SystemExit(USAGE_EXIT_CODE)
    given = _read(command, words[:place] + words[place + 1 :])
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return command, command.options.from_words(**values)


def _read(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """Return what the words say; options may stand before, between and behind the others.

    argparse takes all places of a run of words at once, so that a word behind an option is none of
    them. Its intermixed parsing does, but forgets what `--` is for.
    """
    whole = Parser(prog=f"lfvpipe {command.name}", **_texts(command))
    by_flag, by_place = (Parser(part_of=whole, add_help=False) for _ in range(2))
    by_flag.add_argument("-h", "--help", action="store_true", default=argparse.SUPPRESS)
    _add_options(whole, command)
    for parser in (by_flag, by_place):
        _add_options(parser, command, with_flag=parser is by_flag)
    end = words.index("--") if "--" in words else len(words)
    found, left = by_flag.parse_known_args(words[:end])
    given = vars(found)
    if given.pop("help", False):
        whole.print_help()
        raise SystemExit(0)
    # What lies behind an unknown option may be its value, so that no word is told of but these.
    if unknown := [word for word in left if word.startswith("-") and word != "-"]:
        whole.error(f"unrecognized arguments: {' '.join(unknown)}")
    placed = [*left, *words[end + 1 :]]
    marked = ["--", *placed] if any(word.startswith("-") for word in placed) else placed
    return given | vars(by_place.parse_args(marked))


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
        child = children.add_parser(command.name, help=command.summary, **_texts(command))
        if with_options:
            _add_options(child, command)
    return parser


def _texts(command: Command) -> dict[str, Any]:
    return {
        "description": f"lfvpipe {command.name}: {command.summary}.",
        "epilog": f"example: {command.example}",
    }


def _add_options(parser: Parser, command: Command, *, with_flag: bool | None = None) -> None:
    """Add what a command reads: all of it, or only what is told by a flag, or only by its place."""
    for field, kind, option in declarations(command.options):
        if with_flag is not None and bool(option.flags) is not with_flag:
            continue
        words = option.flags or (field.name,)
        action = parser.add_argument(*words, **_settings(field, kind, option))
        action.completes = option.completes  # type: ignore[attr-defined]  # for `completion`


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
    else:
        settings["type"] = _of_a_word(option.read or (int if kind is int else str))
    return {**settings, **_arity(field, option, is_many=get_origin(kind) is tuple)}


def _of_a_word(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a reader that takes no empty word: a shell makes one of a variable that is not set."""

    @functools.wraps(read)
    def value(word: str) -> Any:
        if not word:
            raise argparse.ArgumentTypeError("the value is empty; is a variable not set?")
        return read(word)

    return value


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


def _suggestion(message: str, flags: Sequence[str]) -> list[str]:
    """Return a line that says which command or option may have been meant, where one is near."""
    if wrong := re.search(r"argument COMMAND: invalid choice: '([^']*)'", message):
        close = difflib.get_close_matches(wrong[1], [command.name for command in COMMANDS], n=1)
    elif wrong := re.search(r"unrecognized arguments: (--[^\s=]*)", message):
        close = difflib.get_close_matches(wrong[1], flags, n=1, cutoff=0.7)
    elif wrong := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
        choices = [choice.strip("' ") for choice in wrong[2].split(",")]
        close = difflib.get_close_matches(wrong[1], choices, n=1)
    else:
        return []
    return [f"  did you mean {near!r}?" for near in close]
