import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lfvpipe.config.spec import Share
from lfvpipe.dataset.sampling import (
    divide,
    divide_stably,
    owed_sizes,
    rank,
    sample_size,
    share_of,
    split_sizes,
)

NAMES = [f"Class3/{number}.png" for number in range(1, 1001)]
P80, P20 = Share(percent=80), Share(percent=20)


def counts(total: int, percent: float, withheld: int = 0) -> tuple[int, int]:
    return split_sizes(sample_size(Share(percent=percent), total, withheld), P80, P20)


def test_counts_are_those_of_the_tutorial() -> None:
    assert counts(1000, 40, 2) == (320, 80)
    assert counts(150, 40, 2) == (48, 12)
    assert counts(1000, 10) == (80, 20)
    assert counts(150, 10) == (12, 3)


def test_percentages_floor_without_the_errors_of_floating_point() -> None:
    assert sample_size(Share(percent=29), 100, 0) == 29
    assert sample_size(Share(percent=0.1), 1000, 0) == 1


def test_a_sample_of_everything_leaves_the_withheld_out() -> None:
    assert sample_size(Share(percent=100), 150, 2) == 148
    assert sample_size(Share(count=200), 150, 2) == 148


def test_ranking_depends_on_seed_and_label_but_not_on_order() -> None:
    ranking = rank(NAMES, seed=1, label="normal")
    assert rank(reversed(NAMES), seed=1, label="normal") == ranking
    assert rank(NAMES, seed=2, label="normal") != ranking
    assert rank(NAMES, seed=1, label="anomaly") != ranking


def test_ranking_is_the_same_on_every_machine() -> None:
    assert rank(NAMES[:5], seed=1, label="normal") == [
        "Class3/4.png",
        "Class3/5.png",
        "Class3/3.png",
        "Class3/1.png",
        "Class3/2.png",
    ]


def test_a_larger_sample_keeps_every_image_where_it_was() -> None:
    ranking = rank(NAMES, seed=1, label="normal")
    small, large = divide(ranking, 400, P80, P20), divide(ranking, 1000, P80, P20)
    assert (len(small.train), len(small.test)) == (320, 80)
    assert set(small.train) < set(large.train)
    assert set(small.test) < set(large.test)


def test_a_split_by_count_takes_train_first_and_leaves_the_rest_unused() -> None:
    division = divide(rank(NAMES, seed=1, label="normal"), 100, Share(count=50), Share(count=20))
    assert [len(part) for part in (division.train, division.test, division.unused)] == [50, 20, 930]


@given(st.integers(0, 59), st.integers(2, 98), st.booleans())
def test_a_stable_division_is_exact_and_an_image_more_moves_hardly_another(
    more: int, percent: int, is_whole: bool
) -> None:
    train, test = Share(percent=percent), Share(percent=100 - percent if is_whole else 1)
    names = NAMES[:60]
    sides = []
    for present in ([name for name in names if name != names[more]], names):
        ranking = rank(present, seed=0, label="normal")
        division = divide_stably(ranking, len(ranking), train, test, seed=0, label="normal")
        assert (len(division.train), len(division.test)) == split_sizes(len(ranking), train, test)
        assert sorted([*division.train, *division.test, *division.unused]) == sorted(present)
        parts = {"train": division.train, "test": division.test, "unused": division.unused}
        sides.append({name: part for part, inside in parts.items() for name in inside})
    moved = [name for name, side in sides[0].items() if sides[1][name] != side]
    assert len(moved) <= (1 if is_whole else 2)


@given(st.integers(10, 90), st.integers(0, 99))
def test_a_part_that_is_sampled_is_as_stable(percent: int, more: int) -> None:
    names = NAMES[:100]
    sides: list[dict[str, bool]] = []
    for present in ([name for name in names if name != names[more]], names):
        ranking = rank(present, seed=0, label="normal")
        size = len(ranking) * percent // 100
        shares = Share(percent=80), Share(percent=20)
        division = divide_stably(ranking, size, *shares, seed=0, label="normal")
        sides.append({name: name in division.test for name in (*division.train, *division.test)})
    moved = {name for name in names if sides[0].get(name) != sides[1].get(name)}
    assert len(moved - {names[more]}) <= 2


def test_where_a_stable_division_puts_an_image_never_changes() -> None:
    ranking = rank(NAMES[:20], seed=0, label="normal")
    shares = Share(percent=80), Share(percent=20)
    division = divide_stably(ranking, 20, *shares, seed=0, label="normal")
    assert sorted(division.test) == [
        "Class3/12.png",
        "Class3/16.png",
        "Class3/2.png",
        "Class3/9.png",
    ]


def test_without_a_test_share_all_that_train_leaves_is_unused() -> None:
    division = divide(NAMES[:30], 20, Share(percent=100), None)
    assert [len(part) for part in (division.train, division.test, division.unused)] == [20, 0, 10]


shares = st.one_of(
    st.builds(lambda percent: Share(percent=percent), st.integers(0, 50)),
    st.builds(lambda count: Share(count=count), st.integers(0, 40)),
)


@given(shares, st.one_of(st.none(), shares), st.integers(0, 60), st.integers(0, 60))
def test_every_split_is_exact_disjoint_and_nested(
    train: Share, test: Share | None, first: int, second: int
) -> None:
    smaller, larger = sorted((first, second))
    small, large = (divide(NAMES[:60], size, train, test) for size in (smaller, larger))
    assert (len(small.train), len(small.test)) == split_sizes(smaller, train, test)
    assert not set(small.train) & set(small.test)
    assert set(small.train) <= set(large.train)
    is_lent = owed_sizes(smaller, train, test)[1] < len(small.test)
    assert is_lent or set(small.test) <= set(large.test)


@pytest.mark.parametrize("test", [Share(percent=1), Share(count=5)])
@pytest.mark.parametrize("train", [Share(percent=90), Share(count=30), Share(percent=0)])
def test_of_two_images_one_is_tested_on_where_shares_round_it_away(
    train: Share, test: Share
) -> None:
    for total in range(2, 30):
        division = divide(NAMES[:total], total, train, test)
        assert len(division.test) >= 1
        assert not set(division.test) & set(division.train)
        assert len(division.train) + len(division.test) + len(division.unused) == total


@pytest.mark.parametrize("test", [None, Share(percent=0), Share(count=0)])
def test_who_wants_nothing_to_test_on_gets_nothing(test: Share | None) -> None:
    assert divide(NAMES[:9], 9, Share(count=20), test).test == ()


@given(st.integers(0, 1000), st.integers(0, 1000))
@example(1000, 7)  # 0.7 as a binary fraction is a little less
def test_percentages_round_down(total: int, tenths: int) -> None:
    share = Share(percent=tenths / 10)
    assert share_of(share, total) == total * tenths // 1000


@pytest.mark.parametrize(
    ("sampled", "sizes"), [(1, (0, 1)), (4, (3, 1)), (7, (5, 2)), (99, (79, 20)), (100, (80, 20))]
)
def test_train_rounds_down_and_test_has_the_rest_of_shares_that_make_a_whole(
    sampled: int, sizes: tuple[int, int]
) -> None:
    assert split_sizes(sampled, P80, P20) == sizes


def test_both_round_down_where_they_make_no_whole() -> None:
    assert split_sizes(7, P80, Share(percent=19)) == (5, 1)


def test_each_image_goes_where_it_has_always_gone() -> None:
    division = divide([*"abcdefgh"], 7, Share(percent=60), Share(percent=30))
    assert division.train == ("b", "d", "e", "g")
    assert division.test == ("c", "f")
    assert division.unused == ("a", "h")
