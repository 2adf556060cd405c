"""`lfvpipe docs`: the pages that come with the package."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.workshop import ROOT

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import Call

PAGES = sorted((ROOT / "lfvpipe" / "docs").glob("*.md"))


def test_each_page_is_listed_with_what_it_is_about(lfvpipe: Call) -> None:
    said = lfvpipe("docs")
    assert said.code == 0
    names = [line.split()[0] for line in said.out.splitlines() if line][: len(PAGES)]
    assert names == [page.stem for page in PAGES]
    assert "lfvpipe docs PAGE" in said.out


def test_a_page_is_printed_as_it_is_to_a_pipe(lfvpipe: Call) -> None:
    for page in PAGES:
        assert lfvpipe("docs", page.stem).out == page.read_text(encoding="utf-8")


def test_a_page_is_set_out_on_a_terminal(lfvpipe: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("PAGER", "cat")
    said = lfvpipe("docs", "commands")
    assert said.code == 0
    assert "|---|" not in said.out


def test_an_unknown_page_is_answered_with_the_nearest_one(lfvpipe: Call) -> None:
    said = lfvpipe("docs", "tutorail")
    assert said.code != 0
    assert "There is no page" in said.err
    assert "Did you mean 'tutorial'?" in said.err
