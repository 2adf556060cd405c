"""Evaluation files beside the pipeline count by name and content, and are read but once."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lfvpipe.config.spec import Evaluate, Pipeline
from lfvpipe.dataset.local_files import pattern_digests
from lfvpipe.storage import StorageError, digests
from tests.specs import whole_pipeline

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """Return a pipeline that names two files, aged so that their stat can be trusted."""
    for name in ("a.png", "b.png", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    patterns = ("*.png", "a.png", "Class3/100.png", "a.png")
    return replace(whole_pipeline(tmp_path), evaluate=Evaluate(images=patterns))


def test_a_pattern_that_names_no_file_has_no_digest(pipeline: Pipeline, tmp_path: Path) -> None:
    assert pattern_digests(pipeline, tmp_path / "known").keys() == {"*.png", "a.png"}


def test_another_name_is_a_change(pipeline: Pipeline, tmp_path: Path) -> None:
    before = pattern_digests(pipeline, tmp_path / "known")
    (tmp_path / "a.png").rename(tmp_path / "aa.png")
    assert pattern_digests(pipeline, tmp_path / "known")["*.png"] != before["*.png"]


def test_what_has_not_changed_is_not_read_again(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    hash_file = digests._hash

    def recording(path: Path) -> digests.Entry:
        read.append(path.name)
        return hash_file(path)

    monkeypatch.setattr(digests, "_hash", recording)
    monkeypatch.setattr(
        digests, "_is_settled", lambda *_: True
    )  # the files are of this very moment
    before = pattern_digests(pipeline, tmp_path / "known")
    assert sorted(read) == ["a.png", "b.png"]
    assert pattern_digests(pipeline, tmp_path / "known") == before
    (tmp_path / "b.png").write_bytes(b"other")
    pattern_digests(pipeline, tmp_path / "known")
    assert read[2:] == ["b.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_a_file_that_may_not_be_read_is_the_users_to_solve(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(StorageError):
        pattern_digests(pipeline, tmp_path / "known")
