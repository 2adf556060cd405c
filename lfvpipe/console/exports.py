"""Export as pipeline: what a project has, to go on with in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import StreamingResponse

from lfvpipe.console.exporting import find_exported, stream_zip
from lfvpipe.console.visit import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from lfvpipe.console.visit import Visit


def _export(visit: Visit) -> Response:
    exported = find_exported(visit.service, visit.path["project"])
    with_images = visit.query.get("images") == "yes"
    chunks = stream_zip(visit.service, exported, with_images=with_images)
    # A project's name is of letters, digits, - and _.
    saved_as = f'attachment; filename="{exported.name}.zip"'
    headers = {"content-disposition": saved_as}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


PAGES: Final = (Page("GET", "/projects/{project}/export", _export),)
