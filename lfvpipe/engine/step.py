"""The face of a step, and what it is handed while it acts."""
# ruff: noqa: ARG002  (what a step may override has defaults that need no arguments)

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import ClassVar, Generic, Protocol, TypeVar

from lfvpipe.engine.inputs import Input
from lfvpipe.engine.outcome import Facts, Json, Outcome, digest
from lfvpipe.engine.reasons import Reason

C = TypeVar("C")


@dataclass(frozen=True)
class Leftover:
    """Something that a step created and could not remove: what it is, and why it stays."""

    thing: str
    why: str


class Work(Protocol):
    """What the runner hands to a step for one attempt.

    Attributes:
        lineage: The ledger's: what tells this pipeline from every other one.
        fingerprint: What the attempt's outcome will be kept under.
        attempt: 1 for the first; grows by one with each attempt that failed, not with a kill.
        previous: The outcome that this step stands at so far, of whatever fingerprint.
        saved: What earlier attempts at the same fingerprint saved, killed or failed, since the
            last one that was done.
        cancelled: Set when the user asks to stop; long loops look at it.
        warnings: What `warn` was told.
    """

    lineage: str
    fingerprint: str
    attempt: int
    previous: Outcome | None
    saved: Facts
    cancelled: Event

    @property
    def upstream(self) -> Mapping[str, Outcome]:
        """The outcomes of all steps that this one needs, directly or not, by step name."""

    def token(self, *parts: str) -> str:
        """Return a client token: the same for the same ledger, step, fingerprint and attempt."""

    def progress(self, done: int, total: int | None, unit: str, detail: str = "") -> None:
        """Say how far the work is; cheap enough to call for every image.

        Raises:
            Cancelled: The user asked to stop.
        """

    def warn(self, message: str) -> None:
        """Tell the user something that does not stop the run."""

    def save(self, **facts: Json) -> None:
        """Write facts to the ledger now, for the next attempt should this one not get done."""

    def hold(self, key: str, facts: Facts) -> None:
        """Record, durably and before it is taken, something that has to be released again."""

    def holds(self, key: str) -> bool:
        """Tell whether something is held under `key` and not yet released."""

    def release(self, key: str) -> None:
        """Record that what was held under `key` is released."""


_NOT_MADE = frozenset({"found", "adopted"})


class Step(ABC, Generic[C]):
    """One idempotent step of a pipeline whose context is a `C`.

    Attributes:
        name: Unique in the pipeline; ``family`` or ``family:member``.
        version: Grows when the code's results change; part of the fingerprint.
        needs: Names of the steps whose outcomes enter the fingerprint, and which run first. A step
            that none needs is left out where a run is to end with a later one.
        exclusive: The step fills a slot of the world that holds one configuration at a time.
            Before a step runs that has it among its own `needs`, the slot is looked at (`observe`).
            When another configuration displaced it, it runs again only if a step must run that
            has it among its own `needs`: nothing else may read the slot. So it is not for a file
            that people read, which is named after its content instead.
    """

    name: str
    version: ClassVar[int] = 1
    needs: tuple[str, ...] = ()
    exclusive: ClassVar[bool] = False

    @property
    def family(self) -> str:
        """The step's name without its member: ``fetch`` for ``fetch:normal``."""
        return self.name.partition(":")[0]

    @abstractmethod
    def inputs(self, context: C) -> Sequence[Input]:
        """Return what it depends on besides its needs: settings, files, versions of shared code.

        Contacts nothing beyond the local disk and imports nothing heavy.
        """

    @abstractmethod
    def act(self, context: C, work: Work) -> Outcome:
        """Observe, decide, act, wait; idempotent, and safe to kill anywhere.

        Raises:
            UserError: The step failed and the user can do something about it.
            Cancelled: The user asked to stop.
        """

    def describe(self, outcome: Outcome) -> str:
        """Return the few facts of `outcome` that fit behind the step's line; "" for none.

        `lfvpipe.engine.phrases` has the phrases. The outcome may be one that an older version of
        the step wrote: what is not there is left out.
        """
        return ""

    def missing(self, context: C, outcome: Outcome) -> Sequence[Reason]:
        """Return what of `outcome` is gone from the local disk or damaged; cheap, no network."""
        return ()

    def observe(self, context: C, outcome: Outcome) -> Sequence[Reason]:
        """Return where the world differs from `outcome` so that the step has something to do."""
        return ()

    def foretell(self, context: C) -> Facts | None:
        """Return the identity that an outcome of today would have; None where acting alone tells.

        A plan builds on it, so that it does not announce what a run finds unchanged. Cheap, no
        network.
        """
        return None

    def destroy(self, context: C, outcome: Outcome) -> Sequence[str | Leftover]:
        """Remove what `outcome` created, not what it found; return what was removed or left.

        Idempotent: what is already gone is no error.
        """
        return ()

    def ongoing(self, context: C, saved: Facts) -> str:
        """Return what goes on by itself, or is done by now, of an attempt that did not get done.

        Said to the user, so that what was started does not look lost; "" for nothing. From what
        the attempt saved and the local disk; no network.
        """
        return ""

    def stays(self, outcome: Outcome) -> str | None:
        """Return what `destroy` leaves of `outcome`, in words; None where it removes it.

        Told before the user agrees, from the facts alone.
        """
        removes = type(self).destroy is not Step.destroy
        return None if removes and outcome.word not in _NOT_MADE else self.describe(outcome)

    def thing(self, outcome: Outcome) -> Json:
        """Return what tells the thing that `outcome` is about from others of its kind.

        Outcomes may be about one thing, which one of them created and the others found: it goes.
        """
        return digest(outcome.facts)

    def abandon(self, context: C, saved: Facts) -> Sequence[str | Leftover]:
        """Remove what an attempt that never finished left behind, from what it saved.

        Called when the pipeline is destroyed; idempotent.
        """
        return ()


class Cancelled(Exception):
    """The user asked to stop; the message says what goes on and how to resume."""


class Detached(Cancelled):
    """The user asked beforehand not to wait for what goes on by itself."""
