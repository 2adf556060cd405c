"""`lfvpipe export`: a trained model with all that judges images by it, for another machine."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lfvpipe import atomic, detector, disk, report
from lfvpipe.cli import formatting, output, run_report
from lfvpipe.cli.options import ModelVariant, Option, PipelineOptions
from lfvpipe.cli.plans import has_unlearnt
from lfvpipe.cli.standing_decision import decide_now, is_by_run
from lfvpipe.cli.usage import UsageError, command_line
from lfvpipe.cli.variant_choice import find_variant
from lfvpipe.cli.variants import ledger_of, open_variants
from lfvpipe.cli.written_places import insist_outside_exports, insist_outside_sources
from lfvpipe.decision import Decision
from lfvpipe.engine.phrases import size
from lfvpipe.errors import UserError
from lfvpipe.report import model_card
from lfvpipe.service.embedded import model_file
from lfvpipe.service.jobs.packaging import component
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
from lfvpipe.steps.intact import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.cli.variants import Variant
    from lfvpipe.detector import Model
    from lfvpipe.report.records import RunRecord

CARD = "card.json"
_MADE = {*component.MADE, CARD, "card.md"}


@dataclass(frozen=True, kw_only=True)
class ExportOptions(PipelineOptions):
    """What `lfvpipe export` reads."""

    variant: ModelVariant = None
    output: Annotated[
        str | None,
        Option(
            "-o",
            "--output",
            metavar="FOLDER",
            about="where to put it; a name with .zip makes an archive (default: the pipeline's name"
            " and the model's version)",
            group="output",
            completes="folder",
        ),
    ] = None


def run(options: ExportOptions) -> int:
    """Write the component and its model card; return 0."""
    variant = find_variant(open_variants(options), options.variant)
    endpoint = variant.pipeline.service.endpoint
    if endpoint != "embedded":
        raise UsageError(
            f"The model is with the service at {endpoint}, not on this machine.",
            hint="There StartModelPackagingJob makes what `export` makes here.",
        )
    again = command_line("run", options)
    found = _run_of(variant, again)
    _insist_on_decision(variant, again)
    version = found.model.get("version")
    to = Path(options.output or f"{variant.pipeline.name}-v{version}").absolute()
    _insist_on_free(to, options.state_root)
    insist_outside_sources(to, variant.pipeline)
    unlearnt = _about_unlearnt(options, variant, found)
    file = _model_of(variant, found)
    model = detector.load(file)
    sha256 = digest_of(file)
    card = model_card.card(found, model.info, sha256)
    scratch = to.with_name(f".{to.name}.incomplete")
    shutil.rmtree(scratch, ignore_errors=True)  # of an export that was killed
    try:
        scratch.mkdir()
    except OSError as error:
        raise UsageError(
            f"Nothing can be made in {to.parent}: {error.strerror}.", hint="Name another with -o."
        ) from error
    try:
        with atomic.as_usual():  # it is for others, too
            folder = _fill(scratch / to.stem, file, model, found, card)
            _put(folder, to)
    except OSError as error:
        said = error.strerror or str(error)
        raise disk.refusal(error) or UsageError(
            f"{formatting.path(to)} cannot be made: {said}.", hint="Name another place with -o."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    files = [to] if to.is_file() else [each for each in to.rglob("*") if each.is_file()]
    print(f"{formatting.path(to)}  {size(sum(each.stat().st_size for each in files))}")
    if to.is_dir():
        print("  python run.py IMAGE…    judges images, with what requirements.txt lists installed")
        print(f"  lfvpipe detect --model {formatting.path(to)} IMAGE…")
    print("  card.md                 what it learnt from, how it did, and what nobody knows")
    if unlearnt:
        print(output.styled(f"note: {unlearnt}", "yellow", stream=sys.stderr), file=sys.stderr)
    return 0


def _run_of(variant: Variant, again: str) -> RunRecord:
    path = run_report.run_file(variant, ledger_of(variant))
    if path is None:
        raise UsageError(
            f"{variant.pipeline.name} has no model yet whose figures are known.",
            hint=f"Run it first, to its end: `{again}`.",
        )
    return report.run_file.load(path)


def _insist_on_decision(variant: Variant, again: str) -> None:
    """Refuse to put a model to work by another decision than its figures were found by.

    Raises:
        UsageError: The pipeline file, or the command line, decides by another than the run did.
    """
    judged = EvaluateOutcome.standing(ledger_of(variant), variant.name)
    if judged is None:
        return
    choice = decide_now(variant, judged)
    if is_by_run(choice, judged):
        return
    decided = choice.decision
    band = "" if decided.above is None else f", with a person from {decided.above:g} on to"
    band += "" if decided.below is None else f" {decided.below:g}"
    raise UsageError(
        f"What is to be decided by ({choice.by}: a score of {decided.threshold:.3g}{band}) is not"
        " what the last run judged by, whose figures the card would have.",
        hint=f"Run it first: `{again}`. Where nothing else changed, it trains nothing.",
    )


def _about_unlearnt(options: ExportOptions, variant: Variant, found: RunRecord) -> str:
    """Return that what the model learnt from has changed since; "" where it has not."""
    try:
        changed = has_unlearnt(options, variant)
    except UserError as error:
        return f"whether anything has changed since run {found.id} cannot be told: {error.message}"
    if not changed:
        return ""
    return (
        f"images, labels or settings have changed since run {found.id}, and the model in here has"
        f" not learnt that: `{command_line('plan', options)}` says what, and"
        f" `{command_line('run', options)}` learns it."
    )


def _model_of(variant: Variant, found: RunRecord) -> Path:
    """Return the model file that a run judged with.

    Raises:
        UserError: It is gone, or no longer the one.
    """
    context = variant.context
    project, version = str(found.model.get("project")), str(found.model.get("version"))
    file = model_file(context.service_dir, context.pipeline.region, project, version)
    if file is None or not file.is_file():
        raise UserError(
            f"The model file of version {version} of {project} is gone.",
            hint="`lfvpipe run` trains it again.",
        )
    wanted = found.model.get("sha256")
    if wanted is not None and digest_of(file) != wanted:
        raise UserError(
            f"{file} is not the model that run {found.id} judged with.",
            hint="`lfvpipe run` makes the report, or the model, again.",
        )
    return file


def _insist_on_free(to: Path, state: Path) -> None:
    """Refuse a place in the state, and to replace what is no export or holds other things."""
    if to.resolve().is_relative_to(state.resolve()):
        raise UsageError(
            f"{formatting.path(to)} is among the state, which `destroy --state` removes.",
            hint="Name another place with -o.",
        )
    insist_outside_exports(to.parent)
    if not to.parent.is_dir():
        raise UsageError(f"{to.parent} is no folder.", hint="Make it, or name another with -o.")
    if not (to.exists() or to.is_symlink()):
        return
    if to.is_symlink() or not to.is_dir() or not _is_export(to):
        raise UsageError(
            f"{formatting.path(to)} is there already, and no export that could be replaced.",
            hint="Name another place with -o, or move it away.",
        )
    if strangers := sorted({each.name for each in to.iterdir()} - _MADE):
        raise UsageError(
            f"{formatting.path(to)} holds what no export made, such as {strangers[0]}.",
            hint="Move that away, as the folder is replaced as a whole, or name another with -o.",
        )


def _is_export(folder: Path) -> bool:
    try:
        found = json.loads((folder / CARD).read_bytes())
    except (OSError, ValueError, RecursionError):
        return not any(folder.iterdir())
    return isinstance(found, dict) and found.get("format") == model_card.FORMAT


def _fill(
    folder: Path, file: Path, model: Model, found: RunRecord, card: Mapping[str, Any]
) -> Path:
    decided = found.decision
    decision = Decision(decided.threshold, decided.above, decided.below) if decided else Decision()
    width, height = model.info.image_size
    recipe = {
        "ModelArn": found.model.get("arn"),
        "ImageWidth": width,
        "ImageHeight": height,
        "MadeBy": f"lfvpipe {found.versions.get('lfvpipe')}",
    }
    component.assemble(folder, file, recipe, decision)
    print("trying it out on an empty image", file=sys.stderr)
    component.try_out(folder, (width, height))
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False), "utf-8")
    (folder / "card.md").write_text(model_card.as_markdown(card), "utf-8")
    return folder


def _put(folder: Path, to: Path) -> None:
    """Put what was made in its place, whole or not at all."""
    if to.suffix.lower() == ".zip":
        archive = folder.with_name("archive.zip")
        component.zip_folder(folder, archive)
        archive.replace(to)
        return
    if to.exists():
        to.rename(folder.with_name("replaced"))
    folder.rename(to)
    atomic.sync_folder(to.parent)
