"""Gets a training's images onto this machine, and checks them."""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path

from lfvpipe.images import SERVED, ImageError, inspect
from lfvpipe.service.jobs.training.selection import TrainingError
from lfvpipe.service.quotas import Quotas
from lfvpipe.storage import Buckets, NoSuchObject, ObjectInfo, parse_s3_uri

_SPARE = 512 * 1024 * 1024  # bytes of disk that a download leaves free


@dataclass(frozen=True)
class Images:
    """Images by address: in place where the bucket is a folder, else downloaded to `folder`.

    `on_download` is called once there is one more that no later attempt has to get.
    """

    buckets: Buckets
    folder: Path
    quotas: Quotas
    on_download: Callable[[], object]

    def fetch(self, address: str, number: int) -> Path:
        """Return the file of the object at `address`.

        Args:
            address: An ``s3://`` address.
            number: Names the downloaded file. Of a negative number, another may take its place.

        Raises:
            TrainingError: It is gone or too large.
            OSError: The disk is full.
        """
        bucket_name, key = parse_s3_uri(address)
        bucket = self.buckets.bucket(bucket_name)
        path = bucket.local_path(key)
        if path is not None and path.is_file():
            self._check_size(address, path.stat().st_size)
            return path
        found = bucket.head(key)
        if found is None:
            raise TrainingError(f"{address} does not exist any more.")
        self._check_size(address, found.size)
        suffix = Path(key).suffix[:8]
        if number < 0:
            return self._download(address, self.folder / f"{number}{suffix}")
        # An attempt that was killed may have got it already. What its tag does not tell of, or
        # tells otherwise, is got again.
        path = self.folder / f"{number}-{_digest(address, found)}{suffix}"
        if not (path.is_file() and path.stat().st_size == found.size and _is_whole(path, found)):
            self._download(address, path)
            self.on_download()
        return path

    def _check_size(self, address: str, size: int) -> None:
        if size > self.quotas.max_image_bytes:
            most = self.quotas.max_image_bytes
            raise TrainingError(f"{address} has {size} bytes; {most} are allowed.")

    def _download(self, address: str, path: Path) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < _SPARE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(self.folder))
        bucket, key = parse_s3_uri(address)
        try:
            self.buckets.bucket(bucket).get_to(key, path)
        except NoSuchObject as error:
            raise TrainingError(f"{address} does not exist any more.") from error
        return path


def _digest(address: str, found: ObjectInfo) -> str:
    return sha256(f"{address} {found.etag} {found.size}".encode()).hexdigest()[:16]


def _is_whole(path: Path, found: ObjectInfo) -> bool:
    """Say whether a file is the object, by its tag, which is mostly an MD5."""
    return md5(path.read_bytes(), usedforsecurity=False).hexdigest() == found.etag


def common_size(
    named: Sequence[tuple[str, Path]], quotas: Quotas, tick: Callable[[int, int], None]
) -> tuple[int, int]:
    """Return the (width, height) that all images share.

    Args:
        named: Addresses and files.
        quotas: The smallest and largest sides.
        tick: Told of (done, total).

    Raises:
        TrainingError: An image is unreadable, too small or large, or unlike the others.
    """
    first: tuple[int, int] | None = None
    for number, (address, path) in enumerate(named):
        tick(number, len(named))
        size = image_size(address, path, quotas)
        first = first or size
        if size != first:
            raise TrainingError(
                f"{address} has {size[0]}x{size[1]} pixels, {named[0][0]} has"
                f" {first[0]}x{first[1]}; all images of a project must have the same size."
            )
    return first or (0, 0)


def image_size(name: str, source: Path | bytes, quotas: Quotas) -> tuple[int, int]:
    """Return the (width, height) of an image within the limits.

    Raises:
        TrainingError: It is no PNG or JPEG, or too small or large.
    """
    try:
        facts = inspect(source, SERVED)
    except ImageError as error:
        raise TrainingError(f"{name} cannot be used: {error.fault}.") from error
    least, most = quotas.min_side, quotas.max_side
    if not (least <= min(facts.width, facts.height) and max(facts.width, facts.height) <= most):
        raise TrainingError(
            f"{name} has {facts.width}x{facts.height} pixels;"
            f" each side must have {least} to {most}."
        )
    return facts.width, facts.height
