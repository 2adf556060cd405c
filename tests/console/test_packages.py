"""Packages: a version is packaged on the page, and its archive comes by the browser."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

from .conftest import Offered, Person, pages
from .models import train
from .test_models_browser import LOOKS, enter
from .test_models_pages import send
from .test_projects_browser import violations

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = pages("projects", "p", "packages")


@pytest.fixture
def ready(offered: Offered) -> Offered:
    """Have a trained version 1 of p."""
    train(offered)
    return offered


def wait_for_packages(person: Person) -> dict[str, Any]:
    """Return the states of packages once none changes any more."""
    while True:
        states = person.get(pages("projects", "p", "package-states")).json()["versions"]
        if not any(each["moving"] for each in states.values()):
            return dict(states)


def test_a_package_is_made_and_downloaded_as_the_api_made_it(ready: Offered) -> None:
    person = ready.person("ADA")
    assert "No package yet." in person.get(HERE).text
    asked = {"version": "1", "name": "line-4", "arch": "ARM64", "description": "for-the-press"}
    assert send(person, HERE, asked) == ""
    assert "for-the-press" in person.get(HERE).text
    ((job, state),) = wait_for_packages(person).items()
    assert state["status"] == "SUCCEEDED"
    answer = person.get(f"{HERE}/{job}/archive")
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="line-4-1.0.0.zip"' in answer.headers["content-disposition"]
    with ZipFile(BytesIO(answer.content)) as archive:
        assert {"model.lfv", "run.py", "requirements.txt"} <= set(archive.namelist())
        assert json.loads(archive.read("recipe.json"))["Target"]["Arch"] == "ARM64"
    described = ready.client().describe_model_packaging_job(ProjectName="p", JobName=job)
    place = described["ModelPackagingDescription"]["ModelPackagingConfiguration"]["Greengrass"]
    bucket = place["S3OutputLocation"]["Bucket"]
    kept = ready.buckets.bucket(bucket)
    assert kept.get("console/packages/line-4-1.0.0.zip") == answer.content
    assert "StartModelPackagingJob" in person.get(pages("changes")).text
    kept.delete(["console/packages/line-4-1.0.0.zip"])
    gone = person.get(f"{HERE}/{job}/archive")
    assert (gone.status_code, "Package the version again." in gone.text) == (404, True)


def test_a_second_package_has_the_next_number_and_a_taken_one_is_refused(ready: Offered) -> None:
    person = ready.person("ADA")
    for _ in range(2):
        assert send(person, HERE, {"version": "1"}) == ""
    assert len(wait_for_packages(person)) == 2
    text = person.get(HERE).text
    assert text.index("p-1.0.1.zip") < text.index("p-1.0.0.zip")
    assert "exists already" in send(person, HERE, {"version": "1", "component_version": "1.0.1"})
    assert send(person, HERE, {"version": "1", "component_version": "one"}) != ""
    assert send(person, HERE, {"version": "1", "name": "../../x"}) != ""
    assert send(person, HERE, {"version": "1", "arch": "Z80"}) != ""
    assert send(person, HERE, {"version": "9"}) != ""


def test_one_that_fails_says_why_and_has_no_archive(ready: Offered) -> None:
    person = ready.person("ADA")
    assert send(person, HERE, {"version": "1", "bucket": "no-such-bucket"}) == ""
    ((job, state),) = wait_for_packages(person).items()
    assert state["status"] == "FAILED"
    assert "The bucket no-such-bucket does not exist." in person.get(HERE).text
    assert person.get(f"{HERE}/{job}/archive").status_code == 404
    assert person.get(f"{HERE}/another/archive").status_code == 404


@pytest.mark.parametrize("key", ["RITA", "VIC"])
def test_only_an_admin_packages(ready: Offered, key: str) -> None:
    person = ready.person(key)
    assert "may not" in send(person, HERE, {"version": "1"})
    assert '<form method="post" action="/console/us-east-1/projects/p/packages"' not in (
        person.get(HERE).text
    )


def test_it_is_followed_until_it_can_be_downloaded(page: Page, ready: Offered, axe: str) -> None:
    enter(page, ready, HERE)
    page.get_by_role("button", name="Package", exact=True).click()
    link = page.get_by_role("link", name="p-1.0.0.zip")
    playwright.expect(link).to_be_visible()
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert violations(page, axe) == [], scheme
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    with page.expect_download() as downloading:
        link.click()
    assert downloading.value.suggested_filename == "p-1.0.0.zip"
