"""Which outcomes somebody still needs: what variants stand at, what goes on, and all before it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lfvpipe.engine.ledger import Ledger, Record

Known = tuple[str, str]
"""A step's name, and the digest of an outcome of it."""


def needed_outcomes(ledger: Ledger, more: Iterable[Known] = ()) -> frozenset[Known]:
    """Return the outcomes that a ledger's variants stand at, and those that they were made of.

    So do attempts that did not finish need what they are made of, and the slots of the world what
    is in them. An outcome that another took the place of counts where something was made of it.
    Where several attempts came to one outcome, as they do to a bucket's, what they were made of
    differs: those count that somebody stands at, else the last one before its user.

    Args:
        ledger: Where to look.
        more: What is needed besides.
    """
    makers: dict[Known, list[Record]] = defaultdict(list)
    for step in ledger.known_steps:
        for record in ledger.records(step):
            for outcome in record.outcomes:
                makers[step, outcome.digest].append(record)
    needed = set(more)
    todo = [*_roots(ledger), *((known[0], each) for known in needed for each in makers[known])]
    roots = {(step, record.fingerprint) for step, record in todo}
    needed |= {(s, r.outcome.digest) for s, r in todo if r.outcome}
    seen: set[tuple[str, str]] = set()
    while todo:
        step, record = todo.pop()
        if (step, record.fingerprint) in seen:
            continue
        seen.add((step, record.fingerprint))
        for known in _sources(record):
            needed.add(known)
            made = makers[known]
            if made and not any((known[0], each.fingerprint) in roots for each in made):
                before = (each for each in made if each.started <= record.started)
                todo.append((known[0], next(before, made[-1])))
    return frozenset(needed)


def _roots(ledger: Ledger) -> Iterator[tuple[str, Record]]:
    """Yield what is needed for its own sake: by step, the records."""
    for step in ledger.known_steps:
        records = ledger.records(step)
        yield from ((step, each) for each in records if is_unfinished(ledger, step, each))
    for table in (*ledger.standing.values(), ledger.slots):
        for step, fingerprint in table.items():
            found = fingerprint and ledger.record(step, fingerprint)
            if found:
                yield step, found


def is_unfinished(ledger: Ledger, step: str, record: Record) -> bool:
    """Tell whether a run is to go on with this: it was killed, or is the last that was tried."""
    tried = any(table.get(step) == record.fingerprint for table in ledger.attempted.values())
    return record.state == "running" or (tried and record.state != "done")


def _sources(record: Record) -> Iterator[Known]:
    for key, value in record.inputs.items():
        if key.startswith("step:") and isinstance(value, str):
            yield key.removeprefix("step:"), value
