"""The house's pages, README.md and lfvpipe/docs/, and what of them is written from the code.

python -m tests.house.pages        (writes those parts anew)
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.cli.catalogue import COMMANDS
from lfvpipe.cli.parser import build
from lfvpipe.config.reference import reference

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "lfvpipe" / "docs").glob("*.md")),
]
PART = re.compile(r"<!-- (reference|commands|options|file [\w./]+) -->\n.*?<!-- end -->", re.DOTALL)


def commands() -> str:
    """Return the table of commands."""
    rows = [f"| `{c.name}` | {c.summary} | `{c.example}` |" for c in COMMANDS]
    return "\n".join(["| command | what it does | for example |", "|---|---|---|", *rows])


def options() -> str:
    """Return a section for each command: what it does, and a table of what it takes."""
    (parsers,) = (
        action for action in build()._actions if isinstance(action, argparse._SubParsersAction)
    )
    sections = []
    for each in COMMANDS:
        said = f"## `{each.name}`\n\n{each.summary[0].upper()}{each.summary[1:]}.\n"
        rows = _rows(parsers.choices[each.name])
        sections.append("\n".join([said, "| argument | meaning |", "|---|---|", *rows]))
    return "\n\n".join(sections)


def _rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if action.dest == "help":
            continue
        # an argument without a metavar is called by what it can be
        choices = "|".join(str(choice) for choice in action.choices or ())
        value = str(action.metavar or choices or action.dest.upper())
        takes = {0: "", "?": f"[{value}]"}.get(1 if action.nargs is None else action.nargs, value)
        argument = f"`{' '.join([', '.join(action.option_strings), takes]).strip()}`"
        cells = [cell.replace("|", "\\|") for cell in (argument, str(action.help))]
        yield f"| {' | '.join(cells)} |"


def part(name: str) -> str:
    """Return the text of a part that is written from the code, by the name of its marker."""
    if name.startswith("file "):
        source = (ROOT / name.removeprefix("file ")).read_text(encoding="utf-8").strip()
        return f"```python\n{source}\n```"
    return {"reference": reference, "commands": commands, "options": options}[name]().strip()


def filled(text: str) -> str:
    """Return a page's text with all its parts that come from the code written anew."""
    return PART.sub(lambda found: f"<!-- {found[1]} -->\n{part(found[1])}\n<!-- end -->", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
