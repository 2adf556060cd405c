"""`lfvpipe completion`: print a shell's completion script, which never starts lfvpipe itself."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from lfvpipe.cli.commands.docs import page_names
from lfvpipe.cli.options import Option, Options
from lfvpipe.cli.parser import build
from lfvpipe.steps.pipeline import families
from lfvpipe.wrapping import plain_stream


@dataclass(frozen=True, kw_only=True)
class CompletionOptions(Options):
    """What `lfvpipe completion` reads."""

    shell: Annotated[
        Literal["bash", "zsh", "tcsh", "fish", "powershell"], Option(about="the shell")
    ]


def run(options: CompletionOptions) -> int:
    """Print the completion script of `options.shell`; return 0."""
    import shtab

    parser = build()
    _teach(parser)
    print(shtab.complete(parser, shell=options.shell), file=plain_stream(sys.stdout))
    return 0


def _teach(parser: argparse.ArgumentParser) -> None:
    """Tell shtab which arguments are files, folders, steps and pages."""
    import shtab

    for action in parser._actions:  # noqa: SLF001  (argparse has no public way to list them)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                _teach(child)
            continue
        match getattr(action, "completes", None):
            case "file":
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own extension
            case "folder":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # the same
            case "step":
                action.choices = families()
            case "page":
                action.choices = page_names()
