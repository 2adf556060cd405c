"""What can go wrong in a detector, and what a user should know although nothing did."""

from dataclasses import dataclass

from lfvpipe.errors import UserError


class DetectorError(UserError):
    """Images, settings or a model file that the detector cannot work with."""


class TrainingCancelled(Exception):
    """Training stopped because `cancelled()` turned true."""


@dataclass(frozen=True)
class DetectorWarning:
    """Something about a trained model that its user should know.

    Attributes:
        code: A stable word for programs, such as "normals-only".
        message: The same for people.
    """

    code: str
    message: str
