"""How good the detector is: splits of real and generated sets, five seeds, a table and JSON.

    PYTHONPATH=. python tests/benchmarks/detector/measure.py [SET ...] [--seeds 5] [--json FILE]
        [--data FOLDER] [--contrast 1.0] [--normals-only | --anomalies 3,5,10] [--train 0.7]
        [--masks] [--methods lfvpipe,pooled,finetune,patchcore,padim] [--environments FOLDER]
        [--memory 10000]

A SET is `aliens` or `cookies` (archives under --data, default ../shared/data), the name of a class
in textures.py (generated), or a folder: with `normal/`, `anomaly/` (and `masks/`, named alike), in
MVTec AD's layout (`train/good`, `test/<type>`, `ground_truth/<type>`), or in DAGM's (`Train/Label`,
`Test/Label`). Without a SET, all named ones are measured. Every split takes --train of each label
to learn from and tests on the rest; thresholds come from training alone. Each number of
--anomalies has a line of its own: so many at most are learnt from, and the tests stay the same.

Methods are `lfvpipe` and its peers, on the same splits: `pooled` (pooled.py) in this environment;
`finetune`, and anomalib's `patchcore` and `padim`, under peers/, each in a virtual environment that
is made under --environments when first needed (1 and 6 GB, from peers/*.txt), and within --memory
MB of address space. A peer that fails is reported so, and the others go on. `pooled` and `finetune`
need anomalies to learn from; `patchcore` and `padim` give no probabilities, hence no Brier score.

Each run has a process of its own, so that peak memory is its own (libraries included);
milliseconds are of processor time on one thread, reading the file included, seconds of training
are of wall time and of processor time, without imports. With --masks the detector learns from masks
too, and `iou` is of the masks that it draws. --json is written anew after every run. For a memory
limit on all, use `ulimit -v`.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lfvpipe.detector import Example
from tests.benchmarks.detector import environments, inside, outside, sets, textures
from tests.benchmarks.detector.splits import Run
from tests.benchmarks.detector.table import table

METHODS = (*inside.METHODS, *outside.PEERS)
NEED_ANOMALIES = ("pooled", "finetune")


def runs(name: str, found: list[Example], asked: argparse.Namespace) -> Iterator[Run]:
    """Yield what to measure on the set `name`; counts of anomalies that it does not have, once."""
    normal, anomaly = ([each for each in found if each.label == x] for x in ("normal", "anomaly"))
    most = round(asked.train * len(anomaly))
    for count in dict.fromkeys(most if each is None else min(each, most) for each in asked.counts):
        for method in asked.methods:
            for seed in range(asked.seeds) if count or method not in NEED_ANOMALIES else ():
                yield Run(name, method, normal, anomaly, seed, asked.train, count, asked.masks)


def measure(run: Run, asked: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one run."""
    if run.method in outside.PEERS:
        return outside.measure(run, asked.environments, asked.memory)
    return inside.measure(run)


def options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure the detector.")
    parser.add_argument("sets", nargs="*", default=[*sets.REAL, *textures.KINDS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=sets.DATA)
    parser.add_argument("--contrast", type=float, default=1.0)
    parser.add_argument("--train", type=float, default=0.7)
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--methods", type=_methods, default=inside.METHODS)
    parser.add_argument("--environments", type=Path, default=environments.KEPT)
    parser.add_argument("--memory", type=int, default=10_000)
    learnt = parser.add_mutually_exclusive_group()
    learnt.add_argument("--anomalies", type=_counts, dest="counts", default=(None,))
    learnt.add_argument("--normals-only", action="store_const", const=(0,), dest="counts")
    return parser.parse_args()


def _methods(named: str) -> tuple[str, ...]:
    unknown = [each for each in named.split(",") if each not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such method: {unknown[0]} (of {', '.join(METHODS)})")
    return tuple(named.split(","))


def _counts(listed: str) -> tuple[int, ...]:
    return tuple(int(each) for each in listed.split(","))


def main() -> None:
    """Measure the sets that the command line names."""
    asked = options()
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # for the runs' processes
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.sets:
            found = list(sets.examples(name, asked.data, Path(scratch), asked.contrast))
            for run in runs(name, found, asked):
                results.append(measure(run, asked))
                if asked.json:
                    asked.json.write_text(json.dumps(results, indent=1))
            print(table([each for each in results if each["set"] == name]), flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
