"""Work spread over threads: its order, its bound, and its early end."""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from lfvpipe.executor import as_completed, in_order

Spread = Callable[[Callable[[Any], Any], Iterable[Any], int], Iterator[Any]]
both = pytest.mark.parametrize("spread", [in_order, as_completed])


def test_results_come_in_the_order_of_the_items() -> None:
    second = threading.Event()

    def slow_at_first(item: int) -> int:
        if item == 0:
            assert second.wait(60)
        if item == 1:
            second.set()
        return item

    assert list(in_order(slow_at_first, range(9), 2)) == list(range(9))


def test_results_come_as_they_are_done() -> None:
    others_came = threading.Event()

    def first_is_last(item: int) -> int:
        if item == 0:
            assert others_came.wait(60)
        return item

    came = []
    for item in as_completed(first_is_last, range(9), 2):
        came.append(item)
        if len(came) == 8:
            others_came.set()
    assert came[-1] == 0
    assert sorted(came) == list(range(9))


@both
def test_items_are_consumed_a_little_ahead(spread: Spread) -> None:
    consumed = []

    def items() -> Iterator[int]:
        for item in range(100):
            consumed.append(item)
            yield item

    for number, _ in enumerate(spread(abs, items(), 3)):
        assert len(consumed) <= number + 6


@both
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_of_the_work_ends_it(spread: Spread, error: type[BaseException]) -> None:
    failed, started = threading.Event(), []

    def work(item: int) -> None:
        started.append(item)
        failed.set()
        raise error

    def items() -> Iterator[int]:
        yield 0
        assert failed.wait(60)
        yield from range(1, 100)

    with pytest.raises(error):
        list(spread(work, items(), 1))
    assert len(started) <= 2


@both
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_where_the_items_come_from_ends_the_work(
    spread: Spread, error: type[BaseException]
) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise error

    with pytest.raises(error):
        list(spread(abs, items(), 2))
    assert not _working()


class Item:
    """Something that tells when it is let go."""


@both
def test_what_was_not_started_when_an_error_came_never_is(spread: Spread) -> None:
    under_way, let_go = threading.Barrier(4), threading.Event()
    started = []

    def work(_: Item) -> None:
        started.append(threading.get_ident())
        under_way.wait(60)
        let_go.wait(60)

    def items() -> Iterator[Item]:
        yield from (Item() for _ in range(3))
        under_way.wait(60)
        waits = Item()
        weakref.finalize(waits, let_go.set)
        yield waits
        del waits
        yield Item()
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  (ours)
        list(spread(work, items(), 3))
    assert len(started) == 3


@both
def test_who_stops_listening_ends_the_work(spread: Spread) -> None:
    results = spread(abs, range(100), 2)
    assert next(results) in range(4)
    results.close()  # type: ignore[attr-defined]  # a generator
    assert not _working()


def _working() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("lfvpipe_")]
