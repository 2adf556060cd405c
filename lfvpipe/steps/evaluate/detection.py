"""Verdicts of a hosted model on many images: concurrent, resumable, bounded in memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lfvpipe import atomic
from lfvpipe.lookout.failures import LookoutError, explained
from lfvpipe.lookout.likeness import unlikeness
from lfvpipe.report.records import Verdict
from lfvpipe.report.verdict_file import encode, read_partial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

    from lfvpipe.dataset.index import Image
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.hosting import Hosting

    OnVerdict = Callable[[Image, Verdict | LookoutError], None]

JOBS = 4  # an inference unit of the retired service took about five images a second
REFUSED = "ValidationException"


def detect(context: Context, model: Hosting, images: Iterable[Image], done: OnVerdict) -> None:
    """Ask the hosted `model` about each image.

    Args:
        context: Where the service and the images are.
        model: A hosted model.
        images: Consumed lazily.
        done: Told of each image, in the caller's thread and in no particular order: its verdict,
            or the error of an image that the service refused. What it raises ends the work once
            the requests under way have ended.

    Raises:
        LookoutError: A call failed for another reason than the image.
    """
    from lfvpipe.executor import as_completed

    def ask(image: Image) -> tuple[Image, Verdict | LookoutError]:
        return image, _ask(context, model, image)

    for image, said in as_completed(ask, images, JOBS):
        done(image, said)


def _ask(context: Context, model: Hosting, image: Image) -> Verdict | LookoutError:
    data = (context.state_dir / image.path).read_bytes()
    try:
        with explained(f"detecting anomalies in {image.member}"):
            response = context.lookout.detect_anomalies(
                ProjectName=model.project,
                ModelVersion=model.version,
                Body=data,
                ContentType=content_type(data),
            )
    except LookoutError as error:
        if error.code != REFUSED:
            raise
        return error
    verdict = _verdict(context, model, image, response["DetectAnomalyResult"])
    return replace(verdict, unlikeness=unlikeness(response))


def content_type(data: bytes) -> str:
    """Return the media type of an encoded image, which is PNG or JPEG."""
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def _verdict(context: Context, model: Hosting, image: Image, result: Mapping[str, Any]) -> Verdict:
    return Verdict(
        id=image.id,
        name=image.member,
        label=image.label,
        is_anomalous=bool(result["IsAnomalous"]),
        confidence=float(result["Confidence"]),
        sha256=image.sha256,
        path=image.path,
        mask=_save_mask(context, model, image, result.get("AnomalyMask")),
        anomalies=tuple(result.get("Anomalies", ())),
    )


def _save_mask(context: Context, model: Hosting, image: Image, mask: bytes | None) -> str | None:
    if not mask:
        return None
    path = f"masks/{model.project}-{model.version}/{image.sha256[:32]}.png"
    atomic.write_bytes(context.state_dir / path, mask)
    return path


class Notebook:
    """Verdicts as they come in: appended to a file, so that a killed run need not ask again."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def note(self, verdict: Verdict) -> None:
        """Append a verdict; it survives the death of this process from here on."""
        self._file.write(encode(verdict) + "\n")
        self._file.flush()


@contextmanager
def notebook(path: Path) -> Iterator[Notebook]:
    """Yield a notebook at `path` that goes on after the last whole line of what is there."""
    whole = "".join(encode(verdict) + "\n" for verdict in read_partial(path))
    atomic.write_text(path, whole)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        yield Notebook(file)
