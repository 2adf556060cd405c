"""A run is told to an MLflow server: once, whatever happens, and never at the run's expense."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Call
    from tests.workshop import Said

SERVER = "mlflow.tracking_uri=http://somebody:secret-word@tracking.example:5000"


class Refusal(Exception):
    """What stands in for MLflow's own exception."""


class StandIn:
    """An MLflow server and its client in one: what it was told, and which calls it refuses."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.uris: set[str] = set()
        self.experiments: list[str] = []
        self.runs: list[dict[str, Any]] = []

    def client(self, *, tracking_uri: str, registry_uri: str) -> StandIn:
        self.uris |= {tracking_uri, registry_uri}
        return self

    def _called(self, name: str) -> None:
        if name in self.refused:
            raise Refusal(f"{name} at {SERVER.partition('=')[2]}/api failed\nwith a long story")

    def get_experiment_by_name(self, name: str) -> Any:
        self._called("get_experiment_by_name")
        found = self.experiments.index(name) if name in self.experiments else None
        return None if found is None else SimpleNamespace(experiment_id=found)

    def create_experiment(self, name: str) -> int:
        self.experiments.append(name)
        return len(self.experiments) - 1

    def search_runs(self, places: list[str], text: str, max_results: int) -> list[Any]:
        runs = [run for run in self.runs if [run["place"]] == places]
        wanted = [r for r in runs if text == f"tags.`lfvpipe.run` = '{r['tags']['lfvpipe.run']}'"]
        return [SimpleNamespace(info=SimpleNamespace(run_id=r["id"])) for r in wanted[:max_results]]

    def create_run(self, place: str, *, start_time: int, tags: Any, run_name: str) -> Any:
        run = {"place": place, "tags": tags, "id": f"run-{len(self.runs)}", "began": start_time}
        self.runs.append(run | {"name": run_name, "params": {}, "metrics": set(), "files": {}})
        return SimpleNamespace(info=SimpleNamespace(run_id=run["id"]))

    def _run(self, run_id: str) -> dict[str, Any]:
        return next(run for run in self.runs if run["id"] == run_id)

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(params) <= 100
        self._run(run_id)["metrics"] |= set(metrics)
        known = self._run(run_id)["params"]
        for key, value in params:
            assert known.setdefault(key, value) == value

    def log_artifact(self, run_id: str, path: str) -> None:
        self._called("log_artifact")
        from pathlib import Path

        self._run(run_id)["files"][Path(path).name] = Path(path).read_text(encoding="utf-8")

    def set_terminated(self, run_id: str, status: str, end_time: int) -> None:
        self._run(run_id).update(status=status, ended=end_time)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Put a stand-in where the extra's package would be."""
    stand_in = StandIn()
    faces: dict[str, dict[str, Any]] = {
        "mlflow": {"__spec__": ModuleSpec("mlflow", None, origin="stand-in")},
        "mlflow.exceptions": {"MlflowException": Refusal},
        "mlflow.entities": {
            "Metric": lambda *words: words,
            "Param": lambda *words: words,
        },
        "mlflow.tracking": {"MlflowClient": stand_in.client},
    }
    for name, face in faces.items():
        module = ModuleType(name)
        vars(module).update(face)
        monkeypatch.setitem(sys.modules, name, module)
    return stand_in


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the extra away, should it be installed."""
    monkeypatch.setattr("lfvpipe.report.tracking.find_spec", lambda _: None)


@pytest.fixture
def finished(trained: tuple[Path, Said], tmp_path: Path) -> Path:
    """Return a pipeline file of one's own that was run to its end, without MLflow."""
    copy = shutil.copytree(trained[0].parent, tmp_path / "copy")
    return copy / trained[0].name


def _steps(said: Said) -> dict[str, tuple[str, str | None]]:
    assert said.code == 0, said.err
    rows = said.json["variants"][0]["steps"]
    return {row["step"]: (row["action"], row["outcome"]) for row in rows}


def test_a_run_is_told_with_its_parameters_metrics_and_files(
    finished: Path, lfvpipe: Call, server: StandIn
) -> None:
    said = lfvpipe("run", finished, "--set", SERVER, "--json")
    assert _steps(said)["mlflow"] == ("run", "created")
    assert _steps(said)["report"][0] in {"unchanged", "reuse"}
    (run,) = server.runs
    told = said.json["variants"][0]["run"]
    assert server.experiments == ["small"]
    assert run["tags"]["lfvpipe.run"] == run["name"] == told["id"]
    assert run["params"]["sample.normal.count"] == "20"
    assert run["params"]["evaluate.images"] == '["Texture/7.png", "Texture_def/7.png"]'
    assert not [key for key in run["params"] if "mlflow" in key]
    f1 = told["scores"]["test"]["estimates"]["f1"]
    metrics = {key: value for key, value, *_ in run["metrics"]}
    assert (metrics["test/f1"], metrics["test/f1_low"]) == (f1["value"], f1["low"])
    assert metrics["data/train_normal"] == told["data"]["train"]["normal"]
    assert json.loads(run["files"]["run.json"])["id"] == told["id"]
    assert "<!doctype html>" in run["files"]["report.html"]
    assert (run["status"], run["ended"] > run["began"]) == ("FINISHED", True)


def test_a_run_is_told_once(finished: Path, lfvpipe: Call, server: StandIn) -> None:
    lfvpipe("run", finished, "--set", SERVER)
    again = lfvpipe("run", finished, "--set", SERVER, "--json")
    assert _steps(again)["mlflow"] == ("unchanged", "created")
    forced = lfvpipe("run", finished, "--set", SERVER, "--force", "mlflow", "--json")
    assert _steps(forced)["mlflow"] == ("run", "updated")
    assert len(server.runs) == 1
    assert len(server.runs[0]["metrics"]) == len({key for key, *_ in server.runs[0]["metrics"]})


@pytest.mark.parametrize("refused", ["get_experiment_by_name", "log_artifact"])
def test_a_server_that_is_away_is_a_warning_and_told_by_the_next_run(
    finished: Path, lfvpipe: Call, server: StandIn, refused: str
) -> None:
    server.refused = {refused}
    said = lfvpipe("run", finished, "--set", SERVER)
    assert said.code == 0
    assert "the next run tries again" in said.err
    assert "secret-word" not in said.err + said.out
    planned = lfvpipe("plan", finished, "--set", SERVER)
    assert planned.code == 2
    assert "in the MLflow experiment small" in planned.out
    server.refused = set()
    again = lfvpipe("run", finished, "--set", SERVER, "--json")
    assert _steps(again)["mlflow"][0] == "run"
    assert [run["status"] for run in server.runs] == ["FINISHED"]


def test_no_secret_is_kept_or_told(finished: Path, lfvpipe: Call, server: StandIn) -> None:
    lfvpipe("run", finished, "--set", SERVER, "--set", "mlflow.experiment=ours")
    assert (server.experiments, len(server.uris)) == (["ours"], 1)
    assert "secret-word" not in json.dumps(server.runs, default=str)
    for file in (finished.parent / ".lfvpipe" / "small").glob("*.*"):
        assert b"secret-word" not in file.read_bytes(), file


def test_a_run_without_the_key_knows_nothing_of_mlflow(
    finished: Path, lfvpipe: Call, server: StandIn
) -> None:
    assert "mlflow" not in _steps(lfvpipe("run", finished, "--json"))
    assert server.runs == []


@pytest.mark.usefixtures("without")
def test_a_missing_extra_is_found_before_any_work(project: Path, lfvpipe: Call) -> None:
    for command in ("run", "plan"):
        said = lfvpipe(command, project, "--set", SERVER)
        assert said.code == 1
        assert "pip install 'lfvpipe[mlflow]'" in said.err
    assert not (project.parent / ".lfvpipe" / "cache").exists()
    said = lfvpipe("validate", project, "--set", SERVER)
    assert said.code == 3
    assert "pip install 'lfvpipe[mlflow]'" in said.out
    assert "secret-word" not in said.out


@pytest.mark.usefixtures("without")
def test_a_missing_extra_matters_only_where_it_is_used(project: Path, lfvpipe: Call) -> None:
    assert lfvpipe("history", project, "--set", SERVER).code == 0
    assert lfvpipe("run", project, "--set", SERVER, "--until", "select").code == 0


def test_nothing_of_mlflow_is_imported_when_nothing_changed(
    finished: Path, lfvpipe: Call, server: StandIn, modules_of: Any, tmp_path: Path
) -> None:
    lfvpipe("run", finished, "--set", SERVER)
    # A package whose import is a failure, so that its mere use would be seen.
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").write_text("raise SystemExit('imported')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)  # -c looks there first
        assert not {"mlflow", "requests"} & modules_of("run", finished, "--set", SERVER)


@pytest.mark.parametrize("uri", ["somewhere", "file:///tmp/runs", "http://"])
def test_an_address_that_is_no_servers_is_a_problem_of_the_file(
    project: Path, lfvpipe: Call, uri: str
) -> None:
    said = lfvpipe("run", project, "--set", f"mlflow.tracking_uri={uri}")
    assert said.code == 3
    assert "mlflow.tracking_uri" in said.err
    assert "an http(s):// address" in said.err


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[str]:
    """Yield the address of a tracking server of MLflow's own."""
    try:
        importlib.metadata.version("mlflow")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs MLflow with its server (pip install mlflow)")
    if os.name == "nt":
        pytest.skip("ends a group of processes, as only POSIX can")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    # It takes a free port and says which: one that is looked for before may be another's by then.
    command += ["--port", "0", "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=quiet, start_new_session=True
    ) as process:
        assert process.stderr is not None
        running = (
            re.search(r"running on (http://127\.0\.0\.1:\d+)", line) for line in process.stderr
        )
        found = next((each for each in running if each), None)
        assert found, "the server has ended"
        yield found[1]
        os.killpg(process.pid, signal.SIGKILL)


def _asked(server: str, path: str, question: dict[str, Any] | None = None) -> Any:
    data = None if question is None else json.dumps(question).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/api/2.0/mlflow/{path}", data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_real_server_keeps_one_run_with_everything(
    finished: Path, apart: Call, real_server: str
) -> None:
    named = ("--set", f"mlflow.tracking_uri={real_server}", "--set", "mlflow.experiment=ours")
    assert _steps(apart("run", finished, *named, "--json"))["mlflow"] == ("run", "created")
    again = apart("run", finished, *named, "--force", "mlflow", "--json")
    assert _steps(again)["mlflow"] == ("run", "updated")
    place = _asked(real_server, "experiments/get-by-name?experiment_name=ours")["experiment"]
    (run,) = _asked(real_server, "runs/search", {"experiment_ids": [place["experiment_id"]]})[
        "runs"
    ]
    told = again.json["variants"][0]["run"]
    assert (run["info"]["status"], run["info"]["run_name"]) == ("FINISHED", told["id"])
    metrics = {each["key"]: each["value"] for each in run["data"]["metrics"]}
    assert metrics["test/f1"] == told["scores"]["test"]["estimates"]["f1"]["value"]
    params = {each["key"]: each.get("value") for each in run["data"]["params"]}
    assert params["sample.normal.count"] == "20"
    files = _asked(real_server, f"artifacts/list?run_id={run['info']['run_id']}")["files"]
    assert {file["path"] for file in files} == {"report.html", "run.json"}
