"""--from, --until, --only, --force and --accept."""

from typing import Any

import pytest

from lfvpipe.engine.reasons import Reason
from lfvpipe.errors import UserError


@pytest.fixture
def line(steps: Any, bench: Any, world: Any) -> Any:
    world.config.update({"a": 1, "b": 1})
    return bench(
        steps.Writes("fetch:normal", keys=["a"]),
        steps.Writes("fetch:anomaly"),
        steps.Writes("select", ["fetch:normal", "fetch:anomaly"], ["b"]),
        steps.Writes("aside", ["fetch:normal"]),
        steps.Writes("check", ["select"]),
    )


def taken(pipeline: Any, **selected: object) -> set[str]:
    return {name for name, action in pipeline.actions(**selected).items() if action != "skip"}


def test_until_takes_a_step_and_what_it_needs(line: Any) -> None:
    line.run(until="select")
    assert sorted(line.started) == ["fetch:anomaly", "fetch:normal", "select"]


def test_a_family_names_all_its_members(line: Any) -> None:
    assert taken(line, until="fetch") == {"fetch:normal", "fetch:anomaly"}


def test_from_takes_a_step_and_what_comes_after(line: Any) -> None:
    line.run()
    assert taken(line, from_="select") == {"select", "check"}
    assert taken(line, from_="fetch:normal", until="select") == {"fetch:normal", "select"}


@pytest.mark.parametrize("go", ["run", "plan"])
def test_only_refuses_to_build_on_a_stale_step(line: Any, world: Any, go: str) -> None:
    line.run()
    world.config["b"] = 2
    with pytest.raises(UserError, match=r"check builds on select, .* \(config changed: b\)"):
        getattr(line, go)(only="check")


def test_only_runs_one_step(line: Any, world: Any) -> None:
    line.run()
    world.config["b"] = 2
    line.run(only="select")
    assert line.started == ["select"]


def test_force_runs_what_is_fresh(line: Any) -> None:
    line.run()
    assert line.reasons("select", force=frozenset({"select"})) == (Reason("forced"),)
    line.run(force=frozenset({"fetch"}))
    assert sorted(line.started) == ["fetch:anomaly", "fetch:normal"]
    line.run(force=frozenset("*"), until="select")
    assert sorted(line.started) == ["fetch:anomaly", "fetch:normal", "select"]


def test_several_steps_can_be_forced_or_accepted_at_once(line: Any, world: Any) -> None:
    line.run()
    line.run(force=frozenset({"aside", "check", "fetch:anomaly"}))
    assert sorted(line.started) == ["aside", "check", "fetch:anomaly"]
    world.config.update({"a": 2, "b": 2})
    line.run(accept=frozenset({"fetch:normal", "select"}))
    assert line.started == []


def test_accept_takes_the_standing_outcome_as_good(line: Any, world: Any) -> None:
    line.run()
    world.config["a"] = 2
    accept = frozenset({"fetch:normal"})
    assert line.actions(accept=accept)["fetch:normal"] == "reuse"
    line.run(accept=accept)
    assert line.started == []
    assert set(line.actions().values()) == {"unchanged"}
    world.config["a"] = 1
    assert "run" not in line.actions().values()


def test_there_has_to_be_something_to_accept(line: Any) -> None:
    with pytest.raises(UserError, match="check has never finished"):
        line.plan(accept=frozenset({"check"}))


@pytest.mark.parametrize(
    ("selected", "message"),
    [
        ({"until": "chekc"}, "There is no step 'chekc'.\n  Did you mean check?"),
        ({"force": frozenset({"fecth"})}, "Did you mean fetch?"),
        ({"only": "check", "until": "check"}, "One step alone excludes"),
        ({"from_": "aside", "until": "select"}, "select does not come after aside"),
        ({"until": "fetch", "force": frozenset({"check"})}, "not selected (until fetch)"),
        ({"force": frozenset({"check"}), "accept": frozenset({"check"})}, "both forced and"),
    ],
)
def test_what_makes_no_sense_is_refused(
    line: Any, selected: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as refused:
        line.run(**selected)
    assert message in str(refused.value)
