"""Takes images and labels from manifests that were exported from Lookout for Vision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.dataset.candidates import Candidate, SelectionError, list_members
from lfvpipe.dataset.checks.findings import Finding, error, warning
from lfvpipe.dataset.references import ArchiveReferences, OwnReferences, path_of
from lfvpipe.dataset.selection import SelectedMask
from lfvpipe.dataset.sources import public_address
from lfvpipe.manifest import (
    LabelRules,
    LabelTally,
    LineError,
    counted_names,
    exported_entry,
    fold,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfvpipe.config.spec import Label, Pipeline
    from lfvpipe.dataset.gathering import Locate
    from lfvpipe.dataset.selection import Split
    from lfvpipe.manifest import Entry

# Told how many of what were found, and where.
Progress = Callable[[int, str, str], None]

_IMAGES = "manifest-images"
_MAX_LINE = 1 << 20  # far above the documented 8,192 characters: refuse bombs, not habits


@dataclass
class Exported:
    """What the manifests hold.

    Attributes:
        candidates: The labelled images, by split.
        findings: What was left out or had to be decided, each with its count; errors among them
            where something is not there.
    """

    candidates: dict[Split, list[Candidate]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def read_exported(pipeline: Pipeline, locate: Locate, progress: Progress) -> Exported:
    """Return the labelled images of the train and test manifest.

    Raises:
        SelectionError: A line cannot be understood, or a reference could mean several images.
    """
    spec = pipeline.sources.manifest
    assert spec is not None
    manifests: dict[Split, str] = {"train": spec.train}
    if spec.test is not None:
        manifests["test"] = spec.test
    archive: ArchiveReferences | None = None
    if spec.images:
        members = list_members(locate(_IMAGES))
        archive = ArchiveReferences(_IMAGES, public_address(spec.images), members)
    words = {fold(name): label for label, names in spec.labels.items() for name in names}
    rules = LabelRules(spec.attribute, words)
    exported = Exported()
    for split, address in manifests.items():
        reading = _Reading(public_address(address), rules)
        references = archive or OwnReferences(address, pipeline.folder)
        file = locate(f"manifest-{split}")
        exported.candidates[split] = reading.candidates(file, references, progress)
        exported.findings += reading.findings()
        leave_out = pipeline.images.damaged == "leave-out"
        exported.findings += reading.absences(spec.images, leave_out=leave_out)
    return exported


@dataclass
class _Reading:
    """One manifest as it is read, and what is noticed of it; messages call it `name`."""

    name: str
    rules: LabelRules
    tally: LabelTally = field(default_factory=LabelTally)
    repeated: int = 0
    colourless: Counter[str] = field(default_factory=Counter)
    # What labelled lines name, each once, and whether it is there.
    images: dict[str, bool] = field(default_factory=dict)
    masks: dict[str, bool] = field(default_factory=dict)

    def candidates(
        self, file: Path, references: ArchiveReferences | OwnReferences, progress: Progress
    ) -> list[Candidate]:
        """Return the labelled images, each once; the last line counts."""
        found: dict[str, Candidate] = {}
        for entry in self._entries(file):
            self.tally.add(entry.given, entry.classifications)
            if entry.label is None:
                continue
            self.repeated += entry.source in self.images
            if entry.label == "anomaly":
                self.colourless.update(entry.colourless)
            candidate = self._candidate(entry, entry.label, references)
            if candidate is not None:
                found[entry.source] = candidate
            progress(len(found), "lines", self.name)
        return list(found.values())

    def _candidate(
        self, entry: Entry, label: Label, references: ArchiveReferences | OwnReferences
    ) -> Candidate | None:
        """Return the image of a line; None where it is not there."""
        at = references.resolve(entry.source)
        self.images[entry.source] = at is not None
        if at is None:
            return None
        mask = None
        if entry.mask and label == "anomaly":
            there = references.resolve(entry.mask)
            self.masks[entry.mask] = there is not None
            if there is not None:
                mask = SelectedMask(
                    there.source, there.member, there.stamp, there.size, entry.mask_classes
                )
        name = path_of(entry.source)
        return Candidate(
            label, name, at.source, at.member, at.stamp, at.size, mask, type=entry.given.type
        )

    def _entries(self, file: Path) -> Iterator[Entry]:
        """Yield the entries of the lines; raises SelectionError where one is no JSON object."""
        with file.open("rb") as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE), b""), start=1):
                text = line.strip().removeprefix(b"\xef\xbb\xbf")
                if text:
                    yield _read_entry(text, f"{self.name}:{number}", self.rules)

    def findings(self) -> Iterator[Finding]:
        """Yield what was left out, decided or guessed."""
        name, tally = self.name, self.tally
        key = "sources.manifest"
        if tally.unknown:
            text = (
                f"{name}: {_lines(tally.unknown.total())} left out, with a class name that is"
                f" neither normal nor anomaly: {counted_names(tally.unknown)}. Say what they stand"
                f" for with {key}.labels, or leave it so."
            )
            yield warning("class-names", text)
        if tally.bare:
            yield warning("no-label", self._unlabelled())
        if tally.differing:
            text = (
                f"{name}: on {_count(tally.differing)} labels differ; the newest by creation-date"
                f" counts, not that of {counted_names(tally.overruled)}. {key}.attribute chooses"
                " another."
            )
            yield warning("labels-differ", text)
        if tally.guesses:
            text = (
                f"{name}: on {_count(tally.guesses)} labels differ and no creation-date tells which"
                f" is newer, so the first counts, not that of {counted_names(tally.passed_over)}."
                f" Choose one with {key}.attribute."
            )
            yield warning("labels-undated", text)
        if self.repeated:
            text = f"{name}: {self.repeated} images are there twice; the last line counts."
            yield warning("images-twice", text)
        if self.colourless:
            text = (
                f"{name}: anomaly types without a hex-color such as #23A436 were left out of the"
                f" masks: {counted_names(self.colourless)}."
            )
            yield warning("no-colour", text)

    def absences(self, images: str | None, *, leave_out: bool) -> Iterator[Finding]:
        """Yield what the lines name and is not there: an error, unless it is to be left out.

        Args:
            images: The archive or folder in which everything was looked for; None for none.
            leave_out: Whether the run goes on without.
        """
        for what, named in (("images", self.images), ("masks", self.masks)):
            lacking = [reference for reference, is_there in named.items() if not is_there]
            if not lacking:
                continue
            is_one = len(lacking) == 1
            fault = f"{'leads' if is_one else 'lead'} nowhere"
            if images:
                fault = f"{'is' if is_one else 'are'} not in {public_address(images)}"
            text = f"{self.name}: {len(lacking):,} of {len(named):,} references to {what} {fault}"
            none_left = what == "images" and len(lacking) == len(named)
            if leave_out and not none_left:
                yield warning("not-there", f"{text}: left out", lacking)
                continue
            advice = "name the folder or archive that holds them as `sources.manifest.images`"
            if not leave_out:
                advice += ", or set images.damaged: leave-out to go on without them"
            yield error("not-there", f"{text}: {advice}", lacking)

    def _unlabelled(self) -> str:
        text = f"{self.name}: {_lines(self.tally.bare)} left out, without a label"
        others = self.tally.others
        if self.rules.attribute is not None:
            text += f" under {self.rules.attribute}, which sources.manifest.attribute names"
        if not others:
            return f"{text}."
        return f"{text}; class names stand under {counted_names(others)} alone."


def _count(number: int) -> str:
    return "1 line" if number == 1 else f"{number:,} lines"


def _lines(number: int) -> str:
    return "1 line was" if number == 1 else f"{number:,} lines were"


def _read_entry(text: bytes, where: str, rules: LabelRules) -> Entry:
    try:
        entry = exported_entry(text, rules)
    except LineError as error:
        raise SelectionError(
            f"{where}: is no line of a manifest: it must be a JSON object with a source-ref.",
            hint="The file must be JSON Lines: one object a line, UTF-8.",
        ) from error
    if not entry.source:
        raise SelectionError(f"{where}: source-ref must be a text.", hint="Export it again.")
    return entry
