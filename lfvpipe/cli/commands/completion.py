"""`lfvpipe completion`: print a shell's completion script, which never starts lfvpipe itself."""

from __future__ import annotations

import argparse

PIPELINE_FILES = {"file", "targets", "paths", "output", "model"}
FOLDERS = {"state_dir"}
STEPS = {"from_", "until", "only", "accept", "why"}


def run(options: argparse.Namespace) -> int:
    """Print the completion script of `options.shell`; return 0."""
    import shtab

    from lfvpipe.cli.parser import build

    parser = build()
    _teach(parser)
    print(shtab.complete(parser, shell=options.shell))
    return 0


def _teach(parser: argparse.ArgumentParser) -> None:
    """Tell shtab which arguments are files, folders and steps."""
    import shtab

    from lfvpipe.cli.commands.docs import page_names
    from lfvpipe.steps.pipeline import families

    for action in parser._actions:  # noqa: SLF001  (argparse has no public way to list them)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                _teach(child)
        elif action.dest in PIPELINE_FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own extension
        elif action.dest in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # the same
        elif action.dest in STEPS:
            action.choices = families()
        elif action.dest == "page":
            action.choices = page_names()
