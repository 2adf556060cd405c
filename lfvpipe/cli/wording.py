"""How facts are said: reasons, sizes, times."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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
        file = Path(why.subject)
        gone = file.is_absolute() and not file.exists()
        return f"{why.subject} is {'not there any more' if gone else 'no longer used'}"
    return f"{why.subject} changed: {value(why.before)} → {value(why.after)}"


def _change(why: Reason) -> str:
    if why.before is None and why.after is None:
        return ""
    return f": {value(why.before)} → {value(why.after)}"


def _failed(why: Reason) -> str:
    failed = f"the last attempt failed: {value(why.after)}" if why.after else "failed before"
    return failed + _ongoing(why)


def _interrupted(why: Reason) -> str:
    return f"the last attempt was interrupted{_ongoing(why)}"


def _ongoing(why: Reason) -> str:
    return f"; {why.subject}" if why.subject else ""


def _displaced(why: Reason) -> str:
    return f"{why.subject or 'its place'} holds another configuration's outcome"


_PHRASES: Mapping[Code, Callable[[Reason], str]] = {
    "never-run": lambda _: "never run",
    "config-changed": lambda why: f"{why.subject}: {value(why.before)} → {value(why.after)}",
    "input-changed": _input,
    "step-changed": lambda why: (
        f"{why.subject or 'the step itself'}: version {why.before} → {why.after}"
    ),
    "output-missing": lambda why: f"output missing: {why.subject}",
    "interrupted": _interrupted,
    "failed": _failed,
    "upstream": lambda why: f"{why.subject} runs first",
    "displaced": _displaced,
    "drift": lambda why: f"drift: {why.subject}{_change(why)}",
    "forced": lambda _: "forced",
}


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
    if _is_digest(text):
        return text[:12]
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(char in "0123456789abcdef" for char in text)


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


def facts(step: str, known: Mapping[str, Json]) -> str:
    """Return the few facts of a step's outcome that fit behind its line."""
    if step == "evaluate" and known.get("images") == 0 == known.get("refused"):
        return "no images to judge: `evaluate` names none"
    chosen = _WORTH_KNOWING.get(step.partition(":")[0], ())
    return ", ".join(_fact(key, known[key]) for key in chosen if _is_said(known.get(key)))


# By family of steps; a fact that is absent, empty or false is not said.
_WORTH_KNOWING: Mapping[str, tuple[str, ...]] = {
    "fetch": ("size",),
    "select": ("counts",),
    "extract": ("images", "bytes", "new", "unreadable"),
    "check": ("findings",),
    "bucket": ("name", "endpoint"),
    "upload": ("objects", "uploaded", "uploaded_bytes"),
    "manifests": ("train", "test", "segmentation"),
    "project": ("name", "endpoint"),
    "datasets": ("train", "test"),
    "model": ("version", "f1", "precision", "recall"),
    "evaluate": ("images", "anomalous", "wrong", "review", "refused"),
    "report": ("run", "review"),
    "mlflow": ("mlflow_run",),
}
_ALONE = frozenset({"name", "endpoint", "size", "bytes", "uploaded_bytes", "counts"})


def _is_said(item: Json) -> bool:
    return item is not None and item is not False and item not in ("", [], {}, 0)


def _fact(key: str, item: Json) -> str:
    name = {"f1": "F1", "uploaded": "new", "review": "doubtful"}.get(key, key.replace("_", " "))
    if key == "counts":
        return _counts(item)
    if item is True:
        return name
    if isinstance(item, Mapping):
        return f"{name} {_images_in(item)}"
    if isinstance(item, Sequence) and not isinstance(item, str):
        return f"{len(item)} {name}"
    if isinstance(item, int) and key in _ALONE:
        return size(item)
    if key in _ALONE:
        return value(item)
    return f"{name} {item:.3f}" if isinstance(item, float) else f"{name} {value(item)}"


def _images_in(item: Mapping[str, Json]) -> str:
    """Return how many images a dataset or manifest has, as its facts tell."""
    stats = item.get("stats")
    count = stats.get("total") if isinstance(stats, Mapping) else item.get("lines")
    return value(count)


def _counts(item: Json) -> str:
    """Return counts by label and split as counts by split: ``train 35, test 25``."""
    total: dict[str, int] = {}
    for by_split in item.values() if isinstance(item, Mapping) else ():
        for split, count in by_split.items() if isinstance(by_split, Mapping) else ():
            total[split] = total.get(split, 0) + (count if isinstance(count, int) else 0)
    shown = ("train", "test", "evaluate")
    return ", ".join(f"{split} {total[split]}" for split in shown if total.get(split))
