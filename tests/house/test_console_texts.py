"""The console's words: each that a page or a module asks for is there, and each is asked for."""

import re
from pathlib import Path

import lfvpipe
from lfvpipe.console.wording import texts
from lfvpipe.lookout import statuses

CONSOLE = Path(lfvpipe.__file__).parent / "console"
SOURCES = "\n".join(
    file.read_text("utf-8")
    for pattern in ("**/*.py", "templates/**/*.j2")
    for file in CONSOLE.glob(pattern)
)
WHOLE = set(re.findall(r'"([a-z_]+\.[a-zA-Z_0-9]+)"', SOURCES))
BEGUN = set(re.findall(r'"([a-z_]+\.[a-z_0-9]*)" ~', SOURCES)) | set(
    re.findall(r'f"([a-z_]+\.[a-z_0-9]*)\{', SOURCES)
)


def test_each_text_is_asked_for() -> None:
    unused = {
        name
        for name in texts()
        if name.removesuffix("_many") not in WHOLE
        and not any(name.startswith(begun) for begun in BEGUN)
    }
    assert unused == set()


def test_each_text_that_is_asked_for_is_there() -> None:
    files = {name.partition(".")[0] for name in texts()}
    asked = {name for name in WHOLE if name.partition(".")[0] in files}
    endings = (".html", ".js", ".css", ".svg", ".toml")
    missing = {name for name in asked - BEGUN - set(texts()) if not name.endswith(endings)}
    assert missing == set()
    assert all(any(name.startswith(begun) for name in texts()) for begun in BEGUN)


def test_each_status_of_the_api_has_words() -> None:
    found = {status.value for status in (*statuses.ModelStatus, *statuses.DatasetStatus)}
    assert {f"status.{status}" for status in found} <= set(texts())
