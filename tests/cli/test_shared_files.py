"""Extracted images and the objects of a local bucket are one file with two names."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest


def _files(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*.png")
    }


@pytest.mark.parametrize("damaged", ["image", "object"])
def test_what_is_written_into_one_name_is_noticed_and_mended_in_both(
    project: Path, lfvpipe: Any, damaged: str
) -> None:
    assert lfvpipe("run", project, "--until", "upload").code == 0
    root = project.parent / ".lfvpipe"
    images, objects = root / "pipeline" / "images", root / "buckets" / "pipeline"
    before = _files(images), _files(objects)
    by_inode = {file.stat().st_ino: file for file in images.rglob("*.png")}
    shared = [file for file in objects.rglob("*.png") if file.stat().st_ino in by_inode]
    assert len(shared) == len(before[1]) > 0

    file = shared[0] if damaged == "object" else by_inode[shared[0].stat().st_ino]
    size = file.stat().st_size
    with file.open("r+b") as opened:  # in place, and as long as before
        opened.write(bytes(100))
    later = file.stat().st_mtime_ns + 5_000_000_000
    os.utime(file, ns=(later, later))
    assert file.stat().st_size == size
    assert "damaged" in lfvpipe("plan", project, "--until", "upload", "--why").out

    assert lfvpipe("run", project, "--until", "upload").code == 0
    assert (_files(images), _files(objects)) == before
    assert "nothing" in lfvpipe("plan", project, "--until", "upload").out
