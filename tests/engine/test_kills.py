"""A run that is killed, anywhere, is finished by the next one as if nothing had happened."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfvpipe.engine import ledger_file
from lfvpipe.engine.ledger import Ledger

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("killed_pipeline.py")


def start(folder: Path, mode: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), mode],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_inside_the_second_step(folder: Path) -> Any:
    with start(folder, "block") as child:
        assert child.stdout is not None
        said = json.loads(child.stdout.readline())
        child.kill()
    return said


def test_a_killed_step_is_resumed_with_the_same_token_and_what_it_saved(tmp_path: Path) -> None:
    said = [killed_inside_the_second_step(tmp_path) for _ in range(2)]
    ledger = Ledger.load(tmp_path / "ledger.json")
    assert ledger.records("second")[0].state == "running"
    assert ledger.held == {"endpoint": {"job": "42"}}
    assert ledger.slots == {"second": None}
    with start(tmp_path, "go") as child:
        said.append(json.loads(child.communicate()[0]))
    assert child.returncode == 0
    assert [each["attempt"] for each in said] == [1, 1, 1]
    assert [each["saved"] for each in said] == [{}, {"job": "42"}, {"job": "42"}]
    assert len({each["token"] for each in said}) == 1
    assert (tmp_path / "first").read_text() == "ran\n"
    ledger = Ledger.load(tmp_path / "ledger.json")
    assert ledger.held == {}
    assert ledger.slots["second"] == ledger.standing_at("default", "second")


class Killed(BaseException):
    """Stands for SIGKILL: nothing that comes after it takes effect."""


class Executioner:
    """Lets so many effects happen, then none."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.guard = threading.Lock()

    def effect(self) -> None:
        with self.guard:
            if self.left is None:
                return
            if self.left == 0:
                raise Killed
            self.left -= 1


CONFIGS = st.fixed_dictionaries(
    {"a": st.integers(1, 2), "b": st.integers(1, 2)}, optional={"c": st.just(1)}
)
KILLS = st.lists(st.integers(0, 40), max_size=3)


def pipeline_of(steps: Any, executioner: Executioner) -> list[Any]:
    def mortal(kind: Any) -> Any:
        class Mortal(kind):  # type: ignore[misc]  # a class from a fixture
            def act(self, context: Any, work: Any) -> Any:
                executioner.effect()
                outcome = super().act(context, work)
                executioner.effect()
                return outcome

        return Mortal

    writes, fills = mortal(steps.Writes), mortal(steps.Fills)
    return [
        writes("source", keys=["a"]),
        writes("side", keys=["c"]),
        fills("datasets", ["source"]),
        writes("model", ["datasets"], ["b"]),
        writes("report", ["model", "side"]),
    ]


@contextmanager
def mortal_ledger(executioner: Executioner) -> Iterator[None]:
    write = ledger_file.write

    def mortal(path: Path, data: dict[str, Any]) -> None:
        executioner.effect()
        write(path, data)
        executioner.effect()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ledger_file, "write", mortal)
        patched.setattr(os, "fsync", lambda descriptor: None)
        yield


def what_remains(path: Path) -> Any:
    """Return the ledger without times, counts and order."""
    data = json.loads(path.read_text())
    passing = {"started", "finished", "attempts"}
    for kept in data["outcomes"].values():
        for fingerprint, record in kept.items():
            kept[fingerprint] = {key: v for key, v in record.items() if key not in passing}
    for key in ("serial", "lineage"):
        del data[key]
    data["attempted"] = {variant: steps for variant, steps in data["attempted"].items() if steps}
    return data


def files(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.iterdir() if path.is_file()}


def live(steps: Any, make: Any, root: Path, history: Any, *, kills: bool) -> Any:
    """Run each configuration, after so many killed attempts, and return what is left."""
    executioner = Executioner()
    bench = make(steps.World(root), pipeline_of(steps, executioner))
    with mortal_ledger(executioner):
        for config, points in history:
            bench.world.config = dict(config)
            for point in points if kills else ():
                executioner.left = point
                with suppress(Killed):
                    bench.run()
            executioner.left = None
            assert bench.run().ok
            assert set(bench.actions().values()) == {"unchanged"}
    return what_remains(bench.path), files(root)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=st.lists(st.tuples(CONFIGS, KILLS), min_size=1, max_size=3))
def test_kills_leave_no_trace(steps: Any, make: Any, history: Any) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        killed = live(steps, make, Path(one), history, kills=True)
        assert killed == live(steps, make, Path(other), history, kills=False)
