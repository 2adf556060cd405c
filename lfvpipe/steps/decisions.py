"""Tells our service what a run decided by, so that its other clients hear the same verdicts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lfvpipe.steps.evaluate.outcome import EvaluateOutcome

if TYPE_CHECKING:
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.steps.context import Context

_NOTE = "verified/decisions.json"


def tell_decision(context: Context, ledger: Ledger) -> None:
    """Tag the model with the decision that stands, or take the tag away where it decides itself.

    That is no part of the evaluation: going back to an earlier decision takes up verdicts that are
    known, and evaluates nothing. What was told last is noted, so that a run that changes nothing
    calls nobody; one that was killed in here is made up for by the next. A service that is not
    ours keeps the tag, and goes on as before.

    Raises:
        UserError: The service refuses, or cannot be reached.
    """
    from lfvpipe import atomic
    from lfvpipe.damage import parse_json

    record = ledger.standing_record(context.variant, "evaluate")
    if record is None or record.outcome is None:
        return
    found = EvaluateOutcome.from_json(record.outcome.facts)
    wanted = found.decision.decision.as_text() if found.decision else ""
    note = context.state_dir / _NOTE
    try:
        told = parse_json(note.read_bytes())
    except (OSError, ValueError):
        told = {}
    told = told if isinstance(told, dict) else {}
    if told.get(found.model, "") == wanted:
        return
    _tag(context, found.model, wanted)
    atomic.write_text(note, json.dumps(told | {found.model: wanted}))


def _tag(context: Context, arn: str, wanted: str) -> None:
    from lfvpipe.lookout import tags
    from lfvpipe.lookout.failures import explained

    with explained("telling the service what is decided by"):
        if wanted:
            context.lookout.tag_resource(
                ResourceArn=arn, Tags=[{"Key": tags.DECISION, "Value": wanted}]
            )
        else:
            context.lookout.untag_resource(ResourceArn=arn, TagKeys=[tags.DECISION])
