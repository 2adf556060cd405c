"""The sets to measure on: archives of photographs, generated classes, folders in usual layouts."""

import argparse
import json
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lfvpipe.detector import Example
from tests.benchmarks.detector import textures

REAL = ("aliens", "cookies", "kolektorsdd", "magnetic_tile", "elpv")
DATA = Path(__file__).parents[4] / "shared" / "data"
WHITE = {"anomaly": "#FFFFFF"}
CRACKED = {"cracked": "#23A436"}  # of the cookies' masks
COUNTS = (80, 60)  # generated images, normal and anomalous
Names = dict[str, list[str]]  # of a split file: "train/normal" and so on → names of files


@dataclass(frozen=True)
class ImageSet:
    """Labelled images, and which of them are learnt from and tested on where files say so.

    Attributes:
        name: As it was asked for.
        generated: Whether a program drew it.
        normal: The normal images.
        anomaly: The anomalous ones, with their masks where there are any.
        splits: Split number → names; empty where splits are to be drawn.
    """

    name: str
    generated: bool
    normal: list[Example]
    anomaly: list[Example]
    splits: dict[int, Names]


def image_set(name: str, data: Path, scratch: Path, contrast: float) -> ImageSet:
    """Return a set by its name, or one in a folder; archives are unpacked below `scratch`."""
    folder = data / name if (data / name).is_dir() and name in REAL else Path(name)
    found = list(examples(name, folder, scratch, contrast))
    normal, anomaly = ([each for each in found if each.label == x] for x in ("normal", "anomaly"))
    if not normal or not anomaly:
        raise SystemExit(f"There are no images of both labels in {folder}.")
    splits = {
        int(path.stem): json.loads(path.read_text("utf-8"))
        for path in sorted((folder / "splits").glob("*.json"))
    }
    return ImageSet(name, name in textures.KINDS, normal, anomaly, splits)


def parser(about: str) -> argparse.ArgumentParser:
    """Return what reads the sets that a benchmark is asked for, and the folder of real ones.

    Args:
        about: The benchmark's docstring; its first line is shown.
    """
    made = argparse.ArgumentParser(description=about.partition("\n")[0])
    made.add_argument("sets", nargs="*")
    made.add_argument("--data", type=Path, default=DATA)
    return made


def each(asked: argparse.Namespace, usual: Sequence[str]) -> Iterator[tuple[str, ImageSet, Path]]:
    """Yield the sets that were asked for, or the usual ones: name, images, a passing folder."""
    for name in asked.sets or usual:
        with tempfile.TemporaryDirectory() as scratch:
            yield name, image_set(name, asked.data, Path(scratch), 1.0), Path(scratch)


def examples(name: str, folder: Path, scratch: Path, contrast: float) -> Iterator[Example]:
    """Yield the examples of a named set or a folder."""
    if name in textures.KINDS:
        textures.write(scratch, name, COUNTS, contrast, 0)
        yield from in_folder(scratch / name)
    elif (folder / "train" / "good").is_dir():
        yield from in_mvtec(folder)
    elif (folder / "Train" / "Label").is_dir():
        yield from in_dagm(folder)
    elif any(folder.glob("*.zip")):
        yield from in_archives(folder, scratch / folder.name)
    else:
        yield from in_folder(folder)


def in_archives(folder: Path, scratch: Path) -> Iterator[Example]:
    """Yield the photographs in a set's archives, each unpacked into a folder of its own.

    Bad are those of archives named *_def or *_anomaly, and in others (the cookies' test archive)
    those whose own names hold "anomaly". Masks are in *_masks, named like the images.
    """
    archives = sorted(folder.glob("*.zip"))
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(scratch / path.stem)
    masks = {each.stem: each for each in images(scratch / f"{folder.name}_masks")}
    classes = CRACKED if folder.name == "cookies" else WHITE
    for path in archives:
        for image in [] if path.stem.endswith("_masks") else images(scratch / path.stem):
            if path.stem.endswith(("_def", "_anomaly")) or "anomaly" in image.name:
                yield Example(image, "anomaly", masks.get(image.stem), classes)
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
