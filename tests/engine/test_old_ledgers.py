"""Ledgers that 0.1.0 wrote are read as they are, and say the same of what to do.

``fixtures/ledger-0.1.0.json`` is what 0.1.0 left of the quickstart, with the archives' folder and
the two fingerprints that follow from it put in by hand; ``ledger-0.1.0-interrupted.json`` is the
same pipeline, killed while a second model trained: the first one's evaluation had failed, the slot
of the datasets is unknown, and the record of the model is from before outcomes were superseded.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lfvpipe.engine.inputs import Input, InputFile, Setting
from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.planning import plan
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.runner import run
from lfvpipe.engine.step import Step, Work

FIXTURES = Path(__file__).parent / "fixtures"
DONE = FIXTURES / "ledger-0.1.0.json"
INTERRUPTED = FIXTURES / "ledger-0.1.0-interrupted.json"
SCHEMA = Path(__file__).parents[2] / "schemas" / "ledger.schema.json"


class AsThen(Step[None]):
    """A step that depends on what a record of the ledger says that it depended on."""

    def __init__(self, name: str, inputs: dict[str, Any]) -> None:
        self.name = name
        self.needs = tuple(k.removeprefix("step:") for k in inputs if k.startswith("step:"))
        self.exclusive = name == "datasets"  # type: ignore[misc]  # a class variable otherwise
        self.recorded = {k: v for k, v in inputs.items() if k != "version"}
        self.works: list[Work] = []

    def inputs(self, context: None) -> Sequence[Input]:
        return [
            InputFile(key.removeprefix("file:"), value)
            if key.startswith("file:")
            else Setting(key, value)
            for key, value in self.recorded.items()
            if not key.startswith("step:")
        ]

    def act(self, context: None, work: Work) -> Outcome:
        self.works.append(work)
        return Outcome("created", {"version": "2"})


def steps_of(file: Path) -> list[AsThen]:
    outcomes = json.loads(file.read_text())["outcomes"]
    return [
        AsThen(step, record["inputs"])
        for step, kept in outcomes.items()
        for record in kept.values()
    ]


@pytest.fixture
def copied(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "ledger.json"
    path.write_bytes(request.param.read_bytes())
    return path


@pytest.mark.parametrize("file", [DONE, INTERRUPTED])
def test_the_schema_of_today_describes_it(file: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(file.read_text()))


@pytest.mark.parametrize("copied", [DONE], indirect=True)
def test_a_finished_pipeline_has_nothing_to_do(copied: Path) -> None:
    steps = steps_of(DONE)
    assert len(steps) == 13
    planned = plan(steps, None, Ledger.load(copied))
    assert {row.action for row in planned.rows} == {"unchanged"}
    done = run(steps, None, Ledger.load(copied))
    assert {row.action for row in done.rows} == {"unchanged"}
    assert copied.read_bytes() == DONE.read_bytes()


@pytest.mark.parametrize("copied", [DONE], indirect=True)
def test_a_ledger_is_written_as_it_was_but_for_its_serial(copied: Path) -> None:
    Ledger.load(copied).save()
    assert copied.read_text() == DONE.read_text().replace('"serial": 42', '"serial": 43')


@pytest.mark.parametrize("copied", [INTERRUPTED], indirect=True)
def test_an_interrupted_run_is_resumed_with_what_it_saved(copied: Path) -> None:
    steps = steps_of(INTERRUPTED)
    rows = {row.step: row for row in plan(steps, None, Ledger.load(copied)).rows}
    assert rows["manifests"].action == rows["project"].action == "unchanged"
    # Nobody knows what the slot of the datasets holds, and the model reads it.
    assert [reason.code for reason in rows["datasets"].reasons] == ["displaced"]
    assert rows["model"].action == rows["evaluate"].action == "run"
    ledger = Ledger.load(copied)
    assert ledger.held.keys() == {"model:quickstart/1"}
    (model,) = ledger.records("model")
    assert (model.state, model.superseded, model.saved["version"]) == ("running", (), "2")
    (evaluate,) = ledger.records("evaluate")
    assert (evaluate.state, evaluate.hint) == ("failed", "")
    assert evaluate.error == (
        "hosting of model 1 of project quickstart ended as HOSTING_FAILED: no memory"
    )
    # With the datasets as they were, the model resumes: the same fingerprint, so the same attempt.
    datasets = next(step for step in steps if step.name == "datasets")
    (record,) = ledger.records("datasets")
    datasets.act = lambda context, work: record.outcome  # type: ignore[assignment, method-assign, return-value]
    run(steps, None, ledger)
    (work,) = next(step for step in steps if step.name == "model").works
    assert (work.attempt, work.saved["failed_versions"]) == (2, ["1"])
    assert work.fingerprint == model.fingerprint
    again = plan(steps, None, Ledger.load(copied))
    assert {row.action for row in again.rows} == {"unchanged"}


@pytest.mark.parametrize("copied", [INTERRUPTED], indirect=True)
def test_why_a_killed_step_runs_is_said(copied: Path) -> None:
    data = json.loads(copied.read_text())
    data["slots"]["datasets"] = data["standing"]["default"]["datasets"]
    copied.write_text(json.dumps(data))
    rows = {row.step: row for row in plan(steps_of(INTERRUPTED), None, Ledger.load(copied)).rows}
    assert rows["datasets"].action == "unchanged"
    assert rows["model"].reasons == (Reason("interrupted"),)
    assert rows["evaluate"].reasons == (Reason("upstream", "model"),)
