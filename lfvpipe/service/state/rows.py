"""The rows as frozen dataclasses."""

import sqlite3
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

R = TypeVar("R")


def read(kind: type[R], row: sqlite3.Row) -> R:
    """Return `row` as a `kind`, whose fields are named like the columns."""
    return kind(**{field.name: row[field.name] for field in fields(cast("Any", kind))})


@dataclass(frozen=True)
class Project:
    """A project; `created` is in epoch seconds, `versions` the highest model version so far."""

    name: str
    arn: str
    created: float
    versions: int


@dataclass(frozen=True)
class Content:
    """A dataset's JSON lines, and where they come from.

    Attributes:
        state: ``pending``, ``ready`` or ``failed``.
        message: Why it failed.
        storage: The object store, as JSON that `storage.buckets.reconnect` takes.
        bucket: The manifest's bucket, or None.
        base: The content that `changes` are applied to.
        changes: The JSON Lines of UpdateDatasetEntries.
    """

    id: int
    state: str
    message: str
    storage: str
    bucket: str | None
    key: str | None
    version_id: str | None
    base: int | None
    changes: bytes | None
    total: int
    normal: int
    anomaly: int


@dataclass(frozen=True)
class Dataset:
    """A dataset; `next_content` is what an update is preparing."""

    project: str
    type: str
    created: float
    updated: float
    status: str
    message: str
    content: int
    next_content: int | None


@dataclass(frozen=True)
class Model:
    """A model version; sides in pixels, times in epoch seconds."""

    id: int
    project: str
    version: int
    arn: str
    created: float
    description: str | None
    status: str
    message: str
    output_bucket: str
    output_prefix: str | None
    kms_key: str | None
    storage: str
    train_content: int
    test_content: int | None
    attempts: int
    f1: float | None
    recall: float | None
    precision: float | None
    evaluated: float | None
    width: int | None
    height: int | None
    min_units: int | None
    max_units: int | None


@dataclass(frozen=True)
class PackagingJob:
    """A packaging job; `configuration` and `output` are JSON."""

    id: int
    project: str
    name: str
    version: int
    configuration: str
    description: str | None
    storage: str
    status: str
    message: str
    created: float
    updated: float
    output: str | None
