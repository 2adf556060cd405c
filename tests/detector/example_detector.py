"""A detector of one's own: how far an image's mean colour lies from the normal images'."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lfvpipe.detector import DetectorError, Example, Settings, TrainingCancelled, Verdict


def mean_colour(image: Image.Image | Path | str | bytes) -> list[float]:
    """Return an image's mean red, green and blue, 0 to 255."""
    try:
        source = io.BytesIO(image) if isinstance(image, bytes) else image
        opened = source if isinstance(source, Image.Image) else Image.open(source)
        return [float(level) for level in np.asarray(opened.convert("RGB")).mean((0, 1))]
    except OSError as error:
        raise DetectorError(f"The image cannot be read: {error}.") from error


@dataclass(frozen=True)
class MeanColourModel:
    """The normal images' mean colour, and how far from it an image may be."""

    colour: list[float]
    farthest: float

    def detect(self, image: Image.Image | Path | str | bytes) -> Verdict:
        """Judge an image by its distance from the mean colour."""
        distance = float(np.linalg.norm(np.subtract(mean_colour(image), self.colour)))
        probability = distance / (distance + self.farthest)
        confidence = max(probability, 1 - probability)
        return Verdict(probability >= 0.5, confidence, probability, heat_map=None)

    def save(self, path: Path) -> None:
        """Write the model as JSON."""
        path.write_text(json.dumps(asdict(self)), "utf-8")


class MeanColourDetector:
    """Learns from the normal images alone."""

    def train(
        self,
        examples: Sequence[Example],
        settings: Settings | None = None,
        *,
        progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> MeanColourModel:
        """Return the mean of the normal images' colours; twice the farthest is the threshold."""
        colours = []
        for done, example in enumerate(examples, start=1):
            if example.label == "normal":
                colours.append(mean_colour(example.path))
            progress("colours", done, len(examples))
            if cancelled():
                raise TrainingCancelled
        if not colours:
            raise DetectorError("No image is labelled normal.", hint="Label some.")
        centre = np.mean(colours, axis=0)
        distances = np.linalg.norm(np.array(colours) - centre, axis=1)
        return MeanColourModel([float(level) for level in centre], 2 * float(distances.max()) + 1)

    def load(self, path: Path) -> MeanColourModel:
        """Read a model that was saved."""
        try:
            return MeanColourModel(**json.loads(path.read_text("utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise DetectorError(f"{path} is no mean-colour model: {error}.") from error
