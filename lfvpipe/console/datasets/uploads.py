"""Images that people bring from their computer."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lfvpipe import manifest
from lfvpipe.console.bucket import console_bucket
from lfvpipe.console.datasets.calls import call_of
from lfvpipe.console.datasets.colouring import colours_of
from lfvpipe.console.datasets.copies import own_digest
from lfvpipe.console.datasets.marking import put_mask, recoloured
from lfvpipe.console.wording import say, words_of
from lfvpipe.errors import UserError
from lfvpipe.images import SERVED, ImageError, inspect, read_image
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.service.faults import Fault
from lfvpipe.service.roles import check_admin
from lfvpipe.storage import NoSuchObject, StorageError, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lfvpipe.console.datasets.calls import Call
    from lfvpipe.console.datasets.copies import Copies
    from lfvpipe.console.datasets.editing import Done, Editing
    from lfvpipe.console.datasets.marking import Mask
    from lfvpipe.console.datasets.updates import DatasetName, Updates
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.service import Service
    from lfvpipe.service.images import DatasetImage
    from lfvpipe.storage import Bucket

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_UNFIT: Final = re.compile(r'[\\/:*?"<>|#%\x00-\x1f\x7f-\x9f]')
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_SUFFIXES: Final[dict[str, tuple[str, ...]]] = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg")}
IMAGES: Final = frozenset(ending for endings in _SUFFIXES.values() for ending in endings)
_LONGEST: Final = 120  # characters of a name
_SIZES: Final = 1000  # projects whose images' size stays in memory
_LARGEST_IMAGE: Final = 64 * 1024 * 1024  # bytes


class UnfitUpload(UserError):
    """A file that is not taken."""


@dataclass(frozen=True)
class Stored:
    """A file in the bucket: SHA-256 of its bytes, and the name that it was given."""

    digest: str
    name: str


@dataclass(frozen=True)
class Brought:
    """A file that is to be stored.

    Attributes:
        name: As it is called where it comes from.
        read: Returns its bytes; raises StorageError.
    """

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Upload:
    """A file that somebody brings.

    Attributes:
        digest: SHA-256 of its bytes, in hexadecimal digits.
        name: As it was stored.
        call: What it is called.
        mask: Where its anomalies are; None where nobody marked them.
    """

    digest: str
    name: str
    call: Call
    mask: Mask | None = None


@dataclass(frozen=True)
class There:
    """An image that a project has: in which data set, and what it is called."""

    type: DatasetType
    call: Call


@dataclass(frozen=True)
class Added:
    """What became of stored files.

    Attributes:
        done: Of those that were new.
        had: Which ones the project had before, by their digests.
    """

    done: Done
    had: dict[str, There]


class Uploads:
    """Takes images into the data sets of one region; safe to call from many threads.

    Args:
        service: The region's.
        updates: Keeps others from changing a project meanwhile.
        editing: Adds them.
        copies: Tells which of them the project has.
    """

    def __init__(
        self, service: Service, updates: Updates, editing: Editing, copies: Copies
    ) -> None:
        self._service = service
        self._updates = updates
        self._editing = editing
        self._copies = copies
        self._sizes: dict[str, tuple[int, int] | None] = {}  # by address, of a project's first

    def known(self, project: str, digests: Iterable[str]) -> dict[str, There]:
        """Return which files somebody brought before into the project's data sets.

        No store is asked, so that images which came otherwise are not among them; see `find`.
        """
        wanted = set(digests)
        found: dict[str, There] = {}
        for kind in DATASET_TYPES:
            for image in images_of(self._service, project, kind):
                digest = own_digest(image.source)
                if digest in wanted:
                    found[digest] = There(kind, call_of(image))
        return found

    def find(self, dataset: DatasetName, uploads: Iterable[Upload]) -> dict[str, There]:
        """Return which stored files a project has, wherever they lie.

        Raises:
            StorageError: The store does not answer.
        """
        home = self._home(dataset)
        wanted: dict[str, int] = {}
        for each in uploads:
            stored = home.head(_key(dataset, each.digest, each.name))
            wanted[each.digest] = stored.size if stored else 0
        found: dict[str, There] = {}
        for kind in DATASET_TYPES:
            images = {each.source: each for each in images_of(self._service, dataset.project, kind)}
            for digest, source in self._copies.find(images, wanted).items():
                found[digest] = There(kind, call_of(images[source]))
        return found

    def types(self, project: str) -> list[str]:
        """Return the anomaly types that the project's data sets have."""
        found = {
            name
            for kind in DATASET_TYPES
            for image in images_of(self._service, project, kind)
            for name in image.types
        }
        return sorted(found)

    def store(self, dataset: DatasetName, name: str, data: bytes) -> Stored:
        """Put a file into the bucket; it is in no data set yet.

        Raises:
            UnfitUpload: It is no image that a data set can have.
            StorageError: The store does not take it.
            Fault: Whoever asks is no admin.
        """
        stored = self._examine(dataset, name, data)
        self._home(dataset).put(_key(dataset, stored.digest, stored.name), data)
        return stored

    def store_many(
        self, dataset: DatasetName, files: Iterable[Brought]
    ) -> Sequence[Stored | UnfitUpload]:
        """Put files into the bucket as `store` does; all are on the disk when this returns.

        Returns:
            In their order what each is called there, or why it is not taken.

        Raises:
            StorageError: The store does not take them.
            Fault: Whoever asks is no admin.
        """
        became: list[Stored | UnfitUpload] = []

        def fit() -> Iterator[tuple[str, bytes]]:
            for file in files:
                try:
                    data = file.read()
                    stored = self._examine(dataset, file.name, data)
                except NoSuchObject as error:
                    became.append(UnfitUpload(words_of(error)))
                except UnfitUpload as error:
                    became.append(error)
                else:
                    became.append(stored)
                    yield _key(dataset, stored.digest, stored.name), data

        self._home(dataset).put_many(fit(), on_done=lambda _: None)
        return became

    def _examine(self, dataset: DatasetName, name: str, data: bytes) -> Stored:
        """Return what a file will be called, if a data set can have it."""
        check_admin("add images")
        quotas = self._service.quotas
        if len(data) > quotas.max_image_bytes:
            most = quotas.max_image_bytes // 2**20
            raise UnfitUpload(say("refusals.too_large", size=len(data) / 2**20, most=most))
        try:
            header = inspect(data, SERVED)
            least, longest = quotas.min_side, quotas.max_side
            if not all(least <= side <= longest for side in (header.width, header.height)):
                given = {"width": header.width, "height": header.height}
                asked = {"least": least, "longest": longest}
                raise UnfitUpload(say("refusals.bad_sides", **given, **asked))
            alike = self._size(dataset)
            if alike is not None and alike != (header.width, header.height):
                given = {"width": header.width, "height": header.height}
                asked = {"wide": alike[0], "high": alike[1]}
                raise UnfitUpload(say("refusals.other_size", **given, **asked))
            read_image(data, enough=(least, least))  # to the end: a file may be cut off
        except ImageError as error:
            raise UnfitUpload(
                say("refusals.bad_file", fault=error.fault), hint=error.hint
            ) from error
        return Stored(hashlib.sha256(data).hexdigest(), fit_name(name, header.format))

    def add(self, dataset: DatasetName, uploads: Sequence[Upload]) -> Added:
        """Bring stored files into a data set, but for those that the project has already.

        Raises:
            UnfitUpload: A digest is none.
            ClientError: The service refuses.
            StorageError: The store does not say what the project has.
            UpdateFailed: Nothing was added, such as where a file was never stored.
        """
        check_admin("add images")
        for each in uploads:
            form = "PNG" if each.name.casefold().endswith(".png") else "JPEG"
            if not _DIGEST.fullmatch(each.digest) or each.name != fit_name(each.name, form):
                raise UnfitUpload(say("refusals.not_stored"))
        with self._updates.alone(dataset.project):
            had = self.find(dataset, uploads)
            taken = set(had)
            bucket = self._home(dataset)
            lines: dict[str, str] = {}
            painted = (each.mask.classes for each in uploads if each.mask)
            wishes = {name: colour for classes in painted for name, colour in classes.items()}
            there = self._service.images.of_project(dataset.project) if wishes else []
            colours = colours_of(there, wishes)
            for each in uploads:
                if each.digest not in taken:
                    taken.add(each.digest)
                    source = f"s3://{bucket.name}/{_key(dataset, each.digest, each.name)}"
                    lines[source] = self._line(source, each, colours)
            return Added(self._editing.add(dataset, lines), had)

    def _line(self, source: str, upload: Upload, colours: Mapping[str, str]) -> str:
        if upload.mask is None:
            return new_line(source, upload.call)
        painted = recoloured(upload.mask, colours)
        address = put_mask(self._service.buckets, source, painted.data)
        label = _label(upload.call)
        mask = manifest.mask_reference(address, painted.classes, label.created)
        return manifest.mark(_bare_line(source), label, mask)

    def _home(self, dataset: DatasetName) -> Bucket:
        """Return the bucket of a data set's images: they all lie in one, as the API wants.

        Of an empty data set that of the project's other one, so that images can move.
        """
        for kind in (dataset.type, dataset.other.type):
            sources = self._sources(dataset.project, kind)
            if sources:
                return self._service.buckets.bucket(parse_s3_uri(sources[0])[0])
        return console_bucket(self._service)

    def _size(self, dataset: DatasetName) -> tuple[int, int] | None:
        """Return the width and height of the project's images; None where there is none to read."""
        for kind in (dataset.type, dataset.other.type):
            for source in self._sources(dataset.project, kind)[:1]:
                if source not in self._sizes:
                    while len(self._sizes) >= _SIZES:
                        self._sizes.pop(next(iter(self._sizes)))
                    self._sizes[source] = self._read_size(source)
                return self._sizes[source]
        return None

    def _read_size(self, source: str) -> tuple[int, int] | None:
        bucket, key = parse_s3_uri(source)
        try:
            data = self._service.buckets.bucket(bucket).get(key, limit=_LARGEST_IMAGE)
            header = inspect(data, SERVED)
        except (StorageError, ImageError):  # which the training will tell
            return None
        return header.width, header.height

    def _sources(self, project: str, kind: DatasetType) -> Sequence[str]:
        return [image.source for image in images_of(self._service, project, kind)]


def images_of(service: Service, project: str, kind: DatasetType) -> Sequence[DatasetImage]:
    """Return the images of a project's data set; none where there is no such data set."""
    try:
        return service.images.catalogue(project, kind).images
    except Fault as fault:
        if fault.code != "ResourceNotFoundException":
            raise
        return ()


def new_line(source: str, call: Call) -> str:
    """Return the line of an image that was called something just now."""
    return manifest.relabel(_bare_line(source), _label(call))


def _bare_line(source: str) -> str:
    return json.dumps({"source-ref": source}, ensure_ascii=False, separators=(",", ":"))


def _label(call: Call) -> manifest.NewLabel:
    return manifest.NewLabel(call.label, manifest.creation_date(datetime.now(UTC)), call.type)


def fit_name(name: str, form: str) -> str:
    """Return a file's name as every store and file system takes it, with the ending of its kind."""
    plain = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    kept = "".join(sign if sign.isprintable() else "_" for sign in _UNFIT.sub("_", plain))
    kept = kept.encode(errors="replace").decode().strip(" .") or "image"
    suffix = PurePosixPath(kept).suffix
    if suffix.casefold() not in _SUFFIXES[form]:
        suffix = _SUFFIXES[form][0]
        kept += suffix
    if _DEVICE.match(kept):
        kept = f"_{kept}"
    return kept.removesuffix(suffix)[:_LONGEST] + suffix


def _key(dataset: DatasetName, digest: str, name: str) -> str:
    return f"console/datasets/{dataset.project}/{digest}/{name}"
