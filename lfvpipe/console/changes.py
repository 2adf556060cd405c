"""Who changed what, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.console.visit import Page, read_number

if TYPE_CHECKING:
    from starlette.responses import Response

    from lfvpipe.console.visit import Visit

_A_PAGE = 50


def _show(visit: Visit) -> Response:
    before = read_number(visit.query.get("before", ""))
    project = visit.query.get("project", "")
    found = visit.service.changes(before=before, project=project, limit=_A_PAGE + 1)
    older = found[_A_PAGE - 1].id if len(found) > _A_PAGE else None
    return visit.show(
        "changes.html.j2",
        changes=found[:_A_PAGE],
        older=older,
        project=project,
        told=_told,
        dropped=0 if older else visit.service.count_dropped_changes(),
        kept=visit.service.quotas.kept_changes,
    )


def _told(value: object) -> str:
    """Return a value of the log as people read it: what is within, line by line."""
    match value:
        case None | []:
            return "-"
        case dict():
            return "\n".join(f"{name}: {_told(each)}" for name, each in value.items())
        case [str() as source, before, after] if {type(before), type(after)} <= {str, type(None)}:
            return f"{source}: {_told(before)} → {_told(after)}"
        case list():
            return "\n".join(map(_told, value))
        case _:
            return str(value)


PAGES = (Page("GET", "/changes", _show),)
