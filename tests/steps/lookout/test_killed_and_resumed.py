"""Wherever the process dies, the next run ends like one that nobody disturbed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def _undisturbed(make: Callable[[str], Any]) -> Any:
    world = make("undisturbed")
    assert world.run().ok
    return world


@pytest.fixture
def make(tmp_path: Path, world: Any) -> Callable[[str], Any]:
    """Return a maker of worlds of their own."""

    def made(name: str) -> Any:
        (tmp_path / name).mkdir()
        return type(world)(tmp_path / name, train=1, test=1, evaluate=1)

    return made


def _die(world: Any) -> None:
    with pytest.raises(world.death):
        world.run()
    world.service.dead, world.service.die_at = False, None


def _compare(world: Any, undisturbed: Any) -> None:
    assert world.service.statuses() == {"1": "TRAINED"}
    assert not world.ledger.held
    for facts in ("verdicts", "test", "images", "wrong"):
        assert world.facts("evaluate")[facts] == undisturbed.facts("evaluate")[facts]
    assert world.facts("project")["created_by_us"]
    assert world.facts("model")["created_by_us"]
    assert world.facts("datasets")["train"]["created_by_us"]
    assert len(list(world.ledger_path.parent.glob("runs/*.json"))) == 1
    assert not list(world.ledger_path.parent.rglob("*.partial.jsonl"))


def test_killed_right_after_every_call_that_changes_the_world(make: Callable[[str], Any]) -> None:
    undisturbed = _undisturbed(make)
    changing = ("Create", "Delete", "Start", "Stop", "Detect")
    calls = enumerate(undisturbed.service.calls)
    for number in [number for number, name in calls if name.startswith(changing)]:
        world = make(str(number))
        world.service.die_at = number
        _die(world)
        assert world.run().ok
        _compare(world, undisturbed)


def test_killed_at_every_write_of_the_ledger(
    make: Callable[[str], Any], mortal_ledger: Callable[[Any, int], None]
) -> None:
    undisturbed = _undisturbed(make)
    serial = undisturbed.ledger.serial
    assert serial > 20
    for number in range(6, serial):  # the first six are those of the steps that stand in
        world = make(str(number))
        mortal_ledger(world, number)
        _die(world)
        assert world.run().ok
        _compare(world, undisturbed)
