"""SeaweedFS as an S3 server on loopback, which wants a key."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY, SECRET = "TESTKEYTESTKEYTESTKY", "not+so/secret"
_ROOT = Path(__file__).parents[1]


def environment(**more: str) -> dict[str, str]:
    """Return our environment without what is known of AWS, and with a key."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return own | {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": str(_ROOT),
        **more,
    }


def find_weed() -> str | None:
    """Return where SeaweedFS's program is; None where it is not installed."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


@contextmanager
def running(weed: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an S3 server that keeps its objects in `folder`.

    Raises:
        RuntimeError: It did not start.
    """
    # Between finding ports and binding them, another process that runs tests could take them.
    starting = FileLock(Path(tempfile.gettempdir()) / f"lfvpipe-seaweed-{getpass.getuser()}.lock")
    starting.acquire()
    master, volume, filer, s3, admin, iceberg, lance = free_ports(7)
    identity = {
        "name": "peers",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = {
        "master.port": master,
        "volume.port": volume,
        "filer.port": filer,
        "s3.port": s3,
        "admin.port": admin,
        "s3.port.iceberg": iceberg,
        "s3.port.lance": lance,
    }
    command = [weed, "mini", f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}"]
    command += ["-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-master.telemetry=false"]
    command += ["-admin.ui=false", "-webdav=false"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    log = folder / "log"
    with log.open("wb") as opened:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=opened, stderr=opened, cwd=folder
        )
        try:
            url = f"http://127.0.0.1:{s3}"
            _await(url, process, log)
            starting.release()
            yield url
        finally:
            starting.release(force=True)
            end(process)


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, as are those 10,000 above, where SeaweedFS speaks gRPC.

    All lie below those that systems give to connections, which might have one a moment later.
    """
    with ExitStack() as held:
        found: list[int] = []
        for port in range(10100 + os.getpid() % 10000, 22700):
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                held.enter_context(socket.create_server(("127.0.0.1", port + 10000)))
                found.append(port)
            if len(found) == count:
                break
        return found


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        # Before it has read its keys it lets everybody in, and then for a moment nobody: it is
        # ready once it lets us in and a stranger not.
        if _lets_in(url, KEY) and not _lets_in(url, "stranger"):
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    said = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"SeaweedFS did not start: {said}")


def _lets_in(url: str, key: str) -> bool:
    """Say whether SeaweedFS answers somebody with that key."""
    s3 = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=SECRET,
        config=Config(connect_timeout=2, retries={"total_max_attempts": 1}, proxies={}),
    )
    try:
        s3.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    finally:
        s3.close()
    return True


def end(process: subprocess.Popen[Any]) -> None:
    """End a process, kindly at first."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
