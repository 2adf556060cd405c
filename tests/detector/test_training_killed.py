"""A training that is killed goes on from its last stage, and makes the same model file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lfvpipe.detector import Checkpoints, Example, Settings, train, tuning
from lfvpipe.detector.checkpoints import pack, unpack

from .conftest import Product

pytestmark = pytest.mark.slow

QUICK = Settings(sides=(64, 96, 128), views=1, finer_views=1, looks=2, steps=20)


class Killed(Exception):
    """Stands for SIGKILL: nothing that comes after it takes effect."""


class Kept:
    """Keeps checkpoints in memory; from `deadly` saves on, the process is dead."""

    def __init__(self) -> None:
        self.made_of = ""
        self.stages: dict[str, bytes] = {}
        self.saved: list[str] = []
        self.loaded: list[str] = []
        self.deadly: int | None = None

    def begin(self, made_of: str) -> None:
        if made_of != self.made_of:
            self.made_of, self.stages = made_of, {}

    def load(self, stage: str) -> bytes | None:
        found = self.stages.get(stage)
        if found is not None:
            self.loaded.append(stage)
        return found

    def save(self, stage: str, data: Callable[[], bytes], *, bulky: bool = False) -> None:
        if len(self.saved) == self.deadly:
            raise Killed
        self.stages[stage] = data()
        self.saved.append(stage)

    def discard(self, stage: str) -> None:
        self.stages = {n: each for n, each in self.stages.items() if not n.startswith(stage)}


def trained(
    examples: Sequence[Example], file: Path, kept: Checkpoints | None = None, **changed: Any
) -> bytes:
    options: dict[str, Any] = {} if kept is None else {"checkpoints": kept}
    settings = Settings(**{**vars(QUICK), **changed})
    train(examples, settings, **options).save(file)
    return file.read_bytes()


@pytest.fixture(params=["labels", "masks", "normals", "doubts"])
def job(
    request: pytest.FixtureRequest, product: Product, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Example], bool]:
    """Return examples, and whether to be persistent, of each way through a training."""
    monkeypatch.setattr("lfvpipe.detector.extraction.PART_IMAGES", 8)
    if request.param == "normals":
        return product.normal[:10], False
    monkeypatch.setattr(tuning, "FINER_LEAST_IMAGES", 1)
    anomalies = product.masked if request.param == "masks" else product.anomaly
    # With doubts, what is normal is learnt as well, and finer scales are tried.
    return [*product.normal[:8], *anomalies[:6]], request.param == "doubts"


def test_wherever_it_is_killed_the_model_file_is_the_same(
    job: tuple[list[Example], bool], tmp_path: Path
) -> None:
    examples, persistent = job
    changed: Any = {"persistent": persistent}
    expected = trained(examples, tmp_path / "undisturbed", **changed)
    kept = Kept()
    assert trained(examples, tmp_path / "kept", kept, **changed) == expected
    points = len(kept.saved)
    kept, saved = Kept(), []
    for _ in range(points):  # each attempt gets one stage further than the one before
        kept.deadly = len(kept.saved) + 1 if len(kept.saved) < points - 1 else None
        try:
            found = trained(examples, tmp_path / "resumed", kept, **changed)
        except Killed:
            saved.append(kept.saved[-1])
        else:
            break
    assert found == expected
    assert len(kept.saved) == points  # no stage was worked out twice
    assert len(saved) == points - 1


def test_what_is_damaged_or_was_left_out_is_worked_out_again(
    product: Product, tmp_path: Path
) -> None:
    examples = [*product.normal[:8], *product.anomaly[:6]]
    kept = Kept()
    expected = trained(examples, tmp_path / "first", kept)
    for stage in list(kept.stages):
        kept.stages = {name: each for name, each in kept.stages.items() if name != stage}
        assert trained(examples, tmp_path / "again", kept) == expected


@pytest.mark.parametrize("changed", ["images", "settings"])
def test_nothing_is_taken_over_from_a_training_on_anything_else(
    changed: str, product: Product, tmp_path: Path
) -> None:
    examples, kept = [*product.normal[:8], *product.anomaly[:6]], Kept()
    trained(examples, tmp_path / "first", kept)
    kept.loaded = []
    if changed == "images":
        examples = [*product.normal[:7], product.normal[9], *product.anomaly[:6]]
        trained(examples, tmp_path / "other", kept)
    else:
        trained(examples, tmp_path / "other", kept, seed=1)
    assert kept.loaded == []


def test_what_is_packed_comes_back_to_the_bit() -> None:
    arrays: dict[str, Any] = {
        "empty": np.zeros((0, 3), np.float16),
        "column-wise": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "one number": np.array(1.5),
        "truth": np.array([True, False]),
    }
    rest = {"large": 2**127 - 1, "float": 0.1 + 0.2, "nothing": None, "infinite": float("inf")}
    found = unpack(pack([arrays, rest, ("a", ["b"])]))
    assert found[1:] == [rest, ["a", ["b"]]]
    for name, array in arrays.items():
        assert found[0][name].dtype == array.dtype
        np.testing.assert_array_equal(found[0][name], array)
        assert found[0][name].flags.writeable
