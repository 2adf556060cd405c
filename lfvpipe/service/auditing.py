"""What is written down of a change: what was asked, and how its resource stood before and after."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lfvpipe import manifest
from lfvpipe.service.roles import present_actor
from lfvpipe.service.state import changes, contents, datasets, entries, models, projects, tags
from lfvpipe.service.state.database import Transaction

_LONGEST = 1000  # characters of a value
_LINES = 2000  # of an update that are read: the transaction waits for it
_IMAGES = 50  # of those that are named with their labels, types and masks before and after


@contextmanager
def written_down(
    tx: Transaction, operation: str, parameters: Mapping[str, Any], now: float
) -> Iterator[None]:
    """Write down what the block changes, and who changes it, in the same transaction.

    A request that comes a second time with its client token changes nothing, and leaves nothing.
    """
    asked = describe_request(tx, parameters)
    before = describe_resource(tx, parameters)
    yield
    actor = present_actor()
    changes.add(
        tx,
        at=now,
        access_key=actor.access_key,
        role=actor.role.value,
        operation=operation,
        project=project_of(parameters),
        asked=asked,
        before=before,
        after=describe_resource(tx, parameters),
    )


def project_of(parameters: Mapping[str, Any]) -> str:
    """Return the project that a request names, by its name or by an ARN; "" for none."""
    # arn:aws:lookoutvision:REGION:ACCOUNT:model/NAME/VERSION
    named = str(parameters.get("ResourceArn", "")).rpartition(":")[2].split("/")
    return str(parameters.get("ProjectName") or (named[1] if len(named) > 1 else ""))


def describe_request(tx: Transaction, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a request asks for, by the API's names; see it before the request is met."""
    asked = {name: _short(value) for name, value in parameters.items() if name != "Changes"}
    if "Changes" in parameters:
        asked["Changes"] = _describe_labels(tx, parameters)
    return asked


def describe_resource(tx: Transaction, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how what a request acts on stands: a model version, a dataset, a project, or tags.

    It is empty where that is not there.
    """
    if arn := parameters.get("ResourceArn"):
        return {"Tags": {tag.key: tag.value for tag in tags.of_resource(tx, arn)}}
    project = parameters.get("ProjectName", "")
    if not projects.exists(tx, project):
        return {}
    if kind := parameters.get("DatasetType"):
        return _describe_dataset(tx, project, kind)
    versions = models.of_project(tx, project)
    if wanted := parameters.get("ModelVersion"):
        version = next((each for each in versions if str(each.version) == wanted), None)
        if version is None:
            return {}
        return {"Status": version.status, "InferenceUnits": version.min_units}
    kinds = [dataset.type for dataset in datasets.of_project(tx, project)]
    return {"Datasets": kinds, "ModelVersions": [version.version for version in versions]}


def _describe_dataset(tx: Transaction, project: str, kind: str) -> Mapping[str, Any]:
    if not datasets.exists(tx, project, kind):
        return {}
    dataset = datasets.get(tx, project, kind)
    content = contents.find(tx, dataset.content)
    if content is None:
        return {"Status": dataset.status}
    counts = {"Images": content.total, "Normal": content.normal, "Anomaly": content.anomaly}
    return {"Status": dataset.status, **counts}


def _describe_labels(tx: Transaction, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how many images an update labels how, and the first ones' labels before and after.

    A line that is none is the update's to refuse; here it is counted as unreadable.
    """
    project, kind = parameters["ProjectName"], parameters["DatasetType"]
    dataset = datasets.get(tx, project, kind) if datasets.exists(tx, project, kind) else None
    lines = parameters["Changes"].splitlines()
    counted: Counter[str] = Counter()
    first: list[tuple[str, str | None, str | None]] = []
    for line in lines[:_LINES]:
        try:
            entry = _entry(line.decode("utf-8-sig"))
        except (UnicodeDecodeError, manifest.LineError):
            counted["unreadable"] += 1
            continue
        counted[entry.label or "unlabelled"] += 1
        if len(first) < _IMAGES and dataset is not None:
            known = entries.of_sources(tx, dataset.content, [entry.source])
            before = _call(_entry(known[0].line)) if known else None
            first.append((entry.source, before, _call(entry)))
    if len(lines) > _LINES:
        counted["not looked at"] = len(lines) - _LINES
    return {"Labels": dict(counted), "First": first}


def _entry(line: str) -> manifest.Entry:
    return manifest.service_entry(line, longest=len(line))


def _call(entry: manifest.Entry) -> str | None:
    """Return what a line calls an image: its label, its anomaly type, its mask and what is in it.

    As in ``anomaly: dent, mask s3://bucket/masks/1.png of dent``; None where it says nothing.
    """
    said = f"{entry.label}: {entry.given.type}" if entry.given.type else entry.label
    mask = f"mask {entry.mask} of {', '.join(entry.mask_classes)}" if entry.mask else None
    return ", ".join(filter(None, (said, mask))) or None


def _short(value: Any) -> Any:
    text = str(value)
    if len(text) > _LONGEST:
        return f"{text[:_LONGEST]}… ({len(text)} characters)"
    return json.loads(json.dumps(value, default=str))
