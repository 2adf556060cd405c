"""Parts are told from names where several photographs share one, and nowhere else."""

import os
import re
import zipfile
from pathlib import Path

import pytest

from lfvpipe.dataset.parts import suggest_group

DATA = Path(os.environ.get("LFVPIPE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


def numbered(name: str, parts: int = 12, each: int = 3) -> list[str]:
    return [name.format(part, photo) for part in range(1, parts + 1) for photo in range(each)]


PARTS = {
    "kos{:02}_Part{}.png": "kos01",
    "good/kos{:02}_Part{}.png": "kos01",
    "SN{:04}_{}.png": "SN0001",
    "SN{:04}-{}.png": "SN0001",
    "SN7{:03}/{}.png": "SN7001",
    "bad/SN7{:03}/{}.png": "SN7001",
    "kos{:02}/Part{}.jpg": "kos01",
    "{:03}_{}.bmp": "001",
    "7-A-{:03}_view{}.png": "7-A-001",
    "SN7{:03}/ok/{}.png": "SN7001",
    "p/SN7{:03}/Kratzer/{}.png": "SN7001",
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_found_by_what_its_photographs_share(name: str) -> None:
    names = numbered(name)
    found = re.search(suggest_group(names), names[0])
    assert found is not None
    assert found[1] == PARTS[name]
    # Nor do a few that are called otherwise, or alone, hide it.
    assert suggest_group([*names, "front.png", f"{names[0][:-6]}77_x.png"]) == suggest_group(names)


OTHERS = {
    "plain numbers": [f"{n}.png" for n in range(99)],
    "numbers behind a word": [f"good_{n:03}.png" for n in range(99)],
    "numbers in front of the label": [f"{n:03}_{w}.png" for n in range(30) for w in ("ok", "ng")],
    "numbers in front of other words": [
        f"{n:03}-{w}.png" for n in range(30) for w in ("gut", "schlecht")
    ],
    "days": numbered("IMG_202411{:02}_1200{:02}.jpg"),
    "days of both labels": [
        f"2024-11-{n:02}/{w}/{i}.png" for n in range(1, 13) for w in ("ok", "ng") for i in range(3)
    ],
    "folders of what nobody knows": numbered("SN7{:03}/top/{}.png"),
    "days with dashes": numbered("2024-11-{:02}/{}.jpg"),
    "types of defects": numbered("type{:02}/{}.png"),
    "cameras": numbered("cam{:02}_{}.png"),
    "batches": numbered("batch_{:02}_{}.png"),
    "a series": numbered("line{}_{}.png", 5, 60),
    "two lines": numbered("{}_{}.png", 2, 10),
    "one photograph of each": [f"SN{n:04}_top.png" for n in range(30)],
    "a counter of a camera": [f"DSC_{n:04}.jpg" for n in range(30)],
    "a few pairs": [f"SN{n:04}_a.png" for n in range(30)] + ["SN0001_b.png"],
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_are_no_parts_are_not_taken_for_them(kind: str) -> None:
    assert suggest_group(OTHERS[kind]) == ""


def test_types_that_are_called_like_serials_are_no_parts() -> None:
    names = numbered("E{:02}/{}.png")
    assert suggest_group(names) != ""
    assert suggest_group(names, {name.split("/")[0] for name in names}) == ""


@pytest.mark.parametrize("name", ["aliens", "cookies", "elpv", "kolektorsdd", "magnetic_tile"])
def test_names_of_real_sets_are_none_of_parts(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not there; LFVPIPE_TEST_DATA names its folder")
    names = []
    for archive in sorted((DATA / name).glob("*.zip")):
        if "mask" not in archive.name:
            with zipfile.ZipFile(archive) as opened:
                names += [each for each in opened.namelist() if not each.endswith("/")]
    assert names
    assert suggest_group(names) == ""
