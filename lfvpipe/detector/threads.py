"""Linear algebra on one thread, which small products are faster on."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra on one thread meanwhile.

    The threads of a small product mostly wait for one another, on a core that another image could
    have; and the order of its sums, so the last bits of a model, would depend on their number.
    """
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
