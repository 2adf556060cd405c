"""Checks a mask before anything is learnt from it."""

from pathlib import Path

from lfvpipe.images import SERVED, ImageError, inspect, read_mask
from lfvpipe.service.jobs.training.selection import LabelledImage, TrainingError

# AWS's own published masks have a black background, whatever the guide says about white.
_BACKGROUNDS = {(0, 0, 0), (255, 255, 255)}
_MOST_COLOURS = 1 << 16


def check_mask(image: LabelledImage, path: Path, size: tuple[int, int]) -> None:
    """Refuse a mask that does not fit its image or its colour map.

    Args:
        image: The entry that the mask belongs to.
        path: The mask's file.
        size: (width, height) of the image.

    Raises:
        TrainingError: It is no PNG, has another size, or has a colour that is neither in the
            colour map nor black, white or transparent.
    """
    name = f"The mask {image.entry.mask}"
    try:
        facts = inspect(path, SERVED)
    except ImageError as error:
        raise TrainingError(f"{name} cannot be used: {error.fault}.") from error
    if facts.format != "PNG":
        raise TrainingError(f"{name} is a JPEG; it must be a PNG, since JPEG smears the colours.")
    if (facts.width, facts.height) != size:
        raise TrainingError(
            f"{name} has {facts.width}x{facts.height} pixels, its image {size[0]}x{size[1]};"
            " both must have the same size."
        )
    named = (bytes.fromhex(colour[1:]) for colour in image.entry.mask_classes.values())
    known = _BACKGROUNDS | {(red, green, blue) for red, green, blue in named}
    strays = sorted(_colours(name, path) - known)
    if strays:
        shown = ", ".join(f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in strays[:3])
        more = f" and {len(strays) - 3} more" if len(strays) > 3 else ""
        raise TrainingError(
            f"{name} has the colour {shown}{more}, which is missing in its internal-color-map"
            f" ({', '.join(image.entry.mask_classes.values())}). Correct the hex-color, or paint"
            " the background white."
        )


def _colours(name: str, path: Path) -> set[tuple[int, int, int]]:
    """Return the colours that show."""
    try:
        counted = read_mask(path).getcolors(_MOST_COLOURS)
    except ImageError as error:
        raise TrainingError(f"{name} cannot be read: it {error.fault}.") from error
    if counted is None:
        raise TrainingError(f"{name} has over {_MOST_COLOURS} colours: a picture, no mask.")
    colours = (colour for _, colour in counted if isinstance(colour, tuple))
    return {(red, green, blue) for red, green, blue in colours}
