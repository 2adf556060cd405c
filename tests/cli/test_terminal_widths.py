"""On terminals of any width no line is too long, and none ends within a word."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from lfvpipe.cli.catalogue import COMMANDS
from lfvpipe.cli.main import main
from lfvpipe.cli.matrix_table import layout
from lfvpipe.cli.reporters.live import SPINNER, Live, live_line
from lfvpipe.engine import events
from lfvpipe.engine.outcome import Outcome
from lfvpipe.lookout.progress import TrainingProgress
from lfvpipe.report import comparison, run_file
from lfvpipe.service.jobs.training.estimate import STAGES
from lfvpipe.wrapping import fit
from tests.cli.test_history_and_compare import _write_run

if TYPE_CHECKING:
    from pathlib import Path

WIDTHS = [60, 80, 120]
ENDLESS = 10_000
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HELP = [[command.name, "--help"] for command in COMMANDS]
# `serve` and `review` stay at work, `completion` and `schema` print what programs read.
SAID = [
    "--help",
    "rnu",
    "run pipeline.yaml --unitl model",
    "run pipeline.yaml --until check",
    "plan pipeline.yaml",
    "plan pipeline.yaml --set sample.percent=80 --set evaluate.review_below=0.75",
    "run pipeline.yaml --why",
    "status pipeline.yaml",
    "validate pipeline.yaml",
    "graph pipeline.yaml",
    "review pipeline.yaml",
    "detect pipeline.yaml Texture.zip",
    "history pipeline.yaml",
    "compare pipeline.yaml v1 v3",
    "compare pipeline.yaml v1 v2 v3",
    "report pipeline.yaml v1",
    "doctor pipeline.yaml",
    "stop pipeline.yaml",
    "init Texture.zip Texture_def.zip -o another.yaml --force",
    "docs",
    "destroy pipeline.yaml",
    "destroy pipeline.yaml --yes",
]


class Terminal(io.StringIO):
    """What a program writes to a terminal."""

    def isatty(self) -> bool:
        return True


def _screen(words: list[str], width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines that a command shows on a terminal of this width."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("TERM", raising=False)
    seen = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", seen)
        patched.setattr("sys.stderr", seen)
        patched.setattr("sys.stdin", io.StringIO())
        main(words)
    return re.split(r"[\r\n]+", CODES.sub("", seen.getvalue()))


def _words(lines: list[str]) -> set[str]:
    return {re.sub(r"\d+", "0", word) for line in lines for word in line.split()}


def _broken(lines: list[str], whole: set[str]) -> list[str]:
    """Return the words that end on the line after the one that they begin on."""
    ends = [[re.sub(r"\d+", "0", word) for word in line.split()] for line in lines]
    pairs = [(above[-1], below[0]) for above, below in pairwise(ends) if above and below]
    return [f"{a}|{b}" for a, b in pairs if a + b in whole and not {a, b} <= whole]


@pytest.fixture
def shown(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a pipeline with three runs, which is the working one."""
    monkeypatch.chdir(project.parent)
    for day, percent, missed in ((1, 20, 2), (2, 40, 3), (3, 100, 0)):
        _write_run(project.parent / ".lfvpipe" / "pipeline", day, percent, missed)
    return project.parent


@pytest.mark.parametrize("width", WIDTHS)
def test_no_command_breaks_a_word_or_writes_beyond_the_edge(
    width: int, shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = []
    # Paths of this machine may be longer than any line; those of a user's folder are not.
    long = re.compile(rf"{re.escape(str(shown))}\S*")
    for words in [*HELP, *(said.split() for said in SAID)]:
        lines = _screen(words, width, monkeypatch)
        faults += [
            (words, line)
            for line in lines
            if len(line) > width and len(long.sub("", line).strip()) > 0
        ]
        if words[0] != "run":  # what it did is not done twice
            whole = _words(_screen(words, ENDLESS, monkeypatch))
            faults += [(words, broken) for broken in _broken(lines, whole)]
    assert not faults


@pytest.mark.parametrize("width", WIDTHS)
def test_live_and_finished_lines_fit(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr", seen)
    facts = "images 76, anomalous 12, wrong 1, doubtful 9, unlike the training images 2"
    live = Live(lambda _step, _outcome: facts)
    detail = "fine-tuning network 3 of 4, epoch 12 of 40, of version 1"
    live(events.StepStarted("model", ()))
    live(events.StepProgress("model", 12, 160, "epochs", detail))
    live(events.StepWarning("check", "4 images are in train and in test, which flatters figures."))
    live(events.StepFinished("model", Outcome("created", {}), "created", 33.0))
    left = "Training goes on as version 1; run again to take it up."
    live(events.StepInterrupted("model", left, 33.0, is_left=True))
    live.close()
    lines = re.split(r"[\r\n]+", CODES.sub("", seen.getvalue()))
    assert max(map(len, lines)) <= width
    known = f"{facts} {left} → goes on ✓ ! created 33 0 s model check"
    finished = " ".join(lines[lines.index(next(x for x in lines if "✓" in x)) :])
    spinner = {word for word in finished.split() if "\u2800" <= word <= "\u28ff"}
    assert {*finished.split()} - spinner <= {*known.split()}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_live_line_is_one_line_of_whole_words(width: int) -> None:
    said = "12 of 160 epochs, fine-tuning network 3 of 4 with turned and moved views"
    line = live_line(width, "model", said, "1 min 20 s, 2 min 10 s left", 0.4)
    assert len(line) <= width
    assert line.endswith("1 min 20 s, 2 min 10 s left")
    shown = {*line.split()} - {"━" * 8}
    known = f"{said} model 1 min 20 s, 2 min 10 s left views epochs"
    assert shown <= {*known.split(), *known.replace(",", "").split()}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_matrix_of_six_is_a_table_of_rows(width: int, tmp_path: Path) -> None:
    for day in range(1, 7):
        _write_run(tmp_path, day, 20 * day, day)
    runs = [run_file.load(run_file.path_of(tmp_path, each)) for each in run_file.run_ids(tmp_path)]
    lines = layout(comparison.compare(runs), width)
    assert max(map(len, lines)) <= width
    assert sum("of 10" in line for line in lines) == 6  # anomalies missed, of those all judged
    assert "20 labelled images that all of them judged" in "\n".join(lines)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("short", "short"),
        ("one two three four five six seven", "one two three four\n  five six seven"),
        ("name  and what there is to say of it", "name  and what there is to\n      say of it"),
        (
            "  a/very/long/path/that/is/no/use/broken it",
            "  a/very/long/path/that/is/no/use/broken\n    it",
        ),
        ("name  run 20261128T140220Z-8e98", "name  run\n  20261128T140220Z-8e98"),
        ("sizes: new 60, 379 kB", "sizes: new 60,\n  379 kB"),
        ("a: test 25, train 350", "a: test 25,\n  train 350"),
        ("\x1b[31mone two three four five\x1b[0m", "\x1b[31mone two three four\n  five\x1b[0m"),
    ],
)
def test_lines_break_between_words_below_their_last_column(line: str, expected: str) -> None:
    assert fit(line, 20 if "name" not in line else 26) == expected


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_time_that_a_training_still_takes_is_told_at_each_width(columns: int) -> None:
    for _, _, doing in STAGES:
        said = TrainingProgress.of(doing, 0.99, 5000.0).phrase
        line = live_line(columns - SPINNER, "model", said, "59 s", 0.99)
        assert f"{said}  59 s" in line
        assert len(line) <= columns - SPINNER
