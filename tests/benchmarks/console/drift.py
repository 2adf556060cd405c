"""Control charts on real photographs: how often they cry wolf, and what change they see.

    python -m tests.benchmarks.console.drift FOLDER/normal.zip FOLDER/anomaly.zip --test 60

A model learns from 60 normal and 20 anomalous photographs and is tested on `--test` normal and 10
anomalous ones. The normal ones that are left come in groups of 50, as they are, and then lighter,
darker, softer, or with anomalies among them. Printed is how many groups lie beyond the limits of
the test, beyond those of the share that is usual, and beyond those of the mean score; and of the
first groups the anomalies that were called and the mean score.

Then tests of 60 and of 300 and groups of 50 and of 200 are drawn from these scores. Printed is how
often the chart of the mean score passes a limit within 30 groups after a change, and how often one
does that weighs past groups (EWMA: S. W. Roberts, Control Chart Tests Based on Geometric Moving
Averages, Technometrics 1, 1959; a fifth for the newest group, and three standard deviations with
that of the test's mean: a false alarm in 500 groups or more, by J. M. Lucas and M. S. Saccucci,
Exponentially Weighted Moving Average Control Schemes, Technometrics 32, 1990).
"""

from __future__ import annotations

import argparse
import io
import json
import random
import tempfile
import time
import zipfile
from functools import partial
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageEnhance, ImageFilter

from lfvpipe import storage
from lfvpipe.console.drift.charts import Group, draw_charts
from lfvpipe.console.drift.reference import Reference, find_reference
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.lookout.client import connect
from lfvpipe.report.control_charts import Expected, NormalScores
from lfvpipe.service import Service
from lfvpipe.service.state.judged import Count
from tests.service.conftest import Waits, line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

GROUP = 50
TRAIN, ANOMALIES = (60, 20), 10
NEWEST = 0.2  # the weight of the newest group
DRAWN, BEFORE, AFTER = 400, 10, 30  # charts; groups before a change, and after it


def read(archive: Path) -> list[bytes]:
    """Return the images of an archive, in an order that is always the same."""
    with zipfile.ZipFile(archive) as opened:
        names = sorted(n for n in opened.namelist() if n.lower().endswith((".png", ".jpg")))
        images = [opened.read(name) for name in names]
    random.Random(7).shuffle(images)
    return images


def alter(data: bytes, by: Callable[[Image.Image], Image.Image]) -> bytes:
    """Return an image's file with the image changed."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(data)) as opened:
        by(opened if opened.mode in ("L", "RGB") else opened.convert("RGB")).save(file, "PNG")
    return file.getvalue()


def lighten(share: float, image: Image.Image) -> Image.Image:
    """Return an image lighter by a share, darker by a negative one."""
    return ImageEnhance.Brightness(image).enhance(1 + share)


def soften(pixels: float, image: Image.Image) -> Image.Image:
    """Return an image blurred by so many pixels."""
    return image.filter(ImageFilter.GaussianBlur(pixels))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f"lighter by {by:.0%}": partial(lighten, by) for by in (0.05, 0.1, 0.2)},
    **{f"darker by {by:.0%}": partial(lighten, -by) for by in (0.05, 0.1, 0.2)},
    **{f"softer by {by:g} pixels": partial(soften, by) for by in (0.5, 1.0, 2.0)},
}
"""What is done to normal photographs."""


def train(service: Service, normal: Sequence[bytes], bad: Sequence[bytes], tested: int) -> None:
    """Give project p a version 1."""
    client, bucket = (
        connect("embedded", region="us-east-1", handler=service.handle_for_owner),
        service.buckets.bucket("bucket"),
    )
    bucket.create()
    client.create_project(ProjectName="p")
    parts = {
        "train": (normal[: TRAIN[0]], bad[: TRAIN[1]]),
        "test": (normal[TRAIN[0] : TRAIN[0] + tested], bad[TRAIN[1] : TRAIN[1] + ANOMALIES]),
    }
    for kind in DATASET_TYPES:
        good, wrong = parts[kind]
        lines: list[Any] = []
        for label, images in (("normal", good), ("anomaly", wrong)):
            for number, image in enumerate(images):
                bucket.put(f"{kind}/{label}/{number}.png", image)
                lines.append(line(f"{kind}/{label}/{number}.png", label))
        bucket.put(f"{kind}.manifest", "\n".join(map(json.dumps, lines)).encode())
        source: Any = {
            "GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": f"{kind}.manifest"}}
        }
        client.create_dataset(ProjectName="p", DatasetType=kind, DatasetSource=source)
        Waits().dataset(client, kind)
    client.create_model(
        ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket", "Prefix": "out/"}}
    )
    Waits().model(client)


def judge(service: Service, images: Sequence[bytes]) -> list[Count]:
    """Return what version 1 makes of each image."""
    judged = (service.judge.judge("p", "1", image) for image in images)
    return [
        Count.of(one.verdict.probability, is_anomalous=one.called.is_anomalous) for one in judged
    ]


def count(service: Service, images: Sequence[bytes]) -> Count:
    """Return what version 1 makes of images."""
    return sum(judge(service, images), Count())


def pass_limits(
    random_: random.Random, usual: Sequence[float], later: Sequence[float], tested: int, size: int
) -> tuple[bool, bool]:
    """Say whether a mean score, and a weighted one, pass a limit once scores are others.

    Args:
        random_: Draws the test and the groups.
        usual: Scores that the test and the first groups are drawn from.
        later: Those of the groups after these.
        tested: Images of the test.
        size: Of a group.
    """
    test = NormalScores.of(random_.choices(usual, k=tested))
    assert test is not None
    weighted, has_passed = test.mean, [False, False]
    for day in range(BEFORE + AFTER):
        mean = fmean(random_.choices(usual if day < BEFORE else later, k=size))
        weighted += NEWEST * (mean - weighted)
        share = NEWEST / (2 - NEWEST) * (1 - (1 - NEWEST) ** (2 * (day + 1)))
        if day < BEFORE:
            continue
        for place, figure, images in ((0, mean, size), (1, weighted, size / share)):
            far = test.limits(size).high - test.mean  # of a group, narrowed for one of `images`
            far *= sqrt((1 / images + 1 / tested) / (1 / size + 1 / tested))
            has_passed[place] |= abs(figure - test.mean) > far
    return has_passed[0], has_passed[1]


def compare_weighted(usual: Sequence[float], later: Mapping[str, Sequence[float]]) -> None:
    """Print how often both charts of the mean score pass a limit."""
    print(f"{'test, group':26} {'mean score':>12} {'weighted':>12}")
    for tested in (60, 300):
        for size in (50, 200):
            drawn = random.Random(1)
            for name, scores in {"unchanged": usual, **later}.items():
                found = [pass_limits(drawn, usual, scores, tested, size) for _ in range(DRAWN)]
                mean, weighted = (sum(each) / DRAWN for each in zip(*found, strict=True))
                print(f"{f'{tested}, {size}, {name}':36} {mean:.2f} {weighted:.2f}", flush=True)


def main() -> None:
    """Print a table."""
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("normal", type=Path)
    asked.add_argument("anomaly", type=Path)
    asked.add_argument("--test", type=int, default=60)
    asked.add_argument("--groups", type=int, default=4)
    options = asked.parse_args()
    normal, bad = read(options.normal), read(options.anomaly)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        buckets = storage.connect("local", region="us-east-1", root=root / "buckets")
        service = Service(
            root / "service", buckets, region="us-east-1", limits="open", isolated=False
        )
        began = time.perf_counter()
        train(service, normal, bad, options.test)
        print(f"trained in {time.perf_counter() - began:.0f} s")
        reference = find_reference(service.versions, "p", "1", {})
        print(reference)
        left = normal[TRAIN[0] + options.test :]
        more = bad[TRAIN[1] + ANOMALIES :]
        groups = [left[at : at + GROUP] for at in range(0, len(left) - GROUP + 1, GROUP)]
        judged = [judge(service, group) for group in groups]
        plain = [sum(each, Count()) for each in judged]
        usual = sum(plain, Count())
        expected = Expected(max(usual.anomalies, 1) / usual.images)
        print(f"expected where a person says so: {expected.share:.3f}")
        tell("as they are", reference, expected, plain)
        later: dict[str, list[float]] = {}
        for name, change in CHANGES.items():
            changed = [
                judge(service, [alter(each, change) for each in group])
                for group in groups[: options.groups]
            ]
            tell(name, reference, expected, [sum(each, Count()) for each in changed])
            later[name] = normal_scores(changed)
        for number in (1, 3, 5, 10):
            mixed = [
                count(service, [*group[number:], *more[at * number : (at + 1) * number]])
                for at, group in enumerate(groups[: options.groups])
            ]
            tell(f"with {number} anomalies of {GROUP}", reference, expected, mixed)
        compare_weighted(normal_scores(judged), later)
        service.close()


def normal_scores(groups: Iterable[Iterable[Count]]) -> list[float]:
    """Return the scores of images that were called normal."""
    return [each.score for group in groups for each in group if each.scored]


def tell(name: str, reference: Reference, expected: Expected, counts: Sequence[Count]) -> None:
    """Print how many groups are beyond limits: of the test, of what is expected, of scores."""
    groups = [Group(day, day, each) for day, each in enumerate(counts)]
    rate, score = draw_charts(groups, reference, None)
    stated, _ = draw_charts(groups, reference, expected)
    beyond = [sum(point.is_beyond for point in chart.points) for chart in (rate, stated, score)]
    found = ", ".join(f"{number} of {len(groups)}" for number in beyond)
    seen = [f"{each.anomalies} {each.score / max(1, each.scored):.3f}" for each in counts[:4]]
    print(f"{name:26} {found:32} {'; '.join(seen)}", flush=True)


if __name__ == "__main__":
    main()
