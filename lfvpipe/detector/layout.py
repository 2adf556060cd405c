"""What the parts of a model hold: a model file may come from a stranger, and is held to it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Literal

import numpy as np

Sizes = tuple[int | str, ...]
Layout = Mapping[str, Sizes | Literal["number", "positive"]]
"""By field: an array's sizes, of which those with one name within a part are equal, or a number."""


def check_part(part: str, layout: Layout, values: Mapping[str, Any]) -> None:
    """Raise a ValueError where a part's `values` are not as its `layout` says."""
    if layout.keys() != values.keys():
        raise ValueError(f"{part} has {', '.join(sorted(values)) or 'nothing'}")
    named: dict[str, int] = {}
    for field, wanted in layout.items():
        value, where = values[field], f"{part}.{field}"
        if isinstance(wanted, str):
            _check_number(where, wanted, value)
        elif not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise ValueError(f"{where} is no array of numbers")
        else:
            _check_sizes(where, wanted, value.shape, named)


def _check_number(where: str, wanted: str, value: Any) -> None:
    if type(value) is not float or not isfinite(value) or (wanted == "positive" and value <= 0):
        raise ValueError(f"{where} is no {wanted if wanted == 'number' else 'positive number'}")


def _check_sizes(where: str, wanted: Sizes, found: tuple[int, ...], named: dict[str, int]) -> None:
    fits = len(wanted) == len(found) and all(
        named.setdefault(size, is_) == is_ if isinstance(size, str) else size == is_
        for size, is_ in zip(wanted, found, strict=True)
    )
    if not fits:
        raise ValueError(f"{where} has the shape {found}")
