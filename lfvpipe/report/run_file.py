"""Run files: ``runs/<id>.json`` beside the ledger, described by ``schemas/run.schema.json``."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from lfvpipe import atomic, engine
from lfvpipe.errors import UserError
from lfvpipe.report.records import RunRecord, Timing
from lfvpipe.report.timings_table import put_timings
from lfvpipe.report.verdict_file import read_verdicts

FORMAT = 1

_OLD_ARCHIVE = re.compile(r"evaluate\.archives\.([0-9]+)\.(.*)")
_OLD_SHARE = re.compile(r"split\.(train|test)\.(normal|anomaly)\.(.*)")
FOLDER = "runs"
_METRICS = {"f1", "precision", "recall", "roc_auc"}  # undefined ones are there, too, and null


class RunFileDamaged(UserError):
    """A file beside the run files that is none."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(
            f"{path} is not a run file ({fault}).",
            hint="`lfvpipe doctor --repair` sets it aside.",
        )


def path_of(state_dir: Path, run_id: str) -> Path:
    """Return where the run file of `run_id` lies."""
    return state_dir / FOLDER / f"{run_id}.json"


def write(state_dir: Path, run: RunRecord) -> Path:
    """Write the run file of `run`, whole or not at all, and return its path."""
    path = path_of(state_dir, run.id)
    text = json.dumps(as_json(run), indent=1, ensure_ascii=False, allow_nan=False)
    atomic.write_text(path, text + "\n")
    return path


def as_json(run: RunRecord) -> dict[str, Any]:
    """Return what a run file holds; the verdicts themselves stay in their own files."""
    written: dict[str, Any] = {
        "format": FORMAT,
        "id": run.id,
        "created": run.created,
        "name": run.name,
        "variant": run.variant,
        "fingerprint": run.fingerprint,
        "config": dict(run.config),
        "versions": dict(run.versions),
        "model": dict(run.model),
        "data": {split: dict(counts) for split, counts in run.data.items()},
        "scores": {name: asdict(scores) for name, scores in run.scores.items()},
        "verdict_files": {name: dict(facts) for name, facts in run.verdict_files.items()},
        "review_below": run.review_below,
        "review": list(run.review),
        "findings": [asdict(finding) for finding in run.findings],
        "errors": [dict(error) for error in run.errors],
        "timings": [asdict(timing) for timing in run.timings],
    }
    if run.suspects is not None:
        written["suspects"] = [asdict(suspect) for suspect in run.suspects]
    if run.decision is not None:
        written["decision"] = asdict(run.decision)
    if run.corrected is not None:
        written["corrected"] = [asdict(image) for image in run.corrected]
    return written


def load(path: Path, *, with_verdicts: bool = True) -> RunRecord:
    """Read a run file and, unless told otherwise, the verdict files that it names.

    Verdict files that are gone leave their set empty: the run's figures are in the run file.

    Raises:
        RunFileDamaged: It is no run file.
        UserError: The file is absent, a newer lfvpipe wrote it, or a verdict file is damaged.
    """
    data = _read(path)
    try:
        run = from_json(data)
    except ValueError as error:
        raise RunFileDamaged(path, str(error)) from error
    if not with_verdicts:
        return run
    state_dir = path.parent.parent
    files = {name: state_dir / facts["path"] for name, facts in run.verdict_files.items()}
    for name, file in files.items():
        _verify(file, run.verdict_files[name]["sha256"])
    return replace(run, verdicts={name: tuple(read_verdicts(file)) for name, file in files.items()})


def damaged(state_dir: Path) -> list[Path]:
    """Return the files among the run files that are none."""
    found = []
    for path in (path_of(state_dir, run_id) for run_id in run_ids(state_dir)):
        try:
            load(path, with_verdicts=False)
        except RunFileDamaged:
            found.append(path)
    return found


def _verify(file: Path, sha256: str) -> None:
    if not file.exists():
        return
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != sha256:
        raise UserError(
            f"The verdict file {file} is damaged: its digest does not fit.",
            hint="`lfvpipe run` makes that of the latest run again. The figures of an earlier one"
            " are in its run file: move the verdict file away to see them.",
        )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_bytes(), parse_constant=_refuse)
        known = data["format"] <= FORMAT
    except FileNotFoundError:
        hint = "`lfvpipe history` lists the runs that there are."
        raise UserError(f"There is no run file {path}.", hint=hint) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunFileDamaged(path, str(error)) from error
    if not known:
        raise UserError(f"{path} was written by a newer lfvpipe.", hint="Update lfvpipe.")
    return dict(data)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def from_json(data: Mapping[str, Any]) -> RunRecord:
    """Return the run that `data`, the content of a run file, tells of.

    Raises:
        ValueError: It tells of none.
    """
    run = engine.read_as(RunRecord, data)
    datetime.fromisoformat(run.created)
    figures = (run.model.get(name) for name in ("f1", "precision", "recall", "training_seconds"))
    if not all(each is None or type(each) in (int, float) for each in figures):
        raise ValueError("a figure of the model is no number")
    if not all(scores.estimates.keys() >= _METRICS for scores in run.scores.values()):
        raise ValueError("scores lack a metric")
    files = [facts.get(key) for facts in run.verdict_files.values() for key in ("path", "sha256")]
    if not all(isinstance(each, str) for each in files):
        raise ValueError("a verdict file has no path, or no digest")
    return replace(run, config=_with_keys_of_today(run.config))


def _with_keys_of_today(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with its keys spelled as in a pipeline file.

    Those of 0.1.0 followed lfvpipe's own classes in a few places. Which entry of
    ``evaluate.images`` an archive was it did not say: most people write the names first.
    """
    listed = config.get("evaluate.images")
    names = len(listed) if isinstance(listed, list) else 0
    renamed = {}
    for key, value in config.items():
        if found := _OLD_ARCHIVE.match(key):
            renamed[f"evaluate.images[{names + int(found[1])}].{found[2]}"] = value
        elif found := _OLD_SHARE.fullmatch(key):
            renamed[f"split.{found[2]}.{found[1]}.{found[3]}"] = value
        elif key == "evaluate.unused_per_label":
            renamed["evaluate.unused.per_label"] = value
        elif key != "evaluate.archives":
            renamed[key] = value
    return renamed


def run_ids(state_dir: Path) -> list[str]:
    """Return the ids of the runs that have a run file, oldest first."""
    return sorted(path.stem for path in (state_dir / FOLDER).glob("*.json"))


def previous_id(state_dir: Path, run_id: str) -> str | None:
    """Return the run before `run_id`, or None for the first."""
    earlier = [known for known in run_ids(state_dir) if known < run_id]
    return earlier[-1] if earlier else None


def previous_of_variant(state_dir: Path, run_id: str, variant: str) -> RunRecord | None:
    """Return a variant's last run before `run_id`, without verdicts; None for its first.

    Files that are none are passed over. Of two runs within a second either counts as the earlier.
    """
    second = run_id.partition("-")[0]
    others = [each for each in run_ids(state_dir) if each != run_id]
    for known in reversed([each for each in others if each.partition("-")[0] <= second]):
        try:
            found = load(path_of(state_dir, known), with_verdicts=False)
        except UserError:
            continue
        if found.variant == variant:
            return found
    return None


def add_timings(path: Path, timings: Sequence[Timing]) -> None:
    """Put into a run file, and into its page, how long each step took.

    Args:
        path: The run file; steps that `timings` does not name keep theirs.
        timings: What is known now that the run is over.
    """
    run = load(path, with_verdicts=False)
    merged = {timing.step: timing for timing in run.timings}
    merged |= {timing.step: timing for timing in timings}
    write(path.parent.parent, replace(run, timings=tuple(merged.values())))
    for page in (path.with_suffix(".html"), path.parent.parent / "report.html"):
        put_timings(page, tuple(merged.values()))
