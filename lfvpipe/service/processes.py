"""What the processes that the service starts have in common."""

import os
from pathlib import Path

import lfvpipe


def environment() -> dict[str, str]:
    """Return our environment, in which a child finds the same lfvpipe even if not installed."""
    here = str(Path(lfvpipe.__file__).parent.parent)
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{known}" if known else here}
