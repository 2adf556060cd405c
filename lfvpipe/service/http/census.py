"""Counts the models in the service's state, for the metrics."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path


def census(state_dir: Path) -> Mapping[str, int]:
    """Return how many models there are by status; one short read.

    Raises:
        sqlite3.Error: The state cannot be read.
    """
    address = f"{(state_dir / 'service.db').absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as connection:
        rows = connection.execute("SELECT status, COUNT(*) FROM models GROUP BY status")
        return {str(status): int(count) for status, count in rows}
