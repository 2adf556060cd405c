"""Whoever keeps the protocol of a head is fitted, blended, shown, saved and loaded."""

import dataclasses
import lzma
from pathlib import Path

import numpy as np
import pytest

from lfvpipe.detector import DetectorError, Model, load, train
from lfvpipe.detector import heads as registry
from lfvpipe.detector.features import View, look
from lfvpipe.detector.heads.head import Head
from tests.detector.example_head import NearestImageHead
from tests.detector.test_old_models import FIXTURES, SETTINGS, examples, is_bad, photograph


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train(examples(tmp_path_factory.mktemp("images")), SETTINGS)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return a model of lfvpipe 0.1.0, which has every head of then."""
    path = tmp_path_factory.mktemp("old") / "model.lfv"
    path.write_bytes(lzma.decompress((FIXTURES / "model-0.1.0.lfv.xz").read_bytes()))
    return load(path)


@pytest.fixture
def view() -> View:
    return look(photograph(50)[0], 64)


def test_heads_are_told_apart_by_name_and_listed_in_both_orders() -> None:
    assert {*registry.HEADS} == {*registry.FILE_ORDER}
    assert len(registry.HEADS) == len(registry.FILE_ORDER) == len({h.NAME for h in registry.HEADS})


def test_every_head_is_fitted_or_of_older_models() -> None:
    fitted = {*registry.NOVELTY_HEADS, *registry.SUPERVISED_HEADS}
    assert {each.NAME for each in {*registry.HEADS} - fitted} == {"classifier"}


def test_names_and_order_in_model_files_are_those_of_0_1_0() -> None:
    names = ["deviation", "bank", "novelty", "place", "classifier", "evidence"]
    assert [each.NAME for each in registry.FILE_ORDER][:6] == names


@pytest.mark.parametrize("kind", registry.HEADS)
def test_a_head_is_the_same_after_its_parameters_were_kept(
    kind: type[Head], model: Model, old: Model, view: View
) -> None:
    found = [*model.ensemble.scales[0].heads, *old.ensemble.scales[0].heads]
    head = next(each for each in found if isinstance(each, kind))
    kept = dict(head.parameters())
    assert all(isinstance(each, np.ndarray | float) for each in kept.values())
    again, first = kind.restore(kept).score(view), head.score(view)
    assert again.score == first.score
    assert (again.heat_map is None) == (first.heat_map is None)
    assert first.heat_map is None or first.heat_map.ndim == 2
    assert np.isfinite(first.score)
    assert dataclasses.is_dataclass(head)


def test_some_head_of_a_scale_is_always_in_the_heat_map(model: Model) -> None:
    for scale in model.ensemble.scales:
        assert any(each.always_in_heat_map for each in scale.heads)


def test_a_head_of_ones_own_is_trained_blended_saved_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(registry, "HEADS", (*registry.HEADS, NearestImageHead))
        some = (*registry.SUPERVISED_HEADS, NearestImageHead)
        patch.setattr(registry, "SUPERVISED_HEADS", some)
        patch.setattr(registry, "FILE_ORDER", (*registry.FILE_ORDER, NearestImageHead))
        model = train(examples(tmp_path), SETTINGS)
        assert model.ensemble.keys[-1] == ("nearest-image", 64)
        assert model.ensemble.weights["nearest-image", 64] > 0
        model.save(tmp_path / "model.lfv")
        again = load(tmp_path / "model.lfv")
        for number in range(50, 54):
            verdict = again.detect(photograph(number)[0])
            assert verdict.probability == model.detect(photograph(number)[0]).probability
            assert verdict.is_anomalous == is_bad(number)
    with pytest.raises(DetectorError, match="nearest-image"):
        load(tmp_path / "model.lfv")
