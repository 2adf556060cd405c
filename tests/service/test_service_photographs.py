"""Photographs as they come, judged by DetectAnomalies and by a component: turned, cut, damaged."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np
import pytest
from botocore.exceptions import ClientError
from PIL import Image

from lfvpipe.images import Geometry
from lfvpipe.lookout.tags import GEOMETRY, split_value

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.lookout.api import LookoutClient

pytestmark = pytest.mark.slow

# The part that is learnt from is 96 by 64 pixels of a photograph of 160 by 120, a corner ignored.
WHOLE, REGION = (160, 120), (40, 30, 96, 64)
SHAPE = Geometry(ignore=(((40, 30), (60, 30), (40, 50)),), region=REGION, seen=WHOLE)
RANDOM = np.random.default_rng(4)


def photograph(*, bad: bool) -> Image.Image:
    pixels = RANDOM.normal(128, 10, (WHOLE[1], WHOLE[0], 3))
    if bad:
        pixels[60:80, 80:100] += 90
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str = "PNG", orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    image.save(file, form, exif=exif)
    return file.getvalue()


def lying(image: Image.Image) -> bytes:
    """Return a photograph as a camera that was held upright stores it."""
    return encoded(image.transpose(Image.Transpose.ROTATE_90), orientation=6)


@dataclass(frozen=True)
class Judges:
    """A model that is hosted, and its component on a device."""

    client: LookoutClient
    device: Path

    def ask(self, body: bytes) -> Any:
        kind = "image/jpeg" if body.startswith(b"\xff\xd8") else "image/png"
        return self.client.detect_anomalies(
            ProjectName="p", ModelVersion="1", Body=body, ContentType=kind
        )["DetectAnomalyResult"]

    def run(self, *bodies: bytes) -> list[dict[str, Any]]:
        names = []
        for number, body in enumerate(bodies):
            names.append(str(self.device / f"{number}.png"))
            (self.device / f"{number}.png").write_bytes(body)
        ran = subprocess.run(
            [sys.executable, "-I", "-B", str(self.device / "run.py"), *names],
            capture_output=True,
            env={k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "HOME"}},
            check=False,
        )
        assert b"Traceback" not in ran.stderr, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture
def judges(world: Any, waits: Any, tmp_path: Path) -> Judges:
    client = world.client(stand_in=None)
    client.create_project(ProjectName="p")
    lines = world.put_images()
    for info in list(world.bucket.list()):
        if info.key.endswith(".png"):
            image = SHAPE.apply(photograph(bad=info.key.startswith("anomaly/")))
            world.bucket.put(info.key, encoded(image))
    source = world.put_manifest(lines)
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    waits.dataset(client)
    tags = split_value(GEOMETRY, SHAPE.as_text())
    client.create_model(
        ProjectName="p",
        OutputConfig={"S3Location": {"Bucket": "bucket"}},
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    waits.model(client)
    client.start_model_packaging_job(
        ProjectName="p",
        ModelVersion="1",
        JobName="job",
        Configuration={
            "Greengrass": {
                "S3OutputLocation": {"Bucket": "bucket", "Prefix": "c/"},
                "ComponentName": "Comp",
                "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
            }
        },
    )
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    while True:
        job = client.describe_model_packaging_job(ProjectName="p", JobName="job")
        if job["ModelPackagingDescription"]["Status"] not in {"CREATED", "RUNNING"}:
            break
    with ZipFile(BytesIO(world.bucket.get("c/Comp-1.0.0.zip"))) as archive:
        archive.extractall(tmp_path / "device")
    return Judges(client, tmp_path / "device")


def chunk(kind: bytes, content: bytes) -> bytes:
    frame = struct.pack(">I", len(content)) + kind + content
    return frame + struct.pack(">I", zlib.crc32(kind + content))


def damaged(png: bytes, jpeg: bytes) -> dict[str, bytes]:
    """Return files of the size of the training images that cannot be read, by what is wrong."""
    data, tables = png.index(b"IDAT"), jpeg.index(b"\xff\xdb")
    frame = jpeg.index(b"\xff\xc0")
    profile = chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"x" * (2 << 20)))
    return {
        "a PNG that is cut off": png[: len(png) // 2],
        "a PNG without pixels": png[: data - 4],
        "a wrong checksum": png[:29] + b"\0\0\0\0" + png[33:],
        "zeros among the pixels": png[: data + 40] + b"\0" * 200 + png[data + 240 :],
        "an unknown compression": png[: data + 4] + b"\xff\xff" + png[data + 6 :],
        "a colour profile that is too long": png[: data - 4] + profile + png[data - 4 :],
        "a JPEG that is cut off": jpeg[: len(jpeg) // 2],
        "a JPEG with a bad table": jpeg[: tables + 4] + b"\xff" + jpeg[tables + 5 :],
        "a JPEG of 12 bits": jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :],
        "a JPEG of no pixels": jpeg[: frame + 5] + b"\0\0" + jpeg[frame + 7 :],
    }


def test_photographs_are_judged_alike_by_service_and_component(judges: Judges) -> None:
    for bad in (False, True):
        whole = photograph(bad=bad)
        cut = SHAPE.apply(whole)
        said = judges.ask(encoded(cut))
        assert said["IsAnomalous"] is bad
        assert judges.ask(lying(cut)) == said  # stored with 64 by 96 pixels
        lines = judges.run(encoded(cut), lying(cut), encoded(whole), lying(whole))
        answers = [line["DetectAnomalyResult"] for line in lines]
        expected = {**said, "Confidence": pytest.approx(said["Confidence"], abs=1e-3)}
        assert answers == [expected] * 4
    # Without its orientation it has another size, and a photograph of another size no such part.
    other = encoded(cut.transpose(Image.Transpose.ROTATE_90))
    with pytest.raises(ClientError, match="64x96 pixels; it must have the size of the training"):
        judges.ask(other)
    wider = encoded(whole.resize((200, 120)))
    assert all("it must have the size" in each["Error"] for each in judges.run(other, wider))

    wrong = damaged(encoded(cut), encoded(cut, "JPEG"))
    for what, body in wrong.items():
        with pytest.raises(ClientError) as caught:
            judges.ask(body)
        told = caught.value.response
        assert told["ResponseMetadata"]["HTTPStatusCode"] == 400, what
        assert told["Error"]["Code"] == "ValidationException", what
    for what, line in zip(wrong, judges.run(*wrong.values()), strict=True):
        assert "Error" in line, what
    assert judges.ask(encoded(cut)) == said  # and goes on
