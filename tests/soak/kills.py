"""Kills the quickstart at random moments, runs it again, and compares what is left.

    python tests/soak/kills.py --rounds 100 --seed 1

Each round starts from nothing, waits for one step to start (the steps take turns), sends SIGKILL
after a random share of that step's usual time (every other round to the training worker as well),
runs the pipeline again and compares ledger, bucket and service with an uninterrupted run's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.storage import Buckets

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Trial:
    """A copy of the examples in which one pipeline is run again and again."""

    folder: Path
    pipeline: str = "quickstart.yaml"

    @classmethod
    def copy_to(cls, folder: Path) -> Trial:
        """Copy `pipelines/` without any state into `folder`."""
        ignore = shutil.ignore_patterns(".lfvpipe", "__pycache__")
        shutil.copytree(ROOT / "pipelines", folder, ignore=ignore)
        return cls(folder)

    @property
    def state(self) -> Path:
        return self.folder / ".lfvpipe"

    def start(self) -> subprocess.Popen[str]:
        """Start a run that logs its events as JSON lines on standard error."""
        command = [sys.executable, "-m", "lfvpipe", "run", self.pipeline, "--log-format", "json"]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def finish(self) -> list[dict[str, Any]]:
        """Run to the end and return the events; fail unless the run says that it is done."""
        process = self.start()
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-4000:]
        return [json.loads(line) for line in errors.splitlines() if line.startswith("{")]

    def await_workers(self) -> None:
        """Wait until no training goes on."""
        for worker in workers(self.state):
            worker.wait(120)

    def forget(self) -> None:
        """Remove all state, first making sure that no training worker still writes it."""
        end(workers(self.state))
        shutil.rmtree(self.state, ignore_errors=True)


def workers(state: Path) -> list[psutil.Process]:
    """Return the training workers that serve the state under `state`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "lfvpipe.service" in " ".join(words) and any(str(state) in word for word in words):
            found.append(process)
    return found


def end(processes: Sequence[psutil.Process]) -> None:
    """Kill processes, of which some may end by themselves meanwhile."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive


def usual_seconds(events: list[dict[str, Any]]) -> dict[str, float]:
    """Return how long each step took in an uninterrupted run."""
    return {e["step"]: float(e["seconds"]) for e in events if e["event"] == "step-finished"}


def kill_in(trial: Trial, step: str, delay: float, *, and_workers: bool) -> bool:
    """Run, and kill `delay` seconds after `step` started; return whether it was still running."""
    process = trial.start()
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and _is_start(json.loads(line), step):
            time.sleep(delay)
            break
    alive = process.poll() is None
    process.kill()
    if and_workers:
        end(workers(trial.state))
    process.communicate()
    return alive


def _is_start(event: dict[str, Any], step: str) -> bool:
    return bool(event["event"] == "step-started" and event["step"] == step)


def snapshot(trial: Trial) -> dict[str, Any]:
    """Return what a run leaves, without times and random identifiers."""
    from lfvpipe.storage import connect

    buckets = connect("local", region="us-east-1", root=trial.state / "buckets")
    return {
        "ledger": ledger_state(trial),
        "bucket": _bucket(trial.state / "buckets"),
        "service": service_state(trial, buckets),
    }


def ledger_state(trial: Trial) -> dict[str, Any]:
    """Return what the ledger says."""
    path = trial.state / Path(trial.pipeline).stem / "ledger.json"
    ledger = json.loads(path.read_text())
    outcomes = {
        step: {fingerprint: _record(record) for fingerprint, record in records.items()}
        for step, records in ledger["outcomes"].items()
    }
    return {"outcomes": outcomes, "standing": ledger["standing"], "held": ledger["held"]}


def _record(record: dict[str, Any]) -> dict[str, Any]:
    identity = dict(record["outcome"].get("identity") or record["outcome"]["facts"])
    for name in ("run", "run_file", "page"):  # a report is named after the time it was made
        identity.pop(name, None)
    return {"state": record["state"], "inputs": record["inputs"], "identity": identity}


def _bucket(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): _digest(path) for path in files}
    # The marks say whose all this is: by an identifier that is random, and since when.
    marks = [name for name in found if "/lfvpipe/" in name]
    kinds = sorted(name.rpartition("/")[0] for name in marks)
    return {name: found[name] for name in found if name not in marks} | {"marks": " ".join(kinds)}


def _digest(path: Path) -> str:
    """Return a digest of the content; of the name only where the content holds times."""
    if path.name.startswith("Evaluation"):
        return "present"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def service_state(trial: Trial, buckets: Buckets) -> dict[str, Any]:
    """Ask the service, as any client would, what it holds."""
    from lfvpipe.lookout.client import connect
    from lfvpipe.service.embedded import open_service

    handler = open_service(trial.state / "service", buckets, region="us-east-1").handle_for_owner
    client = connect("embedded", region="us-east-1", handler=handler)
    projects = [row["ProjectName"] for row in client.list_projects()["Projects"]]
    return {
        name: {
            "models": [
                (row["ModelVersion"], row["Status"], row.get("Performance"))
                for row in client.list_models(ProjectName=name)["Models"]
            ],
            "datasets": {
                kind: client.describe_dataset(ProjectName=name, DatasetType=kind)[
                    "DatasetDescription"
                ]["ImageStats"]
                for kind in ("train", "test")
            },
        }
        for name in projects
    }


def compare(expected: Any, found: Any, at: str = "") -> list[str]:
    """Return where `found` differs from `expected`, a line each."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted(set(expected) | set(found))
        return [line for k in keys for line in compare(expected.get(k), found.get(k), f"{at}/{k}")]
    return [] if expected == found else [f"{at}: {expected!r} became {found!r}"]


def rounds(trial: Trial, count: int, seed: int) -> list[str]:
    """Kill and resume `count` times and return every difference."""
    chance = random.Random(seed)
    trial.forget()
    usual = usual_seconds(trial.finish())
    expected, steps, failures = snapshot(trial), list(usual), []
    for number in range(count):
        step = steps[number % len(steps)]
        delay = chance.random() * usual[step]
        trial.forget()
        alive = kill_in(trial, step, delay, and_workers=number % 2 == 1)
        trial.finish()
        differences = compare(expected, snapshot(trial))
        failures += [f"round {number}, {step} after {delay:.3f} s: {d}" for d in differences]
        verdict = "DIFFERS" if differences else "same"
        print(f"{number + 1:3d}  {step:18s} +{delay:6.3f} s  killed={alive}  {verdict}", flush=True)
    return failures


def main() -> int:
    """Run the soak from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial.copy_to(Path(folder) / "pipelines")
        failures = rounds(trial, options.rounds, options.seed)
        trial.forget()
    print("\n".join(failures) or f"{options.rounds} kills, no difference")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
