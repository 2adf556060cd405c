"""`history`, `compare` and `report` over runs that lie in the state folder."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.outcome import Json, Outcome
from lfvpipe.report import metrics, run_file
from lfvpipe.report.records import RunRecord, Timing, Verdict
from lfvpipe.report.verdict_file import write_verdicts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call


def _write_run(
    state_dir: Path,
    day: int,
    percent: int,
    missed: int,
    labels: tuple[str, ...] = ("normal", "anomaly"),
) -> None:
    count = percent // 2
    verdicts = [
        Verdict(f"{label}/{n}.png", f"{n}.png", label, label == "anomaly" and n >= missed, 0.9)
        for label in labels
        for n in range(count)
    ]
    run = RunRecord(
        id=f"202611{day:02}T101500Z-0123abcd",
        created=f"2026-11-{day:02}T10:15:00Z",
        name="pipeline",
        fingerprint="0123abcd" * 8,
        config={"sample.normal.percent": percent, "sample.anomaly.percent": percent},
        model={"project": "pipeline", "version": str(day)},
        data={"train": {"normal": percent}, "test": {"normal": count, "anomaly": count}},
        scores={"test": metrics.score_set(verdicts)},
        verdict_files={"test": write_verdicts(state_dir, f"verdicts/{day}.jsonl", verdicts)},
        review=("anomaly/0.png",),
        timings=(Timing("model", "created", 75.25),),
    )
    run_file.write(state_dir, run)


@pytest.fixture
def runs(project: Path) -> Path:
    """Return a pipeline file with three runs: 20, 40 and 100 percent, missing 2, 3 and none."""
    for day, percent, missed in ((1, 20, 2), (2, 40, 3), (3, 100, 0)):
        _write_run(project.parent / ".lfvpipe" / "pipeline", day, percent, missed)
    return project


def test_history_lists_runs_with_what_each_changed(lfvpipe: Call, runs: Path) -> None:
    head, *rows = _history(lfvpipe, runs, 200)
    for word in ("when", "model", "F1", "precision", "recall", "AUROC", "doubtful", "took"):
        assert word in head
    assert [row.split()[3] for row in rows] == ["v1", "v2", "v3"]
    assert "sample.percent: 20 → 40" in rows[1]
    assert "1 min 15 s" in rows[2]
    assert [row["run"][6:8] for row in lfvpipe("history", runs, "--json", "--limit", "2").json] == [
        "02",
        "03",
    ]


def test_history_and_compare_leave_blank_what_is_not_known(lfvpipe: Call, project: Path) -> None:
    state_dir = project.parent / ".lfvpipe" / "pipeline"
    for day in (1, 2):
        _write_run(state_dir, day, 20, 0, labels=("normal",))
    head, *rows = _history(lfvpipe, project, 200)
    assert not {"F1", "precision", "recall", "AUROC"} & set(head.split())
    assert len(rows) == 2
    (run, _) = lfvpipe("history", project, "--json").json
    assert run["scores"]["test"]["f1"] == {"value": None, "low": None, "high": None}
    said = lfvpipe("compare", project)
    (line,) = (line for line in said.out.splitlines() if line.startswith("  anomalies missed"))
    assert line.split()[2:] == ["-", "-"]


def _history(lfvpipe: Call, file: Path, columns: int) -> list[str]:
    """Return the table as a terminal of so many columns shows it, without what is said below."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        said = lfvpipe("history", file)
    return said.out.partition("\n\n")[0].splitlines()


def _widen(state_dir: Path) -> None:
    """Let a run stand under a variant's long name, with more changes than a line holds."""
    path = state_dir / "runs" / "20261103T101500Z-0123abcd.json"
    run = json.loads(path.read_text())
    run["variant"] = "model.description=a-rather-long-one,sample.percent=100"
    run["config"] |= {f"evaluate.some.long.key.number.{n}": "before and after" for n in range(3)}
    path.write_text(json.dumps(run))


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_history_fits_the_terminal(lfvpipe: Call, runs: Path, columns: int) -> None:
    _widen(runs.parent / ".lfvpipe" / "pipeline")
    head, *lines = _history(lfvpipe, runs, columns)
    assert max(map(len, [head, *lines])) <= columns
    assert "changed: sample.percent: 20 → 40" in "\n".join(lines)
    rows = [line for line in lines if not line.startswith("     ")]
    assert [row.split()[0][:16] for row in rows] == [f"2026110{n}T101500Z" for n in (1, 2, 3)]
    assert "sample.percent=100" in rows[2]
    for word in ("run", "variant", "model"):
        assert rows[2][head.index(word) - 1] == " " != rows[2][head.index(word)]
    end = head.index("F1") + len("F1")
    assert [row[end - 5 : end] for row in rows] == ["0.889", "0.919", "1.000"]


def test_history_in_eighty_columns_leaves_out_what_says_least(lfvpipe: Call, runs: Path) -> None:
    head, first, *_ = _history(lfvpipe, runs, 80)
    assert head.split() == [
        "run",
        "model",
        "F1",
        "precision",
        "recall",
        "AUROC",
        "doubtful",
        "took",
    ]
    assert first.split()[0] == "20261101T101500Z"
    assert lfvpipe("report", runs, "--run", first.split()[0]).code == 0


def test_runs_of_one_second_keep_what_tells_them_apart(lfvpipe: Call, runs: Path) -> None:
    folder = runs.parent / ".lfvpipe" / "pipeline" / "runs"
    twin = json.loads((folder / "20261103T101500Z-0123abcd.json").read_text())
    twin["id"] = "20261103T101500Z-fedcba98"
    (folder / f"{twin['id']}.json").write_text(json.dumps(twin))
    lines = _history(lfvpipe, runs, 80)
    assert max(map(len, lines)) <= 80
    assert {"20261103T101500Z-0123abcd", "20261103T101500Z-fedcba98"} <= {
        line.split()[0] for line in lines
    }


def test_history_for_a_program_has_a_line_a_run(lfvpipe: Call, runs: Path) -> None:
    lines = _history(lfvpipe, runs, 0)
    assert len(lines) == 4
    assert lines[0].endswith("changed since the run before")
    assert lines[2].endswith("sample.percent: 20 → 40")


def test_history_of_nothing_says_how_to_make_some(lfvpipe: Call, project: Path) -> None:
    said = lfvpipe("history", project)
    assert said.code == 0
    assert "lfvpipe run" in said.out
    assert lfvpipe("history", project, "--json").json == []
    assert not (project.parent / ".lfvpipe").exists()


def test_compare_takes_the_last_two_runs_by_default(lfvpipe: Call, runs: Path) -> None:
    said = lfvpipe("compare", runs, "--json")
    assert [run["model_version"] for run in said.json["runs"]] == ["2", "3"]
    assert said.json["differences"] == {"sample.percent": [40, 100]}
    assert [change["turn"] for change in said.json["changes"]["v3"]] == ["fixed"] * 3


def test_compare_prints_figures_differences_changes_a_curve_and_what_is_not_comparable(
    lfvpipe: Call, runs: Path
) -> None:
    said = lfvpipe("compare", runs, "20261101", "v2", "latest", "-o", runs.parent / "c.html")
    assert said.code == 0, said.err
    for text in (
        "sample.percent",
        "the 20 images of all runs",
        "note: the runs have different images in the test set",
        "F1 over sample.percent",
        "v1 → v2  1 verdict changed",
        "anomaly/2.png",
        "broken",
        "v1 → v3  2 verdicts changed",
        "fixed",
    ):
        assert text in said.out
    assert "anomaly/2.png" in (runs.parent / "c.html").read_text()
    lfvpipe("compare", runs, "v1", "v2", "-o", runs.parent / "c.svg")
    assert (runs.parent / "c.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["v1", "v9"], "No run has model version 9."),
        (["v1", "nothing"], "No run is called 'nothing'."),
        (["2026", "v1"], "beginning of 3 runs"),
        (["v1", "20261101"], "two different runs"),
        (["--matrix"], "no matrix"),
    ],
)
def test_compare_says_what_it_does_not_find(
    lfvpipe: Call, runs: Path, words: list[str], told: str
) -> None:
    said = lfvpipe("compare", runs, *words)
    assert said.code == 3
    assert told in said.err


@pytest.mark.parametrize("words", [[], ["latest~1", "latest"]])
def test_one_run_alone_cannot_be_compared(lfvpipe: Call, project: Path, words: list[str]) -> None:
    _write_run(project.parent / ".lfvpipe" / "pipeline", 1, 20, 2)
    said = lfvpipe("compare", project, *words)
    assert said.code == 3
    assert "there is only one so far" in said.err
    assert "the next `lfvpipe run` makes another" in said.err


def test_compare_of_a_matrix_names_the_variants_that_have_not_run(
    lfvpipe: Call, runs: Path
) -> None:
    runs.write_text(runs.read_text() + "matrix: {sample.seed: [1, 2]}\n")
    said = lfvpipe("compare", runs, "--matrix")
    assert said.code == 3
    assert "sample.seed=1, sample.seed=2" in said.err


def test_compare_of_a_matrix_shows_the_variants_that_have_run(lfvpipe: Call, project: Path) -> None:
    project.write_text(project.read_text() + "matrix: {sample.seed: [1, 2, 3]}\n")
    state_dir = project.parent / ".lfvpipe" / "pipeline"
    state_dir.parent.mkdir(mode=0o700)
    ledger = Ledger.load(state_dir / "ledger.json")
    for day, seed in ((1, 1), (2, 2)):
        _write_run(state_dir, day, 20 * day, 0)
        variant = f"sample.seed={seed}"
        run = f"2026110{day}T101500Z-0123abcd"
        facts: dict[str, Json] = {"run": run, "f1": {}, "review": 0}
        facts |= {"run_file": f"runs/{run}.json", "page": f"runs/{run}.html"}
        fingerprint = f"{seed}" * 64
        ledger.begin(variant, "report", fingerprint, {"version": 1}, exclusive=False)
        ledger.finish(variant, "report", fingerprint, Outcome("created", facts), exclusive=False)
    said = lfvpipe("compare", project, "--matrix", "--json")
    assert said.code == 0, said.err
    assert [run["model_version"] for run in said.json["runs"]] == ["1", "2"]
    assert said.err == "note: no run yet of sample.seed=3\n"


def test_report_shows_a_run_again_and_where_its_files_are(lfvpipe: Call, runs: Path) -> None:
    said = lfvpipe("report", runs, "--run", "v2")
    assert said.code == 0
    assert "run 20261102T101500Z-0123abcd" in said.out
    assert "20261102T101500Z-0123abcd.json" in said.out
    assert lfvpipe("report", runs, "--json").json["id"] == "20261103T101500Z-0123abcd"
    opened = lfvpipe("report", runs, "--open")
    assert opened.code == 1
    assert "--force report" in opened.err


@pytest.fixture
def gone_back(trained: tuple[Path, object], tmp_path: Path, lfvpipe: Call) -> tuple[Path, str, str]:
    """Return a pipeline file that stands at its first run again, that run's id and the second's."""
    shutil.copytree(trained[0].parent, tmp_path / "copy")
    file = tmp_path / "copy" / trained[0].name
    first, *others = (  # ids of one second are in the order of their digests: one of them is later
        lfvpipe("run", file, "--json", *edit).json["variants"][0]["run"]["id"]
        for edit in ([], *(["--set", f"evaluate.review_below=0.9{each}"] for each in range(1, 5)))
    )
    second = max(others)
    assert second > first
    assert lfvpipe("run", file).code == 0
    return file, first, second


def test_the_report_is_that_of_the_run_that_the_pipeline_stands_at(
    gone_back: tuple[Path, str, str], lfvpipe: Call
) -> None:
    file, first, second = gone_back
    assert lfvpipe("report", file, "--json").json["id"] == first
    assert f"run {first}" in lfvpipe("report", file).out
    assert lfvpipe("report", file, "--run", "latest", "--json").json["id"] == second
    state = file.parent / ".lfvpipe" / "small"
    assert (state / "report.html").read_bytes() == (state / "runs" / f"{first}.html").read_bytes()


def test_compare_puts_the_run_that_the_pipeline_stands_at_last(
    gone_back: tuple[Path, str, str], lfvpipe: Call
) -> None:
    file, first, second = gone_back
    compared = lfvpipe("compare", file, "--json").json
    assert [run["run"] for run in compared["runs"]] == [second, first]


def test_historys_mark_is_said_to_be_the_last_runs(
    gone_back: tuple[Path, str, str], lfvpipe: Call
) -> None:
    file, first, _ = gone_back
    said = lfvpipe("history", file, "--set", "evaluate.review_below=0.9").out
    marked = [line for line in said.splitlines() if line.startswith("*")]
    assert marked[0].split()[1] == first
    assert marked[1].startswith("* what the last `lfvpipe run` stands at")


def test_a_damaged_run_file_is_named(lfvpipe: Call, runs: Path) -> None:
    path = runs.parent / ".lfvpipe" / "pipeline" / "runs" / "20261102T101500Z-0123abcd.json"
    path.write_text("{")
    said = lfvpipe("history", runs)
    assert said.code == 1
    assert path.name in said.err
