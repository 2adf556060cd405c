"""What a test needs of the machine beside Python: skipped where it is missing, but not in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

LACK_NOTHING = "LFVPIPE_TESTS_LACK_NOTHING"


def lacks(what: str) -> NoReturn:
    """Skip the test for the reason `what`; fail it where nothing may be lacking."""
    if os.environ.get(LACK_NOTHING):
        pytest.fail(f"{LACK_NOTHING} is set, but: {what}")
    pytest.skip(what)
