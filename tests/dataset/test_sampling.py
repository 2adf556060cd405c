import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lfvpipe.config.spec import Share
from lfvpipe.dataset.sampling import divide, owed_sizes, rank, sample_size, share_of, split_sizes

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
