"""Detectors are found by name, and one of another package does all that ours does."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import lfvpipe.detector
from lfvpipe.detector import (
    DetectorError,
    Example,
    TrainedModel,
    TrainingCancelled,
    detector_names,
    load_detector,
    protocol,
)
from tests.detector.test_old_models import examples, is_bad, photograph

EXAMPLE = "tests.detector.example_detector:MeanColourDetector"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """What packages declare; to be added to."""
    declared = [EntryPoint("mean-colour", EXAMPLE, protocol.GROUP)]

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [e for e in declared if e.group == group and name in {None, e.name}]

    monkeypatch.setattr(protocol, "entry_points", entry_points)
    return declared


def test_our_own_is_the_default_and_declared() -> None:
    assert load_detector() is load_detector("default")
    assert load_detector().train is lfvpipe.detector.train
    assert detector_names()[0] == "default"
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    assert project["entry-points"][protocol.GROUP] == {"default": "lfvpipe.detector"}


def test_a_detector_of_another_package_trains_saves_loads_and_judges(
    installed: list[EntryPoint], tmp_path: Path
) -> None:
    detector = load_detector("mean-colour")
    model: TrainedModel = detector.train(examples(tmp_path))
    model.save(tmp_path / "model")
    for number in range(50, 60):
        image, again = photograph(number)[0], detector.load(tmp_path / "model")
        assert again.detect(image) == model.detect(image)
        assert again.detect(image).is_anomalous == is_bad(number)
    assert detector_names() == ("default", "mean-colour")


def test_a_detector_of_another_package_stops_and_refuses_as_ours_does(
    installed: list[EntryPoint], tmp_path: Path
) -> None:
    detector = load_detector("mean-colour")
    with pytest.raises(TrainingCancelled):
        detector.train(examples(tmp_path), cancelled=lambda: True)
    with pytest.raises(DetectorError, match=r"nothing\.lfv"):
        detector.load(tmp_path / "nothing.lfv")
    with pytest.raises(DetectorError, match="cannot be read"):
        detector.train(examples(tmp_path)).detect(b"no image")
    with pytest.raises(DetectorError, match="labelled normal"):
        detector.train([Example(tmp_path / "1.png", "anomaly")])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mean-color", None, "no detector named 'mean-color'; there are: default, mean-colour"),
        ("gone", "no_such_package:Detector", "cannot be loaded: ModuleNotFoundError"),
        ("half", "json", "no functions train and load"),
        ("mean-colour", "json", "Two detectors are named 'mean-colour'"),
    ],
)
def test_a_name_that_leads_to_no_detector_is_a_clear_error(
    installed: list[EntryPoint], name: str, value: Any, message: str
) -> None:
    installed += [EntryPoint(name, value, protocol.GROUP)] if value else []
    with pytest.raises(DetectorError, match=message) as caught:
        load_detector(name)
    assert caught.value.hint


def test_the_face_of_the_package_is_cheap_and_its_names_are_there() -> None:
    code = (
        "import sys, lfvpipe.detector as d; d.detector_names(); d.load_detector; d.Settings();"
        "print(*{'numpy', 'onnx', 'onnxruntime', 'PIL'} & set(sys.modules));"
        "print(*(name for name in d.__all__ if not hasattr(d, name)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = lfvpipe.detector.nothing_of_this_name  # type: ignore[attr-defined]
