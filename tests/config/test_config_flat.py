"""A configuration by dotted key: the keys are those that a user could have written."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lfvpipe.config import ConfigError, Loaded, load, schema
from lfvpipe.config.flat import bare_address, flatten

Load = Callable[..., Loaded]

share = st.sampled_from([40, 12.5, {"percent": 50}, {"count": 9}])
division = st.fixed_dictionaries({"train": share, "test": share})
archive = st.fixed_dictionaries(
    {"archive": st.sampled_from(["t.zip", "https://u:p@h/t.zip?x=1"])},
    optional={
        "include": st.just(["*.png"]),
        "label": st.just("normal"),
        "sha256": st.just("a" * 64),
    },
)
images = st.sampled_from(["a.png", "b/*.png"]) | archive
more = {
    "include": st.just("*.png"),
    "exclude": st.just(["b.png"]),
    "encoding": st.just("gbk"),
    "sha256": st.just("b" * 64),
}
source = st.fixed_dictionaries(
    {"archive": st.just("a.zip")}, optional={"masks": st.just("m"), **more}
)
types = st.sampled_from(["folder", {"folder": 2}, {"pattern": "([a-z]+)"}])
defects = st.fixed_dictionaries(
    {"archive": st.sampled_from(["a.zip", ["a.zip", "b/*.zip"]])}, optional={"types": types}
)
words = st.just({"normal": ["ok", "gut"], "anomaly": "ng"})
table_words = st.just({"normal": ["ok", "gut"], "leave-out": ["check"]})
columns = st.just({"path": "Aufnahme", "label": "Befund"})
listed = (
    st.fixed_dictionaries(
        {
            "table": st.fixed_dictionaries(
                {"file": st.just("t.csv")},
                optional={**more, "labels": table_words, "columns": columns},
            )
        }
    )
    | st.fixed_dictionaries(
        {
            "layout": st.fixed_dictionaries(
                {"name": st.just("visa"), "archive": st.just("v.zip")}, optional=more
            )
        }
    )
    | st.fixed_dictionaries(
        {
            "annotations": st.fixed_dictionaries(
                {"format": st.just("coco"), "archive": st.just("v.zip")},
                optional={
                    **more,
                    "file": st.sampled_from(["a.json", ["a.json", "b.json"]]),
                    "unmarked": st.just("normal"),
                    "labels": words,
                },
            )
        }
    )
)
manifest = st.fixed_dictionaries(
    {"train": st.just("t.manifest"), "test": st.just("u.manifest")},
    optional={"images": st.just("i.zip")},
)
from_manifests = {"sources": st.fixed_dictionaries({"manifest": manifest})}
from_archives = {
    "sources": st.fixed_dictionaries(
        {"normal": source, "anomaly": source | defects}, optional={"labels": st.just("r.jsonl")}
    ),
    "sample": st.fixed_dictionaries(
        {"seed": st.just(7)}, optional={"percent": st.just(50), "anomaly": st.just({"count": 3})}
    ),
    "split": st.just({"train": 100})
    | division
    | st.fixed_dictionaries({"normal": division, "anomaly": st.just({"train": 50, "test": 50})})
    | st.sampled_from(
        [{"group": "^(a)"}, {"stable": True}, {"from": {"train": "a*", "test": ["b*", "c.png"]}}]
    ),
}
from_lists = {
    "sources": listed,
    "split": st.sampled_from(
        [
            {"from": "source"},
            {"from": {"train": {"file": "a.txt"}, "test": {"file": "b.txt"}}},
            {"train": 50, "test": 50},
            {},
        ]
    ),
}
rest: dict[str, st.SearchStrategy[Any]] = {
    "images": st.sampled_from([{"resize": "512x256"}, {"convert": "L"}]),
    "bucket": st.fixed_dictionaries(
        {"endpoint": st.just("https://s3.example.org")},
        optional={
            "encryption": st.sampled_from([{"sse": "AES256"}, {"sse": "aws:kms", "key": "k"}]),
            "requester_pays": st.just(True),
        },
    ),
    "model": st.sampled_from([{"effort": "thorough"}, {"description": "d", "output_prefix": "m/"}]),
    "hosting": st.just({"max_inference_units": 3}),
    "evaluate": st.fixed_dictionaries(
        {},
        optional={
            "images": archive | st.lists(images, min_size=1, max_size=4),
            "costs": st.just({"false_accept": 20, "false_reject": 1}),
        },
    ),
    "mlflow": st.just({"tracking_uri": "http://h"}),
    "matrix": st.just({"images.convert": ["L", "RGB"]}),
}
pipelines = (
    st.fixed_dictionaries(from_archives, optional=rest)
    | st.fixed_dictionaries(
        from_manifests, optional={key: rest[key] for key in ("images", "bucket", "hosting")}
    )
    | st.fixed_dictionaries(from_lists)
)


@given(pipelines)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_key_is_one_of_a_pipeline_file(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "p.yaml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        flat = flatten(load(file).pipeline)
    assert json.loads(json.dumps(flat)) == flat
    assert list(flat) == sorted(flat)
    for key, value in flat.items():
        parts = re.findall(r"[^.\[\]]+", key)
        where = [int(part) if part.isdigit() else part for part in parts]
        assert schema.at(where) is not None, key
        written: Any = content
        for part in where:
            step_in = isinstance(written, (dict, list))
            known = step_in and (part in written if isinstance(written, dict) else True)
            written = written[part] if known else None
        if isinstance(written, bool | int | float):
            assert value == written, key
    assert not [key for key in flat if key.startswith(("matrix", "mlflow", "file"))]
    assert not [value for value in flat.values() if "u:p@" in str(value)]


def test_each_key_that_can_stand_alone_is_there_once_it_is_written(load_text: Load) -> None:
    """A key that flatten forgets would be missing in run files, history and compare, unnoticed."""
    alone = []
    for way in schema.all_keys():
        found = schema.at(way)
        if found is None or way[0] in ("include", "matrix", "mlflow") or not found.get("examples"):
            continue
        content: dict[str, Any] = {
            "sources": {"normal": {"archive": "a.zip"}, "anomaly": {"archive": "b.zip"}}
        }
        section = content
        for part in way[:-1]:
            section = section.setdefault(part, {})
        section[way[-1]] = found["examples"][0]
        try:
            flat = flatten(load_text(yaml.safe_dump(content)).pipeline)
        except ConfigError:  # a key that needs another one beside it, or excludes these sources
            continue
        alone.append(way)
        assert [key for key in flat if key.split(".")[0] == way[0] and way[-1] in key], way
    assert len(alone) > 40


def test_an_archive_to_evaluate_has_the_key_of_its_place(load_text: Load, good: str) -> None:
    images = "[a.png, {archive: t.zip, label: anomaly}]"
    flat = flatten(load_text(good + f"evaluate: {{images: {images}}}\n").pipeline)
    assert flat["evaluate.images"] == ["a.png"]
    assert flat["evaluate.images[1].label"] == "anomaly"
    flat = flatten(load_text(good + "evaluate: {images: {archive: t.zip}}\n").pipeline)
    assert str(flat["evaluate.images.archive"]).endswith("/t.zip")


def test_a_division_of_one_label_has_its_own_keys(load_text: Load, good: str) -> None:
    split = "split: {train: 60, test: 40, anomaly: {train: 0, test: 100}}\n"
    flat = flatten(load_text(good + split).pipeline)
    assert flat["split.normal.train.percent"] == 60
    assert flat["split.anomaly.test.percent"] == 100


@pytest.mark.parametrize(
    ("address", "bare"),
    [
        ("https://user:secret@example.org/a.zip?token=1", "https://example.org/a.zip"),
        ("s3://bucket/a.zip", "s3://bucket/a.zip"),
        ("folder/a.zip", "folder/a.zip"),
    ],
)
def test_addresses_lose_their_secrets(address: str, bare: str) -> None:
    assert bare_address(address) == bare
