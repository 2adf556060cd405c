"""The waiters, against a service that says what the test lets it say."""

import json
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.lookout.client import connect
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.lookout.waiters import (
    EMBEDDED_PACE,
    REMOTE_PACE,
    wait_for_dataset,
    wait_for_dataset_deletion,
    wait_for_hosting,
    wait_for_model,
)


class Waiting(Event):
    """An event that notes how long it was waited for, and does not wait."""

    def __init__(self, limit: int = 100) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.limit = limit

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return len(self.waits) >= self.limit


def client_saying(kind: str, statuses: Iterator[str]) -> Any:
    def handler(_method: str, _url: str, _headers: Any, _body: bytes) -> Any:
        status = next(statuses)
        facts = {"Status": status, "StatusMessage": f"it is {status}"}
        return 200, {"Content-Type": "application/json"}, json.dumps({kind: facts}).encode()

    return connect("embedded", region="us-east-1", handler=handler)


def model(statuses: list[str], cancelled: Event, seen: list[Any], **more: Any) -> Any:
    client = client_saying("ModelDescription", iter(statuses))
    wait = wait_for_hosting if more.pop("hosting", False) else wait_for_model
    note = lambda status, message: seen.append((status, message))  # noqa: E731  (one expression)
    options: Any = {"on_status": note, "cancelled": cancelled} | more
    return wait(client, project="p", version="1", **options)


def test_a_wait_tells_every_status_and_returns_the_last() -> None:
    seen: list[Any] = []
    found = model(["TRAINING", "TRAINING", "TRAINED"], Waiting(), seen)
    assert found["Status"] == "TRAINED"
    assert seen == [(s, f"it is {s}") for s in ("TRAINING", "TRAINING", "TRAINED")]


def test_the_pace_slows_down_to_its_limit() -> None:
    waiting = Waiting()
    model(["TRAINING"] * 30 + ["TRAINED"], waiting, [])
    assert waiting.waits[0] == EMBEDDED_PACE.first
    assert waiting.waits == sorted(waiting.waits)
    assert waiting.waits[-1] == EMBEDDED_PACE.longest
    assert REMOTE_PACE.longest == 5.0


@pytest.mark.parametrize("status", ["TRAINING_FAILED", "DELETING"])
def test_a_failure_carries_the_status_message(status: str) -> None:
    with pytest.raises(LookoutError, match=f"{status}: it is {status}"):
        model(["TRAINING", status], Waiting(), [])


def test_a_cancelled_wait_says_where_things_stand() -> None:
    with pytest.raises(Cancelled, match="TRAINING and goes on"):
        model(["TRAINING"] * 9, Waiting(limit=3), [])


def test_a_model_that_is_hosted_already_is_trained() -> None:
    assert model(["HOSTED"], Waiting(), [])["Status"] == "HOSTED"


def test_hosting_is_waited_for_both_ways() -> None:
    up = model(["STARTING_HOSTING", "HOSTED"], Waiting(), [], hosting=True)
    assert up["Status"] == "HOSTED"
    down = model(["STOPPING_HOSTING", "TRAINED"], Waiting(), [], hosting=True, target="TRAINED")
    assert down["Status"] == "TRAINED"
    with pytest.raises(LookoutError, match="HOSTING_FAILED"):
        model(["STARTING_HOSTING", "HOSTING_FAILED"], Waiting(), [], hosting=True)


def test_a_dataset_is_waited_for() -> None:
    for last in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        client = client_saying("DatasetDescription", iter(["UPDATE_IN_PROGRESS", last]))
        options: Any = {"on_status": lambda *_: None, "cancelled": Waiting()}
        found = wait_for_dataset(client, project="p", dataset_type="train", **options)
        assert found["Status"] == last


def deleting(statuses: list[str], cancelled: Event | None = None) -> list[Any]:
    """Wait for a dataset's deletion; it is absent after the last of `statuses`."""
    left = iter(statuses)

    def handler(_method: str, _url: str, _headers: Any, _body: bytes) -> Any:
        if (status := next(left, None)) is None:
            headers = {"x-amzn-ErrorType": "ResourceNotFoundException"}
            return 404, headers, json.dumps({"Message": "no such dataset"}).encode()
        facts = {"Status": status, "StatusMessage": f"it is {status}"}
        return 200, {}, json.dumps({"DatasetDescription": facts}).encode()

    seen: list[Any] = []
    wait_for_dataset_deletion(
        connect("embedded", region="us-east-1", handler=handler),
        project="p",
        dataset_type="train",
        on_status=lambda status, _message: seen.append(status),
        cancelled=cancelled,
    )
    return seen


def test_a_deletion_is_waited_for_until_the_dataset_is_gone() -> None:
    assert deleting([]) == []
    waiting = Waiting()
    assert deleting(["DELETE_IN_PROGRESS"] * 3, waiting) == ["DELETE_IN_PROGRESS"] * 3
    assert waiting.waits == pytest.approx([0.02, 0.028, 0.0392])


def test_a_deletion_that_fails_or_takes_too_long_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match="cannot be deleted: it is DELETE_FAILED"):
        deleting(["DELETE_IN_PROGRESS", "DELETE_FAILED"], Waiting())
    monkeypatch.setattr("lfvpipe.lookout.waiters.DELETION_LIMIT", 0.0)
    with pytest.raises(UserError, match="is not gone 0 seconds after its deletion"):
        deleting(["DELETE_IN_PROGRESS"], Waiting())


def test_a_wait_for_a_deletion_can_be_cancelled() -> None:
    with pytest.raises(Cancelled, match="goes on by itself"):
        deleting(["DELETE_IN_PROGRESS"] * 9, Waiting(limit=1))
