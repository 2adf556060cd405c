"""The sets to measure on: archives of photographs, generated classes, folders in usual layouts."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from lfvpipe.detector import Example
from tests.benchmarks.detector import textures

REAL = ("aliens", "cookies")
DATA = Path(__file__).parents[4] / "shared" / "data"
WHITE = {"anomaly": "#FFFFFF"}
CRACKED = {"cracked": "#23A436"}  # of the cookies' masks
COUNTS = (80, 60)  # generated images, normal and anomalous


def examples(name: str, data: Path, scratch: Path, contrast: float) -> Iterator[Example]:
    """Yield the examples of a named set or a folder."""
    folder = Path(name)
    if name in REAL:
        yield from from_archives(data / name, scratch)
    elif name in textures.KINDS:
        textures.write(scratch, name, COUNTS, contrast, 0)
        yield from in_folder(scratch / name)
    elif (folder / "train" / "good").is_dir():
        yield from in_mvtec(folder)
    elif (folder / "Train" / "Label").is_dir():
        yield from in_dagm(folder)
    else:
        yield from in_folder(folder)


def from_archives(folder: Path, scratch: Path) -> Iterator[Example]:
    """Yield the photographs in a set's archives: *_def and files named *anomaly* are bad."""
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(scratch / path.stem)
    masks = {each.stem: each for each in images(scratch / f"{folder.name}_masks")}
    for path in sorted(folder.glob("*.zip")):
        for image in [] if path.stem.endswith("_masks") else images(scratch / path.stem):
            if path.stem.endswith("_def") or "anomaly" in image.name:
                yield Example(image, "anomaly", masks.get(image.stem), CRACKED)
            else:
                yield Example(image, "normal")


def in_folder(folder: Path) -> Iterator[Example]:
    """Yield the images of normal/ and anomaly/, with masks/ where there are any."""
    for image in images(folder / "normal"):
        yield Example(image, "normal")
    for image in images(folder / "anomaly"):
        mask = folder / "masks" / f"{image.stem}.png"
        yield Example(image, "anomaly", mask if mask.exists() else None, WHITE)


def in_mvtec(folder: Path) -> Iterator[Example]:
    """Yield every image of a product in MVTec AD's layout."""
    for image in [*images(folder / "train" / "good"), *images(folder / "test" / "good")]:
        yield Example(image, "normal")
    for kind in sorted(each for each in (folder / "test").iterdir() if each.name != "good"):
        for image in images(kind):
            mask = folder / "ground_truth" / kind.name / f"{image.stem}_mask.png"
            yield Example(image, "anomaly", mask if mask.exists() else None, WHITE)


def in_dagm(folder: Path) -> Iterator[Example]:
    """Yield every image of a class in DAGM's layout: Train and Test, each with a Label folder."""
    for part in (folder / "Train", folder / "Test"):
        masks = {each.stem.removesuffix("_label"): each for each in images(part / "Label")}
        for image in (each for each in images(part) if each.parent == part):
            mask = masks.get(image.stem)
            yield Example(image, "anomaly" if mask else "normal", mask, WHITE)


def images(folder: Path) -> list[Path]:
    """Return the image files below `folder`, sorted."""
    kinds = {".png", ".jpg", ".jpeg", ".bmp"}
    return sorted(each for each in folder.rglob("*") if each.suffix.lower() in kinds)
