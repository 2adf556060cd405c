"""A project's model versions: to train them, to host them, to tag and to delete them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from lfvpipe.console.forms import Form
from lfvpipe.console.outputs import output_location
from lfvpipe.console.projects import find_models, find_project
from lfvpipe.console.visit import Page, Refusal, read_number
from lfvpipe.console.wording import say
from lfvpipe.lookout.progress import TrainingProgress
from lfvpipe.lookout.statuses import (
    MODEL_HOSTING,
    MODEL_STARTABLE,
    MODEL_STOPPABLE,
    MODEL_TRAINED,
    ModelStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from lfvpipe.console.visit import Visit
    from lfvpipe.lookout.api import Tag

_MOVING = frozenset(
    {
        ModelStatus.TRAINING,
        ModelStatus.STARTING_HOSTING,
        ModelStatus.STOPPING_HOSTING,
        ModelStatus.SYSTEM_UPDATING,
        ModelStatus.DELETING,
    }
)


TRAINING: Final = Form(
    "CreateModel",
    {
        "description": "Description",
        "tag_key": "Tags.[].Key",
        "tag_value": "Tags.[].Value",
        "bucket": "OutputConfig.S3Location.Bucket",
        "prefix": "OutputConfig.S3Location.Prefix",
    },
)
TAGGING: Final = Form("TagResource", {"tag_key": "Tags.[].Key", "tag_value": "Tags.[].Value"})
HOSTING: Final = Form("StartModel", {"least": "MinInferenceUnits", "most": "MaxInferenceUnits"})


@dataclass(frozen=True)
class Version:
    """A model version as its row shows it.

    Attributes:
        status: As the API says it.
        message: The StatusMessage.
        f1: Like `precision` and `recall`; None where the service has none.
        hosted_since: When its hosting was asked for, in epoch seconds; None unless it is hosted.
    """

    version: str
    arn: str
    created: datetime
    description: str
    status: str
    message: str
    f1: float | None
    precision: float | None
    recall: float | None
    hosted_since: float | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any], since: Mapping[str, float]) -> Version:
        """Return it of what ListModels or DescribeModel says, and when hostings were asked for."""
        figures = said.get("Performance", {})
        hosted = said["Status"] in MODEL_HOSTING
        return cls(
            version=said["ModelVersion"],
            arn=said["ModelArn"],
            created=said["CreationTimestamp"],
            description=said.get("Description", ""),
            status=said["Status"],
            message=said.get("StatusMessage", ""),
            f1=figures.get("F1Score"),
            precision=figures.get("Precision"),
            recall=figures.get("Recall"),
            hosted_since=since.get(said["ModelVersion"]) if hosted else None,
        )

    @property
    def progress(self) -> TrainingProgress | None:
        """How far its training is; None where it is in none."""
        return TrainingProgress.from_message(self.message) if self.is_training else None

    @property
    def is_training(self) -> bool:
        """Whether it can be cancelled."""
        return self.status == ModelStatus.TRAINING

    @property
    def is_trained(self) -> bool:
        """Whether its training succeeded."""
        return self.status in MODEL_TRAINED

    @property
    def is_moving(self) -> bool:
        """Whether its status will change by itself."""
        return self.status in _MOVING

    @property
    def can_start(self) -> bool:
        """Whether its hosting can be started."""
        return self.status in MODEL_STARTABLE

    @property
    def can_stop(self) -> bool:
        """Whether its hosting can be stopped."""
        return self.status in MODEL_STOPPABLE

    @property
    def can_delete(self) -> bool:
        """Whether it can be deleted."""
        going = (ModelStatus.TRAINING, ModelStatus.DELETING)
        return self.status not in MODEL_HOSTING and self.status not in going

    @property
    def state(self) -> Mapping[str, Any]:
        """What a page that is open follows."""
        progress = self.progress
        return {
            "status": self.status,
            "said": say(f"status.{self.status}"),
            "percent": None if progress is None else progress.percent,
            "phrase": "" if progress is None else progress.phrase,
            "moving": self.is_moving,
        }


def find_versions(visit: Visit, project: str) -> list[Version]:
    """Return a project's versions, the newest first.

    Raises:
        ClientError: There is no such project.
    """
    return versions_of(visit, project, find_models(visit.client, project))


def versions_of(visit: Visit, project: str, models: Iterable[Any]) -> list[Version]:
    """Return a project's versions of what ListModels says, in its order."""
    since = visit.service.versions.hosted_since(project)
    return [Version.of(model, since) for model in models]


def find_version(visit: Visit) -> Version:
    """Return the version that the path names.

    Raises:
        ClientError: There is none.
    """
    described = visit.client.describe_model(**_named(visit))["ModelDescription"]
    return Version.of(described, visit.service.versions.hosted_since(visit.path["project"]))


def _named(visit: Visit) -> dict[str, Any]:
    return {"ProjectName": visit.path["project"], "ModelVersion": visit.path["version"]}


def _show_all(visit: Visit) -> Response:
    project = find_project(visit.client, visit.path["project"])
    found = find_versions(visit, project.name)
    images = visit.service.images
    return visit.show(
        "models.html.j2",
        project_name=project.name,
        versions=found,
        is_followed=any(each.is_moving for each in found),
        trained=[each.version for each in found if each.is_trained],
        has_images=project.train is not None,
        is_short=bool(images.shortages(project.name)) or images.mask_faults(project.name).is_any,
        form=TRAINING,
    )


def _train(visit: Visit) -> Response:
    project = visit.path["project"]
    told: dict[str, Any] = {"Tags": _tags(visit)}
    if description := visit.form.get("description", "").strip():
        told["Description"] = description
    location = output_location(visit, "console/evaluations/")
    told["OutputConfig"] = {"S3Location": location}
    made = visit.client.create_model(ProjectName=project, **told)["ModelMetadata"]
    version = made["ModelVersion"]
    return visit.go("projects", project, "models", notice=say("models.begun", version=version))


def _tags(visit: Visit) -> Sequence[Tag]:
    """Return the tags that a form names: pairs of fields, those without a key left out.

    Raises:
        Refusal: There is a value without a key.
    """
    keys = [value.strip() for name, value in visit.fields if name == "tag_key"]
    values = [value for name, value in visit.fields if name == "tag_value"]
    pairs = list(zip(keys, values, strict=False))
    if any(value and not key for key, value in pairs):
        raise Refusal.of_field("tag_key", say("models.tag_without_key"))
    return [{"Key": key, "Value": value} for key, value in pairs if key]


def _follow(visit: Visit) -> Response:
    found = find_versions(visit, visit.path["project"])
    return JSONResponse({"versions": {each.version: each.state for each in found}})


def _cancel(visit: Visit) -> Response:
    project, version = visit.path["project"], visit.path["version"]
    visit.service.versions.cancel_training(project, version)
    return visit.go("projects", project, "models", notice=say("models.cancelled", version=version))


def _start(visit: Visit) -> Response:
    least, most = _units(visit, "least"), _units(visit, "most")
    told: dict[str, Any] = {"MinInferenceUnits": 1 if least is None else least}
    if most is not None:
        told["MaxInferenceUnits"] = most
        if most < told["MinInferenceUnits"]:
            raise Refusal.of_field("most", say("models.most_below"))
    visit.client.start_model(**_named(visit), **told)
    return go_to(visit, say("models.starting", version=visit.path["version"]))


def _units(visit: Visit, name: str) -> int | None:
    """Return how many units a field names; None where it is empty."""
    text = visit.form.get(name, "").strip()
    if not text:
        return None
    number = read_number(text)
    if number is None:
        allowed = visit.service.quotas.inference_units
        raise Refusal.of_field(name, say("models.no_units", most=allowed))
    return number


def _stop(visit: Visit) -> Response:
    visit.client.stop_model(**_named(visit))
    return go_to(visit, say("models.stopping", version=visit.path["version"]))


def _delete(visit: Visit) -> Response:
    project, version = visit.path["project"], visit.path["version"]
    name = name_of(project, version)
    if visit.form.get("name", "").strip() != name:
        raise Refusal.of_field("name", say("models.type_its_name", name=name))
    visit.client.delete_model(**_named(visit))
    return visit.go("projects", project, "models", notice=say("models.deleted", version=version))


def name_of(project: str, version: str) -> str:
    """Return what is typed to delete a version."""
    return f"{project}/{version}"


def _tag(visit: Visit) -> Response:
    tags = _tags(visit)
    if not tags:
        raise Refusal.of_field("tag_key", say("models.tag_without_key"))
    visit.client.tag_resource(ResourceArn=find_version(visit).arn, Tags=tags)
    return go_to(visit, say("models.tagged"))


def _untag(visit: Visit) -> Response:
    key = visit.form.get("tag_key", "")
    visit.client.untag_resource(ResourceArn=find_version(visit).arn, TagKeys=[key])
    return go_to(visit, say("models.untagged"))


def go_to(visit: Visit, notice: str) -> Response:
    """Return what leads to the page of the version that the path names, which says `notice`."""
    return visit.go(
        "projects", visit.path["project"], "models", visit.path["version"], notice=notice
    )


_ALL = "/projects/{project}/models"
_ONE = f"{_ALL}/{{version}}"
PAGES = (
    Page("GET", _ALL, _show_all),
    Page("POST", _ALL, _train, form=TRAINING),
    Page("GET", "/projects/{project}/model-states", _follow),
    Page("POST", f"{_ONE}/cancel", _cancel),
    Page("POST", f"{_ONE}/start", _start, form=HOSTING),
    Page("POST", f"{_ONE}/stop", _stop),
    Page("POST", f"{_ONE}/delete", _delete),
    Page("POST", f"{_ONE}/tag", _tag, form=TAGGING),
    Page("POST", f"{_ONE}/untag", _untag),
)
