"""The documented rules on segmentation projects, quotas from a file, throttling, and failures."""

import errno
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from lfvpipe.errors import UserError
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.service.faults import Fault
from lfvpipe.service.quotas import Quotas, quotas_from_json, quotas_to_json, read_quotas
from lfvpipe.service.throttle import Throttle

FEW = Quotas(
    min_train_normal=2,
    min_test_normal=1,
    min_test_anomaly=1,
    min_single_normal=4,
    min_single_anomaly=3,
    min_images_per_label=2,
    min_images_per_label_single=4,
)
CRACK, HOLE = "#23A436", "#0000FF"
OUTPUT = {"S3Location": {"Bucket": "bucket", "Prefix": "out_"}}


def masked(line: dict[str, Any], classes: Mapping[str, str], mask: str = "mask.png") -> Any:
    colours = {
        str(i): {"class-name": name, "hex-color": colour}
        for i, (name, colour) in enumerate(classes.items())
    }
    metadata = {"internal-color-map": colours, "type": "groundtruth/semantic-segmentation"}
    return {**line, "m-ref": f"s3://bucket/{mask}", "m-ref-metadata": metadata}


def striped(world: Any, classes: Mapping[str, str], name: str = "stripes.png") -> str:
    """Store a mask that shows each of the classes, in a stripe of its own; return its key."""
    image = Image.new("RGB", (64, 64), "white")
    for number, colour in enumerate(classes.values()):
        image.paste(colour, (0, 4 * number, 64, 4 * number + 4))
    file = io.BytesIO()
    image.save(file, "PNG")
    world.bucket.put(name, file.getvalue())
    return name


@pytest.fixture
def train(world: Any, waits: Any) -> Callable[..., Any]:
    """Return what makes project `p` from lines, trains, and returns the description."""

    def act(lines: Any, quotas: Quotas = FEW, test: Any = None) -> Any:
        client = world.client(quotas=quotas)
        client.create_project(ProjectName="p")
        for kind, each in (("train", lines), ("test", test)):
            if each is not None:
                source = world.put_manifest(each, f"{kind}.manifest")
                client.create_dataset(ProjectName="p", DatasetType=kind, DatasetSource=source)
        client.create_model(ProjectName="p", OutputConfig=OUTPUT)
        return waits.model(client)

    return act


@pytest.fixture
def lines(world: Any) -> Any:
    """Six normal and five anomalous images; the anomalous ones share a mask, all of it crack."""
    world.bucket.put("mask.png", world.picture((64, 64), (0x23, 0xA4, 0x36)))
    made = world.put_images(6, 5)
    return [*made[:6], *(masked(each, {"crack": CRACK}) for each in made[6:])]


def test_enough_images_of_a_type_are_trained_on(lines: Any, train: Any) -> None:
    assert train(lines)["Status"] == "TRAINED"


def test_images_with_two_types_do_not_count_for_either(lines: Any, train: Any, world: Any) -> None:
    types = {"crack": CRACK, "hole": HOLE}
    both = [masked(each, types, striped(world, types)) for each in lines[6:8]]
    with pytest.raises(LookoutError, match=r"type crack: the dataset has 3 .*at least 4"):
        train([*lines[:6], *both, *lines[8:]])


def test_each_dataset_needs_enough_images_of_a_type(lines: Any, train: Any) -> None:
    with pytest.raises(LookoutError, match=r"type crack: the test dataset has 1 .*at least 2"):
        train(lines[:10], test=[lines[0], lines[10]])


def test_a_type_of_two_colours_fails_the_training_in_the_test_dataset_too(
    lines: Any, train: Any, world: Any
) -> None:
    # A model marks in the colours that it learnt: of others nothing would be found.
    other = striped(world, {"crack": HOLE}, "other.png")
    test = [*lines[:9], *(masked(each, {"crack": HOLE}, other) for each in lines[9:])]
    with pytest.raises(LookoutError, match=f"crack has two colours, {CRACK} and {HOLE}"):
        train(lines, test=test)


def test_types_have_maxima(lines: Any, train: Any, world: Any) -> None:
    many = {f"type{n}": f"#0000{n:02X}" for n in range(1, 4)}
    quotas = replace(FEW, min_images_per_label_single=0)
    last = masked(lines[10], many, striped(world, many))
    with pytest.raises(LookoutError, match="Too many anomaly types: 4, at most 3"):
        train([*lines[:10], last], replace(quotas, max_anomaly_labels=3))


def test_a_mask_has_a_maximum_of_types(lines: Any, train: Any, world: Any) -> None:
    types = {"crack": CRACK, "hole": HOLE}
    two = masked(lines[10], types, striped(world, types))
    quotas = replace(FEW, min_images_per_label_single=0, max_anomaly_labels_per_image=1)
    with pytest.raises(LookoutError, match=r"anomaly/4\.png has 2 anomaly types, at most 1"):
        train([*lines[:10], two], quotas)


def paint(path: Path, form: str, spot: tuple[int, ...], mode: str = "RGB", back: Any = 0) -> bytes:
    image = Image.new(mode, (64, 64), back)
    image.paste(spot if mode != "P" else 1, (10, 10, 30, 30))
    if mode == "P":
        image.putpalette([0, 0, 0, *spot[:3]])
        image.info["transparency"] = bytes([0, 128])
    image.save(path, form)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("spot", "mode", "back"),
    [
        ((0x23, 0xA4, 0x36), "RGB", "white"),
        ((0x23, 0xA4, 0x36), "RGB", "black"),
        ((0x23, 0xA4, 0x36), "P", 0),  # these two as AWS published them
        ((0x23, 0xA4, 0x36, 200), "RGBA", (1, 2, 3, 0)),
    ],
)
def test_masks_as_customers_have_them_are_fine(
    spot: Any, mode: str, back: Any, lines: Any, train: Any, world: Any, tmp_path: Path
) -> None:
    world.bucket.put("mask.png", paint(tmp_path / "mask", "PNG", spot, mode, back))
    assert train(lines)["Status"] == "TRAINED"


def test_a_colour_that_the_map_lacks_fails_the_training(
    lines: Any, train: Any, world: Any, tmp_path: Path
) -> None:
    world.bucket.put("odd.png", paint(tmp_path / "mask", "PNG", (0x23, 0xA4, 0x37)))
    odd = masked(lines[10], {"crack": CRACK}, "odd.png")
    with pytest.raises(LookoutError, match=r"odd\.png has the colour #23A437, which is missing"):
        train([*lines[:10], odd])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("JPEG", "is a JPEG; it must be a PNG"),
        ("small", "64x65 pixels, its image 64x64"),
        (b"text", "cannot be used"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0@\0\0\0@\x08\x02\0\0\0", "cannot be read"),
    ],
)
def test_a_bad_mask_fails_the_training_by_name(
    data: Any, told: str, lines: Any, train: Any, world: Any, tmp_path: Path
) -> None:
    if data == "JPEG":
        data = paint(tmp_path / "mask", "JPEG", (0x23, 0xA4, 0x36))
    elif data == "small":
        data = world.picture((64, 65), (0x23, 0xA4, 0x36))
    world.bucket.put("mask.png", data)
    with pytest.raises(LookoutError, match=told) as caught:
        train(lines)
    assert "s3://bucket/mask.png" in caught.value.message


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EACCES, "Permission denied", "/x"), "Permission denied. Give this user"),
        (OSError(errno.ENOSPC, "No space left on device"), "waits .*No space left.* Free some"),
        (MemoryError(), "ran out of memory; use fewer or smaller images"),
        (RuntimeError("a\nb"), r"please report it with logs/training\.log: RuntimeError: a b"),
    ],
)
def test_whatever_breaks_the_training_is_told(
    error: Exception,
    told: str,
    dataset: Any,
    world: Any,
    waits: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(type(world.detector), "train", broken)
    client = world.client()
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    with pytest.raises(LookoutError, match=told):
        waits.model(client)


def test_a_full_disk_while_the_model_is_saved_is_told(
    dataset: Any, world: Any, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unsaved:
        def __init__(self, model: Any) -> None:
            self.detect = model.detect

        def save(self, path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    real = world.detector.train
    monkeypatch.setattr(world.detector, "train", lambda *a, **k: Unsaved(real(*a, **k)))
    client = world.client()
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    with pytest.raises(LookoutError, match=r"waits .*No space left"):
        waits.model(client)


def test_quotas_come_from_a_file(world: Any) -> None:
    world.state_dir.mkdir(parents=True)
    (world.state_dir / "quotas.json").write_text('{"projects": 1, "requests_per_second": 2.5}')
    assert read_quotas(world.state_dir) == Quotas(projects=1, requests_per_second=2.5)
    fewer = read_quotas(world.state_dir, "open")
    assert (fewer.min_test_anomaly, fewer.min_single_normal, fewer.projects) == (0, 2, 1)
    assert fewer.max_train_images is None
    client = world.client(quotas=None)
    client.create_project(ProjectName="a")
    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        client.create_project(ProjectName="b")
    (world.state_dir / "quotas.json").write_text(
        '{"min_test_anomaly": 3, "max_train_images": null}'
    )
    assert read_quotas(world.state_dir, "open").min_test_anomaly == 3
    assert read_quotas(world.state_dir).min_test_anomaly == 3
    assert read_quotas(world.state_dir).max_train_images is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ("[]", "must hold a JSON object"),
        ('{"project": 1}', "Did you mean projects"),
        ('{"projects": 0}', "whole number of at least 1, not 0"),
        ('{"projects": true}', "not True"),
        ('{"min_test_anomaly": -1}', "at least 0"),
        ('{"max_test_images": 0.5}', "whole number of at least 1"),
        ('{"requests_per_second": 0}', "above 0"),
        ('{"queued_trainings": -1}', "whole number of at least 0"),
        ('{"cancel_trainings": 1}', "must be true or false, not 1"),
    ],
)
def test_a_wrong_quota_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "quotas.json").write_text(text)
    with pytest.raises(UserError) as caught:
        read_quotas(tmp_path)
    assert told in str(caught.value)


def test_a_training_may_be_cancelled_within_the_caller_unless_the_file_says_otherwise(
    world: Any, tmp_path: Path
) -> None:
    assert not world.open(quotas=None).quotas.cancel_trainings
    assert world.open(quotas=None, isolated=False).quotas.cancel_trainings
    (world.state_dir / "quotas.json").write_text('{"cancel_trainings": false}')
    assert not world.open(quotas=None, isolated=False).quotas.cancel_trainings
    (world.state_dir / "quotas.json").write_text(
        '{"cancel_trainings": true, "queued_trainings": 0, "requests_per_second": null}'
    )
    found = world.open(quotas=None).quotas
    assert (found.cancel_trainings, found.queued_trainings) == (True, 0)


def test_calls_in_too_quick_succession_are_throttled(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)  # between retries
    client = world.client(quotas=Quotas(requests_per_second=0.01))
    client.list_projects()
    with pytest.raises(client.exceptions.ThrottlingException) as caught:
        client.list_projects()
    response: Any = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert 90 <= int(response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) <= 100
    assert response["ServiceCode"] == "lookoutvision"
    client.create_project(ProjectName="p")  # each operation has a rate of its own
    inside = world.client(quotas=Quotas(requests_per_second=0.01), isolated=False)
    for _ in range(3):
        inside.list_projects()


def test_a_throttle_fills_evenly() -> None:
    now = 0.0
    throttle = Throttle(2.0, clock=lambda: now)
    throttle.admit("A")
    throttle.admit("A")
    with pytest.raises(Fault) as caught:
        throttle.admit("A")
    assert caught.value.members["RetryAfterSeconds"] == 1
    now = 0.5
    throttle.admit("A")
    with pytest.raises(Fault):
        throttle.admit("A")
    Throttle(None).admit("A")


def admitted(throttle: Throttle, tries: int = 20) -> int:
    """Return how many calls in a row are let through."""
    for count in range(tries):
        try:
            throttle.admit("A")
        except Fault:
            return count
    return tries


def test_a_throttle_lets_a_seconds_worth_through_at_once_however_long_it_was_quiet() -> None:
    now = 0.0
    throttle = Throttle(3.0, clock=lambda: now)
    assert admitted(throttle) == 3
    for quiet in (1.0, 10.0, 86_400.0):
        now += quiet
        assert admitted(throttle) == 3
    now += 0.7  # two calls' worth, and the beginning of a third
    assert admitted(throttle) == 2


def test_a_throttle_of_less_than_a_call_a_second_lets_one_through_at_a_time() -> None:
    now = 0.0
    throttle = Throttle(0.5, clock=lambda: now)
    for _ in range(2):
        assert admitted(throttle) == 1
        now += 1.0
        assert admitted(throttle) == 0
        now += 1.0  # the refused calls took nothing


def test_images_are_never_throttled(trained: Any, world: Any) -> None:
    client = world.client(quotas=Quotas(requests_per_second=0.01))
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            client.detect_anomalies(
                ProjectName="p", ModelVersion="1", Body=b"x", ContentType="image/png"
            )
        assert caught.value.response["Error"]["Code"] == "ConflictException"


def test_the_quotas_reach_the_training_worker(tmp_path: Path) -> None:
    quotas = Quotas(projects=3, requests_per_second=1.5)
    assert quotas_from_json(quotas_to_json(quotas)) == quotas
    assert json.loads(quotas_to_json(quotas))["projects"] == 3
