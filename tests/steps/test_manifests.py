import json
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image as Pillow

from lfvpipe.config.spec import LABELS, Bucket, DefectTypes, Share, Source, Sources, Split
from lfvpipe.engine.outcome import Outcome
from lfvpipe.manifest import exported_entry
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.manifests import ManifestError, ManifestsOutcome, ManifestsStep
from lfvpipe.steps.select.step import SelectStep

Change = Callable[..., Context]


@pytest.fixture
def made(archives: Callable[..., None], picture: Callable[..., bytes]) -> None:
    archives(
        normal={f"a/{n}.png": picture(n) for n in range(20)},
        anomaly={f"b/{n}.png": picture(100 + n) for n in range(10)},
    )


def run(context: Context, work: Any) -> Outcome:
    context.bucket.create()
    work.upstream["select"] = SelectStep(()).act(context, work)
    work.upstream["extract"] = ExtractStep().act(context, work)
    return ManifestsStep().act(context, work)


def lines(context: Context, outcome: Outcome, split: str) -> list[dict[str, Any]]:
    manifest: Any = outcome.facts[split]
    text = context.bucket.get(manifest["key"]).decode()
    found = [json.loads(line) for line in text.splitlines()]
    assert len(found) == manifest["lines"]
    return found


def test_the_manifests_hold_the_documented_lines(changed: Change, work: Any, made: None) -> None:
    context = changed(bucket=Bucket("bucket", prefix="runs/"))
    outcome = run(context, work)
    train, test = lines(context, outcome, "train"), lines(context, outcome, "test")
    assert (len(train), len(test)) == (24, 6)
    line = next(line for line in train if line["anomaly-label-metadata"]["class-name"] == "anomaly")
    assert line["source-ref"].startswith("s3://bucket/runs/anomaly/b/")
    assert line["anomaly-label"] == 1
    assert line["anomaly-label-metadata"] == {
        "confidence": 1,
        "class-name": "anomaly",
        "human-annotated": "yes",
        "creation-date": "2020-11-20T00:00:00.000",
        "type": "groundtruth/image-classification",
    }
    assert outcome.facts["segmentation"] is False
    manifest: Any = outcome.facts["train"]
    assert manifest["key"] == f"runs/manifests/train-{manifest['sha256'][:12]}.manifest"
    assert not [*context.state_dir.glob("manifests/*")]  # which would be looked at by nobody


def test_the_same_images_give_the_same_manifests_and_no_second_upload(
    context: Context, work: Any, made: None
) -> None:
    first, second = run(context, work), run(context, work)
    assert (first.word, second.word) == ("created", "found")
    assert first.digest == second.digest
    assert len(list(context.bucket.list("manifests/"))) == 2


def test_a_single_dataset_has_no_test_manifest(changed: Change, work: Any, made: None) -> None:
    split = Split({label: Share(percent=100) for label in LABELS}, None)
    outcome = run(changed(split=split), work)
    assert outcome.facts["test"] is None


def test_masks_make_it_a_segmentation(
    changed: Change, work: Any, archives: Callable[..., None], picture: Callable[..., bytes]
) -> None:
    import io

    buffer = io.BytesIO()
    mask = Pillow.new("L", (64, 64))
    mask.paste(255, (1, 1, 9, 9))
    mask.save(buffer, "PNG")
    archives(
        normal={f"{n}.png": picture(n) for n in range(5)},
        anomaly={f"{n}.png": picture(10 + n) for n in range(5)},
        anomaly_masks={f"{n}.png": buffer.getvalue() for n in range(5)},
    )
    sources = Sources({"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="m.zip")})
    context = changed(sources=sources)
    outcome = run(context, work)
    assert outcome.facts["segmentation"] is True
    for line in lines(context, outcome, "train"):
        is_anomaly = line["anomaly-label-metadata"]["class-name"] == "anomaly"
        assert ("anomaly-mask-ref" in line) == is_anomaly
        if is_anomaly:
            metadata = line["anomaly-mask-ref-metadata"]
            assert metadata["type"] == "groundtruth/semantic-segmentation"
            assert metadata["internal-color-map"] == {
                "0": {"class-name": "BACKGROUND", "hex-color": "#FFFFFF", "confidence": 0},
                "1": {"class-name": "anomaly", "hex-color": "#23A436", "confidence": 0},
            }


def test_a_type_that_no_mask_shows_stands_beside_the_label_and_is_read_back(
    changed: Change, work: Any, archives: Callable[..., None], picture: Callable[..., bytes]
) -> None:
    archives(
        normal={f"{n}.png": picture(n) for n in range(5)},
        anomaly={f"dent/{n}.png": picture(10 + n) for n in range(5)},
    )
    types = DefectTypes(folder=-1)
    sources = Sources({"normal": Source("n.zip"), "anomaly": Source("a.zip", types=types)})
    context = changed(sources=sources)
    outcome = run(context, work)
    for line in lines(context, outcome, "train"):
        metadata = line["anomaly-label-metadata"]
        is_anomaly = metadata["class-name"] == "anomaly"
        assert metadata.get("defect-type") == ("dent" if is_anomaly else None)
        assert exported_entry(json.dumps(line).encode()).given.type == ("dent" * is_anomaly)


def test_a_line_that_is_too_long_is_an_error(
    context: Context, work: Any, made: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lfvpipe.lookout.rules.MAX_MANIFEST_LINE", 100)
    with pytest.raises(ManifestError, match="characters"):
        run(context, work)


def test_lost_manifests_are_drift_and_destroy_removes_them(
    context: Context, work: Any, made: None
) -> None:
    outcome = run(context, work)
    assert not ManifestsStep().observe(context, outcome)
    removed = ManifestsStep().destroy(context, outcome)
    assert len(removed) == 2
    assert [reason.code for reason in ManifestsStep().observe(context, outcome)] == [
        "drift",
        "drift",
    ]
    assert not ManifestsStep().destroy(context, outcome)


def test_manifests_that_a_local_bucket_lost_are_missed_without_asking_it(
    changed: Change, work: Any, made: None
) -> None:
    context = changed(bucket=Bucket("bucket"))
    outcome = run(context, work)
    assert ManifestsStep().missing(context, outcome) == []
    train: Any = outcome.facts["train"]
    context.bucket.delete([train["key"]])
    (reason,) = ManifestsStep().missing(context, outcome)
    assert (reason.code, reason.subject.endswith(train["key"])) == ("output-missing", True)


def test_destroy_looks_into_the_bucket_that_the_manifests_are_in(
    changed: Change, work: Any, made: None
) -> None:
    before = changed(bucket=Bucket("before"))
    outcome = run(before, work)
    after = changed(bucket=Bucket("after"))
    removed = ManifestsStep().destroy(after, outcome)
    assert sorted(str(name).split("/")[2] for name in removed) == ["before", "before"]
    assert not list(before.bucket.list("manifests/"))


def test_the_mark_that_tells_of_the_manifests_goes_with_them(
    changed: Change, work: Any, made: None
) -> None:
    context = changed(bucket=Bucket("parts", prefix="line-7/"))
    outcome = run(context, work)
    assert [info.key for info in context.bucket.list("line-7/lfvpipe/")] == [
        f"line-7/lfvpipe/pipelines/{work.lineage}.json"
    ]
    ManifestsStep().destroy(context, outcome)
    assert not list(context.bucket.list("line-7/"))


def test_destroy_leaves_manifests_that_were_found_there(
    changed: Change, work: Any, made: None
) -> None:
    context = changed(bucket=Bucket("shared"))
    first = run(context, work)
    work.saved = {}
    second = ManifestsStep().act(context, work)
    assert second.word == "found"
    assert not ManifestsStep().destroy(context, second)
    assert len(ManifestsStep().destroy(context, first)) == 2


def test_what_a_killed_attempt_uploaded_is_known_as_its_own(
    changed: Change, work: Any, made: None
) -> None:
    context = changed(bucket=Bucket("killed"))
    run(context, work)  # the kill comes before its outcome is written down
    renamed = changed(bucket=Bucket("renamed"))
    assert len(ManifestsStep().abandon(renamed, work.saved)) == 2
    again = ManifestsStep().act(context, work)
    assert len(ManifestsStep().destroy(context, again)) == 2


def test_a_half_manifest_in_the_bucket_is_uploaded_again(
    context: Context, work: Any, made: None
) -> None:
    outcome = run(context, work)
    key = ManifestsOutcome.from_json(outcome.facts).by_split["train"].key
    whole = context.bucket.get(key)
    context.bucket.put(key, whole[: len(whole) // 2])
    assert ManifestsStep().act(context, work).word == "created"
    assert context.bucket.get(key) == whole


def test_manifests_in_another_store_are_not_ours_because_those_here_are(
    changed: Change, work: Any, made: None, s3: str
) -> None:
    there = changed(bucket=Bucket("bucket", endpoint=s3))
    run(there, work)  # somebody else's
    work.saved = {}
    work.previous = run(changed(bucket=Bucket("bucket")), work)
    work.saved = {}
    outcome = ManifestsStep().act(there, work)
    assert outcome.word == "found"
    assert ManifestsOutcome.from_json(outcome.facts).ours == ()
    assert ManifestsStep().destroy(there, outcome) == []
