"""Each layout that we know: declared so, these images come out, with these types and masks."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lfvpipe.cli.main import main
from lfvpipe.dataset.index import Image, read_index
from lfvpipe.engine.ledger import Ledger
from lfvpipe.steps.check import CheckOutcome
from lfvpipe.steps.extract.outcome import ExtractOutcome
from tests.end_to_end.layouts import LAYOUTS, Layout, write

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.dataset.checks.findings import Finding

# What is said of few images: the tables here are small on purpose.
FEW = ("few-", "no-test", "no-train", "too-few", "near-duplicates")


def outcome(folder: Path) -> tuple[list[Image], tuple[Finding, ...]]:
    """Return what stands in the index, and what the check found."""
    (file,) = (folder / ".lfvpipe").glob("*/ledger.json")  # called after the photographs by init
    state, ledger = file.parent, Ledger.load(file)
    extracted = ExtractOutcome.standing(ledger, "default")
    checked = CheckOutcome.standing(ledger, "default")
    assert extracted is not None
    assert checked is not None
    return list(read_index(state / extracted.index)), checked.findings


def run_check(folder: Path, layout: Layout) -> int:
    """Write the layout and its pipeline file, and run it until the check."""
    write(folder, layout.files())
    file = folder / "pipeline.yaml"
    file.write_text(layout.declared)
    assert main(["validate", str(file)]) == 0
    return main(["run", str(file), "--until", "check"])


def forecast(printed: str) -> dict[tuple[str, str], int]:
    """Return the counts by label and split that `validate` printed."""
    found = re.findall(r"(normal|anomaly) .*images, (\d+) to train on, (\d+) to test on", printed)
    return {
        (label, split): int(count)
        for label, train, test in found
        for split, count in (("train", train), ("test", test))
        if int(count)
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_gives_what_lies_in_it(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = LAYOUTS[name]
    assert run_check(tmp_path, layout) == 0
    assert forecast(capsys.readouterr().out) == layout.counts
    images, findings = outcome(tmp_path)
    used = [image for image in images if image.split in ("train", "test")]
    assert Counter((image.label, image.split) for image in used) == layout.counts
    assert Counter(kind for image in used for kind in image.types) == layout.types
    assert sum(image.mask is not None for image in used) == layout.masks
    judged = [image for image in images if image.split == "evaluate"]
    assert sum(image.label is None for image in judged) == layout.unlabelled
    codes = {found.code for found in findings if not found.code.startswith(FEW)}
    assert codes == layout.findings, [found.message for found in findings]
