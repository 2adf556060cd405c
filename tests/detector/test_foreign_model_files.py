"""Model files of strangers: what their headers and arrays claim is held to what can be.

Digests are those of what is in the file, so that nothing of it is refused by them. More with
``LFVPIPE_MUTATIONS=20000``.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import struct
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lfvpipe.detector import load, model_file
from lfvpipe.detector.backbone import checkpoint
from lfvpipe.detector.blending import Blend
from lfvpipe.detector.ensemble import Ensemble
from lfvpipe.detector.errors import DetectorError
from lfvpipe.detector.fine_tuning.graphs import new_heads, pretrained
from lfvpipe.detector.heads.fine_tuned import FineTunedHead
from lfvpipe.detector.likeness import Likeness
from lfvpipe.detector.scale import Scale
from tests.detector.test_old_models import FIXTURES, photograph
from tests.mutations import MUTATIONS, mutate_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE = photograph(50)[0]
BODY = 48


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return model files that have every kind of part between them."""
    old = lzma.decompress((FIXTURES / "model-0.1.0.lfv.xz").read_bytes())
    path = tmp_path_factory.mktemp("models") / "model.lfv"
    path.write_bytes(old)
    model = load(path)
    learning, fixed = pretrained(checkpoint.read())
    network = {**learning, **fixed, **new_heads(np.random.default_rng(1))}
    head = FineTunedHead((network, network), np.zeros(2), np.ones(2))
    ones = np.ones(480, np.float32)
    scale = Scale(64, (head,), None, Likeness(ones, ones, 1.0, 4.0, 1.0))
    one = np.ones(1)
    ensemble = Ensemble((scale,), (("fine_tuned", 64),), Blend(one * 0, one, one))
    replace(model, ensemble=ensemble, segmenter=None).save(path)
    return [old, path.read_bytes()]


def split(data: bytes) -> tuple[Any, bytes]:
    """Return a model file's header and the arrays behind it."""
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[BODY : BODY + length]), data[BODY + length :]


def seal(header: Any, arrays: bytes) -> bytes:
    """Return a model file whose digest is right."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-(BODY + len(text)) % 64)
    head = struct.pack("<8sII", model_file.MAGIC, model_file.VERSION, len(text))
    return head + hashlib.sha256(head + text + arrays).digest() + text + arrays


def judge(data: bytes, folder: Path) -> str:
    """Return what is said of a file that cannot be used; "" where it judges an image."""
    path = folder / "model.lfv"
    path.unlink(missing_ok=True)  # the file before is mapped still
    path.write_bytes(data)
    try:
        load(path).detect(IMAGE)
    except DetectorError as error:
        return error.message
    return ""


def test_whole_files_judge(files: list[bytes], tmp_path: Path) -> None:
    for data in files:
        header, arrays = split(data)
        assert judge(seal(header, arrays), tmp_path) == ""


def test_headers_that_lie_are_refused(files: list[bytes], tmp_path: Path) -> None:
    refused: list[str] = []
    for data in files:
        header, arrays = split(data)
        refused += [
            judge(seal(changed, arrays), tmp_path)
            for changed in mutate_json(header, MUTATIONS // 4)
        ]
    assert sum(map(bool, refused)) > len(refused) // 2
    assert [said for said in refused if said and not said.endswith(".")] == []


def spoilt(arrays: bytes, count: int) -> Iterator[bytes]:
    """Yield arrays in some of which numbers are others, up to the largest that there are."""
    random = np.random.default_rng(4)
    values = np.array([0, -1, 1e30, -1e30, 3e38, 1e-40, np.nan, np.inf], "<f4")
    for _ in range(count):
        changed = np.frombuffer(arrays, "<f4").copy()
        start = int(random.integers(0, len(changed)))
        length = int(random.choice([1, 100, 10_000, len(changed)]))
        changed[start : start + length] = random.choice(values)
        yield changed.tobytes()


def test_arrays_of_any_numbers_are_refused_or_judge(files: list[bytes], tmp_path: Path) -> None:
    for data in files:
        header, arrays = split(data)
        for changed in spoilt(arrays, MUTATIONS // 20):
            judge(seal(header, changed), tmp_path)


def first(header: Any) -> Any:
    """Return how its first array is described."""
    return next(iter(header["arrays"].values()))


LIES: dict[str, Any] = {
    "petabytes": lambda h: first(h).update(shape=[1 << 50]),
    "more than numbers hold": lambda h: first(h).update(shape=[1 << 33] * 2),
    "many dimensions": lambda h: first(h).update(shape=[1] * 65),
    "a size of none": lambda h: first(h).update(shape=[0, 1 << 60]),
    "a type of objects": lambda h: first(h).update(dtype="|O"),
    "a type that is a list": lambda h: first(h).update(dtype=["<f4"]),
    "a place that is none": lambda h: first(h).update(offset=1.0),
    "a side of a million": lambda h: h.update(sides=[1_000_000]),
    "a scale without end": lambda h: h.update(sides=[64] * 100_000),
    "no number": lambda h: h["calibration"].update(slope=float("nan")),
    "a threshold of one": lambda h: h["calibration"].update(threshold=1.0),
    "classes of another number": lambda h: h["classes"].update(
        {f"{n}": "#000000" for n in range(9)}
    ),
    "a colour that is none": lambda h: h["classes"].update(stain="red"),
    "a picture of no size": lambda h: h["info"].update(image_size=[0, 0]),
    "a surrogate": lambda h: h["info"]["warnings"].append({"code": "\ud800", "message": ""}),
    "a part of nobody": lambda h: h["heads"].append(["nobody", 64]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_is_told(lie: Any, files: list[bytes], tmp_path: Path) -> None:
    header, arrays = split(files[0])
    lie(header)
    assert "is damaged: " in judge(seal(header, arrays), tmp_path)


def test_a_geometry_that_asks_for_too_much_is_refused(files: list[bytes], tmp_path: Path) -> None:
    from lfvpipe.images import Geometry

    for wrong in (
        Geometry(size=(1_000_000, 1_000_000)),
        Geometry(region=(0, 0, 0, 5)),
        Geometry(ignore=(((0.0, 0.0), (1e308, 1e308), (float("inf"), 0.0)),)),
        Geometry(seen=(-1, 5), region=(0, 0, 16, 16)),
    ):
        header, arrays = split(files[0])
        header["info"]["settings"]["geometry"] = wrong.as_text()
        assert "is damaged" in judge(seal(header, arrays), tmp_path)


def test_random_bytes_are_no_model(files: list[bytes], tmp_path: Path) -> None:
    for text in (b"", b"[]", b"null", b"{}", b'{"arrays": []}', b"[" * 100_000, b"\xff" * 64):
        assert "is damaged" in judge(seal(text, b""), tmp_path)
    with suppress(DetectorError):
        load(tmp_path)
