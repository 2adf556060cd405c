"""The face of storage: addresses, and what `connect` knows."""

from pathlib import Path

import pytest

from lfvpipe.storage import InvalidAddress, UnknownEndpoint, connect, parse_s3_uri


def test_s3_addresses_are_split() -> None:
    assert parse_s3_uri("s3://bucket/a/b.zip") == ("bucket", "a/b.zip")
    assert parse_s3_uri("s3://bucket") == ("bucket", "")
    for wrong in ("https://bucket/a", "s3:///a", "bucket/a"):
        with pytest.raises(InvalidAddress, match="no S3 address"):
            parse_s3_uri(wrong)


def test_an_unknown_endpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownEndpoint, match="ftp"):
        connect("ftp://host", region="us-east-1", root=tmp_path)
