"""Tells which files a project's images are already, also where they were not brought by a person.

The console's own files are called by their digests. Of all others only those are read which are
as long as a file that is looked for: of a bucket of photographs that is hardly ever one.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from lfvpipe.storage import NoSuchBucket, NoSuchObject, TooLarge, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.storage import Buckets

_OURS: Final = re.compile(r"console/datasets/[^/]+/([0-9a-f]{64})/[^/]+")
_MOST: Final = 400_000  # addresses whose sizes stay in memory
_GONE: Final = -1


class Copies:
    """Compares files with images that lie in buckets; safe to call from many threads.

    How long an object is, and its digest, are kept until the server ends.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._guard = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._digests: dict[str, str] = {}

    def find(self, sources: Iterable[str], wanted: Mapping[str, int]) -> dict[str, str]:
        """Return which images are which files: addresses by the files' digests.

        Args:
            sources: The images' addresses.
            wanted: How many bytes each file has, by its digest.

        Raises:
            StorageError: The store does not answer.
        """
        found: dict[str, str] = {}
        others: list[str] = []
        for source in sources:
            digest = own_digest(source)
            if digest is None:
                others.append(source)
            elif digest in wanted:
                found[digest] = source
        if len(found) < len(wanted) and others:
            lengths = set(wanted.values())
            sizes = self._lengths(others)
            for source in others:
                if sizes[source] in lengths and (same := self._digest(source)) in wanted:
                    found.setdefault(same, source)
        return found

    def find_same(
        self, sources: Sequence[str], fresh: Sequence[str], *, most: int
    ) -> tuple[dict[str, str], int]:
        """Return which new images are the same as others, byte for byte, and how many may be.

        Only those are read that are as long as another one.

        Args:
            sources: The addresses of images that a project has.
            fresh: Those of new ones, each of which may also be the same as one before it.
            most: How many bytes may be read.

        Returns:
            The addresses of the same images, the first ones that are, by those of the new; and
            how many new ones may be the same as others, and were not compared.

        Raises:
            StorageError: The store does not answer.
        """
        sizes = self._lengths([*sources, *fresh])
        alike: dict[int, list[str]] = {}
        for source in (*sources, *fresh):
            alike.setdefault(sizes[source], []).append(source)
        new, left = set(fresh), most
        same: dict[str, str] = {}
        unread = 0
        for size, group in alike.items():
            if size == _GONE or len(group) == 1 or new.isdisjoint(group):
                continue
            read = sum(size for each in group if not self._is_known(each))
            if read > left:
                unread += sum(each in new for each in group)
                continue
            left -= read
            first: dict[str, str] = {}
            for source in group:
                digest = own_digest(source) or self._digest(source)
                if digest and first.setdefault(digest, source) != source and source in new:
                    same[source] = first[digest]
        return same, unread

    def _is_known(self, source: str) -> bool:
        with self._guard:
            return own_digest(source) is not None or source in self._digests

    def _lengths(self, sources: Iterable[str]) -> dict[str, int]:
        """Return how many bytes objects have; one list of a bucket tells of all that are new."""
        with self._guard:
            known = {source: self._sizes.get(source) for source in sources}
        fresh = {source: parse_s3_uri(source) for source, size in known.items() if size is None}
        sizes = {source: size for source, size in known.items() if size is not None}
        wanted: dict[str, set[str]] = {}
        for bucket, key in fresh.values():
            wanted.setdefault(bucket, set()).add(key)
        listed: dict[tuple[str, str], int] = {}
        for bucket, keys in wanted.items():
            prefix = os.path.commonprefix(list(keys))  # noqa: RUF071  (of keys, not of paths)
            with suppress(NoSuchBucket):
                there = self._buckets.bucket(bucket).list(prefix)
                listed |= {(bucket, each.key): each.size for each in there if each.key in keys}
        sizes |= {source: listed.get(place, _GONE) for source, place in fresh.items()}
        with self._guard:
            if len(self._sizes) > _MOST:
                self._sizes.clear()
                self._digests.clear()
            self._sizes |= sizes
        return sizes

    def _digest(self, source: str) -> str:
        """Return the digest of an object; "" where it cannot be read and so is no file of ours."""
        with self._guard:
            known = self._digests.get(source)
        if known is None:
            bucket, key = parse_s3_uri(source)
            try:
                known = hashlib.sha256(self._buckets.bucket(bucket).get(key)).hexdigest()
            except (NoSuchObject, TooLarge):
                known = ""
            with self._guard:
                self._digests[source] = known
        return known


def own_digest(source: str) -> str | None:
    """Return the digest that an address of the console's own names; None of any other."""
    match = _OURS.fullmatch(source.split("/", 3)[-1])
    return match[1] if match else None
