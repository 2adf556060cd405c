"""Gets a training's images onto this machine, and checks them."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lfvpipe.images import SERVED, ImageError, inspect
from lfvpipe.service.jobs.training.selection import TrainingError
from lfvpipe.service.quotas import Quotas
from lfvpipe.storage import Buckets, NoSuchObject, parse_s3_uri

_SPARE = 512 * 1024 * 1024  # bytes of disk that a download leaves free


@dataclass(frozen=True)
class Images:
    """Images by address: in place where the bucket is a folder, else downloaded to `folder`."""

    buckets: Buckets
    folder: Path
    quotas: Quotas

    def fetch(self, address: str, number: int) -> Path:
        """Return the file of the object at `address`.

        Args:
            address: An ``s3://`` address.
            number: Names the downloaded file; another object may take its place later.

        Raises:
            TrainingError: It is gone, too large, or the disk is full.
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
        return self._download(address, self.folder / f"{number}{Path(key).suffix[:8]}")

    def _check_size(self, address: str, size: int) -> None:
        if size > self.quotas.max_image_bytes:
            most = self.quotas.max_image_bytes
            raise TrainingError(f"{address} has {size} bytes; {most} are allowed.")

    def _download(self, address: str, path: Path) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < _SPARE:
            raise TrainingError(f"The disk of {self.folder} is nearly full; free some space.")
        bucket, key = parse_s3_uri(address)
        try:
            self.buckets.bucket(bucket).get_to(key, path)
        except NoSuchObject as error:
            raise TrainingError(f"{address} does not exist any more.") from error
        return path


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
