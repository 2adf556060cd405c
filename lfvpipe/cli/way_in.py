"""Opens a page of ours in the browser without telling its address to other users of the machine."""

from __future__ import annotations

import webbrowser
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lfvpipe import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={url}">
<title>lfvpipe {name}</title>
<a href="{url}">Go on to the {name}</a>
"""


@contextmanager
def way_in(folder: Path, name: str) -> Iterator[Callable[[str], None]]:
    """Yield what opens an address in the browser, by a file that is its user's alone.

    Others see a browser's command line, and with it the address there; so that it is a file's.

    Args:
        folder: Where the file lies until the block ends.
        name: Of the page.
    """
    file = folder / f"{name}.html"

    def open_page(url: str) -> None:
        atomic.write_text(file, _PAGE.format(url=url, name=name), secret=True)
        with atomic.as_usual():
            webbrowser.open(file.as_uri())

    try:
        yield open_page
    finally:
        file.unlink(missing_ok=True)
