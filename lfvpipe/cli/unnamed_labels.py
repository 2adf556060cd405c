"""A labels file that lies beside the pipeline and that no run reads: what it would change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.dataset.corrections import read_corrections
from lfvpipe.dataset.labels import label_of
from lfvpipe.dataset.selection import read_selection
from lfvpipe.engine.phrases import count_of, listing
from lfvpipe.errors import UserError
from lfvpipe.steps.select.outcome import SelectOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.cli.variants import Variant
    from lfvpipe.config.spec import Pipeline
    from lfvpipe.engine.ledger import Ledger


def usual_labels_file(pipeline: Pipeline) -> Path:
    """Return where `lfvpipe review` keeps decisions where the pipeline names no file."""
    return pipeline.folder / f"{pipeline.name}.labels.jsonl"


def about_unnamed_labels(variant: Variant, ledger: Ledger) -> str:
    """Return what a labels file says that lies there and is not named; "" where there is none."""
    pipeline = variant.pipeline
    file = usual_labels_file(pipeline)
    if pipeline.sources.labels is not None or not file.is_file():
        return ""
    named = f"name it in {pipeline.file.name}, under sources:  labels: {file.name}"
    try:
        effect = _effect(variant, ledger, file)
    except UserError as error:
        return f"{file.name} lies here, and no run reads it; it could not be: {error.message}"
    if not effect:
        return ""
    return f"{file.name} lies here, and no run reads it. It would {effect}: {named}"


def _effect(variant: Variant, ledger: Ledger, file: Path) -> str:
    """Return what the file would change, as what follows `would`; "" for nothing.

    Raises:
        UserError: The file, or the selection, cannot be read.
    """
    pipeline = variant.pipeline
    named = replace(pipeline, sources=replace(pipeline.sources, labels=str(file)))
    corrections = read_corrections(named)
    decided = len(corrections.by_image) + len(corrections.by_name)
    standing = SelectOutcome.standing(ledger, variant.name)
    place = variant.context.state_dir / standing.selection if standing else None
    if place is None or not place.is_file():
        return f"decide about {count_of(decided, 'image')}" if decided else ""
    images = list(read_selection(place))
    changed = [(image, corrections.apply(image)) for image in images]
    left_out = sum(after is None for _, after in changed)
    moved = sum(after is not None and after != before for before, after in changed)
    there = {(image.source, image.member) for image in images}
    others = [d for key, (_, d) in corrections.by_image.items() if key not in there]
    more = sum(label_of(each.label) is not None for each in others)
    return listing(
        f"change {count_of(moved, 'image')}" if moved else "",
        f"leave {count_of(left_out, 'image')} out" if left_out else "",
        f"add {count_of(more, 'image')}" if more else "",
    )
