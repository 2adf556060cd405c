"""The page that says how to ask a model: its programs are run, and images are tried."""

from __future__ import annotations

import runpy
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lfvpipe.console.snippets import Target, snippets
from tests.service.conftest import GREEN, RED, Waits, picture

from .conftest import KEYS, Offered, pages
from .models import add_model, draw_heat_maps, train

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Person

USE = pages("projects", "p", "use")
TRY = pages("projects", "p", "models", "1", "try")


def send(person: Person, image: bytes, path: str = TRY) -> tuple[int, dict[str, object]]:
    answer = person.http.post(
        f"{person.base}{path}",
        content=image,
        headers={
            "origin": person.base,
            "accept": "application/json",
            "x-lfvpipe-csrf": person.form_token(),
        },
    )
    return answer.status_code, answer.json()


def program(offered: Offered, name: str, *, is_hosted: bool) -> str:
    target = Target(offered.url, "us-east-1", "ADA", "p", "1", is_hosted, "local")
    return dict(snippets(target))[name]


def test_the_python_program_on_the_page_starts_the_model_and_asks_it(
    offered: Offered,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(offered)
    client = offered.client()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LFVPIPE_SECRET", "ada's secret")
    (tmp_path / "image.jpg").write_bytes(picture(RED, form="JPEG"))
    for is_hosted in (False, True):
        text = program(offered, "python", is_hosted=is_hosted)
        (tmp_path / "ask.py").write_text(text, "utf-8")
        runpy.run_path(str(tmp_path / "ask.py"))
        # Beside a server without a log of its own, which prints requests.
        assert capsys.readouterr().out.splitlines()[-1].startswith("anomalous 0.9")
    client.stop_model(ProjectName="p", ModelVersion="1")


def test_programs_have_the_servers_address_and_names_and_only_hosted_models_are_just_asked(
    offered: Offered,
) -> None:
    person = offered.person("VIC")
    offered.client().create_project(ProjectName="p")
    assert "There is no trained model yet" in person.get(USE).text
    offered.client().delete_project(ProjectName="p")
    train(offered)
    text = person.get(USE).text
    assert f"AWS_ENDPOINT_URL_LOOKOUTVISION={offered.url}" in text
    assert "--project-name p --model-version 1" in text
    assert "AWS_ACCESS_KEY_ID=VIC" in text
    assert KEYS["VIC"].secret not in unescape(text)  # the secret is shown nowhere
    assert text.count("start-model") == 1
    add_model(offered)
    assert "--model-version 2" in person.get(USE).text  # the newest
    assert "--model-version 1" in person.get(f"{USE}?version=1").text
    offered.client().start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    Waits().hosting(offered.client())
    hosted = person.get(USE).text
    assert "--model-version 1" in hosted
    assert "start-model" not in hosted
    assert "stop-model" in hosted
    for unknown in ("3", "x", "<b>"):
        assert person.get(f"{USE}?version={unknown}").status_code == 404
    assert person.get(pages("projects", "q", "use")).status_code == 404


def test_the_pipeline_on_the_page_is_a_pipeline(offered: Offered, tmp_path: Path) -> None:
    from lfvpipe.cli.main import main

    for label, colour in (("normal", GREEN), ("anomaly", RED)):
        folder = tmp_path / "images" / label
        folder.mkdir(parents=True)
        for number in range(12):
            (folder / f"{number}.png").write_bytes(picture((*colour[:2], number)))
    file = tmp_path / "p.yaml"
    file.write_text(program(offered, "pipeline", is_hosted=True), "utf-8")
    assert yaml.safe_load(file.read_text())["service"] == {"endpoint": offered.url}
    assert main(["validate", str(file)]) == 0


def test_an_image_is_tried_with_a_model_that_nobody_hosts(
    offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(offered)
    draw_heat_maps(monkeypatch)
    viewer = offered.person("VIC")
    status, said = send(viewer, picture(RED))
    assert status == 200
    assert said["anomalous"] is True
    assert said["said"] == "Anomalous, confidence 90.0%"
    assert str(said["heat"]).startswith("data:image/webp;base64,")
    assert send(viewer, picture(GREEN, form="JPEG"))[1]["said"] == "Normal, confidence 90.0%"
    blue = send(viewer, picture((0, 0, 200)))[1]
    assert blue["notes"] == ["The image is not like the training images: the verdict is a guess."]
    model = offered.client().describe_model(ProjectName="p", ModelVersion="1")
    assert model["ModelDescription"]["Status"] == "TRAINED"


def test_a_decision_beside_the_model_decides_here_too(offered: Offered) -> None:
    train(offered)
    client = offered.client()
    described = client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]
    tags: Any = [{"Key": "lfvpipe:decision", "Value": "0.95 0.05:0.5"}]
    client.tag_resource(ResourceArn=described["ModelArn"], Tags=tags)
    said = send(offered.person("VIC"), picture(RED))[1]
    assert said["said"] == "Normal, confidence 10.0%"
    said = send(offered.person("VIC"), picture(GREEN))[1]
    assert said["notes"] == ["By the model's decision, a person is to look at this one."]


@pytest.mark.parametrize(
    ("image", "path", "status", "says"),
    [
        (b"no image", TRY, 400, "not a PNG or JPEG image"),
        (b"", TRY, 400, "not a PNG or JPEG image"),
        (picture(RED, (80, 64)), TRY, 400, "80x64 pixels"),
        (picture(RED), TRY.replace("1/try", "7/try"), 404, "no model version 7"),
        (picture(RED), TRY.replace("1/try", "x/try"), 404, "no model version x"),
        (picture(RED), TRY.replace("1/try", "9" * 40 + "/try"), 404, "no model version 9"),
        (picture(RED), TRY.replace("1/try", "%2E%2E/try"), 404, "no model version"),
        (picture(RED), TRY.replace("/p/", "/q/"), 404, "q"),
    ],
)
def test_what_cannot_be_tried_is_told(
    offered: Offered, image: bytes, path: str, status: int, says: str
) -> None:
    train(offered)
    got, said = send(offered.person("VIC"), image, path)
    assert got == status
    assert says in str(said["error"])


def test_an_image_is_only_tried_from_a_page_of_ours(offered: Offered) -> None:
    train(offered)
    person = offered.person("ADA")
    headers = {"origin": person.base, "accept": "application/json", "x-lfvpipe-csrf": "0"}
    assert person.http.post(f"{person.base}{TRY}", content=b"x", headers=headers).status_code == 403
