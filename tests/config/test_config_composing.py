from collections.abc import Callable
from pathlib import Path

import pytest

from lfvpipe.config import ConfigError, Loaded, Problem, load
from lfvpipe.config.tree import plain

Load = Callable[..., Loaded]
Problems = Callable[..., tuple[Problem, ...]]


def test_a_variable_is_put_into_text(load_text: Load, good: str) -> None:
    env = {"LINE": "7", "EMPTY": ""}
    text = good + (
        "name: line-${env:LINE}-${env:SHIFT:-early}${env:EMPTY}\n"
        "evaluate: {images: ['$${env:LINE}', '${env:EMPTY:-x}', '${HOME}']}\n"
    )
    pipeline = load_text(text, env=env).pipeline
    assert pipeline.name == "line-7-early"
    assert pipeline.evaluate.images == ("${env:LINE}", "x", "${HOME}")


def test_a_variable_becomes_a_number_only_where_the_schema_wants_one(
    load_text: Load, good: str
) -> None:
    text = good + (
        "sample: {percent: '${env:PERCENT}'}\nmodel: {description: '${env:COMMIT}'}\n"
        "hosting: {keep_running: '${env:KEEP}'}\nmatrix: {sample.seed: ['${env:SEED}', 2]}\n"
    )
    env = {"PERCENT": "40", "COMMIT": "1234567", "KEEP": "true", "SEED": "9"}
    loaded = load_text(text, env=env)
    assert loaded.pipeline.sample.shares["normal"].percent == 40
    assert loaded.pipeline.model.description == "1234567"
    assert loaded.pipeline.hosting.keep_running is True
    assert loaded.pipeline.matrix == {"sample.seed": (9, 2)}


def test_a_value_of_a_variable_is_not_searched_for_variables(load_text: Load, good: str) -> None:
    text = good + "evaluate: {images: ['${env:A}']}\n"
    loaded = load_text(text, env={"A": "${env:B}", "B": "no"})
    assert loaded.pipeline.evaluate.images == ("${env:B}",)


def test_an_unset_variable_is_one_error_at_its_place(problems: Problems, good: str) -> None:
    (found,) = problems(good + "sample:\n  percent: ${env:PERCENT}\n")
    assert (found.line, found.column) == (3, 12)
    assert found.message == "the environment variable PERCENT is not set"
    assert "${env:PERCENT:-…}" in found.hint


@pytest.mark.parametrize("text", ["${env:A", "${env:}", "${env:1A}", "${env:A-b}"])
def test_a_broken_variable_is_an_error(problems: Problems, good: str, text: str) -> None:
    (found,) = problems(good + f"name: '{text}'\n")
    assert "does not name a variable" in found.message


def test_a_base_is_merged_beneath(load_text: Load, good: str) -> None:
    base = good + "sample: {percent: 10, seed: 4}\nevaluate: {images: [a, b]}\nname: base\n"
    over = "include: base.yaml\nsample: {percent: 40}\nevaluate: {images: [c]}\n"
    loaded = load_text(over, base=base)
    assert loaded.pipeline.sample.shares["normal"].percent == 40
    assert loaded.pipeline.sample.seed == 4
    assert loaded.pipeline.evaluate.images == ("c",)
    assert loaded.pipeline.name == "base"
    assert "include" not in loaded.data


def test_a_later_base_lies_over_an_earlier_one(load_text: Load, good: str) -> None:
    loaded = load_text(
        "include: [one.yaml, two.yaml]\n",
        one=good + "region: one\nproject: one\n",
        two="region: two\n",
    )
    assert (loaded.pipeline.region, loaded.pipeline.project) == ("two", "one")


def test_an_empty_value_takes_a_bases_away(load_text: Load, good: str) -> None:
    loaded = load_text(
        "include: base.yaml\nsample: {count: null, percent: 40}\nhosting:\n",
        base=good + "sample: {count: 9}\nhosting: {keep_running: true}\n",
    )
    assert loaded.pipeline.sample.shares["anomaly"].count is None
    assert loaded.pipeline.hosting.keep_running is False


def test_an_error_in_a_base_is_told_at_the_base(problems: Problems, good: str) -> None:
    (found,) = problems("include: base.yaml\n", base=good + "sample: {percent: 400}\n")
    assert (Path(found.file).name, found.line, found.column) == ("base.yaml", 2, 19)


def test_bases_that_go_round_in_circles_are_told(problems: Problems, good: str) -> None:
    found = problems(good + "include: one.yaml\n", one="include: two.yaml", two="include: one.yaml")
    assert "one.yaml includes itself" in found[0].message
    assert (Path(found[0].file).name, found[0].line, found[0].column) == ("two.yaml", 1, 10)


def test_bases_cannot_be_endlessly_deep_or_many(problems: Problems, good: str) -> None:
    deep = {f"b{i}": f"include: b{i + 1}.yaml\n" for i in range(12)}
    assert "files deep" in problems(good + "include: b0.yaml\n", **deep)[0].message
    wide = {f"b{i}": f"include: [{', '.join([f'b{i + 1}.yaml'] * 9)}]\n" for i in range(5)}
    found = problems(good + "include: b0.yaml\n", **wide, b5="region: x\n")
    assert any("more than 32 includes" in each.message for each in found)


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ("none.yaml", "the included file none.yaml is not there"),
        ("https://example.org/a.yaml", "only local files can be included"),
        ("7", "a file name is wanted"),
        ("{a: b}", "a file name is wanted"),
        ("''", "a file name is wanted"),
        ('"a\\0b"', "cannot be included"),
    ],
)
def test_an_include_that_cannot_be_is_told(
    problems: Problems, good: str, include: str, message: str
) -> None:
    (found,) = problems(good + f"include: {include}\n")
    assert (found.line, found.column) == (2, 10)
    assert message in found.message


def test_paths_are_relative_to_the_file_that_says_them(tmp_path: Path, load_text: Load) -> None:
    (tmp_path / "bases").mkdir()
    base = "sources: {normal: {archive: ../good.zip, masks: m.zip}, anomaly: {archive: x.zip}}"
    (tmp_path / "bases" / "base.yaml").write_text(base, encoding="utf-8")
    loaded = load_text("include: bases/base.yaml\nsources: {anomaly: {archive: bad.zip}}\n")
    labels = loaded.pipeline.sources.by_label
    assert Path(labels["normal"].archive) == tmp_path / "good.zip"
    assert Path(str(labels["normal"].masks)) == tmp_path / "bases" / "m.zip"
    assert Path(labels["anomaly"].archive) == tmp_path / "bad.zip"


def test_an_override_lies_over_the_file(load_text: Load, good: str) -> None:
    loaded = load_text(
        good + "sample: {percent: 40, seed: 3}\nsplit: {train: 70, test: 30}\n",
        "sample.percent=100",
        "split.train={count: 200}",
        "model.description=40",
        "evaluate.images=[a, 2]",
        "sources.normal.include=**/*.png",
        "hosting.keep_running=true",
    )
    pipeline = loaded.pipeline
    assert pipeline.sample.shares["normal"].percent == 100
    assert pipeline.sample.seed == 3
    assert pipeline.split.train["normal"].count == 200
    assert pipeline.model.description == "40"
    assert pipeline.evaluate.images == ("a", "2")
    assert pipeline.sources.by_label["normal"].include == ("**/*.png",)
    assert pipeline.hosting.keep_running is True


@pytest.mark.parametrize(
    ("argument", "message", "hint"),
    [
        ("sampel.percent=40", 'unknown key "sampel"', "Did you mean `sample`?"),
        ("sample.per=40", 'unknown key "per" in sample', "Did you mean `percent`?"),
        ("percent=40", 'unknown key "percent"', "`sample.percent`"),
        ("sample.percent=400", "sample.percent is 400; it must be at most 100", "40"),
        ("sample.percent", "this is not key=value", "--set"),
        ("=4", "this is not key=value", "--set"),
        ("sample..percent=4", "this is not key=value", "--set"),
        ("include=x.yaml", "include cannot be set here", "file"),
        ("name=[a", "this is not YAML", "brackets"),
        ("matrix.sample.per=[1]", 'unknown key "per" in sample', "`percent`"),
        ("sample.count=4", "sample has both percent and count", "null"),
        ("evaluate.decide=", "a value is empty", "null for what is the default"),
        ("sample.percent= ", "a value is empty", "a variable of the shell not set?"),
        ("bucket.prefix=", "a value is empty", "for text without a letter"),
        ("model.description=#3 of May", "a value is empty", "quotes in quotes"),
        ("split={train: , test: 20}", "a value is empty", "null"),
    ],
)
def test_a_wrong_override_is_told_by_its_argument(
    problems: Problems, good: str, argument: str, message: str, hint: str
) -> None:
    (found,) = problems(good + "sample: {percent: 40}\n", argument)
    assert found.file == f"--set {argument}"
    assert (found.line, found.column) == (0, 0)
    assert message in found.message
    assert hint in found.hint
    assert str(found).startswith(f"--set {argument}: {found.message}")


def test_an_empty_variable_is_no_number(problems: Problems, good: str) -> None:
    text = good + "sample: {percent: '${env:PERCENT}'}\n"
    (found,) = problems(text, env={"PERCENT": ""})
    assert "sample.percent" in found.message
    assert "number" in found.message


def test_empty_text_of_an_override_is_in_quotes(load_text: Load, good: str) -> None:
    loaded = load_text(good + "bucket: {prefix: there}\n", 'bucket.prefix=""')
    assert loaded.pipeline.bucket.prefix == ""


def test_where_a_key_is_set_is_known(load_text: Load, good: str) -> None:
    keys = ("evaluate.decide", "evaluate.costs")
    bare = load_text(good + "evaluate: {decide: null}\n")
    assert bare.where_set(*keys) == ""
    in_file = load_text(good + "evaluate: {costs: {false_accept: 2, false_reject: 1}}\n")
    assert in_file.where_set(*keys).endswith(".yaml")
    part = load_text(
        good + "evaluate: {decide: {costs: {false_accept: 2, false_reject: 1}}}\n",
        "evaluate.decide.costs.false_accept=3",
    )
    assert part.where_set(*keys) == "--set evaluate.decide.costs.false_accept=3"
    beside = load_text(good, "evaluate.review_below=0.8")
    assert beside.where_set(*keys) == ""
    text = good + "matrix: {evaluate.decide.threshold: [0.3, 0.4]}\n"
    assert load_text(text).where_set(*keys).endswith(".yaml")


def test_an_override_can_take_a_key_away(load_text: Load, good: str) -> None:
    loaded = load_text(good + "sample: {count: 9}\n", "sample.count=null", "sample.percent=5")
    assert loaded.pipeline.sample.shares["normal"].percent == 5


@pytest.mark.parametrize("key", ["sample", "split", "images", "hosting", "bucket", "evaluate"])
def test_an_empty_mapping_takes_away_what_it_is_laid_over(
    tmp_path: Path, load_text: Load, good: str, key: str
) -> None:
    filled = {
        "sample": "{percent: 40, seed: 3}",
        "split": "{train: 70, test: 30}",
        "images": "{resize: 64x64}",
        "hosting": "{min_inference_units: 2}",
        "bucket": "{prefix: there}",
        "evaluate": "{review_below: 0.9, decide: {threshold: 0.3}}",
    }
    text = good + f"{key}: {filled[key]}\n"
    bare = load_text(good).pipeline
    assert load_text(text).pipeline != bare
    assert load_text(text, f"{key}={{}}").pipeline == bare
    (tmp_path / "base.yaml").write_text(text, encoding="utf-8")
    assert load_text(f"include: base.yaml\n{key}: {{}}\n").pipeline == bare
    assert load_text("include: base.yaml\n").pipeline == load_text(text).pipeline


def test_an_empty_decision_is_none(load_text: Load, problems: Problems, good: str) -> None:
    text = good + "evaluate: {decide: {threshold: 0.3}}\n"
    (found,) = problems(text, "evaluate.decide={}")
    assert "evaluate.decide does not say by what" in found.message
    assert load_text(text, "evaluate.decide=best-f1").pipeline.evaluate.decide is None


def test_an_override_pins_a_key_of_the_matrix(load_text: Load, good: str) -> None:
    text = good + "matrix: {sample.percent: [10, 40], sample.seed: [1, 2]}\n"
    loaded = load_text(text, "sample.percent=25")
    assert loaded.pipeline.matrix == {"sample.seed": (1, 2)}
    assert loaded.pipeline.sample.shares["normal"].percent == 25
    assert load_text(text, "matrix.sample.seed=[3]").pipeline.matrix["sample.seed"] == (3,)
    assert load_text(text, "matrix=null").pipeline.matrix == {}


def test_order_and_comments_change_neither_digest_nor_pipeline(load_text: Load, good: str) -> None:
    one = load_text(good + "region: eu-west-1\nsample: {seed: 2, percent: 4}\n")
    two = load_text("# new\nsample:\n  percent: 4\n  seed: 2\nregion: eu-west-1\n" + good)
    assert (one.digest, one.pipeline) == (two.digest, two.pipeline)
    assert load_text(good + "region: eu-west-2\n").digest != one.digest


def test_what_was_found_valid_is_not_gone_through_again(
    tmp_path: Path, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "line-7.yaml"
    path.write_text(good, encoding="utf-8")
    first = load(path)

    def fail(tree: object) -> None:
        raise AssertionError("validated again")

    monkeypatch.setattr("lfvpipe.config.validation.validate", fail)
    again = load(path, is_known_valid=lambda digest: digest == first.digest)
    assert again == first
    assert plain(again.tree) == first.data
    with pytest.raises(AssertionError):
        load(path, is_known_valid=lambda digest: False)


def test_what_is_known_to_be_valid_does_not_excuse_an_unset_variable(
    tmp_path: Path, good: str
) -> None:
    path = tmp_path / "line-7.yaml"
    path.write_text(good + "name: '${env:NONE}'\nregion: 7\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, env={}, is_known_valid=lambda digest: True)
    assert [problem.line for problem in caught.value.problems] == [2, 3]
