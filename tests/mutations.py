"""Damage of all kinds done to valid files: what is left is read or refused, and nothing else.

Some hundred mutations by default, as in CI; ``LFVPIPE_MUTATIONS=20000`` for more, by hand.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
