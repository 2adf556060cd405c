"""How to ask a model: programs to paste, and an image to try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from lfvpipe.console.projects import find_project
from lfvpipe.console.snippets import Target, snippets
from lfvpipe.console.visit import MIB, Page, Refusal
from lfvpipe.console.wording import say
from lfvpipe.detector.facts import BACKGROUND
from lfvpipe.lookout.statuses import MODEL_TRAINED, ModelStatus
from lfvpipe.report.heat_maps import overlay

if TYPE_CHECKING:
    from starlette.responses import Response

    from lfvpipe.console.visit import Visit
    from lfvpipe.service.judging import Judged

LARGEST: Final = 64 * MIB
"""Bytes that an image may have on its way; the service has a bound of its own."""


def _show(visit: Visit) -> Response:
    project = find_project(visit.client, visit.path["project"])
    trained = [each for each in project.models if each["Status"] in MODEL_TRAINED]
    asked = visit.query.get("version")
    if asked is None:
        # The newest of those that are hosted, else the newest.
        hosted = [each for each in trained if each["Status"] == ModelStatus.HOSTED]
        chosen = next(iter([*hosted, *trained]), None)
    else:
        chosen = next((each for each in trained if each["ModelVersion"] == asked), None)
        if chosen is None:
            raise Refusal(say("use.no_version", version=asked), 404)
    shown, size = [], None
    if chosen is not None:
        size = visit.service.judge.size(project.name, chosen["ModelVersion"])
        target = Target(
            url=visit.origin,
            region=visit.region,
            access_key=visit.session.actor.access_key or "AN_ACCESS_KEY_ID",
            project=project.name,
            version=chosen["ModelVersion"],
            is_hosted=chosen["Status"] == ModelStatus.HOSTED,
            storage=visit.service.buckets.endpoint,
        )
        shown = snippets(target)
    return visit.show(
        "use.html.j2",
        project_name=project.name,
        models=trained,
        model=chosen,
        snippets=shown,
        size=size,
        owner=not visit.session.actor.access_key,
    )


def _try(visit: Visit) -> Response:
    judge = visit.service.judge
    judged = judge.judge(visit.path["project"], visit.path["version"], visit.body)
    return JSONResponse(describe(judged))


def describe(judged: Judged) -> dict[str, Any]:
    """Return what a page shows of a verdict: JSON, in words."""
    verdict, called = judged.verdict, judged.called
    said = say(
        "use.anomalous" if called.is_anomalous else "use.normal",
        confidence=called.confidence,
    )
    notes = []
    if called.to_person:
        notes.append(say("use.to_person"))
    if verdict.is_unlike:
        notes.append(say("use.unlike"))
    return {
        "anomalous": called.is_anomalous,
        "said": said,
        "notes": notes,
        "types": [
            {"said": say("use.type", name=each.name, area=each.fraction), "colour": each.color}
            for each in verdict.anomalies
            if each.name != BACKGROUND
        ],
        "heat": data_uri(judged),
    }


def data_uri(judged: Judged) -> str | None:
    """Return the heat map as a picture to lay over the image; None where the model draws none."""
    heat = judged.verdict.heat_map
    return None if heat is None else overlay(heat)


PAGES = (
    Page("GET", "/projects/{project}/use", _show),
    Page("POST", "/projects/{project}/models/{version}/try", _try, limit=LARGEST),
)
