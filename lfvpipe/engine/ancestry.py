"""What an outcome was made of, upstream, as the ledger remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.ledger import Ledger, Record


def ancestors(ledger: Ledger, record: Record, way: Sequence[str]) -> list[Record]:
    """Return what `record` was made of at the end of the `way` upstream, the latest first.

    Several, where different inputs led to the same outcome; none, where the ledger forgot it.

    Args:
        ledger: Where to look.
        record: Where to begin.
        way: Steps, each a need of the one before; the first a need of the record's step.
    """
    found = [record]
    for step in way:
        wanted = {each.inputs.get(f"step:{step}") for each in found}
        found = [
            each
            for each in ledger.records(step)
            if each.outcome is not None and each.outcome.digest in wanted
        ]
    return found
