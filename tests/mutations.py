"""Damage of all kinds done to valid files: what is left is read or refused, and nothing else.

Some hundred mutations by default, as in CI; ``LFVPIPE_MUTATIONS=20000`` for more, by hand.
"""

from __future__ import annotations

import copy
import os
import re
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MUTATIONS = int(os.environ.get("LFVPIPE_MUTATIONS", "500"))
# Bytes that mean something in texts: separators, quotes, numbers beyond reason.
_TEXTS = (b'"', b"\n", b",", b";", b"\0", b"\xff", b"/", b"\\", b"..", b"-1", b"1e999", b"NaN",
          b"null", b"[]", b"{}", b"<", b">", b"&", b"9" * 30, "é".encode(), b"\xe9")  # fmt: skip


def mutate(whole: Sequence[bytes], count: int, *, texts: bool = False) -> Iterator[bytes]:
    """Yield files with bytes changed, cut out, doubled, lost at the end; early ones more often.

    Args:
        whole: The valid files, which are taken by turns.
        count: How many to yield.
        texts: They are texts: what means something there is put in, anywhere alike.
    """
    random = np.random.default_rng(20)
    for number in range(count):
        data = bytearray(whole[number % len(whole)])
        for _ in range(int(random.integers(1, 5))):
            at = int(len(data) * random.random() ** (1 if texts else 2))
            match int(random.integers(0, 6 if texts else 5)):
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
                case 5:
                    data[at : at + int(random.integers(0, 3))] = _TEXTS[
                        int(random.integers(0, len(_TEXTS)))
                    ]
            data = data or bytearray(b"\0")
        yield bytes(data)


# Values that a document of JSON may hold where another was meant.
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, -1e300, 1e300, 2**62, 10**30, 10**400,
    float("inf"), float("nan"),
    "", "x", "\0", "\ud800", "../..", "/", "#", "a" * 5000, "9999-99-99T99:99:99Z",
    [], [1], [None], [[]], [1e300, -1e300], {}, {"a": 1}, {"": None},
)  # fmt: skip


def mutate_json(whole: Any, count: int, *, seed: int = 21) -> Iterator[Any]:
    """Yield documents like `whole` with members replaced, taken out, added, called otherwise.

    Args:
        whole: A valid document, of what JSON has.
        count: How many to yield.
        seed: Of what is drawn.
    """
    random = Random(seed)
    places = [*_places(whole)]
    # By what they are called on their way, so that a long list's entries are not all that changes.
    kinds: dict[tuple[str, ...], list[tuple[str | int, ...]]] = {}
    for place in places:
        kinds.setdefault(tuple(_kind(each) for each in place), []).append(place)
    for _ in range(count):
        document = copy.deepcopy(whole)
        for _change in range(random.choice((1, 1, 1, 2, 4))):
            *way, last = random.choice(random.choice([*kinds.values()]))
            with suppress(LookupError, TypeError, ValueError):  # another change took it away
                holder = document
                for each in way:
                    holder = holder[each]
                _change_member(holder, last, random)
        yield document


def _change_member(holder: Any, member: str | int, random: Random) -> None:
    odd = copy.deepcopy(random.choice(_VALUES))
    match random.randrange(6):
        case 0:
            del holder[member]
        case 1 if isinstance(holder, dict):
            holder[random.choice(("", "x", "\0", "\ud800", f"{member}x"))] = odd
        case 2 if isinstance(holder, list):
            holder.extend([holder[int(member)]] * random.choice((1, 40)))
        case 3:
            holder[member] = [holder[member]]
        case _:
            holder[member] = odd


def _places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    members: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for name, member in members:
        yield (*place, name)
        yield from _places(member, (*place, name))


def _kind(name: str | int) -> str:
    """Return what a member is called; numbers and digests are all one."""
    return "" if isinstance(name, int) or re.search("[0-9a-f]{12}|^[0-9]", name) else name


def corpus(kind: str) -> Iterator[bytes]:
    """Yield what once ended in an error of ours: a file for each, in `tests/corpus/NAME`."""
    for file in sorted((Path(__file__).parent / "corpus" / kind).glob("*")):
        yield file.read_bytes()
