"""Remote zips of which few images are wanted: only their bytes move, and the result is the same."""

import hashlib
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy
import pytest
from PIL import Image

from lfvpipe.cli.main import main
from lfvpipe.config.spec import LABELS, Bucket, Label, Sample, Share, Source, Sources
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.patience import OF_A_RUN, patient
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.reading import read_members
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.fetch import FetchOutcome, FetchStep, fetch_steps
from lfvpipe.steps.select.step import SelectStep
from tests.specs import whole_pipeline


def picture(seed: int) -> bytes:
    noise = numpy.random.default_rng(seed).integers(0, 256, (200, 200, 3), numpy.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def packed(files: Mapping[str, bytes], comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = comment
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photographs() -> dict[str, bytes]:
    good = {f"good/{n:03}.png": picture(n) for n in range(40)}
    return good | {f"bad/{n:03}.png": picture(100 + n) for n in range(16)}


@pytest.fixture(autouse=True)
def no_pauses(work: Any) -> Iterator[None]:
    with patient(OF_A_RUN, tell=lambda message: work.warn(message), wait=lambda _: None):
        yield


def context_of(folder: Path, address: str, percent: float = 10, **more: Any) -> Context:
    by_label: dict[Label, Source] = {
        "normal": Source(address, include=("good/**",), **more),
        "anomaly": Source(address, include=("bad/**",), **more),
    }
    pipeline = replace(
        whole_pipeline(folder),
        sources=Sources(by_label),
        sample=Sample({label: Share(percent=percent) for label in LABELS}),
    )
    return Context(pipeline, folder / ".lfvpipe")


def fetch(context: Context, work: Any) -> dict[str, Outcome]:
    for step in fetch_steps(context.pipeline):
        work.upstream[step.name] = step.act(context, work)
    return dict(work.upstream)


def extract(context: Context, work: Any) -> Outcome:
    work.upstream["select"] = SelectStep(()).act(context, work)
    outcome = ExtractStep().act(context, work)
    assert not ExtractStep().missing(context, outcome)
    return outcome


def came_by_range(outcomes: Mapping[str, Outcome]) -> bool:
    facts = [FetchOutcome.from_json(each.facts) for each in outcomes.values()]
    return all(each.read is not None for each in facts)


Whole = Callable[[Any], tuple[Any, Any]]


@pytest.fixture
def of_the_whole(tmp_path: Path, web: Any, work: Any) -> Whole:
    """Return a function that gives the digests that the whole archive leads to."""

    def digests(archive: bytes, percent: float = 10) -> tuple[Any, Any]:
        folder = tmp_path / "whole"
        folder.mkdir()
        (folder / "photographs.zip").write_bytes(archive)
        context = context_of(folder, str(folder / "photographs.zip"), percent)
        fetch(context, work)
        found = extract(context, work)
        selected = work.upstream["select"].facts["digest"]
        work.upstream.clear()
        work.warnings.clear()
        return selected, found.facts["digest"]

    return digests


@pytest.mark.parametrize("shape", ["plain", "zip64", "commented"])
def test_a_tenth_of_a_zip_moves_a_tenth_of_its_bytes_to_the_same_result(
    photographs: dict[str, bytes],
    of_the_whole: Any,
    web: Any,
    tmp_path: Path,
    work: Any,
    monkeypatch: pytest.MonkeyPatch,
    shape: str,
) -> None:
    if shape == "zip64":
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10)
    archive = packed(photographs, b"of the line\n" * 400 if shape == "commented" else b"")
    assert (b"PK\6\7" in archive) == (shape == "zip64")
    web.files["/photographs.zip"] = archive
    context = context_of(tmp_path, f"{web.url}/photographs.zip")
    outcomes = fetch(context, work)
    found = extract(context, work)
    assert came_by_range(outcomes)
    assert web.sent <= 0.15 * len(archive)
    assert not work.warnings
    assert (work.upstream["select"].facts["digest"], found.facts["digest"]) == of_the_whole(archive)
    for step in fetch_steps(context.pipeline):
        assert not step.missing(context, outcomes[step.name])
        assert not step.observe(context, outcomes[step.name])
        assert "only chosen images are fetched" in step.describe(outcomes[step.name])


def test_a_larger_sample_moves_what_is_not_there(
    photographs: dict[str, bytes], of_the_whole: Any, web: Any, tmp_path: Path, work: Any
) -> None:
    web.files["/photographs.zip"] = archive = packed(photographs)
    context = context_of(tmp_path, f"{web.url}/photographs.zip")
    fetch(context, work)
    extract(context, work)
    context = context_of(tmp_path, f"{web.url}/photographs.zip", 100)
    found = extract(context, work)
    assert web.sent <= 1.02 * len(archive)
    assert found.facts["digest"] == of_the_whole(archive, 100)[1]


def test_an_object_of_a_bucket_is_read_by_range_too(
    photographs: dict[str, bytes], of_the_whole: Any, s3: str, tmp_path: Path, work: Any
) -> None:
    archive = packed(photographs)
    context = context_of(tmp_path, "s3://parts-images/photographs.zip")
    bucket = Bucket("parts-images", endpoint=s3)
    context = Context(replace(context.pipeline, bucket=bucket), context.state_root)
    context.bucket.create()
    context.bucket.put("photographs.zip", archive)
    outcomes = fetch(context, work)
    found = extract(context, work)
    assert came_by_range(outcomes)
    context.bucket.put("photographs.zip", packed(dict(sorted(photographs.items()))))
    bigger = replace(context.pipeline, sample=Sample({x: Share(percent=50) for x in LABELS}))
    with pytest.raises(UserError, match="has changed since its directory was read"):
        extract(Context(bigger, context.state_root), work)
    assert found.facts["digest"] == of_the_whole(archive)[1]


@pytest.mark.parametrize(
    "case", ["small", "most", "pinned", "no zip", "inner", "link", "weak", "no ranges", "lying"]
)
def test_the_whole_is_fetched_where_parts_are_not_less_or_not_sure(
    photographs: dict[str, bytes], web: Any, tmp_path: Path, work: Any, case: str
) -> None:
    archive = packed(photographs)
    if case == "small":
        archive = packed(dict(list(photographs.items())[:20]))
    elif case == "no zip":
        archive = os.urandom(5_000_000)
    elif case == "inner":
        inner = packed({"good/x.png": picture(1)})
        archive = packed({**photographs, "more.zip": inner})
    elif case == "link":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as opened:
            link = zipfile.ZipInfo("good/same.png")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            for name, data in photographs.items():
                opened.writestr(name, data)
                if name == "good/020.png":
                    opened.writestr(link, "000.png")
        archive = buffer.getvalue()
    web.files["/photographs.zip"] = archive
    web.etags = {"/photographs.zip": 'W/"1"'} if case == "weak" else {}
    web.ranges = case != "no ranges"
    web.shift = 100 if case == "lying" else 0
    more = {"sha256": hashlib.sha256(archive).hexdigest()} if case == "pinned" else {}
    percent = 90 if case == "most" else 10
    outcomes = fetch(context_of(tmp_path, f"{web.url}/photographs.zip", percent, **more), work)
    assert not came_by_range(outcomes)
    path = FetchOutcome.from_json(outcomes["fetch:normal"].facts).path
    assert (tmp_path / ".lfvpipe" / path).read_bytes() == archive
    is_said = any("is fetched as a whole" in each for each in work.warnings)
    assert is_said == (case in ("weak", "no ranges", "lying"))


def test_a_server_that_sends_no_parts_any_more_sends_the_whole(
    photographs: dict[str, bytes], of_the_whole: Any, web: Any, tmp_path: Path, work: Any
) -> None:
    web.files["/photographs.zip"] = archive = packed(photographs)
    context = context_of(tmp_path, f"{web.url}/photographs.zip")
    outcomes = fetch(context, work)
    web.ranges = False
    found = extract(context, work)
    assert [each for each in work.warnings if "is fetched as a whole" in each]
    assert found.facts["digest"] == of_the_whole(archive)[1]
    assert not any(
        step.missing(context, outcomes[step.name]) for step in fetch_steps(context.pipeline)
    )


@pytest.mark.parametrize("heeds", [True, False])
def test_versions_are_not_mixed(
    photographs: dict[str, bytes], web: Any, tmp_path: Path, work: Any, heeds: bool
) -> None:
    web.files["/photographs.zip"] = packed(photographs)
    web.heeds_if_range = heeds
    context = context_of(tmp_path, f"{web.url}/photographs.zip")
    outcomes = fetch(context, work)
    names = list(photographs)
    turned = dict(zip(names, reversed(photographs.values()), strict=True))
    web.files["/photographs.zip"] = packed(turned)
    with pytest.raises(UserError, match="has changed since its directory was read"):
        extract(context, work)
    (step, *_) = fetch_steps(context.pipeline)
    assert step.missing(context, outcomes[step.name])  # hence it is fetched anew
    fetch(context, work)
    extract(context, work)


def test_another_pipeline_that_fetched_a_later_version_is_noticed(
    photographs: dict[str, bytes], web: Any, tmp_path: Path, work: Any
) -> None:
    """Its members are called the same, and their sums are right: nothing else would tell."""
    web.files["/photographs.zip"] = packed(photographs)
    context = context_of(tmp_path, f"{web.url}/photographs.zip")
    fetch(context, work)
    work.upstream["select"] = SelectStep(()).act(context, work)
    later = {name: picture(9000 + number) for number, name in enumerate(photographs)}
    web.files["/photographs.zip"] = packed(later)
    for step in fetch_steps(context.pipeline):  # as the other one, of the same state
        step.act(context, work)
    with pytest.raises(UserError, match="has changed since its directory was read"):
        ExtractStep().act(context, work)


def test_a_later_version_that_another_pipeline_fetches_while_this_one_reads_is_noticed(
    photographs: dict[str, bytes], web: Any, tmp_path: Path, work: Any
) -> None:
    web.files["/photographs.zip"] = packed(photographs)
    context = context_of(tmp_path, f"{web.url}/photographs.zip")
    fetch(context, work)
    step = fetch_steps(context.pipeline)[0]
    wanted = [f"good/{number:03}.png" for number in range(3)]
    reading = read_members(context, work, step.source.member, wanted)
    name, data = next(reading)
    assert data == photographs[name]
    later = {each: picture(9000 + number) for number, each in enumerate(photographs)}
    web.files["/photographs.zip"] = packed(later)
    step.act(context, work)  # as the other one, of the same state
    with pytest.raises(UserError, match="has changed since its directory was read"):
        list(reading)


def test_a_run_that_is_stopped_goes_on_with_what_lacks(
    photographs: dict[str, bytes],
    web: Any,
    tmp_path: Path,
    work: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web.files["/photographs.zip"] = archive = packed(photographs)
    context = context_of(tmp_path, f"{web.url}/photographs.zip", 30)
    fetch(context, work)

    def stop(done: int, total: int | None, unit: str, detail: str = "") -> None:
        if unit == "bytes":
            raise Cancelled

    with monkeypatch.context() as patch:
        patch.setattr(work, "progress", stop)
        with pytest.raises(Cancelled):
            extract(context, work)
    so_far = web.sent
    extract(context, work)
    assert web.sent - so_far <= 0.25 * len(archive)  # of 30 %


def test_bytes_that_are_wrong_here_are_fetched_once_more(
    photographs: dict[str, bytes], of_the_whole: Any, web: Any, tmp_path: Path, work: Any
) -> None:
    web.files["/photographs.zip"] = archive = packed(photographs)
    context = context_of(tmp_path, f"{web.url}/photographs.zip")
    outcomes = fetch(context, work)
    extract(context, work)
    path = tmp_path / ".lfvpipe" / FetchOutcome.from_json(outcomes["fetch:normal"].facts).path
    (start,) = struct.unpack_from("<I", archive, len(archive) - 6)
    with path.open("r+b") as file:  # all but the directory, behind the head
        file.seek(1024)
        file.write(bytes(start - 1024))
    for each in (context.state_dir / "images").rglob("*.*"):
        each.unlink()
    assert extract(context, work).facts["digest"] == of_the_whole(archive)[1]


def test_parts_without_their_notes_are_fetched_anew(
    photographs: dict[str, bytes], web: Any, tmp_path: Path, work: Any
) -> None:
    web.files["/photographs.zip"] = packed(photographs)
    context = context_of(tmp_path, f"{web.url}/photographs.zip")
    outcomes = fetch(context, work)
    next(context.cache_dir.rglob(".parts.json")).write_text("[]")
    step: FetchStep = fetch_steps(context.pipeline)[0]
    assert [why.code for why in step.missing(context, outcomes[step.name])] == ["output-missing"]
    assert came_by_range(fetch(context, work))


def test_prune_keeps_the_parts_that_are_in_use(
    photographs: dict[str, bytes],
    web: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web.files["/photographs.zip"] = packed(photographs)
    monkeypatch.chdir(tmp_path)
    text = """
        sources:
          normal: {archive: URL, include: ["good/**"]}
          anomaly: {archive: URL, include: ["bad/**"]}
        sample: {percent: 10}
        split: {train: 80, test: 20}
    """
    file = tmp_path / "pipeline.yaml"
    file.write_text(dedent(text).replace("URL", f"{web.url}/photographs.zip"))
    assert main(["run", str(file), "--until", "extract"]) == 0
    main(["prune", str(file), "--yes"])
    sent = web.sent
    assert sorted(each.name for each in tmp_path.rglob("parts/*")) == [
        ".parts.json",
        "photographs.zip",
    ]
    assert main(["run", str(file), "--until", "extract"]) == 0
    assert web.sent == sent
    capsys.readouterr()
