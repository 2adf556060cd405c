"""A pipeline that was run on archives with ten wrong labels, and the command line to go on."""

from __future__ import annotations

import io
import json
import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lfvpipe.dataset.book import Book
from lfvpipe.dataset.index import Image as Indexed
from lfvpipe.dataset.index import Mask
from lfvpipe.dataset.kept import digest_of
from lfvpipe.engine.ledger import Ledger
from lfvpipe.images import examine
from lfvpipe.report.records import Verdict
from lfvpipe.review.app import application
from lfvpipe.review.detected import Photographs
from lfvpipe.review.pictures import Drawing, Pictures
from lfvpipe.review.queue import Item, Queue
from lfvpipe.review.session import Review
from tests import workshop
from tests.outcomes import model_outcome
from tests.workshop import Folder, picture, write_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfvpipe.config.spec import Label

PIPELINE = """\
sources:
  normal: {archive: good.zip}
  anomaly: {archive: bad.zip}
  labels: reviewed.jsonl
split: {train: 50, test: 50}
evaluate: {images: ["good/0.png", "good/1.png", "bad/0.png"]}
"""
MISLABELLED = tuple(f"good/{number}.png" for number in range(30, 40))  # they have scratches


@dataclass(frozen=True)
class Plant(Folder):
    """A folder with archives, a pipeline file and what runs of it left."""

    @property
    def state_dir(self) -> Path:
        """The pipeline's own state."""
        return self.folder / ".lfvpipe" / "pipeline"

    @property
    def labels(self) -> Path:
        """The labels file that the pipeline names."""
        return self.folder / "reviewed.jsonl"

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs lfvpipe with these words."""
        return workshop.command(*words)

    def environment(self) -> dict[str, str]:
        """Return the environment that finds the package."""
        return workshop.environment()

    def outcome(self, step: str) -> Any:
        """Return the facts of the outcome at which a step stands."""
        record = Ledger.load(self.state_dir / "ledger.json").standing_record("default", step)
        assert record is not None
        assert record.outcome is not None
        return record.outcome.facts

    def index(self) -> dict[str, Any]:
        """Return the present index by member."""
        lines = (self.state_dir / self.outcome("extract")["index"]).read_text().splitlines()
        return {line["member"]: line for line in map(json.loads, lines)}

    def decisions(self) -> list[Any]:
        """Return the lines of the labels file."""
        return [json.loads(line) for line in self.labels.read_text().splitlines()]

    def entries(self, split: str) -> dict[str, str]:
        """Ask the embedded service, as any client would, for the classes by object name."""
        pages = self.client().get_paginator("list_dataset_entries")
        found = {}
        for page in pages.paginate(ProjectName="pipeline", DatasetType=split):
            for entry in map(json.loads, page["DatasetEntries"]):
                name = entry["source-ref"].partition("/good/")[2] or entry["source-ref"]
                found[name] = entry["anomaly-label-metadata"]["class-name"]
        return found


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the pipeline was run once; do not change it."""
    folder = tmp_path_factory.mktemp("plant")
    write_archive(folder / "good.zip", "good", 40, spoilt=MISLABELLED)
    write_archive(folder / "bad.zip", "bad", 21, spoilt=True)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    done = Plant(folder).lfvpipe("run")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def plant(first_run: Path, tmp_path: Path) -> Plant:
    """Return a copy of the folder of the first run."""
    folder = tmp_path / "plant"
    shutil.copytree(first_run, folder)
    return Plant(folder)


@dataclass(frozen=True)
class Desk:
    """A review that is being served, without any run behind it.

    Attributes:
        address: The page's, with the token.
        labels: The labels file.
    """

    address: str
    labels: Path

    def decisions(self) -> list[Any]:
        """Return the lines of the labels file; none if it is not there."""
        lines = self.labels.read_text().splitlines() if self.labels.exists() else []
        return [json.loads(line) for line in lines]


CLASSES = {"scratch": "#23A436", "stain": "#D62728"}
ORIGIN = "0" * 63


def _items(state_dir: Path, count: int, *, masks: bool) -> list[Item]:
    """Return items whose images exist; every third verdict is wrong, confidence falls."""
    items = []
    (state_dir / "images").mkdir(parents=True)
    for number in range(count):
        path = f"images/{number}.png"
        (state_dir / path).write_bytes(picture(str(number), spoilt=number % 2 == 0))
        label: Label = "anomaly" if number % 2 == 0 else "normal"
        mask = _mask(state_dir, number) if masks and number == 0 else None
        image = Indexed(f"{label}/p/{number}.png", label, "test", f"p/{number}.png", label, path,
                        f"{label}/p/{number}-0.png", 1, str(number), 64, 64, mask)  # fmt: skip
        anomalous = (label == "anomaly") != (number % 3 == 0)
        verdict = Verdict(image.id, image.member, label, anomalous, 0.9 - number / 100)
        items.append(Item(image, verdict, f"{ORIGIN}{number:x}"))
    return items


def _as_detected(item: Item, state_dir: Path) -> Item:
    file = state_dir / item.image.path
    name = f"reviewed-images/{file.name}"
    image = replace(item.image, label=None, split="unused", source="files", member=name)
    return replace(item, image=image, origin=digest_of(file.read_bytes()), file=file)


def _mask(state_dir: Path, number: int) -> Mask:
    drawn = Image.new("RGB", (64, 64), "white")
    drawn.paste((35, 164, 54), (2, 2, 12, 12))
    drawn.save(state_dir / f"images/mask-{number}.png")
    return Mask(f"images/mask-{number}.png", "masks/0.png", 1, "0", {"scratch": "#23A436"})


class FakePictures(Pictures):
    """Draws a heat map without a model: the part that answers slowly is not what is tested."""

    def __init__(self) -> None:
        super().__init__(Path("none"))

    def _draw(self, image: Path | bytes) -> Drawing:
        buffer = io.BytesIO()
        Image.new("RGBA", (8, 8), (255, 0, 0, 120)).save(buffer, "PNG")
        return Drawing(buffer.getvalue(), None)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Return a function that serves a review of some images and says where."""
    from lfvpipe.service.http.server import Server, listen

    running: list[tuple[Server, threading.Thread]] = []

    def start(
        *,
        count: int = 6,
        masks: bool = False,
        who: str = "Ana",
        unused: int = 0,
        advice: str = "",
        detected: bool = False,
    ) -> Desk:
        number = len(running)
        state_dir = tmp_path / f"state-{number}"
        items = _items(state_dir, count, masks=masks)
        for n, item in enumerate(items[:unused]):
            items[n] = replace(item, image=replace(item.image, split="unused"))
        if detected:
            items = [_as_detected(item, state_dir) for item in items]
        queue = Queue(
            tuple(items),
            CLASSES if masks else {},
            model_outcome(),
            0.75,
            of_detected=detected,
            normal=tuple(item.image for item in items) if not detected else (),
        )
        labels = tmp_path / "reviewed.jsonl"
        review = Review(
            queue,
            Book(labels),
            state_dir,
            FakePictures(),
            who,
            "demo",
            advice,
            photographs=Photographs(examine),
            folder=tmp_path,
        )
        listener = listen("127.0.0.1", 0)
        ready = threading.Event()
        app = application(review, "the-token")
        server = Server(app, listener, on_ready=ready.set)
        thread = threading.Thread(target=server.serve_until_stopped)
        thread.start()
        running.append((server, thread))
        assert ready.wait(60)
        return Desk(f"http://127.0.0.1:{server.port}/the-token/", labels)

    yield start
    for server, thread in running:
        server.stop()
        thread.join()
