"""Pipelines without a file, for tests that need no configuration to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.config.spec import (
    LABELS,
    Bucket,
    Evaluate,
    Hosting,
    Images,
    Model,
    Pipeline,
    Sample,
    Service,
    Share,
    Source,
    Sources,
    Split,
)

if TYPE_CHECKING:
    from pathlib import Path


def whole_pipeline(folder: Path) -> Pipeline:
    """Return a pipeline with archives a.zip and a_def.zip, all of them, 80 to 20."""
    return Pipeline(
        file=folder / "pipeline.yaml",
        name="pipeline",
        project="project",
        region="us-east-1",
        sources=Sources(
            {
                "normal": Source(str(folder / "a.zip")),
                "anomaly": Source(str(folder / "a_def.zip")),
            }
        ),
        sample=Sample({label: Share(percent=100) for label in LABELS}),
        split=Split(
            {label: Share(percent=80) for label in LABELS},
            {label: Share(percent=20) for label in LABELS},
        ),
        images=Images(),
        bucket=Bucket("bucket"),
        service=Service(),
        model=Model(),
        hosting=Hosting(),
        evaluate=Evaluate(),
        matrix={},
    )
