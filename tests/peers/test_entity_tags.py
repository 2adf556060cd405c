"""The entity tags of a real store are digests, as what is sent to it and read from it relies on."""

from pathlib import Path

import pytest

from lfvpipe.storage import connect, fits_tag
from lfvpipe.storage.objects import PART
from lfvpipe.storage.s3 import careful
from tests.seaweed import KEY, SECRET

SIZES = {"empty": 0, "small": 1000, "of-one-part": PART, "of-parts": 2 * PART + 5}


@pytest.mark.parametrize("way", ["obstore", "boto3"])
def test_tags_are_digests_from_both_clients_and_in_listings(
    seaweed: str, aws: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    aws.setenv("AWS_ACCESS_KEY_ID", KEY)
    aws.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    buckets = connect(seaweed, region="us-east-1", root=tmp_path)
    bucket = buckets.bucket(f"tags-{way}")
    bucket.create()
    files = {name: tmp_path / name for name in SIZES}
    for name, size in SIZES.items():
        files[name].write_bytes(bytes(range(251)) * (size // 251) + b"x" * (size % 251))
    stored = {}
    if way == "obstore":
        items = list(files.items())
        bucket.put_many(items, on_done=lambda made: stored.update({made.key: made.etag}))
    else:
        client = buckets.client  # type: ignore[attr-defined]  # of S3's alone
        for name, file in files.items():
            stored[name] = careful.put(client, bucket.name, name, file).etag
    listed = {found.key: found.etag for found in bucket.list()}
    for name, file in files.items():
        assert fits_tag(stored[name], file), (name, stored[name])
        assert fits_tag(listed[name], file), (name, listed[name])
        assert bucket.get(name) == file.read_bytes()
