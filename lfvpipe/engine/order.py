"""The order of steps, and what each of them needs and serves, directly or not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from lfvpipe.engine.step import Step

C = TypeVar("C")


def in_order(steps: Sequence[Step[C]]) -> tuple[Step[C], ...]:
    """Return `steps` with each after its needs, otherwise in the order given.

    Raises:
        ValueError: Two steps share a name, a need is unknown, or needs form a circle.
    """
    by_name = {step.name: step for step in steps}
    if len(by_name) != len(steps):
        raise ValueError("two steps share a name")
    ordered: dict[str, Step[C]] = {}
    for step in steps:
        _place(step, by_name, ordered, ())
    return tuple(ordered.values())


def _place(
    step: Step[C],
    by_name: Mapping[str, Step[C]],
    ordered: dict[str, Step[C]],
    path: tuple[str, ...],
) -> None:
    if step.name in ordered:
        return
    if step.name in path:
        raise ValueError(f"steps need each other in a circle: {' → '.join((*path, step.name))}")
    for need in step.needs:
        if need not in by_name:
            raise ValueError(f"{step.name} needs {need}, which is no step")
        _place(by_name[need], by_name, ordered, (*path, step.name))
    ordered[step.name] = step


def transitive_needs(ordered: Iterable[Step[C]]) -> dict[str, frozenset[str]]:
    """Return for each of the steps, which are in order, the names of all that it needs."""
    found: dict[str, frozenset[str]] = {}
    for step in ordered:
        found[step.name] = frozenset(step.needs).union(*(found[need] for need in step.needs))
    return found
