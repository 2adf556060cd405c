"""Takes images and labels from manifests that were exported from Lookout for Vision."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from lfvpipe.dataset.candidates import Candidate, SelectionError, list_members
from lfvpipe.dataset.references import ArchiveReferences, OwnReferences, path_of
from lfvpipe.dataset.selection import SelectedMask
from lfvpipe.dataset.sources import public_address
from lfvpipe.manifest import LineError, exported_entry
from lfvpipe.steps.fetch import source_location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfvpipe.config.spec import Label, ManifestSource
    from lfvpipe.dataset.selection import Split
    from lfvpipe.engine.step import Work
    from lfvpipe.manifest import Entry
    from lfvpipe.steps.context import Context

_IMAGES = "manifest-images"
_MAX_LINE = 1 << 20  # far above the documented 8,192 characters: refuse bombs, not habits


def exported_candidates(context: Context, work: Work) -> dict[Split, list[Candidate]]:
    """Return the labelled images of the train and test manifest.

    Raises:
        SelectionError: A line cannot be understood, or a reference leads nowhere.
    """
    spec = cast("ManifestSource", context.pipeline.sources.manifest)
    manifests: dict[Split, str] = {"train": spec.train}
    if spec.test is not None:
        manifests["test"] = spec.test
    archive: ArchiveReferences | None = None
    if spec.images:
        members = list_members(source_location(context, work.upstream, _IMAGES))
        archive = ArchiveReferences(_IMAGES, public_address(spec.images), members)
    found: dict[Split, list[Candidate]] = {}
    for split, address in manifests.items():
        file = source_location(context, work.upstream, f"manifest-{split}")
        references = archive or OwnReferences(address, context.pipeline.folder)
        found[split] = _candidates(public_address(address), file, references, work)
    return found


def _read_entries(file: Path, name: str) -> Iterator[Entry]:
    """Yield the entries of the manifest `file`, which messages call `name`.

    Raises:
        SelectionError: A line is no JSON object with a ``source-ref``.
    """
    with file.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE), b""), start=1):
            text = line.strip().removeprefix(b"\xef\xbb\xbf")
            if text:
                yield _read_entry(text, f"{name}:{number}")


def _read_entry(text: bytes, where: str) -> Entry:
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


def _candidates(
    name: str, file: Path, references: ArchiveReferences | OwnReferences, work: Work
) -> list[Candidate]:
    """Return the labelled images of one manifest, each once; the last line counts."""
    found: dict[str, Candidate] = {}
    unlabelled = repeated = 0
    for entry in _read_entries(file, name):
        if entry.label is None:
            unlabelled += 1
            continue
        repeated += entry.source in found
        found[entry.source] = _candidate(entry, entry.label, references)
        work.progress(len(found), None, "lines", name)
    if unlabelled:
        work.warn(f"{name}: {unlabelled} lines have no label and were left out.")
    if repeated:
        work.warn(f"{name}: {repeated} images are there twice; the last line counts.")
    return list(found.values())


def _candidate(
    entry: Entry, label: Label, references: ArchiveReferences | OwnReferences
) -> Candidate:
    at = references.resolve(entry.source)
    mask = None
    if entry.mask and label == "anomaly":
        there = references.resolve(entry.mask)
        mask = SelectedMask(there.source, there.member, there.stamp, there.size, entry.mask_classes)
    name = path_of(entry.source)
    return Candidate(label, name, at.source, at.member, at.stamp, at.size, mask)
