"""What comes of `lfvpipe init && lfvpipe run` with some good photographs and few defects, or none.

    python -m tests.benchmarks.few_defects GOOD DEFECTIVE [--learn 30] [--anomalies 0,1,5]
        [--test ARCHIVE] [--folder FOLDER]

GOOD and DEFECTIVE are archives. As many good photographs as `--learn` says, and each number of
defects, are drawn by a fixed seed and given to `init`; the model then judges others, by `detect`:
30 of each, none of them among what it was given, or the images of `--test`, of which those are
defective whose names hold "anomaly". Prints a row for each number of defects, and keeps what was
said in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path, PurePosixPath

from lfvpipe.report.metrics import ScoredImage, roc_auc

HELD = 30


def photographs(archive: Path) -> dict[str, bytes]:
    """Return the photographs of an archive by their names without folders, in a random order."""
    found = {}
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if name.lower().endswith((".png", ".jpg", ".jpeg")):
                found[PurePosixPath(name).name] = opened.read(name)
    names = sorted(found)
    random.Random(1).shuffle(names)
    return {name: found[name] for name in names}


def write(folder: Path, images: dict[str, bytes]) -> None:
    """Write images into a folder of their own."""
    folder.mkdir(parents=True)
    for name, data in images.items():
        (folder / name).write_bytes(data)


def part(images: dict[str, bytes], start: int, end: int) -> dict[str, bytes]:
    """Return a stretch of the images."""
    return dict(list(images.items())[start:end])


def call(folder: Path, *words: str) -> str:
    """Run a command in the folder and return what it printed; what it said is kept beside it."""
    done = subprocess.run(
        [sys.executable, "-m", "lfvpipe", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / f"{words[0]}.txt").write_text(done.stdout + done.stderr, "utf-8")
    if done.returncode:
        raise SystemExit(f"lfvpipe {' '.join(words)}: {done.stderr}")
    return done.stdout


def judge(folder: Path, of: str) -> list[dict[str, object]]:
    """Return the verdicts of a folder's images."""
    if not any((folder / of).iterdir()):
        return []
    verdicts: list[dict[str, object]] = json.loads(call(folder, "detect", "--json", of))["images"]
    return verdicts


def anomaly_score(verdict: dict[str, object]) -> float:
    """Return how anomalous an image is, 0 to 1."""
    confidence = float(str(verdict["confidence"]))
    return confidence if verdict["is_anomalous"] else 1 - confidence


def main() -> None:
    """Measure each number of defects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("good", type=Path)
    parser.add_argument("defective", type=Path)
    parser.add_argument("--learn", type=int, default=30)
    parser.add_argument("--anomalies", default="0,1,5")
    parser.add_argument("--test", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("few-defects"))
    asked = parser.parse_args()
    counts = [int(each) for each in asked.anomalies.split(",")]
    good, defective = photographs(asked.good), photographs(asked.defective)
    held_good = part(good, asked.learn, asked.learn + HELD)
    held_defective = part(defective, max(counts), max(counts) + HELD)
    if asked.test:
        test = photographs(asked.test)
        held_good = {name: data for name, data in test.items() if "anomaly" not in name}
        held_defective = {name: data for name, data in test.items() if "anomaly" in name}
    print(
        "| defects given | false alarms | defects found | AUROC | seconds |\n|---|---|---|---|---|"
    )
    for count in counts:
        folder = asked.folder / f"{asked.good.stem}-{count}"
        shutil.rmtree(folder, ignore_errors=True)
        write(folder / "photos", part(good, 0, asked.learn))
        given = ["--normal", "photos"]
        if count:
            write(folder / "photos_def", part(defective, 0, count))
            given += ["--anomaly", "photos_def"]
        write(folder / "held_good", held_good)
        write(folder / "held_defective", held_defective)
        began = time.monotonic()
        call(folder, "init", *given)
        call(folder, "run")
        took = time.monotonic() - began
        of_good, of_defective = judge(folder, "held_good"), judge(folder, "held_defective")
        scored = [ScoredImage(anomaly_score(each), anomaly=False) for each in of_good]
        scored += [ScoredImage(anomaly_score(each), anomaly=True) for each in of_defective]
        alarms = sum(bool(each["is_anomalous"]) for each in of_good)
        found = sum(bool(each["is_anomalous"]) for each in of_defective)
        print(
            f"| {count} | {alarms} of {len(of_good)} | {found} of {len(of_defective)} |"
            f" {roc_auc(scored) or 0:.3f} | {took:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
