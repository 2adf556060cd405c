"""The Lookout for Vision API: client, descriptions, waiters, statuses, rules."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.lookout.api import DatasetType, LookoutClient
    from lfvpipe.lookout.client import connect
    from lfvpipe.lookout.descriptions import (
        Description,
        describe_dataset,
        describe_model,
        describe_project,
        timestamp,
    )
    from lfvpipe.lookout.failures import (
        LookoutError,
        MissingCredentials,
        NotTheService,
        ServiceUnreachable,
        explained,
    )
    from lfvpipe.lookout.waiters import (
        wait_for_dataset,
        wait_for_dataset_deletion,
        wait_for_hosting,
        wait_for_model,
        wait_for_model_deletion,
    )
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "api": ["DatasetType", "LookoutClient"],
            "client": ["connect"],
            "descriptions": [
                "Description",
                "describe_dataset",
                "describe_model",
                "describe_project",
                "timestamp",
            ],
            "failures": [
                "LookoutError",
                "MissingCredentials",
                "NotTheService",
                "ServiceUnreachable",
                "explained",
            ],
            "waiters": [
                "wait_for_dataset",
                "wait_for_dataset_deletion",
                "wait_for_hosting",
                "wait_for_model",
                "wait_for_model_deletion",
            ],
        },
    )

__all__ = [
    "DatasetType",
    "Description",
    "LookoutClient",
    "LookoutError",
    "MissingCredentials",
    "NotTheService",
    "ServiceUnreachable",
    "connect",
    "describe_dataset",
    "describe_model",
    "describe_project",
    "explained",
    "timestamp",
    "wait_for_dataset",
    "wait_for_dataset_deletion",
    "wait_for_hosting",
    "wait_for_model",
    "wait_for_model_deletion",
]
