"""The boto3 client for embedded and remote services."""

import io
import socket
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.errors import UserError
from lfvpipe.lookout import model_data
from lfvpipe.lookout.client import connect
from lfvpipe.lookout.failures import LookoutError, MissingCredentials, ServiceUnreachable, explained

Web = Any


def answering(status: int, body: bytes, seen: list[Any], error: str = "") -> Any:
    def handler(method: str, url: str, headers: Any, sent: bytes) -> Any:
        seen.append((method, url, dict(headers), sent))
        replied = {"Content-Type": "application/json"}
        return status, replied | ({"x-amzn-ErrorType": error} if error else {}), body

    return handler


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Hide every AWS credential."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def test_embedded_calls_are_signed_and_need_no_aws_configuration(
    bare: pytest.MonkeyPatch,
) -> None:
    bare.setenv("AWS_PROFILE", "a profile that does not exist")
    bare.setenv("AWS_ENDPOINT_URL_LOOKOUTVISION", "http://elsewhere.invalid")
    bare.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    seen: list[Any] = []
    client = connect("embedded", region="eu-west-1", handler=answering(200, b"{}", seen))
    client.describe_project(ProjectName="p")
    method, url, headers, body = seen[0]
    assert (method, body) == ("GET", b"")
    assert url.endswith(".embedded.invalid/2020-11-20/projects/p")
    assert "/eu-west-1/lookoutvision/aws4_request" in headers["Authorization"]
    assert "lfvpipe/" in headers["User-Agent"]


@pytest.mark.parametrize("wrap", [bytes, io.BytesIO])
def test_a_body_arrives_whether_bytes_or_a_file(wrap: Any) -> None:
    seen: list[Any] = []
    client = connect("embedded", region="us-east-1", handler=answering(200, b"{}", seen))
    client.detect_anomalies(
        ProjectName="p", ModelVersion="1", Body=wrap(b"image"), ContentType="image/png"
    )
    assert seen[0][3] == b"image"


def test_the_model_is_found_where_botocore_does_not_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = model_data.data_folder()
    moved = tmp_path / "elsewhere" / "lookoutvision"
    moved.mkdir(parents=True)
    (moved / "2020-11-20").symlink_to(real / "lookoutvision" / "2020-11-20")
    monkeypatch.setattr(model_data, "_candidates", lambda: [tmp_path / "none", moved.parent])
    assert model_data.data_folder() == moved.parent
    monkeypatch.setattr(model_data, "_candidates", list)
    with pytest.raises(UserError, match="not installed"):
        model_data.data_folder()


@pytest.mark.parametrize("endpoint", ["localhost:8080", "ftp://host", "https://", "aws"])
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(UserError, match="no address"):
        connect(endpoint, region="us-east-1")


def test_a_remote_service_is_asked_over_http(web: Web, aws: pytest.MonkeyPatch) -> None:
    web.files["/2020-11-20/projects"] = b'{"Projects": [{"ProjectName": "p"}]}'
    client = connect(web.url, region="us-east-1")
    assert client.list_projects()["Projects"] == [{"ProjectName": "p"}]
    _, _, headers, _ = web.requests[0]
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=testing/")
    client.close()  # type: ignore[attr-defined]  # boto3 has it, the operations' protocol not


def test_a_refusal_is_told_with_its_code_and_a_hint() -> None:
    body = b'{"Message": "no such thing"}'
    handler = answering(403, body, [], "AccessDeniedException")
    client = connect("embedded", region="us-east-1", handler=handler)
    with pytest.raises(LookoutError) as caught, explained("describing project p"):
        client.describe_project(ProjectName="p")
    assert caught.value.code == "AccessDeniedException"
    said = "Describing project p failed: AccessDeniedException: no such thing."
    assert caught.value.message == said
    assert "credentials" in caught.value.hint


def test_a_service_that_is_not_there_is_told(
    aws: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = connect(f"http://127.0.0.1:{taken.getsockname()[1]}", region="us-east-1")
        expected = pytest.raises(ServiceUnreachable, match="Listing projects failed")
        with expected as caught, explained("listing projects"):
            client.list_projects()
    assert "Is the service running" in caught.value.hint


def test_missing_credentials_are_told(bare: pytest.MonkeyPatch) -> None:
    client = connect("http://127.0.0.1:9", region="us-east-1")
    with pytest.raises(MissingCredentials) as caught, explained("listing projects"):
        client.list_projects()
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_a_bug_inside_the_block_passes_through() -> None:
    with pytest.raises(KeyError), explained("anything"):
        raise KeyError("bug")


def test_an_unknown_profile_is_told(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UserError, match="nobody"):
        connect("http://127.0.0.1:9", region="us-east-1")
