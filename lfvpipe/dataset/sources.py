"""The sources that a pipeline names: where they are, may be, and how that may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.config.spec import AnnotationSource, LayoutSource, TableSource
from lfvpipe.dataset.globs import has_wildcard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.config import spec
    from lfvpipe.config.spec import ListedSource, Pipeline


@dataclass(frozen=True)
class Source:
    """One archive, folder or manifest to fetch.

    Attributes:
        member: What the pipeline has it for: a label, ``normal-masks``, ``manifest-train``, …
        key: The config key that names the address.
        address: ``https://``, ``http://``, ``s3://``, or an absolute file or folder path.
        sha256: The digest that it must have; None for any.
        archive: It holds images, rather than being a manifest or a table.
        recorded_as: What ledgers know `key` by, where that is something else.
        encoding: What names in a zip are written in where nothing in it tells.
        prefix: What is put before the names of its images, where several archives have one label.
    """

    member: str
    key: str
    address: str
    sha256: str | None = None
    archive: bool = True
    recorded_as: str = ""
    encoding: str | None = None
    prefix: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether it has to be brought to this machine."""
        return self.address.startswith(("https://", "http://", "s3://"))

    @property
    def is_object(self) -> bool:
        """Whether it lies in a bucket, on S3 or a local one."""
        return self.address.startswith("s3://")


def sources_of(pipeline: Pipeline) -> Iterator[Source]:
    """Yield each source that `pipeline` names, in the order of the file's keys."""
    for label, source in pipeline.sources.by_label.items():
        key = f"sources.{label}"
        yield from archives_of(label, source)
        if source.masks and not masks_inside(source):
            yield Source(f"{label}-masks", f"{key}.masks", source.masks, encoding=source.encoding)
    if pipeline.sources.listed:
        yield from _listed(pipeline.sources.listed)
    if manifest := pipeline.sources.manifest:
        key = "sources.manifest"
        yield Source("manifest-train", f"{key}.train", manifest.train, archive=False)
        if manifest.test:
            yield Source("manifest-test", f"{key}.test", manifest.test, archive=False)
        if manifest.images:
            yield Source("manifest-images", f"{key}.images", manifest.images)
    for number, extra in enumerate(pipeline.evaluate.archives):
        yield Source(
            f"evaluate-{number}",
            f"{extra.key}.archive",
            extra.archive,
            extra.sha256,
            recorded_as=f"evaluate.archives.{number}.archive",
            encoding=extra.encoding,
        )


def masks_inside(source: spec.Source) -> str:
    """Return the glob of the members that are masks, in the archive of the images: ``x.zip/masks``.

    "" where the masks are an archive or folder of their own, or told by their names.
    """
    for archive in (source.archive, *source.further):
        start = f"{archive}/"
        if source.masks and source.masks.startswith(start) and not Path(archive).is_dir():
            inside = source.masks.removeprefix(start).strip("/")
            return inside if has_wildcard(inside) else f"{inside}/**"
    return ""


def archives_of(label: str, source: spec.Source) -> list[Source]:
    """Return the archives of a label's images, globs over local ones expanded.

    A single one is called as the label is. Of several, or of a glob, which may match another
    number tomorrow, each is called by its own name, so that no image changes its name with them.
    A glob that matches nothing stays as it is, for the fetch to say that nothing is there.
    """
    key = f"sources.{label}.archive"
    written = (source.archive, *source.further)
    if len(written) == 1 and not _is_glob(source.archive):
        return [Source(label, key, source.archive, source.sha256, encoding=source.encoding)]
    addresses = dict.fromkeys(found for each in written for found in _expand(each))
    sources: list[Source] = []
    taken: set[str] = set()
    for address in addresses:
        stem = name = re.sub(r"[^\w.-]+", "-", archive_stem(address)) or "archive"
        number = 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}~{number}"
        taken.add(name.lower())
        member = f"{label}.{name}"
        sources.append(
            Source(member, key, address, source.sha256, encoding=source.encoding, prefix=f"{name}/")
        )
    return sources


def _is_glob(address: str) -> bool:
    return "://" not in address and has_wildcard(address) and not Path(address).exists()


def _expand(address: str) -> list[str]:
    if not _is_glob(address):
        return [address]
    path = Path(address)
    parts = path.parts[1:] if path.anchor else path.parts
    found = sorted(str(each) for each in Path(path.anchor or ".").glob("/".join(parts)))
    return [each for each in found if not Path(each).name.startswith(".")] or [address]


def _listed(source: ListedSource) -> Iterator[Source]:
    """Yield the archive of a source that lists its images, and the files that list them."""
    if isinstance(source, TableSource):
        yield Source("table", "sources.table.file", source.file, archive=False)
    kind = listed_kind(source)
    yield Source(
        IMAGES, f"sources.{kind}.archive", source.archive, source.sha256, encoding=source.encoding
    )
    if isinstance(source, AnnotationSource):
        for number, file in enumerate(source.files, start=1):
            yield Source(f"annotations-{number}", f"sources.{kind}.file", file, archive=False)


# The source that all images of a table, a layout or annotations are in.
IMAGES = "images"


def listed_kind(source: ListedSource) -> str:
    """Return the section of the pipeline file that names a source that lists its images."""
    if isinstance(source, TableSource):
        return "table"
    return "layout" if isinstance(source, LayoutSource) else "annotations"


def similar(path: Path) -> tuple[str, ...]:
    """Return what lies where `path` should, and is called nearly so: at most three names."""
    from difflib import get_close_matches

    folder = path.parent
    names = sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []
    return tuple(get_close_matches(path.name, names, n=3, cutoff=0.5))


def archive_stem(archive: str) -> str:
    """Return the name of an archive as a person calls it: without folder, suffix and query."""
    from urllib.parse import urlsplit

    path = urlsplit(archive).path if "://" in archive else Path(archive).as_posix()
    return PurePosixPath(path.rstrip("/")).name.partition(".")[0]


def public_address(address: str) -> str:
    """Return an address without the secrets that a URL may hold."""
    from lfvpipe.storage import without_secrets

    return without_secrets(address) if address.startswith(("https://", "http://")) else address


def recorded_address(address: str) -> str:
    """Return what the ledger may know of an address, and what changes when the address does."""
    if not address.startswith(("https://", "http://")) or public_address(address) == address:
        return address
    from hashlib import sha256

    return f"{public_address(address)}#{sha256(address.encode()).hexdigest()[:12]}"
