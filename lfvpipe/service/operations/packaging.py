"""StartModelPackagingJob, DescribeModelPackagingJob, ListModelPackagingJobs."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NotRequired, TypedDict

from lfvpipe.detector.protocol import DEFAULT as DEFAULT_DETECTOR
from lfvpipe.lookout.statuses import MODEL_TRAINED
from lfvpipe.service.faults import conflict, invalid
from lfvpipe.service.jobs.packaging.job import component_key
from lfvpipe.service.operations.base import (
    PAGE,
    OperationContext,
    Result,
    check_output_key,
    read_token,
    write_token,
)
from lfvpipe.service.operations.models import S3Location, conflict_of
from lfvpipe.service.operations.tags import Tag
from lfvpipe.service.runtime import describe_storage
from lfvpipe.service.state import models, packaging_jobs, projects
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.packaging_jobs import PackagingJob

METHOD = "GreengrassV2"
_NVIDIA = ("gpu-code", "trt-ver", "cuda-ver")


class TargetPlatform(TypedDict):
    """What a component is compiled for."""

    Os: str
    Arch: str
    Accelerator: NotRequired[str]


class Greengrass(TypedDict):
    """The component to be made."""

    S3OutputLocation: S3Location
    ComponentName: str
    CompilerOptions: NotRequired[str]
    TargetDevice: NotRequired[str]
    TargetPlatform: NotRequired[TargetPlatform]
    ComponentVersion: NotRequired[str]
    ComponentDescription: NotRequired[str]
    Tags: NotRequired[list[Tag]]


class Configuration(TypedDict):
    """How a model is packaged."""

    Greengrass: Greengrass


@dataclass(frozen=True)
class Packaging:
    """The operations on model packaging jobs."""

    context: OperationContext

    def start_model_packaging_job(
        self,
        tx: Transaction,
        *,
        project_name: str,
        model_version: str,
        configuration: Configuration,
        job_name: str | None = None,
        description: str | None = None,
    ) -> Result:
        """Begin to package a trained model version."""
        model = models.get(tx, project_name, model_version)
        if model.status not in MODEL_TRAINED:
            raise conflict_of(model, f"is {model.status}; only a trained one can be packaged")
        if model.detector != DEFAULT_DETECTOR:  # a component carries our detector's code alone
            other = f"was trained by the detector {model.detector}, whose models are not packaged"
            raise conflict_of(model, other)
        greengrass = configuration["Greengrass"]
        _check_target(greengrass)
        version = greengrass.get("ComponentVersion") or f"{model.version}.0.0"
        _refuse_known_component(tx, greengrass["ComponentName"], version)
        name = job_name or str(uuid.uuid4())
        if packaging_jobs.exists(tx, project_name, name):
            exists = f"project {project_name} has a packaging job {name} already"
            raise conflict("MODEL_PACKAGE_JOB", f"{project_name}/{name}", exists)
        complete = {"Greengrass": {**greengrass, "ComponentVersion": version}}
        bucket = greengrass["S3OutputLocation"]["Bucket"]
        check_output_key(self.context.buckets, bucket, component_key(complete["Greengrass"]))
        packaging_jobs.create(
            tx,
            project=project_name,
            name=name,
            version=model.version,
            configuration=json.dumps(complete),
            description=description,
            storage=describe_storage(self.context.buckets),
            created=self.context.runtime.clock(),
        )
        tx.resource = model.arn
        job = packaging_jobs.get(tx, project_name, name)
        tx.after(partial(self.context.scheduler.reconcile_packaging_job, job))
        return {"JobName": name}

    def describe_model_packaging_job(
        self, tx: Transaction, *, project_name: str, job_name: str
    ) -> Result:
        """Describe a packaging job and the component it made."""
        job = packaging_jobs.get(tx, project_name, job_name)
        tx.after(partial(self.context.scheduler.reconcile_packaging_job, job))
        described = {
            **_metadata(job),
            "ModelPackagingConfiguration": json.loads(job.configuration),
            "ModelPackagingOutputDetails": None if job.output is None else json.loads(job.output),
        }
        return {"ModelPackagingDescription": described}

    def list_model_packaging_jobs(
        self,
        tx: Transaction,
        *,
        project_name: str,
        next_token: str | None = None,
        max_results: int = PAGE,
    ) -> Result:
        """List a project's packaging jobs, oldest first."""
        projects.get(tx, project_name)
        after = read_token(next_token, "packaging", 0)
        found = packaging_jobs.page(tx, project_name, after=after, limit=max_results + 1)
        page = found[:max_results]
        for job in page:
            tx.after(partial(self.context.scheduler.reconcile_packaging_job, job))
        token = write_token(found, max_results, page[-1].id if page else 0, "packaging")
        return {"ModelPackagingJobs": [_metadata(job) for job in page], "NextToken": token}


def _refuse_known_component(tx: Transaction, name: str, version: str) -> None:
    """Refuse a component that exists already, or is in the making."""
    for configuration in packaging_jobs.configurations(tx):
        known = json.loads(configuration)["Greengrass"]
        if (known["ComponentName"], known["ComponentVersion"]) == (name, version):
            exists = f"component {name} {version} exists already; give another version"
            raise conflict("MODEL_PACKAGE_JOB", f"{name}/{version}", exists)


def _check_target(greengrass: Greengrass) -> None:
    device, platform = greengrass.get("TargetDevice"), greengrass.get("TargetPlatform")
    if (device is None) == (platform is None):
        raise invalid("give either targetDevice or targetPlatform")
    options = _options(greengrass.get("CompilerOptions"))
    if device is not None and options:
        raise invalid("compilerOptions are not allowed with targetDevice")
    if platform is not None and platform.get("Accelerator") == "NVIDIA":
        missing = [name for name in _NVIDIA if name not in options]
        if missing:
            raise invalid(f"compilerOptions for NVIDIA lack {', '.join(missing)}")


def _options(text: str | None) -> Mapping[str, Any]:
    if text is None:
        return {}
    try:
        options = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"compilerOptions must be a JSON object: {error}") from error
    if not isinstance(options, dict):
        raise invalid("compilerOptions must be a JSON object")
    return options


def _metadata(job: PackagingJob) -> dict[str, Any]:
    return {
        "JobName": job.name,
        "ProjectName": job.project,
        "ModelVersion": str(job.version),
        "ModelPackagingJobDescription": job.description,
        "ModelPackagingMethod": METHOD,
        "Status": job.status,
        "StatusMessage": job.message,
        "CreationTimestamp": job.created,
        "LastUpdatedTimestamp": job.updated,
    }
