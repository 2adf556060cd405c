"""Which steps of a pipeline a command is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lfvpipe.engine.order import transitive_needs
from lfvpipe.engine.step import Step
from lfvpipe.errors import UserError

C = TypeVar("C")

EVERY = "*"


@dataclass(frozen=True)
class Selection:
    """What the user asked for; every name is a step's or a family's (``fetch`` for all fetches).

    Attributes:
        from_: Take this step and those after it.
        until: Take this step and those it needs.
        only: Take this step alone.
        force: Run these even where they are fresh; `EVERY` stands for all that are selected.
        accept: Take the outcome at which these stand as good for today, without running them.
    """

    from_: str | None = None
    until: str | None = None
    only: str | None = None
    force: frozenset[str] = frozenset()
    accept: frozenset[str] = frozenset()

    def __str__(self) -> str:
        options = (("--from", self.from_), ("--until", self.until), ("--only", self.only))
        return " ".join(f"{option} {name}" for option, name in options if name is not None)


@dataclass(frozen=True)
class ResolvedSelection:
    """A selection, resolved against a pipeline's steps: names of steps in each set.

    Attributes:
        selected: What may run.
        relied_on: What is left out but needed by what may run, so it has to be fresh.
        forced: What runs even when it is fresh.
        accepted: What is taken as good.
    """

    selection: Selection
    selected: frozenset[str]
    relied_on: frozenset[str]
    forced: frozenset[str]
    accepted: frozenset[str]


def resolve(ordered: Sequence[Step[C]], selection: Selection) -> ResolvedSelection:
    """Resolve `selection` against the steps, which are in order.

    Raises:
        UserError: A name is unknown, options contradict each other, or nothing is left to do.
    """
    needs = transitive_needs(ordered)
    accepted = _named(ordered, selection.accept)
    selected = _taken(ordered, selection, needs) | accepted
    forced = selected if EVERY in selection.force else _named(ordered, selection.force)
    _refuse_contradictions(selection, selected, forced, accepted)
    relied_on = frozenset().union(*(needs[name] for name in selected)) - selected
    return ResolvedSelection(selection, selected, relied_on, forced, accepted)


def _taken(
    ordered: Sequence[Step[C]], selection: Selection, needs: dict[str, frozenset[str]]
) -> frozenset[str]:
    selected = frozenset(needs)
    if selection.only is not None:
        selected = _named(ordered, (selection.only,))
    if selection.from_ is not None:
        first = _named(ordered, (selection.from_,))
        selected &= first | {name for name, needed in needs.items() if needed & first}
    if selection.until is not None:
        last = _named(ordered, (selection.until,))
        selected &= last.union(*(needs[name] for name in last))
    return selected


def _refuse_contradictions(
    selection: Selection,
    selected: frozenset[str],
    forced: frozenset[str],
    accepted: frozenset[str],
) -> None:
    if selection.only is not None and (selection.from_ or selection.until):
        raise UserError("--only takes one step; --from and --until take several.", hint="Use one.")
    if not selected:
        raise UserError(
            f"{selection} leaves no step.",
            hint=f"{selection.until} does not come after {selection.from_}.",
        )
    if selection.force & {EVERY}:
        forced = frozenset()
    if both := sorted(forced & accepted):
        raise UserError(f"{both[0]} is both forced and accepted.", hint="Choose one of the two.")
    if outside := sorted(forced - selected):
        raise UserError(f"{outside[0]} is forced, but {selection} leaves it out.")


def _named(ordered: Sequence[Step[C]], names: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for name in sorted(names):
        matches = {step.name for step in ordered if name in (step.name, step.family)}
        if not matches:
            raise _unknown(ordered, name)
        found |= matches
    return frozenset(found)


def _unknown(ordered: Sequence[Step[C]], name: str) -> UserError:
    from difflib import get_close_matches

    known = list(dict.fromkeys(n for step in ordered for n in (step.family, step.name)))
    close = get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    return UserError(f"There is no step {name!r}.", hint=f"{hint}Steps: {', '.join(known)}")
