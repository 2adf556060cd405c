"""`lfvpipe serve` as a process: its start, its keys, TLS, its end."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lfvpipe.lookout.client import connect
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.service.http.credentials import AccessKey, ensure_keys, read_keys
from lfvpipe.service.roles import Role
from lfvpipe.storage import connect as connect_storage

from .conftest import ROOT, StartProcess

PROJECTS = "/2020-11-20/projects"


def projects(url: str, credentials: str | None) -> list[str]:
    """Ask with boto3 for the names of the projects."""
    with pytest.MonkeyPatch.context() as patch:
        if credentials is not None:
            patch.delenv("AWS_ACCESS_KEY_ID")
            patch.delenv("AWS_SECRET_ACCESS_KEY")
            patch.setenv("AWS_SHARED_CREDENTIALS_FILE", credentials)
        client: Any = connect(url, region="us-east-1")
        try:
            return [each["ProjectName"] for each in client.list_projects()["Projects"]]
        finally:
            client.close()


def metrics(address: str) -> str:
    connection = HTTPConnection(address, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def refused(*options: str) -> tuple[int, str]:
    """Start a server that must not start; return its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "lfvpipe", "serve", *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("where", ["state/buckets", "elsewhere"])
def test_what_a_kill_left_in_local_buckets_goes(
    start_process: StartProcess, tmp_path: Path, where: str
) -> None:
    bucket = tmp_path / where / "images"
    (bucket / "good").mkdir(parents=True)
    left = bucket / "good" / "a.png#12345678901234567890"
    users = bucket / "good" / "a.png"
    for file in (left, users):
        file.write_bytes(b"x")
    start_process("--no-auth", "--buckets", str(bucket.parent))
    assert (left.exists(), users.exists()) == (False, True)


def test_it_makes_a_key_once_and_keeps_it_to_its_owner(start_process: StartProcess) -> None:
    first = start_process()
    assert first.credentials is not None
    file = Path(first.credentials)
    made = file.read_text()
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o600
    assert projects(first.url, first.credentials) == []
    assert first.end() == 0
    again = start_process()
    assert projects(again.url, again.credentials) == []
    assert file.read_text() == made
    assert again.end() == 0
    (key,) = read_keys(file).values()
    assert key.secret not in str(first.log) + str(again.log)


def test_it_takes_the_keys_that_clients_have_already(
    start_process: StartProcess, tmp_path: Path
) -> None:
    file = tmp_path / "own"
    file.write_text(
        "[default]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
        "[profile other]\naws_access_key_id = OTHER\naws_secret_access_key = a%b\n"
        "aws_session_token = t/=\n"
    )
    process = start_process("--credentials", str(file))
    assert projects(process.url, None) == []
    assert read_keys(file) == {
        "testing": AccessKey("testing", "", Role.ADMIN),
        "OTHER": AccessKey("a%b", "t/=", Role.ADMIN),
    }


def test_regions_presigned_addresses_and_pages_as_boto3_and_browsers_see_them(
    start_process: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start_process("--cors-origin", "https://station.example")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", process.credentials or "")
    regions = ("us-east-1", "eu-west-1", "ap-northeast-2")
    clients = {region: connect(process.url, region=region) for region in regions}
    made = clients["eu-west-1"].create_project(ProjectName="p")["ProjectMetadata"]["ProjectArn"]
    assert made.split(":")[3] == "eu-west-1"
    found = {region: len(each.list_projects()["Projects"]) for region, each in clients.items()}
    assert found == {"us-east-1": 0, "eu-west-1": 1, "ap-northeast-2": 0}
    signed: Any = clients["eu-west-1"]
    address = urlsplit(signed.generate_presigned_url("list_projects"))
    connection = HTTPConnection(address.netloc, timeout=30)
    connection.request(
        "GET", f"{address.path}?{address.query}", headers={"Origin": "https://station.example"}
    )
    response = connection.getresponse()
    assert json.loads(response.read())["Projects"][0]["ProjectArn"] == made
    assert response.headers["Access-Control-Allow-Origin"] == "https://station.example"
    connection.close()


def test_the_quota_of_an_images_size_is_the_limit_of_the_request(
    start_process: StartProcess, tmp_path: Path
) -> None:
    (tmp_path / "state" / "service").mkdir(parents=True)
    (tmp_path / "state" / "service" / "quotas.json").write_text('{"max_image_bytes": 9000000}')
    process = start_process("--no-auth")
    connection = HTTPConnection(urlsplit(process.url).netloc, timeout=30)
    answers = []
    for size in (9_000_000, 9_000_001):
        target, kind = f"{PROJECTS}/p/models/1/detect", {"Content-Type": "image/png"}
        connection.request("POST", target, b"x" * size, kind)
        response = connection.getresponse()
        answers.append((response.status, json.loads(response.read())["Message"]))
    connection.close()
    assert answers == [
        (404, "there is no project p"),
        (400, "the image may have 9000000 bytes at most"),
    ]


@pytest.mark.parametrize(("options", "least"), [((), 20), (("--limits", "open"), 2)])
def test_the_documented_minimum_holds_unless_the_limits_are_open(
    options: tuple[str, ...], least: int, start_process: StartProcess, tmp_path: Path, waits: Any
) -> None:
    bucket = connect_storage(
        "local", region="us-east-1", root=tmp_path / "state" / "buckets"
    ).bucket("bucket")
    bucket.create()
    bucket.put("a.png", b"never looked at: there are too few")
    kind = "groundtruth/image-classification"
    metadata = {"class-name": "normal", "human-annotated": "yes", "type": kind}
    metadata["creation-date"] = "2021-04-06T19:18:44.208156"
    entry = {"source-ref": "s3://bucket/a.png", "a": 0, "a-metadata": metadata}
    bucket.put("m", json.dumps(entry).encode())
    client: Any = connect(start_process("--no-auth", *options).url, region="us-east-1")
    client.create_project(ProjectName="p")
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": "m"}}}
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    waits.dataset(client)
    output = {"S3Location": {"Bucket": "bucket"}}
    client.create_model(ProjectName="p", OutputConfig=output)
    with pytest.raises(LookoutError, match=f"has 1 labelled normal, .* at least {least}"):
        waits.model(client)
    client.close()


def test_two_servers_share_a_state_folder(start_process: StartProcess) -> None:
    one, other = start_process("--no-auth"), start_process("--no-auth")
    client: Any = connect(one.url, region="us-east-1")
    client.create_project(ProjectName="p")
    client.close()
    assert projects(other.url, None) == ["p"]


def test_it_ends_gracefully_and_finishes_what_is_under_way(start_process: StartProcess) -> None:
    process = start_process("--no-auth")
    address = urlsplit(process.url).netloc
    connection = HTTPConnection(address, timeout=30)
    body = b'{"ProjectName":"p"}'
    connection.putrequest("POST", PROJECTS)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[:5])
    while "lfvpipe_requests_in_flight 1" not in metrics(address):
        pass
    process.popen.terminate()
    ended = threading.Thread(target=process.popen.wait)
    ended.start()
    connection.send(body[5:])
    assert connection.getresponse().read().startswith(b'{"ProjectMetadata"')
    connection.close()
    ended.join(60)
    assert process.popen.returncode == 0


def test_it_serves_over_tls(start_process: StartProcess, tls_web: Any, aws: Any) -> None:
    process = start_process("--tls-cert", str(tls_web.certificate), "--host", "localhost")
    assert process.url.startswith("https://localhost:")
    aws.setenv("AWS_CA_BUNDLE", str(tls_web.certificate))
    assert projects(process.url, process.credentials) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-auth", "--host", "0.0.0.0"], "--no-auth is for this machine only"),
        (["--no-auth", "--credentials", "x"], "contradict"),
        (["--tls-key", "x"], "--tls-key needs --tls-cert"),
        (["--encryption", "AES256"], "--encryption is for S3 stores"),
        (["--encryption-key", "x"], "--encryption-key needs --encryption aws:kms"),
        (["--workers", "0"], "at least 1"),
        (["--webhook", "example.org"], "--webhook has no address that begins with https"),
        (["--webhook", "@nowhere"], "cannot be read"),
        (["--port", "http"], "invalid int value"),
    ],
)
def test_a_contradiction_is_refused_before_anything_is_made(
    tmp_path: Path, options: list[str], message: str
) -> None:
    code, said = refused("--state-dir", str(tmp_path / "state"), *options)
    assert code == 3
    assert message in said
    assert not (tmp_path / "state").exists()


def test_what_cannot_be_used_is_said_in_a_sentence(tmp_path: Path) -> None:
    state = ["--state-dir", str(tmp_path)]
    code, said = refused(*state, "--credentials", str(tmp_path / "none"))
    assert (code, "Traceback" in said) == (1, False)
    assert "cannot be read" in said
    broken = tmp_path / "broken"
    broken.write_text("secret-secret\n")
    code, said = refused(*state, "--credentials", str(broken))
    assert "is no credentials file" in said
    assert "secret-secret" not in said
    code, said = refused(*state, "--port", "0", "--tls-cert", str(broken))
    assert (code, "Traceback" in said) == (1, False)
    assert "cannot be used" in said
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = refused(*state, "--port", str(taken.getsockname()[1]))
    assert (code, "Traceback" in said) == (1, False)
    assert "can listen at 127.0.0.1" in said


def test_it_warns_of_what_others_can_read(start_process: StartProcess, tmp_path: Path) -> None:
    code, said = refused("--state-dir", str(tmp_path), "--host", "0.0.0.0", "--port", "99999")
    assert code == 1
    assert "without TLS" in said
    file = tmp_path / "shown"
    ensure_keys(file)
    file.chmod(0o644)
    code, said = refused("--state-dir", str(tmp_path), "--credentials", str(file), "--port", "-1")
    assert os.name == "nt" or f"can read {file}" in said
    assert "-1 is no port: these are 0 to 65535." in said
