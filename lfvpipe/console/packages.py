"""Packages: a version with all that judges images by it, for machines without lfvpipe."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, StreamingResponse

from lfvpipe.console.forms import Form
from lfvpipe.console.outputs import output_location
from lfvpipe.console.projects import find_project
from lfvpipe.console.visit import Page, Refusal
from lfvpipe.console.wording import say
from lfvpipe.lookout.statuses import (
    MODEL_TRAINED,
    PACKAGING_JOB_UNFINISHED,
    PackagingJobStatus,
)
from lfvpipe.service.jobs.packaging.job import component_key
from lfvpipe.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from lfvpipe.console.visit import Visit

ARCHES: Final = ("X86_64", "ARM64")
_COMPONENT: Final = "Configuration.Greengrass"
PACKAGING: Final = Form(
    "StartModelPackagingJob",
    {
        "version": "ModelVersion",
        "name": f"{_COMPONENT}.ComponentName",
        "component_version": f"{_COMPONENT}.ComponentVersion",
        "arch": f"{_COMPONENT}.TargetPlatform.Arch",
        "description": "Description",
        "bucket": f"{_COMPONENT}.S3OutputLocation.Bucket",
        "prefix": f"{_COMPONENT}.S3OutputLocation.Prefix",
    },
)
_SHOWN: Final = 50
_MOST_NUMBER: Final = 999_999  # of a component's version, as the API has it


@dataclass(frozen=True)
class Package:
    """A packaging job as its row shows it.

    Attributes:
        job: Its name.
        model: The model's version.
        status: As the API says it.
        message: The StatusMessage.
        description: What whoever asked for it said of it.
        created: When it was asked for.
        greengrass: The component: its name, its version, where it lies, what it is for.
    """

    job: str
    model: str
    status: str
    message: str
    description: str
    created: datetime
    greengrass: Mapping[str, Any]

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Package:
        """Return it of what DescribeModelPackagingJob says."""
        return cls(
            job=described["JobName"],
            model=described["ModelVersion"],
            status=described["Status"],
            message=described.get("StatusMessage", ""),
            description=described.get("ModelPackagingJobDescription", ""),
            created=described["CreationTimestamp"],
            greengrass=described["ModelPackagingConfiguration"]["Greengrass"],
        )

    @property
    def file(self) -> str:
        """What the archive is called; letters, digits, ``-``, ``_`` and ``.``."""
        return f"{self.greengrass['ComponentName']}-{self.greengrass['ComponentVersion']}.zip"

    @property
    def place(self) -> str:
        """The address of the archive."""
        bucket = self.greengrass["S3OutputLocation"]["Bucket"]
        return f"s3://{bucket}/{component_key(self.greengrass)}"

    @property
    def is_made(self) -> bool:
        """Whether it can be downloaded."""
        return self.status == PackagingJobStatus.SUCCEEDED

    @property
    def is_moving(self) -> bool:
        """Whether its status will change by itself."""
        return self.status in PACKAGING_JOB_UNFINISHED


def _find_package(visit: Visit, job: str) -> Package:
    project = visit.path["project"]
    found = visit.client.describe_model_packaging_job(ProjectName=project, JobName=job)
    return Package.of(found["ModelPackagingDescription"])


def _list_jobs(visit: Visit) -> list[Mapping[str, Any]]:
    """Return what ListModelPackagingJobs says, the newest first."""
    pages = visit.client.get_paginator("list_model_packaging_jobs")
    listed = pages.paginate(ProjectName=visit.path["project"])
    return [job for page in listed for job in page["ModelPackagingJobs"]][::-1]


def _show(visit: Visit) -> Response:
    project = find_project(visit.client, visit.path["project"])
    jobs = _list_jobs(visit)
    found = [_find_package(visit, each["JobName"]) for each in jobs[:_SHOWN]]
    trained = [each["ModelVersion"] for each in project.models if each["Status"] in MODEL_TRAINED]
    return visit.show(
        "packages.html.j2",
        project_name=project.name,
        packages=found,
        older=len(jobs) - len(found),
        versions=sorted(trained, key=int, reverse=True),
        arches=ARCHES,
        form=PACKAGING,
        is_followed=any(each.is_moving for each in found),
    )


def _start(visit: Visit) -> Response:
    project, form = visit.path["project"], visit.form
    model = form.get("version", "")
    name = form.get("name", "").strip() or project
    component: dict[str, Any] = {
        "S3OutputLocation": output_location(visit, "console/packages/"),
        "ComponentName": name,
        "ComponentVersion": form.get("component_version", "").strip()
        or _next_version(_list_packages(visit), name, model),
        "TargetPlatform": {"Os": "LINUX", "Arch": form.get("arch", ARCHES[0])},
    }
    told: dict[str, Any] = {"Configuration": {"Greengrass": component}}
    if description := form.get("description", "").strip():
        told["Description"] = description
    visit.client.start_model_packaging_job(ProjectName=project, ModelVersion=model, **told)
    return visit.go("projects", project, "packages", notice=say("packages.begun", version=model))


def _list_packages(visit: Visit) -> Sequence[Package]:
    return [_find_package(visit, each["JobName"]) for each in _list_jobs(visit)]


def _next_version(packages: Sequence[Package], name: str, model: str) -> str:
    """Return the first version ``MODEL.0.N`` that a component of this name does not have yet."""
    taken = {
        each.greengrass["ComponentVersion"]
        for each in packages
        if each.greengrass["ComponentName"] == name and each.status != PackagingJobStatus.FAILED
    }
    numbers = (f"{model}.0.{number}" for number in range(_MOST_NUMBER))
    return next(version for version in numbers if version not in taken)


def _follow(visit: Visit) -> Response:
    """Return the states of packages, in the form in which pages follow versions."""
    states = {
        each["JobName"]: {
            "status": each["Status"],
            "said": say(f"status.{each['Status']}"),
            "percent": None,
            "phrase": "",
            "moving": each["Status"] in PACKAGING_JOB_UNFINISHED,
        }
        for each in _list_jobs(visit)[:_SHOWN]
    }
    return JSONResponse({"versions": states})


def _download(visit: Visit) -> Response:
    """Return a package's archive, as it lies in its bucket."""
    package = _find_package(visit, visit.path["job"])
    if not package.is_made:
        raise Refusal(say("packages.not_made"), 404)
    key = component_key(package.greengrass)
    with suppress(StorageError):  # whose texts name folders of the server
        bucket = visit.service.buckets.bucket(package.greengrass["S3OutputLocation"]["Bucket"])
        found = bucket.head(key)
        if found is not None:
            chunks = bucket.stream(key)
            first = next(chunks, b"")  # to fail while a page can still say so
            return StreamingResponse(
                chain([first], chunks),
                media_type="application/zip",
                headers={
                    "content-disposition": f'attachment; filename="{package.file}"',
                    "content-length": str(found.size),
                },
            )
    raise Refusal(say("packages.gone", place=package.place), 404)


_ALL = "/projects/{project}/packages"
PAGES = (
    Page("GET", _ALL, _show),
    Page("POST", _ALL, _start, form=PACKAGING),
    Page("GET", "/projects/{project}/package-states", _follow),
    Page("GET", f"{_ALL}/{{job}}/archive", _download),
)
