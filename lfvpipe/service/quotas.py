"""What the service allows; the defaults are the documented quotas.

The `open` limits are wider, see `lfvpipe.lookout.limits`. ``quotas.json`` in the service's
state folder changes single numbers of either, such as
``{"concurrent_trainings": 1, "requests_per_second": 5}``; it is read when the service opens.
"""

import difflib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lfvpipe.errors import UserError
from lfvpipe.lookout import rules
from lfvpipe.lookout.limits import LIMITS

FILE_NAME = "quotas.json"
# Where null sets no limit.
_UNLIMITED = (
    "max_train_images",
    "max_test_images",
    "max_segmentation_train_images",
    "max_segmentation_test_images",
    "requests_per_second",
    "queued_trainings",
    "idle_seconds",
    "kept_changes",
)


@dataclass(frozen=True)
class Quotas:
    """The service's limits: counts of images unless the name says otherwise.

    Attributes:
        max_train_images: Most images of a training dataset, None for as many as there are; likewise
            `max_test_images`, and `max_segmentation_...` where the images have masks.
        max_anomaly_labels: Most anomaly types of a project; likewise `..._per_image`.
        min_images_per_label: Fewest images that show an anomaly type alone, in each of a project's
            two datasets; `..._single` in its only one.
        projects: Most projects; the real number was never published.
        models_per_project: Most model versions that exist at once in a project; likewise.
        hosted_models: Most models hosted at once; likewise.
        concurrent_trainings: Most trainings at once; the rest wait in line.
        queued_trainings: Most that wait in line; one more is refused, as documented with 0. None
            sets no limit.
        cancel_trainings: Whether DeleteModel cancels a training. Documented is that it refuses; a
            service within its caller cancels, unless the file says otherwise.
        training_attempts: How many processes may die of a training without one completing a stage.
        checkpoint_bytes: What a training's features may take on the disk, for one that is killed
            to go on with; without room for them, they are worked out again.
        requests_per_second: How often each operation but DetectAnomalies may be called; the
            original allowed 5. None sets no limit; a service within its caller never has one.
        idle_seconds: How long nobody may ask a hosted model before it is stopped. None: for ever.
        kept_changes: About how many changes that were made are told; the oldest go. None: all.
    """

    min_side: int = rules.MIN_SIDE
    max_side: int = rules.MAX_SIDE
    max_image_bytes: int = rules.MAX_IMAGE_BYTES
    min_train_normal: int = rules.MIN_TRAIN_NORMAL
    min_train_anomaly: int = rules.MIN_TRAIN_ANOMALY
    min_test_normal: int = rules.MIN_TEST_NORMAL
    min_test_anomaly: int = rules.MIN_TEST_ANOMALY
    min_single_normal: int = rules.MIN_SINGLE_NORMAL
    min_single_anomaly: int = rules.MIN_SINGLE_ANOMALY
    max_train_images: int | None = rules.MAX_TRAIN_IMAGES
    max_test_images: int | None = rules.MAX_TEST_IMAGES
    max_segmentation_train_images: int | None = rules.MAX_SEGMENTATION_TRAIN_IMAGES
    max_segmentation_test_images: int | None = rules.MAX_SEGMENTATION_TEST_IMAGES
    max_anomaly_labels: int = rules.MAX_ANOMALY_LABELS
    max_anomaly_labels_per_image: int = rules.MAX_ANOMALY_LABELS_PER_IMAGE
    min_images_per_label: int = rules.MIN_IMAGES_PER_ANOMALY_LABEL
    min_images_per_label_single: int = rules.MIN_IMAGES_PER_ANOMALY_LABEL_SINGLE
    max_manifest_bytes: int = rules.MAX_MANIFEST_BYTES
    max_manifest_line: int = rules.MAX_MANIFEST_LINE
    max_tags: int = rules.MAX_TAGS
    inference_units: int = rules.MAX_INFERENCE_UNITS
    token_seconds: float = rules.IDEMPOTENCY_SECONDS
    projects: int = 1000
    models_per_project: int = 10_000
    hosted_models: int = 100
    concurrent_trainings: int = rules.MAX_CONCURRENT_TRAININGS
    queued_trainings: int | None = None
    cancel_trainings: bool = False
    training_attempts: int = 5
    checkpoint_bytes: int = 2 * 1024**3
    requests_per_second: float | None = None
    idle_seconds: float | None = None
    kept_changes: int | None = 100_000


def read_quotas(
    state_dir: Path, limits: str = "documented", *, cancel_trainings: bool = False
) -> Quotas:
    """Return the quotas of a state folder: those of `limits`, changed by its ``quotas.json``.

    Args:
        state_dir: Where the file may lie.
        limits: A name among `lfvpipe.lookout.limits.LIMITS`.
        cancel_trainings: What the quota of that name is where the file does not say.

    Raises:
        UserError: The file is no JSON object of known names, with numbers that are not negative
            or, where there is no number, true or false.
    """
    file = state_dir / FILE_NAME
    usual = asdict(LIMITS[limits]) | {"cancel_trainings": cancel_trainings}
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return Quotas(**usual)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"The quotas in {file} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} must hold a JSON object.", hint='Such as {"max_tags": 50}.')
    for name, value in found.items():
        _check(file, name, value)
    return Quotas(**usual | found)


def _check(file: Path, name: str, value: Any) -> None:
    defaults = {field.name: field.default for field in fields(Quotas)}
    if name not in defaults:
        close = difflib.get_close_matches(name, defaults, 1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(defaults)}."
        raise UserError(f"{file}: there is no quota {name!r}.", hint=hint)
    if isinstance(defaults[name], bool):
        if not isinstance(value, bool):
            raise UserError(f"{file}: {name} must be true or false, not {value!r}.")
        return
    if name in _UNLIMITED and value is None:
        return
    whole = isinstance(defaults[name], int) or name == "queued_trainings"
    usable = type(value) is int or (type(value) is float and not whole)
    may_be_0 = name.startswith("min_") or name == "queued_trainings"
    least = 1 if whole and not may_be_0 else 0
    if not usable or not least <= value < float("inf") or (not whole and value == 0):
        kind = f"whole number of at least {least}" if whole else "number above 0"
        raise UserError(f"{file}: {name} must be a {kind}, not {value!r}.")


def quotas_to_json(quotas: Quotas) -> str:
    """Return `quotas` as a text that can be handed to another process."""
    return json.dumps(asdict(quotas))


def quotas_from_json(text: str) -> Quotas:
    """Return what `quotas_to_json` wrote."""
    return Quotas(**json.loads(text))
