"""Lookout's JSON Lines: written byte by byte as ever, and read back as they were written."""

import json
import string
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfvpipe.manifest import (
    Classification,
    Detection,
    LabelRules,
    Line,
    LineError,
    MapColour,
    ModelName,
    NewLabel,
    Reference,
    creation_date,
    exported_entry,
    mask_reference,
    read_evaluation_line,
    read_line,
    relabel,
    rename_type,
    service_entry,
    training_content,
    write_evaluation_line,
    write_line,
)
from lfvpipe.manifest.labels import epoch_of

DATE = "2020-11-20T00:00:00.000"
NORMAL = (
    '{"source-ref":"s3://bucket/runs/normal/ü 1-abc.png","anomaly-label":0,'
    '"anomaly-label-metadata":{"confidence":1,"class-name":"normal","human-annotated":"yes",'
    '"creation-date":"2020-11-20T00:00:00.000","type":"groundtruth/image-classification"}}'
)
MASKED = (
    '{"source-ref":"s3://bucket/runs/anomaly/ü 1-abc.png","anomaly-label":1,'
    '"anomaly-label-metadata":{"confidence":1,"class-name":"anomaly","human-annotated":"yes",'
    '"creation-date":"2020-11-20T00:00:00.000","type":"groundtruth/image-classification"},'
    '"anomaly-mask-ref":"s3://bucket/runs/masks/ü-1.png","anomaly-mask-ref-metadata":'
    '{"internal-color-map":{"0":{"class-name":"BACKGROUND","hex-color":"#FFFFFF","confidence":0},'
    '"1":{"class-name":"dent","hex-color":"#23A436","confidence":0},'
    '"2":{"class-name":"scratch","hex-color":"#FF0000","confidence":0}},'
    '"type":"groundtruth/semantic-segmentation","human-annotated":"yes",'
    '"creation-date":"2020-11-20T00:00:00.000"}}'
)
EVALUATED = (
    '{"source-ref": "s3://bucket/ü.png", "source-ref-metadata":'
    ' {"creation-date": "2020-11-20T02:17:09.600"}, "anomaly-label": 1,'
    ' "anomaly-label-metadata": {"class-name": "anomaly", "note": [1.5, null]},'
    ' "anomaly-label-detected": 1, "anomaly-label-detected-metadata":'
    ' {"class-name": "anomaly", "confidence": 0.123457,'
    ' "type": "groundtruth/image-classification", "human-annotated": "no",'
    ' "creation-date": "2020-11-20T02:17:09.600",'
    ' "job-name": "training-job/anomaly-detection",'
    ' "model-arn": "arn:aws:lookoutvision:us-east-1:1:model/p/2", "project-name": "p",'
    ' "model-version": "2"}}'
)


def test_a_line_is_written_byte_by_byte_as_the_first_release_wrote_it() -> None:
    normal = Line("s3://bucket/runs/normal/ü 1-abc.png", (Classification("normal", created=DATE),))
    assert write_line(normal) == NORMAL
    classes = {"scratch": "#FF0000", "dent": "#23A436"}
    masked = Line(
        "s3://bucket/runs/anomaly/ü 1-abc.png",
        (Classification("anomaly", created=DATE),),
        (mask_reference("s3://bucket/runs/masks/ü-1.png", classes, DATE),),
    )
    assert write_line(masked) == MASKED
    assert (read_line(NORMAL), read_line(MASKED)) == (normal, masked)


def test_a_line_of_an_evaluation_is_written_as_ever_and_read_back() -> None:
    entry = (
        '{"source-ref":"s3://bucket/ü.png","anomaly-label":1,'
        '"anomaly-label-metadata":{"class-name":"anomaly","note":[1.50,null]}}'
    )
    model = ModelName("arn:aws:lookoutvision:us-east-1:1:model/p/2", "p", "2")
    moment = creation_date(datetime(2020, 11, 20, 2, 17, 9, 600_999, tzinfo=UTC))
    text = write_evaluation_line(entry, Detection(True, 0.12345678), model, moment)
    assert text == EVALUATED
    found = read_evaluation_line(text)
    assert found is not None
    assert (found.image, found.label) == ("s3://bucket/ü.png", "anomaly")
    assert found.detection == Detection(True, 0.123457)


names = st.text(max_size=8)
attributes = st.text(string.ascii_lowercase + "-", min_size=1, max_size=8)
dates = st.none() | names
classifications = st.builds(
    Classification,
    class_name=names,
    # an attribute that is a reference of a mask, or metadata of one, is no label
    attribute=attributes.map(lambda name: f"label-{name}").filter(
        lambda name: not name.endswith(("-ref", "-metadata"))
    ),
    type=st.none() | names,
    created=dates,
    defect=names,
)
colours = st.builds(
    MapColour, class_name=names, colour=names, confidence=st.none() | st.floats(0, 1), number=names
)
references = st.builds(
    Reference,
    address=st.none() | names,
    colours=st.none() | st.lists(colours, unique_by=lambda each: each.number).map(tuple),
    attribute=attributes.map(lambda name: f"{name}-ref").filter(lambda name: name != "source-ref"),
    created=dates,
)
lines = st.builds(
    Line,
    image=st.text(min_size=1),
    classifications=st.lists(classifications, unique_by=lambda each: each.attribute).map(tuple),
    references=st.lists(references, unique_by=lambda each: each.attribute).map(tuple),
)


@given(lines)
def test_what_is_written_is_read(line: Line) -> None:
    assert read_line(write_line(line)) == line
    assert "\n" not in write_line(line)


@pytest.mark.parametrize("text", ["", "{", "[]", '"source-ref"', "null", "[" * 100_000])
def test_what_is_no_object_is_no_line(text: str) -> None:
    for read in (read_line, training_content, read_evaluation_line, _service, _exported):
        with pytest.raises(LineError):
            read(text)


def _service(text: str) -> Any:
    return service_entry(text, longest=8192)


def _exported(text: str) -> Any:
    return exported_entry(text.encode())


def _line(**more: Any) -> str:
    metadata = {"class-name": "anomaly"}
    fields = {"source-ref": "s3://bucket/a.png", "anomaly-label-metadata": metadata}
    return json.dumps(fields | {key.replace("_", "-"): value for key, value in more.items()})


def _masked(*colours: Any, reference: object = "s3://bucket/m.png") -> str:
    metadata = {"internal-color-map": {str(n): colour for n, colour in enumerate(colours)}}
    return _line(anomaly_mask_ref=reference, anomaly_mask_ref_metadata=metadata)


def test_both_kinds_of_readers_take_a_documented_line_alike() -> None:
    background = {"class-name": "BACKGROUND", "hex-color": "#ffffff"}
    text = _masked(background, {"class-name": "dent", "hex-color": "#23a436"})
    entry = _service(text)
    assert (entry.source, entry.label) == ("s3://bucket/a.png", "anomaly")
    assert (entry.mask, entry.mask_classes) == ("s3://bucket/m.png", {"dent": "#23A436"})
    assert _exported(text) == entry


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (_line(source_ref="a.png"), "no object's address: a.png"),
        (_line(source_ref="s3://bucket/"), "no object's address"),
        (_masked({"class-name": "dent", "hex-color": "green"}), "has no hex-color"),
        (_masked({"class-name": "dent", "hex-color": "#23A436"}, reference="m.png"), "-mask-ref"),
    ],
)
def test_the_service_refuses_what_an_export_may_hold(text: str, refusal: str) -> None:
    with pytest.raises(LineError, match=refusal):
        _service(text)
    assert _exported(text).label == "anomaly"


@pytest.mark.parametrize("name", ["normal", " Normal ", "NORMAL"])
def test_both_read_labels_alike(name: str) -> None:
    for kind, label in (
        ("groundtruth/image-classification", "normal"),
        (None, "normal"),
        ("groundtruth/label-verification", None),  # says something about labels, not the image
    ):
        metadata = {"class-name": name, "type": kind}
        text = json.dumps({"source-ref": "s3://bucket/a.png", "x-metadata": metadata})
        assert (_service(text).label, _exported(text).label) == (label, label)


def test_a_map_of_background_alone_is_no_mask() -> None:
    text = _masked({"class-name": "background", "hex-color": "#ffffff"})
    assert (_service(text).mask, _exported(text).mask) == (None, None)


def test_an_evaluation_taken_for_a_manifest_keeps_its_labels_and_its_masks() -> None:
    colours = {"1": {"class-name": "dent", "hex-color": "#23A436"}}
    model = ModelName("arn", "p", "1")
    line = write_evaluation_line(
        _line(
            anomaly_mask_ref="s3://bucket/m.png",
            anomaly_mask_ref_metadata={"internal-color-map": colours},
        ),
        Detection(False, 0.9),
        model,
        "2099-01-01T00:00:00.000",
    )
    for entry in (_service(line), _exported(line)):
        assert (entry.label, entry.mask) == ("anomaly", "s3://bucket/m.png")
        assert not entry.given.overruled


def _chained(*jobs: tuple[str, str | None], **more: Any) -> str:
    """Return a line with an attribute ``job1``, ``job2`` … for each class name and date."""
    fields: dict[str, Any] = {"source-ref": "s3://bucket/a.png"}
    for number, (name, created) in enumerate(jobs, 1):
        fields[f"job{number}-metadata"] = {"class-name": name, "creation-date": created}
    return json.dumps(fields | more)


@pytest.mark.parametrize(
    ("jobs", "label", "overruled", "is_guess"),
    [
        ([("normal", "2020-01-01"), ("anomaly", "2021-01-01")], "anomaly", ("job1",), False),
        ([("normal", "2021-01-01"), ("anomaly", "2020-01-01")], "normal", ("job2",), False),
        ([("normal", "2020-01-01"), ("Normal", "2021-01-01")], "normal", (), False),
        ([("normal", None), ("anomaly", "2020-01-01")], "anomaly", ("job1",), True),
        ([("normal", None), ("anomaly", None)], "normal", ("job2",), True),
        ([("normal", "2020-01-01"), ("unsure", "2021-01-01")], None, ("job1",), False),
        (
            [
                ("normal", "Mon Aug 22 2022 13:52:52 GMT-0700 (Pacific Daylight Time)"),
                ("anomaly", "2022-08-22T20:52:53.000Z"),  # a second later
            ],
            "anomaly",
            ("job1",),
            False,
        ),
    ],
)
def test_the_newest_of_several_labels_counts(
    jobs: list[tuple[str, str | None]],
    label: str | None,
    overruled: tuple[str, ...],
    is_guess: bool,
) -> None:
    text = _chained(*jobs)
    for entry in (_service(text), _exported(text)):
        assert (entry.label, entry.given.overruled) == (label, overruled)
        assert entry.given.is_guess is is_guess


def test_an_attribute_can_be_chosen_and_class_names_mapped() -> None:
    text = _chained(("Scratch ", "2020-01-01"), ("normal", "2021-01-01")).encode()
    rules = LabelRules("job1", {"scratch": "anomaly"})
    given = exported_entry(text, rules).given
    assert (given.label, given.type, given.overruled) == ("anomaly", "Scratch", ())
    assert exported_entry(text, LabelRules("job3")).label is None
    assert exported_entry(text).given.type == ""


def test_the_newest_of_several_masks_counts() -> None:
    colours = {"1": {"class-name": "dent", "hex-color": "#23A436"}}
    old = {"internal-color-map": colours, "creation-date": "2020-01-01"}
    new = {"internal-color-map": colours, "creation-date": "2021-01-01"}
    text = json.dumps(
        {
            "source-ref": "s3://bucket/a.png",
            "first-ref": "s3://bucket/1.png",
            "first-ref-metadata": old,
            "second-ref": "s3://bucket/2.png",
            "second-ref-metadata": new,
            "third-ref": "s3://bucket/3.png",
        }
    )
    assert (_service(text).mask, _exported(text).mask) == ("s3://bucket/2.png",) * 2


@given(st.none() | st.text() | dates)
def test_any_date_is_read_or_none(text: str | None) -> None:
    epoch_of(text)


@pytest.mark.parametrize("key", ["a//b.png", "/a.png", "./a.png", "a/../b.png", "a\tb.png"])
def test_what_s3_takes_as_a_key_is_an_address(key: str) -> None:
    text = _line(source_ref=f"s3://bucket/{key}")
    assert _service(text).source == _exported(text).source == f"s3://bucket/{key}"


def test_a_line_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(LineError, match="has 9 characters; 8 are allowed"):
        service_entry("[" * 9, longest=8)


def test_training_minds_neither_dates_nor_numbers_nor_the_order_of_a_line() -> None:
    old = {"class-name": "anomaly", "creation-date": "2020-01-01", "job-name": "a"}
    new = {"class-name": "anomaly", "confidence": 0.3}
    first = {"source-ref": "s3://bucket/a.png", "anomaly-label": 1, "anomaly-label-metadata": old}
    second = {"auto-label-metadata": new, "source-ref": "s3://bucket/a.png", "auto-label": 0}
    contents = {training_content(json.dumps(each)) for each in (first, second)}
    assert len(contents) == 1


@pytest.mark.parametrize(
    "other",
    [
        _line(source_ref="s3://bucket/b.png"),
        _line(anomaly_label_metadata={"class-name": "normal"}),
        _masked(),
        _masked({"class-name": "dent", "hex-color": "#23A436"}),
    ],
)
def test_another_image_class_mask_or_colour_is_other_content(other: str) -> None:
    base = {training_content(_line()), training_content(_masked({"class-name": "dent"}))}
    assert training_content(other) not in base


def test_a_line_of_odd_values_is_read_and_can_be_compared() -> None:
    odd = _masked({"class-name": ["dent"], "hex-color": 7, "confidence": [1]}, 3, reference=5)
    assert training_content(odd) == training_content(odd)
    assert len({training_content(odd), training_content(_line(source_ref=3))}) == 2


def test_a_line_without_a_detection_is_no_evaluation_and_half_a_detection_is_an_error() -> None:
    assert read_evaluation_line(_line()) is None
    with pytest.raises(LineError, match="without class name and confidence"):
        read_evaluation_line(_line(anomaly_label_detected=1))


def test_dates_are_written_in_utc_without_a_zone() -> None:
    east = timezone(timedelta(hours=2))
    assert creation_date(datetime(2026, 1, 1, 1, tzinfo=east)) == "2025-12-31T23:00:00.000"
    assert creation_date(datetime(2026, 1, 1, 1)) == "2026-01-01T01:00:00.000"


def test_a_line_gets_another_label_and_keeps_all_else() -> None:
    masked = '{"anomaly-mask-ref":"s3://b/m.png","anomaly-mask-ref-metadata":{"type":"x"}}'
    other = '{"checked":1,"checked-metadata":{"class-name":"ok","type":"groundtruth/verification"}}'
    line = json.dumps(json.loads(NORMAL) | json.loads(other) | json.loads(masked) | {"batch": "ü7"})
    second = json.dumps(json.loads(line) | {"again": 1, "again-metadata": {"class-name": "normal"}})

    found = json.loads(relabel(second, NewLabel("anomaly", DATE, "dent")))
    assert found["anomaly-label"] == 1
    assert found["anomaly-label-metadata"]["class-name"] == "anomaly"
    assert found["anomaly-label-metadata"]["defect-type"] == "dent"
    assert "again" not in found
    assert "again-metadata" not in found
    assert (found["batch"], found["checked"]) == ("ü7", 1)
    assert found["anomaly-mask-ref"] == "s3://b/m.png"

    normal = relabel(json.dumps(found), NewLabel("normal", DATE))
    assert "mask" not in normal
    assert "dent" not in normal
    assert service_entry(normal, longest=10_000).label == "normal"
    bare = service_entry(relabel(normal, NewLabel(None, DATE)), longest=10_000)
    assert (bare.label, bare.source) == (None, json.loads(NORMAL)["source-ref"])
    assert relabel(normal, NewLabel("normal", DATE)) == normal


@pytest.mark.parametrize("text", ["[]", "{}", '{"source-ref":""}', "no"])
def test_what_is_no_line_gets_no_label(text: str) -> None:
    with pytest.raises(LineError):
        relabel(text, NewLabel("normal", DATE))


def test_an_anomaly_type_is_renamed_in_labels_and_masks() -> None:
    colours = {"1": {"class-name": "dent", "hex-color": "#23A436"}, "2": {"class-name": "crack"}}
    mask = {"m-ref": "s3://b/m.png", "m-ref-metadata": {"internal-color-map": colours}}
    line = json.dumps(json.loads(relabel(NORMAL, NewLabel("anomaly", DATE, "dent"))) | mask)
    found = json.loads(rename_type(line, "dent", "bump"))
    assert found["anomaly-label-metadata"]["defect-type"] == "bump"
    assert found["m-ref-metadata"]["internal-color-map"] == {
        "1": {"class-name": "bump", "hex-color": "#23A436"},
        "2": {"class-name": "crack"},
    }
    assert json.loads(rename_type(line, "other", "bump")) == json.loads(line)
    with pytest.raises(LineError, match="both dent and crack"):
        rename_type(line, "dent", "crack")
