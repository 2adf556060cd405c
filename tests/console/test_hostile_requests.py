"""No request that somebody can make fails a page: each is answered, or refused in words."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING

import pytest

from lfvpipe.console.app import PAGES

from .conftest import REGION, Offered
from .models import train

if TYPE_CHECKING:
    from lfvpipe.console.visit import Page

PLACES = {"project": "p", "type": "train", "version": "1"}
ODD = ("%00", "%2E%2E", "a%2Fb", "9" * 40, "-1", "%3Cscript%3E", "%C3%A9", "x" * 300)
QUERIES = (
    "",
    "?page=-1&show=x&sort=x&kind=%00&name=%F0%9F%98%80&version=x&before=9999999999999999999",
    "?page=9999999999&part=gallery&with=x&without=%00&first=x&second=9&span=x&to=//evil",
)
BODIES = (
    b"",
    b"\xff\xfe",
    b"null",
    b"[" * 5000,
    json.dumps(
        {"images": [1, None, ["x"]], "digests": [1], "files": ["x", {}], "call": 1}
    ).encode(),
    json.dumps({"images": [["1-00000000", "x"]], "call": "anomaly:\ud800"}).encode(),
    json.dumps({"mask": "\u00e9", "classes": {"a": {}}, "colour": {}, "version": "1"}).encode(),
    json.dumps({"mask": 1, "classes": [], "stand": None, "colour": [], "version": {}}).encode(),
    json.dumps({"undo": "x", "images": [], "files": [], "digests": [], "call": ""}).encode(),
    b"name=%00&units=-1&units=x&threshold=nan&version=0&address=s3://&from=manifest&type=%ff",
    b"name=x&least=999999999999&most=1e9&threshold=1e999&key=&value=&description=%F0%9F%98%80",
)


def addresses(page: Page, image: str) -> list[str]:
    """Return a page's address as it is meant, and with one odd thing in each of its places."""
    names = re.findall(r"\{(\w+)(?::\w+)?\}", page.path)
    meant = [(PLACES | {"image": image}).get(name, "1") for name in names]
    found = [meant]
    for place, odd in itertools.product(range(len(names)), ODD):
        found.append([*meant[:place], odd, *meant[place + 1 :]])
    pieces = re.split(r"\{[^}]*\}", page.path)
    return [
        f"/console/{REGION}" + "".join(map("".join, zip(pieces, [*each, ""], strict=True)))
        for each in found
    ]


@pytest.mark.parametrize("key", ["ADA", "VIC"])
def test_odd_addresses_queries_and_bodies_fail_no_page(offered: Offered, key: str) -> None:
    train(offered)
    person = offered.person(key)
    token = person.form_token()
    service = offered.console.lookout.of(REGION)
    assert service is not None
    image = str(service.images.catalogue("p", "train").images[0].id)
    failed: list[object] = []
    for page in PAGES:
        for number, address in enumerate(addresses(page, image)):
            if page.method == "GET":
                asked = QUERIES if number == 0 else QUERIES[:1]
                answers = [person.get(f"{address}{query}") for query in asked]
            else:
                headers = {
                    "origin": person.base,
                    "x-lfvpipe-csrf": token,
                    "accept": "application/json",
                }
                url, sent = f"{person.base}{address}", BODIES if number == 0 else BODIES[:1]
                answers = [person.http.post(url, content=body, headers=headers) for body in sent]
            failed += [
                (page.method, address, answer.request.url.query, answer.request.content[:80])
                for answer in answers
                if answer.status_code >= 500
            ]
    assert failed == []
