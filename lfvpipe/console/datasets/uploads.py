"""Images that people bring: from their computer, by a prefix of a bucket, or by a manifest."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lfvpipe import manifest
from lfvpipe.console.bucket import console_bucket
from lfvpipe.console.datasets.calls import Call, NoCall, read_type
from lfvpipe.console.datasets.copies import Copies, own_digest
from lfvpipe.console.datasets.marking import MASKS, put_mask
from lfvpipe.console.wording import say, words_of
from lfvpipe.dataset.words import meaning_of
from lfvpipe.errors import UserError
from lfvpipe.images import SERVED, ImageError, inspect, read_image
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.service.faults import Fault
from lfvpipe.service.roles import check_admin
from lfvpipe.storage import NoSuchObject, StorageError, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from lfvpipe.console.datasets.editing import Done, Editing
    from lfvpipe.console.datasets.marking import Mask
    from lfvpipe.console.datasets.updates import DatasetName, Updates
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.service import Service
    from lfvpipe.service.images import DatasetImage
    from lfvpipe.storage import Bucket

_KEPT: Final = ("console/datasets/", "console/trials/", "console/evaluations/", MASKS)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_UNFIT: Final = re.compile(r'[\\/:*?"<>|#%\x00-\x1f\x7f-\x9f]')
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_SUFFIXES: Final[dict[str, tuple[str, ...]]] = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg")}
_IMAGES: Final = frozenset(ending for endings in _SUFFIXES.values() for ending in endings)
_LONGEST: Final = 120  # characters of a name
_SIZES: Final = 1000  # projects whose images' size stays in memory
_LARGEST_IMAGE: Final = 64 * 1024 * 1024  # bytes
_LARGEST_MANIFEST: Final = 256 * 1024 * 1024  # bytes


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
class Listed:
    """What a prefix of a bucket has.

    Attributes:
        lines: Of the images, by their addresses.
        others: How many objects are no images, by their names.
        used: How many are in use otherwise, such as masks.
        labels: How many images are called what.
    """

    lines: dict[str, str]
    others: int
    used: int
    labels: dict[str, int]


class Uploads:
    """Takes images into the data sets of one region; safe to call from many threads.

    Args:
        service: The region's.
        updates: Keeps others from changing a project meanwhile.
        editing: Adds them.
    """

    def __init__(self, service: Service, updates: Updates, editing: Editing) -> None:
        self._service = service
        self._updates = updates
        self._editing = editing
        self._copies = Copies(service.buckets)
        self._sizes: dict[str, tuple[int, int] | None] = {}  # by address, of a project's first

    def known(self, project: str, digests: Iterable[str]) -> dict[str, DatasetType]:
        """Return which files somebody brought before, and to which data set of the project.

        No store is asked, so that images which came otherwise are not among them; see `find`.
        """
        wanted = set(digests)
        found: dict[str, DatasetType] = {}
        for kind in DATASET_TYPES:
            for source in self._sources(project, kind):
                digest = own_digest(source)
                if digest in wanted:
                    found[digest] = kind
        return found

    def find(self, dataset: DatasetName, uploads: Iterable[Upload]) -> dict[str, DatasetType]:
        """Return which stored files a project has, wherever they lie, and in which data set.

        Raises:
            StorageError: The store does not answer.
        """
        home = self._home(dataset)
        wanted: dict[str, int] = {}
        for each in uploads:
            stored = home.head(_key(dataset, each.digest, each.name))
            wanted[each.digest] = stored.size if stored else 0
        found: dict[str, DatasetType] = {}
        for kind in DATASET_TYPES:
            there = self._copies.find(self._sources(dataset.project, kind), wanted)
            found |= dict.fromkeys(there, kind)
        return found

    def types(self, project: str) -> list[str]:
        """Return the anomaly types that the project's data sets have."""
        found = {
            name
            for kind in DATASET_TYPES
            for image in self._images(project, kind)
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

    def add(self, dataset: DatasetName, uploads: Sequence[Upload]) -> Done:
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
            taken = set(self.find(dataset, uploads))
            bucket = self._home(dataset)
            lines: dict[str, str] = {}
            for each in uploads:
                if each.digest not in taken:
                    taken.add(each.digest)
                    source = f"s3://{bucket.name}/{_key(dataset, each.digest, each.name)}"
                    lines[source] = self._line(source, each.call, each.mask)
            return self._editing.add(dataset, lines)

    def used(self, project: str, dataset: DatasetName | None = None) -> set[str]:
        """Return the addresses that a project uses for something else than new images.

        Those are its masks, and where a data set is named the images of the project's other one.
        """
        found: set[str] = set()
        for kind in DATASET_TYPES:
            sources = self._sources(project, kind)
            if dataset is not None and kind == dataset.other.type:
                found.update(sources)
            if sources:
                for line in self._service.images.lines(project, kind, sources).values():
                    mask = manifest.service_entry(line, longest=_LARGEST_MANIFEST).mask
                    found.update([mask] if mask else [])
        return found

    def list_prefix(
        self, address: str, *, by_folder: bool, used: Container[str] = frozenset()
    ) -> Listed:
        """Return what lies under ``s3://bucket/prefix``, which may be of any bucket.

        Args:
            address: Where.
            by_folder: Folders' names call the images in them something; see `call_by_folder`.
            used: What is left out; so is what the console keeps, unless it is asked for.

        Raises:
            StorageError: It is no address, or the store does not answer.
            Fault: Whoever asks is no admin.
        """
        check_admin("add images")
        bucket, prefix = parse_s3_uri(address.strip())
        lines: dict[str, str] = {}
        labels: Counter[str] = Counter()
        others = left_out = 0
        for found in self._service.buckets.bucket(bucket).list(prefix):
            if PurePosixPath(found.key).suffix.casefold() not in _IMAGES:
                others += 1
                continue
            source = f"s3://{bucket}/{found.key}"
            folders = (each for each in _KEPT if not prefix.startswith(each))
            if source in used or found.key.startswith(tuple(folders)):
                left_out += 1
                continue
            path = found.key[prefix.rfind("/") + 1 :]
            call = call_by_folder(path) if by_folder else Call(None)
            labels[call.label or "unlabelled"] += 1
            lines[source] = self._line(source, call)
        return Listed(dict(sorted(lines.items())), others, left_out, labels)

    def read_manifest(self, address: str) -> dict[str, str]:
        """Return the lines of a manifest in a bucket, by their images' addresses.

        Raises:
            StorageError: It is not there, or the store does not answer.
            UnfitUpload: It is no manifest.
            Fault: Whoever asks is no admin.
        """
        check_admin("add images")
        bucket, key = parse_s3_uri(address.strip())
        data = self._service.buckets.bucket(bucket).get(key, limit=_LARGEST_MANIFEST)
        lines: dict[str, str] = {}
        for number, line in enumerate(data.splitlines(), 1):
            try:
                text = line.decode("utf-8-sig").strip()
                if text:
                    longest = self._service.quotas.max_manifest_line
                    lines[manifest.service_entry(text, longest=longest).source] = text
            except UnicodeDecodeError as error:
                raise UnfitUpload(say("refusals.bad_line_text", number=number)) from error
            except manifest.LineError as error:
                raise UnfitUpload(
                    say("refusals.bad_line", number=number, problem=error.problem)
                ) from error
        return lines

    def _line(self, source: str, call: Call, mask: Mask | None = None) -> str:
        now = manifest.creation_date(datetime.now(UTC))
        bare = json.dumps({"source-ref": source}, ensure_ascii=False, separators=(",", ":"))
        label = manifest.NewLabel(call.label, now, call.type)
        if mask is None:
            return manifest.relabel(bare, label)
        address = put_mask(self._service.buckets, source, mask.data)
        return manifest.mark(bare, label, manifest.mask_reference(address, mask.classes, now))

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
        return [image.source for image in self._images(project, kind)]

    def _images(self, project: str, kind: DatasetType) -> Sequence[DatasetImage]:
        try:
            return self._service.images.catalogue(project, kind).images
        except Fault as fault:
            if fault.code != "ResourceNotFoundException":
                raise
            return ()


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


def call_by_folder(path: str) -> Call:
    """Return what the folders of a path call an image: ``good/1.png``, ``anomaly/dent/1.png``.

    The words are those that pipelines know. The folder below that of anomalies names their type.
    """
    folders = path.replace("\\", "/").split("/")[:-1]
    for number, folder in enumerate(folders):
        meaning = meaning_of(folder)
        if meaning == "normal":
            return Call("normal")
        if meaning == "anomaly":
            below = folders[number + 1 : number + 2]
            try:
                return Call("anomaly", read_type(below[0]) if below else "")
            except NoCall:
                return Call("anomaly")
    return Call(None)


def _key(dataset: DatasetName, digest: str, name: str) -> str:
    return f"console/datasets/{dataset.project}/{digest}/{name}"
