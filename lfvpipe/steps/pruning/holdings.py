"""Which files of this machine an outcome has, so that it can be told how much room they take."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import read_objects
from lfvpipe.dataset.lines import DamagedLine
from lfvpipe.engine.facts import FactsError
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.manifests import ManifestsOutcome
from lfvpipe.steps.model.outcome import ModelOutcome
from lfvpipe.steps.pruning.scale import files_below
from lfvpipe.steps.report import ReportOutcome
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.upload.outcome import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfvpipe.engine.outcome import Outcome
    from lfvpipe.steps.context import Context


def files_of(context: Context, step: str, outcome: Outcome) -> list[Path]:
    """Return the files that go with an outcome; what cannot be told, or is elsewhere, has none."""
    found: list[Path] = []
    with suppress(FactsError, DamagedLine, OSError):
        found.extend(_files_of(context, step, outcome))
    return found


def _files_of(  # noqa: C901  (a case a step)
    context: Context, step: str, outcome: Outcome
) -> Iterator[Path]:
    folder, facts = context.state_dir, outcome.facts
    match step:
        case "select":
            yield from (folder / name for name in SelectOutcome.from_json(facts).files)
        case "extract":
            extract = ExtractOutcome.from_json(facts)
            yield from (folder / extract.index, folder / extract.notes)
            yield from files_below(folder / "images")
        case "check":
            yield from files_below(folder / "check")
        case "upload":
            to = Destination.from_json(facts)
            if to.endpoint == "local":
                bucket = context.buckets_dir / to.name
                pieces = read_objects(folder / to.index)
                yield from (bucket / f"{to.prefix}{piece.path}" for piece in pieces)
        case "manifests":
            if (outcome.identity or {}).get("endpoint") == "local":
                manifests = ManifestsOutcome.from_json(facts)
                yield from (context.buckets_dir / manifests.bucket / key for key in manifests.ours)
        case "model":
            yield from _model_files(context, ModelOutcome.from_json(facts))
        case "evaluate":
            said = EvaluateOutcome.from_json(facts)
            named = (said.verdicts, said.test, said.training)
            yield from (folder / each.path for each in named if each is not None)
        case "report":
            report = ReportOutcome.from_json(facts)
            yield from (folder / report.run_file, folder / report.page, folder / "report.html")
            yield from files_below(folder / "heat-maps")


def _model_files(context: Context, facts: ModelOutcome) -> Iterator[Path]:
    if context.pipeline.service.endpoint != "embedded":
        return
    import sqlite3

    from lfvpipe.service import looks

    where = context.service_dir, context.pipeline.region
    with suppress(looks.StateDamaged, sqlite3.Error):
        found = looks.find_model(*where, facts.project, facts.version)
        if found is not None:
            yield from files_below(found.file.parent)
