"""Whatever a file says, the answer is a pipeline or a list of problems."""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfvpipe.config import ConfigError, load, schema
from lfvpipe.config.matrix import expand
from lfvpipe.config.spec import Pipeline
from tests.mutations import MUTATIONS

GOOD = {
    "name": "fuzz",
    "project": "p",
    "region": "us-east-1",
    "sources": {
        "normal": {"archive": "good.zip", "sha256": "ab" * 32, "include": ["*.png"]},
        "anomaly": {"archive": "https://h/bad.zip", "masks": "m"},
    },
    "sample": {"percent": 40, "seed": 1, "anomaly": {"count": 4}},
    "split": {"train": 80, "test": {"count": 4}, "normal": {"train": 60, "test": 40}},
    "images": {"resize": "512x512", "convert": None},
    "bucket": {"name": "bucket", "endpoint": "local", "prefix": "a/"},
    "service": {"endpoint": "embedded"},
    "model": {"output_prefix": "m/", "description": "${env:A:-d}"},
    "hosting": {"min_inference_units": 1, "max_inference_units": 2, "keep_running": False},
    "evaluate": {
        "images": ["a.png", {"archive": "t.zip", "include": ["*"], "label": "normal"}],
        "unused": {"per_label": 3},
        "review_below": 0.8,
        "costs": {"false_accept": 20, "false_reject": 1},
    },
    "matrix": {"sample.percent": [10, 40], "images.resize": [None, "64x64"]},
}
TEXT = yaml.safe_dump(GOOD)
WORDS = sorted({key for where in schema.all_keys() for key in where})

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*WORDS, "${env:A}", "${env:", "$${env:A}", "s3://", "~x", "0", "1e400", ""])
)
keys = st.sampled_from([*WORDS, "include", "sample.percent", "split"]) | st.text(max_size=5)
values = st.recursive(
    scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(keys, below, max_size=3)
)
quick = settings(
    max_examples=max(150, MUTATIONS * 3 // 10),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


def answer(text: bytes, *overrides: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "p.yaml"
        file.write_bytes(text)
        try:
            loaded = load(file, overrides=overrides, env={"A": "a"})
        except ConfigError as error:
            wrong = error
        else:
            assert isinstance(loaded.pipeline, Pipeline)
            assert expand(loaded)
            again = load(file, overrides=overrides, env={"A": "a"}, is_known_valid=lambda _: True)
            assert again == loaded
            return
    assert wrong.problems
    assert str(wrong)
    assert all(each.message for each in wrong.problems)


def _places(value: object, where: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    if isinstance(value, dict):
        found = [_places(below, (*where, key)) for key, below in value.items()]
    elif isinstance(value, list):
        found = [_places(below, (*where, index)) for index, below in enumerate(value)]
    else:
        return [where]
    return [where, *(place for below in found for place in below)]


@quick
@given(st.sampled_from(_places(GOOD)[1:]), values, st.none() | keys)
def test_any_value_anywhere(where: tuple[Any, ...], value: object, renamed: str | None) -> None:
    document = yaml.safe_load(TEXT)
    inner: Any = document
    for part in where[:-1]:
        inner = inner[part]
    if isinstance(inner, dict) and renamed is not None:
        inner[renamed] = value
    else:
        inner[where[-1]] = value
    answer(yaml.dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"))


@quick
@given(st.integers(0, len(TEXT)), st.integers(0, 12), st.binary(max_size=6))
def test_any_bytes_anywhere(start: int, length: int, put: bytes) -> None:
    data = TEXT.encode()
    answer(data[:start] + put + data[start + length :])


@quick
@given(
    st.integers(0, len(TEXT)),
    st.text(alphabet="{}[]&*!|>'\"%@`#:-?,~<\t\n $a1.", min_size=1, max_size=8),
)
def test_any_yaml_signs_anywhere(start: int, put: str) -> None:
    answer((TEXT[:start] + put + TEXT[start:]).encode())


@quick
@given(
    st.sampled_from([".".join(where) for where in schema.all_keys()]) | st.text(max_size=12),
    st.text(max_size=12) | values.map(lambda value: yaml.safe_dump(value, default_flow_style=True)),
)
def test_any_override(key: str, value: object) -> None:
    answer(TEXT.encode(), f"{key}={value}")


@quick
@given(values)
def test_any_document(value: object) -> None:
    answer(yaml.dump(value, allow_unicode=True).encode("utf-8", "surrogatepass"))
