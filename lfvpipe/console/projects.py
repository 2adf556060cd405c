"""The projects: all of them, and one with what it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lfvpipe.console.forms import Form
from lfvpipe.console.visit import Page, Refusal
from lfvpipe.console.wording import say
from lfvpipe.lookout.api import DATASET_TYPES

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.responses import Response

    from lfvpipe.console.visit import Visit
    from lfvpipe.lookout.client import LookoutClient


CREATION: Final = Form("CreateProject", {"name": "ProjectName"})


@dataclass(frozen=True)
class Project:
    """A project as its card shows it.

    Attributes:
        train: The statistics of its training dataset, as DescribeDataset has them; None for none.
        test: Those of its test dataset.
        models: Its versions as ListModels has them, the newest first.
    """

    name: str
    arn: str
    created: datetime
    train: Any
    test: Any
    models: list[Any]

    @property
    def is_empty(self) -> bool:
        """Whether it can be deleted: the API deletes no project that has something."""
        return self.train is None and self.test is None and not self.models


def find_project(client: LookoutClient, name: str) -> Project:
    """Return a project with its datasets and models.

    Raises:
        ClientError: There is none.
    """
    described = client.describe_project(ProjectName=name)["ProjectDescription"]
    kinds = {each["DatasetType"] for each in described["Datasets"]}
    datasets = {
        kind: client.describe_dataset(ProjectName=name, DatasetType=kind)["DatasetDescription"]
        for kind in DATASET_TYPES
        if kind in kinds
    }
    return Project(
        name=described["ProjectName"],
        arn=described["ProjectArn"],
        created=described["CreationTimestamp"],
        train=datasets.get("train"),
        test=datasets.get("test"),
        models=find_models(client, name),
    )


def find_models(client: LookoutClient, project: str) -> list[Any]:
    """Return a project's versions as ListModels has them, the newest first.

    Raises:
        ClientError: There is no such project.
    """
    listed = client.get_paginator("list_models").paginate(ProjectName=project)
    models = [model for page in listed for model in page["Models"]]
    return sorted(models, key=lambda model: int(model["ModelVersion"]), reverse=True)


def _show_all(visit: Visit) -> Response:
    listed = visit.client.get_paginator("list_projects").paginate()
    names = [project["ProjectName"] for page in listed for project in page["Projects"]]
    found = [find_project(visit.client, name) for name in names]
    return visit.show("projects.html.j2", projects=found, form=CREATION)


def _create(visit: Visit) -> Response:
    name = visit.form.get("name", "").strip()
    visit.client.create_project(ProjectName=name)
    return visit.go("projects", name, notice=say("projects.created", name=name))


def _show_one(visit: Visit) -> Response:
    project = find_project(visit.client, visit.path["project"])
    return visit.show(
        "project.html.j2",
        project=project,
        project_name=project.name,
        pipeline=visit.datasets.pipelines.find(project.name),
    )


def _delete(visit: Visit) -> Response:
    name = visit.path["project"]
    if visit.form.get("name", "").strip() != name:
        raise Refusal.of_field("name", say("projects.type_its_name", name=name))
    visit.client.delete_project(ProjectName=name)
    return visit.go("projects", notice=say("projects.deleted", name=name))


PAGES = (
    Page("GET", "/projects", _show_all),
    Page("POST", "/projects", _create, form=CREATION),
    Page("GET", "/projects/{project}", _show_one),
    Page("POST", "/projects/{project}/delete", _delete),
)
