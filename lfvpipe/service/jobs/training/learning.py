"""What a model learnt from, noted beside it, so that none learns the same a second time.

A training is decided by its images, labels and settings, to the last bit: a version that would
learn from what another has learnt from has the same weights. Only its test is its own.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.lookout import tags as names
from lfvpipe.lookout.statuses import MODEL_TRAINED
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models, tags
from lfvpipe.service.state.models import Model

if TYPE_CHECKING:
    from lfvpipe.detector import Example, Settings

_FILE = "learnt.json"


@dataclass(frozen=True)
class Learning:
    """What a version's training came to.

    Attributes:
        sha256: Of the model file.
        size: The (width, height) that all training images have.
        verdicts: What was said of them, as the lines of a file; maybe none.
        made_of: A digest of all that decided it; None where the detector does not tell.
        weights_of: The version that learnt it; None where this one did.
    """

    sha256: str
    size: tuple[int, int]
    verdicts: str = ""
    made_of: str | None = None
    weights_of: int | None = None

    def to_bytes(self) -> bytes:
        """Return it as bytes, for a file or a checkpoint."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Learning":
        """Return what `to_bytes` was called on, of this version or an earlier one."""
        found = json.loads(data)
        return cls(**found | {"size": tuple(found["size"])})


def digest(
    runtime: Runtime,
    model: Model,
    examples: "Sequence[Example]",
    sources: Sequence[str],
    settings: "Settings",
) -> str | None:
    """Return a digest of all that decides what the model learns; None where no detector tells.

    Args:
        runtime: The state.
        model: That is to learn.
        examples: From these, in this order.
        sources: Their addresses, which the training's verdicts name.
        settings: How.
    """
    told = getattr(runtime.detector_of(model), "training_digest", None)
    if told is None:
        return None
    said = [model.detector, told(examples, settings), *sources]
    return sha256(json.dumps(said).encode()).hexdigest()


def note(runtime: Runtime, model: Model, learning: Learning) -> None:
    """Write what the model learnt from beside it."""
    atomic.write_bytes(_file(runtime, model), learning.to_bytes())


def noted(runtime: Runtime, model: Model) -> Learning | None:
    """Return what is noted beside the model; None where nothing is, or it is damaged."""
    try:
        return Learning.from_bytes(_file(runtime, model).read_bytes())
    except (OSError, ValueError, TypeError, KeyError):
        return None


def take_over(runtime: Runtime, model: Model, made_of: str | None, to: Path) -> Learning | None:
    """Take the weights of a trained version of the project that learnt from the same.

    Args:
        runtime: The state.
        model: That would learn.
        made_of: From what.
        to: The file to write; the newest version that is whole shares its own.

    Returns:
        What that version noted. None where there is none, or the model's tag says to learn anew.
    """
    with runtime.database.read() as tx:
        is_to_learn = tags.value(tx, model.arn, names.LEARN) == names.ANEW
        others = models.of_project(tx, model.project)
    if made_of is None or is_to_learn:
        return None
    trained = [each for each in others if each.status in MODEL_TRAINED and each.id != model.id]
    for other in sorted(trained, key=lambda each: -each.version):
        found = noted(runtime, other)
        if found is None or found.made_of != made_of:
            continue
        with suppress(OSError):  # it is being deleted
            weights = runtime.model_file(other.id).read_bytes()
            if sha256(weights).hexdigest() == found.sha256:
                if atomic.link(runtime.model_file(other.id), to):
                    atomic.sync_folder(to.parent)
                else:
                    atomic.write_bytes(to, weights)
                return replace(found, weights_of=found.weights_of or other.version)
    return None


def _file(runtime: Runtime, model: Model) -> Path:
    return runtime.model_file(model.id).with_name(_FILE)
