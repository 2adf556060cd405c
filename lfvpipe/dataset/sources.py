"""The sources that a pipeline names: where they are, may be, and how that may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.config.spec import Pipeline


@dataclass(frozen=True)
class Source:
    """One archive, folder or manifest to fetch.

    Attributes:
        member: What the pipeline has it for: a label, ``normal-masks``, ``manifest-train``, …
        key: The config key that names the address.
        address: ``https://``, ``http://``, ``s3://``, or an absolute file or folder path.
        sha256: The digest that it must have; None for any.
        archive: It holds images, rather than being a manifest.
        recorded_as: What ledgers know `key` by, where that is something else.
    """

    member: str
    key: str
    address: str
    sha256: str | None = None
    archive: bool = True
    recorded_as: str = ""

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
        yield Source(label, f"{key}.archive", source.archive, source.sha256)
        if source.masks:
            yield Source(f"{label}-masks", f"{key}.masks", source.masks)
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
        )


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
