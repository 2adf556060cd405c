"""What the datasets step saves and leaves, for itself and for those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from lfvpipe.engine.facts import ABSENT_IF_NONE, StepFacts, StepOutcome
from lfvpipe.lookout.descriptions import timestamp
from lfvpipe.steps.attempts import SavedFacts
from lfvpipe.steps.ownership import Mark

if TYPE_CHECKING:
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.lookout.descriptions import Description


@dataclass(frozen=True)
class DatasetState:
    """What tells one state of a dataset from another; all None where there is no dataset."""

    status: str | None = None
    created: str | None = None
    updated: str | None = None

    @classmethod
    def of(cls, live: Description | None) -> DatasetState:
        """Return the state of what the service describes."""
        if live is None:
            return DatasetState()
        return DatasetState(
            live["Status"],
            timestamp(live.get("CreationTimestamp")),
            timestamp(live.get("LastUpdatedTimestamp")),
        )


@dataclass(frozen=True)
class DatasetFacts(StepFacts):
    """A dataset as the step left it.

    Attributes:
        status: In the API's words.
        message: The service's.
        stats: Its ImageStats, in lower case: total, labeled, normal, anomaly.
        manifest: The key of the manifest whose lines it holds.
        digest: SHA-256 of the manifest.
        created: When, as the service says; with the status and the last update it tells whether
            what is there is still what was left.
        updated: When for the last time, as the service says.
        created_by_us: Whether this pipeline created it, so that `destroy` may delete it.
    """

    status: str
    message: str
    stats: Mapping[str, int]
    manifest: str
    digest: str
    created: str | None
    updated: str | None
    created_by_us: bool

    @property
    def state(self) -> DatasetState:
        """The state that the dataset was left in."""
        return DatasetState(self.status, self.created, self.updated)


@dataclass(frozen=True)
class DatasetsOutcome(StepOutcome):
    """The project's datasets; None where there is none.

    Attributes:
        train: The training dataset.
        test: The test dataset.
        mark: Where it is said that they are this pipeline's; None where they are not, or where an
            earlier version made them.
    """

    step: ClassVar[str] = "datasets"

    train: DatasetFacts | None
    test: DatasetFacts | None
    mark: Mark | None = field(default=None, metadata=ABSENT_IF_NONE)

    def dataset(self, split: DatasetType) -> DatasetFacts | None:
        """Return one of the two."""
        return self.train if split == "train" else self.test


@dataclass(frozen=True)
class DatasetsIdentity(StepFacts):
    """What later steps depend on: the content of the datasets of which project on which service.

    Attributes:
        project: Its name.
        arn: The project's.
        endpoint: The service's: a project's ARN is the same everywhere.
        train: SHA-256 of the manifest; left out where there is none.
        test: Likewise.
    """

    project: str
    arn: str
    endpoint: str
    train: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    test: str | None = field(default=None, metadata=ABSENT_IF_NONE)


@dataclass(frozen=True)
class DatasetsSaved(SavedFacts):
    """The digests of the manifests that an attempt was about to make datasets of its own from.

    Attributes:
        creating_train: Of the training manifest.
        creating_test: Of the test manifest.
        mark: Where it was said before that the datasets are this pipeline's.
    """

    creating_train: str | None = None
    creating_test: str | None = None
    mark: Mark | None = None

    def creating(self, split: DatasetType) -> str | None:
        """Return the digest for one of the two."""
        return self.creating_train if split == "train" else self.creating_test

    def with_creating(self, split: DatasetType, digest: str) -> DatasetsSaved:
        """Return this with the digest for one of the two."""
        if split == "train":
            return replace(self, creating_train=digest)
        return replace(self, creating_test=digest)
