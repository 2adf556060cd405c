"""README.md and the pages say what the code does: commands parse, keys exist, parts are current."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lfvpipe import config
from lfvpipe.cli.catalogue import COMMANDS
from lfvpipe.cli.commands.docs import page_names
from lfvpipe.cli.parser import build
from tests.house.pages import PAGES, ROOT, filled

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
WHOLE = "\n".join(TEXTS.values())
WRITTEN = "\n".join(  # without what is written from the code
    re.sub(r"<!-- (?:options|reference|file .*?) -->.*?<!-- end -->", "", text, flags=re.DOTALL)
    for text in TEXTS.values()
)
README_LINES = 150


def _blocks(language: str, text: str = WHOLE) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)```", text, re.DOTALL | re.MULTILINE)


def _commands() -> list[list[str]]:
    words = re.compile(r"(?:^|\s|/)lfvpipe ((?:[a-z]+)(?: [^&|\n#`]*)?)")
    said = [line for block in _blocks("sh", WRITTEN) for line in block.splitlines()]
    said += re.findall(r"`((?:\.venv/bin/)?lfvpipe [^`]*)`", WRITTEN)
    found = [match for line in said for match in words.findall(line.replace("\\", ""))]
    unique = dict.fromkeys(match.strip() for match in found)
    return [shlex.split(match) for match in unique]


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= README_LINES


@pytest.mark.parametrize("page", TEXTS)
def test_its_generated_parts_are_current(page: str) -> None:
    assert filled(TEXTS[page]) == TEXTS[page], "run: python -m tests.house.pages"


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_each_command_that_is_shown_is_one(words: list[str]) -> None:
    assert words[0] in {command.name for command in COMMANDS}
    if len(words) > 1 and words[1].isupper():  # an argument's name in its place
        return
    if len(words) > 1:  # one word alone is a command spoken of
        build().parse_args(words)


def test_every_command_is_shown() -> None:
    assert {command.name for command in COMMANDS} <= {words[0] for words in _commands()}


@pytest.mark.parametrize("text", _blocks("yaml"), ids=lambda text: text.split(":")[0])
def test_each_piece_of_a_pipeline_file_is_valid(text: str, tmp_path: Path) -> None:
    whole = text if "sources:" in text else f"sources: {{normal: {{archive: good.zip}}}}\n{text}"
    file = tmp_path / "pipeline.yaml"
    file.write_text(whole)
    assert config.load(file).pipeline.file == file


def test_each_piece_of_python_is_a_file_that_linters_and_tests_see() -> None:
    files = [Path(ROOT / name) for name in re.findall(r"<!-- file (\S+\.py) -->", WHOLE)]
    sources = {file.read_text(encoding="utf-8").strip() for file in files}
    assert {block.strip() for block in _blocks("python")} == sources


@pytest.mark.parametrize("page", TEXTS)
def test_each_file_that_a_page_links_to_is_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXTS[page]):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_each_file_that_a_page_names_is_there() -> None:
    top = "|".join(("pipelines", "lfvpipe", "tests", "schemas", r"\.ci"))
    for name in set(re.findall(rf"[` ]((?:{top})/[\w./-]+[\w/])[`:, ]", WRITTEN)):
        assert "NAME" in name or (ROOT / name).exists(), name


def test_each_module_that_a_page_names_is_there() -> None:
    for name in set(re.findall(r"`(lfvpipe(?:\.\w+)+)`", WRITTEN)) - {"lfvpipe.steps"}:
        path = ROOT / Path(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").exists(), name


def test_each_figure_has_its_command_and_day() -> None:
    sections = re.split(r"^## ", TEXTS["lfvpipe/docs/measured.md"], flags=re.MULTILINE)[1:]
    for section in sections:
        assert re.search(r"```sh\npython .+\n```\n\n20\d\d-\d\d-\d\d", section), section[:60]
        for script, words in re.findall(r"python (tests/\S+\.py)([^\n`]*)", section):
            assert _options_of(ROOT / script) >= set(re.findall(r"--[a-z-]+", words))


def _options_of(script: Path) -> set[str]:
    """Return the options that a benchmark declares, without importing what it needs."""
    nodes = ast.walk(ast.parse(script.read_text(encoding="utf-8")))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and text.startswith("--")}


def test_every_page_is_in_the_readme_and_says_what_it_is_about() -> None:
    for name in page_names():
        assert f"(lfvpipe/docs/{name}.md)" in TEXTS["README.md"]
        title, about = TEXTS[f"lfvpipe/docs/{name}.md"].split("\n\n")[:2]
        assert title.startswith("# ")
        assert about.endswith((".", ":")), about


def test_the_library_example_learns_and_judges(tmp_path: Path) -> None:
    from tests.workshop import environment, picture

    # from five defects on networks would learn, which is not what the example is about
    for folder, count, spoilt in (("good", 12, False), ("bad", 4, True)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            data = picture(f"{folder}{number}", spoilt=spoilt)
            (tmp_path / folder / f"{number}.png").write_bytes(data)
    example = ROOT / "tests" / "detector" / "example_library.py"
    said = subprocess.run(
        [sys.executable, example, "good", "bad", "bad/3.png"],
        cwd=tmp_path,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.startswith("3.png: anomalous, ")
