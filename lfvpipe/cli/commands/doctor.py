"""`lfvpipe doctor`: look over all of the state, and repair what can be repaired safely."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from os.path import lexists
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated

from lfvpipe import atomic, damage, engine, report, service, steps
from lfvpipe.cli import formatting, output
from lfvpipe.cli.options import Json, LockOptions, Option
from lfvpipe.cli.variants import Variant, ledger_of, locked, open_variants
from lfvpipe.steps.model import evaluation_files
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.model.evaluation_files import EvaluationDamaged

FOUND = 2
_LOST = frozenset({"output-damaged", "output-missing"})


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(LockOptions):
    """What `lfvpipe doctor` reads."""

    repair: Annotated[
        bool,
        Option("--repair", about="set damaged files aside and restore what there is a copy of"),
    ] = False
    json: Json = False


@dataclass(frozen=True)
class Complaint:
    """Something that is wrong with the state.

    Attributes:
        what: What is wrong, and where.
        remedy: What was done, or is to be done.
        repaired: Nothing is left to do but what a run does by itself.
    """

    what: str
    remedy: str
    repaired: bool = False


def run(options: DoctorOptions) -> int:
    """Print what is wrong and what becomes of it; return 0 where nothing is left, else 2."""
    found = list(_misfits(options.state_root, repair=options.repair))
    with suppress(damage.NoFile):  # told already, and the rest cannot be looked at
        found += _rest(options)
    if options.json:
        output.print_json({"sound": not found, "complaints": [asdict(each) for each in found]})
    else:
        for each in found:
            print(f"{each.what}\n  {each.remedy}")
        if not found:
            print("the state is sound")
    return 0 if all(each.repaired for each in found) else FOUND


def _misfits(root: Path, *, repair: bool) -> Iterator[Complaint]:
    for path in damage.misfits(root):
        what = f"{path} is damaged: {damage.kind_of(path)} is where a file belongs"
        done = f"`lfvpipe doctor --repair` sets it aside and looks at the rest; {_AGAIN}"
        if repair:
            done = f"set aside as {damage.set_aside(path)}; {_AGAIN}"
        yield Complaint(what, done, repair)


_AGAIN = "a run makes it again, or says what does"


def _rest(options: DoctorOptions) -> list[Complaint]:
    variants = open_variants(options)
    if not variants[0].context.state_dir.is_dir():
        return []  # and no folder is made for the lock
    if not options.repair:
        return list(_examine(variants, repair=False))
    with locked("doctor", options, variants[0]):
        return list(_examine(variants, repair=True))


def _examine(variants: tuple[Variant, ...], *, repair: bool) -> Iterator[Complaint]:
    context = variants[0].context
    # What was found right before is read again, whatever its times say.
    rmtree(context.state_dir / steps.VERIFIED, ignore_errors=True)
    yield from _temporary_files(context, repair=repair)
    yield from _run_files(context.state_dir, repair=repair)
    if context.pipeline.service.endpoint == "embedded":
        yield from _service(context.service_dir, repair=repair)
    try:
        ledger_of(variants[0])
    except engine.LedgerDamaged as error:
        complaint = _ledger(error, repair=repair)
        yield complaint
        if not complaint.repaired:
            return
    for variant in variants:
        yield from _outcomes(variant)


def _temporary_files(context: Context, *, repair: bool) -> Iterator[Complaint]:
    """Yield what a kill left."""
    for file in sorted(steps.leftovers(context)):
        if repair:
            file.unlink(missing_ok=True)
        done = "removed" if repair else "`lfvpipe doctor --repair` removes it, and so does a run"
        yield Complaint(f"{file} was left by a command that was killed", done, repair)


def _run_files(folder: Path, *, repair: bool) -> Iterator[Complaint]:
    for file in report.run_file.damaged(folder):
        done = f"`lfvpipe doctor --repair` sets it aside; {_HISTORY}"
        if repair:
            done = f"set aside as {damage.set_aside(file)}; {_HISTORY}"
        yield Complaint(f"{file} is not a run file", done, repair)


_HISTORY = "the history goes without that run"


def _service(folder: Path, *, repair: bool) -> Iterator[Complaint]:
    """Yield what is wrong with the states of all regions, and with their models."""
    looks = service.looks
    for state in sorted({folder / looks.STATE, *folder.glob(f"regions/*/{looks.STATE}")}):
        try:
            fault = looks.damage_of(state) if state.is_file() else None
        except service.errors.StateTooNew as error:
            yield Complaint(error.message, error.hint)
            continue
        if fault is not None:
            done = f"restore it from a copy, or let `lfvpipe doctor --repair` set it aside: {_ANEW}"
            if repair:
                done = f"set aside as {damage.set_aside(state)}: {_ANEW}"
                for beside in ("-wal", "-shm"):
                    state.with_name(state.name + beside).unlink(missing_ok=True)
            yield Complaint(f"{state} is damaged: {fault}", done, repair)
    for file in sorted({*folder.glob("models/*/model.lfv"), *folder.glob("regions/*/models/*/*")}):
        try:
            is_whole = file.suffix != ".lfv" or looks.is_whole_model(file)
        except service.errors.ModelTooNew as error:
            yield Complaint(error.message, error.hint)
            continue
        if not is_whole:
            again = "a run trains this pipeline's again; others' have to be created again"
            yield Complaint(f"{file} is not a whole model", again)


_ANEW = "the next run makes project, data sets and model again"


def _ledger(error: engine.LedgerDamaged, *, repair: bool) -> Complaint:
    if error.backup is None:
        return Complaint(error.message, steps.advise(error))
    if not repair:
        done = "`lfvpipe doctor --repair` restores the one before it, which a run goes on from"
        return Complaint(error.message, done)
    aside = f"set aside as {damage.set_aside(error.path)}, and " if lexists(error.path) else ""
    atomic.write_bytes(error.path, error.backup.read_bytes())
    done = f"{aside}the one before it restored: a run goes on from there"
    return Complaint(error.message, done, repaired=True)


def _outcomes(variant: Variant) -> Iterator[Complaint]:
    """Yield what of the steps' outcomes is damaged or gone, all of which is looked at."""
    ledger = ledger_of(variant)
    plan = engine.plan(variant.steps, variant.context, ledger, variant=variant.name)
    evaluation = {fault.where: (fault, has) for fault, has in _evaluation(variant, ledger)}
    context = variant.context
    region = service.looks.find_folder(context.service_dir, context.pipeline.region)
    state = str(region / service.looks.STATE)
    for row in plan.rows:
        for reason in row.reasons:
            # Told of the service already: a run does not make it again before it is set aside.
            if reason.code == "output-damaged" and reason.subject.startswith(f"{state} ("):
                continue
            if reason.code in _LOST and reason.subject not in evaluation:
                what = f"{row.step}: {formatting.reason(reason)}"
                yield Complaint(what, "the next run makes it again")
    for fault, has_spare in evaluation.values():
        remedy = "the next run writes it again, from the service's copy"
        yield Complaint(fault.message, remedy if has_spare else fault.hint)


def _evaluation(variant: Variant, ledger: Ledger) -> Iterator[tuple[EvaluationDamaged, bool]]:
    """Yield what a training wrote and is damaged: a step that refused it has no outcome to tell."""
    model = ledger.standing_record(variant.name, "model")
    if model is not None and model.outcome is not None:
        facts = ModelOutcome.from_json(model.outcome.facts)
        yield from evaluation_files.damaged(variant.context, facts)
