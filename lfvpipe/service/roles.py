"""What the holder of an access key may do, whichever door a request came in by.

The role is looked at where an operation is carried out, not where a request is let in: nothing that
a path or a method can be made to look like comes between the two.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Final

from botocore.model import OperationModel

from lfvpipe.service.protocol.faults import Fault

_ASKING = frozenset({"DetectAnomalies"})  # sends an image, and changes nothing
_LABELLING = frozenset({"UpdateDatasetEntries"})


class Role(Enum):
    """What a key is for; each may what the one before it may."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def may(self, operation: OperationModel) -> bool:
        """Say whether this role may carry out an operation."""
        if self is Role.ADMIN or operation.http["method"] == "GET" or operation.name in _ASKING:
            return True
        return self is Role.REVIEWER and operation.name in _LABELLING


@dataclass(frozen=True)
class Actor:
    """Who a request is from.

    Attributes:
        access_key: The id of the key; "" for whoever has the state folder itself.
    """

    access_key: str = ""
    role: Role = Role.ADMIN


OWNER: Final = Actor()
# Nobody, until a door says who: a thread that was started without it is refused, not let in.
_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Let what is asked within the block, in its thread, be asked by `actor`."""
    before = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(before)


def present_actor() -> Actor:
    """Return who asks, in this thread.

    Raises:
        Fault: AccessDeniedException, where nobody was said to.
    """
    actor = _actor.get()
    if actor is None:
        message = "nobody is said to ask for this, and what nobody asks for is not carried out"
        raise Fault("AccessDeniedException", message, status=403)
    return actor


def check_role(operation: OperationModel) -> None:
    """Refuse what the present actor's role does not allow.

    Raises:
        Fault: AccessDeniedException.
    """
    if not present_actor().role.may(operation):
        raise _denied(f"call {operation.name}")


def check_admin(what: str) -> None:
    """Refuse what only an admin may.

    Args:
        what: What is asked for, as a verb and its object.

    Raises:
        Fault: AccessDeniedException.
    """
    if present_actor().role is not Role.ADMIN:
        raise _denied(what)


def check_labelling(what: str) -> None:
    """Refuse what only those may who label images: reviewers and admins; see `check_admin`."""
    if present_actor().role is Role.VIEWER:
        raise _denied(what)


def _denied(what: str) -> Fault:
    actor = present_actor()
    return Fault(
        "AccessDeniedException",
        f"the access key {actor.access_key} has the role {actor.role.value}, which may not {what};"
        " the server's credentials file says which key has which role",
        status=403,
    )
