"""How good the detector is, on photographs and against its peers: tables and JSON.

    PYTHONPATH=. python tests/benchmarks/detector/measure.py [SET ...] [--generated]
        [--methods lfvpipe,pooled,finetune,patchcore,padim,supersimplenet] [--json FILE]
        [--splits 0,1,2,3,4] [--seeds 0] [--normals-only | --anomalies 0,1,3,5,10,20,40]
        [--robustness] [--maps] [--masks] [--effort fast|default|thorough] [--data FOLDER]
        [--train 0.7] [--contrast 1.0] [--environments FOLDER] [--memory 10000]

A SET is one of the five real ones (archives under --data, default ../shared/data), the name of a
class in textures.py (generated), or a folder: with archives NAME_normal.zip, NAME_anomaly.zip (and
NAME_masks.zip) and `splits/N.json`, as the real ones; with `normal/`, `anomaly/` (and `masks/`,
named alike), in MVTec AD's layout (`train/good`, `test/<type>`, `ground_truth/<type>`), or in
DAGM's (`Train/Label`, `Test/Label`). Without a SET, all real ones are measured; with --generated
all generated ones, which have tables of their own.

Splits. kolektorsdd, magnetic_tile and elpv have split files. Elsewhere split N is drawn by the seed
N: --train of each label to learn from, the rest to test on; the cookies' training and test archives
are put together for that (45 normal, 40 anomalous). Each number of --anomalies has lines of its
own: so many at most are learnt from, the first ones in an order drawn by the split's number, and
the tests stay the same. --seeds are those of the training: more than one shows how far chance
decides. Thresholds come from training alone.

Methods are `lfvpipe` and its peers, on the same splits: `pooled` (pooled.py) in this environment;
`finetune` in torch; anomalib's `patchcore`, `padim` and `supersimplenet`. Those under peers/ run in
a virtual environment that is made under --environments when first needed (1 and 6 GB, from
peers/*.txt), and within --memory MB of address space; all have EfficientNet-Lite2's weights, as
those that anomalib would download are not to be had. A method that fails is reported so, and the
others go on. `pooled` and `finetune` need anomalies to learn from; `patchcore`, `padim`, and
`supersimplenet` without --masks, choose their threshold by them and give no probabilities, hence no
Brier score. With --masks, `lfvpipe` and `supersimplenet` learn from masks too; `iou` is of the
masks that the model draws.

What a method reports of itself (AUROC, false alarms) is from its training images alone: out of
fold, or from the fifth that peers keep back. --robustness judges the test images again, turned by
2° either way, moved by 4 px, 10 % brighter and darker, slightly blurred, as JPEG of quality 60, and
with noise (disturbances.py): how many verdicts flip, and the AUROC. --maps holds heat maps against
the masks of kolektorsdd, magnetic_tile and cookies (maps.py): pixel AUROC, AUPRO to 30 % false
positives, and whether the peak lies in the mask or within 2 % of the image's longer side of it.
--effort is `lfvpipe`'s `model.effort`; with it a set has lines of its own.

Each run has a process of its own, so that peak memory is its own (libraries included); milliseconds
are of processor time on one thread, reading the file included, seconds of training are of wall time
and of processor time, without imports. --json is written after every run, and a run that the file
has figures of, by the same code, is not measured again: start anew by another file. `table.py FILE`
prints a file's tables. For a memory limit on all, use `ulimit -v`.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lfvpipe.detector import Effort
from tests.benchmarks.detector import disturbances, environments, inside, outside, sets, textures
from tests.benchmarks.detector.results import Results, Row
from tests.benchmarks.detector.splits import MASKS_LEARNT, Failed, Run, split_of
from tests.benchmarks.detector.table import tables

METHODS = (*inside.METHODS, *outside.PEERS)
NEED_ANOMALIES = ("pooled", "finetune")


def runs(images: sets.ImageSet, asked: argparse.Namespace) -> Iterator[Run]:
    """Yield what to measure on a set; numbers of anomalies that it does not have, once."""
    for number in asked.splits or images.splits or range(5):
        seen = set()
        for limit in asked.counts:
            split = split_of(images, number, asked.train, limit)
            if len(split.learnt) in seen:
                continue
            seen.add(len(split.learnt))
            some = any(each.label == "anomaly" for each in split.learnt)
            masked = any(each.mask for each in split.learnt)
            for method in asked.methods:
                for seed in asked.seeds if some or method not in NEED_ANOMALIES else ():
                    masks = asked.masks and masked and method in MASKS_LEARNT
                    yield Run(
                        images=_title(images, asked),
                        generated=images.generated,
                        method=method,
                        number=number,
                        seed=seed,
                        split=split,
                        masks=masks,
                        maps=asked.maps,
                        robustness=asked.robustness,
                        effort=asked.effort,
                    )


def _title(images: sets.ImageSet, asked: argparse.Namespace) -> str:
    """Return a set's name with what is unusual about it, so that results are not mixed up."""
    contrast = f", contrast {asked.contrast}" if images.generated and asked.contrast != 1 else ""
    share = "" if images.splits or asked.train == 0.7 else f", {asked.train} to learn from"
    effort = "" if asked.effort is Effort.DEFAULT else f", {asked.effort}"
    return f"{images.name}{contrast}{share}{effort}"


def measure(run: Run, results: Results, asked: argparse.Namespace, scratch: Path) -> Row:
    """Return the row of one run, measured or known."""
    known = results.known(run)
    if known is not None:
        return known
    if run.robustness:
        paths = [each.path for each in run.split.tested]
        run = replace(run, disturbed=disturbances.disturb(paths, scratch / "disturbed"))
    try:
        if run.method in outside.PEERS:
            return results.add(run, outside.measure(run, asked.environments, asked.memory))
        return results.add(run, inside.measure(run))
    except Failed as error:
        return results.add(run, {"failed": str(error)})


def options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure the detector.")
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--generated", action="store_true")
    parser.add_argument("--methods", type=_methods, default=inside.METHODS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--splits", type=_numbers)
    parser.add_argument("--seeds", type=_numbers, default=(0,))
    parser.add_argument("--robustness", action="store_true")
    parser.add_argument("--maps", action="store_true")
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--effort", type=Effort, choices=list(Effort), default=Effort.DEFAULT)
    parser.add_argument("--data", type=Path, default=sets.DATA)
    parser.add_argument("--train", type=float, default=0.7)
    parser.add_argument("--contrast", type=float, default=1.0)
    parser.add_argument("--environments", type=Path, default=environments.KEPT)
    parser.add_argument("--memory", type=int, default=10_000)
    learnt = parser.add_mutually_exclusive_group()
    learnt.add_argument("--anomalies", type=_numbers, dest="counts", default=(None,))
    learnt.add_argument("--normals-only", action="store_const", const=(0,), dest="counts")
    asked = parser.parse_args()
    asked.sets += textures.KINDS if asked.generated else []
    asked.sets = list(dict.fromkeys(asked.sets)) or list(sets.REAL)
    return asked


def _methods(named: str) -> tuple[str, ...]:
    unknown = [each for each in named.split(",") if each not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such method: {unknown[0]} (of {', '.join(METHODS)})")
    return tuple(named.split(","))


def _numbers(listed: str) -> tuple[int, ...]:
    return tuple(int(each) for each in listed.split(","))


def main() -> None:
    """Measure the sets that the command line names."""
    asked = options()
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # for the runs' processes
    results, found = Results(asked.json), []
    for name in asked.sets:
        with tempfile.TemporaryDirectory() as scratch:
            images = sets.image_set(name, asked.data, Path(scratch), asked.contrast)
            for run in runs(images, asked):
                found.append(measure(run, results, asked, Path(scratch)))
                print(_progress(found[-1]), file=sys.stderr, flush=True)
    print(tables(found), end="")


def _progress(row: Row) -> str:
    said = row["failed"] if "failed" in row else f"AUROC {row['auroc']:.3f}, F1 {row['f1']:.2f}"
    what = f"{row['set']}, split {row['split']}, {row['method']}"
    return f"{what} from {row['normals']} + {row['anomalies']}, seed {row['seed']}: {said}"


if __name__ == "__main__":
    main()
