"""What is shown while a run goes on."""

import io
import json

import pytest
import structlog

from lfvpipe.cli.formatting import amount
from lfvpipe.cli.reporters import reporting
from lfvpipe.cli.reporters.live import Live
from lfvpipe.cli.reporters.plain import Plain
from lfvpipe.engine import events
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.phrases import size
from lfvpipe.errors import UserError
from lfvpipe.service.log import service_log

DONE = Outcome("created", {"images": 76, "bytes": 481_000, "new": 76})


def describe(step: str, outcome: Outcome) -> str:
    return f"of {step}: {outcome.facts['images']} images"


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_plain_lines_tell_a_steps_start_and_end(clock: Clock) -> None:
    out = io.StringIO()
    plain = Plain(out, describe, clock)
    plain(events.StepStarted("extract", ()))
    plain(events.StepFinished("extract", DONE, "created", 1.25))
    plain.close()
    first, second = out.getvalue().splitlines()
    assert first == "> extract"
    assert second.split()[:5] == ["✓", "extract", "created", "1.2", "s"]
    assert second.endswith("of extract: 76 images")


def test_plain_lines_are_never_silent_for_two_seconds(clock: Clock) -> None:
    out = io.StringIO()
    plain = Plain(out, describe, clock)
    plain(events.StepStarted("fetch:normal", ()))
    plain(events.StepProgress("fetch:normal", 1_000_000, 4_000_000, "bytes"))
    spoken = 1
    for _ in range(10):
        clock.now += 1.9
        plain.tick()
        lines = out.getvalue().splitlines()
        assert len(lines) > spoken
        spoken = len(lines)
    plain.close()
    assert "1.0 MB of 4.0 MB" in lines[-1]


def test_plain_lines_stop_with_the_step(clock: Clock) -> None:
    out = io.StringIO()
    plain = Plain(out, describe, clock)
    plain(events.StepStarted("model", ()))
    plain(events.StepFailed("model", UserError("no luck", hint="try again"), 3.0))
    before = out.getvalue()
    clock.now += 60
    plain.tick()
    plain.close()
    assert out.getvalue() == before
    assert "✗ model" in before
    assert "no luck" in before
    assert "try again" not in before  # the hint comes at the end of the run


def test_fresh_steps_are_not_mentioned(clock: Clock) -> None:
    out = io.StringIO()
    plain = Plain(out, describe, clock)
    plain(events.StepFinished("fetch:normal", DONE, "unchanged", 0.0))
    plain.close()
    assert out.getvalue() == ""


def test_live_lines_come_and_go(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    live = Live(describe)
    live(events.RunStarted("default", ("model",)))
    live(events.StepStarted("model", ()))
    live(events.StepProgress("model", 3, 35, "images", "version 1"))
    live(events.StepWarning("model", "few images [sic]"))
    live(events.StepFinished("model", DONE, "created", 33.0))
    live.close()
    said = capsys.readouterr().err
    assert "! model" in said
    assert "few images [sic]" in said
    assert "of model: 76 images" in said
    assert "\x1b[3" not in said  # no colours


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [(1, 1, "1 of 1 image"), (1, None, "1 image"), (1, 3, "1 of 3 images"), (0, None, "0 images")],
)
def test_amounts_are_english(done: int, total: int | None, said: str) -> None:
    assert amount(done, total, "images") == said


@pytest.mark.parametrize(
    ("count", "said"), [(999, "999 B"), (1500, "1.5 kB"), (508_000, "508 kB"), (2.5e9, "2.5 GB")]
)
def test_sizes(count: float, said: str) -> None:
    assert size(count) == said


def test_for_machines_the_embedded_service_logs_json_lines_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structlog.reset_defaults()
    with reporting("json", describe) as reporter:
        reporter(events.StepStarted("extract", ()))
        service_log().warning("a unit died", unit=3)
    service_log().warning("as before")
    *lines, last = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["step-started", "a unit died"]
    assert "warning as before" in last
