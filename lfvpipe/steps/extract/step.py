"""The extract step's face; how images are extracted is in `extraction`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import CodeVersion, settings
from lfvpipe.engine.phrases import count, listing, size
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract import preparation
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.extract.settings import image_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Outcome
    from lfvpipe.engine.step import Work


class ExtractStep(Step[Context]):
    """Extracts only what was selected, and of that only what is not there yet."""

    name = "extract"
    needs = ("select",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """See `Step.inputs`."""
        declared = context.pipeline.sources.manifest is not None
        return [
            *settings(image_settings(context.pipeline.images)),
            # Ledgers of 0.1.0 do not know it; they were made with version 2.
            CodeVersion("preparation", preparation.VERSION, unrecorded=2),
            # Since version 2 the types of a mask are those that it shows, not all that it may.
            *([CodeVersion("mask-types", 2, unrecorded=1)] if declared else []),
        ]

    def act(self, context: Context, work: Work) -> Outcome:
        """See `Step.act`; raises ArchiveError, StorageError and ExtractError."""
        from lfvpipe.steps.extract.extraction import extract

        return extract(context, work)

    def describe(self, outcome: Outcome) -> str:
        """Return how many images there are, and what became of them."""
        extracted = ExtractOutcome.from_json(outcome.facts)
        return listing(
            count("images", extracted.images),
            size(extracted.bytes),
            count("new", extracted.new),
            count("unreadable", extracted.unreadable),
        )

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """See `Step.missing`; one pass over the folders, compared with the index."""
        from lfvpipe.dataset.index import read_file_sizes
        from lfvpipe.steps.extract.journal import file_sizes

        facts = ExtractOutcome.from_json(outcome.facts)
        for file in (facts.index, facts.notes):
            if not (context.state_dir / file).is_file():
                return (Reason("output-missing", file),)
        indexed = read_file_sizes(context.state_dir / facts.index)
        sizes = file_sizes(context.state_dir / "images", "images/")
        gone = [path for path, size in indexed if sizes.get(path) != size]
        if not gone:
            return ()
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        return (Reason("output-missing", f"{gone[0]}{more}"),)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """See `Step.destroy`."""
        import shutil

        facts = ExtractOutcome.from_json(outcome.facts)
        removed = []
        for file in (context.state_dir / facts.index, context.state_dir / facts.notes):
            if file.is_file():
                file.unlink()
                removed.append(str(file))
        images = context.state_dir / "images"
        if images.is_dir():
            shutil.rmtree(images)
            removed.append(str(images))
        return removed
