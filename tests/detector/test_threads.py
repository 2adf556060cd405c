"""Linear algebra stays on one thread while anybody needs it to."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from lfvpipe.detector.threads import blas_on_one_thread


def blas_threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {int(each["num_threads"]) for each in threadpool_info() if each["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def several_threads() -> None:
    """Skip where one thread is all there is."""
    if max(blas_threads(), default=1) == 1:
        pytest.skip("this machine's BLAS has one thread only")


def test_the_first_to_leave_does_not_lift_the_limit_of_the_others() -> None:
    second_is_in, first_is_out = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def second() -> None:
        with blas_on_one_thread():
            second_is_in.set()
            first_is_out.wait(60)
            seen.append(blas_threads())

    other = threading.Thread(target=second)
    with blas_on_one_thread():
        other.start()
        assert second_is_in.wait(60)
    first_is_out.set()
    other.join()
    assert seen == [{1}]


def test_a_limit_holds_in_any_thread_whoever_was_first() -> None:
    def threads_within() -> set[int]:
        with blas_on_one_thread():
            return blas_threads()

    assert threads_within() == {1}
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(threads_within).result() == {1}


def test_the_last_to_leave_lifts_it() -> None:
    before = blas_threads()
    with blas_on_one_thread():
        with blas_on_one_thread():
            pass
        assert blas_threads() == {1}
    assert blas_threads() == before
