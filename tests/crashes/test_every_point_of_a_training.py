"""A training worker dies at each of its points; the next one makes the same of it.

It is killed, or the power fails, by turns at some of the points, as in CI; at all, with the number
survived:

    export LFVPIPE_CRASH_EVERY=1 LFVPIPE_CRASH_BY=power  # or kill
    python -m pytest tests/crashes/test_every_point_of_a_training.py -s
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.detector.heads.fine_tuned import KEPT_AFTER, PARTS
from lfvpipe.lookout.client import connect
from lfvpipe.lookout.tags import EFFORT
from lfvpipe.service.embedded import Service
from lfvpipe.service.quotas import quotas_to_json
from lfvpipe.storage import connect as connect_storage
from tests.crashes.laboratory import Bench, deaths, entry, open_bench, photograph, told_by
from tests.crashes.trainer import PART_IMAGES
from tests.service.conftest import FEW
from tests.soak.kills import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at files through /proc"),
]

EVERY = told_by("LFVPIPE_CRASH_EVERY", 40)
NORMAL, ANOMALOUS = 16, 8


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Yield a bench whose state has a model that is to be trained."""
    folder, aside = tmp_path_factory.mktemp("service"), tmp_path_factory.mktemp("aside")
    bucket = folder / "state" / "buckets" / "bucket"
    lines = ""
    for number in range(NORMAL + ANOMALOUS):
        defect = number >= NORMAL
        photograph(bucket / f"{number}.png", number, defect=defect)
        lines += entry(f"{number}.png", "anomaly" if defect else "normal")
    (bucket / "manifest").write_text(lines)
    buckets = connect_storage("local", region="us-east-1", root=bucket.parent)
    service = Service(
        folder / "state" / "service",
        buckets,
        region="us-east-1",
        quotas=FEW,
        launch=lambda _runtime: lambda: True,
    )
    client = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
    client.create_project(ProjectName="p")
    source: Any = {"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": "manifest"}}}
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    client.create_model(
        ProjectName="p",
        OutputConfig={"S3Location": {"Bucket": "bucket", "Prefix": "out/"}},
        Tags=[{"Key": EFFORT, "Value": "fast"}],
    )
    service.close()
    for bench in open_bench(folder, aside, "tests.crashes.trainer"):
        bench.keep()
        yield bench


def train(bench: Bench, **options: Any) -> int:
    return bench.run(str(bench.state / "service"), quotas_to_json(FEW), **options)


def test_a_training_that_dies_anywhere_ends_as_if_it_had_not_been(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.restore()
    assert train(bench) == 0, bench.said
    points, expected, work = bench.points(), bench.left(), bench.notes()
    assert expected["rows"]["models"][0]["status"] == "TRAINED", bench.said
    networks = work["part"] // PARTS
    # What a kill may cost: the stage that it came in, and images that were looked at ahead.
    most = {"image": work["image"] + PART_IMAGES + 16, "part": work["part"] + KEPT_AFTER * networks}
    fates: Counter[str] = Counter()
    faults: list[str] = []
    for point, power in deaths(points, EVERY):
        bench.restore()
        died = train(bench, at=point, power=power) == -9
        code = train(bench)
        differences = [bench.said[-2000:]] if code else compare(expected, bench.left())
        done = bench.notes()
        # What stages came to is not synced, so that a power cut may cost more.
        lost = [] if power else [what for what in most if done[what] > most[what]]
        differences += [f"{what}: {done[what]}" for what in lost]
        fates["survived" if died else "not reached"] += not differences
        fates["again"] += done["image"] - work["image"]
        fates["power failures"] += died and power
        faults += [f"{point.number} {point.label}, {power=}: {each[:2000]}" for each in differences]
    with capsys.disabled():
        told = ", ".join(f"{number} {fate}" for fate, number in fates.items())
        print(f"\n{len(points)} points of the trainer; {told}, {len(faults)} differences")
    assert faults == [], "\n".join(faults)
