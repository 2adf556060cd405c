"""Who changed what, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.console.visit import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from lfvpipe.console.visit import Visit

_A_PAGE = 50


def _show(visit: Visit) -> Response:
    asked = visit.query.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 18 else None
    project = visit.query.get("project", "")
    found = visit.service.changes(before=before, project=project, limit=_A_PAGE + 1)
    older = found[_A_PAGE - 1].id if len(found) > _A_PAGE else None
    return visit.show("changes.html.j2", changes=found[:_A_PAGE], older=older, project=project)


PAGES = (Page("GET", "/changes", _show),)
