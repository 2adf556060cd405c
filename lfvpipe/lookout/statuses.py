"""What a dataset, a model version and a packaging job may be, in the API's words.

Source: the enums DatasetStatus, ModelStatus and ModelPackagingJobStatus of the service model
(2020-11-20). A member equals its text, so what a client received can be compared as it is, and
a status that a later service invents is simply in none of the sets.
"""

from enum import StrEnum
from typing import Final


class DatasetStatus(StrEnum):
    """Where the creation, an update or the deletion of a dataset stands."""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    CREATE_COMPLETE = "CREATE_COMPLETE"
    CREATE_FAILED = "CREATE_FAILED"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    UPDATE_COMPLETE = "UPDATE_COMPLETE"
    UPDATE_FAILED_ROLLBACK_IN_PROGRESS = "UPDATE_FAILED_ROLLBACK_IN_PROGRESS"
    UPDATE_FAILED_ROLLBACK_COMPLETE = "UPDATE_FAILED_ROLLBACK_COMPLETE"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETE_COMPLETE = "DELETE_COMPLETE"
    DELETE_FAILED = "DELETE_FAILED"


class ModelStatus(StrEnum):
    """Where a model version stands, from its training over its hosting to its end."""

    TRAINING = "TRAINING"
    TRAINED = "TRAINED"
    TRAINING_FAILED = "TRAINING_FAILED"
    STARTING_HOSTING = "STARTING_HOSTING"
    HOSTED = "HOSTED"
    HOSTING_FAILED = "HOSTING_FAILED"
    STOPPING_HOSTING = "STOPPING_HOSTING"
    SYSTEM_UPDATING = "SYSTEM_UPDATING"
    DELETING = "DELETING"


class PackagingJobStatus(StrEnum):
    """Where a model packaging job stands."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


DATASET_BUSY: Final = frozenset(
    {
        DatasetStatus.CREATE_IN_PROGRESS,
        DatasetStatus.UPDATE_IN_PROGRESS,
        DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
    }
)
"""A creation or an update is under way: wait, and change nothing meanwhile."""

DATASET_COMPLETE: Final = frozenset({DatasetStatus.CREATE_COMPLETE, DatasetStatus.UPDATE_COMPLETE})
"""What was asked for last was done."""

DATASET_USABLE: Final = DATASET_COMPLETE | {DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE}
"""There are entries to train on: those asked for last, or those from before a failed update."""

DATASET_GOING: Final = frozenset(
    {
        DatasetStatus.DELETE_IN_PROGRESS,
        DatasetStatus.DELETE_COMPLETE,
        DatasetStatus.DELETE_FAILED,
    }
)
"""The deletion of the dataset was asked for; until it is gone none of its type can be created."""

MODEL_TRAINED: Final = frozenset(
    {
        ModelStatus.TRAINED,
        ModelStatus.STARTING_HOSTING,
        ModelStatus.HOSTED,
        ModelStatus.HOSTING_FAILED,
        ModelStatus.STOPPING_HOSTING,
    }
)
"""A model reaches these only once its training succeeded."""

MODEL_HOSTING: Final = frozenset(
    {
        ModelStatus.STARTING_HOSTING,
        ModelStatus.HOSTED,
        ModelStatus.STOPPING_HOSTING,
        ModelStatus.SYSTEM_UPDATING,
    }
)
"""Hosting takes up inference units, so the model cannot be deleted."""

MODEL_STARTABLE: Final = frozenset({ModelStatus.TRAINED, ModelStatus.HOSTING_FAILED})
"""StartModel may be called."""

MODEL_STOPPABLE: Final = frozenset({ModelStatus.STARTING_HOSTING, ModelStatus.HOSTED})
"""StopModel may be called: our service can also be told to stop a model that is starting."""

PACKAGING_JOB_UNFINISHED: Final = frozenset(
    {PackagingJobStatus.CREATED, PackagingJobStatus.RUNNING}
)
"""The job is waited for."""
