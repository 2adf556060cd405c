"""The page on which a person marks the anomaly in an image of a trial detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, Response

from lfvpipe.console.annotation import PAINTING, Sent, give_mask, propose, show_painter
from lfvpipe.console.trials import work
from lfvpipe.console.trials.pages import find_image, find_trial, is_judging
from lfvpipe.console.visit import Page, Refusal
from lfvpipe.console.wording import say

if TYPE_CHECKING:
    from lfvpipe.console.datasets.marking import Sheet
    from lfvpipe.console.visit import Visit


def _show(visit: Visit) -> Response:
    trial, image = find_trial(visit), find_image(visit)
    if image.is_anomalous is None:
        raise Refusal(say("trials.no_verdict"))
    if image.added is not None:
        raise Refusal(say(f"trials.mark_there_{image.added}"))
    anomalies = [
        each.place
        for each in visit.service.trials.images(trial.project, trial.id)
        if each.added is None and (each.is_anomalous if each.truth is None else each.truth)
    ]
    return show_painter(
        visit,
        _sheet(visit),
        ("projects", trial.project, "trials", str(trial.id)),
        image.place,
        anomalies,
        version=str(trial.version) if is_judging(visit, trial) else None,
        proposes=image.is_anomalous,
    )


def _mask(visit: Visit) -> Response:
    """Return what is marked by now, see-through, in the colours of the page."""
    return give_mask(_sheet(visit))


def _save(visit: Visit) -> Response:
    trial, image, sent = find_trial(visit), find_image(visit), Sent.read(visit)
    stand = work.paint(visit.service, trial, image, sent.painted, sent.classes, sent.stand)
    said = "trials.marked_kept" if stand else "trials.marked_not"
    return JSONResponse({"text": say(said), "stand": stand})


def _propose(visit: Visit) -> Response:
    """Return what the trial's model sees, in a type's colour, for a person to correct."""
    data = work.read(visit.service, find_image(visit))
    return propose(visit, _sheet(visit), data, str(find_trial(visit).version))


def _sheet(visit: Visit) -> Sheet:
    return work.find_sheet(visit.service, find_trial(visit), find_image(visit))


_ONE: Final = "/projects/{project}/trials/{trial}/images/{place}"
PAGES = (
    Page("GET", f"{_ONE}/annotation", _show),
    Page("GET", f"{_ONE}/mask", _mask),
    Page("POST", f"{_ONE}/mask", _save, PAINTING),
    Page("POST", f"{_ONE}/proposal", _propose),
)
