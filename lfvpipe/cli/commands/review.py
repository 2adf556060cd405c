"""`lfvpipe review`: a page on this machine to look at doubtful and wrong images, and decide."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from lfvpipe import atomic, review
from lfvpipe.cli.options import Option, PipelineOptions
from lfvpipe.cli.preparation import training_preparation
from lfvpipe.cli.unnamed_labels import usual_labels_file
from lfvpipe.cli.usage import UsageError, command_line
from lfvpipe.cli.variant_choice import find_variant, variant_lines
from lfvpipe.cli.variants import ledger_of, open_variants
from lfvpipe.cli.way_in import way_in
from lfvpipe.cli.written_places import insist_outside_state
from lfvpipe.dataset.book import Book
from lfvpipe.engine.phrases import doing
from lfvpipe.service import http
from lfvpipe.user_name import user_name

if TYPE_CHECKING:
    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.review.detected import Photographs
    from lfvpipe.review.queue import Queue

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class ReviewOptions(PipelineOptions):
    """What `lfvpipe review` reads."""

    labels: Annotated[
        str | None,
        Option(
            "--labels",
            metavar="FILE",
            about="where decisions are kept (default: the pipeline's sources.labels, or"
            " <name>.labels.jsonl beside it)",
            group="target",
        ),
    ] = None
    port: Annotated[
        int,
        Option(
            "--port",
            metavar="N",
            about="where to listen (default: a free one)",
            group="target",
        ),
    ] = 0
    no_browser: Annotated[
        bool, Option("--no-browser", about="only print the address", group="target")
    ] = False
    variant: Annotated[
        str | None,
        Option(
            "--variant",
            metavar="NAME",
            about="matrix: whose images, by its name or a part of it (default: the one judged"
            " last)",
            group="target",
        ),
    ] = None
    who: Annotated[
        str | None,
        Option(
            "--who",
            metavar="NAME",
            about="who reviews (default: the user's name)",
            group="target",
        ),
    ] = None
    all: Annotated[
        bool,
        Option(
            "--all",
            about="show every image, not only doubtful and wrong ones",
            group="target",
        ),
    ] = False
    of: Annotated[
        Literal["judged", "training", "detect"],
        Option(
            "--of",
            about="which images: judged ones; training images whose labels the model contradicts,"
            " not having learnt from them; or those that `lfvpipe detect` was asked about"
            " (default: judged)",
            group="target",
        ),
    ] = "judged"
    export: Annotated[
        Literal["csv", "manifest"] | None,
        Option(
            "--export",
            about="print what was decided, as CSV or as a Ground Truth manifest, and end",
            group="target",
        ),
    ] = None
    output: Annotated[
        str | None,
        Option(
            "-o",
            "--output",
            metavar="FILE",
            about="write the export there",
            group="target",
            completes="file",
        ),
    ] = None


def run(options: ReviewOptions) -> int:
    """Serve the page until SIGINT or SIGTERM, or export what was decided; return 0."""
    variants = open_variants(options)
    variant = find_variant(variants, options.variant)
    pipeline = variant.pipeline
    ledger = ledger_of(variant)
    # The option's, the pipeline's, or one beside the pipeline file.
    known = options.labels or pipeline.sources.labels
    labels = Path(known or usual_labels_file(pipeline)).absolute()
    if options.export:
        return _export(options, variant, ledger, labels)
    book = Book(labels)
    if options.of == "detect":
        queue = review.detected.build_of_detected(variant.context, ledger, variant.name, book)
    else:
        build = review.queue.build_of_training if options.of == "training" else review.queue.build
        queue = build(variant.context, ledger, variant.name, everything=options.all)
    if len(variants) > 1:
        print(f"reviewing {variant.name}, one of {len(variants)} variants (--variant NAME):")
        print("\n".join(variant_lines(variants, variant)))
    _serve(options, variant, queue, book)
    return 0


def _serve(options: ReviewOptions, variant: Variant, queue: Queue, book: Book) -> None:
    """Serve the page, and say at the end what was done and how the next run learns from it."""
    context, pipeline = variant.context, variant.pipeline
    labels = book.file
    advice = _advice(variant, labels)
    session = review.session.Review(
        queue=queue,
        book=book,
        state_dir=context.state_dir,
        pictures=review.pictures.pictures_of(context, queue.model),
        who=options.who or user_name(),
        title=f"{pipeline.name} · {variant.name}" if variant.is_of_matrix else pipeline.name,
        advice=advice,
        photographs=_photographs(options, variant) if queue.of_detected else None,
        folder=pipeline.folder,
        tests=_has_test_dataset(variant),
    )
    # Whoever has the address may decide, so that it holds a secret.
    token = secrets.token_urlsafe(24)
    listener = http.server.listen(HOST, options.port)
    url = f"http://{HOST}:{listener.getsockname()[1]}/{token}/"

    application = review.app.application(session, token)
    with way_in(context.state_dir.absolute(), "review") as open_page:

        def on_ready() -> None:
            if queue.lost:
                gone = doing(queue.lost, "image", "are")
                where = "it was" if queue.lost == 1 else "they were"
                print(f"{gone} not where {where} detected any more, and left out", flush=True)
            images = "1 image" if len(queue.items) == 1 else f"{len(queue.items):,} images"
            print(f"{images} to review at {url}", flush=True)
            print(f"  decisions go to {labels} (Ctrl-C ends the review)", flush=True)
            if not options.no_browser:
                open_page(url)

        http.server.Server(application, listener, on_ready=on_ready).serve_until_stopped()
    state = session.state()
    print(f"{state['decided']:,} decided, in {labels}")
    if state["decided"]:
        if advice:
            print(f"  {advice}")
        again = f"{'then ' if advice else ''}`lfvpipe run {pipeline.file.name}`"
        print(f"  {again} {state['outlook']}")


def _photographs(options: ReviewOptions, variant: Variant) -> Photographs:
    """Return what reads detected images as the model that judged them was shown them."""
    ledger = ledger_of(variant)
    record = ledger.standing_record(variant.name, "model")
    assert record is not None  # the queue has found it
    preparation = training_preparation(variant, ledger, record, command_line("run", options))
    return review.detected.Photographs(preparation.prepare)


def _has_test_dataset(variant: Variant) -> bool:
    """Tell whether an image can be sent to the test dataset: there is one, or will be."""
    pipeline = variant.pipeline
    manifest = pipeline.sources.manifest
    if manifest is not None:
        return manifest.test is not None
    return pipeline.split.test is not None or pipeline.split.own is not None


def _advice(variant: Variant, labels: Path) -> str:
    """Return what to do before a run takes notice of the labels file; empty if it does."""
    pipeline = variant.pipeline
    known = pipeline.sources.labels
    if known is not None and Path(known).absolute() == labels:
        return ""
    is_beside = labels.is_relative_to(pipeline.folder)
    named = (labels.relative_to(pipeline.folder) if is_beside else labels).as_posix()
    return f"Name the file in {pipeline.file.name}, under sources:  labels: {named}"


def _export(options: ReviewOptions, variant: Variant, ledger: Ledger, labels: Path) -> int:
    if not labels.is_file():
        raise UsageError(f"{labels} is not there.", hint="Nothing has been reviewed yet.")
    if options.export == "csv":
        text = review.export.as_csv(labels)
    else:
        index = review.queue.index_of(variant.context, ledger, variant.name)
        lines = review.export.as_manifest(labels, index, variant.context.pipeline.bucket)
        text = "".join(f"{line}\n" for line in lines)
    if options.output:
        insist_outside_state(Path(options.output), options)
        atomic.write_text(Path(options.output), text)
    else:
        sys.stdout.write(text)
    return 0
