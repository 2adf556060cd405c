"""Which steps of a pipeline a command is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lfvpipe.engine.errors import EngineError
from lfvpipe.engine.order import transitive_needs
from lfvpipe.engine.step import Step

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
        parts = (("from", self.from_), ("until", self.until), ("only", self.only))
        return " ".join(f"{word} {name}" for word, name in parts if name is not None)


class StepSelectionError(EngineError):
    """What the user asked for cannot be: steps that are not there, or a contradiction."""


class UnknownStep(StepSelectionError):
    """No step is called so.

    Attributes:
        name: What was asked for.
        known: What steps and families there are, in order.
    """

    def __init__(self, name: str, known: Sequence[str]) -> None:
        from difflib import get_close_matches

        close = get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        super().__init__(
            f"There is no step {name!r}.", hint=f"{hint}There are: {', '.join(known)}."
        )
        self.name = name
        self.known = tuple(known)


class OneStepAndRange(StepSelectionError):
    """One step alone was asked for, and a range of steps too."""

    def __init__(self) -> None:
        super().__init__("One step alone excludes a range of steps.", hint="Ask for one of them.")


class NoStepLeft(StepSelectionError):
    """The range of steps that was asked for is empty.

    Attributes:
        first: Where the range begins.
        last: Where it ends.
    """

    def __init__(self, first: str | None, last: str | None) -> None:
        super().__init__(
            f"No step is selected: {last} does not come after {first}.", hint="Turn them around."
        )
        self.first = first
        self.last = last


@dataclass(frozen=True)
class ResolvedSelection:
    """A selection, resolved against a pipeline's steps: names of steps in each set.

    Attributes:
        selected: What may run.
        relied_on: What is left out but needed by what may run, so it has to be fresh.
        forced: What runs even when it is fresh.
        accepted: What is taken as good.
    """

    selected: frozenset[str]
    relied_on: frozenset[str]
    forced: frozenset[str]
    accepted: frozenset[str]


def resolve(ordered: Sequence[Step[C]], selection: Selection) -> ResolvedSelection:
    """Resolve `selection` against the steps, which are in order.

    Raises:
        StepSelectionError: A name is unknown, parts contradict each other, or no step is left.
    """
    needs = transitive_needs(ordered)
    accepted = _named(ordered, selection.accept)
    selected = frozenset(needs)
    if selection.only is not None:
        selected = _named(ordered, (selection.only,))
    if selection.from_ is not None:
        first = _named(ordered, (selection.from_,))
        selected &= first | {name for name, needed in needs.items() if needed & first}
    if selection.until is not None:
        last = _named(ordered, (selection.until,))
        selected &= last.union(*(needs[name] for name in last))
    selected |= accepted  # to accept a step is to have something recorded of it
    if selection.only is not None and (selection.from_ or selection.until):
        raise OneStepAndRange
    if not selected:
        raise NoStepLeft(selection.from_, selection.until)
    everything = EVERY in selection.force
    forced = selected if everything else _named(ordered, selection.force)
    if not everything:
        if both := sorted(forced & accepted):
            raise StepSelectionError(
                f"{both[0]} is both forced and accepted.", hint="Choose one of the two."
            )
        if outside := sorted(forced - selected):
            raise StepSelectionError(
                f"{outside[0]} is forced, but not selected ({selection}).",
                hint="Select it as well, or do not force it.",
            )
    relied_on = frozenset().union(*(needs[name] for name in selected)) - selected
    return ResolvedSelection(selected, relied_on, forced, accepted)


def _named(ordered: Sequence[Step[C]], names: Iterable[str]) -> frozenset[str]:
    """Return the steps that are called so, or whose family is."""
    found: set[str] = set()
    for name in sorted(names):
        matches = {step.name for step in ordered if name in (step.name, step.family)}
        if not matches:
            known = dict.fromkeys(each for step in ordered for each in (step.family, step.name))
            raise UnknownStep(name, tuple(known))
        found |= matches
    return frozenset(found)
