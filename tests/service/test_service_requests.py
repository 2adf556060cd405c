"""Requests that no well-behaved client sends, and what the wire says of bugs."""

import json
from typing import Any

import pytest
import structlog

from lfvpipe.service.faults import Fault
from lfvpipe.service.protocol.gateway import Gateway
from lfvpipe.service.protocol.model import service_model

ROOT = "/2020-11-20/projects"


def send(method: str, url: str, body: bytes = b"", invoke: Any = None) -> tuple[int, Any, Any]:
    gateway = Gateway(service_model(), invoke or (lambda _operation, parameters: {}))
    status, headers, answer = gateway.handle(method, url, {"Content-Type": "image/png"}, body)
    return status, headers, json.loads(answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("PUT", ROOT), ("GET", "/2020-11-21/projects"), ("GET", f"{ROOT}/a/b/c/d/e")],
)
def test_an_unknown_route_is_an_unknown_operation(method: str, path: str) -> None:
    status, headers, _ = send(method, path)
    assert (status, headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    status, headers, _ = send("POST", ROOT, body)
    assert (status, headers["x-amzn-ErrorType"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("path", "body", "member"),
    [
        (ROOT, {"ProjectName": 1}, "ProjectName"),
        (ROOT, {"ProjectName": None}, "projectName"),
        (ROOT, {}, "projectName"),
        (f"{ROOT}/p/datasets", {"DatasetType": "train", "DatasetSource": []}, "DatasetSource"),
        (
            f"{ROOT}/p/models",
            {"OutputConfig": {"S3Location": {}}},
            "outputConfig.s3Location.bucket",
        ),
        (f"{ROOT}/p/models/1/start", {"MinInferenceUnits": True}, "MinInferenceUnits"),
        (f"{ROOT}/p/models/1/start", {"MinInferenceUnits": 0}, "minInferenceUnits"),
        (f"{ROOT}/p/models/0/start", {"MinInferenceUnits": 1}, "modelVersion"),
        (f"{ROOT}/..%2Fp/models/1/start", {"MinInferenceUnits": 1}, "projectName"),
    ],
)
def test_a_wrong_member_is_named(path: str, body: Any, member: str) -> None:
    status, headers, answer = send("POST", path, json.dumps(body).encode())
    assert (status, headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert member in answer["Message"]


def test_every_broken_constraint_is_told_at_once() -> None:
    _, _, answer = send("GET", f"{ROOT}/-p/models?maxResults=1000&nextToken=%2A")
    assert answer["Message"].startswith("3 validation errors detected: ")


@pytest.mark.parametrize("query", ["labeled=yes", "maxResults=ten", "createdBefore=yesterday"])
def test_a_query_of_the_wrong_type_is_refused(query: str) -> None:
    status, headers, _ = send("GET", f"{ROOT}/p/datasets/train/entries?{query}")
    assert (status, headers["x-amzn-ErrorType"]) == (400, "ValidationException")


def test_a_slash_inside_a_label_does_not_split_the_path() -> None:
    seen = []

    def invoke(operation: Any, parameters: Any) -> Any:
        seen.append((operation.name, parameters))
        return {}

    send("GET", "/2020-11-20/tags/arn%3Aaws%3Ax%3Amodel%2Fp%2F1", invoke=invoke)
    assert seen == [("ListTagsForResource", {"ResourceArn": "arn:aws:x:model/p/1"})]


@pytest.mark.parametrize(
    ("key", "status"), [("Größe 1", 200), ("线_.:/=+-@", 200), ("a\u2028b", 200), ("a#b", 400)]
)
def test_tags_take_the_letters_of_every_script(key: str, status: int) -> None:
    body = {"Tags": [{"Key": key, "Value": ""}]}
    assert send("POST", "/2020-11-20/tags/arn", json.dumps(body).encode())[0] == status


def test_a_bug_is_logged_and_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()  # as a process is that has not configured it

    def invoke(_operation: Any, parameters: Any) -> Any:
        raise RuntimeError("secret detail")

    status, headers, answer = send("GET", f"{ROOT}?nextToken=notForTheLog", invoke=invoke)
    assert (status, headers["x-amzn-ErrorType"]) == (500, "InternalServerException")
    assert "secret" not in json.dumps(answer)
    assert headers["x-amzn-RequestId"] in answer["Message"]
    out, err = capsys.readouterr()
    assert out == ""  # where `run --json` prints its result
    assert "RuntimeError: secret detail" in err
    assert "notForTheLog" not in err  # no local variables, such as headers that hold a signature


def test_an_error_outside_the_model_keeps_its_status() -> None:
    def invoke(_operation: Any, _parameters: Any) -> Any:
        raise Fault("RequestExpired", "too late", status=403)

    assert send("GET", ROOT, invoke=invoke)[0] == 403
