"""Models that a run started and did not stop: the ledger holds them until somebody does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe import engine, steps, storage
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.events import Reporter
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.steps.hosting import Hosting


def stop_held_models(variant: Variant, ledger: Ledger) -> list[str]:
    """Stop every model that the ledger holds; return the keys of those that are stopped.

    Raises:
        UserError: The service cannot be reached, or refuses.
    """
    stopped = steps.hosting.stop_models(variant.context, dict(ledger.held))
    for key in stopped:
        ledger.release(key)
    return stopped


def stop_after_run(
    variant: Variant, ledger: Ledger, reporter: Reporter, *, before: Collection[str]
) -> None:
    """Stop the models that a killed or failed run left hosted, unless they are to keep running.

    Args:
        variant: That has run.
        ledger: Its.
        reporter: Told of what was, or stays, hosted.
        before: The keys that the ledger held before the run.
    """
    stop_left_models(
        variant,
        ledger,
        lambda message: reporter(engine.StepWarning("evaluate", message)),
        before=before,
    )


def stop_left_models(
    variant: Variant, ledger: Ledger, warn: Callable[[str], None], *, before: Collection[str]
) -> None:
    """Stop the models that the ledger holds, unless they are to keep running.

    What an earlier command left is said. Where stopping fails, the user is warned and the ledger
    goes on holding them: a command's own error is the one to end with.

    Args:
        variant: Whose models.
        ledger: Its.
        warn: Told of what was, or stays, hosted.
        before: The keys that the ledger held before the command.
    """
    if not ledger.held:
        return
    for model in steps.hosting.models_elsewhere(variant.context, ledger.held):
        warn(f"{model} may still be hosted: {where_to_stop(model)}.")
    if variant.pipeline.hosting.keep_running:
        return
    held = dict(ledger.held)
    try:
        for key in stop_held_models(variant, ledger):
            if key in before:
                model = steps.hosting.Hosting.from_json(held[key])
                warn(f"{model}, which an earlier command had left hosted, is stopped now.")
    except UserError as error:
        warn(steps.hosting.still_hosted_warning(error))


def where_to_stop(model: Hosting) -> str:
    """Say how a model is stopped that another endpoint hosts than the file names, as a clause."""
    endpoint = storage.without_secrets_within(model.endpoint)
    return (
        f"it was started at {endpoint}, which is no longer `service.endpoint`;"
        f" `lfvpipe stop --set service.endpoint={endpoint}` stops it there"
    )
