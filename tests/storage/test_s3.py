"""What is particular to buckets on S3: administration, credentials, and what a store may answer."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.storage import Bucket, Buckets, Protection, Terms, connect, errors, reconnect
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
        about = f"{self.command} {self.path.partition('?')[2]}"
        status, code = next(
            server.script[key] for key in (about, self.command, "*") if key in server.script
        )
        server.seen.append((self.command, self.path))
        server.headers.append({name.lower(): value for name, value in self.headers.items()})
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
    """Yield an S3 endpoint that answers by its `script`: method → (status, error code).

    The method may have the query behind it: ``PUT encryption``.
    """
    aws.setenv("AWS_MAX_ATTEMPTS", "1")
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    server.script, server.seen, server.headers = {}, [], []
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


REFUSALS = [
    (400, "InvalidRequest"),
    (400, "MalformedXML"),
    (403, "AccessDenied"),
    (409, "BucketAlreadyOwnedByYou"),
    (409, "OperationAborted"),
    (405, "MethodNotAllowed"),
    (501, "NotImplemented"),
]


@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize(
    ("setting", "said"),
    [("publicAccessBlock", "to block public access"), ("encryption", "to encrypt by default")],
)
def test_a_guard_that_a_store_refuses_is_said_and_no_failure(
    store: Any, answer: tuple[int, str], setting: str, said: str
) -> None:
    store.script = {"*": (200, ""), f"PUT {setting}": answer, f"GET {setting}": answer}
    (told,) = bucket_at(store.url).create()
    assert told.startswith(f"The store refused {said}")
    assert told.endswith(f"for s3://parts-images ({answer[0]} {answer[1]}).")
    protection = bucket_at(store.url).protection()
    assert protection.encryption is None
    assert (protection.public_access_blocked is None) == (setting == "publicAccessBlock")


def test_guards_carry_the_checksum_that_older_stores_want(store: Any) -> None:
    store.script = {"*": (200, "")}
    bucket_at(store.url).create()
    digests = [headers.get("content-md5") for headers in store.headers]
    assert all(digests[1:])
    assert len(digests) == 3


def test_a_store_that_knows_no_regions_makes_the_bucket_where_it_can(store: Any) -> None:
    class Answer(Answers):
        def answer(self) -> None:
            body = self.headers.get("Content-Length") not in (None, "0")
            script: Any = self.server
            script.script = {"*": (400, "InvalidLocationConstraint") if body else (200, "")}
            if "?" in self.path:
                script.script = {"*": (200, "")}
            super().answer()

        do_PUT = answer  # noqa: N815

    store.RequestHandlerClass = Answer
    assert bucket_at(store.url).create() == ()
    assert [path.partition("?")[2] for _, path in store.seen][:2] == ["", ""]


def _all_requests(bucket: Bucket, tmp_path: Path) -> None:
    """Make each kind of request, by either client; what is answered does not matter."""
    acts: list[Any] = [
        *(bucket.exists, bucket.location, lambda: list(bucket.list())),
        *(lambda: bucket.put("key", b"x"), lambda: bucket.put("odd//key", b"x")),
        *(lambda: bucket.get("key"), lambda: bucket.get("odd//key")),
        *(lambda: bucket.head("key"), lambda: bucket.head("odd//key")),
        lambda: bucket.delete(["key", "odd//key"]),
    ]
    for act in acts:
        with suppress(errors.StorageError, KeyError):  # an answer without an ETag
            act()


def test_who_asks_pays_where_the_bucket_is_such_a_one(store: Any, tmp_path: Path) -> None:
    store.script = {"*": (200, "")}
    terms = Terms(requester_pays=True)
    buckets = connect(store.url, region=REGION, root=tmp_path, terms=terms)
    for each in (buckets, reconnect(buckets.describe())):
        store.headers.clear()
        _all_requests(each.bucket("parts-images"), tmp_path)
        assert len(store.headers) >= 10
        assert {headers.get("x-amz-request-payer") for headers in store.headers} == {"requester"}
    store.headers.clear()
    _all_requests(bucket_at(store.url), tmp_path)
    assert not any("x-amz-request-payer" in headers for headers in store.headers)


@pytest.mark.parametrize("terms", [Terms("AES256"), Terms("aws:kms"), Terms("aws:kms", "a-key")])
def test_what_is_written_is_encrypted_as_the_terms_say(
    store: Any, terms: Terms, tmp_path: Path
) -> None:
    store.script = {"*": (200, "")}
    buckets = connect(store.url, region=REGION, root=tmp_path, terms=terms)
    for each in (buckets, reconnect(buckets.describe())):
        store.headers.clear()
        bucket = each.bucket("parts-images")
        with suppress(errors.StorageError):
            bucket.put("key", b"x")
        with suppress(errors.StorageError):
            bucket.put("odd//key", b"x")
        assert len(store.headers) == 2
        for headers in store.headers:
            found = {name: headers[name] for name in terms.headers if name in headers}
            assert found == terms.headers
        with suppress(errors.StorageError):
            bucket.get("key")
        assert not terms.headers.keys() & store.headers[-1].keys()


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (403, "AccessDenied", errors.AccessDenied, "list, read and write"),
        (403, "SignatureDoesNotMatch", errors.NoCredentials, "AWS_PROFILE"),
        (403, "InvalidAccessKeyId", errors.NoCredentials, "AWS_PROFILE"),
        (401, "Whatever", errors.NoCredentials, "AWS_PROFILE"),
        (400, "AuthorizationHeaderMalformed", errors.WrongRegion, ""),
        (301, "PermanentRedirect", errors.WrongRegion, ""),
        (307, "TemporaryRedirect", errors.WrongRegion, ""),
        (403, "RequestTimeTooSkewed", errors.WrongTime, "clock"),
        (403, "RequestExpired", errors.WrongTime, "clock"),
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
    asked: list[Any] = [lambda: bucket.put("key", b"x"), lambda: list(bucket.list()), bucket.create]
    # An answer to HEAD has no body; it is found out what it would say.
    asked += [bucket.exists] if status in (400, 403) else []
    for act in asked:
        with pytest.raises(kind, match="parts-images") as raised:
            act()
        assert advice in raised.value.hint
        assert "Debug source" not in str(raised.value)


def test_a_bucket_that_is_not_ours_is_not_adopted(store: Any) -> None:
    forbidden = {"HEAD": (403, ""), "GET": (403, "AccessDenied")}
    store.script = {**forbidden, "PUT": (409, "BucketAlreadyExists")}
    with pytest.raises(errors.AccessDenied):
        bucket_at(store.url).exists()
    with pytest.raises(errors.BucketNameTaken, match="somebody else"):
        bucket_at(store.url).create()


def test_a_store_that_refuses_to_say_whether_a_bucket_is_there_is_asked_what_is_in_it(
    store: Any,
) -> None:
    store.script = {"HEAD": (403, ""), "GET": (200, "")}
    assert bucket_at(store.url).exists()
    store.script = {"HEAD": (400, ""), "GET": (404, "NoSuchBucket")}
    assert not bucket_at(store.url).exists()


def test_our_own_bucket_may_be_created_again(store: Any) -> None:
    store.script = {"PUT": (409, "BucketAlreadyOwnedByYou")}
    told = bucket_at(store.url).create()
    assert len(told) == 2  # of the guards, which this store answers likewise
    assert len(store.seen) == 3


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


def test_a_name_that_no_bucket_can_have_is_told_as_one(s3: str) -> None:
    with pytest.raises(errors.InvalidBucketName, match="s3://b0 cannot be a bucket's name"):
        bucket_at(s3, "b0").create()


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
