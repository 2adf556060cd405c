"""The console's words, by what they stand for; English ones are in ``texts/en``."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from lfvpipe.storage import NoSuchBucket, StorageError

_FOLDER = Path(__file__).with_name("texts")


@cache
def texts(language: str = "en") -> Mapping[str, str]:
    """Return the texts of a language by ``file.name``."""
    found: dict[str, str] = {}
    for file in sorted((_FOLDER / language).glob("*.toml")):
        said = tomllib.loads(file.read_text("utf-8"))
        found |= {f"{file.stem}.{name}": text for name, text in said.items()}
    return found


def words_of(error: StorageError) -> str:
    """Return what a person is told of a store that failed, without folders of the server."""
    place = Path(error.where)
    if isinstance(error, NoSuchBucket):
        address = error.where.removeprefix("s3://").partition("/")[0]
        return say("refusals.no_bucket", name=place.name if place.is_absolute() else address)
    told = f"{error.message} {error.hint}".strip()
    return told.replace(error.where, place.name) if place.is_absolute() else told


def say(name: str, /, **values: Any) -> str:
    """Return a text with values in its places.

    A text that counts is a pair: ``name`` for one and ``name_many`` for any other number of what
    its value ``count`` says.
    """
    if "count" in values and values["count"] != 1:
        name = f"{name}_many"
    shown = {key: f"{each:,}" if type(each) is int else each for key, each in values.items()}
    return texts()[name].format(**shown)


def name_day(day: int) -> str:
    """Return a day, which begins as UTC's does, by its number since 1970."""
    date = datetime.fromtimestamp(day * 86400, UTC)
    month = say(f"frame.month_{date.month}")
    return f"{date.day} {month} {date.year}"
