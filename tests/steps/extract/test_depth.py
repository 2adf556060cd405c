"""Grey of more than 8 bits: one white level for all photographs of a product."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from lfvpipe.config.spec import Images
from lfvpipe.dataset.checks.findings import CheckFailed
from lfvpipe.dataset.index import read_index, read_notes
from lfvpipe.images import read_image
from lfvpipe.steps.check import CheckOutcome, CheckStep
from lfvpipe.steps.extract import preparation
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.select.step import SelectStep
from tests.images.photographs import chunk, deep_png, photograph

if TYPE_CHECKING:
    from lfvpipe.engine.outcome import Outcome
    from lfvpipe.steps.context import Context

Archives = Callable[..., None]


def run(context: Context, work: Any) -> Outcome:
    work.upstream["select"] = SelectStep(()).act(context, work)
    work.upstream["extract"] = outcome = ExtractStep().act(context, work)
    assert not ExtractStep().missing(context, outcome)
    return outcome


def brightness(context: Context, outcome: Outcome) -> dict[str, int]:
    images = read_index(context.state_dir / str(outcome.facts["index"]))
    return {
        image.id: int(np.asarray(read_image(context.state_dir / image.path).image)[0, 0].max())
        for image in images
    }


def flat(level: int) -> bytes:
    return deep_png(np.full((64, 64), level, np.uint16))


def test_all_are_as_bright_as_the_deepest_says(
    context: Context, work: Any, archives: Archives, picture: Callable[..., bytes]
) -> None:
    archives(normal={"1.png": flat(500), "2.png": flat(3000)}, anomaly={"3.png": picture(3)})
    outcome = run(context, work)
    assert outcome.facts["white"] == 4095
    seen = brightness(context, outcome)
    assert (seen["normal/1.png"], seen["normal/2.png"]) == (31, 187)
    assert outcome.facts["new"] == 3
    assert run(context, work).facts["new"] == 0


def test_a_deeper_photograph_that_comes_later_changes_all(
    context: Context, work: Any, archives: Archives, picture: Callable[..., bytes]
) -> None:
    archives(normal={"1.png": flat(500)}, anomaly={"3.png": picture(3)})
    assert run(context, work).facts["white"] == 1023
    archives(normal={"1.png": flat(500), "2.png": flat(3000)}, anomaly={"3.png": picture(3)})
    outcome = run(context, work)
    assert (outcome.facts["white"], outcome.facts["new"]) == (4095, 2)
    assert brightness(context, outcome)["normal/1.png"] == 31


def test_a_depth_that_is_declared_counts(
    changed: Callable[..., Context],
    work: Any,
    archives: Archives,
    picture: Callable[..., bytes],
) -> None:
    archives(normal={"1.png": flat(500)}, anomaly={"3.png": picture(3)})
    context = changed(images=Images(depth=12))
    outcome = run(context, work)
    assert (outcome.facts["white"], brightness(context, outcome)["normal/1.png"]) == (4095.0, 31)


def test_plain_photographs_leave_no_word_of_it(
    context: Context, work: Any, archives: Archives, picture: Callable[..., bytes]
) -> None:
    archives(normal={"1.png": picture(1)}, anomaly={"3.png": picture(3)})
    outcome = run(context, work)
    assert "white" not in outcome.facts
    notes = (context.state_dir / str(outcome.facts["notes"])).read_text()
    assert all("levels" not in json.loads(line) for line in notes.splitlines())
    inputs = ExtractStep().inputs(context)
    assert {getattr(each, "key", "") for each in inputs} <= {
        "images.resize", "images.convert", "preparation", "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (Images(depth=16), "images.depth is 16; set it to auto"),
        (Images(), "set images.depth to the bits that the camera fills"),
    ],
)
def test_few_levels_stop_the_run(
    images: Images,
    advice: str,
    changed: Callable[..., Context],
    work: Any,
    archives: Archives,
) -> None:
    random = np.random.default_rng(1)
    top = 4096 if images.depth else 40
    base = 0 if images.depth else 60_000

    def dim(count: int, first: int) -> dict[str, bytes]:
        return {
            f"{n}.png": deep_png((base + random.integers(0, top, (64, 64))).astype(np.uint16))
            for n in range(first, first + count)
        }

    archives(normal=dim(50, 0), anomaly=dim(50, 100))
    context = changed(images=images)
    run(context, work)
    with pytest.raises(CheckFailed, match="too few to see a defect by") as caught:
        CheckStep().act(context, work)
    assert advice in caught.value.message


@pytest.mark.parametrize("dark_label", ["normal", "anomaly", None])
def test_raw_12_bits_among_16_stop_the_run(
    dark_label: str | None, context: Context, work: Any, archives: Archives
) -> None:
    random = np.random.default_rng(1)

    def taken(count: int, label: str) -> dict[str, bytes]:
        return {
            f"{n}.png": deep_png(random.integers(0, 4096 if dark else 65_536, (64, 64), np.uint16))
            for n in range(count)
            for dark in (n % 2 if dark_label is None else label == dark_label,)
        }

    archives(normal=taken(30, "normal"), anomaly=taken(30, "anomaly"))
    run(context, work)
    with pytest.raises(CheckFailed, match="levels or fewer, too few") as caught:
        CheckStep().act(context, work)
    assert "these fill 12 bits and the others fill 16 bits" in caught.value.message
    dark = {"normal": "30 of 30 normal, 0 of", "anomaly": "0 of 30 normal, 30 of 30 anomaly"}
    assert dark.get(str(dark_label), "15 of 30 normal, 15 of 30 anomaly") in caught.value.message
    assert "images.depth" in caught.value.message


def test_a_reason_for_few_levels_never_denies_itself(
    context: Context, work: Any, archives: Archives
) -> None:
    random = np.random.default_rng(1)
    full = [deep_png(random.integers(0, 65_536, (64, 64), np.uint16)) for _ in range(20)]
    # Few levels as they are, of all 16 bits; and raw ones of 12 and 14 bits.
    few = [deep_png(random.choice([100, 65_000], (64, 64)).astype(np.uint16)) for _ in range(6)]
    raw = [deep_png(random.integers(0, top, (64, 64), np.uint16)) for top in (4096, 5000)]
    anomaly = {f"{n}.png": data for n, data in enumerate(few)}
    archives(normal={f"{n}.png": data for n, data in enumerate(full)}, anomaly=anomaly)
    run(context, work)
    with pytest.raises(CheckFailed, match=r"too few to see a defect by\. All have") as caught:
        CheckStep().act(context, work)
    assert "raise the exposure or the contrast" in caught.value.message
    archives(
        normal={f"{n}.png": data for n, data in enumerate(full)},
        anomaly=anomaly | {f"raw{n}.png": data for n, data in enumerate(raw)},
    )
    run(context, work)
    with pytest.raises(CheckFailed, match="export all with one depth") as caught:
        CheckStep().act(context, work)
    assert (
        "2 of them look dark beside the others: those fill 12 to 14 bits and the others fill 16"
        in (caught.value.message)
    )


def test_one_dark_photograph_of_many_is_a_warning(
    context: Context, work: Any, archives: Archives
) -> None:
    random = np.random.default_rng(1)
    full = [deep_png(random.integers(0, 65_536, (64, 64), np.uint16)) for _ in range(60)]
    normal = {f"{n}.png": data for n, data in enumerate(full[:30])}
    archives(
        normal={**normal, "dark.png": flat(3)},
        anomaly={f"{n}.png": data for n, data in enumerate(full[30:])},
    )
    run(context, work)
    findings = CheckOutcome.from_json(CheckStep().act(context, work).facts).findings
    (told,) = (each for each in findings if each.code == "few-levels")
    assert (told.level, told.images) == ("warning", ("normal/dark.png",))
    assert "1 level," in told.message


def test_a_depth_that_goes_with_the_label_is_told(
    context: Context, work: Any, archives: Archives
) -> None:
    random = np.random.default_rng(1)
    tops = {"normal": 65_536, "anomaly": 16_384}
    archives(
        **{
            label: {
                f"{n}.png": deep_png(random.integers(0, top, (64, 64), np.uint16))
                for n in range(30)
            }
            for label, top in tops.items()
        }
    )
    run(context, work)
    findings = CheckOutcome.from_json(CheckStep().act(context, work).facts).findings
    (told,) = (each for each in findings if each.code == "labels-told-by-camera")
    assert "normal: 30 of 16 bits; anomaly: 30 of 14 bits" in told.message


def test_16_bit_colour_of_few_levels_is_told_to_be_exported_anew(
    context: Context, work: Any, archives: Archives
) -> None:
    def colour(seed: int) -> bytes:
        samples = np.random.default_rng(seed).integers(0, 4096, (64, 64, 3)).astype(">u2")
        rows = b"".join(b"\0" + row.tobytes() for row in samples)
        header = struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0)
        parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in parts)

    archives(
        normal={f"{n}.png": colour(n) for n in range(50)},
        anomaly={f"{n}.png": colour(n) for n in range(100, 150)},
    )
    run(context, work)
    with pytest.raises(CheckFailed, match="high byte is used; export them with 8 bits"):
        CheckStep().act(context, work)


@pytest.mark.parametrize(("colour", "samples"), [(2, 3), (4, 2)])
def test_16_bits_beside_depth_are_told_to_go_by_their_high_byte(
    colour: int, samples: int, context: Context, work: Any, archives: Archives
) -> None:
    def deep(seed: int) -> bytes:
        drawn = np.random.default_rng(seed).integers(0, 65536, (64, 64, samples)).astype(">u2")
        rows = b"".join(b"\0" + row.tobytes() for row in drawn)
        header = struct.pack(">IIBBBBB", 64, 64, 16, colour, 0, 0, 0)
        parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in parts)

    archives(
        normal={f"{n}.png": deep(n) for n in range(50)},
        anomaly={f"{n}.png": deep(n) for n in range(100, 150)},
    )
    run(context, work)
    findings = CheckOutcome.from_json(CheckStep().act(context, work).facts).findings
    (found,) = (each for each in findings if each.code == "high-byte")
    assert "100 images have 16 bits a sample in colour or beside transparency" in found.message


@pytest.mark.parametrize(
    ("kind", "file_format"),
    [("RGB", "BMP"), ("L", "TIFF"), ("RGB", "WEBP"), ("12", "TIFF"), ("RGBA", "TIFF")],
)
def test_what_the_service_does_not_take_becomes_a_png_without_loss(
    kind: str, file_format: str, context: Context, work: Any, archives: Archives
) -> None:
    suffix = {"TIFF": "tif", "WEBP": "webp", "BMP": "bmp"}[file_format]
    data = {f"{n}.{suffix}": photograph(kind, file_format, 1, n).data for n in range(3)}
    archives(normal=data, anomaly=data)
    outcome = run(context, work)
    rules = context.pipeline.images.rules(outcome.facts.get("white"))  # type: ignore[arg-type]
    images = list(read_index(context.state_dir / str(outcome.facts["index"])))
    assert len(images) == 6
    for image in images:
        file = context.state_dir / image.path
        assert file.suffix == ".png"
        raw = read_image(data[image.member], rules).image
        assert np.array_equal(np.asarray(Pillow.open(file)), np.asarray(raw))
    notes = read_notes(context.state_dir / str(outcome.facts["notes"]))
    assert all("format" in note.changes for note in notes)


def test_damaged_images_are_left_out_and_counted_where_that_is_wanted(
    changed: Callable[..., Context],
    work: Any,
    archives: Archives,
    picture: Callable[..., bytes],
) -> None:
    whole = {f"{n}.png": picture(n) for n in range(50)}
    damaged = picture(99)
    damaged = damaged[:29] + bytes([damaged[29] ^ 1]) + damaged[30:]  # the header's checksum
    archives(
        normal={**whole, "x.png": damaged},
        anomaly={f"{n}.png": picture(n) for n in range(100, 150)},
    )
    context = changed()
    run(context, work)
    with pytest.raises(CheckFailed, match=r"normal/x.png: is truncated or damaged") as caught:
        CheckStep().act(context, work)
    assert "images.damaged: leave-out" in caught.value.message
    context = changed(images=replace(context.pipeline.images, damaged="leave-out"))
    assert run(context, work).facts["unreadable"] == 1
    findings: Any = CheckStep().act(context, work).facts["findings"]
    (found,) = findings
    assert (found["code"], found["level"]) == ("left-out-images", "warning")
    assert "1 image cannot be read, and was left out" in found["message"]
    assert found["images"] == ["normal/x.png"]


def test_a_newer_preparation_that_changes_nothing_leaves_the_index_as_it_was(
    context: Context,
    work: Any,
    archives: Archives,
    picture: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archives(normal={"1.png": picture(1)}, anomaly={"3.png": picture(3)})
    before = run(context, work)
    monkeypatch.setattr(preparation, "VERSION", preparation.VERSION + 1)
    after = run(context, work)
    assert after.facts["new"] == 2
    assert after.identity == before.identity
