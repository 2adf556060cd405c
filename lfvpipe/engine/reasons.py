"""Why a step has to run: the vocabulary that plan, status and run share."""

from dataclasses import dataclass
from typing import Literal

from lfvpipe.engine.outcome import Json

Code = Literal[
    "never-run",  # no outcome is known for this step
    "config-changed",  # subject is the dotted key
    "input-changed",  # subject is a file, or the step whose outcome changed
    "step-changed",  # the step's code has a new version; subject is shared code, or empty
    "output-missing",  # subject is what is gone
    "output-damaged",  # subject is what is not as it was written
    "interrupted",  # the last attempt was killed; subject is what goes on of it, or empty
    "failed",  # the last attempt failed; after is its message, subject as above
    "upstream",  # subject is a step that will run first
    "displaced",  # the world's only slot holds another configuration's outcome
    "drift",  # the world differs from the ledger; subject is what differs
    "forced",  # the user said so
]


@dataclass(frozen=True)
class Reason:
    """One reason why a step is stale: what (`subject`) changed from `before` to `after`."""

    code: Code
    subject: str = ""
    before: Json = None
    after: Json = None
