"""`lfvpipe docs`: list the pages of documentation that come with the package, or print one."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from lfvpipe.cli.options import Option, Options
from lfvpipe.cli.output import table
from lfvpipe.errors import UserError
from lfvpipe.wrapping import plain_stream

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


@dataclass(frozen=True, kw_only=True)
class DocsOptions(Options):
    """What `lfvpipe docs` reads."""

    page: Annotated[
        str | None,
        Option(
            metavar="PAGE",
            about="the page to print (default: list the pages)",
            completes="page",
        ),
    ] = None


def run(options: DocsOptions) -> int:
    """Print the page `options.page`, or the list of all pages; return 0."""
    if options.page is None:
        _print_list()
    else:
        _print_page(_text(options.page))
    return 0


def page_names() -> tuple[str, ...]:
    """Return the names of all pages, in alphabetical order."""
    names = (file.name for file in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in names if name.endswith(".md")))


def _print_list() -> None:
    # A page begins with its title; its second paragraph says in a sentence what it is about.
    rows = [(name, _text(name).split("\n\n")[1].replace("\n", " ")) for name in page_names()]
    print(table(rows))
    print("\nlfvpipe docs PAGE prints a page.")


def _print_page(text: str) -> None:
    """Print Markdown as it is to a pipe or a file, and set out for reading on a terminal."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    stream = plain_stream(sys.stdout)
    console = Console(file=stream, width=min(Console(file=stream).width, 110))
    with console.pager(styles=True):
        console.print(Markdown(text))


def _text(name: str) -> str:
    if name not in page_names():
        close = difflib.get_close_matches(name, page_names(), n=1)
        meant = f"Did you mean {close[0]!r}? " if close else ""
        raise UserError(
            f"There is no page {name!r}.", hint=f"{meant}The pages are {', '.join(page_names())}."
        )
    return (_folder() / f"{name}.md").read_text(encoding="utf-8")


def _folder() -> Traversable:
    # Here, as completion reads every command's module, and this import is a third of its time.
    from importlib.resources import files

    return files("lfvpipe") / "docs"
