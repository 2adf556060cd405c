"""What an index wants to have uploaded, one pass over it, and the way back.

A journal beside the index has the keys that this pipeline uploaded, each written down before its
upload begins. What was in the bucket already is in no journal and stays when all is destroyed; what
a killed run was uploading is in it, whether or not the object came to be.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import read_index, read_objects
from lfvpipe.steps import ownership
from lfvpipe.steps.intact import Watermark, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from lfvpipe.engine.step import Leftover, Work
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.upload.outcome import Destination
    from lfvpipe.storage import Stored


@dataclass(frozen=True)
class Item:
    """An object to be: its key with the prefix, its file, and the file's size and SHA-256."""

    key: str
    path: Path
    size: int
    sha256: str


@dataclass
class Wanted:
    """The objects that an index asks for, streamed; the counts are right after one pass."""

    context: Context
    to: Destination
    objects: int = 0
    bytes: int = 0
    example: str = ""

    def __iter__(self) -> Iterator[Item]:
        self.objects = self.bytes = 0
        root = self.context.state_dir
        for image in read_index(root / self.to.index):
            if image.split not in ("train", "test"):
                continue
            parts = (image, image.mask) if image.mask else (image,)
            for part in parts:
                item = Item(self.to.prefix + part.key, root / part.path, part.size, part.sha256)
                self.objects += 1
                self.bytes += item.size
                self.example = self.example or item.key
                yield item


@dataclass
class Transfer:
    """One pass over what is wanted, comparing it with what is there.

    Attributes:
        is_there: Tells whether an object is in the bucket, and is what it has to be.
    """

    work: Work
    total: int
    is_there: Callable[[Item], bool]
    begun: set[str] = field(default_factory=set)
    present: int = 0
    uploaded: int = 0
    uploaded_bytes: int = 0

    def lacking(self, wanted: Wanted, journal: IO[str]) -> Iterator[tuple[str, Path]]:
        """Yield what is not in the bucket, each key once, and first note that it will be ours."""
        for item in wanted:
            if item.key in self.begun or self.is_there(item):
                self.present += 1
                self._tell()
                continue
            self.begun.add(item.key)
            journal.write(item.key + "\n")
            journal.flush()
            yield item.key, item.path

    def count(self, stored: Stored) -> None:
        """Count an object that is in the bucket now."""
        self.uploaded += 1
        self.uploaded_bytes += stored.size
        self._tell(stored.key)

    def _tell(self, key: str = "") -> None:
        self.work.progress(self.present + self.uploaded, self.total, "images", key)


@dataclass
class Remote:
    """The objects of a pipeline in a store, told by size and entity tag from one listing.

    An object that somebody else overwrote with as many bytes has another tag. Which one it had when
    it was right stands in a file beside the journal.

    Args:
        context: Where the store and the file are.
        to: Where the objects are.
    """

    context: Context
    to: Destination

    def __post_init__(self) -> None:
        self._bucket = self.to.place.bucket(self.context)
        self._file = tags_of(self.context, self.to)
        self._tags = dict(_pairs(self._file))
        self._there = {found.key: found for found in self._bucket.list(self.to.prefix)}

    def has(self, item: Item) -> bool:
        """Tell whether the object is there and right; a tag that nobody noted is held against it.

        Where the tag is no digest, the object is read, once.
        """
        found = self._there.get(item.key)
        if found is None or found.size != item.size:
            return False
        if (known := self._tags.get(item.key)) is not None:
            return known == found.etag
        from lfvpipe.storage import fits_tag

        return bool(fits_tag(found.etag, item.path)) or (
            hashlib.sha256(self._bucket.get(item.key)).hexdigest() == item.sha256
        )

    def note(self, wanted: Wanted, *, anew: bool) -> None:
        """Note the tags of what is wanted, all of which is right; `anew`: from a new listing."""
        from lfvpipe.atomic import write_text

        if anew:
            self._there = {found.key: found for found in self._bucket.list(self.to.prefix)}
        now = {item.key: self._there[item.key] for item in wanted if item.key in self._there}
        # Another index under the same prefix keeps its own.
        tags = self._tags | {key: found.etag for key, found in now.items()}
        kept = {key: tag for key, tag in tags.items() if key in self._there}
        if kept != self._tags:
            write_text(self._file, "".join(f"{tag} {key}\n" for key, tag in sorted(kept.items())))
            self._tags = kept


def mend(context: Context, work: Work) -> None:
    """Put again what is in a store of objects no longer as it was uploaded, and say so.

    For before a training: the upload step stands unchanged, and asks no store.
    """
    from lfvpipe.steps.upload.outcome import UploadOutcome

    if UploadOutcome.step not in work.upstream:
        return  # nothing that this pipeline uploaded is trained on
    to = UploadOutcome.of(work.upstream)
    if to.endpoint == "local":
        return  # `UploadStep.missing` looked at it, by digests
    wanted, remote = Wanted(context, to), Remote(context, to)
    wrong = {item.key: item.path for item in wanted if not remote.has(item)}
    context.bucket.put_many(wrong.items(), on_done=lambda _: None)
    remote.note(wanted, anew=bool(wrong))
    if wrong:
        example = next(iter(wrong))
        work.warn(
            f"Of the images in the bucket {len(wrong)} were gone or no longer what was uploaded,"
            f" such as {example}; they were uploaded again."
        )


def local_objects(context: Context, to: Destination) -> Callable[[Item], bool]:
    """Return what tells whether an object is in a local bucket, and is what it has to be."""
    there = {found.key: found.size for found in to.place.bucket(context).list(to.prefix)}
    for key in damaged_keys(context, to):
        there.pop(key, None)
    return lambda item: there.get(item.key) == item.size


def damaged_keys(context: Context, to: Destination) -> list[str]:
    """Return the keys in a local bucket under which there is nothing, or not what has to be.

    Only what changed since all was found right is read.
    """
    folder = context.buckets_dir / to.name
    place = hashlib.sha256(f"{to.name}/{to.prefix}".encode()).hexdigest()[:8]
    mark = Watermark(context, f"bucket-{to.digest[:16]}-{place}", folder)
    index = context.state_dir / to.index
    return mark.damaged(
        lambda: [each._replace(path=to.prefix + each.path) for each in read_objects(index)]
    )


def journal_of(context: Context, to: Destination) -> Path:
    """Return the file with the keys that this pipeline uploaded, or was about to, to the bucket."""
    place = json.dumps([to.endpoint, to.name]).encode()
    folder = context.state_dir / "upload"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(place).hexdigest()[:16]}.keys"


def tags_of(context: Context, to: Destination) -> Path:
    """Return the file with the entity tags of what was uploaded to the bucket."""
    return journal_of(context, to).with_suffix(".tags")


def _pairs(file: Path) -> Iterator[tuple[str, str]]:
    """Yield key and tag of each line; a file that is not there, or damaged, knows fewer."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8", newline="\n", errors="replace") as lines:
        for line in lines:
            tag, _, key = line.removesuffix("\n").partition(" ")
            if tag and key:
                yield key, tag


def remove(context: Context, to: Destination) -> Sequence[str | Leftover]:
    """Delete the index's objects that are in the journal; without a whole index, all in there.

    What other pipelines use that keep images under the same prefix stays.
    """
    from lfvpipe.atomic import write_text

    bucket, journal = to.place.bucket(context), journal_of(context, to)
    keys = ours = _keys(journal)
    index = context.state_dir / to.index
    if index.is_file() and digest_of(index) == to.digest:
        # Another index may have uploaded the others, and its own outcome sees to them.
        keys = ours & {item.key for item in Wanted(context, to)}
    if not bucket.exists():
        return ()
    if to.lineage is not None:
        keys = keys | ownership.inherited(bucket, to.prefix, to.lineage)
    free, left = ownership.free_of_others(bucket, to.prefix, to.lineage, keys)
    bucket.delete(sorted(free))
    if to.lineage is not None:
        ownership.retract(bucket, to.prefix, to.lineage)
        ownership.forget_inherited(bucket, to.prefix, to.lineage)
    write_text(journal, "".join(f"{key}\n" for key in sorted(ours - keys)))
    tags_of(context, to).unlink(missing_ok=True)  # others' are found out anew
    gone = (f"{len(free)} objects in bucket {bucket.name}",) if free else ()
    return (*gone, *left)


def _keys(journal: Path) -> set[str]:
    """Return the keys of a journal; a last line that a crash tore is no key."""
    if not journal.exists():
        return set()
    with journal.open(encoding="utf-8", newline="\n") as lines:
        return {line[:-1] for line in lines if line.endswith("\n")} - {""}
