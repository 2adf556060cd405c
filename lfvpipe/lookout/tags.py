"""The tags that a pipeline gives a model, and that our service looks at when it trains."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FINGERPRINT: Final = "lfvpipe:fingerprint"
"""What the model was made of: the step's fingerprint, by which a version is found again."""

LINEAGE: Final = "lfvpipe:lineage"
"""Which pipeline made the model, whatever it is called: the lineage of its ledger."""

PIPELINE: Final = "lfvpipe:pipeline"
"""The name of the pipeline, for people."""

DECISION: Final = "lfvpipe:decision"
"""What the model's verdicts are decided by, as `lfvpipe.decision.Decision` writes it."""

EXPECTED: Final = "lfvpipe:expected"
"""The share of images, from one in a million on and below 1, that are expected to be called
anomalous in use."""

LEAST_EXPECTED: Final = 1e-6
"""Of images; nobody could tell a smaller share from none."""

RESERVED: Final = "aws:"
"""What no tag's key begins with, in any case of letters: AWS keeps it for its own."""

PIXELS: Final = "lfvpipe:pixels"
"""How photographs become pixels, as `lfvpipe.images.PixelRules.as_text` writes it."""

GEOMETRY: Final = "lfvpipe:geometry"
"""Which part of photographs counts, as `lfvpipe.images.Geometry.as_text` writes it: too long for
one tag, it goes on in those of the same name with ``:2``, ``:3`` and so on."""

LONGEST_VALUE: Final = 256

EFFORT: Final = "lfvpipe:effort"
"""How much time training may take: ``fast``, ``default`` or ``thorough``."""


LEARN: Final = "lfvpipe:learn"
"""``anew``: learn from the training images even where another version has learnt from the same."""

ANEW: Final = "anew"


def read_share(text: str) -> float | None:
    """Return the share that a value of `EXPECTED` says; None where it says none."""
    try:
        share = float(text)
    except ValueError:
        return None
    return share if LEAST_EXPECTED <= share < 1 else None


def split_value(key: str, value: str) -> dict[str, str]:
    """Return a value in as many tags as it takes; none for an empty one."""
    parts = [value[at : at + LONGEST_VALUE] for at in range(0, len(value), LONGEST_VALUE)]
    return {f"{key}:{n}" if n > 1 else key: part for n, part in enumerate(parts, start=1)}


def join_value(key: str, tags: Mapping[str, str]) -> str:
    """Return the value that `split_value` split; "" where it is not among the tags."""
    numbers = itertools.count(2)
    keys = itertools.chain([key], (f"{key}:{number}" for number in numbers))
    return "".join(tags[each] for each in itertools.takewhile(tags.__contains__, keys))
