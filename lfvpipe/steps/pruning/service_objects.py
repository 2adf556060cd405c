"""Which objects of a local bucket data sets of the service, or other pipelines, refer to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from lfvpipe.steps.context import Context


def used_keys(context: Context, bucket: str) -> set[str] | None:
    """Return the keys that data sets and trainings of this machine's service name.

    None where the service's state cannot be asked now.
    """
    import sqlite3

    from lfvpipe.service import looks

    start = f"s3://{bucket}/"
    found: set[str] = set()
    folder = context.service_dir
    for state in (folder / looks.STATE, *folder.glob(f"regions/*/{looks.STATE}")):
        try:
            if looks.is_changing(state):
                return None  # what an update brings is not among the lines yet
            lines = looks.lines_in_use(state)
            found |= {
                source.removeprefix(start)
                for source in looks.sources_of_trials(state)
                if source.startswith(start)
            }
        except (looks.StateDamaged, sqlite3.Error):
            return None
        for line in lines:
            if start in line or "\\" in line:  # which may spell it otherwise, such as s3:\/\/
                texts = _texts(json.loads(line))
                found |= {text.removeprefix(start) for text in texts if text.startswith(start)}
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def used_by_others(context: Context, lineage: str, keys: Set[str]) -> set[str]:
    """Return which keys other pipelines use that keep images in the same bucket.

    They say so beside their images; see `lfvpipe.steps.ownership`.
    """
    spec = context.pipeline.bucket
    marks = context.buckets_dir / spec.name / f"{spec.prefix}lfvpipe/pipelines"
    if not any(file.stem != lineage for file in marks.glob("*.json")):
        return set()
    from lfvpipe.steps import ownership

    used: set[str] = set()
    for owner in ownership.others(context.bucket, spec.prefix, lineage):
        theirs = ownership.keys_of(context.bucket, owner)
        used |= keys if theirs is None else keys & theirs
    return used
