"""What a pipeline remembers: the outcomes of its steps, kept by fingerprint."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from lfvpipe.engine import ledger_file
from lfvpipe.engine.ledger_file import LedgerError
from lfvpipe.engine.record import Record, plain, raw_outcome, read_record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from lfvpipe.engine.outcome import Facts, Outcome

__all__ = ["Ledger", "LedgerError", "Record"]


class Ledger:
    """A pipeline's memory; every change is on disk when its method returns.

    Safe to use from several threads of one process; a lock (`lfvpipe.engine.lock`) has to keep
    other processes away while it is changed. Every method that changes it raises `LedgerError`
    when the file cannot be written.

    Five tables. ``outcomes`` has, by step and fingerprint, all that was ever made, so that going
    back to an earlier configuration finds it again, and so that `destroy` knows of it.
    ``standing`` says at which fingerprint each step of each variant of the matrix stands now, and
    ``attempted`` which it tried last where it stands at none. ``slots`` says which fingerprint the
    world holds of an exclusive step, one for all variants. ``held`` is what must be given back.
    """

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self.path = path
        self._data = data
        self._guard = threading.RLock()

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Read the ledger, or make a new one in memory when there is none.

        Raises:
            LedgerError: The file is damaged, unreadable, or from a newer lfvpipe.
        """
        return cls(path, ledger_file.read(path) or ledger_file.new())

    def save(self) -> None:
        """Write the ledger, whole or not at all, and keep the previous one as ``.bak``.

        Raises:
            LedgerError: The folder is read-only or the disk is full.
        """
        with self._guard:
            ledger_file.write(self.path, {**self._data, "serial": self.serial + 1})
            self._data["serial"] += 1

    @property
    def lineage(self) -> str:
        """The UUID that the ledger got when it was made; enters every client token.

        So that two pipelines, or one that was begun anew, never share a token: a service answers
        a token that it knows with what it made for whoever used it first.
        """
        return cast("str", self._data["lineage"])

    @property
    def serial(self) -> int:
        """How often the ledger was written."""
        return cast("int", self._data["serial"])

    @property
    def standing(self) -> Mapping[str, Mapping[str, str]]:
        """The fingerprint at which each step of each variant stands."""
        return MappingProxyType(self._data["standing"])

    @property
    def attempted(self) -> Mapping[str, Mapping[str, str]]:
        """The fingerprint that each step of each variant tried last, where it stands at none."""
        return MappingProxyType(self._data["attempted"])

    @property
    def slots(self) -> Mapping[str, str | None]:
        """The fingerprint that the world holds of each exclusive step; None where nobody knows."""
        return MappingProxyType(self._data["slots"])

    @property
    def held(self) -> Mapping[str, Facts]:
        """What has been taken and not yet released, such as a hosted model."""
        return MappingProxyType(self._data["held"])

    @property
    def known_steps(self) -> tuple[str, ...]:
        """The names of all steps with a record, also of such that the pipeline no longer has."""
        return tuple(self._data["outcomes"])

    def record(self, step: str, fingerprint: str) -> Record | None:
        """Return what is known of `step` at `fingerprint`."""
        raw = self._data["outcomes"].get(step, {}).get(fingerprint)
        return None if raw is None else read_record(fingerprint, raw)

    def records(self, step: str) -> tuple[Record, ...]:
        """Return all that is known of `step`, the latest attempt first."""
        kept = self._data["outcomes"].get(step, {})
        return tuple(read_record(fingerprint, raw) for fingerprint, raw in reversed(kept.items()))

    def standing_at(self, variant: str, step: str) -> str | None:
        """Return the fingerprint at which `step` stands in `variant`."""
        found: str | None = self._data["standing"].get(variant, {}).get(step)
        return found

    def standing_record(self, variant: str, step: str) -> Record | None:
        """Return the record of the outcome at which `step` stands in `variant`."""
        fingerprint = self.standing_at(variant, step)
        return None if fingerprint is None else self.record(step, fingerprint)

    def baseline(self, variant: str, step: str) -> Record | None:
        """Return what today is compared with: the standing record, or the last attempt's."""
        attempted = self._data["attempted"].get(variant, {}).get(step)
        standing = self.standing_record(variant, step)
        return standing or (self.record(step, attempted) if attempted else None)

    def stand(self, variant: str, step: str, fingerprint: str) -> None:
        """Record that `step` stands at a fingerprint whose outcome is known."""
        with self._change():
            self._stand(variant, step, fingerprint)

    def begin(
        self, variant: str, step: str, fingerprint: str, inputs: Facts, *, exclusive: bool
    ) -> Record:
        """Record that an attempt begins, and return its record.

        The attempt keeps the number of one that was killed and gets the next one after one that
        ended; what earlier attempts saved is kept until one of them is done, as it tells what they
        created. An exclusive step's slot is unknown from here on.
        """
        with self._change():
            kept = self._data["outcomes"].setdefault(step, {})
            last = kept.pop(fingerprint, None)  # and in again, as the latest
            killed = last is not None and last["state"] == "running"
            kept[fingerprint] = {
                "state": "running",
                "inputs": dict(inputs),
                # Kept while it runs: if the attempt fails, what there was before is still there.
                "outcome": last and last["outcome"],
                # A client token is made of the attempt's number: a call that a kill interrupted
                # is repeated with the same token, so the service does not carry it out twice,
                # whereas one that failed has its answer and needs a new token for a new try.
                "attempts": (last["attempts"] if last else 0) + (not killed),
                "saved": last["saved"] if last else {},
                "superseded": _earlier_outcomes(last),
                "started": _now(),
                "finished": None,
                "error": None,
            }
            self._data["attempted"].setdefault(variant, {})[step] = fingerprint
            if exclusive:  # killed halfway, the slot may hold the old content, the new, or neither
                self._data["slots"][step] = None
        return read_record(fingerprint, kept[fingerprint])

    def remember(self, step: str, fingerprint: str, facts: Facts) -> None:
        """Add `facts` to what the running attempt saved."""
        kept = plain(facts)
        with self._change():
            self._raw(step, fingerprint)["saved"].update(kept)

    def finish(
        self, variant: str, step: str, fingerprint: str, outcome: Outcome, *, exclusive: bool
    ) -> None:
        """Record that the attempt is done; the step stands at it."""
        made = raw_outcome(outcome)
        with self._change():
            raw = self._raw(step, fingerprint)
            raw["superseded"] = _earlier_outcomes(raw, made)
            raw.update(state="done", outcome=made, finished=_now(), error=None, saved={})
            self._stand(variant, step, fingerprint)
            if exclusive:
                self._data["slots"][step] = fingerprint

    def fail(
        self,
        step: str,
        fingerprint: str,
        message: str,
        hint: str = "",
        *,
        outcome: Outcome | None = None,
    ) -> None:
        """Record that the attempt failed; an `outcome` is kept for `destroy`, not to stand at."""
        made = None if outcome is None else raw_outcome(outcome)
        ended = {"state": "failed", "finished": _now()}
        with self._change():
            raw = self._raw(step, fingerprint)
            if made is not None:
                raw.update(superseded=_earlier_outcomes(raw, made), outcome=made)
            raw.update(ended, error={"message": message, "hint": hint})

    def accept(self, variant: str, step: str, fingerprint: str, inputs: Facts) -> None:
        """Take the outcome at which `step` stands as the outcome for `fingerprint`.

        The user vouches that the new inputs would have led to the same. Nothing is compared or
        run, later steps see no change, and going back to the old inputs finds their own record.

        Raises:
            KeyError: The step stands nowhere.
        """
        with self._change():
            before = self._data["standing"][variant][step]
            kept = self._data["outcomes"][step]
            there = kept.get(fingerprint)
            ended = {"state": "done", "inputs": dict(inputs), "error": None, "finished": _now()}
            # What an earlier attempt at these inputs left behind is still `destroy`'s to remove.
            left = {
                "saved": there["saved"] if there else {},
                "superseded": _earlier_outcomes(there, kept[before]["outcome"]),
            }
            kept[fingerprint] = {**kept[before], **ended, **left}
            self._stand(variant, step, fingerprint)
            slots = self._data["slots"]
            if step in slots and slots[step] == before:  # the world did not change either
                slots[step] = fingerprint

    def hold(self, key: str, facts: Facts) -> None:
        """Record something that has to be released again, before it is taken."""
        kept = plain(facts)
        with self._change():
            self._data["held"][key] = kept

    def release(self, key: str) -> None:
        """Record that what was held under `key` is released; no error when nothing was."""
        with self._guard:
            if key in self._data["held"]:
                with self._change():
                    del self._data["held"][key]

    def forget(self, step: str, fingerprint: str) -> None:
        """Drop a record and all that refers to it."""
        with self._change():
            kept = self._data["outcomes"].get(step, {})
            kept.pop(fingerprint, None)
            if not kept:
                self._data["outcomes"].pop(step, None)
            for kind in ("standing", "attempted"):
                for table in self._data[kind].values():
                    if table.get(step) == fingerprint:
                        del table[step]
            if self._data["slots"].get(step) == fingerprint or not kept:
                self._data["slots"].pop(step, None)

    def forget_outcomes(self, step: str, digests: Collection[str]) -> None:
        """Drop outcomes that are gone, and records of which none is left; attempts stay."""
        for record in self.records(step):
            if not any(outcome.digest in digests for outcome in record.outcomes):
                continue
            latest = record.outcome
            if record.state == "done" and latest is not None and latest.digest in digests:
                self.forget(step, record.fingerprint)
                continue
            with self._change():
                raw = self._raw(step, record.fingerprint)
                kept = [each for each in record.superseded if each.digest not in digests]
                raw["superseded"] = [raw_outcome(each) for each in kept]

    def _stand(self, variant: str, step: str, fingerprint: str) -> None:
        self._data["standing"].setdefault(variant, {})[step] = fingerprint
        self._data["attempted"].get(variant, {}).pop(step, None)

    def _raw(self, step: str, fingerprint: str) -> dict[str, Any]:
        return cast("dict[str, Any]", self._data["outcomes"][step][fingerprint])

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._guard:  # another thread's change must not be written half done
            yield
            self.save()


def _earlier_outcomes(
    raw: dict[str, Any] | None, made: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the outcomes that a record has had before `made`, each once, the oldest first.

    They tell `destroy` what they created, such as the model version that a forced run replaced.
    A ledger from before there were any has none.
    """
    earlier: list[dict[str, Any]] = list(raw.get("superseded", ())) if raw else []
    if raw and made and raw["outcome"] not in (None, made, *earlier):
        earlier.append(raw["outcome"])
    return earlier


def _now() -> str:
    """Return the time in UTC, to the millisecond: many a step takes less than a second."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03}Z"
