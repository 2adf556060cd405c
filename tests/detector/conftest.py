"""A small synthetic product: a woven texture, with or without a scratch or a spot."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lfvpipe.detector import Example, Model, Settings, train

SCRATCH, SPOT = "#FF0000", "#00FF00"
# A third of the steps that networks learn in at least: enough for scratches and spots of this size.
FAST = Settings(sides=(128,), views=2, looks=4, steps=20)


def texture(generator: np.random.Generator, side: int = 128) -> Image.Image:
    y, x = np.mgrid[:side, :side]
    waves = 20 * np.sin(x / 3 + generator.uniform(0, 6)) + 20 * np.sin(y / 4)
    grey = 128 + waves + generator.normal(0, 8, (side, side))
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")


def draw_spoiled(generator: np.random.Generator, kind: str) -> tuple[Image.Image, Image.Image]:
    """A texture with a defect, and its mask: the kind's colour on black."""
    image = texture(generator)
    mask = Image.new("RGB", image.size)
    x, y = (int(value) for value in generator.integers(24, 96, 2))
    for canvas, color in ((image, "black"), (mask, SCRATCH if kind == "scratch" else SPOT)):
        draw = ImageDraw.Draw(canvas)
        if kind == "scratch":
            draw.line((x - 20, y - 10, x + 20, y + 12), fill=color, width=4)
        else:
            draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=color)
    return image, mask


@dataclass(frozen=True)
class Product:
    normal: list[Example]
    anomaly: list[Example]
    masked: list[Example]


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    folder = tmp_path_factory.mktemp("product")
    generator = np.random.default_rng(7)
    normal, anomaly, masked = [], [], []
    for index in range(24):
        path = folder / f"normal-{index}.png"
        texture(generator).save(path)
        normal.append(Example(path, "normal"))
    for index in range(20):
        kind = ("scratch", "spot")[index % 2]
        image, mask = draw_spoiled(generator, kind)
        path, mask_path = folder / f"{kind}-{index}.png", folder / f"mask-{index}.png"
        image.save(path)
        mask.save(mask_path)
        anomaly.append(Example(path, "anomaly"))
        classes = {"scratch": SCRATCH, "spot": SPOT}
        masked.append(Example(path, "anomaly", mask_path, classes))
    return Product(normal, anomaly, masked)


@pytest.fixture(scope="session")
def supervised(product: Product) -> Model:
    return train([*product.normal[:14], *product.anomaly[:12]], FAST)


@pytest.fixture(scope="session")
def segmenting(product: Product) -> Model:
    return train([*product.normal[:14], *product.masked[:12]], FAST)


@pytest.fixture(scope="session")
def novelty_only(product: Product) -> Model:
    return train(product.normal[:16], FAST)
