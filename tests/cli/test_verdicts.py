"""What `detect` says beside its verdicts: how far it is, what they come to, whose model it is."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.cli.judge import Judge
from lfvpipe.cli.verdicts import ImageVerdict, print_verdicts
from lfvpipe.decision import Decision

if TYPE_CHECKING:
    from pathlib import Path

VERDICTS = [
    ImageVerdict("a.png", is_anomalous=False, confidence=0.9),
    ImageVerdict("b.png", is_anomalous=True, confidence=0.6, needs_review=True),
    ImageVerdict("c.png", error="The image is a text file."),
]
JUDGE = Judge("castings v3", "ab" * 32, Decision(0.31, 0.2, 0.7))


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_verdicts_are_summed_up_beside_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_verdicts(VERDICTS, JUDGE, total=3, as_json=False, as_csv=True)
    said = capsys.readouterr()
    assert "3 images: 1 anomalous, 1 doubtful, 1 without a verdict, in " in said.err
    assert len(said.out.splitlines()) == 4


def test_a_terminal_sees_how_many_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _Terminal()
    monkeypatch.setattr("sys.stderr", seen)
    print_verdicts(VERDICTS, JUDGE, total=3, as_json=True, as_csv=False)
    counted = seen.getvalue().split("\r\x1b[K")
    assert [text for text in counted if text.endswith("of 3 images")] == [
        "1 of 3 images",
        "2 of 3 images",
    ]


def test_a_pipe_sees_no_counter(capsys: pytest.CaptureFixture[str]) -> None:
    print_verdicts(VERDICTS, JUDGE, total=3, as_json=True, as_csv=False)
    assert "of 3 images" not in capsys.readouterr().err


def test_a_verdict_says_what_it_takes_to_come_to_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    proposed = ImageVerdict(
        "d.png", is_anomalous=True, confidence=0.6, needs_review=True, to_person=True
    )
    every = [*VERDICTS, proposed]
    print_verdicts(every, JUDGE, total=4, as_json=True, as_csv=False)
    said = json.loads(capsys.readouterr().out)["images"]
    assert [each["score"] for each in said] == [pytest.approx(0.1), 0.6, None, 0.6]
    for each in said:
        assert (each["threshold"], each["above"], each["below"]) == (0.31, 0.2, 0.7)
        assert (each["model"], each["digest"]) == ("castings v3", "ab" * 32)
    print_verdicts(every, JUDGE, total=4, as_json=False, as_csv=True)
    head, first, *_ = csv.reader(capsys.readouterr().out.splitlines())
    assert head[:6] == ["image", "verdict", "confidence", "needs_review", "error", "note"]
    assert dict(zip(head, first, strict=True))["score"] == "0.1000"
    assert first[-2:] == ["0.31", "castings v3"]
    print_verdicts(every, JUDGE, total=4, as_json=False, as_csv=False)
    # Whose confidence it is, and in what.
    assert "person   0.600           d.png  (the model says anomaly)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "judged by the model of sample.seed=1, one of 2 variants (--variant NAME)"),
        (("--variant", "seed=2"), "judged by the model of sample.seed=2"),
        (("--variant", "seed=7"), "No variant is called 'seed=7'."),
        (("--variant", "seed"), "Several variants have 'seed' in their name."),
    ],
)
def test_of_a_matrix_it_is_said_whose_model_judges(
    words: tuple[str, ...], told: str, project: Path, lfvpipe: Any
) -> None:
    project.write_text(project.read_text() + "matrix: {sample.seed: [1, 2]}\n")
    (project.parent / "photo.png").touch()
    said = lfvpipe("detect", project, project.parent / "photo.png", *words)
    assert (said.code, told in said.err) == (3, True), said.err
