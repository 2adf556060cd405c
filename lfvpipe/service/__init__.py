"""A Lookout for Vision service of our own: the same wire protocol, our own anomaly detector."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.service import embedded, errors, log, looks
    from lfvpipe.service.keeping import VerdictKeeper
    from lfvpipe.service.quotas import read_quotas
    from lfvpipe.service.regions import RegionalService
    from lfvpipe.service.service import Service
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "embedded": [],
            "errors": [],
            "keeping": ["VerdictKeeper"],
            "log": [],
            "looks": [],
            "quotas": ["read_quotas"],
            "regions": ["RegionalService"],
            "service": ["Service"],
        },
    )

__all__ = [
    "RegionalService",
    "Service",
    "VerdictKeeper",
    "embedded",
    "errors",
    "log",
    "looks",
    "read_quotas",
]
