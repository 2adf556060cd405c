"""README.md says what the code does: its commands parse, its keys exist, its tables are current."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lfvpipe import config
from lfvpipe.cli.catalogue import COMMANDS
from lfvpipe.cli.parser import build
from tests.house.readme import README, filled

if TYPE_CHECKING:
    from pathlib import Path

TEXT = README.read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def _commands() -> list[list[str]]:
    words = re.compile(r"(?:^|\s|/)lfvpipe ((?:[a-z]+)(?: [^&|\n#`]*)?)")
    said = [line for block in _blocks("sh") for line in block.splitlines()]
    said += re.findall(r"`((?:\.venv/bin/)?lfvpipe [^`]*)`", TEXT)
    found = [match for line in said for match in words.findall(line.replace("\\", ""))]
    return [shlex.split(match) for match in found]


def test_its_generated_parts_are_current() -> None:
    assert filled(TEXT) == TEXT, "run: python tests/house/readme.py"


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_each_command_that_it_shows_is_one(words: list[str]) -> None:
    assert words[0] in {command.name for command in COMMANDS}
    if len(words) > 1:  # one word alone is a command spoken of
        build().parse_args(words)


def test_it_shows_every_command() -> None:
    assert {command.name for command in COMMANDS} <= {words[0] for words in _commands()}


@pytest.mark.parametrize("text", _blocks("yaml"), ids=lambda text: text.split(":")[0])
def test_each_piece_of_a_pipeline_file_is_valid(text: str, tmp_path: Path) -> None:
    whole = text if "sources:" in text else f"sources: {{normal: {{archive: good.zip}}}}\n{text}"
    file = tmp_path / "pipeline.yaml"
    file.write_text(whole)
    assert config.load(file).pipeline.file == file


@pytest.mark.parametrize("text", _blocks("python"), ids=["a step", "the detector"])
def test_each_piece_of_python_imports_what_there_is(text: str) -> None:
    imports = "\n".join(line for line in text.splitlines() if line.startswith(("from", "import")))
    assert imports
    subprocess.run([sys.executable, "-c", imports], check=True)


def test_each_file_that_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (README.parent / target).exists(), target
