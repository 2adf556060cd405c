"""What tests of several pieces share: an S3 and a web server on loopback, a disk, a browser."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from lfvpipe import atomic
from tests.needs import lacks

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# A machine that has other work to do is no fault of an example. (Where CI says that it is one,
# Hypothesis takes a profile of its own, which tries the same examples each time.)
if settings.get_current_profile_name() == "default":
    settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("unhurried")


# Under nohup a hang-up is ignored, and in a shell's background an interrupt, also by what tests
# start; some test what these do.
if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


SLOW_FOLDERS = {"end_to_end", "peers"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what runs whole pipelines, asks a peer or drives a browser; put it first.

    Files are handed out in this order, one after the other, to whichever process is free: what is
    left at the end are small ones, so that none works alone on a long one while the others idle.
    """
    slow = set()
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in SLOW_FOLDERS or "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
        if item.get_closest_marker("slow"):
            slow.add(item.path)
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Let botocore read each of its data files once for all sessions that the tests make.

    A session of its own, as each connection has, parses megabytes of JSON, which is most of what a
    test of a bucket takes.
    """
    from botocore.loaders import JSONFileLoader, Loader

    read: dict[str, Any] = {}
    listed: dict[Any, Any] = {}
    really_read, really_list = JSONFileLoader.load_file, Loader.list_available_services

    def load_file(loader: Any, file: str) -> Any:
        found = read[file] if file in read else really_read(loader, file)
        if found is not None:
            read[file] = found
        return found

    def list_available_services(loader: Any, type_name: str) -> Any:
        asked = (*dict.fromkeys(loader.search_paths), type_name)
        if asked not in listed:
            listed[asked] = really_list(loader, type_name)
        return listed[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", load_file)
        patch.setattr(Loader, "list_available_services", list_available_services)
        yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Yield the URL of moto's S3 server; reset it, or use a bucket of your own."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give the test dummy AWS credentials, and hide whatever this machine has configured."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return monkeypatch


@pytest.fixture
def s3(s3_server: str, aws: pytest.MonkeyPatch) -> str:
    """Return the URL of an empty S3 server, which dummy credentials open."""
    import urllib.request

    request = urllib.request.Request(f"{s3_server}/moto-api/reset", method="POST")
    urllib.request.urlopen(request).close()
    return s3_server


@dataclass
class Web:
    """A web server with ranges, entity tags, and whatever can go wrong.

    Attributes:
        url: Its address, without a slash at the end.
        files: What it serves, by path.
        etags: Entity tags by path, quotes included; None for none; by default the content's.
        answers: Statuses and headers by path, in place of a file.
        cut: Bytes of a body after which the connection is cut, one for each coming request.
        ranges: Whether it understands ranges.
        heeds_if_range: Whether it sends a range only of the version that is asked for.
        requests: Method, path, headers of each request, and the status it was answered with.
        shift: By how many bytes the parts that it sends lie elsewhere than it is asked.
        sent: Bytes of all bodies that it has sent.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str | None] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    heeds_if_range: bool = True
    requests: list[tuple[str, str, dict[str, str], int]] = field(default_factory=list)
    shift: int = 0
    sent: int = 0

    @property
    def statuses(self) -> list[int]:
        """What it has answered so far."""
        return [status for *_, status in self.requests]


class WebPage(BaseHTTPRequestHandler):
    """Answers as its server's `web` says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        web: Web = server.web
        path = self.path.partition("?")[0]
        if path in web.answers:
            self.reply(*web.answers[path], b"")
        elif path not in web.files:
            self.reply(404, {}, b"<html>nothing here</html>")
        else:
            self.serve(web, path)

    do_HEAD = do_GET  # noqa: N815  (the standard library's name)

    def serve(self, web: Web, path: str) -> None:
        data = web.files[path]
        etag = web.etags[path] if path in web.etags else f'"{hashlib.md5(data).hexdigest()}"'
        headers = {"ETag": etag} if etag else {}
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if etag and self.headers.get("If-None-Match") == etag:
            self.reply(304, headers, b"")
        elif web.ranges and asked and (condition in (None, etag) or not web.heeds_if_range):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, len(data) - int(last))
            end = min(int(last) + 1, len(data)) if first and last else len(data)
            if start >= len(data):
                self.reply(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
                return
            start, end = start - web.shift, end - web.shift
            said = f"bytes {start}-{end - 1}/{len(data)}"
            self.reply(206, headers | {"Content-Range": said}, data[start:end])
        else:
            self.reply(200, headers, data)

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        server: Any = self.server
        web: Web = server.web
        web.requests.append((self.command, self.path, dict(self.headers), status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if body and web.cut:
            body = body[: web.cut.pop(0)]
            self.close_connection = True
        self.wfile.write(body)
        web.sent += len(body)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


class QuietServer(ThreadingHTTPServer):
    """A server that says nothing of clients that hang up."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: clients that refuse a certificate or hang up are part of the tests."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Yield a web server; no proxy of this machine stands between."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server: Any = QuietServer(("127.0.0.1", 0), WebPage)
    server.web = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.web
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class TlsWeb:
    """A web server over TLS, and the certificate that it signed itself."""

    web: Web
    certificate: Path


@pytest.fixture
def tls_web(web: Web, tmp_path: Path) -> Iterator[TlsWeb]:
    """Yield a web server on localhost over TLS with a self-signed certificate."""
    import ssl

    certificate = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server: Any = QuietServer(("127.0.0.1", 0), WebPage)
    # the handshake happens in the request's own thread, so that a refusal does not stop the server
    server.socket = context.wrap_socket(server.socket, True, do_handshake_on_connect=False)
    server.web = Web(f"https://localhost:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield TlsWeb(server.web, certificate)
    server.shutdown()
    thread.join()
    server.server_close()


def _self_signed(folder: Path) -> Path:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "self-signed.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder on a disk of 1 MiB; skip where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root on Linux")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine does not let us mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000.0  # milliseconds that a browser has for what is bound to come
AXE = "axe-core@4.14.1"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return where Chromium is."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not found:
        lacks("needs Chromium (Debian: apt install chromium)")
    return found


@pytest.fixture(scope="module")  # not the session: its event loop would be in asyncio's way
def browser(chromium: str) -> "Iterator[Browser]":
    """Yield Chromium, driven by Playwright."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright, of the dev extra"
    )
    # Five seconds by itself: a machine that does other work takes as long for a picture.
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as player:
        started = player.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield started
        started.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """Yield a page of its own; a script's error or a refused resource fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()  # a second time, if the test got as far as its call
    assert troubles == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Close a test's page while its server still answers.

    Servers are fixtures as well, and whichever was asked for last goes first: a page that is still
    loading a picture then would be refused it, and fail the test for nothing.
    """
    yield
    asked_for = getattr(item, "funcargs", {})
    page: Any = asked_for.get("page")
    if hasattr(page, "context"):  # a page of text is called so, too
        page.context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the script of axe-core, which npm gets once into the temporary folder."""
    kept = Path(tempfile.gettempdir()) / f"lfvpipe-{AXE.replace('@', '-')}.js"
    if not kept.is_file():
        atomic.write_bytes(kept, _packed(AXE, "package/axe.min.js"))
    return kept.read_text(encoding="utf-8")


def _packed(package: str, member: str) -> bytes:
    """Return one file of an npm package, or skip."""
    npm = shutil.which("npm")
    if npm is None:
        lacks(f"needs npm, to get {package}")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--fetch-timeout=30000", "--fetch-retries=3", package]
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
            lacks(f"npm cannot get {package}")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            found = archive.extractfile(member)
            assert found is not None
            return found.read()
