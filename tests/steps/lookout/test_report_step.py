"""The run file that a run leaves."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from lfvpipe.report import run_file

SCHEMA = Path(__file__).parents[3] / "schemas" / "run.schema.json"


def test_the_run_file_keeps_to_its_schema_and_tells_the_run(world: Any) -> None:
    world.run()
    path = world.ledger_path.parent / world.facts("report")["run_file"]
    data = json.loads(path.read_text())
    jsonschema.validate(data, json.loads(SCHEMA.read_text()))
    assert data["data"]["train"] == {"anomaly": 3, "normal": 3}
    assert data["config"]["sources.normal.archive"].endswith("n.zip")
    assert data["model"]["version"] == "1"
    assert data["verdict_files"]["evaluation"]["count"] == 8


def test_a_run_that_changed_something_leaves_another_run_file(world: Any) -> None:
    world.run()
    world.train = 5
    world.run()
    assert len(run_file.run_ids(world.ledger_path.parent)) == 2


def test_a_run_file_that_is_gone_is_made_again_without_contacting_anyone(world: Any) -> None:
    world.run()
    (world.ledger_path.parent / world.facts("report")["run_file"]).unlink()
    calls = len(world.service.calls)
    assert world.words(world.run())["report"] == "created"
    assert len(world.service.calls) == calls
