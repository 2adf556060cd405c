"""The page of a model version: what it said of its test images, and what it is decided by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse, JSONResponse, Response

from lfvpipe.console.drift.charts import DAYS, find_drift, first_hour, read_expected
from lfvpipe.console.drift.drawing import HEIGHT, WIDTH
from lfvpipe.console.evaluations import SHOWS, find_evaluation, read_masks, read_verdicts
from lfvpipe.console.models import HOSTING, TAGGING, find_version, go_to, name_of
from lfvpipe.console.pictures import give_image, give_thumbnail
from lfvpipe.console.rendering import render
from lfvpipe.console.use import describe
from lfvpipe.console.visit import Page, Refusal, read_number
from lfvpipe.console.wording import say
from lfvpipe.decision import Decision
from lfvpipe.lookout.tags import DECISION, EXPECTED
from lfvpipe.report.control_charts import LEAST
from lfvpipe.report.figures import METRICS
from lfvpipe.storage import parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.console.drift.charts import Drift
    from lfvpipe.console.evaluations import Evaluation, TrueMask
    from lfvpipe.console.models import Version
    from lfvpipe.console.visit import Visit
    from lfvpipe.lookout.api import Tag

_TILES: Final = 60


def _show_one(visit: Visit) -> Response:
    found = find_version(visit)
    project = visit.path["project"]
    tags = visit.client.list_tags_for_resource(ResourceArn=found.arn)["Tags"]
    evaluation = _evaluation(visit, found, tags)
    shown = visit.query.get("show", "")
    images = evaluation.select(shown) if evaluation else ()
    pages = max(1, -(-len(images) // _TILES))
    number = min(read_number(visit.query.get("page", "")) or 1, pages)
    return visit.show(
        "model.html.j2",
        project_name=project,
        version=found,
        full_name=name_of(project, found.version),
        most_units=visit.service.quotas.inference_units,
        tags=tags,
        tagging=TAGGING,
        hosting=HOSTING,
        is_followed=found.is_moving,
        evaluation=evaluation,
        own_threshold=Decision().threshold,
        metric_names=METRICS,
        drift=_drift(visit, found),
        drift_days=DAYS,
        least=LEAST,
        width=WIDTH,
        height=HEIGHT,
        shown=shown if shown in SHOWS else "",
        shows=SHOWS,
        count=len(images),
        images=images[(number - 1) * _TILES : number * _TILES],
        page=number,
        pages=pages,
    )


def _drift(visit: Visit, found: Version) -> Drift | None:
    if not found.is_trained:
        return None
    project = visit.path["project"]
    counted = visit.service.tally.since(first_hour(visit.service.clock()), project)
    return find_drift(visit.service, project, found.version, counted)


def _evaluation(visit: Visit, found: Version, tags: Sequence[Tag]) -> Evaluation | None:
    if not found.is_trained:
        return None
    named = {tag["Key"]: tag["Value"] for tag in tags}
    return find_evaluation(visit.service.versions, visit.path["project"], found.version, named)


def _decide(visit: Visit) -> Response:
    """Let verdicts be decided by another threshold, from now on and without training."""
    try:
        decision = Decision.from_text(repr(float(visit.form.get("threshold", ""))))
    except ValueError:
        raise Refusal.of_field("threshold", say("models.no_threshold")) from None
    tag: Tag = {"Key": DECISION, "Value": decision.as_text()}
    visit.client.tag_resource(ResourceArn=find_version(visit).arn, Tags=[tag])
    return go_to(visit, say("models.decided", threshold=decision.threshold))


def _expect(visit: Visit) -> Response:
    """State which share of images is expected to be anomalous in use, or take that back."""
    arn, said = find_version(visit).arn, visit.form.get("percent", "").strip()
    if not said:
        visit.client.untag_resource(ResourceArn=arn, TagKeys=[EXPECTED])
        return go_to(visit, say("drift.expect_taken_back"))
    try:
        expected = read_expected(repr(float(said) / 100))
    except ValueError:
        expected = None
    if expected is None:
        raise Refusal.of_field("percent", say("drift.no_share"))
    tag: Tag = {"Key": EXPECTED, "Value": repr(expected.share)}
    visit.client.tag_resource(ResourceArn=arn, Tags=[tag])
    return go_to(visit, say("drift.expect_set", share=100 * expected.share))


@dataclass(frozen=True)
class _TestImage:
    """A test image: its address, its true mask, and what tells its model from others."""

    source: str
    truth: TrueMask | None
    model: str


def _find_image(visit: Visit) -> _TestImage:
    """Return the test image that the path names by its number.

    Raises:
        Refusal: There is none.
    """
    found = find_version(visit)
    text = visit.service.versions.evaluation(visit.path["project"], found.version)
    places = read_verdicts(text or "")
    number = read_number(visit.path["image"])
    if number is None or number >= len(places):
        raise Refusal(say("datasets.no_image"), 404)
    source = places[number].id
    return _TestImage(source, read_masks(text or "").get(source), str(found.created))


def _thumbnail(visit: Visit) -> Response:
    return give_thumbnail(visit, _find_image(visit).source)


def _image(visit: Visit) -> Response:
    return give_image(visit, _find_image(visit).source)


def _outline(visit: Visit) -> Response:
    """Return the outlines of a test image's masks, to be laid over its picture."""
    image = _find_image(visit)
    project, version = visit.path["project"], visit.path["version"]
    drawn = visit.datasets.outlines.find(project, version, image.model, image.source, image.truth)
    return HTMLResponse(render("outlined.html.j2", masks=drawn))


def _see(visit: Visit) -> Response:
    """Return what the model says of a test image today, with its heat map."""
    image = _find_image(visit)
    bucket, key = parse_s3_uri(image.source)
    data = visit.service.buckets.bucket(bucket).get(key, limit=visit.service.quotas.max_image_bytes)
    judged = visit.service.judge.judge(visit.path["project"], visit.path["version"], data)
    masks = render("outlined.html.j2", masks=visit.datasets.outlines.draw(judged, image.truth))
    return JSONResponse({**describe(judged), "outlines": masks.strip()})


_ONE = "/projects/{project}/models/{version}"
PAGES = (
    Page("GET", _ONE, _show_one),
    Page("POST", f"{_ONE}/decide", _decide),
    Page("POST", f"{_ONE}/expect", _expect),
    Page("GET", f"{_ONE}/thumbnails/{{image}}", _thumbnail),
    Page("GET", f"{_ONE}/images/{{image}}", _image),
    Page("GET", f"{_ONE}/sights/{{image}}", _see),
    Page("GET", f"{_ONE}/outlines/{{image}}", _outline),
)
