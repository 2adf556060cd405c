"""`lfvpipe detect --out`: any number of images judged, by partitions that are done once."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.cli.bulk.elsewhere import Address, Elsewhere
    from lfvpipe.cli.bulk.judging import BulkOptions, judge_all
    from lfvpipe.cli.bulk.places import (
        PipelineBuckets,
        Place,
        PlacedMaps,
        bucket_by_environment,
        is_s3,
        open_place,
    )
    from lfvpipe.cli.bulk.sources import open_source
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "elsewhere": ["Address", "Elsewhere"],
            "judging": ["BulkOptions", "judge_all"],
            "places": [
                "PipelineBuckets",
                "Place",
                "PlacedMaps",
                "bucket_by_environment",
                "is_s3",
                "open_place",
            ],
            "sources": ["open_source"],
        },
    )

__all__ = [
    "Address",
    "BulkOptions",
    "Elsewhere",
    "PipelineBuckets",
    "Place",
    "PlacedMaps",
    "bucket_by_environment",
    "is_s3",
    "judge_all",
    "open_place",
    "open_source",
]
