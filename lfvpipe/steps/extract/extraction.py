"""Takes the selected members out of their archives, verifies, prepares and indexes them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.config.spec import LABELS, AnnotationSource
from lfvpipe.dataset.index import image_line, note_line, read_pieces
from lfvpipe.dataset.lines import write_lines
from lfvpipe.dataset.selection import read_selection
from lfvpipe.engine.outcome import Outcome
from lfvpipe.errors import UserError
from lfvpipe.images import Shapes
from lfvpipe.lookout.rules import MAX_IMAGE_BYTES
from lfvpipe.steps.extract import preparation
from lfvpipe.steps.extract.indexing import (
    ImageJobs,
    ImageResults,
    class_names,
    drop_outdated_reviews,
    index_images,
    mask_of,
    note_images,
)
from lfvpipe.steps.extract.journal import Journal, file_states, read_journal
from lfvpipe.steps.extract.outcome import ExtractOutcome, watermark_of
from lfvpipe.steps.extract.preparation import Job, Result, prepare_one
from lfvpipe.steps.extract.reading import read_members
from lfvpipe.steps.extract.settings import geometry_of
from lfvpipe.steps.fetch import source_location
from lfvpipe.steps.intact import digest_of
from lfvpipe.steps.select.outcome import SelectOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lfvpipe.config.spec import Images, Label
    from lfvpipe.dataset.annotations import AnnotatedImage
    from lfvpipe.dataset.selection import SelectedImage, SelectedMask, Split
    from lfvpipe.engine.outcome import Json
    from lfvpipe.engine.step import Work
    from lfvpipe.images import Geometry
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.extract.journal import Results

_DISK = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, getattr(errno, "EDQUOT", -1))
_PATHS = 2  # the version of the code since which paths are as they are
JobsByFile = dict[str, dict[str, list[Job]]]  # source → member → jobs


class ExtractError(UserError):
    """The images cannot be stored."""


def extract(context: Context, work: Work) -> Outcome:
    """Extract what was selected and is not there yet, and write the index.

    Raises:
        ArchiveError: An archive is damaged.
        StorageError: A manifest's image cannot be fetched.
        ExtractError: The disk is full or not writable.
    """
    selection = context.state_dir / SelectOutcome.of(work.upstream).selection
    marked = _marked_images(context, work)
    jobs = _Jobs(context, marked)
    wanted = [
        ImageJobs(image, jobs.of_image(image), jobs.of_mask(image.mask))
        for image in read_selection(selection)
    ]
    try:
        done = _prepare(context, work, wanted, jobs)
        with done.results:
            kept = drop_outdated_reviews(done.wanted, done.results, work)
            return _write_index(context, work, kept, done)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise ExtractError(
            f"{context.state_dir}: the images cannot be stored ({error.strerror}).",
            hint="Make room or give write access, or move the state with --state-dir;"
            " the next run goes on where this one stopped.",
        ) from error


@dataclass(frozen=True)
class _Done:
    """What became of the selected images.

    Attributes:
        wanted: The images with the jobs that were done in the end.
        results: By the jobs' keys.
        new: How many files were not there before.
        white: The sample of deep grey that became white; None where there is none.
        whites: The white level of each deep image by its own samples, by the images' ids.
    """

    wanted: Sequence[ImageJobs]
    results: Results
    new: int
    white: float | None
    whites: Mapping[str, float]


def _prepare(context: Context, work: Work, wanted: Sequence[ImageJobs], jobs: _Jobs) -> _Done:
    """Do every job that was not done before.

    Deep grey whose depth nobody declares is read twice: what becomes white is known only when all
    of it has been looked at.
    """
    root = context.state_dir / "images"
    known = _known_images(context, work)
    with Journal(root / "journal.jsonl") as journal:
        results, new = _work_off(context, work, wanted, journal, known)
        white = context.pipeline.images.rules().white_level
        levels = results.whites
        whites = {each.image.id: levels[key] for each in wanted if (key := each.job.key) in levels}
        if levels:
            white = max(levels.values())
            jobs = _Jobs(context, jobs.marked, white)
            wanted = [
                replace(each, job=jobs.of_image(each.image)) if each.job.key in levels else each
                for each in wanted
            ]
            with results:
                known |= {each.path for each in results.values()}
            results, newer = _work_off(context, work, wanted, journal, known)
            new += newer
    return _Done(wanted, results, new, white, whites)


def _known_images(context: Context, work: Work) -> set[str]:
    """Return the images, below their folder, that are right as far as the last outcome tells."""
    if work.previous is None:
        return set()
    facts = ExtractOutcome.from_json(work.previous.facts)
    index = context.state_dir / facts.index
    if not index.is_file() or digest_of(index) != facts.digest:
        return set()
    until = watermark_of(context, facts).until
    states = file_states(context.state_dir / "images", "images/")
    return {
        piece.path.removeprefix("images/")
        for piece in read_pieces(index)
        if piece.path in states and states[piece.path][1] <= until
    }


def _work_off(
    context: Context,
    work: Work,
    wanted: Sequence[ImageJobs],
    journal: Journal,
    known: set[str],
) -> tuple[Results, int]:
    """Return the result of every job by its key, and how many files were not there yet.

    One thread reads, several decode: reading, inflating, decoding and hashing all release the
    interpreter's lock. A result is noted as soon as its file is in place, so a kill loses no work
    but what is under way. A file with a problem is not noted: the next run says it again.
    """
    from lfvpipe.executor import as_completed

    results = _known_results(context, wanted, journal, known)
    todo = _jobs_by_file(wanted, done=results)
    total = sum(len(jobs) for members in todo.values() for jobs in members.values())
    prepared = as_completed(_prepare_one, _read(context, work, todo), os.cpu_count() or 1)
    new = 0
    for number, result in enumerate(prepared, start=1):
        new += result.white is None
        if result.problem:
            results.keep(result)
        else:
            results.note(result, journal.add(result))
        work.progress(number, total, "images")
    journal.flush()
    return results, new


def _known_results(
    context: Context, wanted: Iterable[ImageJobs], journal: Journal, known: set[str]
) -> Results:
    keys = {job.key for each in wanted for job in (each.job, each.mask_job) if job}
    return read_journal(journal.path, context.state_dir / "images", keys, known=known)


def _jobs_by_file(wanted: Iterable[ImageJobs], done: Mapping[str, Result]) -> JobsByFile:
    """Return the jobs without a result, each once, by the file they read: it is read once."""
    todo: JobsByFile = defaultdict(lambda: defaultdict(list))
    seen = set(done)
    for each in wanted:
        for job, at in ((each.job, each.image), (each.mask_job, each.image.mask)):
            if job and at and job.key not in seen:
                seen.add(job.key)
                todo[at.source][at.member].append(job)
    return todo


def _marked_images(context: Context, work: Work) -> Mapping[str, AnnotatedImage]:
    """Return what an annotation tool marked, by the image's member; nothing without one."""
    if not isinstance(context.pipeline.sources.listed, AnnotationSource):
        return {}
    from lfvpipe.dataset.gathering import marked_images

    return marked_images(
        context.pipeline, lambda member: source_location(context, work.upstream, member)
    )


class _Jobs:
    """Makes the jobs of one extraction; what they have in common is there once.

    Args:
        context: Of the step.
        marked: What an annotation tool marked, by the image's member.
        white: The sample of deep grey that becomes white, once it is known.
    """

    def __init__(
        self, context: Context, marked: Mapping[str, AnnotatedImage], white: float | None = None
    ) -> None:
        spec = context.pipeline.images
        self.marked = marked
        self._spec = spec
        self._root = str(context.state_dir / "images")
        self._geometry = geometry_of(spec)
        self._rules = spec.rules(white)
        decided = replace(self._rules, mode=None).as_json()
        # What 0.1.0 did not know is a part only where it says something: its results stay good.
        is_size = replace(self._geometry, size=None).is_plain
        self._shape = [] if is_size else [self._geometry.as_text()]
        self._pixels = [spec.resize, spec.convert, *([decided] if decided else []), *self._shape]

    def of_image(self, image: SelectedImage) -> Job:
        """Return the job that prepares an image."""
        key, place = _names(
            "image", image.source, image.member, image.stamp, image.size, *self._pixels
        )
        return Job(
            key,
            "image",
            self._root,
            _stem(image.source, image.member, place),
            geometry=self._geometry,
            rules=self._rules,
            max_bytes=MAX_IMAGE_BYTES,
        )

    def of_mask(self, mask: SelectedMask | None) -> Job | None:
        """Return the job that prepares an image's mask, if it has one."""
        if mask is None:
            return None
        classes = dict(mask.classes) if mask.classes is not None else None
        key, place = _names(
            "mask",
            mask.source,
            mask.member,
            mask.stamp,
            mask.size,
            self._spec.resize,
            classes,
            *self._shape,
        )
        return Job(
            key,
            "mask",
            self._root,
            _stem(f"{mask.source}-masks", mask.member, place),
            geometry=self._geometry,
            classes=classes,
            marked=self.marked[mask.member] if mask.drawn else None,
        )


def _names(*parts: object) -> tuple[str, str]:
    """Return two digests of all that a job's result depends on: of the job, and of its file's path.

    The code's version is part of the job alone: where a newer one prepares an image as the older
    did, the index stays the same, and so does what was made of it, a model among it.
    """
    job, place = (
        hashlib.sha256(json.dumps([version, *parts]).encode()).hexdigest()[:32]
        for version in (preparation.VERSION, _PATHS)
    )
    return job, place


def _stem(folder: str, member: str, place: str) -> str:
    """Return a path that people recognise and no file system minds."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePosixPath(member).stem)[-60:]
    return f"{folder}/{name}-{place[:16]}"


def _read(
    context: Context, work: Work, todo: JobsByFile
) -> Iterator[tuple[Job, bytes | UserError]]:
    """Yield each job with its file's content, or with why that cannot be read."""
    for source, members in todo.items():
        for name, data in read_members(context, work, source, members.keys()):
            yield from ((job, data) for job in members[name])


def _prepare_one(job_and_data: tuple[Job, bytes | UserError]) -> Result:
    job, data = job_and_data
    if isinstance(data, UserError):
        return Result(job.key, problem=data.message)
    return prepare_one(job, data)


def _write_index(context: Context, work: Work, wanted: Sequence[ImageJobs], done: _Done) -> Outcome:
    folder, seen = context.state_dir / "index", _Seen()
    # Before the index, which says that they are there; one by one it would cost more than decoding.
    atomic.sync_all()
    images = index_images(seen.watch(wanted, done.results), class_names(wanted, done.results))
    index, index_digest = write_lines(folder, map(image_line, images))
    notes = note_images(wanted, done.results, done.whites)
    note_file, notes_digest = write_lines(folder, map(note_line, notes))
    geometry = _seen_geometry(context.pipeline.images, seen)
    facts = ExtractOutcome(
        index=f"index/{index}",
        digest=index_digest,
        notes=f"index/{note_file}",
        images=seen.images,
        new=done.new,
        bytes=seen.bytes,
        unreadable=len(wanted) - seen.images,
        counts=seen.counts,
        white=done.white,
        geometry=geometry.as_text() or None,
    )
    watermark_of(context, facts).raise_to(time.time_ns())
    identity: dict[str, Json] = {"digest": index_digest, "notes": notes_digest}
    # The check hands on what the selection found, so it has to see when that changes.
    identity |= SelectOutcome.of(work.upstream).findings_identity()
    return Outcome("created", facts.as_json(), identity)


@dataclass
class _Seen:
    """What is known of all images together, counted while they pass.

    Attributes:
        images: How many can be used.
        bytes: Of these.
        splits: How many of these have a label and are in a split.
        wholes: The sizes of the photographs before anything was made of them.
        trained: Of those that are trained on.
    """

    images: int = 0
    bytes: int = 0
    splits: Counter[tuple[Label | None, Split]] = field(default_factory=Counter)
    wholes: set[tuple[int, int]] = field(default_factory=set)
    trained: set[tuple[int, int]] = field(default_factory=set)

    def watch(
        self, wanted: Iterable[ImageJobs], results: Mapping[str, Result]
    ) -> Iterator[ImageResults]:
        """Yield the images that can be used with what came of them, and count them."""
        for each in wanted:
            result = results[each.job.key]
            match result.whole:
                case (width, height):
                    self.wholes.add((width, height))
                    if each.image.split == "train":
                        self.trained.add((width, height))
            if result.problem:
                continue
            self.images += 1
            self.bytes += result.size
            self.splits[each.image.label, each.image.split] += 1
            yield ImageResults(each.image, result, mask_of(each, results))

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many there are of each label in each split."""
        ordered = sorted(self.splits.items(), key=str)
        return {label: {split: n for (of, split), n in ordered if of == label} for label in LABELS}


def _seen_geometry(spec: Images, seen: _Seen) -> Geometry:
    """Return which part of the images counts, with the sizes that they had before."""
    geometry = replace(geometry_of(spec), learnt=Shapes.of(seen.trained))
    if len(seen.wholes) != 1:
        return geometry
    ((width, height),) = seen.wholes
    geometry = replace(geometry, seen=(width, height))
    if geometry.region and geometry.size == geometry.seen:
        raise ExtractError(
            f"images.resize is {width}x{height}, the size of the whole photographs: nobody"
            " could tell later whether one was cut to images.region before.",
            hint="Choose another size.",
        )
    return geometry
