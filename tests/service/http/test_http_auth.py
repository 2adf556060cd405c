"""Who is let in: signatures as AWS checks them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lfvpipe.service.http.auth import NoAuth, SigV4
from lfvpipe.service.http.credentials import AccessKey

from .conftest import KEY, SECRET, Serve, Served

PROJECTS = "/2020-11-20/projects"


def signed(
    served: Served,
    method: str = "GET",
    target: str = PROJECTS,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    **scope: Any,
) -> dict[str, str]:
    """Return the headers of a request, signed by botocore."""
    host = f"127.0.0.1:{served.port}"
    request = AWSRequest(method, served.url + target, {"Host": host, **(headers or {})}, body)
    credentials = Credentials(scope.get("key", KEY), scope.get("secret", SECRET))
    service = scope.get("service", "lookoutvision")
    SigV4Auth(credentials, service, scope.get("region", "us-east-1")).add_auth(request)
    return dict(request.headers.items())


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve()


def test_a_signed_request_is_answered_whatever_characters_it_holds(served: Served) -> None:
    client = served.client()
    client.create_project(ProjectName="p")
    entries: Any = {"ProjectName": "p", "DatasetType": "train"}
    client.create_dataset(**entries)
    odd = client.list_dataset_entries(**entries, SourceRefContains="a b+c/ü~%41&=*'", MaxResults=3)
    assert odd["DatasetEntries"] == []
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_tags_for_resource(
            ResourceArn="arn:aws:lookoutvision:us-east-1:000000000000:model/p/1"
        )


def test_any_region_will_do(served: Served) -> None:
    assert served.ask("GET", PROJECTS, signed(served, region="eu-west-1")).status == 200


def test_a_request_without_a_signature_is_refused(served: Served) -> None:
    reply = served.ask("GET", PROJECTS)
    assert (reply.status, reply.error) == (403, "MissingAuthenticationTokenException")
    assert reply.headers["x-amzn-RequestId"]


def test_an_unknown_key_is_refused(served: Served, aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_ACCESS_KEY_ID", "SOMEBODYELSESKEY")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        served.client().list_projects()


def test_a_wrong_secret_is_refused(served: Served, aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ClientError, match="InvalidSignatureException") as refused:
        served.client().create_project(ProjectName="p")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(
    ("method", "target", "body", "change"),
    [
        ("DELETE", PROJECTS, b"{}", {}),
        ("POST", PROJECTS + "/q", b"{}", {}),
        ("POST", PROJECTS + "?maxResults=2", b"{}", {}),
        ("POST", PROJECTS, b'{"ProjectName":"other"}', {}),
        ("POST", PROJECTS, b"{}", {"X-Amzn-Client-Token": "another"}),
        ("POST", PROJECTS, b"{}", {"Host": "localhost"}),
    ],
)
def test_nothing_that_was_signed_can_be_changed(
    served: Served, method: str, target: str, body: bytes, change: dict[str, str]
) -> None:
    headers = signed(served, "POST", PROJECTS, {"X-Amzn-Client-Token": "t"}, b"{}")
    same = served.ask("POST", PROJECTS, headers, b"{}")
    assert same.error == "ValidationException"  # let in, but there is no name
    reply = served.ask(method, target, headers | change, body)
    assert (reply.status, reply.error) == (403, "InvalidSignatureException")


@pytest.mark.parametrize("name", ["X-Amzn-Client-Token", "X-Amz-Security-Token"])
def test_a_header_that_decides_has_to_be_signed(served: Served, name: str) -> None:
    reply = served.ask("GET", PROJECTS, signed(served) | {name: "added"})
    assert (reply.status, reply.error) == (403, "InvalidSignatureException")
    assert name.lower() in reply.body["Message"]


def test_a_payload_may_be_unsigned_if_that_is_signed(served: Served) -> None:
    said = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    headers = signed(served, "POST", headers=said)
    reply = served.ask("POST", PROJECTS, headers, b'{"ProjectName":"p"}')
    assert reply.status == 200
    assert reply.body["ProjectMetadata"]["ProjectName"] == "p"
    assert served.ask("POST", PROJECTS, signed(served, "POST") | said, b"{}").status == 403


@pytest.mark.parametrize("digest", ["0" * 64, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
def test_a_wrong_payload_digest_is_refused(served: Served, digest: str) -> None:
    headers = signed(served, "POST", headers={"X-Amz-Content-SHA256": digest})
    reply = served.ask("POST", PROJECTS, headers, b"{}")
    assert (reply.status, reply.error) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(
    ("minutes", "message"),
    [(16, "Signature expired"), (14, ""), (-14, ""), (-16, "Signature not yet current")],
)
def test_a_signature_is_good_for_fifteen_minutes(serve: Serve, minutes: int, message: str) -> None:
    def now() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=minutes)

    served = serve(SigV4({KEY: AccessKey(SECRET)}, now=now))
    reply = served.ask("GET", PROJECTS, signed(served))
    assert reply.status == (403 if message else 200)
    assert message in reply.body.get("Message", "")


@pytest.mark.parametrize(
    ("wanted", "given", "status"),
    [("", None, 200), ("t/=", "t/=", 200), ("t/=", None, 403), ("t/=", "u", 403), ("", "t", 403)],
)
def test_a_key_with_a_session_token_wants_it_and_one_without_wants_none(
    serve: Serve, aws: pytest.MonkeyPatch, wanted: str, given: str | None, status: int
) -> None:
    served = serve(SigV4({KEY: AccessKey(SECRET, wanted)}))
    headers = {} if given is None else {"X-Amz-Security-Token": given}
    reply = served.ask("GET", PROJECTS, signed(served, headers=headers))
    assert reply.status == status
    if status != 200:
        assert reply.error == "UnrecognizedClientException"
    if given is not None:
        aws.setenv("AWS_SESSION_TOKEN", given)
    address = served.client().generate_presigned_url("list_projects")  # type: ignore[attr-defined]
    assert served.ask("GET", address.removeprefix(served.url)).status == status


def presigned(served: Served, **options: Any) -> str:
    """Return the target of an address that boto3 signed beforehand."""
    address: str = served.client().generate_presigned_url("list_projects", **options)  # type: ignore[attr-defined]
    return address.removeprefix(served.url)


def test_an_address_signed_beforehand_is_answered(served: Served) -> None:
    served.client().create_project(ProjectName="p")
    target = presigned(served, Params={"MaxResults": 1})
    reply = served.ask("GET", target)
    assert [each["ProjectName"] for each in reply.body["Projects"]] == ["p"]
    changed: list[tuple[str, str, dict[str, str], bytes]] = [
        ("DELETE", target, {}, b""),
        ("GET", target.replace("maxResults=1", "maxResults=2"), {}, b""),
        ("GET", target, {"X-Amzn-Client-Token": "t"}, b""),
        ("GET", target, {"Host": "localhost"}, b""),
        ("GET", f"{target}&labeled=true", {}, b""),
        ("GET", target, {}, b"{}"),
    ]
    for method, address, headers, body in changed:
        reply = served.ask(method, address, headers, body)
        assert (reply.status, reply.error) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(
    ("seconds", "later", "status", "message"),
    [
        (60, 30, 200, ""),
        (60, 90, 403, "Signature expired: the address was good until"),
        (7200, 7000, 200, ""),
        (700_000, 0, 403, "X-Amz-Expires must be 1 to 604800 seconds"),
        (60, -1000, 403, "Signature not yet current"),
    ],
)
def test_an_address_is_good_as_long_as_it_says(
    serve: Serve, seconds: int, later: int, status: int, message: str
) -> None:
    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=later)

    served = serve(SigV4({KEY: AccessKey(SECRET)}, now=now))
    reply = served.ask("GET", presigned(served, ExpiresIn=seconds))
    assert reply.status == status
    assert message in reply.body.get("Message", "")


@pytest.mark.parametrize(
    "left_out", ["Credential", "Date", "Expires", "SignedHeaders", "Signature"]
)
def test_half_a_signed_address_is_refused_with_the_reason(served: Served, left_out: str) -> None:
    target = presigned(served).replace(f"X-Amz-{left_out}=", "X-Other=")
    reply = served.ask("GET", target)
    assert (reply.status, reply.error) == (403, "IncompleteSignatureException")
    assert f"X-Amz-{left_out}" in reply.body["Message"]


def test_a_repeated_change_gets_the_first_answer(served: Served) -> None:
    body = b'{"ProjectName":"p"}'
    headers = signed(served, "POST", PROJECTS, {"X-Amzn-Client-Token": "t"}, body)
    answers = [served.ask("POST", PROJECTS, headers, body) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize(
    "said",
    [
        "Basic dXNlcjpwYXNz",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/1/r/lookoutvision/aws4_request, Signature=0",
        f"AWS4-HMAC-SHA256 Credential={KEY}/1/r/lookoutvision/x, SignedHeaders=, Signature=0",
        "\xff=,=,,;",
    ],
)
def test_a_malformed_signature_is_refused(served: Served, said: str) -> None:
    reply = served.ask("GET", PROJECTS, {"Authorization": said})
    assert (reply.status, reply.error) == (403, "IncompleteSignatureException")


@pytest.mark.parametrize(
    "date", ["", "2026-11-22T20:00:00Z", "20261322T200000Z", "20261122T200000"]
)
def test_a_malformed_date_is_refused(served: Served, date: str) -> None:
    reply = served.ask("GET", PROJECTS, signed(served) | {"X-Amz-Date": date})
    assert (reply.status, reply.error) == (403, "IncompleteSignatureException")


def test_another_services_signature_is_refused(served: Served) -> None:
    reply = served.ask("GET", PROJECTS, signed(served, service="s3"))
    assert (reply.status, reply.error) == (403, "InvalidSignatureException")


class TestWithoutAuthentication:
    """Open to programs on this machine, not to the pages that its browser shows."""

    @pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:80", "LOCALHOST."])
    def test_a_program_here_is_let_in(self, serve: Serve, host: str) -> None:
        assert serve(NoAuth()).ask("GET", PROJECTS, {"Host": host}).status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},
            {"Host": "localhost.evil.example"},
            {"Host": "10.0.0.1"},
            {"Host": "evil.example@127.0.0.1"},
            {"Host": "127.0.0.1", "Origin": "https://evil.example"},
            {"Host": "127.0.0.1", "Origin": "null"},
        ],
    )
    def test_a_web_page_is_not(self, serve: Serve, headers: dict[str, str]) -> None:
        reply = serve(NoAuth()).ask("POST", PROJECTS, headers, b'{"ProjectName":"p"}')
        assert (reply.status, reply.error) == (403, "AccessDeniedException")
