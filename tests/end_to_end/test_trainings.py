"""Who is master of a training: left to itself, shown, cancelled, waited for, gone on with."""

from __future__ import annotations

import os
import re
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lfvpipe.engine.ledger import Ledger
from tests.end_to_end.conftest import PIPELINE
from tests.soak.kills import end, workers
from tests.workshop import spawn

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.conftest import Workshop

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals here are POSIX's")


@pytest.fixture
def state(workshop: Workshop) -> Iterator[Path]:
    """Yield the state of a pipeline that is to be trained; nothing is at it afterwards."""
    # ten labelled anomalies to train on, from which networks learn: time to come between
    workshop.write(PIPELINE.replace("count: 8", "count: 20") + "model: {effort: fast}\n")
    state = workshop.folder / ".lfvpipe"
    yield state
    end(workers(state))


def await_learning(state: Path) -> None:
    """Wait until the worker has kept a first stage of what it learns."""
    end = time.monotonic() + 300
    while not list((state / "service" / "scratch").glob("model-*/learning/features*")):
        if list((state / "service" / "scratch").glob("model-*/learning/images*")):
            return
        assert time.monotonic() < end
        time.sleep(0.02)


def are_gone(state: Path) -> bool:
    """Tell whether no worker is left soon: in two seconds, where a machine does nothing else."""
    end = time.monotonic() + 300
    while workers(state) and time.monotonic() < end:
        time.sleep(0.02)
    return not workers(state)


def test_a_training_is_left_shown_cancelled_and_gone_on_with(
    workshop: Workshop, state: Path
) -> None:
    left = workshop.lfvpipe("run", "--detach")
    assert left.code == 0, left.err
    (line,) = [each for each in left.err.splitlines() if "Training goes on as version 1" in each]
    assert line.split()[:4] == ["→", "model", "goes", "on"]
    assert "see how it ends with `lfvpipe run`" in left.err
    assert len(workers(state)) == 1
    await_learning(state)
    shown = workshop.lfvpipe("stop", "--list")
    assert shown.out.startswith("the training of version 1 of project pipeline: ")
    assert len(workers(state)) == 1
    ended = workshop.lfvpipe("stop")
    assert ended.out == (
        "cancelled the training of version 1 of project pipeline: the parts that it had finished"
        " are kept, and the next run goes on from them; what it was in the midst of begins anew\n"
    )
    assert are_gone(state)
    assert workshop.models() == []
    kept = list((state / "service" / "cancelled").rglob("*.kept"))
    assert len(kept) >= 2
    assert workshop.lfvpipe("stop").out == "nothing is in training or hosted\n"

    # Cancelled is not failed: the next run makes one version, and goes on.
    before = {each.name for each in kept}
    again = workshop.lfvpipe("run", "--detach")
    assert again.code == 0, again.err
    await_learning(state)
    found = (state / "service" / "scratch").glob("model-*/learning/*.kept")
    assert before <= {each.name for each in found} or not workers(state)
    assert not list((state / "service" / "cancelled").iterdir())

    # Killed by hand, it stands still until somebody runs the pipeline.
    end(workers(state))
    stands = " ".join(workshop.lfvpipe("status").out.split())
    assert "was interrupted, and `lfvpipe run` goes on with it" in stands
    assert "training goes on" not in stands
    image = next((state / "pipeline").rglob("*.png"))
    for words in (["status"], ["plan", "--refresh"], ["stop", "--list"], ["detect", str(image)]):
        workshop.lfvpipe(*words)
        assert workers(state) == [], words
    assert workshop.lfvpipe("run", "--detach").code == 0
    (model,) = workshop.models()
    assert model["Status"] == "TRAINING"
    (record,) = Ledger.load(state / "pipeline" / "ledger.json").records("model")
    assert record.saved["failed_versions"] == []


def at_terminal(workshop: Workshop, *words: str) -> tuple[subprocess.Popen[str], int]:
    import fcntl
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = spawn(
        *words,
        cwd=workshop.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_until(ours: int, wanted: str, said: str = "") -> str:
    while wanted not in said:
        said += os.read(ours, 65536).decode("utf-8", "replace")
    return said


def read_rest(ours: int) -> str:
    """Return what else is written, in one line: a terminal's lines end where they are full."""
    said = ""
    try:
        while more := os.read(ours, 65536):
            said += more.decode("utf-8", "replace")
    except OSError:  # the terminal is closed
        pass
    return " ".join(said.split())


def test_ctrl_c_at_a_terminal_asks_what_becomes_of_the_training(
    workshop: Workshop, state: Path
) -> None:
    process, ours = at_terminal(workshop, "run", "--until", "model")
    await_learning(state)
    process.send_signal(signal.SIGINT)
    said = read_until(ours, "Number [1]: ")
    assert "The training of version 1 of project pipeline goes on." in said
    assert [line for line in said.splitlines() if re.match(r" [* ][123]  ", line)] == [
        " *1  leave it to go on in the background: the next run takes it up",
        "  2  cancel it: what it has learnt so far is kept for the next run",
        "  3  keep waiting for it",
    ]
    os.write(ours, b"3\n")
    read_until(ours, "model")
    process.send_signal(signal.SIGINT)
    read_until(ours, "Number [1]: ")
    os.write(ours, b"2\n")
    said = read_rest(ours)
    assert process.wait(60) == 130
    assert "cancelled the training of version 1 of project pipeline" in said
    assert "resume with `lfvpipe run --until model`" in said
    assert are_gone(state)
    assert workshop.models() == []
    os.close(ours)


def test_what_has_ended_while_the_question_stood_is_not_cancelled(
    workshop: Workshop, state: Path
) -> None:
    process, ours = at_terminal(workshop, "run", "--until", "model")
    await_learning(state)
    process.send_signal(signal.SIGINT)
    read_until(ours, "Number [1]: ")
    assert "cancelled the training" in workshop.lfvpipe("stop").out
    os.write(ours, b"3\n")
    said = read_rest(ours)
    assert "the training of version 1 of project pipeline was cancelled already, by" in said
    assert process.wait(60) == 130
    assert workshop.models() == []
    os.close(ours)


@pytest.mark.parametrize("leaving", ["Ctrl-C", "Ctrl-D"])
def test_leaving_the_question_says_that_the_training_goes_on(
    leaving: str, workshop: Workshop, state: Path
) -> None:
    process, ours = at_terminal(workshop, "run", "--until", "model")
    await_learning(state)
    process.send_signal(signal.SIGINT)
    read_until(ours, "Number [1]: ")
    if leaving == "Ctrl-C":
        process.send_signal(signal.SIGINT)
    else:
        os.write(ours, b"\x04")
    said = read_rest(ours)
    assert process.wait(60) == 130
    assert "version 1 of project pipeline was left to go on in the background" in said
    assert "resume with `lfvpipe run --until model`" in said
    os.close(ours)


def test_without_a_terminal_the_training_goes_on_unless_told_otherwise(
    workshop: Workshop, state: Path
) -> None:
    with spawn("run", "--cancel-training", cwd=workshop.folder) as process:
        await_learning(state)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cancelled the training of version 1" in said
    assert are_gone(state)
    assert workshop.models() == []


def test_a_run_that_waits_hears_that_its_training_was_cancelled_elsewhere(
    workshop: Workshop, state: Path
) -> None:
    with spawn("run", cwd=workshop.folder) as process:
        await_learning(state)
        assert "cancelled the training of version 1" in workshop.lfvpipe("stop").out
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The training of version 1 was cancelled; run again to resume." in said
    assert "resume with `lfvpipe run`" in said
    assert are_gone(state)
    (record,) = Ledger.load(state / "pipeline" / "ledger.json").records("model")
    assert record.saved["failed_versions"] == []
