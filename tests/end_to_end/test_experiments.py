"""One YAML file, edited and run again: what reruns, what is found again, and what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from lfvpipe.engine.lock import hold
from tests.end_to_end.conftest import PIPELINE
from tests.workshop import write_archive

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Workshop


def _actions(facts: dict[str, Any]) -> dict[str, str]:
    return {row["step"]: row["action"] for row in facts["variants"][0]["steps"]}


def test_more_data_makes_one_new_version_and_going_back_finds_the_first_again(
    workshop: Workshop,
) -> None:
    workshop.write()
    first = workshop.lfvpipe("run")
    assert first.code == 0, first.err
    uploaded = workshop.bucket()
    assert [row["Status"] for row in workshop.models()] == ["TRAINED"]

    workshop.write(PIPELINE.replace("percent: 50", "percent: 100"))
    plan = workshop.lfvpipe("plan")
    assert plan.code == 2
    assert re.search(r"sample\.normal\.percent: 50 → 100", plan.out), plan.out
    more = workshop.lfvpipe("run")
    assert more.code == 0, more.err
    now = workshop.bucket()
    assert {name: when for name, when in now.items() if name in uploaded} == uploaded
    assert [row["ModelVersion"] for row in workshop.models()] == ["1", "2"]

    workshop.write()
    back = workshop.lfvpipe("run", "--json")
    assert back.code == 0, back.err
    assert {a for s, a in _actions(back.json).items() if not s.startswith("fetch")} == {"reuse"}
    assert workshop.bucket() == now
    assert len(workshop.models()) == 2
    assert workshop.lfvpipe("plan").code == 0


def test_a_test_image_that_is_unsure_is_tested_without_and_trains_nothing(
    workshop: Workshop,
) -> None:
    sources = "bad.zip}\n  labels: labels.jsonl\nmodel: {effort: fast}"
    workshop.write(PIPELINE.replace("bad.zip}", sources).replace("percent: 50", "percent: 100"))
    for name, spoilt in (("good", False), ("bad", True)):
        write_archive(workshop.folder / f"{name}.zip", name, 8, spoilt=spoilt)
    assert workshop.lfvpipe("run", "--until", "model").code == 0
    tested = workshop.test_images()
    decision = {"name": tested[0], "label": "unsure"}
    (workshop.folder / "labels.jsonl").write_text(json.dumps(decision) + "\n")
    plan = workshop.lfvpipe("plan").out
    assert re.search(
        r"trains again, about \d+ (s|min) as the last time; only tests, where the training images"
        r" stay the same\n",
        plan,
    )
    forced = workshop.lfvpipe("plan", "--force", "model").out
    assert re.search(r"trains again, about \d+ (s|min) as the last time\n", forced)
    second = workshop.lfvpipe("run", "--until", "model", "--json")
    assert second.code == 0, second.err
    assert re.search(
        r"only tests, about 5 s, where",
        workshop.lfvpipe("plan", "--refresh", "--set", "bucket.prefix=x/").out,
    )
    assert sorted(workshop.test_images()) == sorted(tested[1:])
    facts = {row["step"]: row["facts"] for row in second.json["variants"][0]["steps"]}["model"]
    assert (facts["version"], facts["weights_of"]) == ("2", "1")
    assert "version 2, weights of version 1" in workshop.lfvpipe("status").out
    weights = [file.read_bytes() for file in (workshop.folder / ".lfvpipe").rglob("model.lfv")]
    assert len(weights) == 2
    assert weights[0] == weights[1]


def test_reordering_and_commenting_change_nothing_but_a_removed_key_counts(
    workshop: Workshop,
) -> None:
    until = ("--until", "check")
    workshop.write(PIPELINE + "images: {convert: L}\n")
    assert workshop.lfvpipe("run", *until).code == 0

    lines = (PIPELINE + "images: {convert: L}\n").splitlines()
    sources, rest = lines[:3], lines[3:]
    workshop.write("# looks different\n" + "\n".join([*reversed(rest), "", *sources]) + "\n")
    assert workshop.lfvpipe("plan", *until).code == 0

    workshop.write(PIPELINE)
    plan = workshop.lfvpipe("plan", *until)
    assert plan.code == 2
    assert "images.convert: L → " in plan.out


def test_a_second_run_loads_nothing_heavy_and_says_that_nothing_changed(
    workshop: Workshop,
) -> None:
    workshop.write()
    assert workshop.lfvpipe("run", "--until", "manifests").code == 0
    script = (
        "import sys; from lfvpipe.cli.main import main;"
        " code = main(['run', '--until', 'manifests']);"
        " heavy = {'boto3', 'botocore', 'numpy', 'onnxruntime', 'PIL', 'obstore', 'jsonschema',"
        " 'rich', 'structlog'} & set(sys.modules); sys.exit(code or sorted(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workshop.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "nothing changed" in done.stdout


def test_two_runs_at_once_one_works_and_the_other_says_who_does(workshop: Workshop) -> None:
    workshop.write()
    with hold(workshop.folder / ".lfvpipe" / "pipeline", "lfvpipe run pipeline.yaml", 0):
        second = workshop.lfvpipe("run")
    assert second.code == 4
    for word in ("pid", "since", "lfvpipe run pipeline.yaml"):
        assert word in second.err, second.err


def test_ten_percent_of_dagm_stops_at_check_before_anything_is_created(workshop: Workshop) -> None:
    write_archive(workshop.folder / "Class3.zip", "Class3", 1000, spoilt=False)
    write_archive(workshop.folder / "Class3_def.zip", "Class3_def", 150, spoilt=True)
    workshop.write(
        "sources: {normal: {archive: Class3.zip}, anomaly: {archive: Class3_def.zip}}\n"
        "sample: {percent: 10}\n"
        "service: {limits: documented}\n"
    )
    done = workshop.lfvpipe("run")
    assert done.code == 1
    assert re.search(r"\b3 anomaly images? in test", done.err), done.err
    assert "at least 10" in done.err
    assert "sample.percent" in done.err
    state = workshop.folder / ".lfvpipe"
    assert not (state / "buckets").exists()
    assert not (state / "service").exists()

    counts = workshop.lfvpipe("run", "--set", "sample.percent=40", "--until", "check", "--json")
    (variant,) = counts.json["variants"]
    (select,) = [row for row in variant["steps"] if row["step"] == "select"]
    found = select["facts"]["counts"]
    assert (found["normal"]["train"], found["anomaly"]["train"]) == (320, 48)
    assert (found["normal"]["test"], found["anomaly"]["test"]) == (80, 12)
