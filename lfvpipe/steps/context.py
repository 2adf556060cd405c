"""What the steps of one pipeline share: its spec, its folders, and clients made on first use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.config.spec import Pipeline
    from lfvpipe.lookout.client import LookoutClient
    from lfvpipe.service import Service
    from lfvpipe.storage import Bucket, Buckets


@dataclass(frozen=True)
class Context:
    """The context that every step of `lfvpipe.steps` is handed.

    Attributes:
        pipeline: The validated pipeline.
        state_root: ``.lfvpipe``, shared by the pipelines of a folder.
        variant: Which combination of the matrix this is; ``default`` without a matrix.
        adopt: The user said to take over a project that is somebody else's.
        trains: Whether the embedded service may start a training, or go on with one that stands
            still: only a run may.
        detach: The user said not to wait for a training.
    """

    pipeline: Pipeline
    state_root: Path
    variant: str = "default"
    adopt: bool = False
    trains: bool = True
    detach: bool = False

    @property
    def state_dir(self) -> Path:
        """The pipeline's own folder: ledger, lock, selections, indexes, images, runs.

        The variants of a matrix share it.
        """
        return self.state_root / self.pipeline.name

    @property
    def cache_dir(self) -> Path:
        """Fetched archives, shared by the pipelines of a folder."""
        return self.state_root / "cache"

    @property
    def service_dir(self) -> Path:
        """The embedded service's state."""
        return self.state_root / "service"

    @property
    def buckets_dir(self) -> Path:
        """The local buckets, a folder each."""
        return self.state_root / "buckets"

    @cached_property
    def buckets(self) -> Buckets:
        """The object store that the pipeline's bucket lies in."""
        from lfvpipe.storage import Terms, connect

        spec, root = self.pipeline.bucket, self.buckets_dir
        asked = spec.encryption
        terms = Terms(requester_pays=spec.requester_pays)
        if asked is not None:
            terms = Terms(asked.sse, asked.key, spec.requester_pays)
        return connect(spec.endpoint, region=self.pipeline.region, root=root, terms=terms)

    @cached_property
    def bucket(self) -> Bucket:
        """The pipeline's bucket, which may not exist yet."""
        return self.buckets.bucket(self.pipeline.bucket.name)

    def source_bucket(self, name: str) -> Bucket:
        """Return the bucket that an ``s3://`` address among the sources names."""
        from lfvpipe.storage import bucket_of_address

        return bucket_of_address(
            self.buckets, name, region=self.pipeline.region, root=self.buckets_dir
        )

    @cached_property
    def lookout(self) -> LookoutClient:
        """A boto3 `lookoutvision` client for the embedded service or the given endpoint."""
        from lfvpipe.lookout.client import connect

        endpoint = self.pipeline.service.endpoint
        handler = self._service.handle_for_owner if endpoint == "embedded" else None
        return connect(endpoint, region=self.pipeline.region, handler=handler)

    @cached_property
    def _service(self) -> Service:
        from lfvpipe.service.embedded import open_service

        return open_service(
            self.service_dir,
            self.buckets,
            region=self.pipeline.region,
            detector=self.pipeline.service.detector,
            limits=self.pipeline.service.limits,
            trains=self.trains,
        )

    def close(self) -> None:
        """Close the embedded service, if it was opened; what still runs on in threads is left."""
        if "_service" in self.__dict__:
            self.__dict__.pop("lookout", None)
            self.__dict__.pop("_service").close(seconds=0.0)
