"""The table of client tokens: a request that is sent twice takes effect once.

A client that hears no answer cannot tell whether its request was lost or the answer was, so it
sends the request again with the same token. The token is written in the transaction of its
effect, with the answer: no crash can part the two, and two requests at the same moment cannot
both find it missing, since write transactions wait for one another.

A token does not outlive what it stands for. It names the resource that it acted on, and is
forgotten when that moves on: a pipeline derives its tokens from what it wants, so a model that was
started, stopped and is to be started again is asked for with the same token, and the answer must
not be the old one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from lfvpipe.service.faults import conflict
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.datasets import Dataset

Answer = Mapping[str, Any]


def once(
    tx: Transaction,
    operation: str,
    token: str,
    parameters: Mapping[str, Any],
    now: float,
    lifetime: float,
    act: Callable[[], Answer],
) -> Answer:
    """Return the answer that `token` had within `lifetime` seconds, or that of `act`.

    Only an answer is kept: an error rolls the transaction back, so the same token may try again.

    Raises:
        Fault: ConflictException when the token came with other parameters (the API does not say
            which error that is; this one by analogy with other services).
    """
    tx.run("DELETE FROM tokens WHERE created <= ?", now - lifetime)
    text = json.dumps(parameters, sort_keys=True, default=_digest_of_blob)
    digest = hashlib.sha256(text.encode()).hexdigest()
    query = "SELECT digest, answer, resource FROM tokens WHERE operation = ? AND token = ?"
    row = tx.one(query, operation, token)
    if row is None:
        answer = act()
        tx.run(
            "INSERT INTO tokens (operation, token, digest, answer, resource, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *(operation, token, digest, json.dumps(answer), tx.resource, now),
        )
        return answer
    if row["digest"] != digest:
        used = f"client token {token} was used for {operation} with other parameters"
        raise conflict("PROJECT", row["resource"], f"{used}; use a new token")
    kept: Answer = json.loads(row["answer"])
    return kept


def forget(tx: Transaction, resource: str, operation: str) -> None:
    """Forget the tokens of `operation` on `resource`, which has moved on.

    A start with a fixed token must take effect again once the model was stopped or could not be
    hosted, and an update once it was rolled back.
    """
    query = "DELETE FROM tokens WHERE resource = ? AND operation = ?"
    tx.run(query, resource, operation)


def renew(tx: Transaction, resource: str) -> None:
    """Forget all tokens on `resource`, which this transaction creates or deletes.

    Only the transaction's own token stands from here on: a deletion with a fixed token must take
    effect again once there is something to delete again.
    """
    tx.run("DELETE FROM tokens WHERE resource = ?", resource)
    tx.resource = resource


def dataset_resource(dataset: Dataset) -> str:
    """Return what names a dataset as a token's resource; it has no ARN."""
    return f"dataset/{dataset.name}"


def _digest_of_blob(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
