"""What twenty new photographs, detected, reviewed and learnt from, do for a model.

    python -m tests.benchmarks.taught_by_review GOOD DEFECTIVE [--learn 19] [--anomalies 5]
        [--held 29] [--seeds 0,1,2] [--folder FOLDER]

GOOD and DEFECTIVE are archives of photographs. By a seed, as many of each as `--held` says are
held out; of the others `--learn` good ones and `--anomalies` defective ones make the first model,
and ten of each arrive later: `detect` judges them, `review --of detect` is told the truth about
each, as its page tells it, and `run` learns from them. Both models judge what is held out. Prints a
row a seed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import httpx

from lfvpipe.report.metrics import ScoredImage, roc_auc
from tests.benchmarks.few_defects import anomaly_score, call, part, photographs, write

NEW = 10
PIPELINE = """\
sources:
  normal: {archive: good}
  anomaly: {archive: bad}
  labels: pipeline.labels.jsonl
split: {train: 100}
"""


def decide(folder: Path) -> None:
    """Tell the review page what each detected image is: its folder says so."""
    command = [sys.executable, "-m", "lfvpipe", "review", "--of", "detect", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(line for line in process.stdout if " at http" in line).split()[-1]
        for n in httpx.get(f"{address}api/queue?filter=all").json()["items"]:
            name = httpx.get(f"{address}api/items/{n}").json()["name"]
            label = "anomaly" if "bad" in Path(name).parts else "normal"
            said = {"n": n, "label": label, "who": "truth"}
            httpx.post(f"{address}api/decisions", json=said).raise_for_status()
        process.terminate()


def quality(folder: Path) -> str:
    """Return how the present model judges what is held out: AUROC, missed, false alarms."""
    found: list[ScoredImage] = []
    errors = {}
    for label in ("bad", "good"):
        verdicts = judge(folder, f"held/{label}")
        found += [ScoredImage(anomaly_score(each), anomaly=label == "bad") for each in verdicts]
        errors[label] = sum(each["is_anomalous"] != (label == "bad") for each in verdicts)
    auroc = roc_auc(found)
    assert auroc is not None
    return f"{auroc:.3f} | {errors['bad']} | {errors['good']}"


def judge(folder: Path, of: str) -> list[dict[str, object]]:
    """Return the verdicts of a folder's images, which are not kept."""
    said = call(folder, "detect", "--json", "--no-keep", "pipeline.yaml", of)
    verdicts: list[dict[str, object]] = json.loads(said)["images"]
    return verdicts


def measure(options: argparse.Namespace, folder: Path, seed: int) -> str:
    """Return the row of one seed."""
    for label, archive, learn in (
        ("good", options.good, options.learn),
        ("bad", options.defective, options.anomalies),
    ):
        images = photographs(archive)
        names = sorted(images)
        random.Random(seed).shuffle(names)
        images = {name: images[name] for name in names}
        start = options.held
        write(folder / "held" / label, part(images, 0, start))
        write(folder / label, part(images, start, start + learn))
        write(folder / "new" / label, part(images, start + learn, start + learn + NEW))
    (folder / "pipeline.yaml").write_text(PIPELINE)
    call(folder, "run")
    before = quality(folder)
    call(folder, "detect", "pipeline.yaml", "new")
    decide(folder)
    call(folder, "run")
    return f"| {seed} | {before} | {quality(folder)} |"


def main() -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("good", type=Path)
    parser.add_argument("defective", type=Path)
    parser.add_argument("--learn", type=int, default=19)
    parser.add_argument("--anomalies", type=int, default=5)
    parser.add_argument("--held", type=int, default=29)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--folder", type=Path, default=Path("taught"))
    options = parser.parse_args()
    print("| seed | AUROC | missed | false alarms | AUROC then | missed then | false alarms then |")
    print("|---|---|---|---|---|---|---|")
    for seed in map(int, options.seeds.split(",")):
        folder = options.folder / str(seed)
        shutil.rmtree(folder, ignore_errors=True)
        print(measure(options, folder, seed), flush=True)


if __name__ == "__main__":
    main()
