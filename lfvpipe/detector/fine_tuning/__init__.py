"""Fine-tuning of the backbone's last blocks, by onnxruntime alone."""

from lfvpipe.detector.fine_tuning.graphs import build_judge, network_layout
from lfvpipe.detector.fine_tuning.training import Course, Lessons, Look, count_of, start_teacher

__all__ = [
    "Course",
    "Lessons",
    "Look",
    "build_judge",
    "count_of",
    "network_layout",
    "start_teacher",
]
