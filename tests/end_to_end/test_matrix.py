"""A matrix of experiments: what its variants share, and how they resume and compare."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.soak.kills import Trial, kill_in
from tests.workshop import write_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Web
    from tests.end_to_end.conftest import Workshop

MATRIX = """\
sources:
  normal: {{archive: "{address}/good.zip"}}
  anomaly: {{archive: "{address}/bad.zip"}}
split: {{train: 50, test: 50}}
evaluate: {{images: [good/0.png, bad/0.png]}}
matrix: {{sample.percent: [25, 50, 100]}}
"""
VARIANTS = ["sample.percent=25", "sample.percent=50", "sample.percent=100"]


@pytest.fixture
def served(workshop: Workshop, web: Web) -> Iterator[Web]:
    """Yield a server of archives of which a quarter is enough to train on.

    Of all there are, four defects are learnt from: from five on networks learn, which takes long.
    """
    for name, count, spoilt in (("good", 84, False), ("bad", 9, True)):
        path = workshop.folder / f"{name}.zip"
        write_archive(path, name, count, spoilt=spoilt)
        web.files[f"/{name}.zip"] = path.read_bytes()
        path.unlink()
    workshop.write(MATRIX.format(address=web.url))
    yield web
    Trial(workshop.folder, "pipeline.yaml").forget()


def _actions(facts: Any) -> dict[str, Counter[str]]:
    return {
        variant["variant"]: Counter(row["action"] for row in variant["steps"])
        for variant in facts["variants"]
    }


@pytest.mark.timeout(900)  # it trains three models
def test_a_matrix_shares_what_it_can_resumes_after_a_kill_and_draws_a_learning_curve(
    workshop: Workshop, served: Web
) -> None:
    trial = Trial(workshop.folder, "pipeline.yaml")
    assert kill_in(trial, "model", 0.5, and_workers=True)
    before = workshop.bucket()
    done = workshop.lfvpipe("run", "--json", timeout=800)
    assert done.code == 0, done.err
    # Beside what looks, by range, whether parts of them would do.
    whole = [
        path for method, path, _, status in served.requests if (method, status) == ("GET", 200)
    ]
    assert sorted(whole) == ["/bad.zip", "/good.zip"]
    images = {name: when for name, when in workshop.bucket().items() if name.endswith(".png")}
    assert len(images) == 83 + 8
    assert {name: images[name] for name in before if name in images} == {
        name: when for name, when in before.items() if name in images
    }
    assert [(row["ModelVersion"], row["Status"]) for row in workshop.models()] == [
        (version, "TRAINED") for version in "123"
    ]
    uploaded = [
        row["facts"]["uploaded"]
        for variant in done.json["variants"]
        for row in variant["steps"]
        if row["step"] == "upload"
    ]
    assert sum(uploaded) == len(images)

    _second_run_has_nothing_to_do(workshop, served)
    _the_variants_compare(workshop)


def _second_run_has_nothing_to_do(workshop: Workshop, served: Web) -> None:
    asked = len(served.requests)
    bucket, models = workshop.bucket(), workshop.models()
    assert workshop.lfvpipe("plan").code == 0
    again = workshop.lfvpipe("run", "--json")
    assert again.code == 0, again.err
    assert _actions(again.json) == {name: Counter(unchanged=13) for name in VARIANTS}
    assert len(served.requests) == asked
    assert (workshop.bucket(), workshop.models()) == (bucket, models)


def _the_variants_compare(workshop: Workshop) -> None:
    history = workshop.lfvpipe("history", "--json").json
    assert [row["variant"] for row in history] == VARIANTS
    assert [[each["key"] for each in row["changed"]] for row in history] == [
        [],
        ["sample.percent"],
        ["sample.percent"],
    ]
    done = workshop.lfvpipe("compare", "--matrix", "-o", "compared.html", "--json")
    assert done.code == 0, done.err
    compared = done.json
    assert [run["model_version"] for run in compared["runs"]] == ["1", "2", "3"]
    assert compared["differences"] == {"sample.percent": [25, 50, 100]}
    assert compared["sets"]["test"]["comparable"] == "shared"
    assert [point["amount"] for point in compared["curves"][0]["points"]] == [25, 50, 100]
    assert "<svg" in (workshop.folder / "compared.html").read_text()
    said = workshop.lfvpipe("compare", "v1", "sample.percent=100").out
    assert "F1 over sample.percent" in said
    assert "sample.percent" in workshop.lfvpipe("report", "--run", "v2").out


def test_keep_going_goes_on_after_a_variant_that_fails(workshop: Workshop) -> None:
    workshop.write(
        "sources: {normal: {archive: good.zip}, anomaly: {archive: bad.zip}}\n"
        "split: {train: 50, test: 50}\n"
        "service: {limits: documented}\n"
        "matrix: {sample.percent: [10, 50, 100]}\n"
    )
    until = ("run", "--until", "manifests", "--json")
    stopped = workshop.lfvpipe(*until)
    assert stopped.code == 1
    assert [each["ok"] for each in stopped.json["variants"]] == [False]
    went_on = workshop.lfvpipe(*until, "--keep-going")
    assert went_on.code == 1
    assert [each["ok"] for each in went_on.json["variants"]] == [False, True, True]
    said = workshop.lfvpipe("run", "--until", "manifests", "--keep-going")
    assert "sample.percent=10" in said.err
    ledger = workshop.folder / ".lfvpipe" / "pipeline" / "ledger.json"
    standing = json.loads(ledger.read_text())["standing"]
    assert "manifests" in standing["sample.percent=100"]
    assert "manifests" not in standing["sample.percent=10"]
