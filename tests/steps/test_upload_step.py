"""Uploading: only what differs, only once, and only ours is taken away again."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.config.spec import Bucket
from lfvpipe.dataset.index import Image, Mask, image_line
from lfvpipe.dataset.lines import write_lines
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Cancelled
from lfvpipe.steps.context import Context
from lfvpipe.steps.upload.outcome import Destination
from lfvpipe.steps.upload.step import UploadStep
from lfvpipe.steps.upload.transfer import Transfer, Wanted, mend
from tests.network import faulty
from tests.outcomes import extract_outcome

STEP = UploadStep()


@pytest.fixture(params=["local", "s3"])
def here(request: pytest.FixtureRequest, changed: Callable[..., Context]) -> Context:
    endpoint = "local" if request.param == "local" else request.getfixturevalue("s3")
    context = changed(bucket=Bucket("parts-images", endpoint=endpoint, prefix="plant/"))
    context.bucket.create()
    return context


def image(context: Context, number: int, *, split: Any = "train", mask: bool = False) -> Image:
    """Write an image file and return its line."""
    data = f"image {number}".encode() * (number + 1)
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"images/{sha256}.png"
    file = context.state_dir / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    key = f"normal/{number}-{sha256[:12]}.png"
    masked = (
        Mask(path, f"masks/{number}-{sha256[:12]}.png", len(data), sha256, {}) if mask else None
    )
    return Image(
        f"normal/{number}.png", "normal", split, f"{number}.png", "normal",
        path, key, len(data), sha256, 64, 64, masked if mask else None,
    )  # fmt: skip


@pytest.fixture
def extracted(here: Context, work: Any) -> Callable[..., None]:
    """Return a function that lets `work` say that these images were extracted."""

    def write(*images: Image) -> None:
        name, digest = write_lines(here.state_dir / "index", map(image_line, images))
        work.upstream["extract"] = extract_outcome(f"index/{name}", digest)

    return write


def keys(context: Context) -> list[str]:
    """Return the keys of the bucket, but for the marks that say whose they are."""
    return sorted(info.key for info in context.bucket.list() if "lfvpipe/" not in info.key)


def counts(outcome: Outcome) -> tuple[Any, ...]:
    return tuple(outcome.facts[name] for name in ("objects", "uploaded", "uploaded_bytes"))


def test_images_and_masks_of_the_datasets_go_up(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    images = [
        image(here, 0, mask=True),
        image(here, 1, split="test"),
        image(here, 2, split="evaluate"),
        image(here, 3, split="unused"),
    ]
    extracted(*images)
    outcome = STEP.act(here, work)
    assert outcome.word == "created"
    wanted = [images[0].key, images[0].mask.key, images[1].key]  # type: ignore[union-attr]  # it has one
    assert keys(here) == sorted(f"plant/{key}" for key in wanted)
    assert here.bucket.get(f"plant/{images[1].key}") == b"image 1image 1"
    assert counts(outcome) == (3, 3, 7 + 7 + 14)


def test_only_what_differs_goes_up(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    images = [image(here, number) for number in range(5)]
    extracted(*images[:3])
    work.previous = STEP.act(here, work)
    here.bucket.put(f"plant/{images[0].key}", b"half")  # not what the index says
    here.bucket.put("plant/theirs.png", b"x")
    here.bucket.put("elsewhere.png", b"x")
    extracted(*images)
    outcome = STEP.act(here, work)
    assert outcome.word == "updated"
    assert counts(outcome)[:2] == (5, 3)
    assert here.bucket.get(f"plant/{images[0].key}") == b"image 0"
    assert {"plant/theirs.png", "elsewhere.png"} <= set(keys(here))
    work.previous = outcome
    again = STEP.act(here, work)
    assert again.word == "unchanged"
    assert counts(again)[:2] == (5, 0)
    assert again.digest == outcome.digest


def test_the_same_image_twice_goes_up_once(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    twin = image(here, 1)
    extracted(twin, replace(twin, id="normal/copy.png"))
    assert counts(STEP.act(here, work))[:2] == (2, 1)


@pytest.fixture
def interrupted(
    here: Context, work: Any, extracted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upload some of 200 images."""
    extracted(*(image(here, number) for number in range(200)))

    def stop(done: int, total: int | None, unit: str, detail: str = "") -> None:
        assert total == 200
        if done == 20:
            raise Cancelled

    with monkeypatch.context() as patch:
        patch.setattr(work, "progress", stop)
        with pytest.raises(Cancelled):
            STEP.act(here, work)
    assert 20 <= len(keys(here)) < 100


@pytest.mark.usefixtures("interrupted")
def test_what_an_attempt_uploaded_that_never_got_done_is_destroyed(
    here: Context, work: Any
) -> None:
    here.bucket.put("plant/theirs.png", b"x")
    (told,) = STEP.abandon(here, work.saved)
    assert str(told).endswith("objects in bucket parts-images")
    assert keys(here) == ["plant/theirs.png"]
    assert STEP.abandon(here, work.saved) == ()


@pytest.mark.usefixtures("interrupted")
def test_after_an_interruption_only_the_rest_goes_up(here: Context, work: Any) -> None:
    there = len(keys(here))
    outcome = STEP.act(here, work)
    assert counts(outcome)[:2] == (200, 200 - there)
    assert len(keys(here)) == 200
    STEP.destroy(here, outcome)
    assert keys(here) == []


def test_only_our_own_objects_are_destroyed(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    ours, theirs = image(here, 1), image(here, 2)
    here.bucket.put(f"plant/{theirs.key}", here.state_dir / theirs.path)
    extracted(ours, theirs)
    outcome = STEP.act(here, work)
    assert counts(outcome)[:2] == (2, 1)
    assert STEP.destroy(here, outcome) == ("1 objects in bucket parts-images",)
    assert keys(here) == [f"plant/{theirs.key}"]
    assert STEP.destroy(here, outcome) == ()


def test_destroying_one_outcome_leaves_what_another_uploaded(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    one, other = image(here, 1), image(here, 2)
    extracted(one)
    first = STEP.act(here, work)
    extracted(other)
    second = STEP.act(here, work)
    assert STEP.destroy(here, first) == ("1 objects in bucket parts-images",)
    assert keys(here) == [f"plant/{other.key}"]
    assert STEP.destroy(here, second) == ("1 objects in bucket parts-images",)
    assert keys(here) == []


def test_what_was_destroyed_and_comes_back_from_elsewhere_is_not_ours(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    one = image(here, 1)
    extracted(one)
    outcome = STEP.act(here, work)
    STEP.destroy(here, outcome)
    here.bucket.put(f"plant/{one.key}", b"theirs")
    assert STEP.destroy(here, outcome) == ()
    assert keys(here) == [f"plant/{one.key}"]


def test_images_that_are_gone_are_drift(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    images = [image(here, number) for number in range(3)]
    extracted(*images)
    outcome = STEP.act(here, work)
    assert STEP.observe(here, outcome) == ()
    here.bucket.delete([f"plant/{images[2].key}"])
    reasons = STEP.observe(here, outcome)
    assert [(reason.code, reason.before, reason.after) for reason in reasons] == [("drift", 3, 2)]


def test_a_local_bucket_that_lost_its_images_is_noticed_without_asking(
    changed: Callable[..., Context], work: Any
) -> None:
    here = changed(bucket=Bucket("parts-images", prefix="plant/"))
    here.bucket.create()
    name, digest = write_lines(here.state_dir / "index", [image_line(image(here, 1))])
    work.upstream["extract"] = extract_outcome(f"index/{name}", digest)
    outcome = STEP.act(here, work)
    assert STEP.missing(here, outcome) == ()
    here.bucket.delete(keys(here))
    assert [reason.code for reason in STEP.missing(here, outcome)] == ["output-missing"]


def test_a_killed_upload_is_ours_all_the_same(
    here: Context, work: Any, extracted: Callable[..., None], tmp_path: Path
) -> None:
    """What a killed attempt put there was noted before; a torn last note is ignored."""
    one = image(here, 1)
    extracted(one)
    outcome = STEP.act(here, work)
    journal = next((here.state_dir / "upload").iterdir())
    with journal.open("a") as file:
        file.write("plant/norm")
    assert STEP.destroy(here, outcome) == ("1 objects in bucket parts-images",)
    assert keys(here) == []


def test_a_torn_note_is_not_taken_for_another_objects_key(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    ours, theirs = image(here, 1), image(here, 2)
    here.bucket.put(f"plant/{theirs.key}", here.state_dir / theirs.path)
    extracted(ours, theirs)
    outcome = STEP.act(here, work)
    journal = next((here.state_dir / "upload").iterdir())
    with journal.open("a") as file:
        file.write(f"plant/{theirs.key}x")  # the crash came before the line's end
    STEP.destroy(here, outcome)
    assert keys(here) == [f"plant/{theirs.key}"]


def test_a_key_is_noted_before_its_upload_begins(context: Context, work: Any) -> None:
    name, digest = write_lines(context.state_dir / "index", [image_line(image(context, 1))])
    to = Destination("local", "us-east-1", "bucket", "plant/", f"index/{name}", digest)
    journal = io.StringIO()
    key, _ = next(Transfer(work, 1, lambda _: False).lacking(Wanted(context, to), journal))
    assert journal.getvalue() == f"{key}\n"


def test_what_was_overwritten_with_as_many_bytes_goes_up_again(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    images = [image(here, number) for number in range(3)]
    extracted(*images)
    work.previous = STEP.act(here, work)
    key = f"plant/{images[1].key}"
    here.bucket.put(key, b"IMAGE 1image 1")
    assert [reason.after for reason in STEP.observe(here, work.previous)] == [2]
    again = STEP.act(here, work)
    assert counts(again)[:2] == (3, 1)
    assert here.bucket.get(key) == b"image 1image 1"
    assert STEP.observe(here, again) == ()


def test_what_an_earlier_version_uploaded_is_found_out_once(
    here: Context, work: Any, extracted: Callable[..., None]
) -> None:
    """No tag was noted: it is held against the file; where it is no digest, the object is read."""
    images = [image(here, number) for number in range(3)]
    extracted(*images)
    work.previous = STEP.act(here, work)
    for file in (here.state_dir / "upload").glob("*.tags"):
        file.write_bytes(b"\xff\xfe torn")
    here.bucket.put(f"plant/{images[1].key}", b"IMAGE 1image 1")
    assert counts(STEP.act(here, work))[:2] == (3, 1)


def test_images_are_looked_at_before_a_training(
    s3: str, changed: Callable[..., Context], work: Any
) -> None:
    """The upload step stands unchanged then, and asks no store."""
    context = changed(bucket=Bucket("parts-images", endpoint=s3, prefix="plant/"))
    context.bucket.create()
    images = [image(context, number) for number in range(3)]
    name, digest = write_lines(context.state_dir / "index", map(image_line, images))
    work.upstream["extract"] = extract_outcome(f"index/{name}", digest)
    work.upstream["upload"] = STEP.act(context, work)
    mend(context, work)
    assert work.warnings == []
    with faulty(s3) as proxy:
        other = changed(bucket=Bucket("parts-images", endpoint=proxy.url, prefix="plant/"))
        work.upstream["upload"] = STEP.act(other, work)
        key = f"plant/{images[1].key}"
        context.bucket.put(key, b"IMAGE 1image 1")
        context.bucket.delete([f"plant/{images[2].key}"])
        mend(other, work)
        proxy.seen.clear()
        mend(other, work)
        assert all("list-type=2" in path for _, path in proxy.seen)
    assert context.bucket.get(key) == b"image 1image 1"
    (warning,) = work.warnings
    assert warning.startswith("Of the images in the bucket 2 were gone or no longer what was upl")
