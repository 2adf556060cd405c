"""How facts are said: reasons, durations, sizes, times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfvpipe.engine.outcome import Json
    from lfvpipe.engine.reasons import Code, Reason

_LONGEST_VALUE = 60


def reason(why: Reason) -> str:
    """Return one reason as a phrase, with before → after where there is one."""
    return _PHRASES[why.code](why)


def _input(why: Reason) -> str:
    if why.before is None:
        return f"{why.subject} is new"
    if why.after is None:
        return f"{why.subject} is no longer used"
    return f"{why.subject} changed: {value(why.before)} → {value(why.after)}"


def _change(why: Reason) -> str:
    if why.before is None and why.after is None:
        return ""
    return f": {value(why.before)} → {value(why.after)}"


def _failed(why: Reason) -> str:
    return f"the last attempt failed: {value(why.after)}" if why.after else "failed before"


def _displaced(why: Reason) -> str:
    return f"{why.subject or 'its place'} holds another configuration's outcome"


_PHRASES: Mapping[Code, Callable[[Reason], str]] = {
    "never-run": lambda _: "never run",
    "config-changed": lambda why: f"{why.subject}: {value(why.before)} → {value(why.after)}",
    "input-changed": _input,
    "step-changed": lambda why: f"the step itself: version {why.before} → {why.after}",
    "output-missing": lambda why: f"output missing: {why.subject}",
    "interrupted": lambda _: "the last attempt was interrupted",
    "failed": _failed,
    "upstream": lambda why: f"{why.subject} runs first",
    "displaced": _displaced,
    "drift": lambda why: f"drift: {why.subject}{_change(why)}",
    "forced": lambda _: "forced",
}


def value(what: Json) -> str:
    """Return a JSON value as a person writes it; digests and long values are cut."""
    if what is None:
        return "(none)"
    text = what if isinstance(what, str) else json.dumps(what, ensure_ascii=False)
    if _is_digest(text):
        return text[:12]
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(char in "0123456789abcdef" for char in text)


def duration(seconds: float) -> str:
    """Return a duration: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 03 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def size(count: float) -> str:
    """Return a number of bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def amount(done: int, total: int | None, unit: str) -> str:
    """Return progress: ``12 of 96 images``, ``1.2 MB of 3.0 MB``, ``12 images``."""
    if unit in {"bytes", "B"}:
        return f"{size(done)} of {size(total)}" if total else size(done)
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


def facts(known: object) -> str:
    """Return the few facts of an outcome that fit behind a step's line."""
    if not isinstance(known, dict):
        return ""
    said = [_fact(key, item) for key, item in known.items() if _is_short(item)]
    return ", ".join(said[:4])


def _is_short(item: object) -> bool:
    if isinstance(item, bool) or item is None:
        return False
    if isinstance(item, str):
        return 0 < len(item) <= 32 and "/" not in item and "\\" not in item
    return isinstance(item, int | float)


def _fact(key: str, item: Json) -> str:
    name = key.replace("_", " ")
    if isinstance(item, float):
        return f"{name} {item:.3g}"
    if isinstance(item, int) and key in {"size", "bytes"}:
        return size(item)
    return f"{name} {value(item)}"
