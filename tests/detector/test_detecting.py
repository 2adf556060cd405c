"""What a user asks of the detector: verdicts, confidence, where, and the same again tomorrow."""

import hashlib
import io
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lfvpipe.detector import (
    DetectorError,
    Example,
    Model,
    Settings,
    TrainingCancelled,
    Verdict,
    load,
    train,
)

pytestmark = pytest.mark.slow

FAST = Settings(sides=(128,), views=2)
# Where it is not what the networks learn that is shown.
FASTER = replace(FAST, looks=2, steps=20)


def verdicts(model: Model, examples: list[Example]) -> list[Verdict]:
    return [model.detect(example.path) for example in examples]


def test_labelled_anomalies_are_told_from_normals(supervised: Model, product: Any) -> None:
    bad = verdicts(supervised, product.anomaly[12:])
    good = verdicts(supervised, product.normal[14:])
    assert all(each.is_anomalous for each in bad)
    assert not any(each.is_anomalous for each in good)
    assert supervised.info.kind == "supervised"
    assert supervised.info.counts == {"normal": 14, "anomaly": 12}
    assert supervised.info.image_size == (128, 128)
    assert supervised.info.scores["auroc"] > 0.9
    assert 0 <= supervised.info.scores["brier"] < 0.1
    assert 0 <= supervised.info.scores["calibration_error"] < 0.2
    assert supervised.info.warnings == ()


def test_confidence_is_in_the_verdict(supervised: Model, product: Any) -> None:
    for each in verdicts(supervised, [*product.anomaly[12:], *product.normal[14:]]):
        assert 0.5 <= each.confidence <= 1
        assert each.is_anomalous == (each.probability >= 0.5)
        assert each.confidence == max(each.probability, 1 - each.probability)
        assert each.anomalies == ()
        assert each.mask_png is None


def test_training_tells_what_it_said_of_its_images_out_of_fold(
    supervised: Model, product: Any, tmp_path: Path
) -> None:
    told = {each.path: each for each in supervised.out_of_fold}
    examples = [*product.normal, *product.anomaly]
    known = {example.path: example.label for example in examples}
    assert {path: each.label for path, each in told.items() if path in known} == {
        path: label for path, label in known.items() if path in told
    }
    assert len(told) == len(supervised.out_of_fold) == sum(supervised.info.counts.values())
    called = [(each.probability >= 0.5) == (each.label == "anomaly") for each in told.values()]
    assert sum(called) >= 0.8 * len(called)
    supervised.save(tmp_path / "model.lfv")
    assert load(tmp_path / "model.lfv").out_of_fold == ()


def test_normals_alone_find_what_is_unusual_and_say_what_they_miss(
    novelty_only: Model, product: Any
) -> None:
    assert novelty_only.info.kind == "novelty"
    assert [each.code for each in novelty_only.info.warnings] == ["normals-only"]
    found = sum(each.is_anomalous for each in verdicts(novelty_only, product.anomaly))
    assert found >= 18
    assert sum(each.is_anomalous for each in verdicts(novelty_only, product.normal[16:])) <= 1


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_anomalies_are_no_worse_than_none(product: Any, count: int) -> None:
    model = train([*product.normal[:16], *product.anomaly[:count]], FAST)
    assert [each.code for each in model.info.warnings] == ["few-anomalies"]
    assert sum(each.is_anomalous for each in verdicts(model, product.anomaly[4:])) >= 14


def test_masks_make_verdicts_name_anomalies(segmenting: Model, product: Any) -> None:
    assert segmenting.info.segmentation
    for example, verdict in zip(
        product.masked[12:], verdicts(segmenting, product.anomaly[12:]), strict=True
    ):
        assert verdict.anomalies[0].name == "background"
        assert verdict.anomalies[0].color == "#FFFFFF"
        assert sum(each.fraction for each in verdict.anomalies) == pytest.approx(1)
        assert verdict.mask_png is not None
        mask = Image.open(io.BytesIO(verdict.mask_png))
        assert mask.mode == "RGB"  # the guide's script blends it with the photograph as it is
        drawn = np.asarray(mask)
        truth = np.asarray(Image.open(example.mask).convert("RGB")).any(-1)
        assert drawn.shape == (128, 128, 3)
        assert (drawn != 255).any(-1)[truth].mean() > 0.5
        assert (drawn != 255).any(-1)[~truth].mean() < 0.1
        name = example.path.name.split("-")[0]
        assert max(verdict.anomalies[1:], key=lambda each: each.fraction).name == name
    clean = segmenting.detect(product.normal[-1].path)
    assert clean.anomalies[0].fraction > 0.99


def test_colours_that_no_class_declares_are_background(product: Any, tmp_path: Path) -> None:
    undeclared = [
        replace(each, mask_classes={"scratch": each.mask_classes["scratch"]})
        for each in product.masked[:12]
    ]
    model = train([*product.normal[:14], *undeclared], FASTER)
    assert list(model.classes) == ["scratch"]


def test_the_heat_map_points_at_the_defect(supervised: Model, product: Any) -> None:
    hits = 0
    for example in product.masked[12:]:
        heat = supervised.detect(example.path).heat_map
        assert heat is not None
        assert heat.dtype == np.float32
        assert heat.min() >= 0
        assert heat.max() <= 1
        truth = Image.open(example.mask).convert("L").resize(heat.shape[::-1])
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        hits += bool(np.asarray(truth)[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any())
    assert hits >= 6


@pytest.mark.parametrize("name", ["supervised", "segmenting", "novelty_only"])
def test_a_saved_model_says_the_same(
    name: str, request: pytest.FixtureRequest, product: Any, tmp_path: Path
) -> None:
    model: Model = request.getfixturevalue(name)
    model.save(tmp_path / "model.lfv")
    again = load(tmp_path / "model.lfv")
    assert again.info == model.info
    for example in (product.normal[-1], product.anomaly[-1]):
        first, second = model.detect(example.path), again.detect(example.path.read_bytes())
        assert first.probability == second.probability
        assert first.mask_png == second.mask_png


ANOTHER_PROCESS = """
import json, sys
from pathlib import Path
from lfvpipe.detector import Example, Settings, train
facts = json.load(sys.stdin)
examples = [
    Example(Path(path), label, mask and Path(mask), classes)
    for path, label, mask, classes in facts["examples"]
]
settings = facts["settings"] | {"sides": tuple(facts["settings"]["sides"])}
del settings["pixels"]  # none are set, and JSON has no dataclasses
train(examples, Settings(**settings)).save(Path(facts["model"]))
"""


def test_the_same_data_and_seed_give_the_same_file(product: Any, tmp_path: Path) -> None:
    examples = [*product.normal[:8], *product.masked[:8]]
    train(examples, replace(FASTER, threads=1)).save(tmp_path / "a")
    facts = {
        "examples": [
            (str(e.path), e.label, str(e.mask) if e.mask else None, dict(e.mask_classes))
            for e in reversed(examples)
        ],
        "settings": asdict(replace(FASTER, threads=3)),
        "model": str(tmp_path / "b"),
    }
    command = [sys.executable, "-c", ANOTHER_PROCESS]
    subprocess.run(command, input=json.dumps(facts), text=True, check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _newer(data: bytes) -> bytes:
    return data[:8] + (999).to_bytes(4, "little") + data[12:]


def _older(data: bytes) -> bytes:
    return data[:8] + (1).to_bytes(4, "little") + data[12:]


def seal(data: bytes, text: bytes) -> bytes:
    """Return a model file with another header, and the digest that belongs to it."""
    (length,) = struct.unpack_from("<I", data, 12)
    text += b" " * (-(48 + len(text)) % 64)
    head = data[:12] + struct.pack("<I", len(text))
    blob = data[48 + length :]
    return head + hashlib.sha256(head + text + blob).digest() + text + blob


def forge(data: bytes, change: Callable[[Any], None]) -> bytes:
    (length,) = struct.unpack_from("<I", data, 12)
    header = json.loads(data[48 : 48 + length])
    change(header)
    return seal(data, json.dumps(header).encode())


def first_array(header: Any) -> Any:
    return next(iter(header["arrays"].values()))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_newer, "newer lfvpipe"),
        (_older, "older lfvpipe"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data[:2000] + b"x" + data[2001:], "damaged"),
        (lambda data: data[:12] + bytes([data[12] ^ 16]) + data[13:], "damaged"),
        (lambda data: forge(data, lambda header: header["arrays"].clear()), "damaged"),
        (lambda data: forge(data, lambda header: header.update(arrays=[])), "damaged"),
        (lambda data: forge(data, lambda header: header.update(sides=[64])), "damaged"),
        (
            lambda data: forge(data, lambda header: first_array(header).update(offset=-8)),
            "damaged",
        ),
        (
            lambda data: forge(data, lambda header: first_array(header).update(shape=[-1])),
            "damaged",
        ),
        (lambda data: seal(data, b"[" * 200_000), "damaged"),
        (lambda data: b"not a model" * 100, "not a model file"),
        (lambda data: b"", "cannot be read"),
    ],
)
def test_a_bad_model_file_is_a_clear_error(
    supervised: Model, tmp_path: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    path = tmp_path / "model.lfv"
    supervised.save(path)
    data = path.read_bytes()
    bad = tmp_path / "bad.lfv"
    bad.write_bytes(spoil(data))
    with pytest.raises(DetectorError, match=message):
        load(bad)


def test_a_model_that_does_without_the_finer_usual_side_is_read_again(
    product: Any, tmp_path: Path
) -> None:
    examples = [*product.normal[:8], *product.anomaly[:8]]
    train(examples, replace(FAST, sides=(64, 96))).save(tmp_path / "model.lfv")
    assert load(tmp_path / "model.lfv").info.sides == (64,)


def test_progress_is_told_and_training_stops_when_asked(product: Any) -> None:
    examples = [*product.normal[:8], *product.masked[:8]]
    told: list[tuple[str, int, int]] = []
    train(examples, FASTER, progress=lambda *facts: told.append(facts))
    assert {stage for stage, _, _ in told} == {
        "images",
        "features at 128 px",
        "drawn defects at 128 px",
        "memory bank at 128 px",
        "local evidence at 128 px",
        "places",
        "fine-tuning at 128 px",
        "segmentation",
    }
    assert all(0 <= done <= total for _, done, total in told)
    moments = iter(range(1000))
    with pytest.raises(TrainingCancelled):
        train(examples, FASTER, cancelled=lambda: next(moments) > 4)


def test_a_few_anomalies_leave_a_model_of_normals_as_it_is(product: Any) -> None:
    none = train(product.normal[:10], FAST)
    few = train([*product.normal[:10], *product.anomaly[:3]], FAST)
    image = product.anomaly[5].path
    # Sums may end in other last digits.
    assert few.detect(image).probability == pytest.approx(none.detect(image).probability)
    assert [each.code for each in few.info.warnings if "anomal" in each.code] == ["few-anomalies"]


def test_training_without_normals_is_refused(product: Any) -> None:
    with pytest.raises(DetectorError, match="at least 2 normal"):
        train(product.anomaly, FAST)


def test_copies_of_one_normal_image_are_refused(product: Any) -> None:
    with pytest.raises(DetectorError, match="5 normal images are copies of one image"):
        train([product.normal[0]] * 5 + product.anomaly[:3], FAST)


def test_an_unreadable_image_is_named(product: Any, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DetectorError, match=r"text\.png"):
        train([*product.normal[:4], Example(tmp_path / "text.png", "normal")], FAST)


def test_an_unknown_label_is_refused(product: Any) -> None:
    odd = [Example(each.path, "defective") for each in product.anomaly[:3]]  # type: ignore[arg-type]
    with pytest.raises(DetectorError, match="'defective'"):
        train([*product.normal[:4], *odd], FAST)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("sides", (100.5,)),
        ("sides", ()),
        ("sides", (32,)),
        ("threads", 0),
        ("views", 5),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_any_work(name: str, value: Any) -> None:
    with pytest.raises(DetectorError, match=name):
        replace(FAST, **{name: value})


def test_a_mask_of_another_size_is_refused(product: Any, tmp_path: Path) -> None:
    Image.new("RGB", (128, 30)).save(tmp_path / "mask.png")
    wrong = replace(product.masked[0], mask=tmp_path / "mask.png")
    with pytest.raises(DetectorError, match="128 by 30 pixels, its image 128 by 128"):
        train([*product.normal[:4], wrong], FAST)


def test_a_type_of_two_colours_is_refused(product: Any) -> None:
    other = replace(product.masked[0], mask_classes={"scratch": "#0000FF"})
    with pytest.raises(DetectorError, match="scratch has two colours"):
        train([*product.normal[:4], *product.masked[:2], other], FAST)


def test_a_few_masks_on_a_texture_give_a_model_that_draws_masks(product: Any) -> None:
    sides = Settings(sides=(64, 96, 128), views=1)
    model = train([*product.normal[:10], *product.masked[:3]], sides)
    assert model.info.kind == "novelty"
    assert model.detect(product.masked[4].path).mask_png


FORKED = """
import os
from lfvpipe.detector.threads import blas_on_one_thread
with blas_on_one_thread():
    pass
child = os.fork()
with blas_on_one_thread():
    pass
if child:
    raise SystemExit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_child_can_judge_too() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)
