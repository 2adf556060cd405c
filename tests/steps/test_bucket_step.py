"""The bucket: created or found, and deleted only if it is ours."""

from collections.abc import Callable
from typing import Any

import pytest

from lfvpipe.config.spec import Bucket, Encryption
from lfvpipe.engine.step import Leftover
from lfvpipe.steps.bucket import BucketStep
from lfvpipe.steps.context import Context
from lfvpipe.storage import AccessDenied

STEP = BucketStep()


@pytest.fixture(params=["local", "s3"])
def here(request: pytest.FixtureRequest, changed: Callable[..., Context]) -> Context:
    endpoint = "local" if request.param == "local" else request.getfixturevalue("s3")
    return changed(bucket=Bucket("parts-images", endpoint=endpoint), region="eu-west-1")


def test_a_bucket_that_is_not_there_is_created_and_destroyed(here: Context, work: Any) -> None:
    outcome = STEP.act(here, work)
    assert outcome.word == "created"
    assert outcome.facts["created_by_us"] is True
    assert outcome.facts["region"] == "eu-west-1"
    assert here.bucket.exists()
    assert STEP.observe(here, outcome) == ()
    assert STEP.missing(here, outcome) == ()
    assert STEP.destroy(here, outcome) == ("bucket parts-images",)
    assert not here.bucket.exists()
    assert STEP.destroy(here, outcome) == ()
    assert [reason.code for reason in STEP.observe(here, outcome)] == ["drift"]


def test_what_is_ours_stays_ours(here: Context, work: Any) -> None:
    work.previous = STEP.act(here, work)
    work.saved = {}
    again = STEP.act(here, work)
    assert again.word == "unchanged"
    assert again.facts["created_by_us"] is True
    assert again.digest == work.previous.digest


def test_a_bucket_that_is_there_is_found_and_not_destroyed(here: Context, work: Any) -> None:
    here.bucket.create()
    outcome = STEP.act(here, work)
    assert outcome.word == "found"
    assert outcome.facts["created_by_us"] is False
    assert STEP.destroy(here, outcome) == ()
    assert here.bucket.exists()


def test_a_kill_after_the_creation_does_not_disown_the_bucket(here: Context, work: Any) -> None:
    work.save(creating="parts-images")
    here.bucket.create()
    outcome = STEP.act(here, work)
    assert outcome.word == "created"
    assert outcome.facts["created_by_us"] is True


def test_a_bucket_of_an_attempt_that_was_killed_is_destroyed(
    here: Context, work: Any, changed: Callable[..., Context]
) -> None:
    STEP.act(here, work)  # as if killed behind the creation: nothing but what it saved is known
    renamed = changed(bucket=Bucket("other-images", endpoint=here.pipeline.bucket.endpoint))
    assert STEP.abandon(renamed, work.saved) == ("bucket parts-images",)
    assert not here.bucket.exists()
    assert STEP.abandon(renamed, work.saved) == ()


def test_a_bucket_with_other_peoples_objects_is_said_to_stay(here: Context, work: Any) -> None:
    outcome = STEP.act(here, work)
    here.bucket.put("theirs", b"x")
    why = "it is not empty: it holds theirs"
    assert STEP.destroy(here, outcome) == (Leftover("bucket parts-images", why),)
    for name in ("a", "b", "c", "d"):
        here.bucket.put(name, b"x")
    (left,) = STEP.destroy(here, outcome)
    assert isinstance(left, Leftover)
    assert left.why.endswith(" and more")
    assert left.why.count(",") == 2
    assert here.bucket.get("theirs") == b"x"


def test_another_bucket_is_not_ours_because_the_last_one_was(
    here: Context, work: Any, changed: Callable[..., Context]
) -> None:
    work.previous = STEP.act(here, work)
    work.saved = {}
    spec = Bucket("other-images", endpoint=here.pipeline.bucket.endpoint)
    other = changed(bucket=spec, region="eu-west-1")
    other.bucket.create()
    outcome = STEP.act(other, work)
    assert outcome.word == "found"
    assert outcome.facts["created_by_us"] is False
    # the first one can still be destroyed, though the pipeline names another one now
    assert STEP.destroy(other, work.previous) == ("bucket parts-images",)
    assert not here.bucket.exists()


def test_an_s3_bucket_is_guarded(s3: str, changed: Callable[..., Context], work: Any) -> None:
    outcome = STEP.act(changed(bucket=Bucket("parts-images", endpoint=s3)), work)
    assert outcome.facts["public_access_blocked"] is True
    assert outcome.facts["encryption"] == "AES256"


def test_an_open_bucket_is_found_with_a_warning(
    s3: str, changed: Callable[..., Context], work: Any
) -> None:
    import boto3

    admin = boto3.client("s3", endpoint_url=s3, region_name="us-east-1")
    admin.create_bucket(Bucket="parts-images")
    settings: Any = {"BlockPublicAcls": False, "IgnorePublicAcls": False}
    admin.put_public_access_block(Bucket="parts-images", PublicAccessBlockConfiguration=settings)
    STEP.act(changed(bucket=Bucket("parts-images", endpoint=s3)), work)
    assert "public access" in work.warnings[0]


def test_what_a_store_refuses_of_a_buckets_guards_is_a_warning(
    context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = context.bucket.create
    refused = "The store refused to block public access for s3://bucket (400 InvalidRequest)."
    monkeypatch.setattr(context.bucket, "create", lambda: [*create(), refused])
    assert STEP.act(context, work).word == "created"
    assert work.warnings == [refused]


def test_another_encryption_concerns_the_bucket_alone_and_none_is_no_input(
    s3: str, changed: Callable[..., Context], work: Any
) -> None:
    plain = changed(bucket=Bucket("parts-images", endpoint=s3))
    keyed = changed(bucket=Bucket("parts-images", endpoint=s3, encryption=Encryption("aws:kms")))
    assert len(STEP.inputs(plain)) == 3
    assert len(STEP.inputs(keyed)) == 5
    work.previous = STEP.act(plain, work)
    work.saved = {}
    again = STEP.act(keyed, work)
    assert again.facts["encryption"] == "aws:kms"
    assert again.digest == work.previous.digest
    keyed.bucket.put("key", b"x")
    import boto3

    found = boto3.client("s3", endpoint_url=s3).head_object(Bucket="parts-images", Key="key")
    assert found["ServerSideEncryption"] == "aws:kms"


def test_a_local_bucket_that_is_gone_is_noticed_without_asking(context: Context, work: Any) -> None:
    outcome = STEP.act(context, work)
    (context.buckets_dir / "bucket").rmdir()
    assert [reason.code for reason in STEP.missing(context, outcome)] == ["output-missing"]


def test_a_refused_bucket_that_somebody_else_then_creates_is_found(
    context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses() -> None:
        raise AccessDenied("no")

    with monkeypatch.context() as patched:
        patched.setattr(context.bucket, "create", refuses)
        with pytest.raises(AccessDenied):
            STEP.act(context, work)
    context.bucket.create()
    assert STEP.act(context, work).facts["created_by_us"] is False
