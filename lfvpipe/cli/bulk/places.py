"""Where what comes of many images goes: a folder, or what lies below a prefix in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import archives, report, storage
from lfvpipe.cli.written_places import make_writable
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from lfvpipe.cli.asked import Photograph
    from lfvpipe.storage import Bucket

    BucketOf = Callable[[str], Bucket]


@dataclass(frozen=True)
class Place:
    """A folder or a prefix, into which files are put whole or not at all.

    Attributes:
        address: As people are told of it; no slash at its end.
        bucket: What it lies in; of a folder, the folder itself.
        prefix: What all keys begin with: empty, or with a slash at its end.
    """

    address: str
    bucket: Bucket
    prefix: str = ""

    def names_in(self, folder: str) -> set[str]:
        """Return the names of the files in a folder of this place."""
        above = f"{self.prefix}{folder}/"
        return {each.key.removeprefix(above) for each in self.bucket.list(above)}

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, None where it is not there."""
        try:
            return self.bucket.get(self.prefix + name)
        except storage.NoSuchObject:
            return None

    def write(self, name: str, data: bytes | Path) -> None:
        """Put a file there, in the place of one that has the name."""
        self.bucket.put(self.prefix + name, data)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; one that is not there is no error."""
        self.bucket.delete(self.prefix + name for name in names)

    def called(self, name: str) -> str:
        """Return how people call one of its files."""
        return f"{self.address}/{name}"


@dataclass(frozen=True)
class PlacedMaps:
    """Heat maps in a place, each named after its image below the folder that was named."""

    place: Place

    def make_folder(self) -> None:
        """Do nothing: the place is there."""

    def draw(
        self, photograph: Photograph, picture: Image | bytes, heat: NDArray[np.float32] | None
    ) -> str | None:
        """Write a picture under its heat map, and return what it is called there.

        None where the model has none, or the place takes no such name.

        Raises:
            StorageError: It cannot be written.
        """
        if heat is None:
            return None
        name = archives.heat_map_name(photograph.inside)
        try:
            self.place.write(name, report.heat_pictures.png(picture, heat))
        except storage.InvalidKey:
            return None
        return self.place.called(name)


def is_s3(address: str) -> bool:
    """Tell whether an address is one of an object store."""
    return address.lower().startswith("s3://")


def open_place(address: str, bucket_of: BucketOf, option: str, at: Path | None = None) -> Place:
    """Return the place at an address; a folder is made if it is not there.

    Args:
        address: A folder, or ``s3://bucket/prefix``.
        bucket_of: Returns the bucket of a name.
        option: That named it.
        at: Where the folder is, if it is called so elsewhere; it is not made.

    Raises:
        StorageError: The address is none.
        UserError: The folder cannot be made, or written, or is not there.
    """
    if is_s3(address):
        name, prefix = split_address(address)
        return Place(f"s3://{name}/{prefix}".rstrip("/"), bucket_of(name), prefix)
    if at is not None:
        if at.is_dir():
            return Place(address.rstrip("/") or "/", storage.LocalBucket(at, ""))
        raise UserError(
            f"{at} is no folder here.",
            hint="Name an s3://bucket/prefix, or a folder that all machines share.",
        )
    make_writable(Path(address), option)
    bucket = storage.LocalBucket(Path(address).absolute(), "")
    bucket.create()
    return Place(address.rstrip("/") or "/", bucket)


def split_address(address: str) -> tuple[str, str]:
    """Split ``s3://bucket/prefix`` into bucket and prefix, which is a folder's or empty.

    Raises:
        InvalidAddress: It is none.
    """
    name, key = storage.parse_s3_uri(address)
    return name, f"{key.rstrip('/')}/" if key.strip("/") else ""


@dataclass(frozen=True)
class PipelineBuckets:
    """The buckets that addresses name beside a pipeline's own, with any process' credentials.

    Attributes:
        described: The store of the pipeline's bucket, as it describes itself.
    """

    described: Mapping[str, str]

    def __call__(self, name: str) -> Bucket:
        """Return the bucket of a name."""
        return storage.bucket_of_address(
            storage.reconnect(self.described),
            name,
            region=self.described["region"],
            root=Path(self.described["root"]),
        )


def bucket_by_environment(name: str) -> Bucket:
    """Return a bucket of the S3 store that the environment leads to, with its credentials.

    For what has no pipeline that names a store.
    """
    import botocore.session

    region = botocore.session.get_session().get_config_variable("region") or "us-east-1"
    return storage.connect("aws", region=region, root=Path(), anywhere=True).bucket(name)
