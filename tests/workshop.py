"""What tests that use the product as its users do share: the command line, a client, images."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from lfvpipe.lookout.client import LookoutClient

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON document on standard output."""
        return json.loads(self.out)


def command(*words: str | Path) -> list[str]:
    """Return the command line that runs lfvpipe with these words."""
    return [sys.executable, "-m", "lfvpipe", *map(str, words)]


def environment() -> dict[str, str]:
    """Return an environment in which a child process finds this source tree."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


def spawn(*words: str | Path, **settings: Any) -> subprocess.Popen[str]:
    """Start the command line as a process of its own."""
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
    return subprocess.Popen(
        command(*words), env=environment(), text=True, encoding="utf-8", **given
    )


def call(
    *words: str | Path, answer: str | None = None, timeout: float = 240, **settings: Any
) -> Said:
    """Run a command in a process of its own to its end; `answer` is what it is told."""
    if answer is not None:
        settings["stdin"] = subprocess.PIPE
    with spawn(*words, **settings) as process:
        try:
            out, err = process.communicate(answer, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return Said(process.returncode, out, err)


@dataclass(frozen=True)
class Folder:
    """A folder in which the command line is used.

    Attributes:
        folder: Where the archives and pipeline files lie.
    """

    folder: Path

    def lfvpipe(self, *words: str, answer: str | None = None, timeout: float = 240) -> Said:
        """Run a command in the folder to its end."""
        return call(*words, answer=answer, timeout=timeout, cwd=self.folder)

    def client(self) -> LookoutClient:
        """Return a client of the folder's embedded service."""
        from lfvpipe.lookout.client import connect
        from lfvpipe.service.embedded import open_service
        from lfvpipe.storage import connect as connect_buckets

        state = self.folder / ".lfvpipe"
        buckets = connect_buckets("local", region="us-east-1", root=state / "buckets")
        handler = open_service(state / "service", buckets, region="us-east-1").handle_for_owner
        return connect("embedded", region="us-east-1", handler=handler)


def picture(seed: str, *, spoilt: bool, side: int = 64) -> bytes:
    """Return a PNG of grey noise, different for each seed; the spoilt ones have a scratch."""
    chance = random.Random(seed)
    image = Image.frombytes("L", (side, side), bytes(chance.choices(range(120, 136), k=side**2)))
    if spoilt:
        x, y = chance.randrange(side // 2), chance.randrange(side // 2)
        ends = (x, y, x + side // 3, y + side // 4)
        ImageDraw.Draw(image).line(ends, fill=20, width=max(2, side // 16))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def write_archive(
    path: Path, folder: str, count: int, *, spoilt: bool | tuple[str, ...], side: int = 64
) -> None:
    """Write a zip of `count` pictures, of which all, none or the named members are spoilt."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            name = f"{folder}/{number}.png"
            is_spoilt = spoilt if isinstance(spoilt, bool) else name in spoilt
            seed = f"{folder}{number}"
            archive.writestr(name, picture(seed, spoilt=is_spoilt, side=side))
