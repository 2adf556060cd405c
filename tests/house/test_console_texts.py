"""The console's words: each that a page or a module asks for is there, and each is asked for.

All are in `texts/en`, to be translated. Not among them: what other parts say as well, to the
terminal or in the API's answers (faults of images, manifests and stores; the service's refusals),
the figures of a version, which are the report's and share its templates and script, and programs
and files that are made to be copied.
"""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

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
    kinds = (*statuses.ModelStatus, *statuses.DatasetStatus, *statuses.PackagingJobStatus)
    found = {status.value for status in kinds}
    assert {f"status.{status}" for status in found} <= set(texts())


READ = ("aria-label", "alt", "title", "placeholder")
NAMES = re.compile(r"lfvpipe|s3://\S+|[✎⤢·—]")  # which are the same in each language
WORD = re.compile(r"[^\W\d_]{2}")
PHRASE = re.compile(r"[^\W\d_]{2,}[.,:;]? [^\W\d_]{2,}|^[A-Z][a-z]+[.!?…]$")
# A storage's key, a folder's name, how a picture lies in its frame.
SILENT = ("lfvpipe undo ", "system volume information", "xMidYMid meet")
SELECTOR = re.compile(r"^[.#]|[\[>]|, select, |^[.#]?[a-z]+ [.#]?[a-z]+$")


class Reader(HTMLParser):
    """Collects what a person reads, or hears, of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.read += [told[name] for name in READ if name in told]
        # A single word there is what a script goes by.
        data = (value for name, value in told.items() if name.startswith("data-"))
        self.read += [value for value in data if PHRASE.search(value)]

    def handle_data(self, data: str) -> None:
        self.read.append(data)


def is_phrase(value: object) -> bool:
    return PHRASE.search(str(value)) is not None and value not in SILENT


def words_of_template(text: str) -> list[str]:
    """Return the words of a template's own, without those that it is given."""
    reader, shown = Reader(), []
    for output in Environment(autoescape=True).parse(text).find_all(nodes.Output):
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                shown.append(node.data)
            else:
                consts = [node] if isinstance(node, nodes.Const) else node.find_all(nodes.Const)
                reader.read += [each.value for each in consts if is_phrase(each.value)]
    reader.feed("".join(shown))
    found = (NAMES.sub("", each) for each in reader.read)
    return [each.strip() for each in found if WORD.search(each)]


def words_of_script(text: str) -> list[str]:
    """Return the phrases among a script's strings."""
    code = re.sub(r"(^|\s)//.*", "", text)
    strings = re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'|`([^`]*)`", code)
    bare = (re.sub(r"\$\{[^}]*\}", "", "".join(each)) for each in strings)
    phrases = [each for each in bare if PHRASE.search(each) and not SELECTOR.search(each)]
    return [each for each in phrases if each not in SILENT]


def words_of_module(text: str) -> Iterator[str]:
    """Yield the phrases that a module puts into errors, notices and answers itself."""
    takes = ("Refusal", "Notice", "JSONResponse", "PlainTextResponse", "no_page", "go")
    for node in ast.walk(ast.parse(text)):
        raised = node.exc if isinstance(node, ast.Raise) and node.exc else None
        calls = [raised] if raised and "ValueError" not in ast.unparse(raised) else []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            is_init = ast.unparse(node.func) == "super().__init__"
            calls += [node] if name in takes or is_init else []
        for call in calls:
            for each in ast.walk(call):
                if isinstance(each, ast.Constant) and PHRASE.search(str(each.value)):
                    yield str(each.value)


def test_pages_scripts_and_modules_have_no_words_of_their_own() -> None:
    found = {
        file.name: words
        for pattern, words_of in (
            ("templates/*.j2", words_of_template),
            ("static/*.js", words_of_script),
            ("**/*.py", words_of_module),
        )
        for file in CONSOLE.glob(pattern)
        if (words := [*words_of(file.read_text("utf-8"))])
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "<p>Nothing here</p>",
        "<p>Stop</p>",
        '<button aria-label="Close it">✎</button>',
        '<input placeholder="Name">',
        '<p data-lost="It is lost.">',
        "{% if x %}<b>{{ 'No images' if y else say('z') }}</b>{% endif %}",
        "{% for a in b %}<td>Total</td>{% endfor %}",
    ],
)
def test_words_of_a_template_are_found(text: str) -> None:
    assert words_of_template(text)


@pytest.mark.parametrize(
    "text", ['say("All are judged");', "x = `${done} of them`;", "y = 'Sorted.';"]
)
def test_words_of_a_script_are_found(text: str) -> None:
    assert words_of_script(text)


@pytest.mark.parametrize(
    "text",
    [
        'raise Unfit("It is too large")',
        'raise Unfit(f"It has {n} pixels too many")',
        'visit.go("p", notice="All is well")',
        'JSONResponse({"error": "No such thing"})',
    ],
)
def test_words_of_a_module_are_found(text: str) -> None:
    assert [*words_of_module(text)]
