"""The project's datasets: kept where they hold the manifests' content, replaced where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Outcome, Word
from lfvpipe.engine.phrases import count, listing
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Leftover, Step, Work
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.lookout.descriptions import describe_dataset, describe_project
from lfvpipe.lookout.failures import ABSENT, LookoutError
from lfvpipe.steps import ownership
from lfvpipe.steps.context import Context
from lfvpipe.steps.datasets.outcome import (
    DatasetFacts,
    DatasetsIdentity,
    DatasetsOutcome,
    DatasetsSaved,
    DatasetState,
)
from lfvpipe.steps.manifests import ManifestsOutcome
from lfvpipe.steps.project import ProjectOutcome, lost_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Json
    from lfvpipe.lookout.api import DatasetType

_STRONGEST_FIRST: tuple[Word, ...] = ("replaced", "created", "updated", "adopted", "unchanged")


class DatasetsStep(Step[Context]):
    """Brings the project's train and test dataset in line with the manifests.

    A project has one dataset of each type, so the step is exclusive: of several configurations in
    a project, one at a time has its datasets there. Where another one has displaced them, that
    alone is no reason to act, since nothing reads the datasets but a training: the step runs again
    once the model step, which needs it, has to run.
    """

    name = "datasets"
    needs = ("manifests", "project")
    exclusive = True

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return the bucket that the service is sent to; the rest comes from the needs."""
        pipeline = context.pipeline
        return settings({"bucket.name": pipeline.bucket.name, "project": pipeline.project})

    def act(self, context: Context, work: Work) -> Outcome:
        """Keep, create, update, replace or delete each of the two datasets, and wait for them."""
        from lfvpipe.steps.datasets.alignment import align, claim

        name = context.pipeline.project
        found = describe_project(context.lookout, name)
        if found is None:
            raise LookoutError(f"Project {name} is not there any more.", code=ABSENT)
        ownership.insist_on_project(context, found, work.lineage)
        manifests = ManifestsOutcome.of(work.upstream).by_split
        words: list[Word] = []
        datasets: dict[DatasetType, DatasetFacts | None] = {}
        for split in DATASET_TYPES:
            word, datasets[split] = align(context, work, found, split, manifests.get(split))
            words.append(word)
        made = [each for each in datasets.values() if each is not None]
        is_ours = context.adopt or all(each.created_by_us for each in made)
        mark = claim(context, work, found) if is_ours else None
        facts = DatasetsOutcome(datasets["train"], datasets["test"], mark)
        project = ProjectOutcome.of(work.upstream)
        digests = {split: manifest.sha256 for split, manifest in manifests.items()}
        identity = DatasetsIdentity(
            project=project.name,
            arn=project.arn,
            endpoint=project.endpoint,
            train=digests.get("train"),
            test=digests.get("test"),
        )
        strongest = next(word for word in _STRONGEST_FIRST if word in words)
        return Outcome(strongest, facts.as_json(), identity.as_json())

    def describe(self, outcome: Outcome) -> str:
        """Return how many images the service found in each dataset."""
        datasets = DatasetsOutcome.from_json(outcome.facts)
        found = {split: datasets.dataset(split) for split in DATASET_TYPES}
        return listing(
            *(count(split, each.stats.get("total", 0)) for split, each in found.items() if each)
        )

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report datasets that went with their project; other losses are for `observe`.

        Another configuration of the project may have only one dataset, and that is no loss.
        """
        identity = DatasetsIdentity.from_json(outcome.identity or {})
        return lost_project(context, identity.project) if identity.endpoint == "embedded" else ()

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report datasets that are gone, unusable, or not the ones that were left here."""
        project = DatasetsIdentity.from_json(outcome.identity or {}).project
        facts = DatasetsOutcome.from_json(outcome.facts)
        reasons = []
        for split in DATASET_TYPES:
            before = facts.dataset(split)
            if before is None:
                continue
            live = describe_dataset(context.lookout, project, split)
            now = DatasetState.of(live)
            if now != before.state:
                after = list(vars(now).values()) if live else []
                then = list(vars(before.state).values())
                reasons.append(Reason("drift", f"{split} dataset", then, after))
        return [*reasons, *_mark_drift(context, facts)]

    def stays(self, outcome: Outcome) -> str | None:
        """See `Step.stays`: where neither dataset is one that this pipeline created."""
        facts = DatasetsOutcome.from_json(outcome.facts)
        made = [each for each in (facts.train, facts.test) if each is not None]
        return None if any(each.created_by_us for each in made) else self.describe(outcome)

    def thing(self, outcome: Outcome) -> Json:
        """See `Step.thing`: an updated dataset is the one that was created."""
        facts = DatasetsOutcome.from_json(outcome.facts)
        made = [facts.dataset(split) for split in DATASET_TYPES]
        created: list[Json] = [each.created if each else None for each in made]
        return [DatasetsIdentity.from_json(outcome.identity or {}).project, *created]

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str | Leftover]:
        """Delete the datasets that this pipeline created and that are still the same ones."""
        project = DatasetsIdentity.from_json(outcome.identity or {}).project
        facts = DatasetsOutcome.from_json(outcome.facts)
        ours: list[DatasetType] = []
        for split in DATASET_TYPES:
            before = facts.dataset(split)
            live = describe_dataset(context.lookout, project, split)
            if (
                before is not None
                and before.created_by_us
                and live is not None
                and DatasetState.of(live).created == before.created
            ):
                ours.append(split)
        return _remove(context, project, ours, facts.mark)

    def abandon(self, context: Context, saved: Facts) -> Sequence[str | Leftover]:
        """Delete the datasets that an unfinished attempt created."""
        project, found = context.pipeline.project, DatasetsSaved.from_json(saved)
        ours = [
            split
            for split in DATASET_TYPES
            if found.creating(split) and describe_dataset(context.lookout, project, split)
        ]
        return _remove(context, project, ours, found.mark)


def _mark_drift(context: Context, facts: DatasetsOutcome) -> Sequence[Reason]:
    """Report a mark of this pipeline that another one replaced, or that was never left."""
    subject = "whose the project is"
    if facts.mark is None:
        made = [each for each in (facts.train, facts.test) if each is not None]
        is_ours = all(each.created_by_us for each in made)
        return [Reason("drift", subject, "this pipeline", "not said yet")] if is_ours else []
    owner = ownership.foreign_owner(context, "", facts.mark)
    return [Reason("drift", subject, "this pipeline", str(owner))] if owner else []


def _remove(
    context: Context, project: str, splits: Sequence[DatasetType], mark: ownership.Mark | None
) -> list[str | Leftover]:
    """Delete datasets, and the project's mark; what another pipeline took over meanwhile stays."""
    from lfvpipe.steps.datasets.calls import delete

    names = {split: f"{split} dataset of project {project}" for split in splits}
    owner = ownership.foreign_owner(context, project, mark)
    if owner is not None:
        return [*ownership.left_to(owner, names.values())]
    for split in splits:
        delete(context, project, split)
    if mark is not None:
        ownership.unclaim(context, mark)
    return [*names.values()]
