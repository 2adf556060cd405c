"""The usual start: photographs of good products and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lfvpipe.config import load
from tests.workshop import picture

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Workshop


def photographs(workshop: Workshop, name: str, count: int, *, spoilt: bool = False) -> None:
    folder = workshop.folder / name
    folder.mkdir()
    for number in range(count):
        file = folder / f"{number}.png"
        file.write_bytes(picture(f"{name} {number}", spoilt=spoilt))


def test_thirty_good_images_make_a_model_a_report_and_verdicts(workshop: Workshop) -> None:
    photographs(workshop, "photos", 30)
    assert workshop.lfvpipe("init", "--normal", "photos").code == 0
    said = workshop.lfvpipe("run")
    assert said.code == 0, said.err
    assert "cannot be told: no defective image to test on" in said.out
    assert "of 6 good images called anomalous; with 95 % confidence" in said.out
    assert "a guess from good images alone" in said.out
    pipeline = load(workshop.folder / "pipeline.yaml").pipeline
    (model,) = workshop.models(pipeline.project)
    assert model["Status"] == "TRAINED"
    assert "Performance" not in model
    state = workshop.folder / ".lfvpipe" / pipeline.name
    (file,) = (state / "runs").glob("*.json")
    run = json.loads(file.read_text("utf-8"))
    assert run["model"]["f1"] is None
    assert run["model"]["service_metrics"] == {}
    page = (state / "report.html").read_text("utf-8")
    assert "What this report can tell, and what it cannot" in page
    assert 'class="overlay heat"' in page

    assert "nothing changed" in workshop.lfvpipe("run").out
    for command in ("status", "history", "plan", "report"):
        looked = workshop.lfvpipe(command)
        assert looked.code == 0, looked.err
        assert "nan" not in looked.out.lower().split()

    photographs(workshop, "new", 4)
    photographs(workshop, "scratched", 4, spoilt=True)
    good, bad = (
        workshop.lfvpipe("detect", "--json", f"{name}/*.png") for name in ("new", "scratched")
    )
    for said, least in ((good, 0), (bad, 3)):
        assert said.code == 0, said.err
        assert said.out.count('"is_anomalous": true') >= least


@pytest.mark.parametrize("count", [2, 5])
def test_very_few_good_images_make_a_model_too(count: int, workshop: Workshop) -> None:
    photographs(workshop, "photos", count)
    assert workshop.lfvpipe("init", "--normal", "photos").code == 0
    said = workshop.lfvpipe("run")
    assert said.code == 0, said.err
    assert "cannot be told" in said.out


def test_copies_of_one_image_teach_nothing_and_are_refused(workshop: Workshop) -> None:
    photographs(workshop, "photos", 1)
    for number in (1, 2):
        (workshop.folder / "photos" / f"{number}.png").write_bytes(
            (workshop.folder / "photos" / "0.png").read_bytes()
        )
    assert workshop.lfvpipe("init", "--normal", "photos").code == 0
    said = workshop.lfvpipe("run")
    assert said.code == 1
    assert "copies of one image" in said.err


@pytest.mark.parametrize("anomalies", [1, 5])
def test_a_few_defects_beside_them_are_tested_on(anomalies: int, workshop: Workshop) -> None:
    photographs(workshop, "photos", 30)
    photographs(workshop, "photos_def", anomalies, spoilt=True)
    assert workshop.lfvpipe("init", "photos", "photos_def").code == 0
    said = workshop.lfvpipe("run")
    assert said.code == 0, said.err
    images = "image" if anomalies == 1 else "images"
    assert f"of {anomalies} defective {images} called normal; with 95 % confidence" in said.out
    assert "recall" in said.out
