from collections.abc import Callable

import pytest

from lfvpipe.config import Loaded, Problem

Load = Callable[..., Loaded]
Problems = Callable[..., tuple[Problem, ...]]


CASES = {
    "sample: {percent: 4, count: 4}": (2, 22, "sample has both percent and count"),
    "sample: {normal: {percent: 4, count: 4}}": (2, 31, "sample.normal has both"),
    "split: {train: {percent: 4, count: 4}, test: 2}": (2, 29, "split.train has both"),
    "split: {train: {percent: null}, test: 2}": (2, 9, "split.train does not say how much"),
    "split: {train: 90, test: 20}": (2, 1, "gives away 110 %: 90 to train and 20 to test"),
    "split: {train: {percent: 90}, test: {percent: 20}}": (2, 1, "gives away 110 %"),
    "split: {train: 70}": (2, 9, "does not say what tests"),
    "split: {test: 30}": (2, 1, "split has test but no train"),
    "split: {normal: {train: 90, test: 20}}": (2, 9, "split.normal gives away 110 %"),
    "split: {normal: {train: 100}}": (2, 9, "none of label normal"),
    "split: {train: 100, anomaly: {train: 50, test: 50}}": (2, 1, "none of label normal"),
    "images: {resize: 32x512}": (2, 18, "64 to 4096"),
    "images: {resize: 512x5000}": (2, 18, "64 to 4096"),
    "hosting: {min_inference_units: 3, max_inference_units: 2}": (2, 35, "less than the fewest"),
    "hosting: {max_inference_units: 2, min_inference_units: 3}": (2, 11, "less than the fewest"),
    "name: cache": (2, 1, "cannot be called cache"),
    "name: Service": (2, 1, "cannot be called Service"),
    "name: nul.x": (2, 1, "cannot be called nul.x"),
    'evaluate: {images: ["a\\nb"]}': (2, 21, "invisible character"),
    "model: {description: |\n   abc\n }": (2, 22, "not YAML"),
    "evaluate: {images: {archive: 'ftp://a/b.zip'}}": (2, 30, "ftp:// addresses are not supp"),
    "evaluate: {images: [{archive: 'https:/u:p@a/b.zip'}]}": (2, 31, "one slash is missing"),
    "evaluate: {images: [{archive: 'file:///b.zip'}]}": (2, 31, "file:// addresses"),
    "evaluate: {images: [{archive: 's3://'}]}": (2, 31, "names nothing"),
    "evaluate: {images: [{archive: 'https://[bad/x.zip'}]}": (2, 31, "has no valid host"),
    "evaluate: {images: [{archive: 'https://host:99999/x.zip'}]}": (2, 31, "has no valid host"),
    "evaluate: {images: [{archive: 's3://[bad/x.zip'}]}": (2, 31, "has no valid host"),
    "evaluate: {images: [{archive: 's3://b/x.zip?X-Amz-Signature=f0'}]}": (2, 31, "is signed"),
    "evaluate: {images: [{archive: 'S3://b/x?AWSAccessKeyId=A&Signature=f'}]}": (2, 31, "signed"),
    "evaluate: {images: [{archive: 's3://b/x?versionId=1&signature=f'}]}": (2, 31, "is signed"),
    "evaluate: {images: [{archive: 's3://KEY:word@b/x.zip'}]}": (2, 31, "holds a login"),
    "bucket: {endpoint: 'https://[bad'}": (2, 20, "bucket.endpoint has no valid host"),
    "service: {endpoint: 'http://h:x'}": (2, 21, "service.endpoint has no valid host"),
    "mlflow: {tracking_uri: 'http://[h'}": (2, 24, "mlflow.tracking_uri has no valid host"),
    "bucket: {encryption: {sse: AES256}}": (2, 10, "bucket.encryption is for S3 stores"),
    "bucket: {endpoint: aws, encryption: {sse: AES256, key: k}}": (
        2,
        51,
        "bucket.encryption.key is for aws:kms alone",
    ),
    "bucket: {endpoint: 'https://a:b@h'}": (2, 20, "bucket.endpoint holds a login"),
    "evaluate: {images: [{archive: ~nobody-of-this-name/x}]}": (2, 31, "no such home folder"),
}


@pytest.mark.parametrize("text", CASES)
def test_a_broken_rule_is_told_at_its_place(problems: Problems, good: str, text: str) -> None:
    line, column, message = CASES[text]
    (found,) = problems(good + text + "\n")
    assert (found.line, found.column) == (line, column)
    assert message in found.message
    assert found.hint


def test_a_pattern_does_not_let_a_final_line_break_through(problems: Problems, good: str) -> None:
    (found,) = problems(good + "bucket:\n  name: |\n    abcdef\n")
    assert (found.line, found.column) == (3, 9)
    assert "invisible" in found.message


def test_a_one_sided_split_says_both_ways_out(problems: Problems, good: str) -> None:
    (found,) = problems(good + "split: {train: 70}\n")
    assert "`test: 30`" in found.hint
    assert "`train: 100`" in found.hint


def test_archives_and_manifests_exclude_each_other(problems: Problems) -> None:
    (found,) = problems("sources:\n  normal: {archive: a}\n  manifest: {train: b}\n")
    assert (found.line, found.column) == (2, 3)
    assert "cannot be used together" in found.message


def test_a_class_name_of_a_manifest_stands_for_one_label(problems: Problems) -> None:
    labels = "{normal: [ok, fine], anomaly: ' OK'}"
    (found,) = problems(f"sources:\n  manifest: {{train: b, labels: {labels}}}\n")
    assert "calls ok both normal and anomaly" in found.message


def test_a_split_of_a_label_without_images_says_nothing(load_text: Load) -> None:
    loaded = load_text("sources: {normal: {archive: a}}\nsplit: {normal: {train: 100}}\n")
    assert loaded.pipeline.split.test is None


SOURCES = {
    "{table: {file: a.csv}, layout: {name: visa, archive: b}}": "cannot be used together",
    "{normal: {archive: a}, annotations: {format: coco, archive: b}}": "cannot be used together",
    "{table: {file: 's3://b/a.csv'}}": "does not say where the images are",
    "{layout: {name: mvtec, archive: a}}": "mvtec-ad",
    "{normal: {archive: a, types: folder}}": "good products have no types",
    "{normal: {archive: a}, anomaly: {archive: b, types: {pattern: '('}}}": "no regular expression",
    "{normal: {archive: a, encoding: gbkk}}": "no encoding that is known",
    "{normal: {archive: [a, b], sha256: " + "0" * 64 + "}}": "the digest of one archive",
    "{normal: {archive: []}}": "is an empty list",
    "{anomaly: {archive: a}}": "lacks the key `normal`",
}


@pytest.mark.parametrize("text", SOURCES)
def test_sources_that_contradict_themselves_are_told(problems: Problems, text: str) -> None:
    (found,) = problems(f"sources: {text}\n")
    assert SOURCES[text] in found.message + found.hint


SPLITS = {
    "{from: source}": "archives by label or manifests bring no split",
    "{from: {train: a}}": "split.from lacks the key `test`",
    "{from: {train: a, test: b}, train: 80, test: 20}": "split.from keeps a split as it is",
    "{from: {train: a, test: b}, stable: true}": "split.stable is about shares",
    "{group: '['}": "split.group is no regular expression",
}


@pytest.mark.parametrize("text", SPLITS)
def test_own_splits_that_contradict_themselves_are_told(
    problems: Problems, good: str, text: str
) -> None:
    (found,) = problems(f"{good}split: {text}\n")
    assert SPLITS[text] in found.message + found.hint


@pytest.mark.parametrize(("side", "is_refused"), [(3, True), (15, True), (16, False)])
def test_a_region_of_a_few_pixels_is_refused(
    problems: Problems, load_text: Callable[[str], Loaded], good: str, side: int, is_refused: bool
) -> None:
    text = f"{good}images: {{region: [10, 20, 300, {side}], resize: 64x64}}\n"
    if not is_refused:
        assert load_text(text).pipeline.images.region == (10, 20, 300, side)
        return
    (found,) = problems(text)
    assert f"300 pixels wide and {side} high" in found.message
