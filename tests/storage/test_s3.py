"""What is particular to buckets on S3: administration, credentials, and what a store may answer."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.storage import Bucket, Buckets, Protection, connect, errors
from tests.storage.conformance import ODD_KEYS, REGION, BucketsConformance


class TestS3Buckets(BucketsConformance):
    @pytest.fixture
    def buckets(self, s3: str, tmp_path: Path) -> Buckets:
        return connect(s3, region=REGION, root=tmp_path / "buckets")

    @pytest.fixture
    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
        monkeypatch.setattr("lfvpipe.storage.objects.PAGE", 10)


def bucket_at(url: str, name: str = "parts-images", region: str = "eu-west-1") -> Bucket:
    return connect(url, region=region, root=Path("unused")).bucket(name)


def admin(url: str, region: str = "eu-west-1") -> Any:
    import boto3

    return boto3.client("s3", endpoint_url=url, region_name=region)


class Answers(BaseHTTPRequestHandler):
    """Answers every request with the status and the S3 error code of its server."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server: Any = self.server
        status, code = server.script.get(self.command, server.script.get("*"))
        server.seen.append((self.command, self.path))
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode() if code else b""
        self.send_response(status)
        self.send_header("x-amz-bucket-region", "us-west-2")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815  (names of the stdlib)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def store(aws: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield an S3 endpoint that answers by its `script`: method → (status, error code)."""
    aws.setenv("AWS_MAX_ATTEMPTS", "1")
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    server.script, server.seen = {}, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_new_bucket_is_private_and_encrypted(s3: str) -> None:
    bucket = bucket_at(s3)
    bucket.create()
    assert bucket.protection() == Protection(public_access_blocked=True, encryption="AES256")
    place = admin(s3).get_bucket_location(Bucket=bucket.name)
    assert place["LocationConstraint"] == "eu-west-1"


def test_us_east_1_is_not_named_when_a_bucket_is_created(s3: str) -> None:
    bucket = bucket_at(s3, region="us-east-1")
    bucket.create()
    bucket.create()
    assert bucket.location() == "us-east-1"
    assert admin(s3).get_bucket_location(Bucket=bucket.name)["LocationConstraint"] is None


@pytest.mark.parametrize("answer", [(501, "NotImplemented"), (405, "MethodNotAllowed")])
def test_a_store_without_these_guards_is_fine(store: Any, answer: tuple[int, str]) -> None:
    bucket = bucket_at(store.url)
    store.script = {"HEAD": (404, ""), "PUT": (200, ""), "GET": answer}
    assert not bucket.exists()
    bucket.create()
    assert bucket.protection() == Protection(None, None)


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (403, "AccessDenied", errors.AccessDenied, "list, read and write"),
        (403, "SignatureDoesNotMatch", errors.NoCredentials, "AWS_PROFILE"),
        (403, "InvalidAccessKeyId", errors.NoCredentials, "AWS_PROFILE"),
        (401, "Whatever", errors.NoCredentials, "AWS_PROFILE"),
        (400, "AuthorizationHeaderMalformed", errors.WrongRegion, ""),
        (301, "PermanentRedirect", errors.WrongRegion, ""),
        (404, "NoSuchBucket", errors.NoSuchBucket, "name"),
        (507, "QuotaExceeded", errors.DiskFull, "space"),
        (503, "SlowDown", errors.StorageError, ""),
    ],
)
def test_what_a_store_answers_is_explained(
    store: Any, status: int, code: str, kind: type[errors.StorageError], advice: str
) -> None:
    store.script = {"*": (status, code)}
    bucket = bucket_at(store.url)
    for act in (lambda: bucket.put("key", b"x"), lambda: list(bucket.list()), bucket.create):
        with pytest.raises(kind, match="parts-images") as raised:
            act()
        assert advice in raised.value.hint
        assert "Debug source" not in str(raised.value)


def test_a_bucket_that_is_not_ours_is_not_adopted(store: Any) -> None:
    store.script = {"HEAD": (403, ""), "PUT": (409, "BucketAlreadyExists")}
    with pytest.raises(errors.AccessDenied):
        bucket_at(store.url).exists()
    with pytest.raises(errors.BucketNameTaken, match="somebody else"):
        bucket_at(store.url).create()


def test_our_own_bucket_may_be_created_again(store: Any) -> None:
    store.script = {"PUT": (409, "BucketAlreadyOwnedByYou")}
    with pytest.raises(errors.StorageError, match="BucketAlreadyOwnedByYou"):
        bucket_at(store.url).create()  # from the guards, which this store answers likewise
    assert len(store.seen) == 2


def test_an_endpoint_that_does_not_answer_is_named(aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket = bucket_at("http://127.0.0.1:9")
    for act in (lambda: bucket.put("k", b""), bucket.exists):
        with pytest.raises(errors.Unreachable, match="does not answer"):
            act()


def test_no_credentials_are_said_so_before_anything_is_sent(
    store: Any, aws: pytest.MonkeyPatch
) -> None:
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    bucket = bucket_at(store.url)
    for act in (lambda: bucket.put("k", b""), bucket.exists, lambda: list(bucket.list())):
        with pytest.raises(errors.NoCredentials, match="credentials"):
            act()
    assert store.seen == []


def test_an_unknown_profile_is_said_so(s3: str, aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_PROFILE", "not-there")
    with pytest.raises(errors.NoCredentials, match="not-there"):
        bucket_at(s3).exists()


def test_the_profile_that_boto3_finds_signs_the_transfers(
    s3: str, aws: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    credentials = tmp_path / "credentials"
    credentials.write_text("[plant]\naws_access_key_id=a\naws_secret_access_key=b\n")
    aws.setenv("AWS_SHARED_CREDENTIALS_FILE", os.fspath(credentials))
    aws.setenv("AWS_PROFILE", "plant")
    bucket = bucket_at(s3)
    bucket.create()
    bucket.put("key", b"x")
    assert bucket.get("key") == b"x"


def test_a_bucket_on_aws_in_another_region_is_refused(s3: str, aws: pytest.MonkeyPatch) -> None:
    bucket_at(s3, region="eu-west-1").create()
    aws.setenv("AWS_ENDPOINT_URL_S3", s3)

    def anywhere(region: str) -> Bucket:
        return connect("aws", region=region, root=Path("unused"), anywhere=True).bucket(
            "parts-images"
        )

    assert anywhere("eu-west-1").exists()
    with pytest.raises(errors.WrongRegion, match="eu-west-1") as raised:
        anywhere("us-west-2").exists()
    assert raised.value.region == "eu-west-1"


def test_other_peoples_odd_keys_do_not_stop_a_listing(s3: str) -> None:
    bucket = bucket_at(s3)
    bucket.create()
    for key in ("a/1", "b//x", "c/2"):
        admin(s3).put_object(Bucket=bucket.name, Key=key, Body=b"x")
    assert [info.key for info in bucket.list()] == ["a/1", "b//x", "c/2"]
    assert [info.key for info in bucket.list("b/")] == ["b//x"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_s3_takes_any_key(s3: str, key: str) -> None:
    bucket = bucket_at(s3)
    bucket.create()
    bucket.put(key, b"x")
    assert admin(s3).get_object(Bucket=bucket.name, Key=key)["Body"].read() == b"x"


def test_an_older_version_is_read(s3: str, tmp_path: Path) -> None:
    bucket = bucket_at(s3)
    bucket.create()
    admin(s3).put_bucket_versioning(
        Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )
    older = admin(s3).put_object(Bucket=bucket.name, Key="key", Body=b"older")["VersionId"]
    bucket.put("key", b"new")
    info = bucket.head("key", version=older)
    assert info is not None
    assert info.size == 5
    bucket.get_to("key", tmp_path / "copy", version=older)
    assert (tmp_path / "copy").read_bytes() == b"older"
    assert bucket.head("key", version="none-such") is None
    with pytest.raises(errors.NoSuchObject, match="version none-such"):
        bucket.get_to("key", tmp_path / "copy", version="none-such")


def test_a_key_has_no_place_on_this_disk(s3: str) -> None:
    assert bucket_at(s3).local_path("key") is None
