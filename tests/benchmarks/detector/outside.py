"""Peers in environments of their own: a subprocess a run, within limits, that may fail alone."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.detector import environments, maps
from tests.benchmarks.detector.figures import Judged, auroc, image_figures, robustness
from tests.benchmarks.detector.splits import Failed, Run
from tests.benchmarks.detector.table import COSTS

ROOT = Path(__file__).parents[3]
PATIENCE = 3600  # seconds, of one run
OUT_OF_MEMORY = ("MemoryError", "allocate memory", "bad_alloc", "cannot allocate", "failed to map")


@dataclass(frozen=True)
class Peer:
    """Where a peer runs, the module under peers/ that runs it, and variables that it needs."""

    environment: str
    module: str
    variables: Mapping[str, str]


# Freed blocks go back, without which PatchCore's coreset takes ten times its memory; in huge pages,
# without which that takes most of its time. The others would only be slowed by it.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "1000000", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
PEERS = {
    "finetune": Peer("finetune", "finetune", {}),
    "patchcore": Peer("anomalib", "novelty", GIVE_BACK),
    "padim": Peer("anomalib", "novelty", {}),
    "supersimplenet": Peer("anomalib", "supersimplenet", {}),
}


def measure(run: Run, folder: Path, memory_mb: int) -> dict[str, float]:
    """Return a peer's figures on one split.

    Raises:
        Failed: Its environment cannot be made, or it gave no answer.
    """
    peer = PEERS[run.method]
    with tempfile.TemporaryDirectory() as scratch:
        heats = Path(scratch) / "maps.npz"
        job = {
            "method": run.method,
            "seed": run.seed,
            "memory_mb": memory_mb,
            "train": [
                {
                    "path": str(each.path),
                    "anomaly": each.label == "anomaly",
                    "mask": str(each.mask) if each.mask else None,
                }
                for each in run.learnt()
            ],
            "test": [str(each.path) for each in run.split.tested],
            "disturbed": run.disturbed,
            "maps": str(heats) if run.maps else None,
        }
        try:
            interpreter = environments.python(peer.environment, folder)
        except environments.Unavailable as error:
            raise Failed(str(error)) from error
        found = run_peer(interpreter, peer, job)
        drawn: list[maps.Heat] = []
        if heats.exists():
            with np.load(heats) as held:
                drawn = list(held["maps"])
    return peer_figures(run, found) | (maps.map_figures(drawn, run.split.tested) if drawn else {})


def peer_figures(run: Run, found: dict[str, Any]) -> dict[str, float]:
    """Return the figures of what a peer answered, but for its heat maps."""
    labels, threshold = run.truth(), found["threshold"]
    scores, held = np.array(found["scores"]), np.array(found["held_scores"])
    held_labels = np.array(found["held_labels"])
    reported = {
        "auroc": auroc(held, held_labels),
        "false_positives": float((held[~held_labels] >= threshold).mean()),
    }
    probabilities = found["probabilities"] and np.array(found["probabilities"])
    judged = Judged(scores, scores >= threshold, probabilities, reported)
    under = {
        kind: [(np.array(each), np.array(each) >= threshold) for each in variants]
        for kind, variants in found["disturbed"].items()
    }
    figures = image_figures(judged, labels, int((~held_labels).sum()))
    figures |= robustness(judged.called, under, labels)
    return figures | {cost: found[cost] for cost in COSTS}


def run_peer(interpreter: Path, peer: Peer, job: dict[str, Any]) -> dict[str, Any]:
    """Run a job in a process of its own and return its answer.

    Raises:
        Failed: It died, took too long or needed more memory than it may have.
    """
    with tempfile.TemporaryDirectory() as scratch:
        asked, answer = Path(scratch) / "job.json", Path(scratch) / "answer.json"
        asked.write_text(json.dumps(job))
        module = f"tests.benchmarks.detector.peers.{peer.module}"
        try:
            done = subprocess.run(
                [str(interpreter), "-m", module, str(asked), str(answer)],
                cwd=ROOT,
                env=_environment(peer.variables),
                capture_output=True,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"it took longer than {PATIENCE} s") from error
        except OSError as error:
            raise Failed(str(error)) from error
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise Failed(reason(done.returncode, said, job["memory_mb"]))
        found: dict[str, Any] = json.loads(answer.read_text())
        return found


def _environment(needed: Mapping[str, str]) -> dict[str, str]:
    """Return a peer's variables: all cores, and threads that do not spin while they wait.

    Spinning costs many times the work where a core is busy with something else.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    quiet = {"PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return {**inherited, **quiet, **needed}


def reason(status: int, said: str, memory_mb: int) -> str:
    """Return in a few words why a process ended with `status`, having written `said`."""
    if any(word in said for word in OUT_OF_MEMORY):
        return f"it needed more than {memory_mb} MB of address space"
    if status < 0:
        return f"it was killed by {signal.Signals(-status).name}"
    rows = [row.strip() for row in said.splitlines() if row.strip()]
    return (rows or [f"it ended with status {status}"])[-1][:200]
