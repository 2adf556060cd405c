"""A project with data sets and a trained model, for tests of what people do with a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy

from tests.service.conftest import ColourModel, Waits, World

if TYPE_CHECKING:
    import pytest

    from lfvpipe.detector import Verdict

    from .conftest import Offered


def train(offered: Offered, project: str = "p") -> World:
    """Give a project six normal and four anomalous images, and a model; return where they lie."""
    world = World(offered.root, offered.buckets)
    world.bucket.create()
    client = offered.client()
    client.create_project(ProjectName=project)
    source = world.put_manifest(world.put_images())
    for kind in ("train", "test"):
        client.create_dataset(ProjectName=project, DatasetType=kind, DatasetSource=source)
        Waits().dataset(client, kind, project)
    add_model(offered, project)
    return world


def add_model(offered: Offered, project: str = "p") -> str:
    """Train a version of a project; return its number."""
    client = offered.client()
    made = client.create_model(
        ProjectName=project, OutputConfig={"S3Location": {"Bucket": "bucket", "Prefix": "out/"}}
    )
    version: str = made["ModelMetadata"]["ModelVersion"]
    Waits().model(client, version, project)
    return version


def draw_heat_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests' model see evidence in the upper left corner."""
    judge = ColourModel.detect

    def detect(self: ColourModel, image: Any) -> Verdict:
        heat = numpy.zeros((8, 8), numpy.float32)
        heat[:4, :4] = 1
        return replace(judge(self, image), heat_map=heat)

    monkeypatch.setattr(ColourModel, "detect", detect)
