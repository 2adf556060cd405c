"""The extract step's face; how images are extracted is in `extraction`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.atomic import remove_folder
from lfvpipe.engine.inputs import CodeVersion, settings
from lfvpipe.engine.phrases import count, listing, size
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract import preparation
from lfvpipe.steps.extract.outcome import ExtractOutcome, watermark_of
from lfvpipe.steps.extract.settings import image_settings
from lfvpipe.steps.intact import has_digest, losses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Facts, Outcome
    from lfvpipe.engine.reasons import Code
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

        if not work.saved:  # there may be images from now on, which `abandon` is to remove
            work.save(images="images")
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
        """See `Step.missing`; one pass over the folders, compared with how they stood."""
        from pathlib import PurePosixPath

        from lfvpipe.dataset.index import read_pieces

        facts = ExtractOutcome.from_json(outcome.facts)
        # The notes are named after their digest, which is not among the facts.
        digests = {facts.index: facts.digest, facts.notes: PurePosixPath(facts.notes).stem}
        tests = {file: has_digest(digest) for file, digest in digests.items()}
        if lost := losses(context, "extract", tests):
            return lost
        index = context.state_dir / facts.index
        bad = watermark_of(context, facts).damaged(lambda: read_pieces(index))
        if not bad:
            return ()
        is_there = (context.state_dir / bad[0]).is_file()
        code: Code = "output-damaged" if is_there else "output-missing"
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        return (Reason(code, f"{bad[0]}{more}"),)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """See `Step.destroy`."""
        facts = ExtractOutcome.from_json(outcome.facts)
        removed = []
        for file in (context.state_dir / facts.index, context.state_dir / facts.notes):
            if file.is_file():
                file.unlink()
                removed.append(str(file))
        return [*removed, *self.abandon(context, {})]

    def abandon(self, context: Context, _saved: Facts) -> Sequence[str]:
        """See `Step.abandon`: remove the images."""
        images = context.state_dir / "images"
        if not images.is_dir():
            return ()
        remove_folder(images)
        return (str(images),)
