"""Work spread over the workers of a Dask cluster, as `lfvpipe.executor` spreads it over threads."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.cluster.addresses import DEFAULT_PORT, scheduler_of
    from lfvpipe.cluster.client import Cluster, Lost, connect
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "addresses": ["DEFAULT_PORT", "scheduler_of"],
            "client": ["Cluster", "Lost", "connect"],
        },
    )

__all__ = ["DEFAULT_PORT", "Cluster", "Lost", "connect", "scheduler_of"]
