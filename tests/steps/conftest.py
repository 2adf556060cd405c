"""What the tests of the steps share: a pipeline without a file, a context, and a runner's work."""

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy
import pytest
from PIL import Image

from lfvpipe.config.spec import Pipeline
from lfvpipe.engine.outcome import Facts, Json, Outcome
from lfvpipe.steps.context import Context
from tests.outcomes import fetch_outcome
from tests.specs import whole_pipeline


@dataclass
class FakeWork:
    """One attempt, with nothing saved and nobody listening."""

    upstream: dict[str, Outcome] = field(default_factory=dict)
    lineage: str = "of-the-tests"
    fingerprint: str = "f" * 64
    attempt: int = 1
    previous: Outcome | None = None
    saved: Facts = field(default_factory=dict)
    cancelled: Event = field(default_factory=Event)
    warnings: list[str] = field(default_factory=list)
    held: dict[str, Facts] = field(default_factory=dict)

    def token(self, *parts: str) -> str:
        return "-".join(("token", *parts))

    def progress(self, done: int, total: int | None, unit: str, detail: str = "") -> None:
        pass

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def save(self, **facts: Json) -> None:
        self.saved = {**self.saved, **facts}

    def hold(self, key: str, facts: Facts) -> None:
        self.held[key] = facts

    def holds(self, key: str) -> bool:
        return key in self.held

    def release(self, key: str) -> None:
        self.held.pop(key, None)


@pytest.fixture
def work() -> FakeWork:
    return FakeWork()


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A pipeline with archives a.zip and a_def.zip, all of them, 80 to 20."""
    return whole_pipeline(tmp_path)


@pytest.fixture
def context(pipeline: Pipeline, tmp_path: Path) -> Context:
    return Context(pipeline, tmp_path / ".lfvpipe")


@pytest.fixture
def changed(context: Context) -> Callable[..., Context]:
    """Return a function that gives the context with parts of its pipeline changed."""

    def change(**parts: Any) -> Context:
        return Context(replace(context.pipeline, **parts), context.state_root)

    return change


def _picture(
    seed: int, *, size: tuple[int, int] = (64, 64), mode: str = "RGB", kind: str = "PNG"
) -> bytes:
    """Return an image file of noise, different for each seed."""
    noise = numpy.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), numpy.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(name="picture")
def _picture_maker() -> Callable[..., bytes]:
    """Return a function that makes an image file of noise from a seed."""
    return _picture


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a zip archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def archives(tmp_path: Path, work: FakeWork) -> Callable[..., None]:
    """Return a function that writes archives and lets `work` say that they were fetched."""

    def write(**members: Mapping[str, bytes]) -> None:
        for name, files in members.items():
            source = name.replace("_", "-")
            path = zipped(tmp_path / f"{source}.zip", files)
            work.upstream[f"fetch:{source}"] = fetch_outcome(path, source)

    return write
