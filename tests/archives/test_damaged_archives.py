"""Archives with damage of all kinds: read, or told by their name, within their bounds.

More with ``LFVPIPE_MUTATIONS=20000``.
"""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lfvpipe.archives import ArchiveError, Limits, open_archive
from tests.archives.test_archives import FILES, PACKED
from tests.mutations import MUTATIONS, corpus, mutate

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {**FILES, "ä/ß.png": b"x" * 300, "日本.png": b"y"}
LIMITS = Limits(members=100, total=1 << 22)


def nested() -> bytes:
    """Return a zip in a zip."""
    inner, outer = io.BytesIO(), io.BytesIO()
    for buffer, files in ((inner, NAMES), (outer, {"a.png": b"x", "inner.zip": b""})):
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, inner.getvalue() if name == "inner.zip" else data)
    return outer.getvalue()


def read_all(path: Path) -> None:
    with open_archive(path, limits=LIMITS) as archive:
        for member in archive.members():
            with suppress(ArchiveError):
                assert len(archive.read(member.name, 1 << 20)) <= 1 << 20
        for found in archive.extract({member.name for member in archive.members()}, 1 << 20):
            assert found


@pytest.mark.parametrize("kind", [*PACKED, "nested"])
def test_damaged_archives_are_read_or_told(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if kind == "nested":
        path.write_bytes(nested())
    else:
        PACKED[kind](path, NAMES)
    whole = path.read_bytes()
    read_all(path)
    refused: list[ArchiveError] = []
    for data in (*corpus("archives"), *mutate([whole], MUTATIONS // 5)):
        path.write_bytes(data)
        try:
            read_all(path)
        except ArchiveError as error:
            refused.append(error)
    assert refused
    assert [each.message for each in refused if str(path) not in each.message] == []
    assert [each.message for each in refused if not each.hint] == []
