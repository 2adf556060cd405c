"""The page on which a person marks where the anomaly is."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy
from PIL import Image
from starlette.responses import JSONResponse, Response

from lfvpipe import painting
from lfvpipe.console.dataset_pages import dataset_of
from lfvpipe.console.datasets.calls import NO_TYPES
from lfvpipe.console.projects import find_project
from lfvpipe.console.visit import MIB, Page, Refusal
from lfvpipe.console.wording import say
from lfvpipe.dataset.annotations.masks import PALETTE
from lfvpipe.lookout.statuses import MODEL_TRAINED
from lfvpipe.service.images import ImageId, Show, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.console.datasets.marking import Marked, Sheet
    from lfvpipe.console.datasets.updates import DatasetName
    from lfvpipe.console.visit import Visit
    from lfvpipe.service.judging import Judged

PAINTING: Final = 48 * MIB
"""Bytes of what a page sends."""
_EVIDENCE: Final = 0.5  # of a heat map: more than that is proposed as the anomaly


@dataclass(frozen=True)
class Sent:
    """What a page sends of a painting.

    Attributes:
        painted: A PNG.
        classes: Its colours by anomaly type.
        stand: Of the image that it was painted for.
    """

    painted: bytes
    classes: Mapping[str, str]
    stand: str

    @classmethod
    def read(cls, visit: Visit) -> Sent:
        """Return what a script of ours sent; raises Refusal."""
        classes, painted = visit.json.get("classes"), visit.json.get("mask")
        if not isinstance(classes, dict) or not isinstance(painted, str):
            raise Refusal(say("frame.no_form"))
        named = {str(name): str(colour) for name, colour in classes.items()}
        try:
            data = base64.b64decode(painted, validate=True)
        except ValueError:  # binascii.Error is one, and what is not ASCII
            raise Refusal(say("frame.no_form")) from None
        return cls(data, named, str(visit.json.get("stand", "")))


def show_painter(
    visit: Visit,
    sheet: Sheet,
    parts: Sequence[str],
    image: object,
    anomalies: Sequence[object],
    *,
    version: str | None,
    proposes: bool = False,
) -> Response:
    """Return the page on which an image is painted on.

    Args:
        visit: Whoever paints.
        sheet: The image.
        parts: Of the address of the page that shows all images.
        image: What the address calls this one.
        anomalies: What it calls those that one goes through, in their order.
        version: Of the model that proposes; None for none.
        proposes: It proposes at once, where nothing is marked yet.
    """
    at = anomalies.index(image) if image in anomalies else -1
    here = visit.address(*parts)
    of_trial = "trials" in parts[2:3]
    paints = visit.may_label
    return visit.show(
        "annotation.html.j2",
        project_name=parts[1],
        tab=parts[2],
        about="trials.mark_about" if of_trial else "annotation.bucket",
        paints=paints,
        title="annotation.title" if paints else "annotation.look_title",
        to_all="trials.back" if of_trial else "annotation.back",
        here=here,
        one=f"{here}/images/{image}",
        sheet=sheet,
        palette=PALETTE,
        reserved=NO_TYPES,
        before=anomalies[at - 1] if at > 0 else None,
        after=anomalies[at + 1] if 0 <= at < len(anomalies) - 1 else None,
        place=at + 1,
        of=len(anomalies),
        version=version if paints else None,
        proposes=proposes and paints and version is not None and sheet.mask is None,
    )


def give_mask(sheet: Sheet) -> Response:
    """Return what is marked by now, see-through, in the colours of the page."""
    if sheet.mask is None:
        raise Refusal(say("annotation.no_mask"), 404)
    return Response(sheet.mask, media_type="image/png")


def propose(visit: Visit, sheet: Sheet, data: bytes, version: str) -> Response:
    """Return what a model sees in an image, in a type's colour, for a person to correct."""
    colour = visit.json.get("colour")
    if colour not in [*sheet.classes.values(), *PALETTE]:  # a list: what is sent may be anything
        raise Refusal(say("frame.no_form"))
    judged = visit.service.judge.judge(visit.path["project"], version, data)
    proposal = _proposal(judged, sheet, str(colour))
    if proposal is None:
        return JSONResponse({"mask": None, "text": say("annotation.sees_nothing")})
    text = base64.b64encode(proposal).decode()
    return JSONResponse({"mask": f"data:image/png;base64,{text}", "text": say("annotation.sees")})


def _show(visit: Visit) -> Response:
    dataset, image, marked = _find(visit)
    catalogue = visit.service.images.catalogue(dataset.project, dataset.type)
    project = find_project(visit.client, dataset.project)
    trained = [each["ModelVersion"] for each in project.models if each["Status"] in MODEL_TRAINED]
    return show_painter(
        visit,
        marked.sheet,
        ("projects", dataset.project, "datasets", dataset.type),
        image,
        [each.id for each in catalogue.select(Wanted(Show.ANOMALY))],
        version=trained[0] if trained else None,
    )


def _mask(visit: Visit) -> Response:
    return give_mask(_find(visit)[2].sheet)


def _save(visit: Visit) -> Response:
    dataset, image, _ = _find(visit)
    sent = Sent.read(visit)
    saved = visit.datasets.marking.save(dataset, image, sent.painted, sent.classes, sent.stand)
    told = [say("annotation.saved" if saved.is_masked else "annotation.saved_bare"), saved.remark]
    return JSONResponse({"text": " ".join(filter(None, told)), "stand": saved.stand})


def _propose(visit: Visit) -> Response:
    _, _, marked = _find(visit)
    data = visit.datasets.marking.picture(marked)
    return propose(visit, marked.sheet, data, str(visit.json.get("version", "")))


def _proposal(judged: Judged, sheet: Sheet, colour: str) -> bytes | None:
    """Return where a model sees evidence, see-through and of the image's size; None for nowhere."""
    heat = judged.verdict.heat_map
    if heat is None:
        return None
    scaled = Image.fromarray(heat.astype(numpy.float32)).resize(
        sheet.size, Image.Resampling.BICUBIC
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
    Page("POST", f"{_ONE}/mask", _save, PAINTING),
    Page("POST", f"{_ONE}/proposal", _propose),
)
