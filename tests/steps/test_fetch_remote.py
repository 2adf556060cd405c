"""Fetching over HTTP and from S3."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.config.spec import Bucket, Sources
from lfvpipe.dataset.sources import Source
from lfvpipe.engine.inputs import flatten
from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.patience import OF_A_RUN, patient
from lfvpipe.steps.advice import advise
from lfvpipe.steps.context import Context
from lfvpipe.steps.fetch import FetchOutcome, FetchStep
from tests.network import Fault, faulty

ARCHIVE = b"PK\x03\x04" + bytes(range(256)) * 12_000  # 3 MB: several chunks


@pytest.fixture(autouse=True)
def pauses(work: Any) -> Iterator[list[float]]:
    """Have a step tried as in a run, which waits for nothing; yield the seconds that it would."""
    waited: list[float] = []
    tell = lambda message: work.warn(message)  # noqa: E731  (tests replace `warn`)
    with patient(OF_A_RUN, tell=tell, wait=waited.append):
        yield waited


@pytest.fixture
def site(web: Any) -> Any:
    web.files["/Class3.zip"] = ARCHIVE
    return web


def step(site: Any, path: str = "/Class3.zip", **more: Any) -> FetchStep:
    return at(site.url + path, **more)


def at(address: str, **more: Any) -> FetchStep:
    return FetchStep(Source("normal", "sources.normal.archive", address, **more))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def cache_files(context: Context) -> list[str]:
    return sorted(p.name for p in context.cache_dir.rglob("*") if p.is_file())


def test_a_download_is_whole_cached_and_identified(site: Any, context: Context, work: Any) -> None:
    outcome = step(site).act(context, work)
    path = FetchOutcome.from_json(outcome.facts).location(context)
    assert path.name == "Class3.zip"
    assert path.read_bytes() == ARCHIVE
    assert outcome.word == "created"
    assert outcome.identity == {"sha256": sha256(ARCHIVE)}
    assert not Path(str(outcome.facts["path"])).is_absolute()
    again = step(site).act(context, work)
    assert again.word == "unchanged"
    assert site.statuses == [200, 304]


def test_sources_with_the_same_address_are_downloaded_once(
    site: Any, context: Context, work: Any
) -> None:
    site.etags["/Class3.zip"] = None  # so that only our own memory can tell
    verified: dict[str, str] = {}
    steps = [FetchStep(replace(step(site).source, member=f"{i}"), verified) for i in range(4)]
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda s=s: found.append(s.act(context, work))) for s in steps
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {outcome.facts["sha256"] for outcome in found} == {sha256(ARCHIVE)}
    assert len(found) == 4
    assert site.statuses == [200]


def test_a_cut_connection_is_resumed_where_it_broke(site: Any, context: Context, work: Any) -> None:
    site.cut = [1_200_000, 700_000, 100_000]
    outcome = step(site).act(context, work)
    assert outcome.facts["sha256"] == sha256(ARCHIVE)
    assert site.statuses == [200, 206, 206, 206]
    etag = f'"{hashlib.md5(ARCHIVE).hexdigest()}"'
    assert [headers.get("If-Range") for _, _, headers, _ in site.requests[1:]] == [etag] * 3


def test_what_goes_wrong_is_told_once_for_all_that_follows_soon(
    site: Any, context: Context, work: Any
) -> None:
    site.cut = [1_200_000, 0, 0]
    step(site, "/Class3.zip?key=secret").act(context, work)
    (told,) = work.warnings
    assert told.startswith(f"{site.url}/Class3.zip?…: the connection broke off; attempt 2 follows")


def test_a_server_that_is_busy_is_asked_again_for_minutes_and_when_it_wants(
    site: Any, context: Context, work: Any, pauses: list[float]
) -> None:
    site.answers["/Class3.zip"] = (503, {})
    with pytest.raises(UserError, match="answers 503"):
        step(site).act(context, work)
    assert 200 < sum(pauses) <= 300
    pauses.clear()
    site.answers["/Class3.zip"] = (429, {"Retry-After": "70"})
    with pytest.raises(UserError, match="answers 429"):
        step(site).act(context, work)
    assert [pause >= 70 for pause in pauses] == [True] * 4
    assert sum(pauses) <= 300


def test_a_download_that_was_stopped_is_resumed_by_the_next_run(
    site: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int | None, unit: str, detail: str = "") -> None:
        raise Cancelled

    with monkeypatch.context() as patch:
        patch.setattr(work, "progress", stop)
        with pytest.raises(Cancelled):
            step(site).act(context, work)
    assert "Class3.zip" not in cache_files(context)
    outcome = step(site).act(context, work)
    assert outcome.facts["sha256"] == sha256(ARCHIVE)
    assert site.statuses == [200, 206]


def test_a_part_of_another_version_is_not_continued(site: Any, context: Context, work: Any) -> None:
    site.cut = [1_200_000] + [0] * 10_000  # as often as may be asked
    with pytest.raises(UserError, match="cannot be downloaded"):
        step(site).act(context, work)
    site.cut, site.files["/Class3.zip"] = [], b"PK\x03\x04" + bytes(1_500_000)
    outcome = step(site).act(context, work)
    assert outcome.facts["sha256"] == sha256(site.files["/Class3.zip"])


@pytest.mark.parametrize(("new", "size"), [('"v2"', len(ARCHIVE)), ('"v1"', 3_000_000)])
def test_a_server_that_ignores_if_range_does_not_mix_two_versions(
    site: Any, context: Context, work: Any, new: str, size: int
) -> None:
    site.heeds_if_range, site.etags["/Class3.zip"], site.cut = False, '"v1"', [1_200_000]

    def change(_message: str) -> None:
        site.etags["/Class3.zip"], site.files["/Class3.zip"] = new, b"PK\x03\x04".ljust(size, b"x")

    work.warn = change
    outcome = step(site).act(context, work)
    assert outcome.facts["sha256"] == sha256(site.files["/Class3.zip"])
    assert site.statuses == [200, 206, 200]


@pytest.mark.parametrize("etag", ['W/"weak"', None])
def test_without_a_strong_validator_a_download_begins_anew(
    site: Any, context: Context, work: Any, etag: str | None
) -> None:
    site.etags["/Class3.zip"], site.cut = etag, [1_200_000]
    outcome = step(site).act(context, work)
    assert outcome.facts["sha256"] == sha256(ARCHIVE)
    assert site.statuses == [200, 200]


def test_a_server_without_ranges_is_read_from_the_beginning(
    site: Any, context: Context, work: Any
) -> None:
    site.ranges, site.cut = False, [1_200_000]
    outcome = step(site).act(context, work)
    assert outcome.facts["sha256"] == sha256(ARCHIVE)
    assert site.statuses == [200, 200]


def test_a_whole_part_that_was_not_yet_taken_over_is_not_sent_again(
    site: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lfvpipe.storage.cache.keep", die)
        with pytest.raises(KeyboardInterrupt):
            step(site).act(context, work)
    assert step(site).act(context, work).facts["sha256"] == sha256(ARCHIVE)
    assert site.statuses == [200, 416]


@pytest.mark.parametrize(
    ("status", "advice"),
    [(404, "spelling"), (401, "login"), (403, "browser"), (410, "removed"), (503, "resumes")],
)
def test_a_refusal_says_what_to_do(
    site: Any, context: Context, work: Any, status: int, advice: str
) -> None:
    site.answers["/Class3.zip"] = (status, {})
    with pytest.raises(UserError, match=f"answers {status}") as raised:
        step(site).act(context, work)
    assert advice in advise(raised.value)
    assert "Class3.zip" not in cache_files(context)
    assert (len(site.requests) == 1) == (status != 503)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xef\xbb\xbf \r\n<!DOCTYPE HTML><title>Log in</title>", "web page"),
        (b'{"error": "no such file"}', "text, not an archive"),
        (b"", "empty"),
    ],
)
def test_what_is_no_archive_is_refused_by_its_first_bytes(
    site: Any, context: Context, work: Any, body: bytes, message: str
) -> None:
    site.files["/Class3.zip"] = body
    with pytest.raises(UserError, match=message):
        step(site).act(context, work)
    assert "Class3.zip" not in cache_files(context)


def test_a_manifest_may_be_a_text_but_not_a_web_page(
    site: Any, context: Context, work: Any
) -> None:
    site.files |= {"/train.manifest": b'{"source-ref": "s3://b/1.png"}\n', "/page": b"<html>"}
    assert step(site, "/train.manifest", archive=False).act(context, work).word == "created"
    with pytest.raises(UserError, match="web page"):
        step(site, "/page", archive=False).act(context, work)


def test_redirects_are_followed_but_not_for_ever(site: Any, context: Context, work: Any) -> None:
    site.answers["/moved"] = (302, {"Location": "/Class3.zip"})
    site.answers["/loop"] = (302, {"Location": "/loop"})
    site.answers["/odd"] = (302, {"Location": "file:///etc/passwd"})
    assert step(site, "/moved").act(context, work).facts["sha256"] == sha256(ARCHIVE)
    with pytest.raises(UserError, match="redirects more than"):
        step(site, "/loop").act(context, work)
    with pytest.raises(UserError, match="not secure"):
        step(site, "/odd").act(context, work)


@pytest.mark.parametrize(
    "place",
    ["http://[::1", "http://[::zz]/", "http://xn--a/", "http://a..b/", f"http://{'a' * 300}/"],
)
def test_a_redirect_to_what_is_no_address_is_told_once(
    site: Any, context: Context, work: Any, place: str
) -> None:
    site.answers["/Class3.zip"] = (302, {"Location": place})
    with pytest.raises(UserError, match=r"no address|leads to none") as raised:
        step(site).act(context, work)
    assert "Class3.zip" in raised.value.message
    assert len(site.requests) == 1


@pytest.mark.parametrize("address", ["https://u:pass@[::1/a.zip?key=k", "https://a..b/a.zip"])
def test_what_is_no_address_is_told_without_its_secrets(
    context: Context, work: Any, address: str
) -> None:
    with pytest.raises(UserError, match=r"a\.zip") as raised:
        at(address).act(context, work)
    assert "pass" not in raised.value.message
    assert "key=k" not in raised.value.message


def test_a_certificate_must_be_trusted(
    tls_web: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls_web.web.files["/Class3.zip"] = ARCHIVE
    with pytest.raises(UserError, match="not trusted") as raised:
        step(tls_web.web).act(context, work)
    assert "SSL_CERT_FILE" in advise(raised.value)
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_web.certificate))
    assert step(tls_web.web).act(context, work).facts["sha256"] == sha256(ARCHIVE)


def test_a_redirect_must_not_leave_tls(
    tls_web: Any, site: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_web.certificate))
    tls_web.web.answers["/Class3.zip"] = (301, {"Location": site.url + "/Class3.zip"})
    with pytest.raises(UserError, match="not secure"):
        step(tls_web.web).act(context, work)
    assert site.requests == []


def test_a_wrong_digest_names_both(site: Any, context: Context, work: Any) -> None:
    wanted = "0" * 64
    for _ in range(2):
        with pytest.raises(UserError, match=f"{sha256(ARCHIVE)}, not {wanted}"):
            step(site, sha256=wanted).act(context, work)
    assert site.statuses == [200, 200]  # the copy may be what is wrong: no 304 must keep it
    assert step(site, sha256=sha256(ARCHIVE)).act(context, work).word == "unchanged"
    assert site.statuses == [200, 200]


def test_a_pinned_source_in_the_cache_needs_no_network(
    site: Any, context: Context, work: Any
) -> None:
    pinned = step(site, sha256=sha256(ARCHIVE))
    outcome = pinned.act(context, work)
    site.requests.clear()
    assert pinned.act(context, work).word == "unchanged"
    assert pinned.observe(context, outcome) == ()
    assert site.requests == []


def test_the_copy_in_the_cache_serves_while_the_server_does_not_answer(
    site: Any, context: Context, work: Any
) -> None:
    step(site).act(context, work)
    site.answers["/Class3.zip"] = (503, {})
    assert step(site).act(context, work).word == "unchanged"
    assert "fetched earlier is used" in work.warnings[-1]


def test_a_new_version_is_drift_and_is_fetched(site: Any, context: Context, work: Any) -> None:
    before = step(site).act(context, work)
    assert step(site).observe(context, before) == ()
    site.files["/Class3.zip"] = ARCHIVE + b"more"
    reasons = step(site).observe(context, before)
    assert [reason.code for reason in reasons] == ["drift"]
    after = step(site).act(context, work)
    assert after.word == "updated"
    assert FetchOutcome.from_json(after.facts).location(context).read_bytes() == ARCHIVE + b"more"


def test_a_cached_file_that_is_gone_or_cut_is_noticed(
    site: Any, context: Context, work: Any
) -> None:
    outcome = step(site).act(context, work)
    assert step(site).missing(context, outcome) == ()
    FetchOutcome.from_json(outcome.facts).location(context).write_bytes(ARCHIVE[:100])
    assert [reason.code for reason in step(site).missing(context, outcome)] == ["output-missing"]
    FetchOutcome.from_json(outcome.facts).location(context).unlink()
    assert [reason.code for reason in step(site).missing(context, outcome)] == ["output-missing"]
    assert step(site).act(context, work).word == "created"


def test_secrets_in_an_address_stay_there(site: Any, context: Context, work: Any) -> None:
    host = site.url.removeprefix("http://")
    address = f"http://anna:s3cret@{host}/Class3.zip?token=t0ken"
    fetch = at(address)
    outcome = fetch.act(context, work)
    said = f"{fetch.inputs(context)} {outcome.facts}"
    site.answers["/Class3.zip"] = (404, {})
    with pytest.raises(UserError) as raised:
        fetch.act(context, work)
    said += str(raised.value)
    assert "s3cret" not in said
    assert "t0ken" not in said
    assert site.requests[0][2]["Authorization"].startswith("Basic ")
    assert fetch.inputs(context) != at(address + "x").inputs(context)


def test_the_proxy_of_the_environment_is_used(
    site: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    site.files["http://plant.example/Class3.zip"] = ARCHIVE
    fetch = at("http://plant.example/Class3.zip")
    assert fetch.act(context, work).facts["sha256"] == sha256(ARCHIVE)


def test_a_host_that_no_proxy_names_is_asked_itself(
    site: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody answers there
    monkeypatch.setenv("no_proxy", "plant.example,127.0.0.1")
    assert step(site).act(context, work).facts["sha256"] == sha256(ARCHIVE)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_login_stays_with_its_host_when_redirected(
    site: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch, by_name: bool
) -> None:
    """Another name of the same machine is another host, too."""
    host = site.url.removeprefix("http://")
    other = site.url.replace("127.0.0.1", "localhost") if by_name else ""
    site.answers["/moved"] = (302, {"Location": f"{other}/Class3.zip"})
    fetch = at(f"http://anna:s3cret@{host}/moved")
    assert fetch.act(context, work).facts["sha256"] == sha256(ARCHIVE)
    logins = ["Authorization" in headers for _, _, headers, _ in site.requests]
    assert logins == [True, not by_name]


def test_the_login_of_netrc_is_used_for_its_host_alone(
    site: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login anna password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    local = site.url.replace("127.0.0.1", "localhost")
    site.answers["/moved"] = (302, {"Location": site.url + "/Class3.zip"})
    at(f"{local}/moved").act(context, work)
    step(site).act(context, work)
    netrc.write_text("machine")  # damaged: as if there were none
    step(site).act(context, work)
    logins = ["Authorization" in headers for _, _, headers, _ in site.requests]
    assert logins == [True, False, False, False]


def test_a_part_never_lies_beside_the_notes_of_another_version(
    site: Any, context: Context, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill after the notes and before the first byte must not make the next attempt mix both."""
    site.cut = [1_200_000] + [0] * 10_000  # as often as may be asked
    with pytest.raises(UserError, match="cannot be downloaded"):
        step(site).act(context, work)
    site.cut, site.files["/Class3.zip"] = [], b"PK\x03\x04" + bytes(2_000_000)

    def die(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lfvpipe.storage.download.resuming._Transfer._receive", die)
        with pytest.raises(KeyboardInterrupt):
            step(site).act(context, work)
    outcome = step(site).act(context, work)
    assert outcome.facts["sha256"] == sha256(site.files["/Class3.zip"])


def test_a_full_disk_keeps_what_was_downloaded(
    site: Any, context: Context, work: Any, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Context(context.pipeline, small_disk)
    with pytest.raises(UserError, match="not free") as raised:
        step(site).act(small, work)
    assert "resumes" in advise(raised.value)
    monkeypatch.setattr(
        "lfvpipe.storage.download.resuming._Transfer._insist_on_space", lambda *args: None
    )
    with pytest.raises(UserError, match="No space") as raised:
        step(site).act(small, work)
    assert "resumes" in advise(raised.value)
    part = next(small.cache_dir.rglob(".part"))
    assert part.stat().st_size > 0


@pytest.fixture
def objects(s3: str, changed: Callable[..., Context]) -> Context:
    """A context whose bucket is on S3, with an archive in it."""
    context = changed(bucket=Bucket("parts-images", endpoint=s3))
    context.bucket.create()
    context.bucket.put("archives/Class3.zip", ARCHIVE)
    return context


def test_an_object_is_fetched_from_s3(objects: Context, work: Any) -> None:
    fetch = at("s3://parts-images/archives/Class3.zip")
    outcome = fetch.act(objects, work)
    assert FetchOutcome.from_json(outcome.facts).location(objects).read_bytes() == ARCHIVE
    assert fetch.observe(objects, outcome) == ()
    assert fetch.act(objects, work).word == "unchanged"
    objects.bucket.put("archives/Class3.zip", ARCHIVE + b"more")
    assert [reason.code for reason in fetch.observe(objects, outcome)] == ["drift"]
    assert fetch.act(objects, work).word == "updated"
    with pytest.raises(UserError, match="does not exist"):
        at("s3://parts-images/archives").act(objects, work)


def test_an_object_that_was_stopped_is_resumed_by_the_next_run(
    s3: str, objects: Context, changed: Callable[..., Context], work: Any
) -> None:
    def stop(done: int, total: int | None, unit: str, detail: str = "") -> None:
        raise Cancelled

    fetch, progress = at("s3://parts-images/archives/Class3.zip"), work.progress
    with faulty(s3) as proxy:
        context = changed(bucket=Bucket("parts-images", endpoint=proxy.url))
        work.progress = stop
        with pytest.raises(Cancelled):
            fetch.act(context, work)
        assert "Class3.zip" not in cache_files(context)
        assert proxy.ranges == []
        work.progress = progress
        outcome = fetch.act(context, work)
        assert outcome.facts["sha256"] == sha256(ARCHIVE)
        (asked,) = proxy.ranges
        assert int(asked.removeprefix("bytes=").removesuffix("-")) >= 2**20

        # A part of another version is thrown away.
        objects.bucket.put("archives/Class3.zip", ARCHIVE + b"more")
        work.progress = stop
        with pytest.raises(Cancelled):
            fetch.act(context, work)
        objects.bucket.put("archives/Class3.zip", b"PK\x03\x04 another one")
        work.progress = progress
        outcome = fetch.act(context, work)
        assert outcome.facts["sha256"] == sha256(b"PK\x03\x04 another one")
        assert len(proxy.ranges) == 1


def test_an_object_that_changed_on_its_way_is_fetched_again(
    s3: str, objects: Context, changed: Callable[..., Context], work: Any
) -> None:
    fetch = at("s3://parts-images/archives/Class3.zip")
    with faulty(s3) as proxy:
        context = changed(bucket=Bucket("parts-images", endpoint=proxy.url))
        proxy.faults, proxy.only = [Fault.FLIPPED] * 3, ("GET",)
        outcome = fetch.act(context, work)
    assert outcome.facts["sha256"] == sha256(ARCHIVE)


def test_an_s3_address_may_name_a_local_bucket(context: Context, work: Any) -> None:
    bucket = context.buckets.bucket("exported")
    bucket.create()
    bucket.put("train.manifest", b"{}\n")
    fetch = at("s3://exported/train.manifest", archive=False)
    outcome = fetch.act(context, work)
    assert FetchOutcome.from_json(outcome.facts).location(context).read_bytes() == b"{}\n"


def test_the_endpoint_of_an_s3_source_is_part_of_the_inputs(objects: Context) -> None:
    fetch = at("s3://b/k.zip", sha256="0" * 64)
    assert flatten(fetch.inputs(objects)) == {
        "sources.normal.archive": "s3://b/k.zip",
        "sources.normal.sha256": "0" * 64,
        "bucket.endpoint": objects.pipeline.bucket.endpoint,
    }


def test_every_source_of_a_pipeline_has_a_step(
    changed: Callable[..., Context], context: Context
) -> None:
    from lfvpipe.config.spec import Evaluate, EvaluationArchive, ManifestSource, Source
    from lfvpipe.steps.fetch import fetch_steps

    more = changed(
        sources=Sources({"normal": Source("/n.zip"), "anomaly": Source("/a.zip", masks="/m")}),
        evaluate=Evaluate(archives=(EvaluationArchive("/e.zip"),)),
    )
    assert [s.name for s in fetch_steps(more.pipeline)] == [
        "fetch:normal",
        "fetch:anomaly",
        "fetch:anomaly-masks",
        "fetch:evaluate-0",
    ]
    manifests = changed(sources=Sources({}, ManifestSource("/t", "/u", "/i")))
    assert [s.name for s in fetch_steps(manifests.pipeline)] == [
        "fetch:manifest-train",
        "fetch:manifest-test",
        "fetch:manifest-images",
    ]
