"""What a rerun with nothing to do imports: that is nearly all of the time it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACTING = {
    *(f"lfvpipe.steps.{name}" for name in ("selecting", "extracting", "checking", "evaluating")),
    *("lfvpipe.steps.index", "lfvpipe.report.records", "lfvpipe.config.validation"),
    *("filelock", "tempfile", "fractions", "concurrent.futures", "logging", "urllib.request"),
}


def test_a_rerun_with_nothing_to_do_loads_nothing_that_only_acting_needs(
    prepared: Path, modules_of: Callable[..., set[str]]
) -> None:
    assert modules_of("run", prepared, "--until", "extract") & ACTING == set()


def test_help_and_version_load_no_piece_but_the_command_line(
    modules_of: Callable[..., set[str]],
) -> None:
    for flag in ("--help", "--version"):
        ours = {name for name in modules_of(flag) if name.startswith("lfvpipe.")}
        mine = {"main", "parser", "catalogue", "options"}
        assert ours <= {"lfvpipe.cli", "lfvpipe.errors", *(f"lfvpipe.cli.{name}" for name in mine)}
