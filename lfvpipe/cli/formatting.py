"""How facts are shown: reasons, values, paths, amounts, times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.engine.phrases import size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.engine.outcome import Json
    from lfvpipe.engine.reasons import Code, Reason

_LONGEST_VALUE = 60


# What a reason is called; those that need more than their parts are told in `reason`.
_PHRASES: Mapping[Code, str] = {
    "never-run": "never run",
    "config-changed": "{subject}: {before} → {after}",
    "step-changed": "the step itself: version {before} → {after}",
    "output-missing": "output missing: {subject}",
    "output-damaged": "output damaged: {subject}",
    "upstream": "{subject} runs first",
    "forced": "forced",
}


def reason(why: Reason) -> str:
    """Return one reason as a phrase, with before → after where there is one."""
    before, after = value(why.before), value(why.after)
    match why.code:
        case "input-changed":
            return _input_phrase(why)
        case "failed" | "interrupted":
            return _attempt_phrase(why)
        case "displaced":
            return f"{why.subject or 'its place'} holds another configuration's outcome"
        case "drift" if why.before is None and why.after is None:
            return f"drift: {why.subject}"
        case "drift":
            return f"drift: {why.subject}: {before} → {after}"
        case _:
            return _PHRASES[why.code].format(subject=why.subject, before=before, after=after)


def _input_phrase(why: Reason) -> str:
    if why.before is None:
        return f"{why.subject} is new"
    if why.after is None:
        file = Path(why.subject)
        gone = file.is_absolute() and not file.exists()
        return f"{why.subject} is {'not there any more' if gone else 'no longer used'}"
    return f"{why.subject} changed: {value(why.before)} → {value(why.after)}"


def _attempt_phrase(why: Reason) -> str:
    """Return what became of the last attempt; the reason's subject says what still goes on."""
    if why.code == "interrupted":
        said = "the last attempt was interrupted"
    else:
        said = f"the last attempt failed: {value(why.after)}" if why.after else "failed before"
    return f"{said}; {why.subject}" if why.subject else said


def path(file: Path) -> str:
    """Return a path as short as it can be said from here."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def value(what: Json) -> str:
    """Return a JSON value as a person writes it; digests and long values are cut."""
    if what is None:
        return "(none)"
    if isinstance(what, float) and what.is_integer():
        what = int(what)
    text = what if isinstance(what, str) and what else json.dumps(what, ensure_ascii=False)
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):  # a SHA-256
        return text[:12]
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def amount(done: int, total: int | None, unit: str) -> str:
    """Return progress: ``12 of 96 images``, ``1.2 MB of 3.0 MB``, ``12 images``."""
    if unit in {"bytes", "B"}:
        sent = size(done) or "0 B"
        return f"{sent} of {size(total)}" if total else sent
    unit = unit.removesuffix("s") if (total or done) == 1 else unit
    return f"{done:,} of {total:,} {unit}" if total else f"{done:,} {unit}"


def when(iso: str | None) -> str:
    """Return a UTC ISO time as the local date and minute."""
    if not iso:
        return ""
    moment = datetime.fromisoformat(iso)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def seconds_between(started: str | None, finished: str | None) -> float | None:
    """Return the seconds between two ISO times, or None where one is missing."""
    if not started or not finished:
        return None
    span = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    return span.total_seconds()
