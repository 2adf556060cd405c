"""Lines of manifests with damage of all kinds: read, or a LineError that says why.

More with ``LFVPIPE_MUTATIONS=20000``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lfvpipe.manifest import (
    LineError,
    exported_entry,
    read_evaluation_line,
    read_line,
    service_entry,
    training_content,
    write_line,
)
from tests.mutations import MUTATIONS, corpus, mutate, mutate_json

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = {
    "source-ref": "s3://bucket/ü.png",
    "anomaly-label": 1,
    "anomaly-label-metadata": {
        "class-name": "anomaly",
        "confidence": 0.9,
        "type": "groundtruth/image-classification",
        "job-name": "job",
        "human-annotated": "yes",
        "creation-date": "2020-11-20T02:17:09.600",
    },
    "anomaly-mask-ref": "s3://bucket/mask.png",
    "anomaly-mask-ref-metadata": {
        "internal-color-map": {
            "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0},
            "1": {"class-name": "scratch", "hex-color": "#2ca02c", "confidence": 0.5},
        },
        "type": "groundtruth/semantic-segmentation",
        "creation-date": "2020-11-20T02:17:09.600Z",
    },
    "anomaly-label-detected": 1,
    "anomaly-label-detected-metadata": {
        "class-name": "anomaly",
        "confidence": 0.7,
        "model-arn": "arn:aws:lookoutvision:us-east-1:1:model/p/2",
        "project-name": "p",
        "model-name": "2",
        "creation-date": "2020-11-20T02:17:09.600",
    },
}


def lines() -> Iterator[bytes]:
    """Yield lines: what once failed, members changed, bytes changed."""
    yield from corpus("manifests")
    yield from (json.dumps(each).encode() for each in mutate_json(WHOLE, MUTATIONS))
    yield from mutate([json.dumps(WHOLE).encode()], MUTATIONS // 2, texts=True)


@pytest.mark.parametrize("who", ["line", "training", "evaluation", "service", "exported"])
def test_damaged_lines_are_read_or_told(who: str) -> None:
    refused = 0
    for data in lines():
        text = data.decode("utf-8", "replace")
        try:
            match who:
                case "line":
                    line = read_line(data)
                    assert not line.image or write_line(line)
                case "training":
                    training_content(text)
                case "evaluation":
                    read_evaluation_line(data)
                case "service":
                    service_entry(text, longest=8192)
                case _:
                    exported_entry(data)
        except LineError:
            refused += 1
    assert refused
