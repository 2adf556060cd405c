"""What is wrong with the input is said, with where and what to do, and a corrected run goes on."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import threading
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SPOILT = """\
sources:
  normal: {archive: spoilt.zip}
  anomaly: {archive: bad.zip}
split: {train: 50, test: 50}
"""


def refused(done: Any, *said: str, code: int = 1) -> None:
    """Hold that a command failed as a user can understand: every text, a hint, no traceback."""
    assert done.code == code, done.err
    assert "Traceback" not in done.out + done.err
    for text in said:
        assert text in done.err
    after_the_error = done.err.partition("error: ")[2]
    assert "\n  " in after_the_error, "there is no hint"


def copied(folder: Path, edits: dict[str, bytes]) -> None:
    """Write spoilt.zip: good.zip with some members replaced or added."""
    with zipfile.ZipFile(folder / "good.zip") as good:
        members = {name: good.read(name) for name in good.namelist()} | edits
    with zipfile.ZipFile(folder / "spoilt.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def missing(folder: Path) -> None:
    shutil.copy(folder / "good.zip", folder / "spoilt2.zip")


def truncated(folder: Path) -> None:
    data = (folder / "good.zip").read_bytes()
    (folder / "spoilt.zip").write_bytes(data[: len(data) // 2])


def encrypted(folder: Path) -> None:
    data = bytearray((folder / "good.zip").read_bytes())
    data[data.find(b"PK\x03\x04") + 6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    (folder / "spoilt.zip").write_bytes(data)


def climbing(folder: Path) -> None:
    copied(folder, {"../evil.png": b"x"})


def absolute(folder: Path) -> None:
    copied(folder, {"/etc/evil.png": b"x"})


def linked(folder: Path) -> None:
    copied(folder, {})
    link = zipfile.ZipInfo("good/link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(folder / "spoilt.zip", "a") as archive:
        archive.writestr(link, "/etc/passwd")


def twice(folder: Path) -> None:
    copied(folder, {})
    with warnings.catch_warnings(), zipfile.ZipFile(folder / "spoilt.zip", "a") as archive:
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr("good/0.png", b"x")


def bomb(folder: Path) -> None:
    path = folder / "spoilt.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("good/zero.png", "w") as member,
    ):
        for _ in range(120):
            member.write(bytes(1_000_000))


def total(folder: Path) -> None:
    """Declare 4 GB for each of many members, which is where their sizes are read."""
    copied(folder, {})
    data = (folder / "spoilt.zip").read_bytes()
    at, huge = data.find(b"PK\x01\x02"), struct.pack("<I", 0xFFFFFFFE)
    while at >= 0:
        data = data[: at + 24] + huge + data[at + 28 :]
        at = data.find(b"PK\x01\x02", at + 4)
    (folder / "spoilt.zip").write_bytes(data)


def web_page(folder: Path) -> None:
    (folder / "spoilt.zip").write_text("<!doctype html><title>Sign in</title>")


def empty_label(folder: Path) -> None:
    with zipfile.ZipFile(folder / "spoilt.zip", "w") as archive:
        archive.writestr("good/labels.txt", "1 2 3")


ARCHIVES: dict[Callable[[Path], None], tuple[str, ...]] = {
    missing: ("fetch:normal", "spoilt.zip does not exist", "Did you mean spoilt2.zip"),
    truncated: ("select", "truncated or damaged"),
    encrypted: ("select", "'good/0.png' is encrypted"),
    climbing: ("select", "'../evil.png' leads out of the archive's folder"),
    absolute: ("select", "'/etc/evil.png' has an absolute path"),
    twice: ("select", "'good/0.png' is there twice"),
    bomb: ("select", "like an archive bomb"),
    total: ("select", "The archive was not used"),
    web_page: ("select", "is a web page, not an archive"),
    empty_label: ("select", "sources.normal: 0 images match PNG, JPEG"),
}


@pytest.mark.parametrize("spoil", ARCHIVES, ids=lambda spoil: spoil.__name__)
def test_an_archive_that_cannot_be_used_is_refused_and_its_correction_goes_on(
    spoil: Callable[[Path], None], workshop: Any
) -> None:
    workshop.write(SPOILT)
    spoil(workshop.folder)
    refused(workshop.lfvpipe("run", "--until", "select"), *ARCHIVES[spoil])
    state = workshop.folder / ".lfvpipe"
    assert not list(state.rglob("*.png"))
    assert not (state / "buckets").exists()
    assert not (workshop.folder.parent / "evil.png").exists()
    shutil.copy(workshop.folder / "good.zip", workshop.folder / "spoilt.zip")
    mended = workshop.lfvpipe("run", "--until", "select")
    assert mended.code == 0, mended.err
    assert "✓ fetch:anomaly" not in mended.err  # what was done stayed done


def test_a_link_out_of_an_archive_is_not_followed_and_is_counted(workshop: Any) -> None:
    workshop.write(SPOILT)
    linked(workshop.folder)
    done = workshop.lfvpipe("run", "--until", "extract")
    assert done.code == 0, done.err
    assert "spoilt.zip: not used: 1 link out of the archive" in done.err
    assert "images 84" in done.err


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_a_server_does_not_have_or_serves_instead_is_refused(workshop: Any) -> None:
    web_page(workshop.folder)
    with served(workshop.folder) as url:
        workshop.write(SPOILT.replace("spoilt.zip", f"{url}/nothing.zip"))
        refused(
            workshop.lfvpipe("run", "--until", "fetch"),
            "nothing.zip is refused: the server answers 404",
        )
        workshop.write(SPOILT.replace("spoilt.zip", f"{url}/spoilt.zip"))
        refused(workshop.lfvpipe("run", "--until", "fetch"), "serves a web page (HTML)")
        workshop.write(SPOILT.replace("spoilt.zip", f"{url}/good.zip"))
        assert workshop.lfvpipe("run", "--until", "fetch").code == 0


def test_a_wrong_digest_names_the_key_to_correct(workshop: Any) -> None:
    workshop.write(
        SPOILT.replace("{archive: spoilt.zip}", f"{{archive: good.zip, sha256: {64 * '0'}}}")
    )
    refused(workshop.lfvpipe("run", "--until", "fetch"), "SHA-256", "set `sources.normal.sha256`")


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def huge() -> bytes:
    """Return the head of a PNG of 20,000 x 20,000 pixels."""
    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_images_that_cannot_be_used_are_all_told_before_anything_is_created(workshop: Any) -> None:
    other = png(Image.effect_noise((80, 90), 20))
    edits = {"good/1.png": b"hello", "good/2.png": huge(), "good/3.png": other}
    copied(workshop.folder, edits)
    workshop.write(SPOILT)
    done = workshop.lfvpipe("run", "--until", "bucket")
    refused(
        done,
        "normal/good/1.png: is a text file, not a PNG, JPEG",
        "normal/good/2.png: has 20000 x 20000 pixels",
        "2 sizes",
        "images.resize",
        "Nothing was created in the bucket or the service.",
    )
    assert not (workshop.folder / ".lfvpipe" / "buckets").exists()
    text = SPOILT.replace(
        "{archive: spoilt.zip}", '{archive: spoilt.zip, include: ["good/??.png"]}'
    )
    workshop.write(text)
    assert workshop.lfvpipe("run", "--until", "bucket").code == 0


def test_unusual_images_are_converted_and_the_user_is_told(workshop: Any) -> None:
    colour = Image.effect_noise((64, 64), 50).convert("RGB")
    cmyk, turned = io.BytesIO(), io.BytesIO()
    colour.convert("CMYK").save(cmyk, "JPEG")
    exif = Image.Exif()
    exif[0x112] = 6
    colour.rotate(90).save(turned, "JPEG", exif=exif)
    deep = Image.frombytes("I;16", (64, 64), bytes(range(256)) * 32)
    edits = {
        "good/1.png": png(deep),
        "good/2.png": cmyk.getvalue(),
        "good/3.png": png(colour.quantize(16)),
        "good/4.png": turned.getvalue(),
    }
    copied(workshop.folder, edits)
    workshop.write(SPOILT)
    done = workshop.lfvpipe("run", "--until", "check")
    assert done.code == 0, done.err
    for said in ("more than 8 bits", "CMYK", "EXIF"):
        assert said in done.err


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts, or remounts, a small disk with options; needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted: list[str] = []

    def mount(options: str) -> Path:
        again = ["-o", f"remount,{options}"] if mounted else ["-t", "tmpfs", "-o", options, "tmpfs"]
        try:
            subprocess.run(["mount", *again, str(place)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a disk can only be mounted by root, on Linux")
        mounted.append(options)
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(
    workshop: Any, disk: Callable[[str], Path]
) -> None:
    workshop.write()
    place = disk("size=8k")
    words = ("run", "--until", "upload", "--state-dir", str(place))
    refused(workshop.lfvpipe(*words), "No space left on device", "it resumes")
    disk("size=140k")
    refused(workshop.lfvpipe(*words), "the images cannot be stored (No space left on device)")
    disk("size=50m")
    assert workshop.lfvpipe(*words).code == 0
    assert not list(place.rglob("*.tmp"))


def test_a_state_folder_that_cannot_be_written_can_still_be_read(
    workshop: Any, disk: Callable[[str], Path]
) -> None:
    workshop.write()
    place = disk("size=50m")
    words = ("--state-dir", str(place))
    assert workshop.lfvpipe("run", "--until", "select", *words).code == 0
    disk("size=50m,ro")
    refused(workshop.lfvpipe("run", *words), "cannot be written: Read-only file system")
    assert "done" in workshop.lfvpipe("status", *words).out
    assert workshop.lfvpipe("plan", *words).code == 2


def test_a_ledger_from_a_newer_version_or_a_damaged_one_is_not_touched(workshop: Any) -> None:
    workshop.write()
    assert workshop.lfvpipe("run", "--until", "select").code == 0
    ledger = workshop.folder / ".lfvpipe" / "pipeline" / "ledger.json"
    kept = ledger.read_bytes()
    newer = json.dumps(json.loads(kept) | {"format": 99, "written_by": "9.0"})
    for text, said in ((newer, "written by version 9.0 in format 99"), ("{", "is damaged")):
        ledger.write_text(text)
        refused(workshop.lfvpipe("run"), said)
        refused(workshop.lfvpipe("status"), said)
        assert ledger.read_text() == text
    hint = workshop.lfvpipe("run").err.splitlines()[1]
    backup, restored = hint.partition(" copy ")[2].partition(". `")[0].split(" to ")
    shutil.copy(backup, restored)  # what the hint says
    again = workshop.lfvpipe("run", "--until", "select")
    assert again.code == 0, again.err
