"""Runs ordered, idempotent steps, remembers what they did, and reruns only what changed.

`Step` is what a step's author implements, `plan` and `run` what a program calls, `Ledger` what
they remember in. The engine knows nothing of images, services or command lines.
"""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.engine import attempt
    from lfvpipe.engine.errors import EngineError
    from lfvpipe.engine.events import Event, Reporter, StepWarning
    from lfvpipe.engine.facts import ABSENT_IF_NONE, FactsError, StepFacts, StepOutcome, read_as
    from lfvpipe.engine.inputs import CodeVersion, Input, InputFile, Setting, settings
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.ledger_file import (
        LedgerDamaged,
        LedgerError,
        LedgerNotWritten,
        LedgerTooNew,
    )
    from lfvpipe.engine.lock import Holder, Locked, StateFolderUnusable, current_holder, hold
    from lfvpipe.engine.needed import Known, is_unfinished, needed_outcomes
    from lfvpipe.engine.order import in_order
    from lfvpipe.engine.outcome import Facts, Json, Outcome, Word, digest
    from lfvpipe.engine.planning import Plan, PlanRow, StaleNeed, plan
    from lfvpipe.engine.reasons import Code, Reason
    from lfvpipe.engine.record import Record
    from lfvpipe.engine.removal import KeptOutcome, destroy, kept_outcomes
    from lfvpipe.engine.result import RunResult, StepResult
    from lfvpipe.engine.runner import run
    from lfvpipe.engine.selection import (
        NoStepLeft,
        OneStepAndRange,
        Selection,
        StepSelectionError,
        UnknownStep,
        resolve,
    )
    from lfvpipe.engine.step import Cancelled, Detached, Leftover, Step, Work
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "attempt": [],
            "errors": ["EngineError"],
            "events": ["Event", "Reporter", "StepWarning"],
            "facts": ["ABSENT_IF_NONE", "FactsError", "StepFacts", "StepOutcome", "read_as"],
            "inputs": ["CodeVersion", "Input", "InputFile", "Setting", "settings"],
            "ledger": ["Ledger"],
            "ledger_file": ["LedgerDamaged", "LedgerError", "LedgerNotWritten", "LedgerTooNew"],
            "lock": ["Holder", "Locked", "StateFolderUnusable", "current_holder", "hold"],
            "needed": ["Known", "is_unfinished", "needed_outcomes"],
            "order": ["in_order"],
            "outcome": ["Facts", "Json", "Outcome", "Word", "digest"],
            "planning": ["Plan", "PlanRow", "StaleNeed", "plan"],
            "reasons": ["Code", "Reason"],
            "record": ["Record"],
            "removal": ["KeptOutcome", "destroy", "kept_outcomes"],
            "result": ["RunResult", "StepResult"],
            "runner": ["run"],
            "selection": [
                "NoStepLeft",
                "OneStepAndRange",
                "Selection",
                "StepSelectionError",
                "UnknownStep",
                "resolve",
            ],
            "step": ["Cancelled", "Detached", "Leftover", "Step", "Work"],
        },
    )

__all__ = [
    "ABSENT_IF_NONE",
    "Cancelled",
    "Code",
    "CodeVersion",
    "Detached",
    "EngineError",
    "Event",
    "Facts",
    "FactsError",
    "Holder",
    "Input",
    "InputFile",
    "Json",
    "KeptOutcome",
    "Known",
    "Ledger",
    "LedgerDamaged",
    "LedgerError",
    "LedgerNotWritten",
    "LedgerTooNew",
    "Leftover",
    "Locked",
    "NoStepLeft",
    "OneStepAndRange",
    "Outcome",
    "Plan",
    "PlanRow",
    "Reason",
    "Record",
    "Reporter",
    "RunResult",
    "Selection",
    "Setting",
    "StaleNeed",
    "StateFolderUnusable",
    "Step",
    "StepFacts",
    "StepOutcome",
    "StepResult",
    "StepSelectionError",
    "StepWarning",
    "UnknownStep",
    "Word",
    "Work",
    "attempt",
    "current_holder",
    "destroy",
    "digest",
    "hold",
    "in_order",
    "is_unfinished",
    "kept_outcomes",
    "needed_outcomes",
    "plan",
    "read_as",
    "resolve",
    "run",
    "settings",
]
