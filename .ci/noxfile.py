"""What is run on the whole: nox -f .ci/noxfile.py, or one session of it with -s.

Sessions without an environment of their own run in the one that nox is in, which README sets up.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parents[1]
nox.options.sessions = ["lint", "tests"]
nox.options.envdir = str(ROOT / ".nox")
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # a session says that it is skipped
BIN = Path(sys.executable).parent
# Files, not tests, are spread: those of a file share what is dear to set up. They come in the order
# of tests/conftest.py; xdist's own, most tests first, leaves the longest to the end.
SPREAD = ("--dist", "loadfile", "--no-loadscope-reorder")
PARALLEL = ("-n", os.environ.get("LFVPIPE_TEST_WORKERS", "auto"), *SPREAD)
# Tests start hundreds of processes: where none keeps what it compiled, each takes twice as long.
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
NEWER = ["3.12", "3.13"]
MOST_AGAIN = 2  # failed tests that get a second chance


def _run(session: nox.Session, *words: str, **environment: str) -> None:
    """Run a program of nox's own environment."""
    program = str(BIN / words[0])
    given = {"PYTHONPATH": str(ROOT), **COMPILED, **environment}
    session.run(program, *words[1:], external=True, env=given)


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Hold the house's rules: style, format, imports, types."""
    session.chdir(ROOT)
    _run(session, "ruff", "check", ".")
    _run(session, "ruff", "format", "--check", ".")
    _run(session, "lint-imports")
    _run(session, "mypy")
    _run(session, "mypy", str(Path(__file__).relative_to(ROOT)))


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Run the fast tests: none that trains for long, drives a browser or asks a peer."""
    session.chdir(ROOT)
    _run(session, "pytest", *PARALLEL, "-m", "not slow", *session.posargs)


@nox.session(python=False, name="all")
def everything(session: nox.Session) -> None:
    """Run every test; one or two that fail have to pass by themselves, and are told by name.

    Thousands of tests start servers, browsers and processes, and kill them, on whatever machine
    there is. A test that holds alone and not beside all others is a fault of the test, to be mended
    by its name, but it is no reason to doubt the code. More than two are.
    """
    session.chdir(ROOT)
    record = ROOT / ".nox" / "pytest" / "v" / "cache" / "lastfailed"
    record.unlink(missing_ok=True)
    try:
        _run(session, "pytest", *PARALLEL, *session.posargs)
    except nox.command.CommandFailed:
        failed = sorted(json.loads(record.read_text("utf-8"))) if record.is_file() else []
        if not 1 <= len(failed) <= MOST_AGAIN:
            raise
        session.warn(f"FLAKY unless it fails again, alone: {' '.join(failed)}")
        _run(session, "pytest", "--last-failed", "--last-failed-no-failures=none")


@nox.session(python=False)
def coverage(session: nox.Session) -> None:
    """Run every test and say which lines and branches none of them takes, processes included."""
    session.chdir(ROOT)
    rules = f"--rcfile={ROOT / 'pyproject.toml'}"
    _run(session, "coverage", "erase", rules)
    # what a start-up imports cannot be told while coverage itself imports in each process
    without = ("--deselect=tests/cli/test_start_up.py", "-k", "not imports_nothing_heavy")
    _run(session, "coverage", "run", rules, "-m", "pytest", *PARALLEL, *without, *session.posargs)
    _run(session, "coverage", "combine", "--quiet", rules)
    _run(session, "coverage", "report", rules)


@nox.session(venv_backend="uv", python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the fast tests with the lowest version that pyproject.toml allows of each dependency."""
    _install_apart(session, "--resolution", "lowest-direct")


@nox.session(venv_backend="uv", python=NEWER)
def newer(session: nox.Session) -> None:
    """Run the fast tests on a newer Python, where there is one."""
    _install_apart(session)


# Each is told where it stands: XML has no document types, `shell` names a completion, SQL is put
# together of constants alone, and what is marked as safe HTML is ours or escaped. Linting has the
# rules below medium severity (ruff's S), and the reason beside each exception.
EXPLAINED = "B314,B604,B608,B704"


@nox.session(venv_backend="uv", python="3.11")
def audit(session: nox.Session) -> None:
    """Look for what is known to be unsafe in the code and in what it depends on; not in CI."""
    session.chdir(ROOT)
    session.install("bandit>=1.8", "pip-audit>=2.8")
    session.run("bandit", "--quiet", "-ll", "--skip", EXPLAINED, "-r", "lfvpipe")
    # Of an index without advisories, as of a mirror, it would else end well with nothing looked at.
    how = ("--strict", "--disable-pip", "--require-hashes")
    session.run("pip-audit", *how, "-r", ".ci/requirements.txt")


@nox.session(venv_backend="uv", python="3.11")
def mutants(session: nox.Session) -> None:
    """Break the engine in one place at a time, and say which breaks no test of it notices.

    Words after -- name what to break: -- "lfvpipe.engine.staleness*". What survives is then told
    by `mutmut results`, and shown by `mutmut show NAME`, in this session's environment.
    """
    session.chdir(ROOT)
    session.install("mutmut==3.8.1", ".[dev]")
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")


def _install_apart(session: nox.Session, *how: str) -> None:
    """Install into the session's own environment, without the lock file; run the fast tests."""
    session.chdir(ROOT)
    session.install(*how, ".[dev]")
    session.run("python", "-m", "pytest", *PARALLEL, "-m", "not slow", *session.posargs)
