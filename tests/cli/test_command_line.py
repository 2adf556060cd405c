"""The frame of the command line: help, usage, errors, bugs, pipes, start-up."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lfvpipe import __version__
from lfvpipe.cli.catalogue import COMMANDS
from lfvpipe.cli.commands.compare import CompareOptions
from lfvpipe.cli.commands.detect import DetectOptions
from lfvpipe.cli.commands.init import InitOptions
from lfvpipe.cli.commands.run import RunOptions
from lfvpipe.cli.commands.status import StatusOptions
from lfvpipe.cli.options import Options
from lfvpipe.cli.parser import build, declarations, parse
from lfvpipe.errors import UserError

HEAVY = {
    "boto3",
    "botocore",
    "jsonschema",
    "numpy",
    "obstore",
    "onnx",
    "onnxruntime",
    "PIL",
    "rich",
    "starlette",
    "structlog",
    "httpx",
    "urllib3",
    "uvicorn",
    "yaml",
}
NAMES = [command.name for command in COMMANDS]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_an_example_and_a_module(name: str, lfvpipe: Any) -> None:
    said = lfvpipe(name, "--help")
    assert said.code == 0
    assert f"usage: lfvpipe {name}" in said.out
    assert "example:" in said.out
    assert callable(import_module(f"lfvpipe.cli.commands.{name}").run)


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_option_has_help(command: Any) -> None:
    assert all(option.about for _, _, option in declarations(command.options))


def test_what_is_not_said_is_the_default_of_the_class() -> None:
    _, options = parse(["run"])
    assert options == RunOptions()


def test_what_is_said_is_typed() -> None:
    words = "run p.yaml --set a=1 --set b=2 --jobs 2 --force --force model --log-format json --why"
    _, options = parse(words.split())
    assert options == RunOptions(
        file="p.yaml",
        overrides=("a=1", "b=2"),
        jobs=2,
        force=("*", "model"),
        log_format="json",
        why="*",
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --force p.yaml", RunOptions(file="p.yaml", force=("*",))),
        ("run --why p.yaml", RunOptions(file="p.yaml", why="*")),
        ("compare p.yaml v1", CompareOptions(file="p.yaml", runs=("v1",))),
        ("compare v1 v2", CompareOptions(runs=("v1", "v2"))),
        ("detect p.yaml a.png", DetectOptions(file="p.yaml", targets=("a.png",))),
        ("detect --model m a.png", DetectOptions(model="m", targets=("a.png",))),
    ],
)
def test_a_pipeline_file_is_told_from_its_neighbours(words: str, expected: Options) -> None:
    assert parse(words.split())[1] == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "detect p.yaml --csv photos/ --state-dir s more/",
            DetectOptions(file="p.yaml", targets=("photos/", "more/"), csv=True, state_dir="s"),
        ),
        (
            "compare p.yaml --json v1 v2",
            CompareOptions(file="p.yaml", runs=("v1", "v2"), json=True),
        ),
        (
            "init --force a.zip -o x b.zip",
            InitOptions(force=True, output="x", paths=("a.zip", "b.zip")),
        ),
        ("--debug status --json p.yaml", StatusOptions(file="p.yaml", debug=True, json=True)),
        ("--state-dir s status p.yaml", StatusOptions(file="p.yaml", state_dir="s")),
        ("detect --csv -- -1.png", DetectOptions(targets=("-1.png",), csv=True)),
        ("init --normal a b -- c -d", InitOptions(normal=("a", "b"), paths=("c", "-d"))),
    ],
)
def test_options_may_stand_anywhere(words: str, expected: Options) -> None:
    assert parse(words.split())[1] == expected


@pytest.mark.parametrize(
    ("words", "suggested"),
    [
        ("detect p.yaml --cvs photos/", "--csv"),
        ("run --unitl model p.yaml", "--until"),
        ("run --log-format jsn", "json"),
        ("completion bsh", "bash"),
    ],
)
def test_a_mistake_is_told_with_the_usage_of_its_command(
    words: str, suggested: str, lfvpipe: Any
) -> None:
    said = lfvpipe(*words.split())
    assert said.code == 3
    assert said.err.startswith(f"usage: lfvpipe {words.split(maxsplit=1)[0]} ")
    assert f"did you mean '{suggested}'?" in said.err


def test_the_version_is_printed(lfvpipe: Any) -> None:
    assert lfvpipe("--version").out == f"lfvpipe {__version__}\n"


def test_help_names_every_command_and_the_exit_codes(lfvpipe: Any) -> None:
    said = lfvpipe("--help")
    assert all(f" {name} " in f" {said.out} ".replace("\n", " ") for name in NAMES)
    assert "130 interrupted" in said.out


@pytest.mark.parametrize(
    "arguments", [(), ("rnu",), ("run", "--jobs", "many"), ("run", "a", "b"), ("completion",)]
)
def test_a_wrong_command_line_does_not_end_with_the_code_of_a_plan(
    arguments: tuple[str, ...], lfvpipe: Any
) -> None:
    said = lfvpipe(*arguments)
    assert (said.code, said.out) == (3, "")
    assert "usage:" in said.err


def test_a_mistyped_command_gets_a_suggestion(lfvpipe: Any) -> None:
    assert "did you mean 'status'?" in lfvpipe("statsu").err


def _breaking(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    module = import_module(f"lfvpipe.cli.commands.{name}")

    @wraps(module.run)
    def run(options: Options) -> int:
        raise error

    monkeypatch.setattr(module, "run", run)


def test_a_users_mistake_is_a_message_and_a_hint(
    lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaking(monkeypatch, "schema", UserError("it is not there", hint="Look elsewhere."))
    said = lfvpipe("schema")
    assert (said.code, said.err) == (1, "error: it is not there\n  Look elsewhere.\n")


def test_a_bug_is_called_one_and_leaves_its_traceback_in_a_file(
    lfvpipe: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _breaking(monkeypatch, "status", KeyError("oops"))
    said = lfvpipe("status", tmp_path / "p.yaml", "--state-dir", tmp_path)
    assert said.code == 1
    assert "this is a bug in lfvpipe: KeyError: 'oops'" in said.err
    assert "Traceback" not in said.err
    (report,) = tmp_path.glob("lfvpipe-crash-*.txt")
    assert str(report) in said.err
    assert "Traceback" in report.read_text()
    assert report.stat().st_mode & 0o077 == 0 or os.name == "nt"


@pytest.mark.skipif(os.name == "nt", reason="permissions of this kind are POSIX's")
def test_without_a_state_a_traceback_is_for_its_owner_alone(
    lfvpipe: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _breaking(monkeypatch, "status", KeyError("oops"))
    lfvpipe("status", tmp_path / "p.yaml", "--state-dir", tmp_path / "none")
    (report,) = tmp_path.glob("lfvpipe-crash-*/lfvpipe-crash-*.txt")
    assert "Traceback" in report.read_text()
    assert [path.stat().st_mode & 0o077 for path in (report, report.parent)] == [0, 0]


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_traceback_is_shown_to_who_asks(
    how: str, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _breaking(monkeypatch, "status", KeyError("oops"))
    if how == "variable":
        monkeypatch.setenv("LFVPIPE_DEBUG", "1")
    options = ("--debug",) if how == "option" else ()
    said = lfvpipe("status", "--state-dir", tmp_path, *options)
    assert "Traceback" in said.err


def test_an_interrupt_outside_a_run_ends_with_130(
    lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaking(monkeypatch, "schema", KeyboardInterrupt())
    assert lfvpipe("schema").code == 130


def test_a_reader_that_goes_away_gets_no_traceback(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    read, write = __import__("os").pipe()
    __import__("os").close(read)
    with started("schema", stdout=write) as process:
        __import__("os").close(write)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("run", "--help")])
def test_help_and_version_import_nothing_heavy(
    arguments: tuple[str, ...], modules_of: Callable[..., set[str]]
) -> None:
    assert not modules_of(*arguments) & HEAVY


@pytest.mark.parametrize("name", ["pipeline", "ledger", "run"])
def test_schemas_are_printed(name: str, lfvpipe: Any) -> None:
    assert lfvpipe("schema", name).json["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh", "powershell"])
def test_completion_knows_every_command(shell: str, lfvpipe: Any) -> None:
    said = lfvpipe("completion", shell)
    assert said.code == 0
    assert all(name in said.out for name in NAMES)


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_the_bash_completion_completes_commands_and_options(lfvpipe: Any, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(lfvpipe("completion", "bash").out)
    asks = f"""
    source {script}
    ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shtab_lfvpipe
             echo "${{COMPREPLY[@]}}"; }}
    ask lfvpipe st
    ask lfvpipe run --sta
    ask lfvpipe run --until mani
    ask lfvpipe run --until ml
    """
    done = subprocess.run(["bash", "-c", asks], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["status", "stop", "--state-dir", "manifests", "mlflow"]


def test_the_parser_is_built_from_the_table_alone() -> None:
    actions = build()._subparsers
    assert actions is not None
    (choices,) = [action.choices for action in actions._actions if action.choices]
    assert list(choices or ()) == NAMES


def test_json_lines_of_events_hold_reasons_and_errors() -> None:
    from lfvpipe.cli.reporters.structured import plain
    from lfvpipe.engine.reasons import Reason

    event = SimpleNamespace(reasons=(Reason("forced"),), error=UserError("no", hint="yes"))
    assert json.dumps(plain(event.reasons)) == json.dumps(
        [{"code": "forced", "subject": "", "before": None, "after": None}]
    )
    assert plain(event.error) == "no\n  yes"


@pytest.mark.parametrize(
    "words",
    [("--jobs", "0"), ("--jobs", "many"), ("--lock-timeout", "-1"), ("--lock-timeout", "nan")],
)
def test_numbers_that_make_no_sense_are_refused(words: tuple[str, str], lfvpipe: Any) -> None:
    assert lfvpipe("run", *words).code == 3
