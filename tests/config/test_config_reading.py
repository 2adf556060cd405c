import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lfvpipe.config import ConfigError, Loaded, Problem, load
from lfvpipe.config.reading import LARGEST_FILE

Load = Callable[..., Loaded]
Problems = Callable[..., tuple[Problem, ...]]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

BROKEN = {
    "a tab": ("sources:\n\tnormal: x\n", 2, 1, "tabs"),
    "an open bracket": ("sources: [1\n", 2, 1, "brackets"),
    "two colons": ("sources: a: b\n", 1, 11, "colons"),
    "a bare glob": ("sources: [**/*.png]\n", 1, 12, "quotes"),
    "a bare at sign": ("sources: @x\n", 1, 10, "quotes"),
    "a control character": ("sources: \x00b\n", 1, 10, "invisible"),
    "a second document": ("a: 1\n---\nb: 1\n", 2, 1, "file of its own"),
    "a list at the top": ("- 1\n", 1, 1, "sources:"),
    "nothing": ("", 1, 1, "lfvpipe init"),
    "only comments": ("# a\n# b\n", 1, 1, "lfvpipe init"),
    "an unknown alias": ("a: 1\nb: *x\n", 2, 4, "&x"),
    "an alias to itself": ("a: &x [*x]\n", 1, 8, "&x"),
    "an alias bomb": (BOMB, 5, 29, "fewer aliases"),
    "deep brackets": ("[" * 500, 1, 42, "Flatten"),
    "deep mappings": ("a: " + "{a: " * 5_000, 1, 161, "Flatten"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_unreadable_text_is_refused_at_its_place(problems: Problems, case: str) -> None:
    text, line, column, hint = BROKEN[case]
    (found,) = problems(text)
    assert (found.line, found.column) == (line, column)
    assert hint in found.hint
    assert found.file.endswith("line-7.yaml")


def test_half_a_million_brackets_are_refused_by_us_or_by_libyaml(problems: Problems) -> None:
    (found,) = problems("[" * 500_000)
    # some builds of libyaml look ahead and stop at a depth of their own, a thousand
    assert (found.line, found.column) in {(1, 42), (1, 1001)}


def test_a_chain_of_aliases_cannot_nest_deeper_than_text(problems: Problems) -> None:
    chain = "".join(f"b{i}: &b{i} [*b{i - 1}]\n" for i in range(1, 400))
    (found,) = problems("b0: &b0 x\n" + chain)
    assert "levels deep" in found.message


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        (2, 1, 'the key "sources" is here a second time'),
        (3, 7, ".nan is not a finite number"),
        (4, 10, "1e999 is not a finite number"),
        (5, 1, "this key is not text"),
        (6, 8, "the tag !!python/object:os.system is not supported"),
        (7, 11, "the tag !mine is not supported"),
        (8, 5, "`<<` takes a mapping, or a list of mappings"),
    ],
)
def test_every_doubtful_value_is_named_at_once(
    problems: Problems, good: str, line: int, column: int, message: str
) -> None:
    text = good + (
        "sources: {}\nname: .nan\nproject: 1e999\n12: x\nname2: !!python/object:os.system {}\n"
        "project2: !mine x\n<<: text\n"
    )
    found = problems(text)
    assert (line, column, message) in [(each.line, each.column, each.message) for each in found]


def test_the_second_of_two_equal_keys_names_the_first(problems: Problems, good: str) -> None:
    (found,) = problems(good + "name: a\nname: b\n")
    assert (found.line, found.column) == (3, 1)
    assert "The first is at 2:1" in found.hint


@pytest.mark.parametrize("word", ["no", "on", "yes", "y", "2024-01-01", "010", "1_000"])
def test_surprises_of_yaml_1_1_are_plain_text(load_text: Load, good: str, word: str) -> None:
    loaded = load_text(good + f"model: {{description: {word}}}")
    assert loaded.pipeline.model.description == word


def test_a_time_is_not_a_number_of_minutes(load_text: Load, good: str) -> None:
    loaded = load_text(good + "evaluate: {images: [1:30, 12:30:45]}\n")
    assert loaded.pipeline.evaluate.images == ("1:30", "12:30:45")


def test_merge_keys_fill_in_what_a_mapping_does_not_say(load_text: Load) -> None:
    loaded = load_text(
        "sources:\n  normal: &base {archive: a.zip, include: ['*.png']}\n"
        "  anomaly: {archive: b.zip, <<: *base}\n"
    )
    source = loaded.pipeline.sources.by_label["anomaly"]
    assert (Path(source.archive).name, source.include) == ("b.zip", ("*.png",))


def test_the_first_of_several_merged_mappings_wins(load_text: Load) -> None:
    loaded = load_text(
        "sources:\n  normal: &a {archive: a.zip, masks: m.zip}\n"
        "  anomaly: {<<: [{archive: b.zip}, *a]}\n"
    )
    source = loaded.pipeline.sources.by_label["anomaly"]
    assert [Path(str(path)).name for path in (source.archive, source.masks)] == ["b.zip", "m.zip"]


def test_a_byte_order_mark_is_no_part_of_the_first_key(
    load_text: Load, problems: Problems, good: str
) -> None:
    assert load_text(b"\xef\xbb\xbf" + good.encode()).pipeline.name == "line-7"
    (found,) = problems(b"\xef\xbb\xbfnmae: x\n" + good.encode())
    assert (found.line, found.column) == (1, 1)


def test_text_that_is_not_utf_8_is_refused_at_the_byte(problems: Problems) -> None:
    (found,) = problems(b"name: x\nproject: \xfcber\n")
    assert (found.line, found.column) == (2, 10)
    assert "UTF-8" in found.message
    (found,) = problems("name: x".encode("utf-16"))
    assert "UTF-8" in found.message


def test_a_file_of_100_mb_is_refused_by_its_size_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(ConfigError, match="too large for a configuration: 100,000,000 bytes"):
        load(path)


def test_a_file_as_large_as_allowed_is_read(load_text: Load, good: str) -> None:
    text = good + "#" * (LARGEST_FILE - len(good))
    assert load_text(text).pipeline.name == "line-7"


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file\n.*lfvpipe init"):
        load(tmp_path / "none.yaml")
    (tmp_path / "other.yaml").write_text("x: 1")
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file\n.*other\.yaml"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="this is not a file"):
        load(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes of this kind")
def test_a_named_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="this is not a file"):
        load(tmp_path / "pipe.yaml")


def test_a_config_error_ends_with_exit_code_3_and_lists_everything(
    problems: Problems, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("nmae: x\nsources: {normal: {archive: 1}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.exit_code == 3
    assert str(caught.value).splitlines() == [
        f'{path}:1:1: unknown key "nmae"',
        "  Did you mean `name`?",
        f"{path}:2:29: sources.normal.archive is 1; text or a list is wanted",
        "  Put it in quotes.",
    ]


def test_a_variable_in_braces_without_quotes_says_to_quote_it(load_text: Load) -> None:
    with pytest.raises(ConfigError, match=r'in quotes: "\$\{env:NAME\}"'):
        load_text("sources:\n  normal: {archive: ${env:ARCHIVE}}\n")
