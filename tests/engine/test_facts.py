"""What a step hands on survives the ledger, and damage to it is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfvpipe.engine.facts import ABSENT_IF_NONE, FactsError, StepFacts, StepOutcome
from lfvpipe.engine.inputs import CodeVersion, Input, InputFile, Setting, flatten
from lfvpipe.engine.outcome import Json, Outcome


@dataclass(frozen=True)
class Part(StepFacts):
    name: str
    size: int


@dataclass(frozen=True)
class Handed(StepFacts):
    path: str
    share: float
    ours: bool
    parts: tuple[Part, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    main: Part | None = None
    etag: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    passed_on: Json = None
    kind: Literal["file", "folder"] = "file"


parts = st.builds(Part, st.text(), st.integers())
handed = st.builds(
    Handed,
    st.text(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.lists(parts).map(tuple),
    st.dictionaries(st.text(), st.dictionaries(st.text(), st.integers())),
    st.none() | parts,
    st.none() | st.text(),
    st.none() | st.integers() | st.lists(st.text()),
)


@given(handed)
def test_what_is_written_is_read_back(facts: Handed) -> None:
    assert Handed.from_json(json.loads(json.dumps(facts.as_json()))) == facts


def test_what_is_not_known_is_absent_where_the_field_says_so() -> None:
    written = Handed("a", 1.0, True).as_json()
    assert "etag" not in written
    assert written["main"] is None


def test_a_choice_of_words_is_read_back() -> None:
    facts = Handed("a", 1.0, True, kind="folder")
    assert Handed.from_json(facts.as_json()) == facts


def test_facts_that_are_no_mapping_are_told() -> None:
    with pytest.raises(FactsError, match="of Part cannot be read: it is no mapping") as caught:
        Part.from_json([])  # type: ignore[arg-type]
    assert (caught.value.step, caught.value.fault) == ("Part", "it is no mapping")


def test_what_an_older_version_did_not_write_has_its_default() -> None:
    assert Handed.from_json({"path": "a", "share": 1, "ours": False}).parts == ()


@pytest.mark.parametrize(
    ("damaged", "named"),
    [
        ({"share": 1.0, "ours": True}, "path"),
        ({"path": 3, "share": 1.0, "ours": True}, "path"),
        ({"path": "a", "share": 1.0, "ours": 1}, "ours is 1"),
        ({"path": "a", "share": True, "ours": True}, "share is True"),
        (
            {"path": "a", "share": 1.0, "ours": True, "parts": [{"name": "x"}]},
            "parts.size is not there",
        ),
        ({"path": "a", "share": 1.0, "ours": True, "parts": "x"}, "parts is .x"),
        ({"path": {"a": 1}, "share": 1.0, "ours": True}, "path is"),
        ({"path": "a", "share": 1.0, "ours": True, "kind": "link"}, "kind is 'link'"),
        ({"path": "a", "share": 1.0, "ours": True, "counts": {"a": {"b": "c"}}}, "counts is 'c'"),
        ({"path": "a", "share": 1.0, "ours": True, "main": []}, "main is no mapping"),
    ],
)
def test_what_is_missing_or_of_another_type_is_named(
    damaged: Mapping[str, Json], named: str
) -> None:
    with pytest.raises(FactsError, match=named) as caught:
        Handed.from_json(damaged)
    assert caught.value.step == "Handed"


def test_a_reader_of_damaged_facts_is_told_which_step_left_them() -> None:
    @dataclass(frozen=True)
    class Uploaded(StepOutcome):
        step: ClassVar[str] = "upload"
        objects: int

    upstream = {"upload": Outcome("created", {"objects": "many"})}
    with pytest.raises(FactsError, match=r"of upload .* objects is 'many'") as caught:
        Uploaded.of(upstream)
    assert caught.value.step == "upload"


def test_inputs_are_told_apart_by_kind() -> None:
    inputs: list[Input] = [
        Setting("a.b", 1),
        InputFile("/x", "0f"),
        CodeVersion("preparation", 3, 2),
    ]
    assert flatten(inputs) == {"a.b": 1, "file:/x": "0f", "code:preparation": 3}


def test_code_is_recorded_once_it_is_newer_than_ledgers_that_do_not_know_it() -> None:
    assert flatten([CodeVersion("preparation", 2, 2)]) == {}


@pytest.mark.parametrize("key", ["version", "step:x", "file:x", "code:x"])
def test_a_setting_cannot_pass_for_another_kind_of_input(key: str) -> None:
    with pytest.raises(ValueError, match=key):
        flatten([Setting(key, 1)])


def test_an_input_that_is_there_twice_is_a_bug() -> None:
    with pytest.raises(ValueError, match="twice"):
        flatten([Setting("a", 1), Setting("a", 2)])
