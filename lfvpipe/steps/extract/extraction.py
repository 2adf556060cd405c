"""Takes the selected members out of their archives, verifies, prepares and indexes them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.index import (
    Image,
    Selected,
    image_line,
    read_selection,
    write_lines,
)
from lfvpipe.engine.outcome import Outcome
from lfvpipe.errors import UserError
from lfvpipe.lookout.rules import MAX_IMAGE_BYTES
from lfvpipe.steps.extract.indexing import Planned, as_reviewed, class_names, indexed_image, note
from lfvpipe.steps.extract.journal import Journal, remembered, sweep
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.extract.preparation import VERSION, Job, Result, prepare_one
from lfvpipe.steps.extract.reading import read_members
from lfvpipe.steps.select.outcome import SelectOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lfvpipe.engine.step import Work
    from lfvpipe.steps.context import Context

_DISK = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, getattr(errno, "EDQUOT", -1))
Wanted = dict[str, dict[str, list[Job]]]  # source → member → jobs


class ExtractError(UserError):
    """The images cannot be stored."""


def extracted(context: Context, work: Work) -> Outcome:
    """Extract what was selected and is not there yet, and write the index.

    Raises:
        ArchiveError: An archive is damaged.
        StorageError: A manifest's image cannot be fetched.
        ExtractError: The disk is full or not writable.
    """
    file = context.state_dir / SelectOutcome.of(work.upstream).selection
    planned = _planned(context, file)
    try:
        results, new = _results(context, work, planned)
        return _outcome(context, as_reviewed(planned, results, work), results, new)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise ExtractError(
            f"{context.state_dir}: the images cannot be stored ({error.strerror}).",
            hint="Make room or give write access, or move the state with --state-dir;"
            " the next run goes on where this one stopped.",
        ) from error


def _planned(context: Context, file: Path) -> list[Planned]:
    return [
        Planned(image, _image_job(context, image), _mask_job(context, image))
        for image in read_selection(file)
    ]


def _results(
    context: Context, work: Work, planned: Sequence[Planned]
) -> tuple[dict[str, Result], int]:
    """Return the result of every job by its key, and how many were not there yet."""
    root = context.state_dir / "images"
    sweep(root)
    results = remembered(root / "journal.jsonl", root, _keys(planned))
    wanted = _wanted(planned, results)
    todo = sum(len(jobs) for members in wanted.values() for jobs in members.values())
    done = 0
    with Journal(root / "journal.jsonl") as journal:
        for result in _prepared(context, work, wanted):
            done += 1
            results[result.key] = result
            if not result.problem:
                journal.add(result)
            work.progress(done, todo, "images")
    return results, todo


def _keys(planned: Iterable[Planned]) -> set[str]:
    return {job.key for plan in planned for job in (plan.job, plan.mask_job) if job}


def _wanted(planned: Iterable[Planned], results: Mapping[str, Result]) -> Wanted:
    """Return the jobs that have no result yet, each once, by the file they read."""
    wanted: Wanted = defaultdict(lambda: defaultdict(list))
    seen = set(results)
    for plan in planned:
        for job, at in ((plan.job, plan.image), (plan.mask_job, plan.image.mask)):
            if job and at and job.key not in seen:
                seen.add(job.key)
                wanted[at.source][at.member].append(job)
    return wanted


def _image_job(context: Context, image: Selected) -> Job:
    spec = context.pipeline.images
    key = _key(
        "image", image.source, image.member, image.stamp, image.size, spec.resize, spec.convert
    )
    return Job(
        key,
        "image",
        str(context.state_dir / "images"),
        _stem(image.source, image.member, key),
        resize=spec.resize,
        convert=spec.convert,
        max_bytes=MAX_IMAGE_BYTES,
    )


def _mask_job(context: Context, image: Selected) -> Job | None:
    mask = image.mask
    if mask is None:
        return None
    resize = context.pipeline.images.resize
    classes = dict(mask.classes) if mask.classes is not None else None
    key = _key("mask", mask.source, mask.member, mask.stamp, mask.size, resize, classes)
    root = str(context.state_dir / "images")
    stem = _stem(f"{mask.source}-masks", mask.member, key)
    return Job(key, "mask", root, stem, resize=resize, classes=classes)


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps([VERSION, *parts]).encode()).hexdigest()[:32]


def _stem(folder: str, member: str, key: str) -> str:
    """Return a path that people recognise and no file system minds."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePosixPath(member).stem)[-60:]
    return f"{folder}/{name}-{key[:16]}"


def _prepared(context: Context, work: Work, wanted: Wanted) -> Iterator[Result]:
    """Return the results of all wanted jobs as they come: one thread reads, several decode.

    Threads, as reading, inflating, decoding and hashing all release the interpreter's lock.
    """
    from lfvpipe.executor import as_completed

    return as_completed(_result, _read(context, work, wanted), os.cpu_count() or 1)


def _read(context: Context, work: Work, wanted: Wanted) -> Iterator[tuple[Job, bytes | UserError]]:
    """Yield each job with its file's content, or with why that cannot be read."""
    for source, members in wanted.items():
        for name, data in read_members(context, work.upstream, source, members.keys()):
            yield from ((job, data) for job in members[name])


def _result(job_and_data: tuple[Job, bytes | UserError]) -> Result:
    job, data = job_and_data
    if isinstance(data, UserError):
        return Result(job.key, problem=data.message)
    return prepare_one(job, data)


def _outcome(
    context: Context, planned: Sequence[Planned], results: Mapping[str, Result], new: int
) -> Outcome:
    names = class_names(planned, results)
    images: list[Image] = []
    notes = []
    for plan in planned:
        result = results[plan.job.key]
        mask = results[plan.mask_job.key] if plan.mask_job else None
        notes.append(note(plan.image, result, mask))
        if not result.problem:
            images.append(indexed_image(plan.image, result, mask, names))
    folder = context.state_dir / "index"
    index, index_digest = write_lines(folder, map(image_line, images))
    note_file, notes_digest = write_lines(folder, notes)
    facts = ExtractOutcome(
        index=f"index/{index}",
        digest=index_digest,
        notes=f"index/{note_file}",
        images=len(images),
        new=new,
        bytes=sum(image.size for image in images),
        unreadable=len(planned) - len(images),
        counts=_counts(images),
    )
    return Outcome("created", facts.as_json(), {"digest": index_digest, "notes": notes_digest})


def _counts(images: Iterable[Image]) -> dict[str, dict[str, int]]:
    counted = Counter((image.label, image.split) for image in images)
    return {
        label: {split: n for (of, split), n in sorted(counted.items(), key=str) if of == label}
        for label in LABELS
    }
