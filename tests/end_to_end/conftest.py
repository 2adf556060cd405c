"""A workshop: small archives, pipeline files beside them, and the command line as a process."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """\
sources:
  normal: {archive: good.zip}
  anomaly: {archive: bad.zip}
sample: {percent: 50}
split: {train: 50, test: 50}
evaluate: {images: [good/0.png, bad/0.png]}
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """What ``--json`` printed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Workshop:
    """A folder with archives in which the command line is used.

    Attributes:
        folder: Where the archives and pipeline files lie.
    """

    folder: Path

    def write(self, text: str = PIPELINE, name: str = "pipeline.yaml") -> Path:
        """Write a pipeline file."""
        path = self.folder / name
        path.write_text(text)
        return path

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs lfvpipe with these words."""
        return [sys.executable, "-m", "lfvpipe", *words]

    def lfvpipe(self, *words: str, timeout: float = 240) -> Done:
        """Run a command to its end."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def bucket(self) -> dict[str, int]:
        """Return the objects of all local buckets: when each was last written, in ns, by name."""
        folder = self.folder / ".lfvpipe" / "buckets"
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in files}

    def models(self, project: str = "pipeline") -> list[dict[str, Any]]:
        """Ask the embedded service, as any client would, for the project's models, oldest first."""
        from lfvpipe.lookout.client import connect
        from lfvpipe.service.embedded import open_service
        from lfvpipe.storage.buckets import connect as connect_buckets

        state = self.folder / ".lfvpipe"
        buckets = connect_buckets("local", region="us-east-1", root=state / "buckets")
        handler = open_service(state / "service", buckets, region="us-east-1")
        client = connect("embedded", region="us-east-1", handler=handler)
        found = client.list_models(ProjectName=project)["Models"]
        return sorted((dict(row) for row in found), key=lambda row: int(row["ModelVersion"]))


def write_archive(path: Path, folder: str, count: int, *, spoilt: bool, side: int = 64) -> None:
    """Write a zip of `count` PNGs of grey noise; the spoilt ones have a dark scratch."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(f"{folder}/{number}.png", picture(f"{folder}{number}", spoilt, side))


def picture(seed: str, spoilt: bool, side: int) -> bytes:
    """Return a PNG of grey noise, different for each seed."""
    chance = random.Random(seed)
    image = Image.frombytes("L", (side, side), bytes(chance.choices(range(120, 136), k=side**2)))
    if spoilt:
        x, y = chance.randrange(side // 2), chance.randrange(side // 2)
        ends = (x, y, x + side // 3, y + side // 4)
        ImageDraw.Draw(image).line(ends, fill=20, width=max(2, side // 16))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with good.zip and bad.zip, 42 images each."""
    folder = tmp_path_factory.mktemp("archives")
    write_archive(folder / "good.zip", "good", 42, spoilt=False)
    write_archive(folder / "bad.zip", "bad", 42, spoilt=True)
    return folder


@pytest.fixture
def workshop(tmp_path: Path, archives: Path) -> Workshop:
    """Return a workshop with both archives and no pipeline file yet."""
    for archive in archives.iterdir():
        (tmp_path / archive.name).write_bytes(archive.read_bytes())
    return Workshop(tmp_path)
