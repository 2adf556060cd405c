"""What the environment says never overrides what the file says, and both clients heed it alike."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.errors import UserError
from lfvpipe.storage import CertificatesUnreadable, NotTrusted, connect
from tests.needs import lacks


class _Answers(BaseHTTPRequestHandler):
    """Answers 200 and notes who asked."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server: Any = self.server
        client = "boto3" if "Boto3" in self.headers.get("User-Agent", "") else "obstore"
        server.seen.append((client, self.headers.get("Authorization", "")))
        server.told.append((self.command, *sorted(filter(_is_told, self.headers))))
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_HEAD = answer  # noqa: N815  (names of the stdlib)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def _is_told(header: str) -> bool:
    return header.lower().startswith("x-amz-")


@dataclass
class Place:
    """A server: its address, which clients asked it, how they signed, and what S3 was told."""

    url: str
    seen: list[tuple[str, str]] = field(default_factory=list)
    told: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def clients(self) -> set[str]:
        return {client for client, _ in self.seen}


@pytest.fixture
def places() -> Iterator[tuple[Place, Place]]:
    """Yield the store that the file names, and another one."""
    servers: list[Any] = [ThreadingHTTPServer(("127.0.0.1", 0), _Answers) for _ in range(2)]
    found = []
    for server in servers:
        place = Place(f"http://127.0.0.1:{server.server_address[1]}")
        server.seen, server.told = place.seen, place.told
        found.append(place)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield found[0], found[1]
    for server in servers:
        server.shutdown()
        server.server_close()


def _use(endpoint: str) -> None:
    """Let each of the two clients ask the store that the file names."""
    bucket = connect(endpoint, region="eu-west-1", root=Path("unused")).bucket("parts-images")
    assert bucket.exists()  # boto3
    bucket.put("key", b"x")  # obstore


OVERRIDING = [
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_STS"),
    *("AWS_REGION=us-west-2", "AWS_DEFAULT_REGION=us-west-2"),
    *("AWS_BUCKET=another", "AWS_BUCKET_NAME=another", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST=true"),
    *("AWS_S3_EXPRESS=true", "AWS_SKIP_SIGNATURE=true", "AWS_ALLOW_HTTP=false"),
    *("AWS_USE_FIPS_ENDPOINT=true", "AWS_USE_DUALSTACK_ENDPOINT=true"),
    *("AWS_PROXY_URL", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT=legacy", "AWS_DEFAULTS_MODE=standard"),
]


@pytest.mark.parametrize("said", OVERRIDING)
def test_the_files_store_is_asked_whatever_the_environment_says(
    said: str, places: tuple[Place, Place], aws: pytest.MonkeyPatch
) -> None:
    store, elsewhere = places
    name, _, value = said.partition("=")
    aws.setenv(name, value or elsewhere.url)
    _use(store.url)
    assert store.clients == {"boto3", "obstore"}
    assert elsewhere.seen == []
    assert all("/eu-west-1/s3/aws4_request" in signed for _, signed in store.seen)


TELLING = [
    *("AWS_SERVER_SIDE_ENCRYPTION=aws:kms", "AWS_SSE_KMS_KEY_ID=another", "AWS_REQUEST_PAYER=true"),
    *("AWS_SSE_BUCKET_KEY_ENABLED=true", "AWS_UNSIGNED_PAYLOAD=true", "AWS_DISABLE_TAGGING=true"),
    *("AWS_SSE_CUSTOMER_KEY_BASE64=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",),
    *("AWS_TIMEOUT=1ms", "AWS_CONNECT_TIMEOUT=1ns", "AWS_HTTP2_ONLY=true", "AWS_HTTP1_ONLY=false"),
    *("AWS_PROXY_EXCLUDES=127.0.0.1", "AWS_ALLOW_INVALID_CERTIFICATES=true"),
]


@pytest.mark.parametrize("said", TELLING)
def test_a_store_is_told_what_the_file_says_whatever_the_environment_does(
    said: str, places: tuple[Place, Place], aws: pytest.MonkeyPatch
) -> None:
    store, elsewhere = places
    _use(store.url)
    undisturbed = list(store.told)
    store.told.clear()
    name, _, value = said.partition("=")
    aws.setenv(name, value)
    _use(store.url)
    assert store.told == undisturbed
    assert elsewhere.seen == []


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_aws_is_amazons_own(name: str, places: tuple[Place, Place], aws: Any) -> None:
    aws.setenv(name, places[1].url)
    buckets: Any = connect("aws", region="eu-west-1", root=Path("unused"))
    assert buckets.client.meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"
    loose: Any = connect("aws", region="eu-west-1", root=Path("unused"), anywhere=True)
    assert loose.client.meta.endpoint_url == places[1].url


@pytest.mark.parametrize(
    ("no_proxy", "way"),
    [
        ("127.0.0.1", "direct"),
        ("*", "direct"),
        ("localhost, 127.0.0.1", "direct"),
        ("", "by proxy"),
        ("example.org", "by proxy"),
        ("127.0.0.0/8", "by proxy"),
        (".0.1", "direct"),
    ],
)
@pytest.mark.parametrize("case", ["upper", "lower"])
def test_both_clients_go_the_same_way(
    no_proxy: str, way: str, case: str, places: tuple[Place, Place], aws: pytest.MonkeyPatch
) -> None:
    store, proxy = places
    aws.delenv("NO_PROXY")
    for name, value in (("HTTP_PROXY", proxy.url), ("NO_PROXY", no_proxy)):
        aws.setenv(name if case == "upper" else name.lower(), value)
    _use(store.url)
    asked, spared = (store, proxy) if way == "direct" else (proxy, store)
    assert asked.clients == {"boto3", "obstore"}
    assert spared.seen == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "FTP_PROXY"])
def test_a_proxy_for_something_else_is_asked_by_neither(
    name: str, places: tuple[Place, Place], aws: pytest.MonkeyPatch
) -> None:
    store, proxy = places
    aws.delenv("NO_PROXY")
    aws.setenv(name, proxy.url)
    _use(store.url)
    assert store.clients == {"boto3", "obstore"}
    assert proxy.seen == []


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_certificates_that_are_not_there_are_said_by_their_file(
    name: str, aws: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = tmp_path / "no-such.pem"
    aws.setenv(name, str(missing))
    bucket = connect("https://127.0.0.1:9", region="eu-west-1", root=tmp_path).bucket("parts")
    for act in (bucket.exists, lambda: bucket.put("key", b"x")):
        with pytest.raises(CertificatesUnreadable, match=r"no-such\.pem"):
            act()


@pytest.fixture(params=["CA:FALSE", "CA:TRUE"])
def certified(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield a store behind a certificate that it signed itself, its file, and what it says."""
    if not shutil.which("openssl"):
        lacks("openssl makes the certificate")
    file, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", file, "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", f"basicConstraints=critical,{request.param}"),
        ],
        check=True,
        capture_output=True,
    )
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.seen, server.told = [], []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}", file, request.param
    server.shutdown()
    server.server_close()


def test_a_certificate_that_is_not_trusted_is_told_by_both_clients(
    certified: tuple[str, Path, str], aws: pytest.MonkeyPatch
) -> None:
    url, file, kind = certified
    aws.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket = connect(url, region="eu-west-1", root=Path("unused")).bucket("parts-images")
    for act in (bucket.exists, lambda: bucket.put("key", b"x")):
        with pytest.raises(NotTrusted, match="certificate of the endpoint") as raised:
            act()
        assert "AWS_CA_BUNDLE" in raised.value.hint
    aws.setenv("AWS_CA_BUNDLE", str(file))
    if kind == "CA:FALSE":
        _use(url)
    else:  # of an authority, which obstore takes for no server's
        with pytest.raises(NotTrusted, match="make one with CA:FALSE"):
            _use(url)


@pytest.mark.parametrize(
    "said", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LOOKOUTVISION", "AWS_USE_FIPS_ENDPOINT=true"]
)
def test_the_files_service_is_asked_whatever_the_environment_says(
    said: str, places: tuple[Place, Place], aws: pytest.MonkeyPatch
) -> None:
    from lfvpipe import lookout

    store, elsewhere = places
    name, _, value = said.partition("=")
    aws.setenv(name, value or elsewhere.url)
    client = lookout.connect(store.url, region="eu-west-1")
    with suppress(UserError, ValueError), lookout.explained("asking"):
        client.list_projects()
    assert store.clients == {"boto3"}
    assert elsewhere.seen == []
