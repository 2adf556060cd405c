"""Run files: what is written is what is read, and the schema describes it."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from lfvpipe.errors import UserError
from lfvpipe.report import metrics, run_file, tracking
from lfvpipe.report.records import RunRecord, Timing, Verdict

MakeRun = Callable[..., RunRecord]
SCHEMA = Path(__file__).parents[2] / "schemas" / "run.schema.json"


def test_a_run_survives_writing_and_reading(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    read = run_file.load(run_file.write(tmp_path, run))
    assert run_file.as_json(read) == run_file.as_json(run)
    assert [v.id for v in read.verdicts["test"]] == sorted(v.id for v in run.verdicts["test"])
    assert read.scores == run.scores


def test_the_schema_describes_what_is_written(make_run: MakeRun) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    data = json.loads(json.dumps(run_file.as_json(make_run())))
    assert list(validator.iter_errors(data)) == []
    assert not validator.is_valid(data | {"surprise": 1})


def test_timings_are_added_and_replace_those_of_the_same_step(
    make_run: MakeRun, tmp_path: Path
) -> None:
    path = run_file.write(tmp_path, make_run())
    run_file.add_timings(path, [Timing("upload", "unchanged", 0.0), Timing("report", "created", 1)])
    timings = {timing.step: timing for timing in run_file.load(path).timings}
    assert timings["upload"] == Timing("upload", "unchanged", 0.0)
    assert timings["model"].seconds == 75.25
    assert "report" in timings


def test_the_previous_run_is_the_one_before_in_time(make_run: MakeRun, tmp_path: Path) -> None:
    ids = ["20210406T191844Z-0123abcd", "20210407T000000Z-00000000", "20210301T000000Z-ffffffff"]
    for run_id in ids:
        run_file.write(tmp_path, make_run(id=run_id))
    assert run_file.previous_id(tmp_path, ids[1]) == ids[0]
    assert run_file.previous_id(tmp_path, ids[2]) is None


def test_the_keys_of_a_run_of_0_1_0_are_read_as_the_pipeline_file_has_them(
    make_run: MakeRun, tmp_path: Path
) -> None:
    config = {
        "evaluate.archives": [],
        "evaluate.images": ["a.png"],
        "evaluate.unused_per_label": 6,
        "sample.normal.percent": 40.0,
        "split.test.anomaly.count": 4,
        "split.train.normal.percent": 60.0,
    }
    assert run_file.load(run_file.write(tmp_path, make_run(config=config))).config == {
        "evaluate.images": ["a.png"],
        "evaluate.unused.per_label": 6,
        "sample.normal.percent": 40.0,
        "split.anomaly.test.count": 4,
        "split.normal.train.percent": 60.0,
    }
    old = make_run(config={"evaluate.images": [], "evaluate.archives.0.archive": "/t.zip"})
    read = run_file.load(run_file.write(tmp_path, old)).config
    assert read == {"evaluate.images": [], "evaluate.images[0].archive": "/t.zip"}
    again = run_file.load(run_file.write(tmp_path, make_run(config=read))).config
    assert again == read


@pytest.mark.parametrize("content", ["", "[]", "{}", "nonsense"])
def test_a_file_that_is_no_run_file_is_a_users_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "x.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(UserError, match="not a run file"):
        run_file.load(path)


def test_a_newer_run_file_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    path = run_file.write(tmp_path, make_run())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(UserError, match="newer"):
        run_file.load(path)


def test_a_run_whose_verdict_file_is_gone_still_tells_its_figures(
    make_run: MakeRun, tmp_path: Path
) -> None:
    path = run_file.write(tmp_path, make_run())
    (tmp_path / "verdicts" / "test.jsonl").unlink()
    run = run_file.load(path)
    assert run.verdicts["test"] == ()
    assert run.scores["test"].confusion.total == 40


def test_metrics_that_are_not_defined_are_null_in_the_file_and_absent_for_mlflow(
    make_run: MakeRun, tmp_path: Path
) -> None:
    rows = [Verdict(f"{n}", f"{n}.png", "normal", n == 0, 0.9) for n in range(6)]
    scores = {"test": metrics.score_set(rows)}
    run = make_run(scores=scores, model={"project": "p", "version": "1", "f1": None})
    written = json.loads(run_file.write(tmp_path, run).read_text("utf-8"))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(written)
    estimates = written["scores"]["test"]["estimates"]
    for name in ("f1", "precision", "recall", "roc_auc", "average_precision"):
        assert estimates[name] == {"value": None, "low": None, "high": None}
    assert estimates["false_alarm_rate"]["value"] == pytest.approx(1 / 6)
    told = tracking.metrics(run)
    assert told["test/false_alarm_rate"] == pytest.approx(1 / 6)
    assert not any(word in key for key in told for word in ("f1", "precision", "recall", "roc"))
    assert all(map(math.isfinite, told.values()))
    assert "cannot be told" in tracking.tags(run)["mlflow.note.content"]
