"""Runs that are killed or interrupted resume, and end like runs that were not."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.soak.kills import Trial, compare, kill_in, snapshot
from tests.workshop import Said, call, spawn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.conftest import Workshop


@pytest.fixture
def trial(workshop: Workshop) -> Iterator[Trial]:
    """Yield a pipeline that has run to its end once."""
    workshop.write()
    trial = Trial(workshop.folder, "pipeline.yaml")
    trial.finish()
    yield trial
    trial.forget()


def test_a_run_killed_in_any_step_resumes_and_ends_like_one_that_was_not(trial: Trial) -> None:
    expected = snapshot(trial)
    for number, step in enumerate(("extract", "upload", "datasets", "model", "evaluate")):
        trial.forget()
        kill_in(trial, step, 0.0, and_workers=number % 2 == 1)
        trial.finish()
        assert compare(expected, snapshot(trial)) == [], step


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_training_ends_cleanly_and_says_how_to_resume(
    workshop: Workshop, number: signal.Signals
) -> None:
    workshop.write()
    trial = Trial(workshop.folder, "pipeline.yaml")
    process = trial.start()
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if '"step-progress"' in line and '"model"' in line:
            process.send_signal(number)
            break
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "resume with `lfvpipe run pipeline.yaml`" in said
    assert "Traceback" not in said
    for command in ("status", "plan"):
        told = call(command, "pipeline.yaml", cwd=workshop.folder).out
        assert "version 1" in told
        assert "`lfvpipe run` takes it up" in told
    trial.finish()
    assert [row["ModelVersion"] for row in workshop.models()] == ["1"]


def test_stop_stops_what_a_killed_run_left_hosted(workshop: Workshop) -> None:
    workshop.write()
    trial = Trial(workshop.folder, "pipeline.yaml")
    process = trial.start()
    assert process.stderr is not None
    for line in process.stderr:
        if '"step-progress"' in line and '"evaluate"' in line:
            break
    process.kill()
    process.communicate()
    for teller in ("status", "plan"):
        assert "hosted: model:" in call(teller, "pipeline.yaml", cwd=workshop.folder).out
    assert workshop.lfvpipe("stop").code == 0
    assert [row["Status"] for row in workshop.models()] == ["TRAINED"]


def test_the_next_command_tells_and_stops_what_an_earlier_one_left_hosted(
    workshop: Workshop,
) -> None:
    """The ledger is as a killed run leaves it, after which nothing else may be left to do."""
    workshop.write()
    ledger = workshop.folder / ".lfvpipe" / "pipeline" / "ledger.json"

    def lfvpipe(*words: str) -> Said:
        return call(words[0], "pipeline.yaml", *words[1:], cwd=workshop.folder)

    def leave_hosted() -> None:
        assert lfvpipe("run", "--refresh", "--set", "hosting.keep_running=true").code == 0
        assert [row["Status"] for row in workshop.models()] == ["HOSTED"]
        assert "still hosted: model:" in lfvpipe("plan").out

    leave_hosted()
    elsewhere = lfvpipe("stop", "--set", "service.endpoint=http://127.0.0.1:9")
    assert "left alone model:" in elsewhere.out
    assert "--set service.endpoint=embedded" in elsewhere.out
    said = lfvpipe("run", "--until", "model")
    assert "which an earlier command had left hosted, is stopped now" in said.err
    assert [row["Status"] for row in workshop.models()] == ["TRAINED"]
    assert json.loads(ledger.read_text())["held"] == {}
    leave_hosted()
    image = next(iter(ledger.parent.rglob("*.png")), None) or next(ledger.parent.rglob("*.jpg"))
    assert lfvpipe("detect", str(image)).code == 0
    assert [row["Status"] for row in workshop.models()] == ["TRAINED"]
    leave_hosted()
    assert lfvpipe("destroy", "--yes").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of this kind are POSIX's")
def test_a_terminal_that_goes_away_leaves_no_model_hosted(workshop: Workshop) -> None:
    """The terminal sends SIGHUP to all of its processes, and the shell once more; both go."""
    workshop.write()
    ours, theirs = os.openpty()
    with spawn(
        *("run", "pipeline.yaml", "--log-format", "json"),
        cwd=workshop.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        said = b""
        while not any(b'"step-progress"' in x and b'"evaluate"' in x for x in said.splitlines()):
            said += os.read(ours, 65536)
        os.close(ours)
        os.killpg(process.pid, signal.SIGHUP)
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(timeout=60) == 130
    assert [row["Status"] for row in workshop.models()] == ["TRAINED"]
    ledger = json.loads((workshop.folder / ".lfvpipe" / "pipeline" / "ledger.json").read_text())
    assert ledger["held"] == {}


def test_destroy_removes_what_the_pipeline_created_and_nothing_else(workshop: Workshop) -> None:
    workshop.write()
    assert workshop.lfvpipe("run").code == 0
    assert workshop.lfvpipe("run", "--force", "model").code == 0
    (bucket,) = (workshop.folder / ".lfvpipe" / "buckets").iterdir()
    (bucket / "mine.txt").write_text("not the pipeline's")
    refused = workshop.lfvpipe("destroy", answer="no\n")
    assert refused.code != 0
    assert len(workshop.bucket()) > 1
    done = workshop.lfvpipe("destroy", "--yes")
    assert done.code == 0, done.err
    assert [name.split("/")[-1] for name in workshop.bucket()] == ["mine.txt"]
    assert workshop.client().list_projects()["Projects"] == []
