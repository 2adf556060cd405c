"""Models that a run started and did not stop: the ledger holds them until somebody does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe import engine, steps
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.events import Reporter
    from lfvpipe.engine.ledger import Ledger


def stop_held_models(variant: Variant, ledger: Ledger) -> list[str]:
    """Stop every model that the ledger holds; return the keys of those that are stopped.

    Raises:
        UserError: The service cannot be reached, or refuses.
    """
    stopped = steps.hosting.stop_models(variant.context, dict(ledger.held))
    for key in stopped:
        ledger.release(key)
    return stopped


def stop_after_run(variant: Variant, ledger: Ledger, reporter: Reporter) -> None:
    """Stop the models that a killed or failed run left hosted, unless they are to keep running.

    Where that fails, the user is warned and the ledger goes on holding them: a run's own error is
    the one to end with.
    """
    if not ledger.held or variant.pipeline.hosting.keep_running:
        return
    try:
        stop_held_models(variant, ledger)
    except UserError as error:
        reporter(engine.StepWarning("evaluate", steps.hosting.still_hosted_warning(error)))
