from collections.abc import Callable
from pathlib import Path

import pytest

from lfvpipe.config import Problem, schema, validation

Problems = Callable[..., tuple[Problem, ...]]


CASES = {
    "sample: {percent: 40 %}": (2, 19, "text", "Write 40"),
    "evaluate: {decide: {max_escape_rate: 0.5 %}}": (2, 38, "text", "Write 0.005:"),
    "evaluate: {decide: {confidence: 95 %}}": (2, 33, "text", "Write 0.95:"),
    "evaluate: {decide: {max_escape_rate: 1/200}}": (2, 38, "text", "Write 0.005:"),
    "evaluate: {decide: {max_escape_rate: 5.0e-324}}": (2, 38, "at least 0.000001", "0.01"),
    "sample: {percent: '040'}": (2, 19, "a number is wanted", "Write 40"),
    "sample: {percent: 101}": (2, 19, "at most 100", ""),
    "sample: {percent: 0}": (2, 19, "more than 0", ""),
    "sample: {count: 1.5}": (2, 17, "a whole number is wanted", ""),
    "sample: {count: true}": (2, 17, "is true; a whole number is wanted", ""),
    "sample: {normal: {}}": (2, 18, "empty mapping", ""),
    "sample: 40": (2, 9, "sample is 40; a mapping is wanted", "percent"),
    "sample: {normal: 40}": (2, 18, "a mapping is wanted", "percent"),
    "split: {train: all}": (2, 16, "a number or a mapping is wanted", "80"),
    "images: {resize: 512}": (
        2,
        18,
        "text or a mapping is wanted",
        "Write such as 512x512 or {size: 1024x768, fit: contain}.",
    ),
    "images: {resize: {size: 512}}": (2, 25, "is 512; text is wanted", "such as 512x512."),
    "images: {resize: {}}": (2, 10, "lacks the key `size`", ""),
    "images: {region: 3}": (2, 18, "a list is wanted", "[100, 40, 800, 600]"),
    "images: {resize: 512 x 512}": (2, 18, "such as 512x512", ""),
    "images: {depth: 9}": (2, 17, "`auto`, `8`, `10`, `12`, `14` or `16` is wanted", "Choose one"),
    "images: {convert: RBG}": (2, 19, "`RGB` or `L` is wanted", "Did you mean `RGB`?"),
    "images: {convert: 1}": (2, 19, "is 1; `RGB` or `L` is wanted", "Choose"),
    "bucket: {endpoint: ftp://x}": (2, 20, "an http(s):// address", "local"),
    "bucket: {endpoint: 'https://'}": (2, 20, "an http(s):// address", "local"),
    "bucket: {prefix: /a}": (2, 18, "not beginning with a slash", "line-7/"),
    "bucket: {prefix: a/../..}": (2, 18, "no `..`", ""),
    "service: {endpoint: localhost}": (2, 21, "`embedded`", "embedded"),
    "model: {description: a b}": (2, 22, "no spaces", "sample-40"),
    "model: {description: 1.0}": (2, 22, "is 1.0; text is wanted", "quotes"),
    "model: {output_prefix: ../x}": (2, 24, "no `..`", "DAGM"),
    "hosting: {keep_running: yes}": (2, 25, "true or false is wanted", "Write true."),
    "hosting: {keep_running: Off}": (2, 25, "true or false is wanted", "Write false."),
    "hosting: {min_inference_units: 0}": (2, 32, "at least 1", ""),
    "evaluate: {review_below: 0.4}": (2, 26, "at least 0.5", ""),
    "evaluate: {costs: {false_accept: 2}}": (2, 12, "lacks the key `false_reject`", "Add"),
    "evaluate: {costs: {false_accept: 0, false_reject: 1}}": (2, 34, "at least 0.000001", ""),
    "evaluate: {decide: {max_escape_rate: 0.5%}}": (2, 38, "the text", "Write 0.005:"),
    "evaluate: {decide: {max_escape_rate: '0.01'}}": (2, 38, "the text", "Write 0.01:"),
    "evaluate: {decide: {max_escape_rate: 1/0}}": (2, 38, "the text", "For example: 0.01"),
    "evaluate: {decide: {max_escape_rate: 1.0e-300}}": (2, 38, "at least 0.000001", "0.01"),
    "evaluate: {decide: {threshold: 1.0e-300}}": (2, 32, "at least 0.000001", "0.31"),
    "evaluate: {decide: {threshold: 1.0}}": (2, 32, "at most 0.999999", "0.31"),
    "evaluate: {to_person: {above: 0.5, below: 0.5}}": (2, 12, "no score", "`below` the larger"),
    "sample: {percent: 50%}": (2, 19, "the text", "Write 50:"),
    "evaluate: {images: [{include: x}]}": (2, 21, "evaluate.images[0] lacks the key `arch", ""),
    "evaluate: {images: [{archive: x, label: bad}]}": (2, 41, "`normal` or `anomaly`", ""),
    "evaluate: {images: [x, 3]}": (2, 24, "evaluate.images[1] is 3", "quotes"),
    "evaluate: {images: [null]}": (2, 21, "evaluate.images[0] is empty", ""),
    "matrix: {sample.percent: 10}": (2, 26, "a list is wanted", "[10]"),
    "matrix: {sample.percent: []}": (2, 26, "empty list", ""),
    "region: US East": (2, 9, "lower-case", "us-east-1"),
    "name: a/b": (2, 7, "letters, digits", "dagm"),
    "name: a.": (2, 7, "not ending with a dot", ""),
    "project: -a": (2, 10, "beginning with a letter", ""),
    f"project: {'a' * 256}": (2, 10, "longer than 255", ""),
}


TYPES = {
    "{folder, pattern}": "has `folder` and `pattern`; one of them is wanted",
    "{folder: 1, pattern: x}": "has `folder` and `pattern`; one of them is wanted",
    "{}": "is an empty mapping",
    "{folder}": "says neither `folder` nor `pattern`",
    "3": "is 3; text or a mapping is wanted",
    "pattern": "wanted: folder, {folder: 1} or {pattern",
}


@pytest.mark.parametrize("text", TYPES)
def test_types_that_are_mistaken_are_told_in_the_words_of_the_file(
    problems: Problems, text: str
) -> None:
    (found,) = problems(
        f"sources: {{normal: {{archive: a.zip}}, anomaly: {{archive: b.zip, types: {text}}}}}\n"
    )
    assert TYPES[text] in found.message
    assert "'" not in found.message + found.hint  # no dictionary of Python
    assert "pattern" in found.message + found.hint


def test_each_word_of_the_schema_that_refuses_has_its_explanation() -> None:
    silent = {"$schema", "$defs", "$ref", "if", "else", "anyOf", "properties", "items"}
    words = {"title", "description", "default", "examples", "patternErrorMessage"}
    told = {"additionalProperties", "required", *validation._KEYWORDS}
    assert keywords(schema.load_schema("pipeline")) - silent - words <= told


def keywords(part: object, *, of_properties: bool = False) -> set[str]:
    found: set[str] = set()
    if isinstance(part, dict):
        found = set() if of_properties else set(part)
        for key, value in part.items():
            if of_properties or key not in ("default", "examples", "enum"):
                named = not of_properties and key in ("properties", "$defs")
                found |= keywords(value, of_properties=named)
    elif isinstance(part, list):
        found = set().union(*map(keywords, part))
    return found


@pytest.mark.parametrize("text", CASES)
def test_a_wrong_value_is_told_at_its_place(problems: Problems, good: str, text: str) -> None:
    line, column, message, hint = CASES[text]
    (found,) = problems(good + text + "\n")
    assert (found.line, found.column) == (line, column)
    assert message in found.message
    assert hint in found.hint


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 64, "Abc", "a_b", "-ab", "ab-", "a..b", "192.168.5.4", "xn--abc", "abc-s3alias"],
)
def test_a_bucket_is_called_by_the_rules_of_s3(problems: Problems, good: str, name: str) -> None:
    (found,) = problems(good + f"bucket: {{name: {name}}}\n")
    assert (found.line, found.column) == (2, 16)
    assert "3 to 63 lower-case" in found.message


UNKNOWN = {
    "nmae: x": (2, 1, 'unknown key "nmae"', "Did you mean `name`?"),
    "Name: x": (2, 1, 'unknown key "Name"', "Did you mean `name`?"),
    "percent: 40": (2, 1, 'unknown key "percent"', "It belongs elsewhere: `sample.percent`"),
    "keep_running: true": (2, 1, 'unknown key "keep_running"', "`hosting.keep_running`"),
    "model: {endpoint: x}": (2, 9, 'unknown key "endpoint" in model', "`service.endpoint`"),
    "zebra: null": (2, 1, 'unknown key "zebra"', "Known here: `include`, `name`"),
    "evaluate: {images: [{archive: x, lable: normal}]}": (2, 34, "evaluate.images.0", "`label`"),
    "split: {train: {percnt: 40}}": (2, 17, "in split.train", "`percent`"),
    "matrix: {sample.percnt: [1]}": (2, 10, 'unknown key "percnt" in sample', "`percent`"),
}


@pytest.mark.parametrize("text", UNKNOWN)
def test_an_unknown_key_comes_with_what_may_be_meant(
    problems: Problems, good: str, text: str
) -> None:
    line, column, message, hint = UNKNOWN[text]
    (found,) = problems(good + text + "\n")
    assert (found.line, found.column) == (line, column)
    assert message in found.message
    assert hint in found.hint


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    found = problems(
        "nmae: x\nsources:\n  normal:\n    archve: a.zip\n    sha256: 12\n"
        "sample: {percent: lots, seed: -1}\nsplit: {train: 90, test: 20}\n"
        "hosting: {min_inference_units: 4, max_inference_units: 2}\n"
        "evaluate: {images: ['${env:NONE}']}\n"
    )
    assert [(each.line, each.column) for each in found] == [
        (1, 1),
        (3, 3),
        (4, 5),
        (5, 13),
        (6, 19),
        (6, 31),
        (7, 1),
        (8, 35),
        (9, 21),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("name: x\n", 1, 1, "the file lacks the key `sources`"),
        ("sources:\n", 1, 9, "sources is empty; a mapping is wanted"),
        ("name: x\nsources: {}\n", 2, 1, "sources lacks the key `normal`"),
        ("sources: {normal: null}\n", 1, 1, "sources lacks normal images"),
        ("sources: {normal: {archive: null}}\n", 1, 29, "is empty; text or a list is wanted"),
        ("sources: {normal: {archive: ''}}\n", 1, 29, "is an empty text"),
        ("sources: {normal: a.zip}\n", 1, 19, 'is the text "a.zip"; a mapping is wanted'),
        ("sources: {manifest: {test: a}}\n", 1, 11, "lacks the key `train`"),
        ("sources: {anomaly: {archive: a}}\n", 1, 1, "sources lacks the key `normal`"),
    ],
)
def test_sources_are_needed(
    problems: Problems, text: str, line: int, column: int, message: str
) -> None:
    (found,) = problems(text)
    assert (found.line, found.column) == (line, column)
    assert message in found.message
    assert Path(found.file).name == "line-7.yaml"
    assert found.hint
