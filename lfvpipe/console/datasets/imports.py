"""Images that stay where they lie: taken in by a prefix of a bucket, or by a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lfvpipe import manifest
from lfvpipe.console.datasets.calls import Call, call_of, name_call, read_folders
from lfvpipe.console.datasets.marking import MASKS
from lfvpipe.console.datasets.uploads import IMAGES, UnfitUpload, images_of, new_line
from lfvpipe.console.wording import say
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.service.roles import check_admin
from lfvpipe.storage import AccessDenied, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from lfvpipe.console.datasets.copies import Copies
    from lfvpipe.console.datasets.updates import DatasetName
    from lfvpipe.service import Service

_KEPT: Final = ("console/datasets/", "console/trials/", "console/evaluations/", MASKS)
_LARGEST_MANIFEST: Final = 256 * 1024 * 1024  # bytes
_MOST_READ: Final = 1024**3  # bytes of images that one import compares


@dataclass(frozen=True)
class Listed:
    """What a prefix of a bucket has, or a manifest.

    Attributes:
        lines: Of the images, by their addresses.
        others: How many objects are no images, by their names.
        used: How many are in use otherwise, such as masks.
        untyped: Anomalies whose folders name a type that is none, by address, with the reason.
    """

    lines: dict[str, str]
    others: int = 0
    used: int = 0
    untyped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Apart:
    """Images that are to be added, told from copies.

    Attributes:
        lines: Of those that a project does not have, by their addresses.
        copies: How many are, byte for byte, images that it has, or earlier ones of these.
        otherwise: What is said of copies that are called something else than the image is.
        unread: How many could be copies, and were too many bytes to compare.
    """

    lines: dict[str, str]
    copies: int
    otherwise: tuple[str, ...]
    unread: int


class Imports:
    """Reads what one region's buckets have for its data sets; safe to call from many threads.

    Args:
        service: The region's.
        copies: Tells which images are the same.
    """

    def __init__(self, service: Service, copies: Copies) -> None:
        self._service = service
        self._copies = copies

    def used(self, project: str, dataset: DatasetName | None = None) -> set[str]:
        """Return the addresses that a project uses for something else than new images.

        Those are its masks, and where a data set is named the images of the project's other one.
        """
        found: set[str] = set()
        for kind in DATASET_TYPES:
            sources = [image.source for image in images_of(self._service, project, kind)]
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
            by_folder: Folders' names call the images in them something; see `read_folders`.
            used: What is left out; so is what the console keeps, unless it is asked for.

        Raises:
            StorageError: It is no address, or the store does not answer.
            Fault: Whoever asks is no admin.
        """
        check_admin("add images")
        bucket, prefix = parse_s3_uri(address)
        lines: dict[str, str] = {}
        untyped: list[tuple[str, str]] = []
        others = left_out = 0
        for found in self._service.buckets.bucket(bucket).list(prefix):
            if PurePosixPath(found.key).suffix.casefold() not in IMAGES:
                others += 1
                continue
            source = f"s3://{bucket}/{found.key}"
            folders = (each for each in _KEPT if not prefix.startswith(each))
            if source in used or found.key.startswith(tuple(folders)):
                left_out += 1
                continue
            path = found.key[prefix.rfind("/") + 1 :]
            call, reason = read_folders(path) if by_folder else (Call(None), "")
            if reason:
                untyped.append((source, reason))
            lines[source] = new_line(source, call)
        return Listed(dict(sorted(lines.items())), others, left_out, tuple(sorted(untyped)))

    def read_manifest(self, address: str) -> dict[str, str]:
        """Return the lines of a manifest in a bucket, by their images' addresses.

        Raises:
            StorageError: It is not there, or the store does not answer.
            UnfitUpload: It is no manifest.
            Fault: Whoever asks is no admin.
        """
        check_admin("add images")
        bucket, key = parse_s3_uri(address)
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

    def tell_apart(self, project: str, lines: Mapping[str, str]) -> Apart:
        """Return which images a project does not have, by their bytes.

        An image that it has under the same address is not among the copies, and stays.

        Args:
            project: Whose data sets are compared with.
            lines: Of images that are to be added, by their addresses.

        Raises:
            StorageError: The store does not answer.
        """
        calls = {
            image.source: call_of(image)
            for kind in DATASET_TYPES
            for image in images_of(self._service, project, kind)
        }
        fresh = [source for source in lines if source not in calls]
        try:
            same, unread = self._copies.find_same(list(calls), fresh, most=_MOST_READ)
        except AccessDenied:  # a manifest may name what its reader may not list
            same, unread = {}, len(fresh)
        longest = _LARGEST_MANIFEST
        otherwise = []
        for source, first in same.items():
            call = Call(manifest.service_entry(lines[source], longest=longest).label)
            there = calls.get(first) or Call(
                manifest.service_entry(lines[first], longest=longest).label
            )
            if call.label is not None and call.label != there.label:
                names = {"here": name_call(call), "there": name_call(there), "name": first}
                otherwise.append(f"{source}: {say('datasets.called_otherwise', **names)}")
        kept = {source: line for source, line in lines.items() if source not in same}
        return Apart(kept, len(same), tuple(otherwise), unread)
