"""What a key may do: its role in the server's credentials file, over the wire and by boto3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lfvpipe.errors import UserError
from lfvpipe.service.http.auth import SigV4
from lfvpipe.service.http.credentials import AccessKey, read_keys
from lfvpipe.service.protocol.model import service_model
from lfvpipe.service.roles import Role
from tests.service.conftest import OUTPUT

from .conftest import KEY, SECRET, Serve, Served
from .test_http_auth import PROJECTS, signed

if TYPE_CHECKING:
    from pathlib import Path

P, V = {"ProjectName": "p"}, {"ModelVersion": "1"}
ARN = {"ResourceArn": "arn:aws:lookoutvision:us-east-1:000000000000:model/p/1"}
CALLS: dict[str, dict[str, Any]] = {
    "list_projects": {},
    "describe_project": P,
    "describe_dataset": P | {"DatasetType": "train"},
    "list_dataset_entries": P | {"DatasetType": "train"},
    "list_models": P,
    "describe_model": P | V,
    "list_tags_for_resource": ARN,
    "list_model_packaging_jobs": P,
    "describe_model_packaging_job": P | {"JobName": "j"},
    "detect_anomalies": P | V | {"Body": b"no image", "ContentType": "image/png"},
    "update_dataset_entries": P | {"DatasetType": "train", "Changes": b"{}"},
    "create_project": {"ProjectName": "q"},
    "create_dataset": P | {"DatasetType": "test"},
    "create_model": P | {"OutputConfig": OUTPUT},
    "start_model": P | V | {"MinInferenceUnits": 1},
    "stop_model": P | V,
    "tag_resource": ARN | {"Tags": [{"Key": "k", "Value": "v"}]},
    "untag_resource": ARN | {"TagKeys": ["k"]},
    "start_model_packaging_job": P
    | V
    | {
        "Configuration": {
            "Greengrass": {
                "ComponentName": "c",
                "S3OutputLocation": OUTPUT["S3Location"],
                "TargetDevice": "jetson_xavier",
            }
        }
    },
    "delete_model": P | V,
    "delete_dataset": P | {"DatasetType": "train"},
    "delete_project": P,
}
LOOKING = set(list(CALLS)[:10])
MAY = {
    Role.VIEWER: LOOKING,
    Role.REVIEWER: LOOKING | {"update_dataset_entries"},
    Role.ADMIN: set(CALLS),
}


def with_role(serve: Serve, role: Role) -> Served:
    return serve(SigV4({KEY: AccessKey(SECRET, role=role)}))


@pytest.mark.parametrize("role", Role)
def test_each_operation_is_for_the_roles_that_may_carry_it_out(serve: Serve, role: Role) -> None:
    client = with_role(serve, role).client()
    allowed = set()
    for name, parameters in CALLS.items():
        try:
            getattr(client, name)(**parameters)
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDeniedException":
                continue
        allowed.add(name)
    assert allowed == MAY[role]
    assert len(CALLS) == len(service_model().operation_names)


def test_a_refusal_says_who_may_not_what_and_nothing_happens(serve: Serve) -> None:
    client, admin = (with_role(serve, role).client() for role in (Role.REVIEWER, Role.ADMIN))
    admin.create_project(ProjectName="p")
    with pytest.raises(ClientError) as refused:
        client.delete_project(ProjectName="p")
    said = str(refused.value)
    assert "AccessDeniedException" in said
    assert f"{KEY} has the role reviewer, which may not call DeleteProject" in said
    assert SECRET not in said
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert [each["ProjectName"] for each in admin.list_projects()["Projects"]] == ["p"]


@pytest.mark.usefixtures("dataset")
def test_who_labels_adds_no_image(serve: Serve, waits: Any) -> None:
    reviewer = with_role(serve, Role.REVIEWER).client()
    target: Any = P | {"DatasetType": "train"}
    (first, *_) = reviewer.list_dataset_entries(**target)["DatasetEntries"]
    other = first.replace(json.loads(first)["source-ref"], "s3://bucket/another.png")
    for changes in (other, f"{first}\n{other}"):
        with pytest.raises(ClientError, match="may not add images such as s3://"):
            reviewer.update_dataset_entries(**target, Changes=changes.encode())
    reviewer.update_dataset_entries(**target, Changes=first.encode())
    waits.dataset(reviewer)
    assert len(reviewer.list_dataset_entries(**target)["DatasetEntries"]) == 10


def test_a_repeated_client_token_of_an_admin_is_not_answered_to_a_viewer(serve: Serve) -> None:
    viewer, admin = (with_role(serve, role).client() for role in (Role.VIEWER, Role.ADMIN))
    admin.create_project(ProjectName="p", ClientToken="t")
    with pytest.raises(ClientError, match="AccessDenied"):
        viewer.create_project(ProjectName="p", ClientToken="t")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "http://elsewhere.example" + PROJECTS),
        ("POST", PROJECTS + "?X=1"),
        ("post", PROJECTS),
        ("DELETE", PROJECTS + "/%70"),
        ("DELETE", PROJECTS + "/p?projectName=q"),
    ],
)
def test_no_way_to_write_a_request_gets_round_a_role(
    serve: Serve, method: str, target: str
) -> None:
    admin, served = with_role(serve, Role.ADMIN), with_role(serve, Role.VIEWER)
    admin.client().create_project(ProjectName="p")
    path, body = target.removeprefix("http://elsewhere.example"), b'{"ProjectName":"made"}'
    headers = signed(served, method.upper(), path, {"X-HTTP-Method-Override": "GET"}, body)
    assert served.ask(method, target, headers, body).status >= 400
    assert [each["ProjectName"] for each in admin.client().list_projects()["Projects"]] == ["p"]


def test_one_request_s_role_is_not_the_next_one_s(serve: Serve, aws: pytest.MonkeyPatch) -> None:
    """Requests share threads."""
    keys = {KEY: AccessKey(SECRET), "LOOKS": AccessKey("s", role=Role.VIEWER)}
    served = serve(SigV4(keys))
    for number in range(12):
        body = json.dumps({"ProjectName": f"p{number}"}).encode()
        for key, secret, status in ((KEY, SECRET, 200), ("LOOKS", "s", 403)):
            headers = signed(served, "POST", PROJECTS, body=body, key=key, secret=secret)
            assert served.ask("POST", PROJECTS, headers, body).status == status


PROFILE = "[{}]\naws_access_key_id = {}\naws_secret_access_key = hidden\n{}\n"


def test_roles_are_read_from_the_file_and_a_key_without_one_is_admin(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    lines = {"a": "", "b": "lfvpipe_role = viewer", "c": "LFVPIPE_ROLE=reviewer"}
    file.write_text("".join(PROFILE.format(name, name, line) for name, line in lines.items()))
    found = {name: key.role for name, key in read_keys(file).items()}
    assert found == {"a": Role.ADMIN, "b": Role.VIEWER, "c": Role.REVIEWER}


@pytest.mark.parametrize(
    "line",
    [
        "lfvpipe_role = Viewer",
        "lfvpipe_role =",
        "lfvpipe_roles = viewer",
        "lfvpipe-role = viewer",
        "lfvpipe_role = viewer\nlfvpipe_roll = admin",
    ],
)
def test_what_is_meant_as_a_role_and_is_none_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "credentials"
    file.write_text(PROFILE.format("line", "K", line))
    with pytest.raises(UserError) as refused:
        read_keys(file)
    said = f"{refused.value.message} {refused.value.hint}"
    assert "[line]" in said
    assert "viewer, reviewer, admin" in said
    assert "hidden" not in said


def test_a_key_with_two_roles_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        PROFILE.format("a", "K", "lfvpipe_role = viewer") + PROFILE.format("b", "K", "")
    )
    with pytest.raises(UserError, match=r"K in .* is viewer and admin"):
        read_keys(file)
