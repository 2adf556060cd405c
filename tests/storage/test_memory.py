"""A backend that lfvpipe does not know: it needs the two protocols and the suite, nothing else."""

from collections.abc import Mapping

import pytest

from lfvpipe.storage import Buckets
from tests.storage.conformance import REGION, BucketsConformance
from tests.storage.memory import MemoryBuckets


class TestMemoryBuckets(BucketsConformance):
    @pytest.fixture
    def buckets(self) -> Buckets:
        return MemoryBuckets(REGION)

    def reconnect(self, described: Mapping[str, str]) -> Buckets:
        return MemoryBuckets.reconnect(described)
