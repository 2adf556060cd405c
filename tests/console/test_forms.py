"""Forms of the console take what the API takes, by its own model, and say in words what not."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.console.app import PAGES
from lfvpipe.console.forms import Form, as_browsers_read
from lfvpipe.console.models import TRAINING
from lfvpipe.console.packages import PACKAGING

from .conftest import pages
from .models import train

if TYPE_CHECKING:
    from .conftest import Offered, Person

FORMS = [page.form for page in PAGES if page.form is not None]
FIELDS = [(form, field) for form in FORMS for field in form.places]


def refuse(person: Person, parts: tuple[str, ...], fields: Any, page: tuple[str, ...]) -> str:
    """Send a form of a page; return that page, which says that it was refused."""
    shown = pages("projects", *page)
    came_from = {"referer": f"{person.base}{shown}"}
    assert person.post(pages("projects", *parts), fields, **came_from).headers["location"] == shown
    return person.get(shown).text


def field_of(text: str, name: str) -> tuple[str, str]:
    """Return an input of a page, and what is said to be wrong with it."""
    shown = re.search(rf'<input name="{name}" id="field-{name}"[^>]*>', text)
    wrong = re.search(rf'<p class="wrong" id="wrong-{name}">([^<]*)', text)
    assert shown is not None
    return html.unescape(shown[0]), html.unescape(wrong[1]) if wrong else ""


@pytest.mark.parametrize(
    ("path", "fields", "told"),
    [
        ((), {"name": "a b"}, "name has letters from A to Z, digits, - and _, and begins with"),
        ((), {"name": "x" * 256}, "name has at most 255 characters."),
        ((), {"name": ""}, "name has at least 1 character."),
        (
            ("p", "packages"),
            {"version": "1", "name": "a b"},
            "A component's name has letters from A to Z, digits, dots, - and _, and nothing",
        ),
        (("p", "packages"), {"version": "1", "arch": "Z80"}, "A machine is one of these: ARM64,"),
        (("p", "packages"), {"version": "1", "description": "<b>"}, "and - _ . ( ) ' : , ; ? and"),
        (("p", "models", "1", "start"), {"least": "0"}, "The number of units is 1 at least."),
        (
            ("p", "models"),
            {"tag_key": "x!", "tag_value": "y" * 257},
            (
                "A tag's key has letters, digits, spaces and _ . : / = + - @ and nothing else. "
                "A tag's value has at most 256 characters."
            ),
        ),
    ],
)
def test_what_the_api_does_not_take_is_told_in_words(
    offered: Offered, path: tuple[str, ...], fields: Any, told: str
) -> None:
    offered.client().create_project(ProjectName="p")
    ada = offered.person("ADA")
    shown = html.unescape(refuse(ada, path, fields, ()))
    assert told in shown
    assert "regular expression" not in shown
    assert "alidation" not in shown
    assert "Member must" not in shown


def test_an_address_with_a_name_that_cannot_be_is_told_in_words(offered: Offered) -> None:
    answer = offered.person("ADA").get(pages("projects", "a b"))
    assert (answer.status_code, "A project&#39;s name has letters" in answer.text) == (400, True)


def test_what_was_wrong_stands_at_its_field_and_what_was_typed_stays(offered: Offered) -> None:
    offered.client().create_project(ProjectName="p")
    ada = offered.person("ADA")
    shown = refuse(ada, (), {"name": "line 4"}, ())
    field, wrong = field_of(shown, "name")
    assert ('value="line 4"' in field, 'aria-invalid="true"' in field) == (True, True)
    assert 'aria-describedby="wrong-name about-name"' in field
    assert wrong.startswith("A project's name has letters")
    assert 'href="#field-name"' in shown
    again = ada.get(pages("projects")).text
    assert field_of(again, "name") == (
        field_of(offered.person("ADA").get(pages("projects")).text, "name")[0],
        "",
    )


def test_a_prefix_without_its_bucket_is_refused_where_it_is(trained: Offered) -> None:
    ada = trained.person("ADA")
    for page in (("p", "packages"), ("p", "models")):
        asked = {"version": "1", "prefix": "line-4/", "description": "for-line-4"}
        shown = refuse(ada, page, asked, page)
        assert "“line-4/” alone is no place" in field_of(shown, "bucket")[1], page
        assert 'value="line-4/"' in field_of(shown, "prefix")[0]
        assert 'value="for-line-4"' in field_of(shown, "description")[0]
        assert '<details class="more" open="">' in shown
    client = trained.client()
    assert client.list_model_packaging_jobs(ProjectName="p")["ModelPackagingJobs"] == []
    assert len(client.list_models(ProjectName="p")["Models"]) == 1
    version = ("p", "models", "1")
    for action, field in (("decide", "threshold"), ("expect", "percent")):
        shown, wrong = field_of(refuse(ada, (*version, action), {field: "x"}, version), field)
        assert ('value="x"' in shown, wrong != "") == (True, True)
        assert f'aria-describedby="wrong-{field} {action}-about"' in shown
    train, trials = ("p", "datasets", "train"), ("p", "trials")
    for at, sent_to, field in (
        (train, (*train, "import"), "address"),
        (train, (*train, "import"), "manifest"),
        (trials, trials, "address"),
    ):
        shown = refuse(ada, sent_to, {"name": "t", "version": "1", field: "line-4/"}, at)
        assert "“line-4/” names no bucket" in field_of(shown, field)[1], at


@pytest.mark.parametrize(("form", "field"), FIELDS)
def test_each_field_is_of_the_apis_model_and_its_rule_has_words(form: Form, field: str) -> None:
    told = form.shape(field).metadata
    attributes = form.attributes(field)
    bounds = (
        ("minlength", "maxlength") if form.shape(field).type_name == "string" else ("min", "max")
    )
    for name, bound in zip(bounds, ("min", "max"), strict=True):
        assert attributes.get(name) == told.get(bound)
    assert ("pattern" in attributes) == ("pattern" in told)
    if "pattern" in told:
        assert "characters that are not allowed" not in form.rule(field)


def test_a_descriptions_rule_is_that_of_its_own_operation() -> None:
    assert PACKAGING.attributes("description")["maxlength"] == 256
    assert "spaces" in PACKAGING.rule("description")
    assert TRAINING.attributes("description")["maxlength"] == 500
    assert "spaces" not in TRAINING.rule("description")


VALUES = [
    "",
    "a",
    "A-1_b",
    "a.b",
    "it's (4): yes, no; ok?",
    "a/b",
    "/a",
    "1.0.0",
    "é ñ",
    "<b>",
    "a|b",
]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_a_browser_takes_what_the_api_takes() -> None:
    patterns = sorted({form.shape(field).metadata.get("pattern", ".*") for form, field in FIELDS})
    read = [f"^(?:{as_browsers_read(pattern)})$" for pattern in patterns]
    script = "([p, v]) => p.map((each) => v.map((one) => new RegExp(each, 'v').test(one)))"
    program = f"console.log(JSON.stringify(({script})({json.dumps([read, VALUES])})))"
    ran = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    categories = {r"\p{L}": "a-zA-Zéñ", r"\p{Z}": " ", r"\p{N}": "0-9"}
    for pattern, found in zip(patterns, json.loads(ran.stdout), strict=True):
        plain = pattern
        for name, signs in categories.items():
            plain = plain.replace(name, signs)
        assert found == [re.fullmatch(plain, value) is not None for value in VALUES], pattern


@pytest.fixture
def trained(offered: Offered) -> Offered:
    """Have a trained version 1 of p."""
    train(offered)
    return offered
