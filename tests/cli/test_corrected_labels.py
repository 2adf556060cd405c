"""Labels that people corrected, as the run after them tells: history, compare and the report."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_what_people_decided_is_told_beside_what_it_changed(file: Path, lfvpipe: Any) -> None:
    state = file.parent / ".lfvpipe" / file.stem
    selection = next((state / "selection").glob("*.jsonl")).read_text().splitlines()
    images = [json.loads(line) for line in selection]
    wrong, blurred = [
        each for each in images if (each["split"], each["label"]) == ("test", "normal")
    ][:2]  # of the test, as decisions about those train nothing
    decisions = [
        {"name": wrong["member"], "source": "normal", "label": "anomaly"},
        {"name": blurred["member"], "source": "normal", "label": "exclude"},
    ]
    labels = file.parent / "labels.jsonl"
    labels.write_text("".join(f"{json.dumps(each)}\n" for each in decisions))
    text = file.read_text()
    assert "sources:\n" in text
    file.write_text(text.replace("sources:\n", "sources:\n  labels: labels.jsonl\n"))
    assert lfvpipe("run", file).code == 0

    changed = [
        {
            "id": each["id"],
            "name": each["member"],
            "before": "normal, test",
            "after": after,
        }
        for each, after in ((wrong, "anomaly, test"), (blurred, "left out"))
    ]
    assert lfvpipe("history", file, "--json").json[-1]["relabelled"] == changed
    assert "labels of 2 images" in lfvpipe("history", file).out
    compared = lfvpipe("compare", file)
    assert "labels that people decided" in compared.out
    assert "1, 1 left out" in compared.out
    assert f"{wrong['id']}  normal, test → anomaly, test" in re.sub(" {3,}", "  ", compared.out)
    assert lfvpipe("compare", file, "--json").json["relabelled"] == {"v2": changed}
    page = (state / "report.html").read_text()
    assert "Labels that people decided" in page

    # Pruning leaves what the last run stands at, and taking a decision back is a change as well.
    assert lfvpipe("prune", file, "--yes").code == 0
    assert lfvpipe("plan", file).code == 0
    labels.write_text(json.dumps(decisions[0]) + "\n")
    assert lfvpipe("run", file).code == 0
    (back,) = lfvpipe("history", file, "--json").json[-1]["relabelled"]
    assert (back["before"], back["after"]) == ("left out", "normal, test")
