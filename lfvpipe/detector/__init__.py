"""Learn what a product looks like, and say of a new photograph whether and where it is anomalous.

from lfvpipe.detector import Example, train, load

model = train([Example(Path("good/1.png"), "normal"), Example(Path("bad/1.png"), "anomaly"), …])
model.save(Path("model.lfv"))
verdict = load(Path("model.lfv")).detect(Path("new.png"))
"""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.detector.backbone.network import networks_of_other_versions
    from lfvpipe.detector.checkpoints import Checkpoints
    from lfvpipe.detector.errors import DetectorError, DetectorWarning, TrainingCancelled
    from lfvpipe.detector.facts import Anomaly, Effort, Example, Info, OutOfFold, Settings, Verdict
    from lfvpipe.detector.model import Model, load
    from lfvpipe.detector.protocol import Detector, TrainedModel, detector_names, load_detector
    from lfvpipe.detector.training import train, training_digest
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "facts": ["Anomaly", "Effort", "Example", "Info", "OutOfFold", "Settings", "Verdict"],
            "backbone.network": ["networks_of_other_versions"],
            "checkpoints": ["Checkpoints"],
            "errors": ["DetectorError", "DetectorWarning", "TrainingCancelled"],
            "model": ["Model", "load"],
            "protocol": ["Detector", "TrainedModel", "detector_names", "load_detector"],
            "training": ["train", "training_digest"],
        },
    )

__all__ = [
    "Anomaly",
    "Checkpoints",
    "Detector",
    "DetectorError",
    "DetectorWarning",
    "Effort",
    "Example",
    "Info",
    "Model",
    "OutOfFold",
    "Settings",
    "TrainedModel",
    "TrainingCancelled",
    "Verdict",
    "detector_names",
    "load",
    "load_detector",
    "networks_of_other_versions",
    "train",
    "training_digest",
]
