"""Whether an image that a service judged is like the training images: lfvpipe's own header.

No member of DetectAnomalies' answer stands for it, so that it is beside the answer, where other
clients do not look; AWS never sent it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = "x-lfvpipe-unlike"
UNLIKE: Final = "not like the training images"


def header_of(unlikeness: float) -> str:
    """Return what the header says of an image that is unlike: how far it lies, in thresholds."""
    return f"{unlikeness:.2f}"


def unlikeness(response: Mapping[str, Any]) -> float | None:
    """Return how far an image lies from the training images, 1 or more, in thresholds.

    None where it is like them, or where the service does not tell.

    Args:
        response: Of DetectAnomalies, as botocore returns it.
    """
    told = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(HEADER)
    return None if told is None else float(told)
