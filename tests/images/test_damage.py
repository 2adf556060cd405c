"""Damage of every kind is one image's, and told by name: never a traceback, never a warning.

Some hundred mutations of valid files of each kind by default; more with
``LFVPIPE_MUTATIONS=20000 python -m pytest tests/images/test_damage.py``.
What is left is brought through regions, ignored areas and sizes as well.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lfvpipe.images import (
    Geometry,
    ImageError,
    PixelRules,
    examine,
    inspect,
    prepare_mask,
    upright_size,
)
from lfvpipe.images.decoding import encode_png
from tests.images.photographs import FORMATS, KINDS, photograph
from tests.mutations import MUTATIONS, mutate

if TYPE_CHECKING:
    import pytest

WHOLE = [
    photograph(kind, file_format, orientation=6, profile=True).data
    for kind in KINDS
    for file_format in FORMATS.get(kind, ("PNG",))
]
# Ignored areas, a part, and a size: of the photographs' own size, of another, and none of these.
MASK = encode_png(Image.fromarray(np.eye(5, 7, dtype=np.uint8) * 255))
GEOMETRIES = (
    None,
    Geometry(region=(1, 1, 4, 3), ignore=(((0, 0), (3, 0), (0, 3)),)),
    Geometry(mask=MASK, size=(64, 96), fit="contain"),
    Geometry(region=(0, 0, 90, 90), size=(64, 64), fit="cover"),
    Geometry(size=(64, 64), fit="stretch", ignore=(((-9, -9), (99, 1), (2, 1e9)),), seen=(5, 7)),
)


def test_damaged_files_are_refused_or_read_and_nothing_else(
    capfd: pytest.CaptureFixture[str],
) -> None:
    refused = 0
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for number, data in enumerate(mutate(WHOLE, MUTATIONS)):
            refused += refusal(data) is not None
            with suppress(ImageError):
                inspect(examine(data, geometry=GEOMETRIES[number % len(GEOMETRIES)]).data)
            with suppress(ImageError):
                prepare_mask(data, geometry=GEOMETRIES[number % len(GEOMETRIES)])
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
