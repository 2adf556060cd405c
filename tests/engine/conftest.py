"""A small world of files, and steps that act on it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lfvpipe.engine.events import Event, StepStarted
from lfvpipe.engine.inputs import Input, InputFile, Setting, flatten
from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.outcome import Facts, Json, Outcome
from lfvpipe.engine.planning import Plan, plan
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.runner import RunResult, run
from lfvpipe.engine.selection import Selection
from lfvpipe.engine.step import Step, Work


def _nothing(_work: object) -> None:
    return


@dataclass
class World:
    """A folder that steps write into, the configuration, and hooks into their bodies."""

    root: Path
    config: dict[str, Json] = field(default_factory=dict)
    bodies: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    drifted: set[str] = field(default_factory=set)
    observed: list[str] = field(default_factory=list)

    def file(self, name: str) -> Path:
        return self.root / name


class Writes(Step[World]):
    """Writes what it is made of into a file named after it; the file is its outcome."""

    def __init__(
        self,
        name: str,
        needs: Sequence[str] = (),
        keys: Sequence[str] = (),
        *,
        files: Sequence[str] = (),
        identity: Callable[[Facts], Facts] | None = None,
    ) -> None:
        self.name = name
        self.needs = tuple(needs)
        self.keys = keys
        self.files = files
        self.identity = identity

    def inputs(self, context: World) -> Sequence[Input]:
        config = [Setting(key, context.config[key]) for key in self.keys if key in context.config]
        return [*config, *(InputFile(name, context.file(name).read_text()) for name in self.files)]

    def path(self, context: World, fingerprint: str) -> Path:
        return context.file(f"{self.name}-{fingerprint[:8]}")

    def act(self, context: World, work: Work) -> Outcome:
        context.bodies.get(self.name, _nothing)(work)
        facts: dict[str, Json] = {
            "inputs": dict(flatten(self.inputs(context))),
            "needs": {need: work.upstream[need].digest for need in self.needs},
            "path": self.path(context, work.fingerprint).name,
        }
        self.path(context, work.fingerprint).write_text(str(facts))
        return Outcome("created", facts, self.identity(facts) if self.identity else None)

    def missing(self, context: World, outcome: Outcome) -> Sequence[Reason]:
        name = str(outcome.facts["path"])
        return () if context.file(name).exists() else (Reason("output-missing", name),)

    def observe(self, context: World, outcome: Outcome) -> Sequence[Reason]:
        context.observed.append(self.name)
        return (Reason("drift", "the world"),) if self.name in context.drifted else ()

    def destroy(self, context: World, outcome: Outcome) -> Sequence[str]:
        path = context.file(str(outcome.facts["path"]))
        context.bodies.get(f"destroy {self.name}", _nothing)(None)
        gone = [path.name] if path.exists() else []
        path.unlink(missing_ok=True)
        return gone


class Fills(Writes):
    """Fills the world's only slot."""

    exclusive = True

    def path(self, context: World, fingerprint: str) -> Path:
        return context.file(f"{self.name}-slot")


@dataclass
class Bench:
    """Runs and plans `steps` in a world, loading the ledger anew each time as a process would."""

    world: World
    steps: Sequence[Step[World]]
    events: list[Event] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.world.root / "state" / "ledger.json"

    @property
    def ledger(self) -> Ledger:
        return Ledger.load(self.path)

    def run(
        self,
        *,
        refresh: bool = False,
        variant: str = "default",
        cancelled: threading.Event | None = None,
        jobs: int = 4,
        **selected: object,
    ) -> RunResult:
        self.events = []
        return run(
            self.steps,
            self.world,
            self.ledger,
            variant=variant,
            selection=Selection(**selected),  # type: ignore[arg-type]
            reporter=self.events.append,
            cancelled=cancelled,
            jobs=jobs,
            refresh=refresh,
        )

    def plan(self, *, refresh: bool = False, variant: str = "default", **selected: object) -> Plan:
        return plan(
            self.steps,
            self.world,
            self.ledger,
            variant=variant,
            selection=Selection(**selected),  # type: ignore[arg-type]
            refresh=refresh,
        )

    def actions(self, **selected: object) -> Mapping[str, str]:
        return {row.step: row.action for row in self.plan(**selected).rows}  # type: ignore[arg-type]

    def reasons(self, step: str, **selected: object) -> tuple[Reason, ...]:
        rows = {row.step: row for row in self.plan(**selected).rows}  # type: ignore[arg-type]
        return rows[step].reasons

    @property
    def started(self) -> list[str]:
        return [event.step for event in self.events if isinstance(event, StepStarted)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def bench(world: World) -> Callable[..., Bench]:
    """Return a bench for the given steps."""
    return lambda *steps: Bench(world, steps)


@pytest.fixture
def steps() -> SimpleNamespace:
    """Return the kinds of steps that act on the world."""
    return SimpleNamespace(Writes=Writes, Fills=Fills, World=World)


@pytest.fixture
def make() -> Callable[[World, Sequence[Step[World]]], Bench]:
    """Return a way to make benches for worlds of the test's own."""
    return Bench
