"""What an index wants to have uploaded, and one pass over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import read_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from lfvpipe.engine.outcome import Facts
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.context import Context


@dataclass(frozen=True)
class Item:
    """An object to be: its key with the prefix, its file, and its size in bytes."""

    key: str
    path: Path
    size: int


@dataclass
class Wanted:
    """The objects that an index asks for, streamed; the counts are right after one pass."""

    context: Context
    facts: Facts
    objects: int = 0
    bytes: int = 0
    example: str = ""

    def __iter__(self) -> Iterator[Item]:
        self.objects = self.bytes = 0
        prefix, root = str(self.facts["prefix"]), self.context.state_dir
        for image in read_index(root / str(self.facts["index"])):
            if image.split not in ("train", "test"):
                continue
            parts = (image, image.mask) if image.mask else (image,)
            for part in parts:
                item = Item(prefix + part.key, root / part.path, part.size)
                self.objects += 1
                self.bytes += item.size
                self.example = self.example or item.key
                yield item


@dataclass
class Transfer:
    """One pass over what is wanted, comparing it with one listing of what is there."""

    work: Work
    total: int
    there: dict[str, int]
    present: int = 0
    uploaded: int = 0
    uploaded_bytes: int = 0

    def lacking(self, wanted: Wanted, journal: IO[str]) -> Iterator[tuple[str, Path]]:
        """Yield what is not in the bucket, each key once, and first note that it will be ours."""
        for item in wanted:
            if self.there.get(item.key) == item.size:
                self.present += 1
                self._tell()
                continue
            self.there[item.key] = item.size
            journal.write(item.key + "\n")
            journal.flush()
            yield item.key, item.path

    def done(self, key: str, size: int) -> None:
        """Count an object that is in the bucket now."""
        self.uploaded += 1
        self.uploaded_bytes += size
        self._tell(key)

    def _tell(self, key: str = "") -> None:
        self.work.progress(self.present + self.uploaded, self.total, "images", key)
