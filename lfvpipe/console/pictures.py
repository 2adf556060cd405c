"""Images of buckets, as pages show them: small, or as they lie there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from lfvpipe.console.visit import Refusal
from lfvpipe.console.wording import say
from lfvpipe.images import SERVED, ImageError, inspect
from lfvpipe.storage import StorageError, parse_s3_uri

if TYPE_CHECKING:
    from lfvpipe.console.visit import Visit

LARGEST: Final = 64 * 2**20
"""Bytes of an image that is shown."""
_BRIEFLY: Final = {"cache-control": "private, max-age=300"}


def give_thumbnail(visit: Visit, source: str) -> Response:
    """Return a small picture of the image at an address.

    Raises:
        Refusal: There is none. Why is not said: a store's errors name folders of the server.
    """
    bucket, key = parse_s3_uri(source)
    with suppress(StorageError):
        found = visit.datasets.thumbnails.find(visit.service.buckets.bucket(bucket), key)
        if found is not None:
            return Response(found, media_type="image/webp", headers=_BRIEFLY)
    raise Refusal(say("datasets.no_picture"), 404)


def give_image(visit: Visit, source: str) -> Response:
    """Return the image at an address; raises as `give_thumbnail` does."""
    bucket, key = parse_s3_uri(source)
    with suppress(StorageError, ImageError):
        data = visit.service.buckets.bucket(bucket).get(key, limit=LARGEST)
        form = inspect(data, SERVED).format
        return Response(data, media_type=f"image/{form.lower()}", headers=_BRIEFLY)
    raise Refusal(say("datasets.no_picture"), 404)
