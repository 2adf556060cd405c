"""Pages from templates; whatever a template is given is escaped."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, JSONResponse, Response

from lfvpipe.console.datasets.calls import MOST_CHARACTERS
from lfvpipe.console.wording import name_day, say
from lfvpipe.engine.phrases import count_of
from lfvpipe.report import figures


class Tab(NamedTuple):
    """One of the pages of a project; its text is ``tabs.NAME``."""

    name: str
    parts: tuple[str, ...] = ()  # of its address, behind the project's


PROJECT_TABS = (
    Tab("overview"),
    Tab("datasets", ("datasets",)),
    Tab("models", ("models",)),
    Tab("trials", ("trials",)),
    Tab("use", ("use",)),
    Tab("packages", ("packages",)),
)
_TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **facts: Any) -> str:
    """Return a page's HTML."""
    return _environment().get_template(template).render(**facts)


def is_script(accept: str) -> bool:
    """Say whether it is a script of ours that asks, by its Accept header."""
    return accept.startswith("application/json")


def no_page(text: str, status: int, accept: str) -> Response:
    """Return what somebody gets where there is no page for him.

    Args:
        text: What he is told.
        status: Of the answer.
        accept: The request's Accept header: a script is told as it reads.
    """
    if is_script(accept):
        return JSONResponse({"error": text}, status)
    return HTMLResponse(render("no_page.html.j2", text=text), status)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([_TEMPLATES, figures.TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,  # an upgrade of the package does not change pages under a server
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["say"] = say
    environment.globals["tabs"] = PROJECT_TABS
    environment.globals["most_type"] = MOST_CHARACTERS
    environment.filters["moment"] = _moment
    environment.filters["figure"] = figures.figure
    environment.filters["counted"] = count_of
    environment.filters["day"] = name_day
    environment.filters["iso"] = lambda time: datetime.fromtimestamp(time, UTC).isoformat()
    return environment


def _moment(time: float | datetime) -> str:
    """Return a time for people; a script shows it in their own zone."""
    moment = time if isinstance(time, datetime) else datetime.fromtimestamp(time, UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
