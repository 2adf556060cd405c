"""The commands on a small project, as far as no model is needed."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.cli import formatting
from lfvpipe.engine.lock import hold
from lfvpipe.report.durations import duration

NEVER_ON_A_NO_OP = {
    "boto3",
    "botocore",
    "jsonschema",
    "numpy",
    "obstore",
    "onnxruntime",
    "PIL",
    "rich",
    "structlog",
}


def test_a_plan_of_a_new_project_runs_everything_and_exits_2(project: Path, lfvpipe: Any) -> None:
    said = lfvpipe("plan", project)
    assert said.code == 2
    assert "13 of 13 steps to run" in said.out
    assert not list(project.parent.rglob("ledger.json"))


def test_a_plan_says_before_and_after(prepared: Path, lfvpipe: Any) -> None:
    said = lfvpipe("plan", prepared, "--set", "sample.percent=100")
    assert said.code == 2
    assert "sample.percent: 40 → 100" in said.out
    assert "fetch:normal" in said.out


def test_plans_of_a_matrix_say_once_how_to_run_them(project: Path, lfvpipe: Any) -> None:
    project.write_text(project.read_text() + "matrix: {sample.seed: [1, 2]}\n")
    said = lfvpipe("plan", project)
    assert said.out.count("run it with") == 1
    assert said.out.rstrip().endswith(f"lfvpipe run {project}")


def test_an_error_in_a_matrix_names_its_variant(project: Path, lfvpipe: Any) -> None:
    project.write_text(project.read_text() + "matrix: {sample.percent: [5, 40]}\n" + DOCUMENTED)
    said = lfvpipe("run", project, "--until", "check", "--keep-going")
    assert said.code == 1
    assert "error: check [sample.percent=5]: " in said.err
    assert said.out.startswith("done: ")
    until = lfvpipe("run", project, "--until", "fetch:anomaly", "--keep-going")
    assert "\n\nnothing changed [sample.percent=40]" in until.out


def test_a_plan_as_json_has_codes_subjects_and_values(prepared: Path, lfvpipe: Any) -> None:
    document = lfvpipe("plan", prepared, "--set", "sample.percent=100", "--json").json
    rows = {row["step"]: row for row in document["variants"][0]["steps"]}
    assert document["work"] is True
    assert rows["fetch:normal"] == {"step": "fetch:normal", "action": "unchanged", "reasons": []}
    assert rows["select"]["reasons"] == [
        {"code": "config-changed", "subject": "sample.percent", "before": 40.0, "after": 100.0}
    ]


def test_a_plan_without_work_exits_0(prepared: Path, lfvpipe: Any) -> None:
    said = lfvpipe("plan", prepared, "--until", "extract")
    assert (said.code, "nothing to do" in said.out) == (0, True)


def test_a_plan_that_cannot_observe_says_where_why_and_what_else_there_is(
    prepared: Path, lfvpipe: Any
) -> None:
    assert lfvpipe("run", prepared, "--until", "project").code == 0
    locks = prepared.parent / ".lfvpipe" / "service" / "locks"
    shutil.rmtree(locks)
    locks.write_text("nobody can write here, not even root")
    for command in ("plan", "status"):
        said = lfvpipe(command, prepared, "--refresh")
        assert said.code == 1
        assert f"error: The service's folder {locks.parent} cannot be written: " in said.err
        assert "Errno" not in said.err
        assert "--state-dir" in said.err
        assert "Without --refresh, nothing is written" in said.err
    assert lfvpipe("plan", prepared, "--until", "project").code == 0


DOCUMENTED = "service: {limits: documented}\n"


def test_plan_says_what_is_fetched_by_range(project: Path, lfvpipe: Any) -> None:
    remote = ("--set", "sources.normal.archive=https://example.com/good.zip")
    told = "    by range where the server can: a zip's directory, then 10 % of the images"
    said = lfvpipe("plan", project, *remote, "--set", "sample.percent=10")
    lines = said.out.splitlines()
    assert lines[lines.index(told) - 1].startswith("+ fetch:normal ")
    assert lines.count(told) == 1  # the other archive lies here
    assert told not in lfvpipe("plan", project, *remote, "--set", "sample.percent=80").out


@pytest.mark.parametrize("command", ["plan", "run"])
def test_why_gives_every_reason_and_runs_nothing(
    command: str, prepared: Path, lfvpipe: Any
) -> None:
    said = lfvpipe(command, prepared, "--why", "select", "--set", "sample.percent=90")
    assert "sample.percent: 40 → 90" in said.out
    assert "extract" not in said.out
    assert lfvpipe("plan", prepared, "--until", "extract").code == 0


def test_a_second_run_says_that_nothing_changed(prepared: Path, lfvpipe: Any) -> None:
    said = lfvpipe("run", prepared, "--until", "extract")
    assert (said.code, said.out, said.err) == (0, "nothing changed\n", "")


def test_a_no_op_imports_nothing_heavy(prepared: Path, modules_of: Any) -> None:
    imported = modules_of("run", prepared, "--until", "extract")
    assert not imported & NEVER_ON_A_NO_OP


def test_a_reordered_and_recommented_file_changes_nothing(prepared: Path, lfvpipe: Any) -> None:
    lines = prepared.read_text().splitlines()
    prepared.write_text(
        "# another comment\n"
        + "\n".join(reversed(lines[3:]))
        + "\n"
        + "\n".join([lines[0], lines[2], lines[1]])
        + "\n"
    )
    assert lfvpipe("run", prepared, "--until", "extract").out == "nothing changed\n"


def test_force_runs_a_fresh_step_and_may_stand_before_the_file(
    prepared: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("run", "--until", "select", "--force", prepared)
    assert (said.code, "nothing changed" in said.out) == (0, False)
    named = lfvpipe("run", prepared, "--until", "extract", "--force", "select", "--json").json
    actions = {row["step"]: row["action"] for row in named["variants"][0]["steps"]}
    assert actions["select"] == "run"
    assert actions["fetch:normal"] == "unchanged"


@pytest.mark.parametrize("option", ["--from", "--until", "--only", "--force", "--accept"])
def test_an_unknown_step_is_a_mistake_of_the_command_line(
    option: str, project: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("run", project, option, "extrct")
    assert said.code == 3
    assert "Did you mean extract?" in said.err


def test_a_missing_archive_fails_the_run_with_what_to_do(project: Path, lfvpipe: Any) -> None:
    (project.parent / "Texture_def.zip").unlink()
    said = lfvpipe("run", project, "--until", "extract")
    assert said.code == 1
    assert "error: fetch:anomaly:" in said.err
    assert "Texture_def.zip" in said.err
    assert "try again with `lfvpipe run" in said.err
    assert "select" in said.err  # skipped, and said so


def test_a_failure_as_json_names_the_step_and_what_was_skipped(project: Path, lfvpipe: Any) -> None:
    (project.parent / "Texture_def.zip").unlink()
    said = lfvpipe("run", project, "--until", "extract", "--json")
    rows = {row["step"]: row for row in said.json["variants"][0]["steps"]}
    assert (said.code, said.json["exit_code"]) == (1, 1)
    assert "Texture_def.zip" in rows["fetch:anomaly"]["error"]
    assert rows["select"]["because"] == "fetch:anomaly"


def test_too_few_images_stop_before_anything_is_created(project: Path, lfvpipe: Any) -> None:
    project.write_text(project.read_text() + DOCUMENTED)
    said = lfvpipe("run", project, "--set", "sample.percent=10")
    assert said.code == 1
    assert "error: check:" in said.err
    assert "or let service.limits be open" in said.err
    assert not (project.parent / ".lfvpipe" / "buckets").exists()


def test_a_wrong_file_names_every_place(project: Path, lfvpipe: Any) -> None:
    project.write_text(
        "sources: {normal: {archive: Texture.zip}}\nsampel: 3\nsplit: {train: 400}\n"
    )
    said = lfvpipe("run", project)
    assert said.code == 3
    assert f"error: {project}:2:1:" in said.err
    assert f"error: {project}:3:16:" in said.err
    assert "sample" in said.err


def test_two_runs_at_once_end_the_second_with_4(project: Path, lfvpipe: Any) -> None:
    folder = project.parent / ".lfvpipe" / "pipeline"
    with hold(folder, "lfvpipe run elsewhere", 0):
        said = lfvpipe("run", project)
    assert said.code == 4
    assert "lfvpipe run elsewhere" in said.err
    assert str(os.getpid()) in said.err


def test_a_run_reports_each_step_on_standard_error(project: Path, lfvpipe: Any) -> None:
    said = lfvpipe("run", project, "--until", "extract")
    steps = ["fetch:normal", "fetch:anomaly", "select", "extract"]
    assert all(f"> {step}" in said.err and f"✓ {step} " in said.err for step in steps)
    assert "train 35, test 25" in said.err


def test_json_logs_are_one_object_a_line(project: Path, lfvpipe: Any) -> None:
    said = lfvpipe("run", project, "--until", "extract", "--log-format", "json", "--json")
    events = [json.loads(line) for line in said.err.splitlines()]
    names = [event["event"] for event in events]
    assert (names[0], names[-1]) == ("run-started", "run-finished")
    assert {event["level"] for event in events} == {"info"}
    started = next(event for event in events if event["event"] == "step-started")
    assert started["reasons"][0]["code"] == "never-run"
    assert said.json["variants"][0]["ok"] is True


def test_a_matrix_runs_its_variants_and_shares_what_they_have_in_common(
    project: Path, lfvpipe: Any
) -> None:
    project.write_text(project.read_text() + "matrix: {sample.percent: [40, 60]}\n")
    said = lfvpipe("run", project, "--until", "extract", "--json")
    first, second = said.json["variants"]
    assert [one["variant"] for one in (first, second)] == ["sample.percent=40", "sample.percent=60"]
    actions = {row["step"]: row["action"] for row in second["steps"]}
    assert (actions["fetch:normal"], actions["select"]) == ("reuse", "run")
    again = lfvpipe("run", project, "--until", "extract")
    assert again.out.count("nothing changed") == 2


def test_a_matrix_stops_at_a_failure_unless_told_to_go_on(project: Path, lfvpipe: Any) -> None:
    project.write_text(project.read_text() + "matrix: {sample.percent: [10, 40]}\n" + DOCUMENTED)
    stopped = lfvpipe("run", project, "--until", "check", "--json")
    assert [one["ok"] for one in stopped.json["variants"]] == [False]
    went_on = lfvpipe("run", project, "--until", "check", "--json", "--keep-going")
    assert [one["ok"] for one in went_on.json["variants"]] == [False, True]
    assert (stopped.code, went_on.code) == (1, 1)


def test_status_tells_done_from_stale_from_never_run(prepared: Path, lfvpipe: Any) -> None:
    document = lfvpipe("status", prepared, "--set", "sample.percent=60", "--json").json
    states = {row["step"]: row["state"] for row in document["variants"][0]["steps"]}
    assert (states["fetch:normal"], states["select"], states["model"]) == (
        "done",
        "stale",
        "never run",
    )
    said = lfvpipe("status", prepared, "--set", "sample.percent=60")
    assert said.code == 0
    assert "sample.percent: 40 → 60" in said.out


def test_status_shows_how_long_also_short_steps_took(prepared: Path, lfvpipe: Any) -> None:
    (variant,) = lfvpipe("status", prepared, "--json").json["variants"]
    took = {
        step["step"]: formatting.seconds_between(step["started"], step["finished"])
        for step in variant["steps"]
    }
    assert any(seconds and seconds % 1 for seconds in took.values())  # not whole seconds alone
    lines = lfvpipe("status", prepared).out.splitlines()
    (line,) = [line for line in lines if line.startswith("extract")]
    assert f"  {duration(took['extract'] or 0.0)}  " in line


def test_status_shows_a_failure(project: Path, lfvpipe: Any) -> None:
    project.write_text(project.read_text() + DOCUMENTED)
    lfvpipe("run", project, "--set", "sample.percent=10")
    said = lfvpipe("status", project, "--set", "sample.percent=10")
    line = next(line for line in said.out.splitlines() if line.startswith("check "))
    assert "failed" in line


def test_the_graph_is_drawn_and_written_as_mermaid(prepared: Path, lfvpipe: Any) -> None:
    drawn = lfvpipe("graph", prepared).out
    assert "✓ extract" in drawn
    assert "· model" in drawn
    mermaid = lfvpipe("graph", prepared, "--format", "mermaid").out
    assert mermaid.startswith("flowchart TD\n")
    assert "  fetch_normal --> select" in mermaid
    needs = {row["step"]: row["needs"] for row in lfvpipe("graph", prepared, "--json").json
             ["variants"][0]["steps"]}  # fmt: skip
    assert needs["evaluate"] == ["model", "extract"]


def test_validate_counts_what_is_local(project: Path, lfvpipe: Any) -> None:
    said = lfvpipe("validate", project)
    assert said.code == 0
    assert "80 images, 19 to train on, 13 to test on" in said.out


def test_validate_foretells_what_select_does(prepared: Path, lfvpipe: Any) -> None:
    told = {one["label"]: one for one in lfvpipe("validate", prepared, "--json").json
            ["variants"][0]["sources"]}  # fmt: skip
    status = lfvpipe("status", prepared, "--json").json["variants"][0]["steps"]
    counts = next(row for row in status if row["step"] == "select")["facts"]["counts"]
    for label in ("normal", "anomaly"):
        assert told[label]["train"] == counts[label]["train"]
        assert told[label]["test"] == counts[label]["test"]


def test_validate_warns_of_what_check_will_refuse(project: Path, lfvpipe: Any) -> None:
    project.write_text(project.read_text().replace("split: {train: 60, test: 40}\n", DOCUMENTED))
    said = lfvpipe("validate", project)
    assert said.code == 0
    assert "is valid" in said.out
    stopped = lfvpipe("run", project, "--until", "check")
    found = [line[4:] for line in stopped.err.splitlines() if line.startswith("  - ")]
    told = [line for line in said.out.splitlines() if line.startswith("warning: ")]
    assert told == [f"warning: `check` will stop the run: {each}" for each in found] != []
    assert lfvpipe("validate", project, "--json").json["warnings"] == found


def test_validate_warns_where_no_anomalies_are_named(project: Path, lfvpipe: Any) -> None:
    project.write_text("sources: {normal: {archive: Texture.zip}}\n" + DOCUMENTED)
    said = lfvpipe("validate", project)
    assert "0 anomaly images in test, the service needs at least 10: name images of" in said.out
    assert "or let service.limits be open, and it trains on what there is.\n" in said.out
    said = lfvpipe("validate", project, "--set", "service.limits=open")
    assert "will stop the run" not in said.out
    assert "warning: No anomaly image in train: the model learns from normal images" in said.out


def test_validate_tells_decisions_and_images_to_judge(project: Path, lfvpipe: Any) -> None:
    judged = "{archive: Texture_def.zip, include: '*/7*.png', label: anomaly}"
    text = project.read_text().replace("[Texture/7.png]", judged)
    project.write_text(text.replace("sources:\n", "sources:\n  labels: seen.jsonl\n"))
    labels = project.parent / "seen.jsonl"
    labels.write_text('{"name": "Texture/3.png", "label": "anomaly"}\n')
    said = lfvpipe("validate", project)
    assert said.code == 0, said.out
    assert "seen.jsonl: people decided about 1 of the images" in said.out
    assert "images to judge, anomaly" in said.out
    labels.write_text("no decision\n")
    assert "seen.jsonl:1: this is not JSON" in lfvpipe("validate", project).out


def test_validate_looks_for_the_mask_of_what_is_ignored(project: Path, lfvpipe: Any) -> None:
    project.write_text(project.read_text() + "\nimages: {ignore: gone.png}\n")
    said = lfvpipe("validate", project)
    assert said.code == 3
    assert "problem: images.ignore: " in said.out
    assert "gone.png is not there" in said.out


def test_validate_suggests_what_a_missing_archive_may_be_called(
    project: Path, lfvpipe: Any
) -> None:
    text = project.read_text().replace("Texture.zip", "Textur.zip")
    project.write_text(text.replace("Texture_def.zip", "elsewhere/Texture_def.zip"))
    said = lfvpipe("validate", project)
    assert said.code == 3
    assert "Textur.zip is not there; did you mean Texture.zip or Texture_def.zip?" in said.out
    assert "Texture_def.zip is not there, nor is its folder" in said.out


def test_validate_names_all_problems_at_once(project: Path, lfvpipe: Any) -> None:
    (project.parent / "Texture_def.zip").unlink()
    (project.parent / "Texture.zip").write_bytes(b"<html>log in</html>")
    said = lfvpipe("validate", project, "--json")
    assert said.code == 3
    assert len(said.json["problems"]) == 2


def test_validate_gives_config_errors_as_json(project: Path, lfvpipe: Any) -> None:
    project.write_text("sources: 3\n")
    said = lfvpipe("validate", project, "--json")
    assert (said.code, said.json["valid"]) == (3, False)
    assert f"{project}:1:10" in said.json["problems"][0]


def test_the_state_can_lie_elsewhere(project: Path, lfvpipe: Any, tmp_path: Path) -> None:
    lfvpipe("run", project, "--until", "select", "--state-dir", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "pipeline" / "ledger.json").is_file()
    assert not (project.parent / ".lfvpipe").exists()


def test_stop_and_detect_without_a_model_say_so(project: Path, lfvpipe: Any) -> None:
    assert lfvpipe("stop", project).out == "nothing is in training or hosted\n"
    image = project.parent / "image.png"
    image.write_bytes(b"")
    said = lfvpipe("detect", project, image)
    assert said.code == 3
    assert "no trained model yet" in said.err


def test_an_image_in_place_of_a_model_file_is_a_mistake_of_the_command_line(
    project: Path, lfvpipe: Any
) -> None:
    image = project.parent / "image.png"
    image.write_bytes(b"\x89PNG")
    said = lfvpipe("detect", image, "--model", image)
    assert said.code == 3
    assert "is not a model file of lfvpipe" in said.err


def test_detect_wants_images_that_are_there(project: Path, lfvpipe: Any) -> None:
    assert lfvpipe("detect", project).code == 3
    assert "is not there" in lfvpipe("detect", project, "nowhere.png").err


def test_destroy_asks_and_takes_no_for_an_answer(
    prepared: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Answering("no\n"))
    said = lfvpipe("destroy", prepared)
    assert (said.code, "nothing was removed" in said.err) == (1, True)
    assert lfvpipe("plan", prepared, "--until", "extract").code == 0


def test_destroy_lists_apart_what_goes_and_what_stays(
    prepared: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Answering("no\n"))
    said = lfvpipe("destroy", prepared)
    goes, stays = said.out.split("this stays\n")
    assert {line.split()[0] for line in goes.splitlines()[1:]} == {
        *("extract", "select", "together")
    }
    assert [line.split()[0] for line in stays.splitlines()] == ["fetch:anomaly", "fetch:normal"]
    assert all(line.endswith(".zip, your own") for line in stays.splitlines())
    assert "remove what goes?" in said.err


def test_destroy_says_how_much_room_each_thing_takes_and_lists_nothing_twice(
    project: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project.open("a") as file:
        file.write("matrix: {sample.seed: [1, 2]}\n")
    assert lfvpipe("run", project, "--until", "datasets").code == 0
    state = project.parent / ".lfvpipe"
    before = sum({s.st_ino: s.st_size for f in state.rglob("*.png") for s in [f.stat()]}.values())
    monkeypatch.setattr("sys.stdin", _Answering("no\n"))
    goes, stays = lfvpipe("destroy", project).out.split("this stays\n")
    # Both variants have project, bucket and data sets: one has made them, and they go.
    assert {line.split()[0] for line in stays.splitlines()} == {"fetch:anomaly", "fetch:normal"}
    rows = [line.split() for line in goes.splitlines()[1:]]
    names = [row[0] for row in rows]
    assert names.count("project") == names.count("bucket") == names.count("datasets") == 1
    assert rows[-1][0] == "together"
    together = float(rows[-1][1]) * {"kB": 1e3, "MB": 1e6}[rows[-1][2]]
    assert before < together < before + 200_000
    assert lfvpipe("destroy", project, "--yes").code == 0
    assert not list(state.rglob("*.png"))


@pytest.mark.parametrize("moved", ["pipeline/images", "buckets/pipeline", "pipeline"])
def test_destroy_empties_a_folder_that_was_moved_to_another_disk(
    project: Path, lfvpipe: Any, tmp_path_factory: pytest.TempPathFactory, moved: str
) -> None:
    assert lfvpipe("run", project, "--until", "manifests").code == 0
    state, elsewhere = project.parent / ".lfvpipe", tmp_path_factory.mktemp("disk") / "moved"
    shutil.move(state / moved, elsewhere)
    (state / moved).symlink_to(elsewhere)
    assert lfvpipe("destroy", project, "--yes", "--state").code == 0
    assert not [file for file in elsewhere.rglob("*") if file.is_file()]
    assert not (state / "pipeline").exists()
    assert not (state / "buckets" / "pipeline").exists()


def test_destroy_needs_no_index_that_is_whole(project: Path, lfvpipe: Any) -> None:
    assert lfvpipe("run", project, "--until", "manifests").code == 0
    state = project.parent / ".lfvpipe"
    for index in (state / "pipeline" / "index").glob("*.jsonl"):
        index.write_bytes(index.read_bytes()[:-20])
    assert lfvpipe("destroy", project, "--yes").code == 0
    assert not list(state.rglob("*.png"))


def test_what_destroy_lists_is_gone_afterwards(prepared: Path, lfvpipe: Any) -> None:
    state = prepared.parent / ".lfvpipe" / "pipeline"
    assert lfvpipe("run", prepared, "--until", "check").code == 0
    removed = lfvpipe("destroy", prepared, "--yes", "--json").json["removed"]
    assert any("select" in thing for thing in removed)
    left = {path.relative_to(state).parts[0] for path in state.rglob("*") if path.is_file()}
    assert not left & {"images", "select", "selection", "check", "runs", "report.html"}


def test_destroy_with_nobody_to_ask_is_refused(
    prepared: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Answering("", is_terminal=False))
    assert lfvpipe("destroy", prepared).code == 3


def test_destroy_leaves_the_users_archives_and_can_take_the_state(
    prepared: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("destroy", prepared, "--yes", "--state", "--json")
    assert said.code == 0
    assert (prepared.parent / "Texture.zip").is_file()
    assert not (prepared.parent / ".lfvpipe" / "pipeline").exists()
    assert lfvpipe("status", prepared, "--json").json["variants"][0]["steps"][0]["state"] == (
        "never run"
    )


class _Answering:
    """Standard input with somebody, or nobody, at it."""

    def __init__(self, answer: str, *, is_terminal: bool = True) -> None:
        self._answer = answer
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def readline(self) -> str:
        return self._answer


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_with_130_and_says_how_to_resume(
    number: signal.Signals, project: Path, started: Any, web: Any
) -> None:
    web.files["/Texture.zip"] = (project.parent / "Texture.zip").read_bytes()
    waiting = _Slow(web)
    sources = ("--set", f"sources.normal.archive={web.url}/Texture.zip")
    with started("run", project, "--until", "extract", *sources) as process:
        waiting.until_asked()
        process.send_signal(number)
        waiting.go_on()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping cleanly" in err
    assert "resume with `lfvpipe run" in err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_run_under_nohup_outlives_its_terminal(project: Path, started: Any, web: Any) -> None:
    web.files["/Texture.zip"] = (project.parent / "Texture.zip").read_bytes()
    waiting = _Slow(web)
    sources = ("--set", f"sources.normal.archive={web.url}/Texture.zip")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; children inherit it
    try:
        process = started("run", project, "--until", "extract", *sources)
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        waiting.until_asked()
        process.send_signal(signal.SIGHUP)
        waiting.go_on()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


@pytest.mark.parametrize(
    "key", ["sources.normal.archive", "sources.normal.archiv", "no key at all"]
)
def test_what_is_set_is_shown_without_its_secrets(key: str, project: Path, lfvpipe: Any) -> None:
    address = "https://user:hunter2@example.org/a.zip?Signature=SECRET"
    said = lfvpipe("plan", project, "--set", f"{key}={address}")
    assert "hunter2" not in said.out + said.err
    assert "SECRET" not in said.out + said.err
    assert key in said.out + said.err


class _Slow:
    """Lets a web server answer only when it is told to."""

    def __init__(self, web: Any) -> None:
        from threading import Event

        self._asked, self._answer = Event(), Event()
        files = web.files

        class Files(dict[str, bytes]):
            def __contains__(held, path: object) -> bool:  # noqa: N805
                self._asked.set()
                self._answer.wait(30)
                return dict.__contains__(held, path)

        web.files = Files(files)

    def until_asked(self) -> None:
        assert self._asked.wait(30)

    def go_on(self) -> None:
        self._answer.set()


def test_commands_that_are_offered_keep_the_options(project: Path, lfvpipe: Any) -> None:
    elsewhere = project.parent / "state of mine"
    options = ("--set", "sample.percent=50", "--state-dir", elsewhere)
    kept = f"--set sample.percent=50 --state-dir '{elsewhere}'"
    planned = lfvpipe("plan", project, "--until", "check", *options)
    assert f"--until check {kept}" in planned.out
    assert f"`lfvpipe plan {project} {kept}` says why" in lfvpipe("status", project, *options).out


def test_a_run_to_a_step_does_not_show_an_earlier_report(
    trained: tuple[Path, Any], tmp_path: Path, lfvpipe: Any
) -> None:
    copy = shutil.copytree(trained[0].parent, tmp_path / "copy")  # what others share stays
    file = copy / trained[0].name
    done = lfvpipe("run", file, "--until", "check", "--set", "sample.count=21")
    assert done.code == 0
    assert "verdicts" not in done.out
    assert "steps were not selected" in done.out


@pytest.mark.parametrize("log", ["human", "json"])
def test_a_model_that_cannot_be_released_is_a_warning_beside_the_runs_own_end(
    prepared: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch, log: str
) -> None:
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.lookout.failures import LookoutError
    from lfvpipe.steps import hosting

    def away(*_: object) -> None:
        raise LookoutError("looking at model 1 failed: no connection")

    monkeypatch.setattr(hosting, "describe_model", away)
    file = prepared.parent / ".lfvpipe" / "pipeline" / "ledger.json"
    facts = {"kind": "model", "project": "p", "version": "1", "endpoint": "embedded"}
    Ledger.load(file).hold("model:p/1", facts)
    said = lfvpipe("run", prepared, "--until", "extract", "--json", "--log-format", log)
    assert (said.code, said.json["exit_code"]) == (0, 0)
    assert "may still be hosted: looking at model 1 failed: no connection." in said.err
    assert all(json.loads(line) for line in said.err.splitlines() if log == "json")
    assert "model:p/1" in Ledger.load(file).held
