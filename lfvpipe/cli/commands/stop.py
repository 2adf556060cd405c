"""`lfvpipe stop`: stop every model that the ledger knows to be hosted."""

from __future__ import annotations

from dataclasses import dataclass

from lfvpipe import steps
from lfvpipe.cli import output
from lfvpipe.cli.held_models import stop_held_models, where_to_stop
from lfvpipe.cli.options import Json, LockOptions
from lfvpipe.cli.variants import ledger_of, locked, open_variants


@dataclass(frozen=True, kw_only=True)
class StopOptions(LockOptions):
    """What `lfvpipe stop` reads."""

    json: Json = False


def run(options: StopOptions) -> int:
    """Stop what is hosted, wait until it is stopped, and say what it was; return 0."""
    variant = open_variants(options)[0]  # variants share their ledger and their service
    stopped: list[str] = []
    elsewhere: list[str] = []
    if ledger_of(variant).held:
        with locked("stop", options, variant):
            ledger = ledger_of(variant)  # read again: a run may have changed it before it ended
            stopped = stop_held_models(variant, ledger)
            elsewhere = list(ledger.held)
    if options.json:
        output.print_json({"stopped": stopped, "left": elsewhere})
        return 0
    for key in stopped:
        print(f"stopped {key}")
    for model in steps.hosting.models_elsewhere(variant.context, ledger_of(variant).held):
        print(f"left alone {model.key}: {where_to_stop(model)}")
    if not stopped and not elsewhere:
        print("nothing is hosted")
    return 0
