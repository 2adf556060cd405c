"""Makes the small data sets of the example pipelines: grey textures with weak local defects.

The textures are in the manner of the DAGM 2007 competition: a statistical texture that fills the
image, and on a defective one an elliptic spot where its grain changes. All are computed from one
seed, so that the archives under ``data/`` can be made again:

    python pipelines/make_textures.py [FOLDER]

It writes, below FOLDER (default: ``data`` beside this script):

- ``Texture.zip`` with ``Texture/1.png`` … ``80.png``: normal images, 128x128 px, 8-bit grey;
- ``Texture_def.zip`` with ``Texture_def/1.png`` … ``70.png``, and ``labels.txt`` with the ellipse
  of each defect: index, semi-major and semi-minor axis in px, rotation in rad, x and y in px;
- ``exported/``: what a user of the retired service would have exported: 24 normal and 24 defective
  images with masks in one archive, and manifests that name them by ``s3://`` addresses of a bucket
  that is gone.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

SEED = 2007
SIDE = 128
NORMAL, DEFECTIVE = 80, 70
EXPORTED = 24
EXPORTED_TRAIN = 14
BUCKET = "s3://retired-texture-bucket/products"
MASK_COLOUR = (0x23, 0xA4, 0x36)
WHITE = (0xFF, 0xFF, 0xFF)
CREATED = "2024-05-06T07:08:09.000000"


@dataclass(frozen=True)
class Ellipse:
    """A defect's place: semi-axes and centre in px, rotation in rad."""

    major: float
    minor: float
    rotation: float
    x: float
    y: float

    def depth(self) -> NDArray[np.float64]:
        """Return (SIDE, SIDE) values: 1 at the centre, 0 on the edge, negative outside."""
        rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(float)
        across, down = columns - self.x, rows - self.y
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        along = (across * cos + down * sin) / self.major
        aside = (down * cos - across * sin) / self.minor
        inside: NDArray[np.float64] = 1.0 - (along**2 + aside**2)
        return inside


def generator(kind: str, number: int) -> np.random.Generator:
    """Return the random numbers of one image, the same whatever else is made."""
    return np.random.default_rng([SEED, *kind.encode(), number])


def grain(random: np.random.Generator, low: float, high: float) -> NDArray[np.float64]:
    """Return (SIDE, SIDE) noise of mean 0 and deviation 1, between two frequencies in cycles/px."""
    spectrum = np.fft.rfft2(random.standard_normal((SIDE, SIDE)))
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    spectrum[(frequency < low) | (frequency > high)] = 0
    noise = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    scaled: NDArray[np.float64] = noise / noise.std()
    return scaled


def texture(random: np.random.Generator) -> NDArray[np.float64]:
    """Return (SIDE, SIDE) grey values around 0.5: coarse blotches under a fine grain."""
    coarse = np.tanh(1.6 * grain(random, 0.03, 0.09))
    return 0.5 + 0.11 * coarse + 0.02 * grain(random, 0.1, 0.3) + 0.02 * random.uniform(-1, 1)


def ellipse(random: np.random.Generator) -> Ellipse:
    """Return a random ellipse that lies inside the image."""
    return Ellipse(
        major=round(random.uniform(14, 22), 2),
        minor=round(random.uniform(7, 11), 2),
        rotation=round(random.uniform(-np.pi, np.pi), 5),
        x=round(random.uniform(26, SIDE - 26), 2),
        y=round(random.uniform(26, SIDE - 26), 2),
    )


def defective(random: np.random.Generator, where: Ellipse) -> NDArray[np.float64]:
    """Return a texture whose grain, inside the ellipse, is finer and a little darker."""
    weight = np.clip(where.depth() * 2.5, 0, 1)
    spot = 0.46 + random.uniform(0.06, 0.11) * grain(random, 0.16, 0.32)
    blended: NDArray[np.float64] = texture(random) * (1 - weight) + spot * weight
    return blended


def png(values: NDArray[np.float64]) -> bytes:
    """Return grey values 0…1 as a PNG of 64 levels, which halves its size."""
    levels = np.clip(np.round(values * 63), 0, 63) * 4
    return encoded(Image.fromarray(levels.astype(np.uint8)))


def mask(where: Ellipse) -> bytes:
    """Return the ellipse as a PNG: the defect's colour on white."""
    pixels = np.where((where.depth() > 0)[..., None], MASK_COLOUR, WHITE)
    return encoded(Image.fromarray(pixels.astype(np.uint8)))


def encoded(image: Image.Image) -> bytes:
    """Return `image` as PNG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write_zip(path: Path, members: Iterator[tuple[str, bytes]]) -> None:
    """Write an archive that holds nothing of the day or the machine it was made on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, date_time=(2007, 9, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)


def normal_members() -> Iterator[tuple[str, bytes]]:
    """Yield the members of ``Texture.zip``."""
    for number in range(1, NORMAL + 1):
        yield f"Texture/{number}.png", png(texture(generator("normal", number)))


def defective_members() -> Iterator[tuple[str, bytes]]:
    """Yield the members of ``Texture_def.zip``, its ``labels.txt`` last."""
    lines = []
    for number in range(1, DEFECTIVE + 1):
        random = generator("defective", number)
        where = ellipse(random)
        yield f"Texture_def/{number}.png", png(defective(random, where))
        place = (where.major, where.minor, where.rotation, where.x, where.y)
        lines.append("\t".join([str(number), *(f"{part:.6g}" for part in place)]))
    yield "Texture_def/labels.txt", "\n".join([*lines, ""]).encode()


def exported_members() -> Iterator[tuple[str, bytes]]:
    """Yield the members of ``exported/images.zip``: images, and the masks of the defective."""
    for number in range(1, EXPORTED + 1):
        yield f"products/normal/{number:02}.png", png(texture(generator("good", number)))
    for number in range(1, EXPORTED + 1):
        random = generator("bad", number)
        where = ellipse(random)
        yield f"products/anomaly/{number:02}.png", png(defective(random, where))
        yield f"products/masks/{number:02}.png", mask(where)


def entry(label: str, number: int, *, segmentation: bool) -> dict[str, Any]:
    """Return one line of a manifest, as the retired service exported it."""
    line: dict[str, Any] = {
        "source-ref": f"{BUCKET}/{label}/{number:02}.png",
        "anomaly-label": int(label == "anomaly"),
        "anomaly-label-metadata": {
            "class-name": label,
            "confidence": 1,
            "human-annotated": "yes",
            "creation-date": CREATED,
            "type": "groundtruth/image-classification",
        },
    }
    if segmentation and label == "anomaly":
        line |= {"anomaly-mask-ref": f"{BUCKET}/masks/{number:02}.png"}
        line |= {"anomaly-mask-ref-metadata": mask_metadata()}
    return line


def mask_metadata() -> dict[str, Any]:
    """Return what a manifest says of a mask: which colour stands for which type of anomaly."""
    colours = {
        "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0},
        "1": {"class-name": "spot", "hex-color": "#23A436", "confidence": 0},
    }
    return {
        "internal-color-map": colours,
        "human-annotated": "yes",
        "creation-date": CREATED,
        "type": "groundtruth/semantic-segmentation",
    }


def write_manifest(path: Path, numbers: Sequence[int], *, segmentation: bool) -> None:
    """Write a manifest of the images with these numbers, of both labels."""
    lines = [
        json.dumps(entry(label, number, segmentation=segmentation))
        for label in ("normal", "anomaly")
        for number in numbers
    ]
    path.write_bytes("\n".join([*lines, ""]).encode())


def make(folder: Path) -> None:
    """Make every archive and manifest below `folder`."""
    write_zip(folder / "Texture.zip", normal_members())
    write_zip(folder / "Texture_def.zip", defective_members())
    exported = folder / "exported"
    write_zip(exported / "images.zip", exported_members())
    train, test = range(1, EXPORTED_TRAIN + 1), range(EXPORTED_TRAIN + 1, EXPORTED + 1)
    for kind, segmentation in (("classification", False), ("segmentation", True)):
        write_manifest(exported / f"{kind}-train.manifest", train, segmentation=segmentation)
        write_manifest(exported / f"{kind}-test.manifest", test, segmentation=segmentation)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data")
