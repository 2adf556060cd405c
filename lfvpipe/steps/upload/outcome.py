"""What the upload step saves and leaves, for itself and for those that read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from lfvpipe.engine.facts import ABSENT_IF_NONE, StepFacts, StepOutcome
from lfvpipe.steps.bucket import BucketPlace


@dataclass(frozen=True)
class Destination(StepFacts):
    """Where the images of an index go; all of it is saved before the first of them does.

    Attributes:
        endpoint: The bucket's.
        region: The bucket's.
        name: The bucket's.
        prefix: Of the objects' keys.
        index: The file of the index, relative to the state directory.
        digest: SHA-256 of the index.
        lineage: Under which it is said there that this pipeline has images there. None where an
            earlier version uploaded them.
    """

    endpoint: str
    region: str
    name: str
    prefix: str
    index: str
    digest: str
    lineage: str | None = field(default=None, metadata=ABSENT_IF_NONE, kw_only=True)

    @property
    def place(self) -> BucketPlace:
        """Where the bucket is."""
        return BucketPlace(self.name, self.endpoint, self.region)


@dataclass(frozen=True)
class UploadOutcome(Destination, StepOutcome):
    """What is in the bucket.

    Attributes:
        objects: How many images and masks the datasets have.
        bytes: Of them.
        uploaded: How many of them were not there before.
        uploaded_bytes: Of those.
        example: The key of one of them; "" where there are none.
    """

    step: ClassVar[str] = "upload"

    objects: int
    bytes: int
    uploaded: int
    uploaded_bytes: int
    example: str


@dataclass(frozen=True)
class UploadIdentity(StepFacts):
    """What later steps depend on: where which images are."""

    endpoint: str
    name: str
    prefix: str
    digest: str
