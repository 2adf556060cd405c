"""Zip archives that are brought into a data set by a browser, honest ones and others."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from lfvpipe.archives.members import COPY_FOLDERS, JUNK_FOLDERS
from tests.service.conftest import picture

from .test_datasets_browser import enter, labels

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from .conftest import Offered

expect = playwright.expect
_ENTRY = b"PK\x01\x02"


def pack(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def change(packed: bytes, name: str, offset: int, form: str, *values: int) -> bytes:
    """Return an archive whose directory says something else of a member."""
    changed = bytearray(packed)
    at = packed.rindex(name.encode()) - 46
    assert packed[at : at + 4] == _ENTRY
    struct.pack_into(form, changed, at + offset, *values)
    return bytes(changed)


def test_an_archive_is_unpacked_here_labelled_by_its_folders_and_none_twice(
    page: Page, offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered.client().create_project(ProjectName="p")
    members = {f"./all/good/{number}.png": picture((number, 9, 9)) for number in range(3)}
    members |= {f"all/NG/dent/{number}.png": picture((number, 1, 1)) for number in range(3)}
    members |= {"all/late/NG/0.png": members["./all/good/0.png"]}
    members |= {f"all/good/{folder}/x.png": b"" for folder in JUNK_FOLDERS | COPY_FOLDERS}
    unseen = {"../../evil.png": b"", "all/good/.hidden.png": b"", "all/inner.zip": b""}
    members |= unseen | {
        "all/good/._1.png": b"",
        "all/.DS_Store": b"",
        "all/good/1.png.heat.png": b"",
        "all/read.txt": b"read",
    }
    archive, second = tmp_path / "photos.zip", tmp_path / "ng.zip"
    archive.write_bytes(pack(members))
    enter(page, offered, "p", "datasets")
    expect(page.locator("#upload")).to_be_visible()  # by its script
    page.get_by_label("Choose files").set_input_files(archive)
    expect(page.locator("#shown")).to_have_text("6 images")
    # The page was loaded anew, with what it said.
    expect(page.locator("#upload-said")).to_contain_text("6 added, 1 there already")
    stats = offered.client().describe_dataset(ProjectName="p", DatasetType="train")
    assert stats["DatasetDescription"]["ImageStats"] == {
        "Total": 6,
        "Labeled": 6,
        "Normal": 3,
        "Anomaly": 3,
    }
    expect(page.locator("#upload")).to_be_visible()  # by its script
    page.get_by_label("Choose files").set_input_files(archive)
    expect(page.locator("#upload-said")).to_have_text(
        "0 added, 7 there already, 3 refused. In folders that call them something else than they "
        "are called here: 1, listed below. Left out, being no images by their names: 1."
    )
    expect(page.locator("#upload-refused li")).to_contain_text(
        [
            "all/inner.zip: It is an archive within an archive.",
            "../../evil.png: Its path leads out of the archive.",
            "all/good/.hidden.png: It is hidden:",
            "all/late/NG/0.png: Its folder calls it anomaly; the same image is there as",
        ]
    )
    # A large archive, of a Windows program, whose name alone says what is in it.
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    large = pack({"Ärger.png": picture((50, 50, 50))}, zipfile.ZIP_STORED)
    second.write_bytes(b"a program that unpacks" + large)
    expect(page.locator("#upload")).to_be_visible()  # by its script
    page.get_by_label("Choose files").set_input_files(second)
    expect(page.locator("#shown")).to_have_text("7 images")
    assert labels(offered)["Ärger.png"] == "anomaly"


def test_what_of_an_archive_cannot_be_used_is_named_and_the_rest_is_taken(
    page: Page, offered: Offered, tmp_path: Path
) -> None:
    offered.client().create_project(ProjectName="p")
    some = pack({f"{name}.png": picture((ord(name), 9, 9)) for name in "abcde"})
    some = change(some, "b.png", 8, "<H", 1)
    some = change(some, "c.png", 10, "<H", 12)
    some = change(some, "d.png", 16, "<I", 1)
    some = change(some, "e.png", 24, "<I", 10)
    folder = tmp_path / "zips"
    folder.mkdir()
    (folder / "some.zip").write_bytes(some)
    (folder / "none.zip").write_bytes(b"this is no archive")
    blank = pack({f"{number}.png": b"a" for number in range(3)})
    (folder / "ratio.zip").write_bytes(change(blank, "1.png", 24, "<I", 2**31))
    (folder / "quine.zip").write_bytes(change(blank, "1.png", 42, "<I", 0))
    (folder / "outside.zip").write_bytes(change(blank, "1.png", 42, "<I", 2**30))
    enter(page, offered, "p", "datasets")
    expect(page.locator("#upload")).to_be_visible()
    page.get_by_label("Choose a folder").set_input_files(folder)
    expect(page.locator("#shown")).to_have_text("1 image")
    expect(page.locator("#upload")).to_be_visible()
    page.get_by_label("Choose a folder").set_input_files(folder)
    expect(page.locator("#upload-said")).to_have_text("0 added, 1 there already, 8 refused.")
    refused = page.locator("#upload-refused li").all_text_contents()
    assert sorted(refused) == [
        "zips/none.zip: It is damaged. Pack it again.",
        "zips/outside.zip: It declares far more than it can hold, and was not unpacked.",
        "zips/quine.zip: It declares far more than it can hold, and was not unpacked.",
        "zips/ratio.zip: It declares far more than it can hold, and was not unpacked.",
        "zips/some/b.png: It is encrypted. Unpack the archive, and bring the images.",
        (
            "zips/some/c.png: It is packed, but not by Deflate. Pack it again with Deflate, the"
            " default of zip tools."
        ),
        "zips/some/d.png: It is damaged. Pack it again.",
        "zips/some/e.png: It is damaged. Pack it again.",
    ]
    assert list(labels(offered)) == ["a.png"]
