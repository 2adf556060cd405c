"""Prepares one image or mask and puts it in place: the part of extract that runs in parallel.

Jobs and results are plain data, so any executor in the shape of `concurrent.futures` can run
`prepare_one`, in this process or another; it writes below a folder that both must see.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.dataset.annotations import AnnotatedImage
    from lfvpipe.images import Geometry, PixelRules

VERSION = 3  # grows when the same file would be prepared differently


@dataclass(frozen=True, slots=True)
class Job:
    """One file to prepare.

    Attributes:
        key: Names the job by all that the result depends on.
        stem: The result's path below `root`, without suffix; ``/`` between folders.
        classes: Mask colours by anomaly type, where they are declared.
        max_bytes: See `lfvpipe.images.examine`.
        geometry: Which part of the photograph counts, and its size.
        rules: How the photograph becomes pixels. Where they have no white level, deep grey is
            looked at, and not prepared: the level is that of all of the product together.
        marked: What the mask is drawn from; the file is then that of the image.
    """

    key: str
    kind: Literal["image", "mask"]
    root: str
    stem: str
    geometry: Geometry | None = None
    rules: PixelRules | None = None
    classes: Mapping[str, str] | None = None
    max_bytes: int | None = None
    marked: AnnotatedImage | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job; `problem` says why there is no file, all else is empty then.

    Attributes:
        path: Below the job's root.
        mode: Pillow's name of the colour mode.
        changes: See `lfvpipe.images.Prepared`.
        pixels: SHA-256 of the decoded pixels.
        likeness: Difference hash.
        colours: The anomaly types' colours in a mask.
        strangers: Colours of a mask that nobody declared.
        origin: SHA-256 of the image's file as it was before it was prepared.
        levels: See `lfvpipe.images.Prepared`.
        whole: See `lfvpipe.images.Prepared`.
        white: The photograph's own white level, where it was looked at; no file is there then.
        source: See `lfvpipe.images.Prepared`.
        camera: See `lfvpipe.images.Prepared`.
        share: How much of the image a mask marks, 0 to 1.
        is_unfit: The problem is what is wanted of the image, which is sound.
    """

    key: str
    path: str = ""
    size: int = 0
    sha256: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    changes: tuple[str, ...] = ()
    pixels: str = ""
    likeness: str = ""
    colours: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    problem: str = ""
    origin: str = ""
    levels: int | None = None
    whole: tuple[int, ...] = ()
    white: float | None = None
    source: str = ""
    camera: str = ""
    share: float | None = None
    is_unfit: bool = False


def prepare_one(job: Job, data: bytes) -> Result:
    """Verify, prepare and store one file; a bad one is a result with a `problem`.

    Raises:
        OSError: The file cannot be written.
    """
    from lfvpipe.images import ImageError, UnfitImage
    from lfvpipe.steps.advice import advise

    try:
        return _prepare_mask(job, data) if job.kind == "mask" else _prepare_image(job, data)
    except ImageError as error:
        # The note stands after the image's name; it ends with the hint's full stop.
        is_unfit = isinstance(error, UnfitImage)
        return Result(job.key, problem=f"{error.fault}. {advise(error)}", is_unfit=is_unfit)


def _prepare_image(job: Job, data: bytes) -> Result:
    from lfvpipe.images import examine, own_white_level

    if job.rules is None or job.rules.white_level is None:
        white = own_white_level(data)
        if white is not None:
            return Result(job.key, white=white)
    done = examine(data, rules=job.rules, geometry=job.geometry, max_bytes=job.max_bytes)
    path = f"{job.stem}.{'png' if done.format == 'PNG' else 'jpg'}"
    _write(Path(job.root, path), done.data)
    sha256 = hashlib.sha256(done.data).hexdigest()
    return Result(
        key=job.key,
        path=path,
        size=len(done.data),
        sha256=sha256,
        origin=sha256 if done.data == data else hashlib.sha256(data).hexdigest(),
        width=done.width,
        height=done.height,
        mode=done.mode,
        changes=done.changes,
        pixels=done.pixels,
        likeness=done.likeness,
        levels=done.levels,
        whole=done.whole,
        source=done.source or "",
        camera=done.camera,
    )


def _prepare_mask(job: Job, data: bytes) -> Result:
    from lfvpipe.images import prepare_mask

    if job.marked is not None:
        data = _draw(job.marked, data, job.classes or {})
    done = prepare_mask(data, classes=job.classes, geometry=job.geometry)
    path = f"{job.stem}.png"
    _write(Path(job.root, path), done.data)
    return Result(
        key=job.key,
        path=path,
        size=len(done.data),
        sha256=hashlib.sha256(done.data).hexdigest(),
        width=done.width,
        height=done.height,
        colours=done.colours,
        strangers=done.strangers,
        share=done.share,
    )


def _draw(marked: AnnotatedImage, image: bytes, classes: Mapping[str, str]) -> bytes:
    from lfvpipe.dataset.annotations import AnnotationError
    from lfvpipe.dataset.annotations.masks import draw
    from lfvpipe.images import ImageError, upright_size

    try:
        return draw(marked, upright_size(image), classes)
    except AnnotationError as error:
        raise ImageError(error.message.rstrip("."), hint=error.hint) from error


def _write(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there after a kill.

    Not synced by itself, which would cost more than the decoding: all are synced at once before the
    index says that they are there.
    """
    from lfvpipe.atomic import staging

    with staging(path, synced=False) as staged:
        staged.file.write(data)
