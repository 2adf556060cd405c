"""The bar on photographs that are not part of the project: skipped where they are not at hand.

With labels, the cookies are trained on each time, and the aliens as well with
``LFVPIPE_PHOTOGRAPHS=all``: when the detector is changed. All sets: tests/benchmarks/detector.
"""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lfvpipe.detector import Example, train
from lfvpipe.detector.calibration import auroc

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("LFVPIPE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


def unpack(archive: str, folder: Path) -> list[Path]:
    path = DATA / archive
    if not path.is_file():
        pytest.skip(f"{archive} is not in LFVPIPE_TEST_DATA or beside the checkout")
    with zipfile.ZipFile(path) as opened:
        opened.extractall(folder / path.stem)
    return sorted(each for each in (folder / path.stem).rglob("*.*g") if each.is_file())


def area(train_on: list[Example], test_on: list[Example]) -> float:
    model = train(train_on)
    scores = np.array([model.detect(each.path).probability for each in test_on])
    return auroc(scores, np.array([each.label == "anomaly" for each in test_on]))


@pytest.mark.skipif(os.environ.get("LFVPIPE_PHOTOGRAPHS") != "all", reason="takes minutes, by hand")
def test_aliens(tmp_path: Path) -> None:
    normal = [Example(path, "normal") for path in unpack("aliens/aliens.zip", tmp_path)]
    anomaly = [Example(path, "anomaly") for path in unpack("aliens/aliens_def.zip", tmp_path)]
    examples = [*normal, *anomaly]
    learnt = [each for index, each in enumerate(examples) if index % 5]
    assert area(learnt, examples[::5]) >= 0.97  # 24 images: one in the wrong place costs 0.01


def test_aliens_bend_and_are_compared_as_they_lie_without_labels(tmp_path: Path) -> None:
    normal = [Example(path, "normal") for path in unpack("aliens/aliens.zip", tmp_path)]
    anomaly = [Example(path, "anomaly") for path in unpack("aliens/aliens_def.zip", tmp_path)]
    model = train([each for index, each in enumerate(normal) if index % 5])
    assert all(each.alignment is None for each in model.ensemble.scales)
    tested = [*normal[::5], *anomaly[::5]]
    scores = np.array([model.detect(each.path).probability for each in tested])
    assert auroc(scores, np.array([each.label == "anomaly" for each in tested])) >= 0.95


def test_cookies(tmp_path: Path) -> None:
    normal = [Example(path, "normal") for path in unpack("cookies/cookies.zip", tmp_path)]
    anomaly = [Example(path, "anomaly") for path in unpack("cookies/cookies_def.zip", tmp_path)]
    test = [
        Example(path, "anomaly" if "anomaly" in path.name else "normal")
        for path in unpack("cookies/cookies_test.zip", tmp_path)
    ]
    assert area([*normal, *anomaly], test) >= 0.95
