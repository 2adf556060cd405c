"""Start-up: what it imports, which is nearly all of the time it takes, and Ctrl-C meanwhile."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.workshop import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACTING = {
    *("lfvpipe.steps.select.selection", "lfvpipe.steps.extract.extraction"),
    *("lfvpipe.steps.evaluate.evaluation", "lfvpipe.dataset.checks.rules"),
    *("lfvpipe.report.records", "lfvpipe.config.validation"),
    *("filelock", "tempfile", "fractions", "concurrent.futures", "logging", "urllib.request"),
    *("httpx", "importlib.metadata"),
}

CTRL_C_AT_IMPORT_OF = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as from a terminal, whoever runs this
class Press:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Press)
sys.argv[:] = ["lfvpipe", "--version"]
"""


def console_script() -> str:
    """Return what an installed `lfvpipe` does."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["lfvpipe"].partition(":")
    return f"from {module} import {function}; sys.exit({function}())"


@pytest.mark.parametrize("module", ["lfvpipe.cli.main", "argparse", "lfvpipe.cli.catalogue"])
@pytest.mark.parametrize("way", ["script", "module"])
def test_ctrl_c_while_python_still_imports_shows_no_traceback(way: str, module: str) -> None:
    as_module = "import runpy; runpy.run_module('lfvpipe', run_name='__main__')"
    start = console_script() if way == "script" else as_module
    code = CTRL_C_AT_IMPORT_OF.format(module=module) + start
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_rerun_with_nothing_to_do_loads_nothing_that_only_acting_needs(
    prepared: Path, modules_of: Callable[..., set[str]]
) -> None:
    assert modules_of("run", prepared, "--until", "extract") & ACTING == set()


def test_help_and_version_load_no_piece_but_the_command_line(
    modules_of: Callable[..., set[str]],
) -> None:
    for flag in ("--help", "--version"):
        ours = {name for name in modules_of(flag) if name.startswith("lfvpipe.")}
        mine = {"main", "parser", "catalogue"}
        base = {
            f"lfvpipe.{name}"
            for name in ("cli", "disk", "errors", "lazy", "steps", "visible", "wrapping")
        }
        assert ours <= {*base, *(f"lfvpipe.cli.{name}" for name in mine)}
