"""The runs of a pipeline in order of time, what changed between them, and what they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe.config import schema
from lfvpipe.errors import UserError
from lfvpipe.report import run_file
from lfvpipe.report.corrected_labels import relabelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lfvpipe.report.corrected_labels import Relabelled
    from lfvpipe.report.records import RunRecord, Scores

# Follows from where the pipeline lies or is called, and changes nothing that a run shows.
NOT_COMPARED = frozenset({"name", "file"})


class NoSuchRun(UserError):
    """What the user calls a run by fits none, or several."""

    exit_code = 3


@dataclass(frozen=True)
class Difference:
    """A key of the configuration in which runs differ; None where a run does not have it."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Entry:
    """A run in the history.

    Attributes:
        run: The run, without its verdicts.
        changed: What its configuration changed since the run before; empty for the first.
        relabelled: What people decided anew since then about images; likewise.
    """

    run: RunRecord
    changed: tuple[Difference, ...]
    relabelled: tuple[Relabelled, ...] = ()

    @property
    def seconds(self) -> float | None:
        """How long its steps took together; None where nobody measured it."""
        measured = [timing.seconds for timing in self.run.timings if timing.seconds is not None]
        return sum(measured) if measured else None


def headline_set(run: RunRecord) -> tuple[str, Scores] | None:
    """Return the set of images, and its scores, that say most about a run's model."""
    for name in ("test", "evaluation"):
        scores = run.scores.get(name)
        if scores is not None and scores.labelled:
            return name, scores
    return None


def entries(state_dir: Path, limit: int = 0) -> list[Entry]:
    """Return the runs of a pipeline, oldest first; with a `limit`, the latest ones only.

    Raises:
        UserError: A run file is damaged, or a newer lfvpipe wrote it.
    """
    ids = run_file.run_ids(state_dir)
    wanted = ids[-limit - 1 :] if limit else ids  # one more, to tell what the oldest one changed
    runs = [
        run_file.load(run_file.path_of(state_dir, each), with_verdicts=False) for each in wanted
    ]
    found = []
    for before, run in zip([None, *runs], runs, strict=False):
        changed = differences([before.config, run.config]) if before else ()
        decided = relabelled(before, run) if before else ()
        found.append(Entry(run, tuple(changed), tuple(decided)))
    return found[-limit:] if limit else found


def differences(configs: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Return the keys in which configurations differ, sorted.

    A key of both labels that says the same of both is told once, as in the pipeline file. One that
    a run of an earlier version does not know had what is its default by now.
    """
    plain = [_join_labels(config) for config in configs]
    found = []
    for key in sorted(set().union(*plain) - NOT_COMPARED):
        values = tuple(config.get(key) for config in plain)
        told = [value for value in values if value is not None]
        is_unlike = any(value != told[0] for value in told)
        if is_unlike or (len(told) < len(values) and told[0] != _default(key)):
            found.append(Difference(key, values))
    return found


def _default(key: str) -> object:
    """Return the default of a key; None where the schema has none, or does not know the key."""
    try:
        return schema.default(key)
    except KeyError:
        return None


def _join_labels(config: Mapping[str, Any]) -> dict[str, Any]:
    """Join ``sample.normal.percent`` and ``sample.anomaly.percent`` where they are the same."""
    joined = dict(config)
    for key, value in config.items():
        twin = key.replace(".normal.", ".anomaly.")
        if twin != key and key.startswith(("sample.", "split.")) and config.get(twin) == value:
            del joined[key], joined[twin]
            joined[key.replace(".normal.", ".")] = value
    return joined


def find(state_dir: Path, word: str, variants: Mapping[str, str]) -> RunRecord:
    """Return the run, with its verdicts, that the user calls `word`.

    Args:
        state_dir: Where the pipeline's state is.
        word: A run's id or the beginning of one, ``latest``, ``latest~2`` for the second before
            it, a model's version like ``v2``, or the name of a variant.
        variants: The run that each variant stands at, by the variant's name.

    Raises:
        NoSuchRun: Nothing is called so, or several runs are.
    """
    ids = run_file.run_ids(state_dir)
    if not ids:
        raise NoSuchRun("There is no run yet.", hint="`lfvpipe run` makes one.")
    found = variants.get(word) or _by_position(ids, word) or _by_version(state_dir, ids, word)
    return run_file.load(run_file.path_of(state_dir, found or _by_prefix(ids, word)))


def standing_pair(state_dir: Path, variants: Mapping[str, str]) -> tuple[str, ...]:
    """Return the run that the pipeline stands at, after the latest of the others; fewer if few.

    It need not be the latest one, as going back to an earlier configuration goes back to its run.
    Of a matrix's variants, the one of the latest run counts.

    Args:
        state_dir: Where the pipeline's state is.
        variants: The run that each variant stands at, by the variant's name.
    """
    ids = run_file.run_ids(state_dir)
    now = max(set(variants.values()) & set(ids), default=ids[-1] if ids else None)
    others = [each for each in ids if each != now]
    return (*others[-1:], *([now] if now else []))


def _by_position(ids: Sequence[str], word: str) -> str | None:
    match = re.fullmatch(r"latest(?:~(\d{1,9}))?", word)
    if not match:
        return None
    back = int(match[1] or 0)
    if back >= len(ids):
        raise NoSuchRun(f"There is no {word}; runs so far: {len(ids)}.", hint=_HINT)
    return ids[-1 - back]


def _by_version(state_dir: Path, ids: Sequence[str], word: str) -> str | None:
    match = re.fullmatch(r"v(\d+)", word)
    if not match:
        return None
    for run_id in reversed(ids):
        run = run_file.load(run_file.path_of(state_dir, run_id), with_verdicts=False)
        if str(run.model.get("version")) == match[1]:
            return run_id
    raise NoSuchRun(f"No run has model version {match[1]}.", hint=_HINT)


def _by_prefix(ids: Sequence[str], word: str) -> str:
    found = [run_id for run_id in ids if run_id.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        hint = f"Say more of it: {', '.join(found[-3:])}."
        raise NoSuchRun(f"{word!r} is the beginning of {len(found)} runs.", hint=hint)
    raise NoSuchRun(f"No run is called {word!r}.", hint=_HINT)


_HINT = "`lfvpipe history` lists the runs that there are."
