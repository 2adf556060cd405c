"""What can be wrong with an image."""

from lfvpipe.errors import UserError


class ImageError(UserError):
    """An image that cannot be used, and why.

    Attributes:
        fault: What is wrong, as a predicate without its subject or a full stop, for callers that
            know the image's name: ``is truncated or damaged``.
    """

    def __init__(self, fault: str, *, hint: str = "") -> None:
        self.fault = fault
        super().__init__(f"The image {fault}.", hint=hint)


class UnfitImage(ImageError):
    """It is sound, and the part of it that is to count is not in it."""


class NotAMask(ImageError):
    """It has more colours than a mask has anomaly types."""

    def __init__(self, colours: str) -> None:
        super().__init__(
            f"has {colours} colours, which is a picture and not a mask",
            hint="A mask has one colour for each anomaly type.",
        )
