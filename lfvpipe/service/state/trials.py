"""The tables of trial detections: which images people had a model judge, and what they found."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from lfvpipe.service.faults import not_found
from lfvpipe.service.state.database import Transaction


class Verified(StrEnum):
    """What a person says of a verdict."""

    CORRECT = "correct"
    INCORRECT = "incorrect"


class Show(StrEnum):
    """Which images of a trial are shown."""

    ALL = "all"
    NORMAL = "normal"
    ANOMALY = "anomaly"
    UNVERIFIED = "unverified"
    CORRECT = "correct"
    INCORRECT = "incorrect"
    PROBLEM = "problem"


class Order(StrEnum):
    """How they are sorted."""

    ADDED = "added"
    DOUBTFUL = "doubtful"
    SURE = "sure"
    NAME = "name"


_SHOWN: Final[Mapping[Show, str]] = {
    Show.ALL: "1",
    Show.NORMAL: "is_anomalous = 0",
    Show.ANOMALY: "is_anomalous = 1",
    Show.UNVERIFIED: "is_anomalous IS NOT NULL AND verified IS NULL",
    Show.CORRECT: "verified = 'correct'",
    Show.INCORRECT: "verified = 'incorrect'",
    Show.PROBLEM: "problem != ''",
}
_ORDERS: Final[Mapping[Order, str]] = {
    Order.ADDED: "place",
    Order.DOUBTFUL: "confidence IS NULL, confidence, place",
    Order.SURE: "confidence DESC, place",
    Order.NAME: "place",
}


@dataclass(frozen=True)
class Trial:
    """A trial detection.

    Attributes:
        version: Of the model that judges.
        created: Epoch seconds.
        access_key: Who began it.
        total: How many images it has, of which `judged` have a verdict and `problems` can have
            none; the others wait.
        anomalies: How many verdicts say anomalous.
        verified: How many verdicts a person has looked at.
    """

    id: int
    project: str
    name: str
    version: int
    created: float
    access_key: str
    total: int
    judged: int
    problems: int
    anomalies: int
    verified: int

    @property
    def waiting(self) -> int:
        """How many images are not judged yet."""
        return self.total - self.judged - self.problems


@dataclass(frozen=True)
class Outline:
    """What a mask marks, as a path of SVG, in a box of `width` by `height`."""

    width: float
    height: float
    path: str


@dataclass(frozen=True)
class Facts:
    """What else a verdict says.

    Attributes:
        types: The anomaly types that were found, with their colours and parts of the area.
        is_unlike: The image is not like the training images.
        to_person: By the model's decision, a person is to look at it.
        heat: The heat map, a see-through picture as a data URI; None where the model draws none.
        outline: Of the mask that the model painted; None for nothing.
    """

    types: tuple[tuple[str, str, float], ...] = ()
    is_unlike: bool = False
    to_person: bool = False
    heat: str | None = None
    outline: Outline | None = None


@dataclass(frozen=True)
class Painting:
    """Where a person marked the anomaly.

    Attributes:
        mask: The address of the mask: a PNG with a white background.
        classes: The colours (``#RRGGBB``) that it has, by anomaly type.
        outline: Of the mask; None where it was not drawn.
    """

    mask: str
    classes: Mapping[str, str]
    outline: Outline | None = None


@dataclass(frozen=True)
class TrialImage:
    """An image of a trial.

    Attributes:
        place: Its number in the trial.
        source: Its address.
        problem: Why it can have no verdict; "" otherwise.
        is_anomalous: The verdict; None where there is none.
        confidence: In the verdict, 0 to 1.
        added: The data set that it was added to.
        painting: Where a person marked the anomaly; None for nowhere.
    """

    place: int
    source: str
    problem: str
    is_anomalous: bool | None
    confidence: float | None
    facts: Facts
    verified: Verified | None
    added: str | None
    painting: Painting | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.source.rpartition("/")[2]

    @property
    def truth(self) -> bool | None:
        """Whether it is anomalous, as a person says; None where nobody said."""
        if self.is_anomalous is None or self.verified is None:
            return None
        return self.is_anomalous is (self.verified is Verified.CORRECT)


_TRIAL: Final = (
    "SELECT t.id, t.project, t.name, t.version, t.created, t.access_key, COUNT(i.place) AS total,"
    " COUNT(i.is_anomalous) AS judged, COALESCE(SUM(i.problem != ''), 0) AS problems,"
    " COALESCE(SUM(i.is_anomalous), 0) AS anomalies, COUNT(i.verified) AS verified"
    " FROM trials t LEFT JOIN trial_images i ON i.trial = t.id WHERE t.project = ?"
)
_IMAGE: Final = (
    "SELECT place, source, problem, is_anomalous, confidence, facts, verified, added, painting"
    " FROM trial_images WHERE trial = ?"
)


def of_project(tx: Transaction, project: str) -> list[Trial]:
    """Return the trials of a project, the newest first."""
    rows = tx.all(f"{_TRIAL} GROUP BY t.id ORDER BY t.id DESC", project)
    return [Trial(**dict(row)) for row in rows]


def get(tx: Transaction, project: str, identity: int) -> Trial:
    """Return a trial of a project.

    Raises:
        Fault: ResourceNotFoundException.
    """
    row = tx.one(f"{_TRIAL} AND t.id = ? GROUP BY t.id", project, identity)
    if row is None:
        missing = f"project {project} has no trial detection {identity}"
        raise not_found("TRIAL", str(identity), missing)
    return Trial(**dict(row))


def ids(tx: Transaction) -> set[int]:
    """Return the numbers of all trials."""
    return {row["id"] for row in tx.each("SELECT id FROM trials")}


def stored_bytes(tx: Transaction) -> int:
    """Return how many bytes of photographs were stored for all trials."""
    return tx.number("SELECT SUM(bytes) FROM trial_images")


def create(
    tx: Transaction, *, project: str, name: str, version: int, created: float, access_key: str
) -> int:
    """Begin a trial; return its number, which no other one ever has."""
    return tx.insert(
        "INSERT INTO trials (project, name, version, created, access_key) VALUES (?, ?, ?, ?, ?)",
        *(project, name, version, created, access_key),
    )


def delete(tx: Transaction, identity: int) -> None:
    """Delete a trial with its images' rows."""
    tx.run("DELETE FROM trials WHERE id = ?", identity)


def add(tx: Transaction, trial: int, source: str, size: int = 0) -> int:
    """Add an image that waits for its verdict, unless it is there; return its place.

    Args:
        tx: The transaction.
        trial: Which.
        source: Its address.
        size: The bytes that were stored for the trial's sake.
    """
    row = tx.one("SELECT place FROM trial_images WHERE trial = ? AND source = ?", trial, source)
    if row is not None:
        return int(row["place"])
    place = tx.number("SELECT MAX(place) FROM trial_images WHERE trial = ?", trial) + 1
    tx.run(
        "INSERT INTO trial_images (trial, place, source, bytes) VALUES (?, ?, ?, ?)",
        *(trial, place, source, size),
    )
    return place


def judge(
    tx: Transaction, trial: int, place: int, verdict: tuple[bool, float], facts: Facts
) -> None:
    """Write a verdict down: whether the image is anomalous, and the confidence."""
    tx.run(
        "UPDATE trial_images SET is_anomalous = ?, confidence = ?, facts = ?, problem = ''"
        " WHERE trial = ? AND place = ?",
        *(*verdict, json.dumps(asdict(facts)), trial, place),
    )


def refuse(tx: Transaction, trial: int, place: int, problem: str) -> None:
    """Write down why an image can have no verdict."""
    tx.run(
        "UPDATE trial_images SET problem = ? WHERE trial = ? AND place = ?", problem, trial, place
    )


def verify(tx: Transaction, trial: int, places: Iterable[int], verified: Verified | None) -> int:
    """Write down what a person says of verdicts; return of how many that have one.

    Where an anomaly is marked, nothing is said that would make its image a normal one.
    """
    return sum(
        tx.run(
            "UPDATE trial_images SET verified = ? WHERE trial = ? AND place = ?"
            " AND is_anomalous IS NOT NULL"
            " AND (painting IS NULL OR ? IS NULL OR is_anomalous = ?)",
            *(verified, trial, place, verified, verified is Verified.CORRECT),
        )
        for place in places
    )


def paint(
    tx: Transaction, trial: int, place: int, painting: Painting | None, verified: Verified | None
) -> None:
    """Write down where a person marked the anomaly, and what he says of the verdict by that."""
    tx.run(
        "UPDATE trial_images SET painting = ?, verified = ? WHERE trial = ? AND place = ?",
        *(None if painting is None else json.dumps(asdict(painting)), verified, trial, place),
    )


def mark_added(tx: Transaction, trial: int, places: Iterable[int], dataset: str) -> None:
    """Write down to which data set images were added."""
    tx.many(
        "UPDATE trial_images SET added = ? WHERE trial = ? AND place = ?",
        [(dataset, trial, place) for place in places],
    )


def images(
    tx: Transaction,
    trial: int,
    show: Show = Show.ALL,
    order: Order = Order.ADDED,
) -> list[TrialImage]:
    """Return the images of a trial; there are 2,000 at most."""
    rows = tx.all(f"{_IMAGE} AND {_SHOWN[show]} ORDER BY {_ORDERS[order]}", trial)
    found = [_image(row) for row in rows]
    # Addresses of what people brought have a digest before the name.
    return sorted(found, key=lambda image: image.name) if order is Order.NAME else found


def find(tx: Transaction, trial: int, places: Sequence[int]) -> list[TrialImage]:
    """Return images by their places, in that order, without those that are not there."""
    rows = (tx.one(f"{_IMAGE} AND place = ?", trial, place) for place in places)
    return [_image(row) for row in rows if row is not None]


def first_waiting(tx: Transaction, trial: int) -> TrialImage | None:
    """Return the first image without a verdict or a problem."""
    row = tx.one(
        f"{_IMAGE} AND is_anomalous IS NULL AND problem = '' ORDER BY place LIMIT 1", trial
    )
    return None if row is None else _image(row)


def _image(row: sqlite3.Row) -> TrialImage:
    facts = _with_outline(json.loads(row["facts"]))
    if "types" in facts:
        facts["types"] = tuple((name, colour, area) for name, colour, area in facts["types"])
    return TrialImage(
        place=row["place"],
        source=row["source"],
        problem=row["problem"],
        is_anomalous=None if row["is_anomalous"] is None else bool(row["is_anomalous"]),
        confidence=row["confidence"],
        facts=Facts(**facts),
        verified=None if row["verified"] is None else Verified(row["verified"]),
        added=row["added"],
        painting=(
            None
            if row["painting"] is None
            else Painting(**_with_outline(json.loads(row["painting"])))
        ),
    )


def _with_outline(values: dict[str, Any]) -> dict[str, Any]:
    known = values.get("outline")
    return values | {"outline": None if known is None else Outline(**known)}
