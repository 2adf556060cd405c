"""Learn what a product looks like, and say of a new photograph whether and where it is anomalous.

from lfvpipe.detector import Example, train, load

model = train([Example(Path("good/1.png"), "normal"), Example(Path("bad/1.png"), "anomaly"), …])
model.save(Path("model.lfv"))
verdict = load(Path("model.lfv")).detect(Path("new.png"))
"""

from lfvpipe.detector.facts import Anomaly, Example, Info, Settings, Verdict
from lfvpipe.detector.faults import DetectorError, DetectorWarning, TrainingCancelled
from lfvpipe.detector.model import Model, load
from lfvpipe.detector.training import train

__all__ = [
    "Anomaly",
    "DetectorError",
    "DetectorWarning",
    "Example",
    "Info",
    "Model",
    "Settings",
    "TrainingCancelled",
    "Verdict",
    "load",
    "train",
]
