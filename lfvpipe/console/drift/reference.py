"""What a version said of its test's normal images: all that a control chart asks of a test."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lfvpipe.console.evaluations import find_evaluation
from lfvpipe.lookout.tags import DECISION
from lfvpipe.report.control_charts import FalseAlarms, NormalScores
from lfvpipe.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.console.evaluations import Evaluation
    from lfvpipe.service.versions import ModelVersions

_MOST: Final = 256  # that are kept: a few numbers each, where reading them anew takes .1 s
_KNOWN: Final[dict[tuple[bytes, str], Reference]] = {}
_GUARD: Final = threading.Lock()


@dataclass(frozen=True)
class Reference:
    """What a version in use is held against.

    Attributes:
        false_alarms: Of its test's normal images; None where it had none, or nobody knows.
        scores: Of those that it called normal; None where they are too few or all alike.
        is_unread: The store does not give the test's files now.
    """

    false_alarms: FalseAlarms | None = None
    scores: NormalScores | None = None
    is_unread: bool = False

    @classmethod
    def of(cls, found: Evaluation | None) -> Reference:
        """Return what an evaluation tells."""
        normal = [each for each in (found.verdicts if found else ()) if each.label == "normal"]
        called = [each.is_anomalous for each in normal]
        return cls(
            FalseAlarms(len(called), sum(called)) if called else None,
            NormalScores.of([each.score for each in normal if not each.is_anomalous]),
        )


def find_reference(
    versions: ModelVersions, project: str, version: str, tags: Mapping[str, str]
) -> Reference:
    """Return what a version is held against, by today's decision.

    Args:
        versions: Those of the region.
        project: Whose version it is.
        version: Its number.
        tags: Its tags; one of them may hold the decision.

    Raises:
        Fault: ResourceNotFoundException.
    """
    try:
        text = versions.evaluation(project, version)
    except StorageError:  # of one version: the others can be told of
        return Reference(is_unread=True)
    if text is None:
        return Reference()
    key = (hashlib.sha256(text.encode()).digest(), tags.get(DECISION, ""))
    with _GUARD:
        known = _KNOWN.get(key)
    if known is None:
        known = Reference.of(find_evaluation(versions, project, version, tags))
        with _GUARD:
            if len(_KNOWN) >= _MOST:
                _KNOWN.clear()
            _KNOWN[key] = known
    return known
