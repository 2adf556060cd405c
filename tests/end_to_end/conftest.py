"""A workshop: small archives, and pipeline files beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.workshop import Folder, write_archive

if TYPE_CHECKING:
    from pathlib import Path

# Four labelled anomalies to train on: from five on networks learn, which takes five times as long.
PIPELINE = """\
sources:
  normal: {archive: good.zip}
  anomaly: {archive: bad.zip}
sample: {normal: {percent: 50}, anomaly: {count: 8}}
split: {train: 50, test: 50}
evaluate: {images: [good/0.png, bad/0.png]}
"""


@dataclass(frozen=True)
class Workshop(Folder):
    """A folder with archives in which the command line is used."""

    def write(self, text: str = PIPELINE, name: str = "pipeline.yaml") -> Path:
        """Write a pipeline file."""
        path = self.folder / name
        path.write_text(text)
        return path

    def bucket(self) -> dict[str, int]:
        """Return the objects of all local buckets: when each was last written, in ns, by name.

        Left out are the marks that say whose they are.
        """
        folder = self.folder / ".lfvpipe" / "buckets"
        files = {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.is_file()
        }
        return {
            name: path.stat().st_mtime_ns for name, path in files.items() if "/lfvpipe/" not in name
        }

    def test_images(self, project: str = "pipeline") -> list[str]:
        """Return the names, within their archives, of the images that the model is tested on."""
        pages = self.client().get_paginator("list_dataset_entries")
        found = pages.paginate(ProjectName=project, DatasetType="test")
        lines = [json.loads(line) for page in found for line in page["DatasetEntries"]]
        objects = ["/".join(line["source-ref"].split("/")[-2:]) for line in lines]
        return [f"{name.rpartition('-')[0]}.png" for name in objects]  # their digests apart

    def models(self, project: str = "pipeline") -> list[dict[str, Any]]:
        """Ask the embedded service, as any client would, for the project's models, oldest first."""
        found = self.client().list_models(ProjectName=project)["Models"]
        return sorted((dict(row) for row in found), key=lambda row: int(row["ModelVersion"]))


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with good.zip and bad.zip, 42 images each."""
    folder = tmp_path_factory.mktemp("archives")
    write_archive(folder / "good.zip", "good", 42, spoilt=False)
    write_archive(folder / "bad.zip", "bad", 42, spoilt=True)
    return folder


@pytest.fixture
def workshop(tmp_path: Path, archives: Path) -> Workshop:
    """Return a workshop with both archives and no pipeline file yet."""
    for archive in archives.iterdir():
        (tmp_path / archive.name).write_bytes(archive.read_bytes())
    return Workshop(tmp_path)
