"""Asking before something is removed."""

from __future__ import annotations

import sys

from lfvpipe.cli.usage import UsageError


def is_agreed(command: str, question: str) -> bool:
    """Ask, and return whether the user agrees.

    Raises:
        UsageError: Nobody is there to answer.
    """
    if not sys.stdin.isatty():
        hint = "Say --yes to go on without being asked."
        raise UsageError(f"`{command}` asks first, and nobody is there to answer.", hint=hint)
    print(f"{question} [yes/no] ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:  # Ctrl-D: what is said next begins a line
        print(file=sys.stderr)
    return line.strip().lower() in {"yes", "y"}
