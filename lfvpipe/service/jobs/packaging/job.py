"""Packages a model as a component: an archive with the model, a recipe and a runner."""

import json
import shutil
from collections.abc import Mapping
from typing import Any

import lfvpipe
from lfvpipe.errors import UserError
from lfvpipe.service import locks
from lfvpipe.service.jobs.messages import status_message
from lfvpipe.service.jobs.packaging import component
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state.rows import Model, PackagingJob, read


def component_key(greengrass: Mapping[str, Any]) -> str:
    """Return the key of a component's archive, from a configuration with a version."""
    prefix = greengrass["S3OutputLocation"].get("Prefix") or ""
    return f"{prefix}{greengrass['ComponentName']}-{greengrass['ComponentVersion']}.zip"


def package(runtime: Runtime, identity: int) -> None:
    """Bring a packaging job to SUCCEEDED or FAILED, unless somebody else is at it; idempotent."""
    with runtime.locks.held(locks.packaging_job(identity)) as ours:
        job = _begin(runtime, identity) if ours else None
        if job is None:
            return
        try:
            output = _package(runtime, job)
        except (UserError, OSError) as error:
            _settle(runtime, identity, "FAILED", status_message(error), None)
        except Exception:
            _settle(runtime, identity, "FAILED", "The service failed; see its log.", None)
            raise
        else:
            _settle(runtime, identity, "SUCCEEDED", "The component was created.", output)
        finally:
            shutil.rmtree(runtime.scratch(locks.packaging_job(identity)), ignore_errors=True)


def _begin(runtime: Runtime, identity: int) -> PackagingJob | None:
    with runtime.database.write() as tx:
        changed = tx.run(
            "UPDATE packaging_jobs SET status = 'RUNNING', message = 'The job is running.',"
            " updated = ? WHERE id = ? AND status IN ('CREATED', 'RUNNING')",
            runtime.clock(),
            identity,
        )
        row = tx.one("SELECT * FROM packaging_jobs WHERE id = ?", identity)
    return read(PackagingJob, row) if changed and row is not None else None


def _package(runtime: Runtime, job: PackagingJob) -> Mapping[str, Any]:
    greengrass = json.loads(job.configuration)["Greengrass"]
    with runtime.database.read() as tx:
        query = "SELECT * FROM models WHERE project = ? AND version = ?"
        row = tx.one(query, job.project, job.version)
    if row is None:
        raise UserError(f"Model version {job.version} was deleted.")
    model = read(Model, row)
    scratch = runtime.scratch(locks.packaging_job(job.id))
    archive = scratch / "component.zip"
    name, version = greengrass["ComponentName"], greengrass["ComponentVersion"]
    folder = component.assemble(scratch / "component", runtime.model_file(model.id))
    if runtime.stand_in is None:
        component.try_out(folder, (model.width or 0, model.height or 0))
    recipe = json.dumps(_recipe(model, greengrass), indent=2)
    (folder / "recipe.json").write_text(recipe, "utf-8")
    component.zip_folder(folder, archive)
    location = greengrass["S3OutputLocation"]
    runtime.store(job.storage).bucket(location["Bucket"]).put(component_key(greengrass), archive)
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


def _settle(
    runtime: Runtime, identity: int, status: str, message: str, output: Mapping[str, Any] | None
) -> None:
    with runtime.database.write() as tx:
        tx.run(
            "UPDATE packaging_jobs SET status = ?, message = ?, output = ?, updated = ?"
            " WHERE id = ?",
            status,
            message,
            None if output is None else json.dumps(output),
            runtime.clock(),
            identity,
        )
