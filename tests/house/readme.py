"""Writes the parts of README.md that come from the code.

python tests/house/readme.py
"""

from __future__ import annotations

import re
from pathlib import Path

from lfvpipe.cli.catalogue import COMMANDS
from lfvpipe.config.reference import reference

README = Path(__file__).parents[2] / "README.md"


def commands() -> str:
    """Return the table of commands."""
    rows = [f"| `{c.name}` | {c.summary} | `{c.example}` |" for c in COMMANDS]
    return "\n".join(["| command | what it does | for example |", "|---|---|---|", *rows])


def generated() -> dict[str, str]:
    """Return the generated parts by the names of their markers."""
    return {"reference": reference().strip(), "commands": commands()}


def filled(text: str) -> str:
    """Return README's text with its generated parts written anew."""
    for name, part in generated().items():
        block = re.compile(rf"<!-- {name} -->\n.*?<!-- end -->", re.DOTALL)
        assert len(block.findall(text)) == 1, f"README.md needs one part marked {name}"
        text = block.sub(lambda _, n=name, p=part: f"<!-- {n} -->\n{p}\n<!-- end -->", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
