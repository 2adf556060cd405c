import dataclasses
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lfvpipe.errors import UserError
from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.client import connect
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.lookout.likeness import unlikeness
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.state import models
from lfvpipe.service.units.hosts import Hosts, PoolClosed
from tests.service.conftest import FEW, picture

RED = (200, 0, 0)
MODEL: Any = {"ProjectName": "p", "ModelVersion": "1"}


def start(client: LookoutClient, units: int = 1, **more: Any) -> Any:
    return client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=units, **more)[
        "Status"
    ]


def stop(client: LookoutClient, **more: Any) -> Any:
    return client.stop_model(ProjectName="p", ModelVersion="1", **more)["Status"]


def detect(client: LookoutClient, body: bytes, content_type: str = "image/png") -> Any:
    return client.detect_anomalies(
        ProjectName="p", ModelVersion="1", Body=body, ContentType=content_type
    )["DetectAnomalyResult"]


@pytest.fixture
def hosted(trained: Any, client: LookoutClient, waits: Any) -> LookoutClient:
    start(client)
    waits.hosting(client)
    return client


def test_a_model_is_started_and_stopped(trained: Any, client: LookoutClient, waits: Any) -> None:
    assert start(client, 1, MaxInferenceUnits=2) == "STARTING_HOSTING"
    described = waits.hosting(client)
    assert described["StatusMessage"] == "The model is running."
    assert (described["MinInferenceUnits"], described["MaxInferenceUnits"]) == (1, 2)
    assert stop(client) == "STOPPING_HOSTING"
    assert "MinInferenceUnits" not in waits.hosting(client, "TRAINED")


def test_a_model_that_another_process_stops_while_it_comes_up_is_let_go(
    trained: Any, world: Any, client: LookoutClient, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming_up, go, real = Event(), Event(), Hosts._make

    def held(hosts: Hosts, model: Any) -> Any:
        coming_up.set()
        go.wait(60)
        return real(hosts, model)

    monkeypatch.setattr(Hosts, "_make", held)
    start(client)
    assert coming_up.wait(60)
    other = world.client()  # has nothing of the model in memory, so the stop is done at once
    stop(other)
    here = world.services[0]._scheduler
    jobs = list(here._threads.values())
    go.set()
    waits.hosting(other, "TRAINED")
    for job in jobs:  # which lets go of the model last
        job.join(60)
    assert not here.hosts.has(1)


def test_a_model_that_could_not_be_loaded_is_tried_again_when_it_is_asked(
    hosted: LookoutClient, world: Any
) -> None:
    file = next((world.state_dir / "models").glob("*/*"))
    aside = file.rename(file.with_suffix(".aside"))
    later = world.client()  # as after a restart: it has nothing in memory
    with pytest.raises(ClientError, match="is gone"):
        detect(later, world.picture((64, 64)))
    aside.rename(file)
    assert detect(later, world.picture((64, 64), RED))["IsAnomalous"]


def test_a_host_that_closed_itself_is_brought_up_anew(hosted: LookoutClient, world: Any) -> None:
    detect(hosted, world.picture((64, 64)))
    hosts = world.services[0]._scheduler.hosts
    hosts._hosts[1].result().close()  # as a pool does when another process stopped its model
    assert detect(hosted, world.picture((64, 64), RED))["IsAnomalous"]


def test_of_many_models_in_memory_the_one_asked_longest_ago_is_forgotten(
    hosted: LookoutClient, world: Any
) -> None:
    runtime = world.services[0]._runtime
    with runtime.database.read() as tx:
        model = models.get(tx, "p", "1")
    hosts = Hosts(runtime, isolated=False)
    for identity in (1, 2, 3, 4, 1, 5):
        file = runtime.model_file(identity)
        file.parent.mkdir(exist_ok=True)
        file.write_text("false", "utf-8")  # a ColourModel
        hosts.open(dataclasses.replace(model, id=identity))
    assert [hosts.has(identity) for identity in (1, 2, 3, 4, 5)] == [True, False, True, True, True]


def test_verdicts_come_as_documented(hosted: LookoutClient, world: Any) -> None:
    good, bad = (
        detect(hosted, world.picture((64, 64))),
        detect(hosted, world.picture((64, 64), RED)),
    )
    assert good == {"Source": {"Type": "direct"}, "IsAnomalous": False, "Confidence": 0.9}
    assert bad["IsAnomalous"] is True
    jpeg = detect(hosted, world.picture((64, 64), RED, "JPEG"), "image/jpeg")
    assert jpeg["IsAnomalous"] is True


def test_a_models_tag_says_what_is_decided_by_and_takes_effect_at_once(
    hosted: LookoutClient, world: Any
) -> None:
    arn = hosted.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]["ModelArn"]

    def decide(value: str) -> Any:
        hosted.tag_resource(ResourceArn=arn, Tags=[{"Key": "lfvpipe:decision", "Value": value}])
        return detect(hosted, world.picture((64, 64)))

    # The score is 0.1: its confidence stays that of the model, whatever is decided by.
    assert decide("0.05") == {
        "Source": {"Type": "direct"},
        "IsAnomalous": True,
        "Confidence": pytest.approx(0.1),
    }
    assert decide("0.2 0.1:0.3")["IsAnomalous"] is False
    with pytest.raises(hosted.exceptions.ValidationException, match="lfvpipe:decision"):
        decide("often")
    hosted.untag_resource(ResourceArn=arn, TagKeys=["lfvpipe:decision"])
    assert detect(hosted, world.picture((64, 64)))["IsAnomalous"] is False


def test_an_image_unlike_the_training_images_is_told_beside_the_answer_and_in_the_log(
    hosted: LookoutClient, world: Any
) -> None:
    def ask(colour: tuple[int, int, int]) -> Any:
        return hosted.detect_anomalies(
            ProjectName="p",
            ModelVersion="1",
            Body=world.picture((64, 64), colour),
            ContentType="image/png",
        )

    alike, unlike = ask((0, 200, 0)), ask((0, 200, 200))
    assert alike["DetectAnomalyResult"] == unlike["DetectAnomalyResult"]  # which is as documented
    assert [unlikeness(each) for each in (alike, unlike)] == [None, 2.35]
    assert "x-lfvpipe-unlike" not in alike["ResponseMetadata"]["HTTPHeaders"]
    (file,) = world.state_dir.rglob("detection.log")
    (line,) = file.read_text("utf-8").splitlines()
    assert line.endswith(
        "warning an image is not like the training images project=p version=1 unlike=2.35"
    )


def test_detection_is_concurrent(hosted: LookoutClient, world: Any) -> None:
    bodies = [world.picture((64, 64), RED), world.picture((64, 64))] * 20
    with ThreadPoolExecutor(8) as pool:
        found = [
            each["IsAnomalous"] for each in pool.map(lambda body: detect(hosted, body), bodies)
        ]
    assert found == [True, False] * 20


@pytest.mark.parametrize(
    ("size", "content_type", "told"),
    [
        (
            (64, 64),
            "text/plain",
            "content-type must be one of the following. image/jpeg, image/png",
        ),
        (
            (64, 65),
            "image/png",
            "64x65 pixels; it must have the size of the training images, 64x64",
        ),
        (b"no image", "image/png", "not a PNG or JPEG image"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 9_000_000, "image/png", "8388608 are allowed"),
    ],
)
def test_an_image_that_breaks_a_rule_is_refused(
    size: Any, content_type: str, told: str, hosted: LookoutClient, world: Any
) -> None:
    body = size if isinstance(size, bytes) else world.picture(size)
    with pytest.raises(hosted.exceptions.ValidationException) as caught:
        detect(hosted, body, content_type)
    assert told in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("second", "code", "told"),
    [
        (UserError("the image is damaged"), "ValidationException", "the image is damaged"),
        (PoolClosed(), "ConflictException", "was stopped"),
    ],
)
def test_what_a_model_that_was_restarted_meanwhile_says_reaches_the_client(
    second: Exception,
    code: str,
    told: str,
    hosted: LookoutClient,
    world: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([PoolClosed(), second])

    def detect_next(*_: Any) -> Any:
        raise next(answers)

    monkeypatch.setattr(Hosts, "detect", detect_next)
    with pytest.raises(hosted.exceptions.ClientError) as caught:
        detect(hosted, world.picture((64, 64)))
    assert caught.value.response["Error"]["Code"] == code
    assert told in caught.value.response["Error"]["Message"]


def test_states_that_forbid_an_operation_are_conflicts(
    trained: Any, client: LookoutClient, world: Any, waits: Any
) -> None:
    def forbidden(call: Any, *arguments: Any) -> None:
        with pytest.raises(client.exceptions.ConflictException) as caught:
            call(*arguments)
        assert caught.value.response["ResourceType"] == "MODEL"
        assert caught.value.response["ResourceId"] == "p/1"

    forbidden(stop, client)
    forbidden(detect, client, world.picture((64, 64)))
    start(client)
    waits.hosting(client)
    forbidden(start, client)
    forbidden(lambda: client.delete_model(ProjectName="p", ModelVersion="1"))


def test_a_model_in_training_is_not_started(dataset: Any, client: LookoutClient) -> None:
    client.create_model(
        ProjectName="p", OutputConfig={"S3Location": {"Bucket": "nowhere", "Prefix": ""}}
    )
    with pytest.raises(client.exceptions.ConflictException):
        start(client)


def test_an_unknown_version_is_not_found(trained: Any, client: LookoutClient) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_model(ProjectName="p", ModelVersion="7")


def test_units_have_a_quota_and_an_order(trained: Any, world: Any, client: LookoutClient) -> None:
    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        start(client, 6)
    with pytest.raises(client.exceptions.ValidationException):
        start(client, 2, MaxInferenceUnits=1)
    other = world.client(quotas=Quotas(hosted_models=0))
    with pytest.raises(other.exceptions.ServiceQuotaExceededException):
        start(other)


def test_a_lost_model_file_fails_the_hosting(
    trained: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    file = next((world.state_dir / "models").glob("*/*"))
    kept = file.read_bytes()
    file.unlink()
    start(client)
    with pytest.raises(LookoutError, match=r"HOSTING_FAILED.*is gone"):
        waits.hosting(client)
    file.write_bytes(kept)
    start(client)
    waits.hosting(client)


def test_another_process_sees_and_serves_what_is_hosted(
    hosted: LookoutClient, world: Any, waits: Any
) -> None:
    other = world.client()
    assert detect(other, world.picture((64, 64), RED))["IsAnomalous"] is True
    stop(other)
    with pytest.raises(hosted.exceptions.ConflictException):
        detect(hosted, world.picture((64, 64)))


@pytest.mark.parametrize("isolated", [True, False])
def test_a_model_that_nobody_asks_is_stopped_and_says_so(
    trained: Any, world: Any, waits: Any, isolated: bool
) -> None:
    now = [1.7e9]
    quotas = dataclasses.replace(FEW, idle_seconds=600.0)
    options: Any = {"clock": lambda: now[0], "quotas": quotas, "isolated": isolated}
    service = world.open(**options)
    client = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
    start(client)
    waits.hosting(client)
    for _ in range(3):  # what is asked stays
        now[0] += 590
        detect(client, picture(RED))
        service._scheduler.idleness.stop_idle()
    now[0] += 590
    world.open(**options)  # nor does one that opens the state now take it for idle
    assert client.describe_model(**MODEL)["ModelDescription"]["Status"] == "HOSTED"
    now[0] += 50
    world.open(**options)
    said = waits.hosting(client, "TRAINED")["StatusMessage"]
    assert said == "The model was stopped: for 10 minutes nobody had asked it."
    with pytest.raises(client.exceptions.ConflictException, match="start it"):
        detect(client, picture(RED))
    assert start(client) == "STARTING_HOSTING"
    assert waits.hosting(client)["StatusMessage"] == "The model is running."


def test_a_service_for_others_looks_at_idle_models_by_itself(
    trained: Any, world: Any, waits: Any
) -> None:
    quotas = dataclasses.replace(FEW, idle_seconds=0.2)
    client = world.client(quotas=quotas)
    start(client)
    with suppress(LookoutError):  # it may be looked at while it is still hosted
        waits.hosting(client, "HOSTED")
    while client.describe_model(**MODEL)["ModelDescription"]["Status"] != "TRAINED":
        pass


def test_without_a_time_out_a_model_stays_hosted(trained: Any, world: Any, waits: Any) -> None:
    now = [1.7e9]
    client = world.client(clock=lambda: now[0])
    start(client)
    waits.hosting(client)
    now[0] += 1e8
    world.open(clock=lambda: now[0])
    assert client.describe_model(**MODEL)["ModelDescription"]["Status"] == "HOSTED"
