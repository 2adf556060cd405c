"""Who gets into the console, and how others are kept out: over HTTP, as a browser asks."""

from __future__ import annotations

import re
import socket
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.console import Origins, read_origin

from .conftest import KEYS, Offered, pages

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECTS = pages("projects")


def test_a_key_and_its_secret_lead_to_the_page_that_was_wanted(offered: Offered) -> None:
    person = offered.person()
    asked = person.get(f"{PROJECTS}/p?x=1")
    assert asked.status_code == 303
    way_in = asked.headers["location"]
    assert "You were signed out" not in person.get(way_in).text  # they never were in
    assert way_in == "/console/sign-in?to=%2Fconsole%2Fus-east-1%2Fprojects%2Fp%3Fx%3D1"
    form = person.get(way_in)
    assert 'value="/console/us-east-1/projects/p?x=1"' in form.text
    secret = KEYS["ADA"].secret
    to = "/console/us-east-1/projects/p?x=1"
    answer = person.post("/console/sign-in", {"key": "ADA", "secret": secret, "to": to})
    assert (answer.status_code, answer.headers["location"]) == (303, to)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/console" in cookie
    assert "secure" not in cookie  # by http on this machine, a browser would not send it
    assert person.get(PROJECTS).status_code == 200


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example/console/",
        "/console/../../x\\evil",
        "javascript:alert(1)",
        "/elsewhere",
        "/console/\r\nset-cookie: a=b",
        "/console/é",
    ],
)
def test_signing_in_leads_to_no_other_place(offered: Offered, to: str) -> None:
    fields = {"key": "ADA", "secret": KEYS["ADA"].secret, "to": to}
    answer = offered.person().post("/console/sign-in", fields)
    assert answer.headers["location"] == "/console/"
    assert offered.person().get("/console/sign-in", x="y").status_code == 200


@pytest.mark.parametrize(
    ("key", "secret", "said"),
    [
        ("ADA", "another", "no such access key"),
        ("NOBODY", "x", "no such access key"),
        ("", "", "no such access key"),
        ("TEMP", KEYS["TEMP"].secret, "session token"),
    ],
)
def test_others_do_not_get_in(offered: Offered, key: str, secret: str, said: str) -> None:
    person = offered.person()
    answer = person.post("/console/sign-in", {"key": key, "secret": secret})
    assert answer.status_code == 403
    assert said in answer.text
    assert "set-cookie" not in answer.headers
    assert person.get(PROJECTS).status_code == 303


def test_guessing_is_slow(offered: Offered) -> None:
    person = offered.person()
    for _ in range(10):
        person.post("/console/sign-in", {"key": "ADA", "secret": "guess"})
    right = {"key": "ADA", "secret": KEYS["ADA"].secret}
    assert person.post("/console/sign-in", right).status_code == 429
    offered.clock.now += 301
    assert person.post("/console/sign-in", right).status_code == 303


def test_a_planted_cookie_does_not_become_the_session(offered: Offered) -> None:
    name = f"lfvpipe-console-{offered.url.rpartition(':')[2]}"
    victim, thief = offered.person(), offered.person()
    for person in (victim, thief):
        person.http.cookies.set(name, "planted", domain="127.0.0.1", path="/console")
    victim.sign_in("ADA")
    assert victim.http.cookies.get(name) != "planted"
    assert thief.get(PROJECTS).status_code == 303


def test_signing_in_again_ends_the_session_before(offered: Offered) -> None:
    person, other = offered.person("ADA"), offered.person()
    for name, value in person.http.cookies.items():
        other.http.cookies.set(name, value, domain="127.0.0.1")
    assert other.get(PROJECTS).status_code == 200
    person.sign_in("ADA")
    assert other.get(PROJECTS).status_code == 303
    assert person.get(PROJECTS).status_code == 200


def test_a_session_ends_when_it_is_idle_long_and_at_the_end_of_the_day(offered: Offered) -> None:
    person = offered.person("ADA")
    offered.clock.now += 2 * 3600 - 1
    assert person.get(PROJECTS).status_code == 200
    offered.clock.now += 2 * 3600 + 1
    answer = person.get(PROJECTS)
    assert answer.status_code == 303
    assert "You were signed out:" in person.get(answer.headers["location"]).text
    person.sign_in("ADA")
    for _ in range(12):
        offered.clock.now += 3599
        assert person.get(PROJECTS).status_code == 200
    offered.clock.now += 3599
    assert person.get(PROJECTS).status_code == 303


def test_signing_out_ends_the_session_here_and_there(offered: Offered) -> None:
    person = offered.person("ADA")
    stolen = dict(person.http.cookies)
    person.post("/console/sign-out", {"csrf": "0"})  # another page's form
    assert person.get(PROJECTS).status_code == 200
    person.post("/console/sign-out")
    assert person.get(PROJECTS).status_code == 303
    thief = offered.person()
    for name, value in stolen.items():
        thief.http.cookies.set(name, value, domain="127.0.0.1")
    assert thief.get(PROJECTS).status_code == 303


def test_an_entrance_is_good_once(offered: Offered) -> None:
    entrance = offered.console.entrance()
    person = offered.person()
    answer = person.get(entrance)
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert "this machine (admin)" in person.get(PROJECTS).text
    assert offered.person().get(entrance).status_code == 403
    assert offered.person().get("/console/enter").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_on_another_page_changes_nothing(offered: Offered, headers: Any) -> None:
    person = offered.person("ADA")
    answer = person.post(PROJECTS, {"name": "p"}, **headers)
    assert answer.status_code == 403
    assert offered.client().list_projects()["Projects"] == []


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_the_sessions_own_token_changes_nothing(
    offered: Offered, token: str
) -> None:
    person = offered.person("ADA")
    assert person.post(PROJECTS, {"name": "p", "csrf": token}).status_code == 303
    assert "earlier session" in person.get(PROJECTS).text
    theirs = offered.person("RITA").form_token()
    person.post(PROJECTS, {"name": "p", "csrf": theirs})
    assert offered.client().list_projects()["Projects"] == []


@pytest.mark.parametrize(
    "host",
    [
        *["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::1", "a b"],
        *["evil.example@127.0.0.1", "127.0.0.1/evil.example", "127.0.0.1:evil.example"],
    ],
)
def test_a_foreign_name_that_points_here_gets_no_page(offered: Offered, host: str) -> None:
    answer = offered.person("ADA").get(PROJECTS, host=host)
    assert answer.status_code in (400, 403)
    assert "Projects" not in answer.text


def test_behind_a_proxy_with_tls_its_address_is_ours_and_cookies_are_secure(
    offer: Callable[..., Offered],
) -> None:
    offered = offer(origins=Origins(proxies=("https://vision.example",)))
    person = offered.person()
    fields = {"key": "ADA", "secret": KEYS["ADA"].secret}
    there = {"host": "vision.example", "origin": "https://vision.example"}
    answer = person.post("/console/sign-in", fields, **there)
    assert answer.status_code == 303
    assert "secure" in answer.headers["set-cookie"].lower()
    plain = {"host": "vision.example", "origin": "http://vision.example"}
    assert person.post("/console/sign-in", fields, **plain).status_code == 403


def test_no_answer_can_be_framed_run_anothers_script_or_be_kept(offered: Offered) -> None:
    person = offered.person("ADA")
    for path in (PROJECTS, "/console/sign-in", "/console/static/console.js", "/console/none"):
        headers = person.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/console/", "/console/us-east-1", "/console/us-east-1/", "/console/sign-out"]
)
def test_a_shortened_address_leads_home(offered: Offered, path: str) -> None:
    answer = offered.person("ADA").get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, PROJECTS)


@pytest.mark.parametrize(
    "path",
    [
        "/console/static/../app.py",
        "/console/static/..%2fapp.py",
        "/console/static/%2e%2e/app.py",
        "/console/static//etc/passwd",
        "/console/static/%00",
        "/console//evil.example/%2e%2e",
        "/console/us-east-1/projects/..%2f..%2fx",
        "/console/eu-west-1/projects",
        "/console/..%2f/projects",
    ],
)
def test_odd_paths_lead_nowhere(offered: Offered, path: str) -> None:
    answer = offered.person("ADA").get(path)
    assert answer.status_code in (303, 307, 400, 404)
    assert "location" not in answer.headers or answer.headers["location"].startswith(
        ("/console/", f"{offered.url}/console/")
    )
    assert not (offered.root / "service" / "regions").exists()  # looking makes none


def test_a_key_may_in_the_console_what_it_may_by_the_api(offered: Offered) -> None:
    for key, role in (("VIC", "viewer"), ("RITA", "reviewer")):
        person = offered.person(key)
        assert "Create a project" not in person.get(PROJECTS).text
        person.post(PROJECTS, {"name": "p"})
        told = person.get(PROJECTS).text
        assert f"has the role {role}, which may not call CreateProject" in told
        assert person.get(pages("changes")).status_code == 403
    assert offered.client().list_projects()["Projects"] == []
    admin = offered.person("ADA")
    admin.post(PROJECTS, {"name": "p"})
    (change,) = offered.lookout.of("us-east-1").changes()  # type: ignore[union-attr]
    assert (change.operation, change.access_key, change.role) == ("CreateProject", "ADA", "admin")
    shown = admin.get(pages("changes")).text
    assert "CreateProject" in shown
    assert "ADA" in shown
    assert "<dt>Datasets</dt><dd>-</dd>" in shown
    assert "not kept any more" not in shown
    with closing(sqlite3.connect(offered.root / "service" / "service.db")) as state, state:
        state.execute("DELETE FROM changes")
    admin.post(PROJECTS, {"name": "q"})
    assert "not kept any more: 1. About the newest 100,000 are" in admin.get(pages("changes")).text


def test_what_is_no_address_leads_home(offered: Offered) -> None:
    stranger, person = offered.person(), offered.person("ADA")
    assert stranger.get("/console/sign-in", to="//[/").status_code == 200
    assert (
        stranger.post("/console/sign-in", {"key": "no", "secret": "no", "to": "//["}).status_code
        == 403
    )
    headers = {"origin": offered.url, "referer": "http://[", "x-lfvpipe-csrf": person.form_token()}
    refused = person.http.post(f"{offered.url}{PROJECTS}", content=b"name=%20", headers=headers)
    assert (refused.status_code, refused.headers["location"]) == (303, "/console/")
    home = person.get("/console")
    assert (home.status_code, home.headers["location"]) == (303, PROJECTS)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("https://vision.example", "https://vision.example"),
        ("https://VISION.example:443", "https://vision.example"),
        ("https://vision.example:8443", "https://vision.example:8443"),
        ("https://t\u00e4st.example", "https://xn--tst-qla.example"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://[0:0::00A1]", "https://[::a1]"),
        ("https://192.168.0.7:8443", "https://192.168.0.7:8443"),
        ("https://7.example", "https://7.example"),
    ],
)
def test_a_proxy_is_called_as_browsers_call_it(said: str, meant: str) -> None:
    assert read_origin(said) == meant


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("http://vision.example", "does not begin with https://"),
        ("vision.example", "does not begin with https://"),
        *[(f"https://{odd}", "more than a host") for odd in ("user@a", "a/x", "a?x", "a#x")],
        *[(f"https://a:{odd}", "a port that is none") for odd in ("0", "99999", "-1", "x")],
        *[(f"https://{odd}", "is no name") for odd in ("", "a b", "*.example", "a..b")],
        *[(f"https://{odd}", "no IPv4") for odd in ("1.2.3", "7", "0x7f.1", "1.2.3.256", "a.1")],
        ("https://[::1", "is no address"),
        ("https://[::ffff:1.2.3.4]", "no IPv6"),
        ("https://[fe80::1%eth0]", "no IPv6"),
    ],
)
def test_what_no_browser_calls_a_proxy_is_told(said: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_origin(said)


def test_a_script_is_told_as_it_reads(offered: Offered) -> None:
    person = offered.person("ADA")
    script = {"accept": "application/json", "origin": offered.url}
    for path, foreign, status in (
        ("/console/no-region-1/projects", {}, 404),
        ("/console/us-east-1/nothing", {}, 404),
        (PROJECTS, {"origin": "https://elsewhere.example"}, 403),
    ):
        told = person.http.post(f"{offered.url}{path}", headers=script | foreign)
        assert (told.status_code, [*told.json()]) == (status, ["error"]), path


def test_a_body_that_is_too_large_or_no_form_is_refused(offered: Offered) -> None:
    person = offered.person("ADA")
    assert person.post(PROJECTS, {"name": "p" * 100_000}).status_code == 413
    headers = {"origin": offered.url, "x-lfvpipe-csrf": person.form_token()}
    script = headers | {"accept": "application/json"}
    told = person.http.post(f"{offered.url}{PROJECTS}", content=b"p" * 100_000, headers=script)
    assert (told.status_code, [*told.json()]) == (413, ["error"])
    for body in (b"\xff=1", b"&".join([b"a=1"] * 2000)):
        person.http.post(f"{offered.url}{PROJECTS}", content=body, headers=headers)
        assert "cannot be read" in person.get(PROJECTS).text
    assert offered.client().list_projects()["Projects"] == []


def test_who_guesses_one_key_locks_nobody_else_out(offered: Offered) -> None:
    person = offered.person()
    for _ in range(10):
        person.post("/console/sign-in", {"key": "NOBODY", "secret": "guess"})
        person.post("/console/sign-in", {"key": "VIC", "secret": "guess"})
    for key in ("NOBODY", "VIC"):
        again = person.post("/console/sign-in", {"key": key, "secret": "vic's secret"})
        assert again.status_code == 429
    person.sign_in("ADA")  # all behind one proxy come from one network


def test_of_two_hosts_neither_is_ours(offered: Offered) -> None:
    host = offered.url.rpartition("/")[2]
    for pair in (["evil.example", host], [host, "evil.example"]):
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port))) as line:
            named = "".join(f"Host: {each}\r\n" for each in pair)
            asked = f"GET /console/sign-in HTTP/1.1\r\n{named}Connection: close\r\n\r\n"
            line.sendall(asked.encode())
            assert re.match(rb"HTTP/1.1 40[03] ", line.makefile("rb").readline())
