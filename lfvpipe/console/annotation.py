"""The page on which a person marks where the anomaly is."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import numpy
from PIL import Image
from starlette.responses import JSONResponse, Response

from lfvpipe import painting
from lfvpipe.console.dataset_pages import dataset_of
from lfvpipe.console.projects import find_project
from lfvpipe.console.visit import MIB, Page, Refusal
from lfvpipe.console.wording import say
from lfvpipe.dataset.annotations.masks import PALETTE
from lfvpipe.lookout.statuses import MODEL_TRAINED
from lfvpipe.service.images import ImageId, Show, Wanted

if TYPE_CHECKING:
    from lfvpipe.console.datasets.marking import Marked
    from lfvpipe.console.datasets.updates import DatasetName
    from lfvpipe.console.visit import Visit
    from lfvpipe.service.judging import Judged

_PAINTING: Final = 48 * MIB
_EVIDENCE: Final = 0.5  # of a heat map: more than that is proposed as the anomaly


def _show(visit: Visit) -> Response:
    dataset, image, marked = _find(visit)
    catalogue = visit.service.images.catalogue(dataset.project, dataset.type)
    anomalies = catalogue.select(Wanted(Show.ANOMALY))
    numbers = {each.id: number for number, each in enumerate(anomalies)}
    at = numbers.get(image, -1)
    project = find_project(visit.client, dataset.project)
    trained = [each["ModelVersion"] for each in project.models if each["Status"] in MODEL_TRAINED]
    return visit.show(
        "annotation.html.j2",
        project_name=dataset.project,
        dataset=dataset,
        image=image,
        marked=marked,
        palette=PALETTE,
        before=anomalies[at - 1] if at > 0 else None,
        after=anomalies[at + 1] if 0 <= at < len(anomalies) - 1 else None,
        place=at + 1,
        of=len(anomalies),
        version=trained[0] if trained else None,
    )


def _mask(visit: Visit) -> Response:
    """Return what is marked by now, see-through, in the colours of the page."""
    _, _, marked = _find(visit)
    if marked.mask is None:
        raise Refusal(say("annotation.no_mask"), 404)
    return Response(marked.mask, media_type="image/png")


def _save(visit: Visit) -> Response:
    dataset, image, _ = _find(visit)
    sent = visit.json
    classes, painted = sent.get("classes"), sent.get("mask")
    if not isinstance(classes, dict) or not isinstance(painted, str):
        raise Refusal(say("frame.no_form"))
    named = {str(name): str(colour) for name, colour in classes.items()}
    try:
        data = base64.b64decode(painted, validate=True)
    except binascii.Error:
        raise Refusal(say("frame.no_form")) from None
    stand = str(sent.get("stand", ""))
    saved = visit.datasets.marking.save(dataset, image, data, named, stand)
    told = [say("annotation.saved"), saved.remark]
    return JSONResponse({"text": " ".join(filter(None, told)), "stand": saved.stand})


def _propose(visit: Visit) -> Response:
    """Return what the newest model sees, in a type's colour, for a person to correct."""
    _, _, marked = _find(visit)
    colour = visit.json.get("colour")
    if colour not in {*marked.classes.values(), *PALETTE}:
        raise Refusal(say("frame.no_form"))
    version = str(visit.json.get("version", ""))
    data = visit.datasets.marking.picture(marked)
    judged = visit.service.judge.judge(visit.path["project"], version, data)
    proposal = _proposal(judged, marked, str(colour))
    if proposal is None:
        return JSONResponse({"mask": None, "text": say("annotation.sees_nothing")})
    text = base64.b64encode(proposal).decode()
    return JSONResponse({"mask": f"data:image/png;base64,{text}", "text": say("annotation.sees")})


def _proposal(judged: Judged, marked: Marked, colour: str) -> bytes | None:
    """Return where a model sees evidence, see-through and of the image's size; None for nowhere."""
    heat = judged.verdict.heat_map
    if heat is None:
        return None
    scaled = Image.fromarray(heat.astype(numpy.float32)).resize(
        marked.size, Image.Resampling.BICUBIC
    )
    seen = numpy.asarray(scaled) > _EVIDENCE
    if not seen.any():
        return None
    pixels = numpy.zeros((*seen.shape, 4), numpy.uint8)
    pixels[seen] = (*bytes.fromhex(colour.lstrip("#")), 255)
    return painting.png(pixels)


def _find(visit: Visit) -> tuple[DatasetName, ImageId, Marked]:
    dataset, image = dataset_of(visit), ImageId.read(visit.path["image"])
    marked = None if image is None else visit.datasets.marking.find(dataset, image)
    if image is None or marked is None:
        raise Refusal(say("datasets.no_image"), 404)
    return dataset, image, marked


_ONE: Final = "/projects/{project}/datasets/{type}/images/{image}"
PAGES = (
    Page("GET", f"{_ONE}/annotation", _show),
    Page("GET", f"{_ONE}/mask", _mask),
    Page("POST", f"{_ONE}/mask", _save, _PAINTING),
    Page("POST", f"{_ONE}/proposal", _propose),
)
