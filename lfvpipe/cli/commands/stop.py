"""`lfvpipe stop`: cancel the trainings that go on, and stop every model that is hosted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lfvpipe import steps
from lfvpipe.cli import output
from lfvpipe.cli.held_models import stop_held_models, where_to_stop
from lfvpipe.cli.options import Json, LockOptions, Option
from lfvpipe.cli.training_ends import told
from lfvpipe.cli.variants import ledger_of, locked, open_variants
from lfvpipe.lookout.progress import TRAINING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.steps import Training


@dataclass(frozen=True, kw_only=True)
class StopOptions(LockOptions):
    """What `lfvpipe stop` reads."""

    only_list: Annotated[
        bool,
        Option("--list", about="show what is in training and what is hosted, and stop neither"),
    ] = False
    json: Json = False


def run(options: StopOptions) -> int:
    """Stop what goes on, wait until it is stopped, and say what it was; return 0.

    A run that waits for a training in another terminal holds the lock, and is told by the service.
    """
    variant = open_variants(options)[0]  # variants share their ledger and their service
    trainings = steps.trainings_under_way(variant.context, ledger_of(variant))
    if options.only_list:
        hosted = list(ledger_of(variant).held)
        _show(options, trainings, hosted)
        return 0
    cancelled: list[Training] = []
    for training in trainings:
        ending = steps.cancel_training(variant.context, training)
        if ending is steps.Ending.CANCELLED:
            cancelled.append(training)
        if not options.json:
            print(told(training, ending))
    stopped: list[str] = []
    elsewhere: list[str] = []
    if ledger_of(variant).held:
        with locked("stop", options, variant):
            ledger = ledger_of(variant)  # read again: a run may have changed it before it ended
            stopped = stop_held_models(variant, ledger)
            elsewhere = list(ledger.held)
    if options.json:
        said = [_training_json(each) for each in cancelled]
        output.print_json({"stopped": stopped, "left": elsewhere, "cancelled": said})
        return 0
    for key in stopped:
        print(f"stopped {key}")
    for model in steps.hosting.models_elsewhere(variant.context, ledger_of(variant).held):
        print(f"left alone {model.key}: {where_to_stop(model)}")
    if not trainings and not stopped and not elsewhere:
        print("nothing is in training or hosted")
    return 0


def _show(options: StopOptions, trainings: Sequence[Training], hosted: Sequence[str]) -> None:
    if options.json:
        found = [_training_json(each) for each in trainings]
        output.print_json({"in_training": found, "hosted": hosted})
        return
    for training in trainings:
        print(f"{training}: {training.message.removeprefix(TRAINING).strip() or 'goes on'}")
    for key in hosted:
        print(f"hosted {key}")
    if not trainings and not hosted:
        print("nothing is in training or hosted")


def _training_json(training: Training) -> dict[str, Any]:
    return {"project": training.project, "version": training.version, "said": training.message}
