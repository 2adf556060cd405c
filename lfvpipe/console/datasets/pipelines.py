"""Pipelines whose projects the console shows: what people decide there, their next run keeps.

A pipeline's datasets are made of its files: a run would set what the console changed back to what
these say. So a decision about an image of a pipeline also goes into its labels file, where
`lfvpipe review` writes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from lfvpipe import atomic, config
from lfvpipe.console.wording import say
from lfvpipe.dataset.book import Book
from lfvpipe.dataset.index import read_index, read_notes
from lfvpipe.dataset.labels import Decision
from lfvpipe.dataset.selection import FILES
from lfvpipe.engine.ledger import Ledger
from lfvpipe.errors import UserError
from lfvpipe.manifest import read_line, service_entry
from lfvpipe.report import run_file
from lfvpipe.service.roles import present_actor
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.project import ProjectOutcome
from lfvpipe.steps.upload.outcome import UploadOutcome
from lfvpipe.storage import parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.console.datasets.history import Change
    from lfvpipe.dataset.index import Image
    from lfvpipe.dataset.labels import Choice, Part
    from lfvpipe.service import Service

_OURS: Final = "embedded"  # the service of the pipelines whose state lies beside this one
_MOST_LINE: Final = 10 * 1024 * 1024
_MOST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that made a project.

    Attributes:
        name: Its name.
        place: The address that its images' keys follow.
        index: The images of its last run, in a file of the state.
        notes: What was noted of them.
        labels: The file of decisions; None where it has none.
        home: The folder of its file, which names are relative to; None where it was not found.
    """

    name: str
    place: str
    index: Path
    notes: Path
    labels: Path | None
    home: Path | None = None


class Pipelines:
    """Finds the pipelines of a region, and tells them of decisions; safe to call from threads.

    Args:
        root: The folder that has the state of pipelines; None where there is none.
        service: Has the masks that people painted.
    """

    def __init__(self, root: Path | None, service: Service) -> None:
        self._root = root
        self._service = service

    def find(self, project: str) -> Pipeline | None:
        """Return the pipeline that made a project of this region; None where none did.

        What of a state cannot be read belongs to nobody: the pipeline's own commands say why.
        """
        for file in sorted(self._root.glob("*/ledger.json")) if self._root else []:
            try:
                ledger = Ledger.load(file)
                for variant in ledger.standing:
                    if self._is_of(ledger, variant, project):
                        return _pipeline(file.parent, ledger, variant, project)
            except (UserError, OSError):
                continue
        return None

    def _is_of(self, ledger: Ledger, variant: str, project: str) -> bool:
        made = ProjectOutcome.standing(ledger, variant)
        return (
            made is not None
            and (made.name, made.endpoint) == (project, _OURS)
            and made.arn.split(":")[3] == self._service.region
        )

    def tell(self, step: Sequence[Change]) -> str:
        """Write what was changed into the labels file of the project's pipeline.

        Args:
            step: What became of images of one project.

        Returns:
            What a person should know of it; "" for a project of no pipeline.
        """
        pipeline = self.find(step[0].dataset.project) if step else None
        if pipeline is None:
            return ""
        if pipeline.labels is None:
            return say("pipelines.unlabelled", name=pipeline.name)
        known = _known_images(pipeline, step)
        book, decisions, counted = Book(pipeline.labels), list[Decision](), Counter[str]()
        try:
            for source, changes in _by_source(step).items():
                said = self._decide(pipeline, book, known.get(source), source, changes)
                if isinstance(said, str):
                    counted[said] += 1
                else:
                    decisions.append(said)
            if decisions:
                book.add(*decisions)
        except (UserError, OSError) as error:
            reason = error.message if isinstance(error, UserError) else error.strerror
            return say("pipelines.not_told", name=pipeline.name, reason=reason)
        told = []
        if decisions:
            file = pipeline.labels.name
            told.append(say("pipelines.told", count=len(decisions), file=file, name=pipeline.name))
        for what, number in counted.items():
            told.append(say(f"pipelines.{what}", count=number, name=pipeline.name))
        return " ".join(told)

    def _decide(
        self,
        pipeline: Pipeline,
        book: Book,
        known: tuple[Image, str] | None,
        source: str,
        changes: Sequence[Change],
    ) -> Decision | Literal["strange", "moved"]:
        """Return what the labels file is to say of an image, or why it can say nothing."""
        if known is None or known[0].source == FILES:
            return self._added(pipeline, book, source, changes) or "strange"
        if len(changes) > 1:
            return "moved"
        return self._decision(book.file, *known, changes[0])

    def _added(
        self, pipeline: Pipeline, book: Book, source: str, changes: Sequence[Change]
    ) -> Decision | None:
        """Return what adds an image that no source has, or says something else of it.

        It is copied to where such images lie beside the labels file, as a review copies what was
        detected. None for one that the pipeline does not get, as it has no label.
        """
        bucket, key = parse_s3_uri(source)
        data = self._service.buckets.bucket(bucket).get(key, limit=_MOST_BYTES)
        sha256 = hashlib.sha256(data).hexdigest()
        called = key.rpartition("/")[2]
        suffix = Path(called).suffix.lower() or ".png"
        name = book.name_of_copy(called, sha256, suffix, pipeline.home)
        after = next((each for each in changes if each.after is not None), None)
        if after is None or after.after is None:
            is_known = book.name_of(sha256, FILES) is not None
            return _Decided(name, FILES, sha256).as_("exclude") if is_known else None
        entry = service_entry(after.after, longest=_MOST_LINE)
        if entry.label is None:
            return None
        place = (pipeline.home or Path()) / name
        if not place.is_file():
            atomic.make_folder(place.parent)
            atomic.write_bytes(place, data)
        mask = None
        if entry.mask is not None:
            mask = self._keep_mask(book.file, called, entry.mask)
        return _Decided(name, FILES, sha256, split=after.dataset.type).as_(
            "anomaly" if entry.label == "anomaly" else "normal",
            _defect_in(after.after),
            mask,
            entry.mask_classes if mask else None,
        )

    def _decision(self, labels: Path, image: Image, origin: str, change: Change) -> Decision:
        """Return what a change says of an image that the pipeline's sources have."""
        decided = _Decided(image.member, image.source, origin, was=image.label)
        if change.after is None:
            return decided.as_("exclude")
        entry = service_entry(change.after, longest=_MOST_LINE)
        if entry.label is None:
            return decided.as_("unsure")
        mask, classes = None, None
        known = image.mask.key if image.mask else "/"  # which no address ends with
        if entry.mask is not None and not entry.mask.endswith(known):
            mask, classes = self._keep_mask(labels, image.member, entry.mask), entry.mask_classes
        choice: Choice = "anomaly" if entry.label == "anomaly" else "normal"
        return decided.as_(choice, _defect_in(change.after), mask, classes)

    def _keep_mask(self, labels: Path, called: str, address: str) -> str:
        """Copy a mask to where masks of the labels file lie; return its path from there."""
        bucket, key = parse_s3_uri(address)
        data = self._service.buckets.bucket(bucket).get(key, limit=_MOST_BYTES)
        digest = hashlib.sha256(data).hexdigest()[:12]
        stem = Path(called).stem or "image"
        path = labels.with_name(f"{labels.stem}-masks") / f"{stem}-{digest}.png"
        atomic.make_folder(path.parent)
        atomic.write_bytes(path, data)
        return path.relative_to(labels.parent).as_posix()


@dataclass(frozen=True)
class _Decided:
    """Makes the decisions about one image; see `Decision` for its attributes."""

    name: str
    source: str
    sha256: str
    was: str | None = None
    split: Part | None = None

    def as_(
        self,
        choice: Choice,
        defect: str | None = None,
        mask: str | None = None,
        classes: Mapping[str, str] | None = None,
    ) -> Decision:
        return Decision(
            self.name,
            choice,
            self.source,
            self.sha256 or None,
            present_actor().access_key or "console",
            was=self.was,
            mask=mask,
            classes=classes,
            type=defect,
            split=self.split,
        )


def _defect_in(line: str) -> str | None:
    """Return the type of an anomaly that a line's label says."""
    return next((each.defect for each in read_line(line).classifications if each.defect), None)


def _pipeline(folder: Path, ledger: Ledger, variant: str, project: str) -> Pipeline | None:
    extracted = ExtractOutcome.standing(ledger, variant)
    uploaded = UploadOutcome.standing(ledger, variant)
    if extracted is None or uploaded is None:
        return None
    named = _named_by_its_file(folder, project)
    labels = named.labels if named else _labels_by_its_run(folder, variant)
    index, notes = folder / extracted.index, folder / extracted.notes
    place = f"s3://{uploaded.name}/{uploaded.prefix}"
    return Pipeline(folder.name, place, index, notes, labels, named.home if named else None)


@dataclass(frozen=True)
class _Named:
    """What a pipeline file says."""

    name: str
    project: str
    labels: Path | None
    home: Path


def _named_by_its_file(folder: Path, project: str) -> _Named | None:
    """Return what the pipeline file says, where it lies beside the state folder."""
    for file in sorted(folder.parent.parent.glob("*.y*ml")):
        with suppress(UserError, OSError):
            found = _read_file(file, file.stat().st_mtime_ns)
            if (found.name, found.project) == (folder.name, project):
                return found
    return None


@lru_cache(maxsize=64)
def _read_file(file: Path, _written: int) -> _Named:
    pipeline = config.load(file).pipeline
    labels = pipeline.sources.labels
    return _Named(
        pipeline.name, pipeline.project, Path(labels) if labels else None, pipeline.folder
    )


def _labels_by_its_run(folder: Path, variant: str) -> Path | None:
    """Return the labels file that a pipeline's last run was told."""
    for run_id in reversed(run_file.run_ids(folder)):
        run = run_file.load(run_file.path_of(folder, run_id), with_verdicts=False)
        if run.variant == variant:
            named = run.config.get("sources.labels")
            return Path(named) if isinstance(named, str) else None
    return None


def _known_images(pipeline: Pipeline, step: Sequence[Change]) -> Mapping[str, tuple[Image, str]]:
    """Return the pipeline's images that were changed, with their files' digests, by address."""
    sources, place = {each.source for each in step}, pipeline.place
    images = {each.id: each for each in read_index(pipeline.index) if place + each.key in sources}
    origins = {note.id: note.origin for note in read_notes(pipeline.notes) if note.id in images}
    return {place + each.key: (each, origins.get(each.id, "")) for each in images.values()}


def _by_source(step: Sequence[Change]) -> Mapping[str, Sequence[Change]]:
    found: dict[str, list[Change]] = {}
    for each in step:
        found.setdefault(each.source, []).append(each)
    return found
