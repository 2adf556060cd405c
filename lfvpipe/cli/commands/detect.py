"""`lfvpipe detect`: verdicts for images, from a pipeline's model or from a model file."""

from __future__ import annotations

import glob
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe.cli import interrupt, output, session
from lfvpipe.cli.commands.run import locked
from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from lfvpipe.cli.handwork import HandWork
    from lfvpipe.cli.session import Variant
    from lfvpipe.steps.hosting import Hosting

    Ask = Callable[[Path], "Answer"]

JOBS = 4
WAITING = 2 * JOBS  # images under way at once, so that memory stays bounded


@dataclass(frozen=True)
class Answer:
    """What is said of one image.

    Attributes:
        image: The file, as the user named it.
        is_anomalous: The verdict; None where there is none.
        confidence: In the verdict, 0.5 to 1.
        needs_review: The confidence is under the pipeline's `evaluate.review_below`.
        anomalies: Types of anomaly with the part of the image (0 to 1) that each covers.
        error: Why there is no verdict.
    """

    image: str
    is_anomalous: bool | None = None
    confidence: float | None = None
    needs_review: bool = False
    anomalies: tuple[tuple[str, float], ...] = ()
    error: str = ""

    @property
    def verdict(self) -> str:
        """``normal``, ``anomaly`` or ``error``."""
        if self.is_anomalous is None:
            return "error"
        return "anomaly" if self.is_anomalous else "normal"


def run(options: argparse.Namespace) -> int:
    """Print a verdict per image; return 0, or 1 where an image got none."""
    if options.model:
        asking = _by_model_file(Path(options.model))
    else:
        options.file = _pipeline_of(options.targets)
        asking = _by_pipeline(options)
    images = list(_images(options.targets))
    if not images:
        raise session.UsageError("no images to look at", hint="Name images, folders or globs.")
    try:
        with asking as ask:
            answers = _printed(options, _answers(ask, images))
    except Cancelled:
        return interrupt.INTERRUPTED
    return 1 if any(answer.error for answer in answers) else 0


def _pipeline_of(targets: list[str]) -> str | None:
    """Take the pipeline file, if one is named, out of the targets."""
    is_named = targets[0].lower().endswith((".yaml", ".yml"))
    return targets.pop(0) if is_named else None


def _images(targets: Iterable[str]) -> Iterator[Path]:
    """Yield the image files that files, folders and globs stand for, in a steady order.

    Raises:
        UsageError: One of them leads nowhere.
    """
    from lfvpipe.steps.globs import has_wildcard, is_image_name

    for target in targets:
        path = Path(target)
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and is_image_name(p.name))
        elif path.exists() or not has_wildcard(target):
            if not path.is_file():
                raise session.UsageError(f"{target} is not there")
            yield path
        else:
            found = sorted(map(Path, glob.glob(target, recursive=True)))  # noqa: PTH207  (globs may be absolute)
            yield from (each for each in found if each.is_file() and is_image_name(each.name))


@contextmanager
def _by_model_file(path: Path) -> Iterator[Ask]:
    """Yield a function that asks a detector's model file."""
    from lfvpipe.detector import load

    if not path.is_file():
        raise session.UsageError(f"{path} is not there", hint="--model wants a model file.")
    model = load(path)

    def ask(image: Path) -> Answer:
        verdict = model.detect(image)
        found = tuple((each.name, each.fraction) for each in verdict.anomalies)
        return Answer(str(image), verdict.is_anomalous, verdict.confidence, anomalies=_types(found))

    yield ask


@contextmanager
def _by_pipeline(options: argparse.Namespace) -> Iterator[Ask]:
    """Host the pipeline's model while the block runs; yield a function that asks it."""
    from lfvpipe.cli.handwork import HandWork
    from lfvpipe.steps.hosting import hosted

    variant = session.open_variants(options)[0]
    with locked(options, variant), interrupt.cancelling() as cancelled:
        ledger = session.ledger_of(variant)
        model = _model(variant, ledger.standing_record(variant.name, "model"))
        work: HandWork = HandWork(ledger, cancelled)
        with hosted(variant.context, work, model, kept=model.key in ledger.held):

            def ask(image: Path) -> Answer:
                work.progress(0, None, "images")
                return _ask(variant, model, image)

            yield ask


def _model(variant: Variant, record: Any) -> Hosting:
    from lfvpipe.steps.hosting import Hosting

    if record is None or record.outcome is None:
        name = variant.context.pipeline.name
        hint = f"Run it first: lfvpipe run {variant.context.pipeline.file}"
        raise UserError(f"{name} has no trained model yet", hint=hint)
    facts = record.outcome.facts
    endpoint = variant.context.pipeline.service.endpoint
    return Hosting(str(facts["project"]), str(facts["version"]), endpoint)


def _ask(variant: Variant, model: Hosting, image: Path) -> Answer:
    """Prepare the image as the pipeline prepares its own, and ask the hosted model."""
    from lfvpipe.images import prepare
    from lfvpipe.lookout.failures import explained
    from lfvpipe.lookout.rules import MAX_IMAGE_BYTES
    from lfvpipe.steps.detection import content_type

    spec = variant.context.pipeline
    data = prepare(
        image.read_bytes(),
        resize=spec.images.resize,
        convert=spec.images.convert,
        max_bytes=MAX_IMAGE_BYTES,
    )
    with explained(f"detecting anomalies in {image}"):
        said = variant.context.lookout.detect_anomalies(
            ProjectName=model.project,
            ModelVersion=model.version,
            Body=data,
            ContentType=content_type(data),
        )["DetectAnomalyResult"]
    confidence = float(said["Confidence"])
    found = tuple(
        (each["Name"], float(each["PixelAnomaly"]["TotalPercentageArea"]))
        for each in said.get("Anomalies", ())
    )
    doubtful = confidence < spec.evaluate.review_below
    return Answer(str(image), bool(said["IsAnomalous"]), confidence, doubtful, _types(found))


def _types(found: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Leave the background out."""
    return tuple((name, part) for name, part in found if name.lower() != "background")


def _answers(ask: Ask, images: Iterable[Path]) -> Iterator[Answer]:
    """Ask about several images at once and yield the answers in the images' order."""
    from collections import deque
    from concurrent.futures import Future, ThreadPoolExecutor

    waiting: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(JOBS, thread_name_prefix="lfvpipe-detect") as pool:
        try:
            for image in images:
                waiting.append(pool.submit(_careful, ask, image))
                if len(waiting) >= WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _careful(ask: Ask, image: Path) -> Answer:
    """Let an image that cannot be used be an answer, so that the others still get theirs."""
    try:
        return ask(image)
    except UserError as error:
        return Answer(str(image), error=error.message)
    except OSError as error:
        return Answer(str(image), error=error.strerror or str(error))


def _printed(options: argparse.Namespace, answers: Iterable[Answer]) -> list[Answer]:
    """Print the answers in the form that was asked for, as they come where that is possible."""
    if options.json:
        kept = list(answers)
        output.print_json({"images": [_json(answer) for answer in kept]})
        return kept
    kept = []
    write = _csv_writer() if options.csv else _print
    for answer in answers:
        kept.append(answer)
        write(answer)
    return kept


def _print(answer: Answer) -> None:
    if answer.error:
        print(output.styled(f"error             {answer.image}: {answer.error}", "red"))
        return
    types = ", ".join(f"{name} {part:.1%}" for name, part in answer.anomalies)
    review = "review" if answer.needs_review else ""
    line = f"{answer.verdict:<8} {answer.confidence:.3f} {review:<6}  {answer.image}  {types}"
    print(output.styled(line.rstrip(), "yellow") if answer.is_anomalous else line.rstrip())


def _csv_writer() -> Callable[[Answer], None]:
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "verdict", "confidence", "needs_review", "error"])

    def write(answer: Answer) -> None:
        sure = "" if answer.confidence is None else f"{answer.confidence:.4f}"
        review = str(answer.needs_review).lower()
        writer.writerow([answer.image, answer.verdict, sure, review, answer.error])

    return write


def _json(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON; the keys are those of `Answer`, and `verdict`."""
    return {
        "image": answer.image,
        "verdict": answer.verdict,
        "is_anomalous": answer.is_anomalous,
        "confidence": answer.confidence,
        "needs_review": answer.needs_review,
        "anomalies": [{"name": name, "area": area} for name, area in answer.anomalies],
        "error": answer.error or None,
    }
