"""The project: adopted where it exists, created where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Outcome, Word
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.lookout.descriptions import describe_project, timestamp
from lfvpipe.lookout.failures import CONFLICT, FAILED, LookoutError, explained
from lfvpipe.steps.attempts import attempt_token
from lfvpipe.steps.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.lookout.descriptions import Description


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
            return self._create(context, work)
        ours = work.saved.get("creating") == name or _ours_before(work.previous, found)
        known = work.previous is not None and work.previous.facts.get("arn") == found["ProjectArn"]
        return _outcome("unchanged" if known else "adopted", found, context, ours)

    def _create(self, context: Context, work: Work) -> Outcome:
        name = context.pipeline.project
        token = attempt_token(work, "create")
        work.save(creating=name)  # killed from here on, the next attempt knows the project as ours
        ours = True
        try:
            with explained(f"creating project {name}"):
                context.lookout.create_project(ProjectName=name, ClientToken=token)
        except LookoutError as error:
            if error.code not in {"", FAILED}:  # refused, so none of ours will be there
                work.save(creating=None)
            if error.code != CONFLICT:
                raise
            ours = False  # somebody else was quicker
        found = describe_project(context.lookout, name)
        if found is None:
            raise LookoutError(
                f"project {name} is not there after its creation",
                hint="it may have been deleted meanwhile; run again",
            )
        return _outcome("created" if ours else "adopted", found, context, ours)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a project that is gone."""
        found = describe_project(context.lookout, str(outcome.facts["name"]))
        if found is None:
            return [Reason("drift", "project", outcome.facts["name"], None)]
        return []

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Delete the project if this pipeline created it and it is empty."""
        found = describe_project(context.lookout, str(outcome.facts["name"]))
        return _delete_if_empty(context, found) if _ours_before(outcome, found) else []

    def abandon(self, context: Context, saved: Facts) -> Sequence[str]:
        """Delete the project that an unfinished attempt created, if it is empty."""
        if not saved.get("creating"):
            return []
        return _delete_if_empty(context, describe_project(context.lookout, str(saved["creating"])))


def _delete_if_empty(context: Context, found: Description | None) -> list[str]:
    if found is None or _holds_something(context, found):
        return []
    name = found["ProjectName"]
    with explained(f"deleting project {name}"):
        context.lookout.delete_project(ProjectName=name)
    return [f"project {name}"]


def _ours_before(outcome: Outcome | None, found: Description | None) -> bool:
    """Tell whether `outcome` created the very project that was `found`, not a later namesake."""
    if outcome is None or found is None or not outcome.facts.get("created_by_us"):
        return False
    created = timestamp(found.get("CreationTimestamp"))
    return outcome.facts.get("created") == created


def _holds_something(context: Context, found: Description) -> bool:
    name = found["ProjectName"]
    with explained(f"listing the models of project {name}"):
        models = context.lookout.list_models(ProjectName=name)["Models"]
    return bool(found.get("Datasets") or models)


def _outcome(word: Word, found: Description, context: Context, ours: bool) -> Outcome:
    identity = {
        "arn": found["ProjectArn"],
        "name": found["ProjectName"],
        "endpoint": context.pipeline.service.endpoint,
    }
    facts = identity | {
        "created": timestamp(found.get("CreationTimestamp")),
        "created_by_us": ours,
    }
    return Outcome(word, facts, identity)
