"""Damage of every kind is one image's, and told by name: never a traceback, never a warning.

Some hundred mutations of valid files of each kind by default; more with
``LFVPIPE_MUTATIONS=20000 python -m pytest tests/images/test_damage.py``.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.images import ImageError, PixelRules, examine, inspect, prepare_mask, upright_size
from tests.images.photographs import FORMATS, KINDS, photograph

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

WHOLE = [
    photograph(kind, file_format, orientation=6, profile=True).data
    for kind in KINDS
    for file_format in FORMATS.get(kind, ("PNG",))
]
MUTATIONS = int(os.environ.get("LFVPIPE_MUTATIONS", "500"))


def mutations(count: int) -> Iterator[bytes]:
    """Yield files with bytes changed, cut out, doubled, lost at the end; early ones more often."""
    random = np.random.default_rng(20)
    for number in range(count):
        data = bytearray(WHOLE[number % len(WHOLE)])
        for _ in range(int(random.integers(1, 5))):
            at = int(len(data) * random.random() ** 2)
            match int(random.integers(0, 5)):
                case 0:
                    data[at : at + 1] = random.bytes(1)
                case 1:
                    del data[at : at + int(random.integers(1, 9))]
                case 2:
                    data[at:at] = data[at : at + int(random.integers(1, 40))]
                case 3:
                    data[at : at + 4] = random.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
                case 4:
                    del data[max(at, 4) :]
            data = data or bytearray(b"\0")
        yield bytes(data)


def test_damaged_files_are_refused_or_read_and_nothing_else(
    capfd: pytest.CaptureFixture[str],
) -> None:
    refused = 0
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for data in mutations(MUTATIONS):
            refused += refusal(data) is not None
            for other in (upright_size, prepare_mask):
                with suppress(ImageError):
                    other(data)
    assert [str(each.message) for each in warned] == []
    out, err = capfd.readouterr()
    # libtiff itself writes a line on few damaged files, past Python; nothing else does.
    assert (out, [line for line in err.splitlines() if "tif" not in line.lower()]) == ("", [])
    assert MUTATIONS / 50 < refused < MUTATIONS


def refusal(data: bytes) -> str | None:
    """Return what is said of a file that cannot be used, in a whole sentence with advice."""
    try:
        done = examine(data, rules=PixelRules(4095.0), max_bytes=10_000)
    except ImageError as error:
        return f"{error.fault}. {error.hint}"
    inspect(done.data)
    return None
