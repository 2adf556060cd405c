"""A pipeline in a process of its own that can be killed inside its second step.

Usage: killed_pipeline.py FOLDER block|go. Prints a JSON line from within the step.
"""

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from lfvpipe.engine.inputs import Input
from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.lock import hold
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.runner import run
from lfvpipe.engine.step import Step, Work


class First(Step[Path]):
    name = "first"

    def inputs(self, context: Path) -> Sequence[Input]:
        return ()

    def act(self, context: Path, work: Work) -> Outcome:
        with (context / "first").open("a") as file:
            file.write("ran\n")
        return Outcome("created", {})


class Second(First):
    name = "second"
    needs = ("first",)
    exclusive = True

    def act(self, context: Path, work: Work) -> Outcome:
        said = {"token": work.token("create"), "attempt": work.attempt, "saved": dict(work.saved)}
        work.save(job="42")
        work.hold("endpoint", {"job": "42"})
        print(json.dumps(said), flush=True)
        if sys.argv[2] == "block":
            threading.Event().wait()
        work.release("endpoint")
        return Outcome("created", {"job": "42"})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with hold(folder, "killed_pipeline"):
        result = run([First(), Second()], folder, Ledger.load(folder / "ledger.json"))
    sys.exit(0 if result.ok else 1)
