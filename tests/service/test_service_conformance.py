"""Every operation and every error of the service model, through botocore's own client."""

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.client import connect
from lfvpipe.service.operations.datasets import Datasets
from lfvpipe.service.operations.detection import Detection
from lfvpipe.service.operations.hosting import Hosting
from lfvpipe.service.operations.models import Models
from lfvpipe.service.operations.packaging import Packaging
from lfvpipe.service.operations.projects import Projects
from lfvpipe.service.operations.tags import Tags
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.protocol.gateway import Gateway
from lfvpipe.service.protocol.model import service_model

MODEL = service_model()
GROUPS = (Projects, Datasets, Models, Hosting, Detection, Tags, Packaging)
OPERATIONS = sorted(MODEL.operation_names)
ERRORS = sorted(shape.name for shape in MODEL.error_shapes)
SAMPLES = {  # values that satisfy the patterns
    "DatasetType": "train",
    "ModelVersion": "1",
    "ModelVersionNoLatest": "1",
    "S3BucketName": "bucket",
    "AnomalyClassFilter": "normal",
    "Color": "#23A436",
    "ComponentVersion": "1.0.0",
    "ComponentVersionArn": "arn:aws:greengrass:r:aws:components:c",
    "ImageSourceType": "direct",
    "ClientToken": "a-token",
}


def sample(shape: Any, *, required_only: bool = False) -> Any:
    if shape.type_name == "structure":
        names = shape.required_members if required_only else shape.members
        return {n: sample(shape.members[n], required_only=required_only) for n in names}
    if shape.type_name == "list":
        return [sample(shape.member)]
    if shape.metadata.get("enum"):
        return shape.metadata["enum"][0]
    scalars = {
        "string": SAMPLES.get(shape.name, "abc"),
        "integer": 2,
        "float": 0.5,
        "boolean": True,
        "blob": b"bytes",
        "timestamp": datetime(2021, 4, 6, 19, 18, 44, 208000, tzinfo=UTC),
    }
    return scalars[shape.type_name]


class Wire:
    """A client whose requests reach `invoke` through the gateway."""

    def __init__(self) -> None:
        self.invoke: Any = lambda _operation, _parameters: {}
        gateway = Gateway(MODEL, lambda *call: self.invoke(*call))
        self.client = connect("embedded", region="us-east-1", handler=gateway.handle)


@pytest.fixture(scope="module")
def shared() -> Wire:
    return Wire()


@pytest.fixture
def wire(shared: Wire, monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)  # between retries
    shared.invoke = lambda _operation, _parameters: {}
    return shared


def call(client: LookoutClient, operation: str, parameters: dict[str, Any]) -> Any:
    return getattr(client, xform_name(operation))(**parameters)


def test_there_are_22_operations_and_7_errors() -> None:
    assert (len(OPERATIONS), len(ERRORS)) == (22, 7)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_has_a_method_with_the_models_parameters(operation: str) -> None:
    name = xform_name(operation)
    method = next(getattr(group, name) for group in GROUPS if hasattr(group, name))
    given = {n for n, p in inspect.signature(method).parameters.items() if p.kind is p.KEYWORD_ONLY}
    shape: Any = MODEL.operation_model(operation).input_shape
    assert given == {
        xform_name(n) for n, m in shape.members.items() if not m.metadata.get("idempotencyToken")
    }
    assert hasattr(LookoutClient, name)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_client_sends_arrives_as_it_was(operation: str, wire: Wire) -> None:
    received = []

    def invoke(found: Any, parameters: dict[str, Any]) -> dict[str, Any]:
        received.append((found.name, parameters))
        return {}

    sent = sample(MODEL.operation_model(operation).input_shape)
    wire.invoke = invoke
    call(wire.client, operation, sent)
    assert received == [(operation, sent)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_the_service_answers_arrives_as_it_was(operation: str, wire: Wire) -> None:
    model = MODEL.operation_model(operation)
    answer = sample(model.output_shape)
    wire.invoke = lambda _operation, _parameters: answer
    got = call(wire.client, operation, sample(model.input_shape))
    metadata = got.pop("ResponseMetadata")
    assert got == answer
    assert metadata["HTTPStatusCode"] == model.http.get("responseCode", 200)
    assert metadata["HTTPHeaders"]["x-amzn-requestid"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_arrives_as_its_class_with_its_members(
    operation: str, error: str, wire: Wire
) -> None:
    shape: Any = next(shape for shape in MODEL.error_shapes if shape.name == error)
    members = sample(shape)

    def invoke(_operation: Any, _parameters: Any) -> Any:
        rest = {name: value for name, value in members.items() if name != "Message"}
        raise Fault(error, members["Message"], members=rest)

    wire.invoke = invoke
    with pytest.raises(ClientError) as caught:
        call(wire.client, operation, sample(MODEL.operation_model(operation).input_shape))
    response: Any = caught.value.response
    assert type(caught.value).__name__ == error
    assert (
        response["ResponseMetadata"]["HTTPStatusCode"] == shape.metadata["error"]["httpStatusCode"]
    )
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    for name, member in shape.members.items():
        if member.serialization.get("location") == "header":
            assert headers[member.serialization["name"].lower()] == str(members[name])
        elif name != "Message":
            assert response[name] == members[name]
    assert response["Error"]["Message"] == members["Message"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_on_an_empty_service_answers_as_modelled(
    operation: str, client: LookoutClient
) -> None:
    parameters = sample(MODEL.operation_model(operation).input_shape, required_only=True)
    if operation in {"CreateProject", "ListProjects"}:
        call(client, operation, parameters)
        return
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        call(client, operation, parameters)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert caught.value.response["ResourceType"] in {"PROJECT", "MODEL"}
    assert caught.value.response["ResourceId"]


def wrong_values(shape: Any) -> list[tuple[str, Any]]:
    """Return, for each constraint of the shape's members, a value that breaks it."""
    found = []
    for name, member in shape.members.items():
        facts = member.metadata
        if member.type_name == "string":
            if facts.get("pattern") not in (None, ".*"):
                found.append((name, "  " if r"\S" in facts["pattern"] else "\u00a7"))
            if "max" in facts:
                found.append((name, "a" * (facts["max"] + 1)))
        if member.type_name == "integer" and "max" in facts:
            found.append((name, facts["max"] + 1))
    return found


@pytest.mark.parametrize(
    ("operation", "name", "value"),
    [
        (operation, name, value)
        for operation in OPERATIONS
        for name, value in wrong_values(MODEL.operation_model(operation).input_shape)
        if not (name == "ContentType" or (name == "ClientToken" and not str(value).isascii()))
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_botocore_lets_through_is_a_validation_error(
    operation: str, name: str, value: Any, wire: Wire
) -> None:
    parameters = sample(MODEL.operation_model(operation).input_shape) | {name: value}
    with pytest.raises(ClientError) as caught:
        call(wire.client, operation, parameters)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert f"'{name[0].lower()}{name[1:]}'" in caught.value.response["Error"]["Message"]


def test_a_living_service_answers_all_22_operations(
    trained: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    """Call each of them as a customer would, and see that each answers as the model says."""
    answered: dict[str, int] = {}

    def note(http_response: Any, model: Any, **_: Any) -> None:
        assert http_response.status_code == model.http.get("responseCode", 200)
        answered[model.name] = http_response.status_code

    client.meta.events.register("after-call.lookoutvision", note)
    version: Any = {"ProjectName": "p", "ModelVersion": "1"}
    client.create_project(ProjectName="q")
    client.create_dataset(ProjectName="q", DatasetType="train")
    client.delete_dataset(ProjectName="q", DatasetType="train")
    client.delete_project(ProjectName="q")
    assert client.list_projects()["Projects"]
    assert client.describe_project(ProjectName="p")["ProjectDescription"]["Datasets"]
    train: Any = {"ProjectName": "p", "DatasetType": "train"}
    line = client.list_dataset_entries(**train)["DatasetEntries"][0]
    client.update_dataset_entries(**train, Changes=line)
    waits.dataset(client)
    assert client.describe_dataset(**train)["DatasetDescription"]["Status"] == "UPDATE_COMPLETE"
    arn = trained["ModelArn"]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"]
    client.untag_resource(ResourceArn=arn, TagKeys=["a"])
    output: Any = {"S3Location": {"Bucket": "bucket"}}
    client.create_model(ProjectName="p", OutputConfig=output)
    waits.model(client, "2")
    assert len(client.list_models(ProjectName="p")["Models"]) == 2
    client.delete_model(ProjectName="p", ModelVersion="2")
    client.start_model(**version, MinInferenceUnits=1)
    assert waits.hosting(client)["Status"] == "HOSTED"  # DescribeModel
    image = world.picture((64, 64))
    found = client.detect_anomalies(**version, Body=image, ContentType="image/png")
    assert found["DetectAnomalyResult"]["Source"] == {"Type": "direct"}
    client.stop_model(**version)
    waits.hosting(client, "TRAINED")
    package: Any = {
        "S3OutputLocation": {"Bucket": "bucket"},
        "ComponentName": "C",
        "TargetDevice": "jetson_xavier",
    }
    job = client.start_model_packaging_job(**version, Configuration={"Greengrass": package})
    name = job["JobName"]
    client.describe_model_packaging_job(ProjectName="p", JobName=name)
    assert client.list_model_packaging_jobs(ProjectName="p")["ModelPackagingJobs"]
    assert sorted(answered) == OPERATIONS


def test_a_living_service_raises_every_error_but_access_denied(
    trained: Any, world: Any, client: LookoutClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AccessDeniedException is raised where requests are authenticated, in front of this."""
    from lfvpipe.service.quotas import Quotas

    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)  # between retries
    tight = world.client(quotas=Quotas(projects=0, requests_per_second=0.01))
    tight.list_models(ProjectName="p")
    broken = world.client()
    monkeypatch.setattr(world.services[-1]._gateway, "_invoke", None)  # whatever: a bug
    calls: dict[str, Any] = {
        "ConflictException": lambda: client.create_project(ProjectName="p"),
        "InternalServerException": lambda: broken.list_projects(),
        "ResourceNotFoundException": lambda: client.describe_project(ProjectName="x"),
        "ServiceQuotaExceededException": lambda: tight.create_project(ProjectName="y"),
        "ThrottlingException": lambda: tight.list_models(ProjectName="p"),
        "ValidationException": lambda: client.list_projects(MaxResults=101),
    }
    raised = []
    for act in calls.values():
        with pytest.raises(ClientError) as caught:
            act()
        raised.append(type(caught.value).__name__)
    assert raised == list(calls)
    assert sorted([*raised, "AccessDeniedException"]) == ERRORS
