"""How a model is to be trained, where the API has no words for it: its tags say so."""

from typing import TYPE_CHECKING

from lfvpipe.images import Geometry, PixelRules
from lfvpipe.lookout.tags import EFFORT, GEOMETRY, PIXELS, join_value
from lfvpipe.service.jobs.training.selection import TrainingError
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import tags
from lfvpipe.service.state.models import Model

if TYPE_CHECKING:
    from lfvpipe.detector import Effort, Settings


def read_settings(runtime: Runtime, model: Model) -> "Settings":
    """Return how to train, as the model's tags say.

    Raises:
        TrainingError: A tag of ours has a value that means nothing.
    """
    from lfvpipe.detector import Settings

    with runtime.database.read() as tx:
        found = {tag.key: tag.value for tag in tags.of_resource(tx, model.arn)}
    settings = Settings(
        pixels=_parse_pixels(found.get(PIXELS, "")),
        geometry=_check_geometry(join_value(GEOMETRY, found)),
    )
    return settings.with_effort(_parse_effort(found.get(EFFORT)))


def _parse_effort(text: str | None) -> "Effort":
    from lfvpipe.detector import Effort

    try:
        return Effort.DEFAULT if text is None else Effort(text)
    except ValueError as error:
        wanted = ", ".join(Effort)
        raise TrainingError(f"The tag {EFFORT} is {text!r}; it must be one of {wanted}.") from error


def _parse_pixels(text: str) -> PixelRules:
    try:
        return PixelRules.from_text(text)
    except ValueError as error:
        wanted = "such as white=4095 background=FFFFFF mode=L"
        raise TrainingError(f"The tag {PIXELS} is {text!r}; it must be {wanted}.") from error


def _check_geometry(text: str) -> str:
    try:
        Geometry.from_text(text)
    except ValueError as error:
        raise TrainingError(f"The tags {GEOMETRY} mean nothing; remove them.") from error
    return text
