"""Runs the command line again and again in forks of a process that has imported it.

    python -m tests.crashes.zygote

Reads a `Trial` as JSON a line, and answers each with the exit status of its process; -9 for one
that was killed. Forks spare a second of imports each; nothing has run, and no thread, before.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.crashes.points import MOST_WAITING, Executioner, Point, install
from tests.crashes.power import UnsyncedWrites

_PATIENCE = 600.0  # seconds


@dataclass(frozen=True)
class Errand:
    """One command.

    Attributes:
        words: Of the command line.
        folder: Where it is given; the state lies in it.
        log: Where points go.
        said: Where the output goes.
        label: Of the point at which it dies; None for nowhere.
        number: Of that point.
        shadow: Where what is not synced is remembered, should the power fail; None for a kill.
        program: The module whose `main` takes the words.
        root: Where points are, within the folder.
        most_waiting: See `Executioner`.
    """

    words: tuple[str, ...]
    folder: str
    log: str
    said: str
    label: str | None = None
    number: int = 0
    shadow: str | None = None
    program: str = "lfvpipe.cli.main"
    root: str = ".lfvpipe"
    most_waiting: int = MOST_WAITING

    def as_line(self) -> str:
        """Return it as `main` reads it."""
        return json.dumps(asdict(self)) + "\n"


def _carry_out(errand: Errand) -> int:
    program = import_module(errand.program)
    faulthandler.dump_traceback_later(_PATIENCE, exit=True)
    os.chdir(errand.folder)
    output = os.open(errand.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    for stream, descriptor in ((0, null), (1, output), (2, output)):
        os.dup2(descriptor, stream)
    point = None if errand.label is None else Point(errand.label, errand.number)
    root = str(Path(errand.folder, errand.root))
    end = Executioner(root, Path(errand.log), point, most_waiting=errand.most_waiting)
    if errand.shadow is not None:
        end.disk = UnsyncedWrites(Path(errand.shadow), end)
    install(end)
    return int(program.main(list(errand.words)))


def main() -> int:
    """Fork for each line until there is none."""
    import boto3  # noqa: F401
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401

    import lfvpipe.cli.commands.run
    import lfvpipe.service.embedded
    import lfvpipe.service.jobs.training.worker
    import lfvpipe.steps.extract.extraction  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        given: dict[str, Any] = json.loads(line)
        errand = Errand(**{**given, "words": tuple(given["words"])})
        child = os.fork()
        if child == 0:
            return _carry_out(errand)
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
