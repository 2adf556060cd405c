"""Reads a mask before anything is learnt from it: whether it can be used, and what it shows."""

from pathlib import Path

from lfvpipe.images import SERVED, ImageError, inspect, read_mask
from lfvpipe.service.jobs.training.selection import LabelledImage, TrainingError

# AWS's own published masks have a black background, whatever the guide says about white.
_BACKGROUNDS = {(0, 0, 0), (255, 255, 255)}
_MOST_COLOURS = 1 << 16


def read_types(image: LabelledImage, path: Path) -> dict[str, str]:
    """Return the anomaly types that a mask shows, with their colours as in its colour map.

    The map says what may be in the mask: exports list all types of a project in each.

    Args:
        image: The entry that the mask belongs to.
        path: The mask's file.

    Raises:
        TrainingError: It is no PNG, or has a colour that is neither in the colour map nor black,
            white or transparent.
    """
    name = f"The mask {image.entry.mask}"
    try:
        facts = inspect(path, SERVED)
    except ImageError as error:
        raise TrainingError(f"{name} cannot be used: {error.fault}.") from error
    if facts.format != "PNG":
        raise TrainingError(f"{name} is a JPEG; it must be a PNG, since JPEG smears the colours.")
    shown = _colours(name, path)
    declared = {
        each: (code[0], code[1], code[2])
        for each, colour in image.entry.mask_classes.items()
        if (code := bytes.fromhex(colour[1:]))
    }
    strays = sorted(shown - _BACKGROUNDS - set(declared.values()))
    if strays:
        listed = ", ".join(f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in strays[:3])
        more = f" and {len(strays) - 3} more" if len(strays) > 3 else ""
        raise TrainingError(
            f"{name} has the colour {listed}{more}, which is missing in its internal-color-map"
            f" ({', '.join(image.entry.mask_classes.values())}). Correct the hex-color, or paint"
            " the background white."
        )
    return {
        each: image.entry.mask_classes[each] for each, code in declared.items() if code in shown
    }


def check_mask_size(image: LabelledImage, path: Path, size: tuple[int, int]) -> None:
    """Refuse a mask that has not the `size`, (width, height), of its image.

    Raises:
        TrainingError: It has another.
    """
    facts = inspect(path)
    if (facts.width, facts.height) != size:
        raise TrainingError(
            f"The mask {image.entry.mask} has {facts.width}x{facts.height} pixels, its image"
            f" {size[0]}x{size[1]}; both must have the same size."
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
