"""Takes images and labels from manifests that were exported from Lookout for Vision."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

from lfvpipe.dataset.index import SelectedMask
from lfvpipe.dataset.sources import shown
from lfvpipe.manifest import LineError, exported_entry
from lfvpipe.steps.fetch import source_location
from lfvpipe.steps.select.catalogue import Candidate, SelectionError, list_members
from lfvpipe.steps.select.withheld import FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.archives import Member
    from lfvpipe.config.spec import Label, ManifestSource
    from lfvpipe.dataset.index import Split
    from lfvpipe.engine.step import Work
    from lfvpipe.manifest import Entry
    from lfvpipe.steps.context import Context

OBJECTS = "s3"
IMAGES = "manifest-images"
_MAX_LINE = 1 << 20  # far above the documented 8,192 characters: refuse bombs, not habits


@dataclass(frozen=True)
class _Place:
    """Where a reference leads."""

    source: str
    member: str
    stamp: str
    size: int


def exported_candidates(context: Context, work: Work) -> dict[Split, list[Candidate]]:
    """Return the labelled images of the train and test manifest.

    Raises:
        SelectionError: A line cannot be understood, or a reference leads nowhere.
    """
    spec = cast("ManifestSource", context.pipeline.sources.manifest)
    manifests: dict[Split, str] = {"train": spec.train}
    if spec.test is not None:
        manifests["test"] = spec.test
    images = source_location(context, work.upstream, IMAGES) if spec.images else None
    members = _Suffixes(list_members(images), shown(str(spec.images))) if images else None
    found: dict[Split, list[Candidate]] = {}
    for split, address in manifests.items():
        file = source_location(context, work.upstream, f"manifest-{split}")
        places = _Places(address, context.pipeline.folder, members)
        found[split] = _labelled(shown(address), file, places, work)
    return found


def read_manifest(file: Path, name: str) -> Iterator[Entry]:
    """Yield the entries of the manifest `file`, which messages call `name`.

    Raises:
        SelectionError: A line is no JSON object with a ``source-ref``.
    """
    with file.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE), b""), start=1):
            text = line.strip().removeprefix(b"\xef\xbb\xbf")
            if text:
                yield _entry(text, f"{name}:{number}")


def _entry(text: bytes, where: str) -> Entry:
    try:
        entry = exported_entry(text)
    except LineError as error:
        raise SelectionError(
            f"{where}: is no line of a manifest: it must be a JSON object with a source-ref.",
            hint="The file must be JSON Lines: one object a line, UTF-8.",
        ) from error
    if not entry.source:
        raise SelectionError(f"{where}: source-ref must be a text.", hint="Export it again.")
    return entry


def _labelled(name: str, file: Path, places: _Places, work: Work) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    unlabelled = repeated = 0
    for entry in read_manifest(file, name):
        if entry.label is None:
            unlabelled += 1
            continue
        repeated += entry.source in found
        found[entry.source] = _candidate(entry, entry.label, places)
        work.progress(len(found), None, "lines", name)
    if unlabelled:
        work.warn(f"{name}: {unlabelled} lines have no label and were left out.")
    if repeated:
        work.warn(f"{name}: {repeated} images are there twice; the last line counts.")
    return list(found.values())


def _candidate(entry: Entry, label: Label, places: _Places) -> Candidate:
    place = places.of(entry.source)
    mask = None
    if entry.mask and label == "anomaly":
        at = places.of(entry.mask)
        mask = SelectedMask(at.source, at.member, at.stamp, at.size, entry.mask_classes)
    name = _path(entry.source)
    return Candidate(label, name, place.source, place.member, place.stamp, place.size, mask)


def _path(reference: str) -> str:
    """Return a reference without scheme and bucket."""
    if reference.startswith("s3://"):
        return reference[5:].partition("/")[2]
    return reference.lstrip("/")


class _Suffixes:
    """Finds members by the longest part of a path that they end with."""

    def __init__(self, members: list[Member], archive: str) -> None:
        self._archive = archive
        self._by_base: dict[str, list[Member]] = defaultdict(list)
        for member in members:
            self._by_base[PurePosixPath(member.name).name].append(member)

    def find(self, reference: str) -> _Place:
        parts = PurePosixPath(_path(reference)).parts
        scored = [
            (_shared(parts, PurePosixPath(member.name).parts), member)
            for member in self._by_base.get(parts[-1] if parts else "", [])
        ]
        best = max((score for score, _ in scored), default=0)
        found = [member for score, member in scored if score == best]
        if len(found) == 1:
            return _Place(IMAGES, found[0].name, found[0].stamp, found[0].size)
        names = ", ".join(member.name for member in found[:3])
        raise SelectionError(
            f"sources.manifest.images: {reference} "
            + (f"could be any of {names}." if found else f"is not in {self._archive}."),
            hint="Lay the images out as the manifest's references name them.",
        )


def _shared(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    count = 0
    while count < min(len(first), len(second)) and first[-1 - count] == second[-1 - count]:
        count += 1
    return count


class _Places:
    """Resolves the references of the manifest at `address`."""

    def __init__(self, address: str, folder: Path, members: _Suffixes | None) -> None:
        self._address = address
        self._folder = folder
        self._members = members

    def of(self, reference: str) -> _Place:
        if self._members is not None:
            return self._members.find(reference)
        if reference.startswith("s3://"):
            return _Place(OBJECTS, reference, "", 0)
        if "://" in reference or reference.startswith("/") or ".." in reference.split("/"):
            raise self._astray(reference)
        if self._address.startswith("s3://"):
            return _Place(OBJECTS, f"{self._address.rpartition('/')[0]}/{reference}", "", 0)
        return self._file(reference)

    def _file(self, reference: str) -> _Place:
        path = Path(self._address).parent / reference
        if "://" in self._address or not path.is_file():
            raise self._astray(reference)
        status = path.stat()
        try:
            member = Path(os.path.relpath(path, self._folder)).as_posix()
        except ValueError:  # another drive
            member = path.as_posix()
        return _Place(FILES, member, f"m{status.st_mtime_ns:x}", status.st_size)

    def _astray(self, reference: str) -> SelectionError:
        return SelectionError(
            f"{shown(self._address)}: the reference {reference} leads nowhere.",
            hint="Name the folder or archive that holds the images as `sources.manifest.images`.",
        )
