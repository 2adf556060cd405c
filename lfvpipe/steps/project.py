"""The project: adopted where it exists, created where it does not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from lfvpipe.engine.facts import ABSENT_IF_NONE, StepFacts, StepOutcome
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Outcome, Word
from lfvpipe.engine.phrases import listing
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Leftover, Step, Work
from lfvpipe.lookout import tags
from lfvpipe.lookout.descriptions import describe_project, describe_tags, timestamp
from lfvpipe.lookout.failures import CONFLICT, FAILED, LookoutError, explained
from lfvpipe.steps import ownership
from lfvpipe.steps.attempts import SavedFacts, attempt_token
from lfvpipe.steps.context import Context
from lfvpipe.steps.intact import losses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.outcome import Json
    from lfvpipe.lookout.descriptions import Description


@dataclass(frozen=True)
class ProjectIdentity(StepFacts):
    """What later steps depend on; a project's ARN alone is the same on every service."""

    arn: str
    name: str
    endpoint: str


@dataclass(frozen=True)
class ProjectOutcome(ProjectIdentity, StepOutcome):
    """The project.

    Attributes:
        created: When, as the service says.
        created_by_us: Whether this pipeline created it, so that `destroy` may delete it.
        lineage: The ledger's. None in one from before projects had an owner.
    """

    step: ClassVar[str] = "project"

    created: str | None
    created_by_us: bool
    lineage: str | None = field(default=None, metadata=ABSENT_IF_NONE)


@dataclass(frozen=True)
class ProjectSaved(SavedFacts):
    """The project that an attempt was about to create."""

    creating: str | None = None
    lineage: str | None = None


class ProjectStep(Step[Context]):
    """Creates or adopts the project that datasets and models belong to."""

    name = "project"
    needs = ("check",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return where the project is and what it is called."""
        pipeline = context.pipeline
        return settings(
            {
                "project": pipeline.project,
                "region": pipeline.region,
                "service.endpoint": pipeline.service.endpoint,
            }
        )

    def act(self, context: Context, work: Work) -> Outcome:
        """Look for the project and create it if it is not there."""
        name = context.pipeline.project
        found = describe_project(context.lookout, name)
        if found is None:
            return _create(context, work)
        _insist_that_it_is_free(context, work, found)
        before = ProjectOutcome.from_json(work.previous.facts) if work.previous else None
        ours = ProjectSaved.of(work).creating == name or _is_ours(before, found)
        is_known = before is not None and before.arn == found["ProjectArn"]
        word: Word = "unchanged" if is_known else "adopted"
        return _outcome(word, found, context, work, ours)

    def describe(self, outcome: Outcome) -> str:
        """Return which project it is."""
        project = ProjectOutcome.from_json(outcome.facts)
        return listing(project.name, project.endpoint)

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a project that the embedded service's state has lost."""
        facts = ProjectOutcome.from_json(outcome.facts)
        return lost_project(context, facts.name) if facts.endpoint == "embedded" else ()

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a project that is gone."""
        name = ProjectOutcome.from_json(outcome.facts).name
        if describe_project(context.lookout, name) is None:
            return [Reason("drift", "project", name, None)]
        return []

    def stays(self, outcome: Outcome) -> str | None:
        """See `Step.stays`: what this pipeline did not create."""
        is_ours = ProjectOutcome.from_json(outcome.facts).created_by_us
        return None if is_ours else self.describe(outcome)

    def thing(self, outcome: Outcome) -> Json:
        """See `Step.thing`."""
        facts = ProjectOutcome.from_json(outcome.facts)
        return [facts.endpoint, facts.name, facts.created]

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str | Leftover]:
        """Delete the project if this pipeline created it and it is empty."""
        facts = ProjectOutcome.from_json(outcome.facts)
        found = describe_project(context.lookout, facts.name)
        is_ours = found is not None and _is_ours(facts, found)
        return _delete_if_empty(context, found, facts.lineage) if found and is_ours else []

    def abandon(self, context: Context, saved: Facts) -> Sequence[str | Leftover]:
        """Delete the project that an unfinished attempt created, if it is empty."""
        attempt = ProjectSaved.from_json(saved)
        found = describe_project(context.lookout, attempt.creating) if attempt.creating else None
        return _delete_if_empty(context, found, attempt.lineage) if found else []


def owns_project(context: Context, ledger: Ledger) -> bool:
    """Tell whether the project is this pipeline's, and so what is kept under its name.

    It is where a run of this pipeline came to the project, and no other has taken it over since.

    Raises:
        StorageError: The bucket, in which a pipeline says what is its own, cannot be read.
    """
    project, region = context.pipeline.project, context.pipeline.region
    facts = [
        ProjectOutcome.from_json(outcome.facts)
        for record in ledger.records(ProjectOutcome.step)
        for outcome in record.outcomes
    ]
    if not any(each.name == project and each.arn.split(":")[3] == region for each in facts):
        return False
    found = describe_project(context.lookout, project)
    owner = ownership.owner_of(context, found) if found else None
    return owner is None or owner.lineage == ledger.lineage


def _insist_that_it_is_free(context: Context, work: Work, found: Description) -> None:
    """Refuse another pipeline's project now, before anything is uploaded, if that can be told."""
    from lfvpipe.storage import StorageError

    with suppress(StorageError):  # the bucket's own step says so, and `datasets` looks again
        ownership.insist_on_project(context, found, work.lineage)


def lost_project(context: Context, name: str) -> list[Reason]:
    """Return whether, and why, the embedded service's state has no such project any more."""
    import sqlite3

    from lfvpipe.service import looks

    file = looks.find_folder(context.service_dir, context.pipeline.region) / looks.STATE
    try:
        if looks.has_project(context.service_dir, context.pipeline.region, name):
            return losses(context, "service", {str(file): lambda _: not looks.damage_of(file)})
    except looks.StateDamaged as error:
        return [Reason("output-damaged", f"{file} ({error})")]
    except sqlite3.Error:  # another process has it, or it may not be read: the service will say so
        return []
    return [Reason("output-missing", f"project {name} in {file}")]


def _create(context: Context, work: Work) -> Outcome:
    name = context.pipeline.project
    token = attempt_token(work, "create")
    # Killed from here on, the next attempt knows the project as ours.
    ProjectSaved(creating=name, lineage=work.lineage).save(work)
    ours = True
    try:
        with explained(f"creating project {name}"):
            context.lookout.create_project(ProjectName=name, ClientToken=token)
    except LookoutError as error:
        # Without an answer, or with one that the service failed, it may have been created all
        # the same; with any other it was refused, so none of ours will be there.
        if error.code not in {"", FAILED}:
            ProjectSaved().save(work)
        if error.code != CONFLICT:
            raise
        ours = False  # somebody else was quicker
    found = describe_project(context.lookout, name)
    if found is None:
        raise LookoutError(
            f"Project {name} is not there after its creation.",
            hint="It may have been deleted meanwhile; run again.",
        )
    return _outcome("created" if ours else "adopted", found, context, work, ours)


def _delete_if_empty(
    context: Context, found: Description, lineage: str | None
) -> list[str | Leftover]:
    name = found["ProjectName"]
    thing = f"project {name}"
    owner = ownership.owner_of(context, found)
    if owner is not None and owner.lineage != lineage:
        return [*ownership.left_to(owner, [thing])]
    with explained(f"listing the models of project {name}"):
        models = context.lookout.list_models(ProjectName=name)["Models"]
    if models or found.get("Datasets"):
        return [Leftover(thing, f"it holds {_whose(context, models)}")]
    with explained(f"deleting project {name}"):
        context.lookout.delete_project(ProjectName=name)
    return [thing]


def _whose(context: Context, models: Sequence[Description]) -> str:
    """Say what a project holds that this pipeline did not make, by the tags of the models."""
    made_by = {describe_tags(context.lookout, model).get(tags.PIPELINE) for model in models}
    named = sorted(filter(None, made_by))
    if named:
        return f"models of pipeline {', '.join(named)}"
    return "datasets or models that this pipeline did not make"


def _is_ours(facts: ProjectOutcome | None, found: Description) -> bool:
    """Tell whether the pipeline created the very project that was found, not a later namesake."""
    if facts is None or not facts.created_by_us:
        return False
    return facts.created == timestamp(found.get("CreationTimestamp"))


def _outcome(word: Word, found: Description, context: Context, work: Work, ours: bool) -> Outcome:
    identity = ProjectIdentity(
        arn=found["ProjectArn"],
        name=found["ProjectName"],
        endpoint=context.pipeline.service.endpoint,
    )
    facts = ProjectOutcome(
        **vars(identity),
        created=timestamp(found.get("CreationTimestamp")),
        created_by_us=ours,
        lineage=work.lineage,
    )
    return Outcome(word, facts.as_json(), identity.as_json())
