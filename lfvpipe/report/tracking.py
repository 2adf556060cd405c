"""A run, told to an MLflow tracking server: its parameters, metrics, tags and files.

Needs the extra ``mlflow``. Telling it twice does no harm: the MLflow run is found by its tag,
parameters and metrics are the same each time, and files replace themselves.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lfvpipe.passing import passing_folder
from lfvpipe.report.page import headline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lfvpipe.report.records import RunRecord

TAG = "lfvpipe.run"
LONGEST = 500  # characters of a parameter's value that every MLflow server takes
AT_ONCE = 100  # parameters in a request, at most
MILLISECONDS = 1000
# Unless the user says otherwise: a server that is away costs seconds, and nobody else is told.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # that is for --json
}


class TrackingError(Exception):
    """The tracking server cannot be reached, or refuses; the message is one line, no secrets."""


@dataclass(frozen=True)
class TrackedRun:
    """Where a run is on the tracking server; `is_new` if it was not there before."""

    experiment_id: str
    run_id: str
    is_new: bool


def is_installed() -> bool:
    """Return whether the extra is there, without importing it."""
    spec = find_spec("mlflow")
    return spec is not None and spec.origin is not None  # a folder called mlflow has no origin


def tell(run: RunRecord, files: Mapping[str, Path], *, uri: str, experiment: str) -> TrackedRun:
    """Tell the tracking server at `uri` of a run that is over.

    Args:
        run: The run; its verdicts are not needed.
        files: Files to keep with it, by the name that they get there.
        uri: The server's address.
        experiment: The experiment's name; made if there is none.

    Raises:
        TrackingError: The server cannot be reached, or refuses.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    try:
        place = _experiment(client, experiment)
        run_id = _find_run(client, place, run)
        is_new = run_id is None
        run_id = run_id or _create_run(client, place, run)
        _log(client, run_id, run, files)
    except (MlflowException, OSError) as error:  # what requests raises is an OSError
        raise TrackingError(_one_line(error)) from error
    return TrackedRun(place, run_id, is_new)


def _experiment(client: Any, name: str) -> str:
    """Return the experiment's id; another run may make it at the same moment."""
    from mlflow.exceptions import MlflowException

    known = client.get_experiment_by_name(name)
    if known is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            known = client.get_experiment_by_name(name)
            if known is None:
                raise
    return str(known.experiment_id)


def _find_run(client: Any, place: str, run: RunRecord) -> str | None:
    """Return the MLflow run that an earlier attempt made, whether or not it came to its end."""
    found = client.search_runs([place], f"tags.`{TAG}` = '{run.id}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def _create_run(client: Any, place: str, run: RunRecord) -> str:
    name = run.id if run.variant == "default" else f"{run.variant} {run.id}"
    made = client.create_run(place, start_time=_moment(run), tags=tags(run), run_name=name)
    return str(made.info.run_id)


def _log(client: Any, run_id: str, run: RunRecord, files: Mapping[str, Path]) -> None:
    from mlflow.entities import Metric, Param

    # One time for each metric: told again, it is the same point and not a second one.
    points = [Metric(key, value, _moment(run), 0) for key, value in metrics(run).items()]
    client.log_batch(run_id, metrics=points)
    told = [Param(key, value) for key, value in params(run).items()]
    for start in range(0, len(told), AT_ONCE):
        client.log_batch(run_id, params=told[start : start + AT_ONCE])
    with passing_folder() as folder:
        for name, file in files.items():
            copy = shutil.copyfile(file, folder / name)  # the server keeps a file's name
            client.log_artifact(run_id, str(copy))
    seconds = sum(timing.seconds or 0 for timing in run.timings)
    client.set_terminated(run_id, "FINISHED", _moment(run) + round(seconds * MILLISECONDS))


def params(run: RunRecord) -> dict[str, str]:
    """Return the configuration as MLflow parameters: dotted keys, values of bounded length."""
    found = {}
    for key, value in run.config.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        found[_key(key)] = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return found


def metrics(run: RunRecord) -> dict[str, float]:
    """Return the figures as MLflow metrics, by ``set/figure``, where they have a value.

    ``test/f1`` has ``test/f1_low`` and ``test/f1_high`` beside it, its 95 % interval.
    """
    found: dict[str, float | None] = {}
    for name, scores in run.scores.items():
        for metric, estimate in scores.estimates.items():
            found[f"{name}/{metric}"] = estimate.value
            found[f"{name}/{metric}_low"] = estimate.low
            found[f"{name}/{metric}_high"] = estimate.high
        counts = asdict(scores.confusion) | {"images": scores.images, "brier": scores.brier}
        found |= {f"{name}/{key}": value for key, value in counts.items()}
    for split, labels in run.data.items():
        found |= {f"data/{split}_{label}": count for label, count in labels.items()}
    found["review/images"] = len(run.review)
    found["model/training_seconds"] = run.model.get("training_seconds")
    return {_key(key): float(value) for key, value in found.items() if value is not None}


def tags(run: RunRecord) -> dict[str, str]:
    """Return what says which run this is, of what, and what became of it in a sentence."""
    return {
        TAG: run.id,
        "lfvpipe.name": run.name,
        "lfvpipe.variant": run.variant,
        "lfvpipe.fingerprint": run.fingerprint,
        "lfvpipe.model": f"{run.model.get('project')} {run.model.get('version')}",
        **{f"version.{_key(name)}": value for name, value in run.versions.items()},
        "mlflow.note.content": headline(run),
    }


def _moment(run: RunRecord) -> int:
    return round(datetime.fromisoformat(run.created).timestamp() * MILLISECONDS)


def _key(text: str) -> str:
    """Return a name that every MLflow server takes."""
    return re.sub(r"[^\w./ -]", "_", text, flags=re.ASCII)[:250]


def _one_line(error: Exception) -> str:
    """Return the error in a line, its cause alone if told, without credentials in addresses."""
    line = " ".join(str(error).split())
    cause = re.search(r"\(Caused by \w+\([\"'](.*)[\"']\)\)", line)
    return re.sub(r"//[^/\s@]*@", "//", cause[1] if cause else line)[:400] or type(error).__name__
