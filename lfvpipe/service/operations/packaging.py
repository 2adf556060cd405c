"""StartModelPackagingJob, DescribeModelPackagingJob, ListModelPackagingJobs."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NotRequired, TypedDict

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
from lfvpipe.service.runtime import storage_of
from lfvpipe.service.state import find
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.rows import PackagingJob, read

METHOD = "GreengrassV2"
_TRAINED = {"TRAINED", "STARTING_HOSTING", "HOSTED", "STOPPING_HOSTING", "HOSTING_FAILED"}
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
        model = find.model(tx, project_name, model_version)
        if model.status not in _TRAINED:
            raise conflict_of(model, f"is {model.status}; only a trained one can be packaged")
        greengrass = configuration["Greengrass"]
        _check_target(greengrass)
        version = greengrass.get("ComponentVersion") or f"{model.version}.0.0"
        self._require_new_component(tx, greengrass["ComponentName"], version)
        name = job_name or str(uuid.uuid4())
        self._require_new_name(tx, project_name, name)
        complete = {"Greengrass": {**greengrass, "ComponentVersion": version}}
        check_output_key(component_key(complete["Greengrass"]))
        now = self.context.runtime.clock()
        tx.insert(
            "INSERT INTO packaging_jobs (project, name, version, configuration, description,"
            " storage, status, message, created, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, 'CREATED', 'The job was created.', ?, ?)",
            *(project_name, name, model.version, json.dumps(complete), description),
            *(storage_of(self.context.buckets), now, now),
        )
        tx.resource = model.arn
        tx.after(
            partial(self.context.scheduler.reconcile_packaging_job, _job(tx, project_name, name))
        )
        return {"JobName": name}

    def describe_model_packaging_job(
        self, tx: Transaction, *, project_name: str, job_name: str
    ) -> Result:
        """Describe a packaging job and the component it made."""
        job = find.packaging_job(tx, project_name, job_name)
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
        find.project(tx, project_name)
        after = read_token(next_token, "packaging", 0)
        query = "SELECT * FROM packaging_jobs WHERE project = ? AND id > ? ORDER BY id LIMIT ?"
        rows = tx.all(query, project_name, after, max_results + 1)
        jobs = [read(PackagingJob, row) for row in rows]
        page = jobs[:max_results]
        for job in page:
            tx.after(partial(self.context.scheduler.reconcile_packaging_job, job))
        token = write_token(jobs, max_results, page[-1].id if page else 0, "packaging")
        return {"ModelPackagingJobs": [_metadata(job) for job in page], "NextToken": token}

    def _require_new_component(self, tx: Transaction, name: str, version: str) -> None:
        """Refuse a component that exists already, or is in the making."""
        query = "SELECT configuration FROM packaging_jobs WHERE status != 'FAILED'"
        for row in tx.each(query):
            known = json.loads(row["configuration"])["Greengrass"]
            if (known["ComponentName"], known["ComponentVersion"]) == (name, version):
                exists = f"component {name} {version} exists already; give another version"
                raise conflict("MODEL_PACKAGE_JOB", f"{name}/{version}", exists)

    def _require_new_name(self, tx: Transaction, project_name: str, name: str) -> None:
        query = "SELECT 1 FROM packaging_jobs WHERE project = ? AND name = ?"
        if tx.one(query, project_name, name) is not None:
            exists = f"project {project_name} has a packaging job {name} already"
            raise conflict("MODEL_PACKAGE_JOB", f"{project_name}/{name}", exists)


def _job(tx: Transaction, project_name: str, name: str) -> PackagingJob:
    return find.packaging_job(tx, project_name, name)


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
