"""Questions to whoever sits at the terminal: numbered answers, the usual one by Enter alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lfvpipe.cli.output import styled
from lfvpipe.cli.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def can_ask() -> bool:
    """Tell whether a person reads what is printed and can answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, answers: Sequence[str], *, default: int | None = 0) -> int:
    """Ask on standard error until one of the answers is given, and return which.

    Args:
        question: A sentence.
        answers: What can be answered; their numbers are counted from 1 for the user.
        default: Which of them Enter stands for; None where it has to be said.

    Raises:
        UsageError: The input ended.
        KeyboardInterrupt: Ctrl-C.
    """
    print(styled(question, "bold", stream=sys.stderr), file=sys.stderr)
    for number, answer in enumerate(answers, start=1):
        mark = "*" if default is not None and number == default + 1 else " "
        print(f" {mark}{number}  {answer}", file=sys.stderr)
    usual = "" if default is None else f" [{default + 1}]"
    while True:
        print(f"Number{usual}: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            raise UsageError(
                "The question was not answered.", hint="Nothing was written; start again."
            )
        said = line.strip()
        if not said and default is not None:
            return default
        if said.isdecimal() and 1 <= int(said) <= len(answers):
            return int(said) - 1
        if said:
            print(f"{said!r} is none of 1 to {len(answers)}.", file=sys.stderr)
        else:
            print(f"Nothing tells which is right: type 1 to {len(answers)}.", file=sys.stderr)
