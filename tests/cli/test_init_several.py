"""What `init` says where a list and folders, several lists, products or parts lie side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.config import load
from tests.end_to_end.test_init_layouts import _line, many, put, text

if TYPE_CHECKING:
    from pathlib import Path


def _sorted(here: Path) -> list[str]:
    """Make sorted folders, of which four images in bad/ are listed as good; return the listed."""
    put(here / "p", many("good/g{}.png", 20), many("bad/b{}.png", 16))
    return [*many("good/g{}.png", 18), *many("bad/b{}.png", 16)]


def _listed_as(name: str) -> str:
    is_good = name.startswith("good") or name in many("bad/b{}.png", 4)
    return "normal" if is_good else "anomaly"


def _csv(here: Path) -> list[str]:
    lines = [f"{name},{_listed_as(name)}" for name in _sorted(here)]
    text(here / "p/labels.csv", "\n".join(["file,label", *lines]))
    return ["labels.csv"]


def _coco(here: Path) -> list[str]:
    names = _sorted(here)
    marks = [at for at, name in enumerate(names) if _listed_as(name) == "anomaly"]
    document = {
        "images": [
            {"id": n, "file_name": f, "width": 64, "height": 64} for n, f in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "scratch"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [5, 5, 20, 20]} for n in marks
        ],
    }  # fmt: skip
    text(here / "p/instances.json", json.dumps(document))
    return ["the annotations"]


def _manifest(here: Path) -> list[str]:
    lines = [_line(name, _listed_as(name)) for name in _sorted(here)]
    text(here / "p/all.manifest", "\n".join(lines))
    return ["all.manifest"]


@pytest.mark.parametrize("make", [_csv, _coco, _manifest])
def test_a_list_that_denies_the_folders_counts_and_says_so(
    make: Any, here: Path, lfvpipe: Any
) -> None:
    (source,) = make(here)
    said = lfvpipe("init", "p")
    assert said.code == 0, said.err
    assert f"what {source} says counts, not names of folders and files" in said.out
    assert f"  4 images in bad/ are good by {source}, such as bad/b1.png" in said.out
    assert "2 images that the" in said.out
    assert "not list, such as good/g19.png" in said.out
    assert f"  4 images in bad/ are good by {source}" in (here / "pipeline.yaml").read_text()


def test_a_list_that_agrees_with_the_folders_says_that_too(here: Path, lfvpipe: Any) -> None:
    names = _sorted(here)
    lines = [f"{name},{name.split('/')[0]}" for name in names]
    text(here / "p/labels.csv", "\n".join(["file,label", *lines]))
    text(here / "p/older.csv", "\n".join(["file,label", *lines[5:]]))
    said = lfvpipe("init", "p")
    assert "names of folders and files say the same of 34 images" in said.out
    assert "older.csv: a table of 29 images" in said.out
    assert "1 .csv" not in said.out


def test_several_products_are_not_one(here: Path, lfvpipe: Any) -> None:
    for product in ("bottle", "cable", "screw"):
        put(here / "p", many(product + "/good/{}.png", 20), many(product + "/bad/{}.png", 12))
    put(here / "p", many("cable/to check/{}.png", 3))
    said = lfvpipe("init", "p")
    assert said.code == 3, said.out
    assert "These look like 3 products, each with good images: bottle/, cable/, screw/." in said.err
    assert "--product bottle" in said.err
    said = lfvpipe("init", "p", "--product", "bottle", "--json")
    assert (said.json["normal"], said.json["anomaly"]) == (20, 12)
    assert "3 images in cable/to check/: another product than bottle" in said.json["left_out"]
    assert load(here / "pipeline.yaml").pipeline.project == "bottle"
    assert lfvpipe("run", "--until", "check").code == 0
    everything = ["--product", "all", "--leave-out", "to check", "--force", "--json"]
    said = lfvpipe("init", "p", *everything)
    assert (said.json["normal"], said.json["anomaly"]) == (60, 36)
    said = lfvpipe("init", "p", "--product", "nut", "--force")
    assert (said.code, "There is no product nut." in said.err) == (3, True)


@pytest.mark.parametrize("above", ["train/{}/good", "{}/train/good", "line 1/{}/good", "{}/a/good"])
def test_products_are_told_at_any_depth(above: str, here: Path, lfvpipe: Any) -> None:
    for product in ("nut", "bolt"):
        put(here / "p", many(above.format(product) + "/{}.png", 20))
        put(here / "p", many(above.format(product).replace("good", "bad") + "/{}.png", 12))
    said = lfvpipe("init", "p")
    assert "These look like 2 products, each with good images: bolt/, nut/." in said.err


@pytest.mark.parametrize(
    "folders", [["cam1", "cam2"], ["2024-05-01", "2024-05-02"], ["Montag", "Freitag"]]
)
def test_folders_of_days_and_cameras_are_one_product_and_that_is_told(
    folders: list[str], here: Path, lfvpipe: Any
) -> None:
    for folder in folders:
        put(here / "p", many(folder + "/good/{}.png", 20), many(folder + "/bad/{}.png", 12))
    said = lfvpipe("init", "p")
    assert said.code == 0, said.err
    first, second = sorted(folders)
    assert f"{first}/, {second}/ are taken for one product; --product {first} takes one" in said.out


def test_images_for_validation_are_said_to_be_tested_on(here: Path, lfvpipe: Any) -> None:
    for part in ("train", "val", "test"):
        put(here / "p", many(part + "/good/" + part + "{}.png", 12))
        put(here / "p", many(part + "/bad/" + part + "{}.png", 12))
    said = lfvpipe("init", "p")
    assert "24 images for validation (val/bad/, val/good/) count as test" in said.out


def test_so_are_those_of_a_table(here: Path, lfvpipe: Any) -> None:
    names = many("{}.png", 60)
    put(here / "p", names)
    parts = ("train", "train", "valid", "test")
    lines = [f"{n},{'ok' if at % 3 else 'ng'},{parts[at % 4]}" for at, n in enumerate(names)]
    text(here / "p/labels.csv", "\n".join(["file,label,split", *lines]))
    assert "15 images for validation (p/) count as test" in lfvpipe("init", "p").out
