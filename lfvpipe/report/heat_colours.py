"""The colours of heat maps, in pictures and in the page's legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Inferno (S. van der Walt and N. Smith, matplotlib, CC0) without its black end: its lightness rises
# steadily, so that it reads the same with every kind of colour vision, and in grey.
COLOURS = ((87, 16, 110), (143, 36, 105), (188, 55, 84), (227, 89, 51), (249, 142, 9))
HOTTEST = (252, 255, 164)
STRONGEST = 225 / 255  # the picture still shines through
NOTHING, FULL = 0.04, 0.54  # from here on something is seen, and from there on all there is


def pixels(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (h, w, 4) RGBA of a heat map (h, w) of 0 to 1: the weaker, the clearer."""
    import numpy

    stops = numpy.array([*COLOURS, HOTTEST], numpy.float32)
    at = numpy.linspace(0, 1, len(stops))
    channels = [numpy.interp(heat, at, stops[:, channel]) for channel in range(3)]
    alpha = 255 * STRONGEST * numpy.clip((heat - NOTHING) / (FULL - NOTHING), 0, 1)
    return numpy.dstack([*channels, alpha]).astype(numpy.uint8)


def ramp() -> str:
    """Return the colours from weak to strong as stops of a CSS gradient."""
    stops = [*COLOURS, HOTTEST]
    parts = []
    for number, (red, green, blue) in enumerate(stops):
        strength = number / (len(stops) - 1)
        alpha = STRONGEST * min(max((strength - NOTHING) / (FULL - NOTHING), 0), 1)
        parts.append(f"rgb({red} {green} {blue} / {alpha:.2f})")
    return ", ".join(parts)
