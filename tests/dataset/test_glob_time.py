"""Globs of strangers: no pattern takes long, and none matches otherwise for it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfvpipe.dataset.globs import glob_pattern


def plainly(pattern: str) -> re.Pattern[str]:
    """Return what a glob of letters, stars, question marks and slashes is, tried at any length."""
    signs = {"*": "[^/]*", "?": "[^/]"}
    text = "".join(signs.get(sign, re.escape(sign)) for sign in pattern)
    return re.compile(text if "/" in pattern else f"(?:.*/)?{text}", re.IGNORECASE | re.DOTALL)


@given(
    st.text("ab*?/", min_size=1, max_size=12).filter(lambda text: "**" not in text),
    st.text("ab/", max_size=12),
)
def test_a_glob_matches_what_its_signs_say(pattern: str, name: str) -> None:
    assert bool(glob_pattern(pattern).fullmatch(name)) == bool(plainly(pattern).fullmatch(name))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "pattern", ["*a" * 40 + "*b", "*a?" * 40 + "b", "x/" + "*[a-c]" * 40 + "d"]
)
def test_many_stars_are_no_work(pattern: str) -> None:
    assert not glob_pattern(pattern).fullmatch("x/" + "a" * 250)
