"""A project's data sets as a pipeline: a zip with its file, the manifests and perhaps images.

Images without a label stay in the manifests; a pipeline leaves them out, and says so.
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lfvpipe import manifest
from lfvpipe.config.names import pipeline_name
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.service.faults import Fault
from lfvpipe.storage import StorageError, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.service import Service

_LARGEST: Final = 64 * 1024 * 1024  # bytes of an image or a mask; the service allows fewer
_PART: Final = re.compile(r"[^\\/:*?\"<>|\x00-\x1f\x7f]{1,100}")
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Exported:
    """What is exported of a project.

    Attributes:
        lines: Of each data set, as it has them.
        storage: Where the images are: ``local``, ``aws`` or an S3 endpoint.
    """

    project: str
    region: str
    lines: Mapping[DatasetType, Sequence[str]]
    storage: str

    @property
    def name(self) -> str:
        """What the zip's folder, its file and the pipeline are called."""
        return pipeline_name(self.project)

    @property
    def bucket(self) -> str:
        """The name of the pipeline's bucket, by S3's rules."""
        plain = re.sub("[^a-z0-9]+", "-", self.project.lower()).strip("-")
        return f"{plain[:50].strip('-') or 'project'}-images"


def find_exported(service: Service, project: str) -> Exported:
    """Return what is exported of a project.

    Raises:
        Fault: There is no such project, or it has no data set to train on.
    """
    lines: dict[DatasetType, Sequence[str]] = {}
    for kind in DATASET_TYPES:
        try:
            images = service.images.catalogue(project, kind).images
        except Fault:
            if kind == "train":
                raise
            continue
        found = service.images.lines(project, kind, [image.source for image in images])
        lines[kind] = [found[image.source] for image in images if image.source in found]
    return Exported(project, service.region, lines, service.buckets.endpoint)


def write_pipeline(exported: Exported, *, with_images: bool) -> str:
    """Return the pipeline's file."""
    now = datetime.now(UTC)
    sources = "\n".join(f"    {kind}: {kind}.manifest" for kind in exported.lines)
    # References are followed in the store of the pipeline's bucket, so that has to be the server's;
    # there the project's name is taken, and perhaps the state of a pipeline that is called so.
    ending = "" if with_images else "-files"
    name = pipeline_name(f"{exported.name[:58]}{ending}")
    project = f"{exported.project[:249]}{ending}"
    endpoint = "local" if with_images else exported.storage
    where = ""
    if endpoint == "local" and not with_images:
        where = (
            "# Images stay in the server's local buckets: run it with --state-dir of its state.\n"
        )
    return f"""\
# The data sets of project {exported.project}, exported from the console on {now:%Y-%m-%d}.
# `lfvpipe run` makes the same data sets of them, trains, evaluates and reports.
{where}\
name: {json.dumps(name)}
project: {json.dumps(project)}
region: {exported.region}
sources:
  manifest:
{sources}
bucket: {{ name: {exported.bucket}, endpoint: "{endpoint}" }}
"""


def stream_zip(service: Service, exported: Exported, *, with_images: bool) -> Iterator[bytes]:
    """Yield a zip's bytes as they are made; of images, one is in memory at a time.

    An image that is gone stays in its manifest: a run stops at it, and names it.
    """
    stream = _Stream()
    given = _Names()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as written:
        folder = exported.name
        file = f"{folder}/{exported.name}.yaml"
        written.writestr(file, write_pipeline(exported, with_images=with_images))
        for kind, lines in exported.lines.items():
            kept = [given.rewrite(line) for line in lines] if with_images else lines
            text = "".join(f"{line}\n" for line in kept)
            written.writestr(f"{folder}/{kind}.manifest", text, zipfile.ZIP_DEFLATED)
            yield stream.take()
        for source, name in given.given.items():
            bucket, key = parse_s3_uri(source)
            try:
                data = service.buckets.bucket(bucket).get(key, limit=_LARGEST)
            except StorageError:
                continue
            written.writestr(f"{folder}/{name}", data)
            yield stream.take()
    yield stream.take()


@dataclass
class _Names:
    """Gives images and masks names beside their manifests, each its own on every file system.

    Attributes:
        given: By address.
    """

    given: dict[str, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)

    def rewrite(self, line: str) -> str:
        """Return a line whose image and masks are named relative to its manifest."""
        read, facts = manifest.read_line(line), json.loads(line)
        if read.image:
            facts["source-ref"] = self._name(read.image)
        for mask in read.masks:
            if mask.address:
                facts[mask.attribute] = self._name(mask.address)
        return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))

    def _name(self, address: str) -> str:
        found = self.given.get(address)
        if found is None:
            key = address.split("/", 3)[-1]
            parts = key.split("/")
            is_plain = len(key) <= 200 and all(map(_is_plain, parts))
            found = f"images/{key}"
            suffix = ".png" if key.casefold().endswith(".png") else ".jpg"
            number = len(self.given)
            while not is_plain or not self._take(found):
                found, is_plain = f"images/{number}-of-console{suffix}", True
                number += 1
            self.given[address] = found
        return found

    def _take(self, name: str) -> bool:
        """Take a name, unless a file has it, or is called like a folder of it, or lies in it."""
        plain = unicodedata.normalize("NFC", name).casefold()
        folders = {plain[: found.start()] for found in re.finditer("/", plain)}
        if plain in self._taken or plain in self._folders or folders & self._taken:
            return False
        self._taken.add(plain)
        self._folders |= folders
        return True


def _is_plain(part: str) -> bool:
    return (
        _PART.fullmatch(part) is not None
        and part == part.strip(" .")
        and not _DEVICE.match(part)
        and not part.startswith((".", "__MACOSX"))
    )


class _Stream(io.RawIOBase):
    """Takes what a zip writes, for whoever sends it on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Say that it can be written; it cannot be moved about in."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """Take bytes."""
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return the bytes that were written since it was asked last."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
