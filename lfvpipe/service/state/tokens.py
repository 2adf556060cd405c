"""Client tokens: a request sent twice takes effect once.

The token is written in the transaction of its effect, so no crash can part the two.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from lfvpipe.service.faults import conflict
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.rows import Dataset

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

    Raises:
        Fault: ConflictException when the token came with other parameters (the API does not say
            which error that is; this one by analogy with other services).
    """
    tx.run("DELETE FROM tokens WHERE created <= ?", now - lifetime)
    digest = _digest(parameters)
    query = "SELECT digest, answer, resource FROM tokens WHERE operation = ? AND token = ?"
    row = tx.one(query, operation, token)
    if row is None:
        answer = act()
        values = (operation, token, digest, json.dumps(answer), tx.resource, now)
        tx.run("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)", *values)
        return answer
    if row["digest"] != digest:
        used = f"client token {token} was used for {operation} with other parameters"
        raise conflict("PROJECT", row["resource"], f"{used}; use a new token")
    found: Answer = json.loads(row["answer"])
    return found


def forget(tx: Transaction, resource: str, *operations: str) -> None:
    """Forget the tokens of `operations` (none: of all) on `resource`, which has moved on.

    A start with a fixed token must take effect again once the model was stopped or could not be
    hosted, and an update once it was rolled back.
    """
    if not operations:
        tx.run("DELETE FROM tokens WHERE resource = ?", resource)
    for operation in operations:
        query = "DELETE FROM tokens WHERE resource = ? AND operation = ?"
        tx.run(query, resource, operation)


def renew(tx: Transaction, resource: str) -> None:
    """Forget all tokens on `resource`, which this transaction creates or deletes.

    Only the transaction's own token stands from here on: a deletion with a fixed token must take
    effect again once there is something to delete again.
    """
    forget(tx, resource)
    tx.resource = resource


def of_dataset(dataset: Dataset) -> str:
    """Return what names a dataset as a token's resource; it has no ARN."""
    return f"dataset/{dataset.project}/{dataset.type}"


def _digest(parameters: Mapping[str, Any]) -> str:
    text = json.dumps(parameters, sort_keys=True, default=_of_bytes)
    return hashlib.sha256(text.encode()).hexdigest()


def _of_bytes(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
