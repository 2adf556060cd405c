"""Learn what a product looks like, and say of a new photograph whether and where it is anomalous.

from lfvpipe.detector import Example, train, load

model = train([Example(Path("good/1.png"), "normal"), Example(Path("bad/1.png"), "anomaly"), …])
model.save(Path("model.lfv"))
verdict = load(Path("model.lfv")).detect(Path("new.png"))

What is public is in `__all__`. Importing it is cheap: `train`, `load` and `Model`, which need
numpy, are imported when they are first asked for.
"""

from typing import TYPE_CHECKING, Any

from lfvpipe.detector.facts import Anomaly, Example, Info, Settings, Verdict
from lfvpipe.detector.faults import DetectorError, DetectorWarning, TrainingCancelled
from lfvpipe.detector.protocol import Detector, TrainedModel, detector_names, load_detector

if TYPE_CHECKING:
    from lfvpipe.detector.model import Model, load
    from lfvpipe.detector.training import train

__all__ = [
    "Anomaly",
    "Detector",
    "DetectorError",
    "DetectorWarning",
    "Example",
    "Info",
    "Model",
    "Settings",
    "TrainedModel",
    "TrainingCancelled",
    "Verdict",
    "detector_names",
    "load",
    "load_detector",
    "train",
]

_LAZY = {"Model": "model", "load": "model", "train": "training"}


def __getattr__(name: str) -> Any:
    """Import what is asked for first where that brings numpy (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
