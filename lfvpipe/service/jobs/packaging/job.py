"""Packages a model as a component: an archive with the model, a recipe and a runner."""

import json
import shutil
from collections.abc import Mapping
from typing import Any

import lfvpipe
from lfvpipe.decision import Decision
from lfvpipe.errors import UserError
from lfvpipe.lookout.statuses import PackagingJobStatus
from lfvpipe.lookout.tags import DECISION
from lfvpipe.service import locks
from lfvpipe.service.jobs.messages import status_message
from lfvpipe.service.jobs.packaging import component
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models, packaging_jobs, tags
from lfvpipe.service.state.models import Model
from lfvpipe.service.state.packaging_jobs import PackagingJob
from lfvpipe.storage import NoSuchBucket


def component_key(greengrass: Mapping[str, Any]) -> str:
    """Return the key of a component's archive, from a configuration with a version."""
    prefix = greengrass["S3OutputLocation"].get("Prefix") or ""
    return f"{prefix}{greengrass['ComponentName']}-{greengrass['ComponentVersion']}.zip"


def package(runtime: Runtime, identity: int) -> None:
    """Bring a packaging job to SUCCEEDED or FAILED, unless somebody else is at it; idempotent."""
    with runtime.locks.held(locks.packaging_job(identity)) as ours:
        if not ours:
            return
        with runtime.database.write() as tx:
            job = packaging_jobs.begin(tx, identity, runtime.clock())
        if job is None:
            return
        try:
            output = json.dumps(_package(runtime, job))
        except UserError as error:
            fail(runtime, identity, status_message(error))
        else:
            done, now = PackagingJobStatus.SUCCEEDED, runtime.clock()
            with runtime.database.write() as tx:
                created = "The component was created."
                packaging_jobs.settle(tx, identity, done, created, now=now, output=output)
        finally:
            shutil.rmtree(runtime.scratch(locks.packaging_job(identity)), ignore_errors=True)


def fail(runtime: Runtime, identity: int, message: str) -> None:
    """Bring a packaging job that is not at rest to FAILED."""
    with runtime.database.write() as tx:
        failed = PackagingJobStatus.FAILED
        packaging_jobs.settle(tx, identity, failed, message, now=runtime.clock())


def _package(runtime: Runtime, job: PackagingJob) -> Mapping[str, Any]:
    """Make the component, put it into its bucket, and return the ModelPackagingOutputDetails."""
    greengrass = json.loads(job.configuration)["Greengrass"]
    with runtime.database.read() as tx:
        model = models.find_version(tx, job.project, job.version)
        tag = None if model is None else tags.value(tx, model.arn, DECISION)
    if model is None:
        raise UserError(f"Model version {job.version} was deleted.")
    try:
        decision = Decision() if tag is None else Decision.from_text(tag)
    except ValueError as error:
        raise UserError(f"The model's tag {DECISION} is wrong: {error}.") from error
    scratch = runtime.scratch(locks.packaging_job(job.id))
    archive = scratch / "component.zip"
    name, version = greengrass["ComponentName"], greengrass["ComponentVersion"]
    folder = component.assemble(
        scratch / "component",
        runtime.model_file(model.id),
        _recipe(model, greengrass),
        decision,
    )
    if runtime.stand_in is None:
        component.try_out(folder, (model.width or 0, model.height or 0))
    component.zip_folder(folder, archive)
    bucket = greengrass["S3OutputLocation"]["Bucket"]
    try:
        runtime.store(job.storage).bucket(bucket).put(component_key(greengrass), archive)
    except NoSuchBucket as error:  # named as the client does, not by where it would lie here
        raise UserError(f"The bucket {bucket} does not exist.") from error
    region = model.arn.split(":")[3]
    made = {
        "ComponentVersionArn": f"arn:aws:greengrass:{region}:aws:components:{name}",
        "ComponentName": name,
        "ComponentVersion": version,
    }
    return {"Greengrass": made}


def _recipe(model: Model, greengrass: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "ComponentName": greengrass["ComponentName"],
        "ComponentVersion": greengrass["ComponentVersion"],
        "ComponentDescription": greengrass.get("ComponentDescription", ""),
        "ModelArn": model.arn,
        "ImageWidth": model.width,
        "ImageHeight": model.height,
        "Performance": {"F1Score": model.f1, "Recall": model.recall, "Precision": model.precision},
        "Target": greengrass.get("TargetPlatform") or greengrass.get("TargetDevice"),
        "Tags": greengrass.get("Tags", []),
        "MadeBy": f"lfvpipe {lfvpipe.__version__}",
    }
