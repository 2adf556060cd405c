import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image as Pillow

from lfvpipe.config.spec import (
    LABELS,
    Evaluate,
    Images,
    Sample,
    Service,
    Share,
    Source,
    Sources,
    Split,
)
from lfvpipe.dataset.checks.findings import CheckFailed
from lfvpipe.lookout.limits import DOCUMENTED, LIMITS
from lfvpipe.steps.check import CheckStep
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.select.step import SelectStep

Change = Callable[..., Context]


def run(context: Context, work: Any) -> dict[str, dict[str, Any]]:
    """Run select, extract and check; return the findings by code."""
    work.upstream["select"] = SelectStep(()).act(context, work)
    work.upstream["extract"] = ExtractStep().act(context, work)
    outcome = CheckStep().act(context, work)
    assert not list(context.state_root.glob("buckets*"))
    findings: Any = outcome.facts["findings"]
    return {finding["code"]: finding for finding in findings}


def failure(context: Context, work: Any) -> dict[str, str]:
    """Return the messages of a failing check by code."""
    with pytest.raises(CheckFailed) as caught:
        run(context, work)
    assert "Nothing was created" in caught.value.hint
    errors = [finding for finding in caught.value.findings if finding.level == "error"]
    assert all(finding.message in caught.value.message for finding in errors)
    return {finding.code: finding.message for finding in errors}


@pytest.fixture
def pictures(picture: Callable[..., bytes]) -> Callable[..., dict[str, bytes]]:
    """Return a function that makes so many images."""

    def make(count: int, first: int = 0, **options: Any) -> dict[str, bytes]:
        return {f"{n}.png": picture(n, **options) for n in range(first, first + count)}

    return make


@pytest.fixture
def good(pictures: Callable[..., dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    """Enough images of both labels at 80 to 20."""
    return {"normal": pictures(50), "anomaly": pictures(50, 100)}


def test_good_images_pass_without_a_finding(
    context: Context, work: Any, archives: Callable[..., None], good: Any
) -> None:
    archives(**good)
    assert run(context, work) == {}


def test_10_percent_of_dagm_stops_and_says_what_percentage_is_enough(
    changed: Change, work: Any, archives: Callable[..., None], pictures: Any
) -> None:
    archives(normal=pictures(1000), anomaly=pictures(150, 1000))
    service = Service(limits="documented")
    shares = {label: Share(percent=10) for label in LABELS}
    context = changed(sample=Sample(shares), service=service)
    messages = failure(context, work)
    assert list(messages) == ["too-few-images"]
    assert messages["too-few-images"].startswith(
        "3 anomaly images in test, the service needs at least 10: raise sample.percent to 31"
    )
    enough = changed(sample=Sample({label: Share(percent=31) for label in LABELS}))
    assert run(enough, work) == {}
    shares = {label: Share(percent=30) for label in LABELS}
    almost = changed(sample=Sample(shares), service=service)
    assert failure(almost, work).keys() == {"too-few-images"}
    assert run(changed(sample=Sample(shares)), work).keys() == {"few-test-anomaly"}


def test_only_limits_that_are_not_the_usual_ones_are_an_input(changed: Change) -> None:
    def keys(service: Service) -> set[str]:
        return {each.ledger_key for each in CheckStep().inputs(changed(service=service))}

    away = "https://lookout.example.org"
    assert "service.limits" not in keys(Service()) | keys(Service(away, limits="documented"))
    assert "service.limits" in keys(Service(limits="documented"))
    assert "service.limits" in keys(Service(away, limits="open"))


def test_a_single_dataset_needs_20_normal_and_10_anomaly_images(
    changed: Change, work: Any, archives: Callable[..., None], pictures: Any
) -> None:
    split = Split({label: Share(percent=100) for label in LABELS}, None)
    archives(normal=pictures(19), anomaly=pictures(9, 100))
    with pytest.raises(CheckFailed) as caught:
        run(changed(split=split, service=Service(limits="documented")), work)
    text = caught.value.message
    assert "19 normal images in train, the service needs at least 20: add normal images" in text
    assert "9 anomaly images in train, the service needs at least 10" in text
    archives(normal=pictures(20), anomaly=pictures(10, 100))
    assert run(changed(split=split), work) == {}


def test_too_many_images_are_refused(
    changed: Change, work: Any, archives: Callable[..., None], good: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    few = {**LIMITS, "documented": replace(DOCUMENTED, max_train_images=79)}
    monkeypatch.setattr("lfvpipe.dataset.checks.counts.LIMITS", few)
    archives(**good)
    context = changed(service=Service(limits="documented"))
    assert "80 images in train" in failure(context, work)["too-many-images"]


def test_every_unreadable_image_is_told_at_once(
    context: Context, work: Any, archives: Callable[..., None], good: Any
) -> None:
    bad = {f"x{n:02}.png": b"a text file" for n in range(25)}
    archives(normal={**good["normal"], **bad}, anomaly=good["anomaly"])
    message = failure(context, work)["unreadable-images"]
    assert message.startswith("25 images cannot be read")
    (line,) = message.splitlines()[1:]
    assert "x00.png, " in line
    assert " and 5 more: " in line
    assert line.count("is a text file") == 1


def test_unreadable_images_are_told_as_the_reason_for_too_few(
    changed: Change, work: Any, archives: Callable[..., None], good: Any
) -> None:
    context = changed(service=Service(limits="documented"))
    broken = dict.fromkeys(list(good["anomaly"])[:45], b"a text file")
    archives(normal=good["normal"], anomaly={**good["anomaly"], **broken})
    message = failure(context, work)["too-few-images"]
    assert re.search(r"\d of the 10 chosen ones cannot be read; repair or replace them;", message)
    assert "larger part" not in message


def test_mixed_sizes_name_the_remedy_which_works(
    changed: Change, work: Any, archives: Callable[..., None], good: Any, picture: Any
) -> None:
    archives(
        normal={**good["normal"], "odd.png": picture(7, size=(80, 70))}, anomaly=good["anomaly"]
    )
    message = failure(changed(), work)["mixed-sizes"]
    assert "(100 of 64x64, 1 of 80x70)" in message
    assert "images.resize, for instance to 64x64" in message
    found = run(changed(images=Images(resize=(64, 64))), work)
    assert found.keys() == {"mixed-photographs"}
    assert (
        "2 sizes (100 of 64x64, 1 of 80x70), brought to 64x64, each distorted in its way"
        in (found["mixed-photographs"]["message"])
    )
    whole = run(changed(images=Images(resize=(64, 64), fit="contain")), work)
    assert whole["mixed-photographs"]["message"].endswith("brought to 64x64")


@pytest.mark.parametrize(("size", "code"), [((63, 64), "too-small"), ((4097, 64), "too-large")])
def test_sides_out_of_bounds(
    size: tuple[int, int], code: str, context: Context, work: Any, archives: Callable[..., None],
    good: Any, picture: Any,
) -> None:  # fmt: skip
    archives(normal={**good["normal"], "odd.png": picture(7, size=size)}, anomaly=good["anomaly"])
    assert "images.resize" in failure(context, work)[code]


def test_files_over_8_mb(
    context: Context, work: Any, archives: Callable[..., None], good: Any, picture: Any
) -> None:
    archives(
        normal={**good["normal"], "big.png": picture(1) + bytes(9 << 20)}, anomaly=good["anomaly"]
    )
    assert "more than 8 MB" in failure(context, work)["too-many-bytes"]


def test_the_same_picture_in_both_labels_is_an_error_even_in_another_file(
    context: Context, work: Any, archives: Callable[..., None], good: Any
) -> None:
    buffer = io.BytesIO()
    with Pillow.open(io.BytesIO(good["normal"]["1.png"])) as image:
        image.save(buffer, "PNG", compress_level=0)
    archives(normal=good["normal"], anomaly={**good["anomaly"], "copy.png": buffer.getvalue()})
    assert "1 picture is both normal and anomaly" in failure(context, work)["same-image-two-labels"]


def test_the_same_picture_in_two_splits_is_a_warning(
    context: Context, work: Any, archives: Callable[..., None], good: Any
) -> None:
    copies = {f"copy-{name}": data for name, data in good["normal"].items()}
    archives(normal={**good["normal"], **copies}, anomaly=good["anomaly"])
    found = run(context, work)
    assert found["same-image-two-splits"]["level"] == "warning"
    assert any("metrics flatter" in warning for warning in work.warnings)


def structured(seed: int) -> Pillow.Image:
    small = numpy.random.default_rng(seed).integers(0, 256, (12, 12, 3), numpy.uint8)
    return Pillow.fromarray(small).resize((96, 96), Pillow.Resampling.BICUBIC)


def saved(image: Pillow.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_resaved_copies_across_splits_are_a_warning(
    context: Context, work: Any, archives: Callable[..., None]
) -> None:
    normal = {f"{n}.png": saved(structured(n)) for n in range(50)}
    resaved = {f"r{n}.jpg": saved(structured(n), "JPEG", quality=92) for n in range(50)}
    archives(
        normal={**normal, **resaved},
        anomaly={f"{n}.png": saved(structured(n)) for n in range(100, 150)},
    )
    assert run(context, work).keys() == {"near-duplicates"}


def test_equal_pictures_that_occur_several_times_a_split_are_told_as_equal_alone(
    context: Context, work: Any, archives: Callable[..., None]
) -> None:
    normal = {f"{n}-{copy}.png": saved(structured(n)) for n in range(60) for copy in range(4)}
    archives(normal=normal, anomaly={f"{n}.png": saved(structured(n)) for n in range(100, 150)})
    assert run(context, work).keys() == {
        "same-image-two-splits",
        "copies-in-train",
        "copies-in-test",
    }


def test_grey_and_colour_together_are_a_warning_and_convert_settles_it(
    changed: Change, work: Any, archives: Callable[..., None], good: Any, pictures: Any
) -> None:
    grey = pictures(10, 200, mode="L")
    archives(normal=good["normal"] | grey, anomaly=good["anomaly"] | pictures(10, 300, mode="L"))
    assert run(changed(), work).keys() == {"mixed-modes"}
    assert run(changed(images=Images(convert="L")), work) == {}


# --- What differs and is no defect


def taken(
    count: int, first: int, size: tuple[int, int] = (64, 64), kind: str = "PNG", camera: str = ""
) -> dict[str, bytes]:
    """Return photographs as a camera takes them."""
    exif = Pillow.Exif()
    if camera:
        exif[0x010F], exif[0x0110] = camera.split("/")
    return {
        f"{n}.{kind.lower()}": saved(structured(n).resize(size), kind, exif=exif)
        for n in range(first, first + count)
    }


CAMERAS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "size": (
        {"size": (96, 72)},
        {"size": (128, 96)},
        "by size (normal: 30 of 96x72; anomaly: 12 of 128x96).",
    ),
    "format": (
        {},
        {"kind": "JPEG"},
        "by format (normal: 30 PNG; anomaly: 12 JPEG).",
    ),
    "camera": (
        {"camera": "Basler/acA2440"},
        {"camera": "Canon/EOS 5D"},
        "by camera (normal: 30 of Basler acA2440; anomaly: 12 of Canon EOS 5D).",
    ),
    "a camera and none": (
        {},
        {"camera": "Canon/EOS 5D"},
        "by camera (normal: 30 not named; anomaly: 12 of Canon EOS 5D).",
    ),
    "size and format": (
        {"size": (96, 72)},
        {"size": (72, 96), "kind": "JPEG"},
        (
            "by size (normal: 30 of 96x72; anomaly: 12 of 72x96),"
            " format (normal: 30 PNG; anomaly: 12 JPEG)."
        ),
    ),
}


@pytest.mark.parametrize("kind", CAMERAS)
def test_a_camera_that_tells_the_labels_apart_is_told_with_the_counts(
    changed: Change, work: Any, archives: Callable[..., None], kind: str
) -> None:
    normal, anomaly, message = CAMERAS[kind]
    archives(normal=taken(30, 0, **normal), anomaly=taken(12, 100, **anomaly))
    context = changed(images=Images(resize=(64, 64)))
    found = run(context, work)
    told = {code for code in found if not code.startswith(("few-", "changed-", "unseen-"))}
    assert told == {"labels-told-by-camera"}
    assert message in found["labels-told-by-camera"]["message"]
    # All of one label but one is nearly all.
    odd = taken(1, 50, **anomaly)
    archives(normal=taken(29, 0, **normal) | odd, anomaly=taken(12, 100, **anomaly))
    assert "labels-told-by-camera" in run(context, work)


def test_grey_of_one_label_and_colour_of_the_other_tell_them_apart(
    changed: Change, work: Any, archives: Callable[..., None], pictures: Any
) -> None:
    archives(normal=pictures(30), anomaly=pictures(12, 100, mode="L"))
    found = run(changed(), work)
    assert (
        "colour (normal: 30 colour; anomaly: 12 grey)"
        in (found["labels-told-by-camera"]["message"])
    )
    assert "mixed-modes" not in found
    assert "labels-told-by-camera" not in run(changed(images=Images(convert="L")), work)


def test_shapes_alone_tell_labels_apart_where_each_photograph_is_cut_by_hand(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    wide = {k: v for n in range(15) for k, v in taken(1, n, (64 + 4 * n, 48 + 3 * n)).items()}
    high = {k: v for n in range(15) for k, v in taken(1, 100 + n, (72 + 3 * n, 96 + 4 * n)).items()}
    archives(normal=wide, anomaly=high)
    message = run(changed(images=Images(resize=(64, 64))), work)["labels-told-by-camera"]["message"]
    assert "by shape (normal: 15 of 1.33 to 1; anomaly: 15 of 0.75 to 1)" in message


def test_cameras_that_took_both_labels_are_mixed_and_no_trap(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    one, two = {"camera": "Basler/a", "size": (80, 60)}, {"camera": "Canon/b", "size": (96, 72)}
    archives(
        normal=taken(20, 0, **one) | taken(20, 50, **two),  # type: ignore[arg-type]
        anomaly=taken(10, 100, **one) | taken(10, 150, **two),  # type: ignore[arg-type]
    )
    found = run(changed(images=Images(resize=(64, 64))), work)
    mixed = {code for code in found if not code.startswith(("few-", "near-"))}
    assert mixed == {"mixed-photographs", "mixed-cameras"}
    assert "2 cameras (30 of Basler a, 30 of Canon b)" in found["mixed-cameras"]["message"]
    assert "distorted" not in found["mixed-photographs"]["message"]  # of one shape


@pytest.mark.parametrize("odd", [0, 1])
def test_a_size_of_each_photograph_or_of_a_single_defect_tells_nothing(
    changed: Change, work: Any, archives: Callable[..., None], odd: int
) -> None:
    sizes = [(64 + n, 64) for n in range(20)] if not odd else [(64, 64)] * 20
    normal = {k: v for n, size in enumerate(sizes) for k, v in taken(1, n, size).items()}
    anomaly = {k: v for n in range(8) for k, v in taken(1, 100 + n, (64 + n, 64)).items()}
    archives(normal=normal, anomaly=taken(1, 100, (90, 64)) if odd else anomaly)
    found = run(changed(images=Images(resize=(64, 64))), work)
    assert "labels-told-by-camera" not in found


def test_images_to_judge_of_a_shape_that_was_never_learnt_from_are_named(
    changed: Change, work: Any, archives: Callable[..., None]
) -> None:
    odd = saved(structured(300).resize((160, 40)))
    archives(normal=taken(30, 0) | {"odd.png": odd}, anomaly=taken(12, 100))
    images = Images(resize=(64, 64))
    found = run(changed(images=images, evaluate=Evaluate(images=("odd.png", "3.png"))), work)
    told = found["unseen-shape"]
    assert told["message"].startswith("1 image that is to be judged had a size or shape")
    assert "odd.png has another shape, 160x40, than what was learnt from, 64x64" in told["message"]
    assert told["images"] == ["normal/odd.png"]


IGNORED = {0.99: "ignored-most", 0.985: "ignored-most", 0.9: "ignored-much", 0.5: None}


@pytest.mark.parametrize("part", IGNORED)
def test_areas_that_leave_little_to_look_at_are_told_with_the_figure(
    changed: Change, work: Any, archives: Callable[..., None], part: float
) -> None:
    archives(normal=taken(30, 0, (200, 200)), anomaly=taken(12, 100, (200, 200)))
    right = 200 * part - 1  # the corner is painted, too
    images = Images(ignore=(((0.0, 0.0), (right, 0.0), (right, 199.0), (0.0, 199.0)),))
    code = IGNORED[part]
    if code == "ignored-most":
        message = failure(changed(images=images), work)[code]
    else:
        found = run(changed(images=images), work)
        assert code in found if code else not [each for each in found if each.startswith("ign")]
        message = found[code]["message"] if code else ""
    assert f"covers {100 * part:g} % of what a model sees" in message if code else not message


@pytest.mark.parametrize(
    ("polygons", "said"),
    [
        ([(500, 500, 600)], "images.ignore covers nothing of the photographs"),
        ([(10, 10, 60), (500, 500, 600)], "1 polygon covers nothing of the photographs"),
        ([(10, 10, 60)], ""),
    ],
)
def test_ignoring_nothing_is_told(
    polygons: list[tuple[int, int, int]],
    said: str,
    changed: Change,
    work: Any,
    archives: Callable[..., None],
) -> None:
    archives(normal=taken(30, 0, (200, 200)), anomaly=taken(12, 100, (200, 200)))
    ignore = tuple(((x, y), (end, y), (end, end)) for x, y, end in map(tuple, polygons))
    found = run(changed(images=Images(ignore=ignore)), work)
    assert said in found["ignored-nothing"]["message"] if said else "ignored-nothing" not in found


@pytest.mark.parametrize("paint", [(0, 0, 0, 255), (255, 0, 0, 0)])
def test_a_mask_that_paints_nothing_is_told(
    paint: tuple[int, int, int, int],
    changed: Change,
    work: Any,
    archives: Callable[..., None],
    tmp_path: Path,
) -> None:
    archives(normal=taken(30, 0, (96, 96)), anomaly=taken(12, 100, (96, 96)))
    Pillow.new("RGBA", (96, 96), paint).save(tmp_path / "mask.png")
    found = run(changed(images=Images(ignore=str(tmp_path / "mask.png"))), work)
    assert "its mask is black or transparent" in found["ignored-nothing"]["message"]


@pytest.mark.parametrize("kind", ["region", "mask", "text"])
def test_sound_images_that_do_not_fit_are_never_left_out_as_damaged(
    kind: str, changed: Change, work: Any, archives: Callable[..., None], tmp_path: Path
) -> None:
    archives(normal=taken(30, 0, (96, 96)), anomaly=taken(12, 100, (96, 96)))
    mask = tmp_path / "mask.png"
    Pillow.new("L", (96, 97), 255).save(mask)
    if kind == "text":
        mask.write_text("no image")
    images = Images(damaged="leave-out", region=(0, 0, 96, 97))
    if kind != "region":
        images = Images(damaged="leave-out", ignore=str(mask))
    found = failure(changed(images=images), work)
    assert found.keys() == {"unfit-images"}
    assert found["unfit-images"].startswith("42 sound images do not fit images.region or")


def test_a_small_region_is_told(changed: Change, work: Any, archives: Callable[..., None]) -> None:
    archives(normal=taken(30, 0, (96, 96)), anomaly=taken(12, 100, (96, 96)))
    found = run(changed(images=Images(region=(0, 0, 63, 80), resize=(64, 64))), work)
    assert "images.region has 63x80 pixels" in found["small-region"]["message"]
    found = run(changed(images=Images(region=(0, 0, 64, 80), resize=(70, 70))), work)
    assert "small-region" not in found


def test_the_terminal_names_the_first_files_and_where_all_of_them_are(
    context: Context, work: Any, archives: Callable[..., None]
) -> None:
    normal = {f"{n}-{copy}.png": saved(structured(n)) for n in range(60) for copy in range(4)}
    archives(normal=normal, anomaly={f"{n}.png": saved(structured(n)) for n in range(100, 150)})
    found = run(context, work)["same-image-two-splits"]
    assert len(found["images"]) == 10
    (said,) = (each for each in work.warnings if "both in train and in what" in each)
    named = re.search(r"\((normal/\S+ = normal/\S+), .+, .+ and (\d+) more in (\S+)\)$", said)
    assert named is not None
    lines = Path(named[3]).read_text().splitlines()
    first = lines.index(found["message"]) + 1
    last = lines.index("", first)
    assert sum(" = " in line for line in lines[first:last]) == int(named[2]) + 3
    assert f"  {named[1]}" in lines


def test_what_was_changed_is_told(
    context: Context, work: Any, archives: Callable[..., None], good: Any, picture: Any
) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 3
    with Pillow.open(io.BytesIO(picture(900))) as image:
        turned = saved(image, "JPEG", exif=exif)
    archives(
        normal={**good["normal"], "t.jpg": turned, "c.jpg": picture(901, mode="CMYK", kind="JPEG")},
        anomaly=good["anomaly"],
    )
    found = run(context, work)
    assert found["changed-rotated"]["images"] == ["normal/t.jpg"]
    assert found["changed-cmyk"]["images"] == ["normal/c.jpg"]


def test_archives_named_like_the_other_label_are_a_warning(
    context: Context, changed: Change, work: Any, archives: Callable[..., None], good: Any
) -> None:
    archives(**good)
    sources = Sources(
        {"normal": Source("/x/part_defects.zip"), "anomaly": Source("/x/part-ok.zip")}
    )
    assert run(changed(sources=sources), work).keys() == {"labels-swapped"}
    fine = Sources({"normal": Source("/x/ok.zip"), "anomaly": Source("/x/ok_def.zip")})
    assert run(changed(sources=fine), work) == {}


def square(size: tuple[int, int] = (64, 64), box: tuple[int, ...] = (5, 5, 20, 20)) -> bytes:
    mask = Pillow.new("L", size)
    mask.paste(255, box)  # type: ignore[arg-type]  # a box of four
    return saved(mask)


def test_masks_are_held_against_their_images(
    context: Context, changed: Change, work: Any, archives: Callable[..., None], good: Any
) -> None:
    masks = {name: square() for name in good["anomaly"]}
    sources = Sources({"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="m.zip")})
    archives(**good, anomaly_masks=masks)
    assert run(changed(sources=sources), work) == {}
    archives(**good, anomaly_masks={**masks, "100.png": square((32, 32)), "101.png": b"text"})
    found = failure(changed(sources=sources), work)
    assert found.keys() == {"mask-size", "bad-masks"}
    del masks["102.png"]
    archives(**good, anomaly_masks={**masks, "103.png": square(box=(0, 0, 0, 0))})
    assert run(changed(sources=sources), work).keys() == {"no-mask", "empty-masks"}


def test_few_images_of_an_anomaly_type_stop_the_run(
    context: Context, changed: Change, work: Any, archives: Callable[..., None], good: Any
) -> None:
    masks = {name: square() for name in list(good["anomaly"])[:3]}
    sources = Sources({"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="m.zip")})
    archives(**good, anomaly_masks=masks)
    assert "few-of-type" in failure(
        changed(sources=sources, service=Service(limits="documented")), work
    )
