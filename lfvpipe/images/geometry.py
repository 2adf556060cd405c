"""Which part of a photograph counts: ignored areas, a region, and the size it is brought to."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from PIL import Image, ImageDraw

from lfvpipe.images.decoding import read_painting
from lfvpipe.images.errors import ImageError, UnfitImage
from lfvpipe.images.shapes import Shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fit = Literal["contain", "cover", "stretch"]
Size = tuple[int, int]
Polygon = tuple[tuple[float, float], ...]

_GREY: Final = 128  # of 255: what shows where nothing counts
_LONGEST: Final = 1 << 20  # bytes of a description, unpacked
_LARGEST: Final = 4096  # px a side of what photographs are brought to
_FARTHEST: Final = 1_000_000  # px from the corner, of what a description names


@dataclass(frozen=True)
class Geometry:
    """What is done to each photograph of a product, upright, in this order.

    Attributes:
        ignore: Polygons, (right, down) in pixels, that are painted in mid grey.
        mask: A PNG of the photograph's size; what it paints, neither black nor transparent, is
            painted in mid grey as well.
        region: (left, top, width, height), pixels, that is cut out.
        size: (width, height) that it is brought to; None leaves it.
        fit: How: whole, with mid grey at the sides; filled, cut at the sides; or distorted.
        seen: (width, height) that all photographs of the product had; None where they differ.
        learnt: Which sizes those had that a model learnt from; None where that was not noted.
    """

    ignore: tuple[Polygon, ...] = ()
    mask: bytes | None = None
    region: tuple[int, int, int, int] | None = None
    size: Size | None = None
    fit: Fit = "stretch"
    seen: Size | None = None
    learnt: Shapes | None = None

    @property
    def is_strict(self) -> bool:
        """Whether photographs of another size than those seen cannot be prepared alike."""
        return bool(self.ignore or self.mask or self.region)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is done."""
        return self.size is None and not self.is_strict

    def changes(self, size: Size) -> tuple[str, ...]:
        """Return what is done to a photograph of this (width, height), in words."""
        left = self.region[2:] if self.region else size
        done = {
            "ignored": bool(self.ignore or self.mask),
            "cropped": left != size,
            "resized": self.size is not None and left != self.size,
        }
        return tuple(word for word, is_done in done.items() if is_done)

    def apply(self, image: Image.Image) -> Image.Image:
        """Return the photograph (L or RGB) as it is to be learnt from and judged.

        Raises:
            ImageError: It is smaller than the region, or of another size than the mask, or than
                the photographs that were seen.
        """
        if self.is_strict and self.seen is not None and image.size != self.seen:
            raise self._of_another_size(image.size, {self.seen})
        grey = _GREY if image.mode == "L" else (_GREY,) * 3
        if self.ignore or self.mask:
            hidden = self._hidden(image.size)
            image = image.copy()
            image.paste(grey, mask=hidden)
        return self._place(image, grey, Image.Resampling.LANCZOS)

    def apply_to_mask(self, mask: Image.Image) -> tuple[Image.Image, NDArray[np.bool_]]:
        """Return a mask (RGB) as its photograph is, and where nothing counts (h, w).

        Raises:
            ImageError: See `apply`.
        """
        hidden = self._hidden(mask.size)
        placed = self._place(mask, (0, 0, 0), Image.Resampling.NEAREST)
        return placed, np.asarray(self._place(hidden, 255, Image.Resampling.NEAREST)) > 0

    def _hidden(self, size: Size) -> Image.Image:
        hidden = Image.new("L", size, 0)
        pen = ImageDraw.Draw(hidden)
        for polygon in self.ignore:
            pen.polygon(polygon, fill=255, outline=255)
        if self.mask is not None:
            try:
                colours, opaque = read_painting(self.mask)
            except ImageError as error:
                raise UnfitImage(
                    f"cannot be prepared, as the mask of what is ignored {error.fault}",
                    hint=error.hint,
                ) from error
            if opaque.shape != (size[1], size[0]):
                raise UnfitImage(
                    f"has {size[0]} x {size[1]} pixels, the mask of what is ignored"
                    f" {opaque.shape[1]} x {opaque.shape[0]}",
                    hint="Draw the mask on such an image.",
                )
            hidden.paste(255, mask=Image.fromarray(opaque & colours.any(axis=2)))
        if hidden.getextrema() == (255, 255):
            raise UnfitImage(
                "is ignored from side to side",
                hint="What the mask leaves black or transparent counts; a mask may not cover all.",
            )
        return hidden

    def _place(self, image: Image.Image, around: Any, resampling: Image.Resampling) -> Image.Image:
        if self.region is not None:
            left, top, width, height = self.region
            if left + width > image.width or top + height > image.height:
                raise UnfitImage(
                    f"has {image.width} x {image.height} pixels, and the region reaches to"
                    f" {left + width} x {top + height}",
                    hint="Choose a region within all images.",
                )
            image = image.crop((left, top, left + width, top + height))
        if self.size is None or image.size == self.size:
            return image
        width, height = self.size
        if self.fit != "stretch":
            scales = width / image.width, height / image.height
            scale = min(scales) if self.fit == "contain" else max(scales)
            width, height = (max(1, round(side * scale)) for side in image.size)
        gap = None if resampling is Image.Resampling.NEAREST else 3.0
        resized = image.resize((width, height), resampling, reducing_gap=gap)
        if resized.size == self.size:
            return resized
        canvas = Image.new(image.mode, self.size, around)
        canvas.paste(resized, ((self.size[0] - width) // 2, (self.size[1] - height) // 2))
        return canvas

    def prepare(self, image: Image.Image, trained: Size) -> Image.Image:
        """Return a photograph as a model is to see it, prepared before or not.

        Args:
            image: Its pixels, upright.
            trained: (width, height) of the images that the model was trained on.

        Raises:
            ImageError: It has neither that size nor the one of the photographs that these were
                made of, so that nobody knows what part of it counts.
        """
        if image.size == trained and not self._keeps_size:
            return image
        if image.size == self.seen or not self.is_strict:
            return self.apply(image)  # again, where only areas are ignored: that does no harm
        raise self._of_another_size(image.size, {trained, self.seen or trained})

    def tell_apart(self, size: Size, trained: Size) -> str:
        """Return how a photograph is unlike those that a model learnt from; "" where it is not.

        Args:
            size: Its (width, height), upright.
            trained: That of the images that the model was trained on.
        """
        if size == trained:  # prepared before, or as it has to be
            return ""
        known = self.seen or (trained if self.is_plain else None)
        shapes = self.learnt or Shapes.of([known] if known else [])
        return shapes.tell_apart(size) if shapes else ""

    def left_by_ignoring(self, size: Size) -> float:
        """Return which part (0 to 1) of what a model sees of a photograph is not ignored.

        Raises:
            ImageError: See `apply`.
        """
        hidden = self._hidden(size)
        if self.region is not None:
            left, top, width, height = self.region
            hidden = hidden.crop((left, top, left + width, top + height))
        return 1 - float(np.asarray(hidden).mean()) / 255

    def _of_another_size(self, size: Size, known: set[Size]) -> ImageError:
        sizes = " or ".join(f"{width}x{height}" for width, height in sorted(known))
        return ImageError(
            f"has {size[0]}x{size[1]} pixels; it must have {sizes}, as the images that the model"
            " was trained on",
            hint="Photograph and scale images as those.",
        )

    @property
    def _keeps_size(self) -> bool:
        return self.region is None and self.size is None

    def as_text(self) -> str:
        """Return the geometry in signs that tags of AWS may have; "" where nothing is done."""
        if self.is_plain:
            return ""
        mask = None if self.mask is None else base64.b64encode(self.mask).decode()
        learnt = None if self.learnt is None else self.learnt.as_json()
        given = {**vars(self), "mask": mask, "learnt": learnt}
        text = json.dumps({key: each for key, each in given.items() if each}, separators=(",", ":"))
        return base64.b64encode(zlib.compress(text.encode(), 9)).decode()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the geometry that `as_text` described.

        Raises:
            ValueError: It did not.
        """
        if not text:
            return cls()
        try:
            packed = zlib.decompressobj()
            given = json.loads(packed.decompress(base64.b64decode(text, validate=True), _LONGEST))
            region = _whole(given.get("region"), 4, least=0)
            if region is not None and 0 in region[2:]:
                raise ValueError(region)
            mask = base64.b64decode(given["mask"], validate=True) if "mask" in given else None
            if given.get("fit", "stretch") not in ("contain", "cover", "stretch"):
                raise ValueError(given["fit"])
            return cls(
                ignore=tuple(_polygon(each) for each in given.get("ignore", ())),
                mask=mask,
                region=region,
                size=_whole(given.get("size"), 2, most=_LARGEST),
                fit=given.get("fit", "stretch"),
                seen=_whole(given.get("seen"), 2),
                learnt=Shapes.from_json(given["learnt"]) if "learnt" in given else None,
            )
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            zlib.error,
        ) as error:
            raise ValueError(text[:80]) from error


def _whole(given: Any, count: int, *, least: int = 1, most: int = _FARTHEST) -> Any:
    """Return so many whole numbers of a foreign file; None for None."""
    if given is None:
        return None
    numbers = tuple(given)
    if len(numbers) != count or not all(
        type(each) is int and least <= each <= most for each in numbers
    ):
        raise ValueError(numbers)
    return numbers


def _polygon(given: Any) -> Polygon:
    points = tuple((float(x), float(y)) for x, y in given)
    if len(points) < 3 or not all(abs(each) <= _FARTHEST for point in points for each in point):
        raise ValueError(points)
    return points
