"""Trial detections: new images, what a model says of them, and what people say to that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from lfvpipe.console.datasets.calls import read_type
from lfvpipe.console.datasets.updates import DatasetName
from lfvpipe.console.drift.charts import compare_lot
from lfvpipe.console.pictures import give_image, give_thumbnail
from lfvpipe.console.projects import find_project
from lfvpipe.console.rendering import render
from lfvpipe.console.trials import work
from lfvpipe.console.use import LARGEST
from lfvpipe.console.visit import Page, Refusal, check_address, read_number
from lfvpipe.console.wording import say
from lfvpipe.decision import score_of
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.lookout.statuses import MODEL_TRAINED
from lfvpipe.service.state.judged import Count
from lfvpipe.service.trials import (
    MOST_BYTES,
    MOST_CHARACTERS,
    MOST_IMAGES,
    MOST_TRIALS,
    Order,
    Show,
    Verified,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.console.visit import Visit
    from lfvpipe.service.trials import Trial, TrialImage

A_PAGE: Final = 120


@dataclass(frozen=True)
class Looked:
    """Which images of a trial are looked at."""

    show: Show
    order: Order
    page: int

    @classmethod
    def read(cls, said: Any) -> Looked:
        """Return what a query or a form says; what it spells otherwise counts for nothing."""
        show, order, page = (said.get(name, "") for name in ("show", "sort", "page"))
        return cls(
            Show(show) if show in set(Show) else Show.ALL,
            Order(order) if order in set(Order) else Order.ADDED,
            read_number(page) or 1,
        )

    def query(self, page: int) -> str:
        """Return the query of a page of the same images."""
        shown = {"show": self.show.value, "sort": self.order.value, "page": str(page)}
        usual = {"show": Show.ALL, "sort": Order.ADDED, "page": "1"}
        said = {name: value for name, value in shown.items() if value != usual[name]}
        return f"?{urlencode(said)}" if said else ""


_STATES: Final = {
    (None, None): "w",
    (False, None): "n",
    (False, Verified.CORRECT): "N",
    (False, Verified.INCORRECT): "M",
    (True, None): "a",
    (True, Verified.CORRECT): "A",
    (True, Verified.INCORRECT): "B",
}
"""A letter for each thing that may be said of an image."""


def _sight(images: Sequence[TrialImage]) -> str:
    """Return what a page knows of images as a sign for each place, ``-`` where none is shown.

    Whoever chooses all of them means these: others may come, or be verified by somebody else,
    until the form is sent.
    """
    signs = {image.place: _STATES[image.is_anomalous, image.verified] for image in images}
    return "".join(signs.get(place, "-") for place in range(1, max(signs, default=0) + 1))


def _was_seen(image: TrialImage, sight: str) -> bool:
    """Say whether a page that knew `sight` showed an image as it is now."""
    return sight[image.place - 1 : image.place] == _STATES[image.is_anomalous, image.verified]


def find_trial(visit: Visit) -> Trial:
    """Return the trial that the path names; raises Fault."""
    return visit.service.trials.get(visit.path["project"], read_number(visit.path["trial"]) or 0)


def _show_all(visit: Visit) -> Response:
    project = find_project(visit.client, visit.path["project"])
    return visit.show(
        "trials.html.j2",
        project_name=project.name,
        trials=visit.service.trials.of_project(project.name),
        models=[each for each in project.models if each["Status"] in MODEL_TRAINED],
        kept=len(work.kept_images(visit.service, project.name)),
        most_images=MOST_IMAGES,
        most_name=MOST_CHARACTERS,
        most_trials=MOST_TRIALS,
        most_gib=MOST_BYTES // 1024**3,
    )


def _create(visit: Visit) -> Response:
    project, form = visit.path["project"], visit.form
    version, address = form.get("version", ""), form.get("address", "").strip()
    visit.service.judge.size(project, version)  # or the model cannot be asked
    sources: Sequence[str] = ()
    notice = ""
    if address:
        imports = visit.datasets.imports
        check_address("address", address)
        listed = imports.list_prefix(address, by_folder=False, used=imports.used(project))
        sources = list(listed.lines)
        told = [say("trials.used", count=listed.used)] if listed.used else []
        told += [say("datasets.others", count=listed.others)] if listed.others else []
        notice = " ".join(told)
        if not sources:
            raise Refusal.of_field("address", say("trials.nothing_there", address=address))
    work.sweep(visit.service)
    made = visit.service.trials.create(project, form.get("name", ""), version, sources)
    if "kept" in form:
        work.bring_kept(visit.service, project, made)
    return visit.go("projects", project, "trials", str(made), notice=notice)


def _show(visit: Visit) -> Response:
    trial, looked = find_trial(visit), Looked.read(visit.query)
    found = visit.service.trials.images(trial.project, trial.id, looked.show, looked.order)
    pages = max(1, math.ceil(len(found) / A_PAGE))
    page = min(looked.page, pages)
    return visit.show(
        "trial.html.j2",
        project_name=trial.project,
        trial=trial,
        images=found[(page - 1) * A_PAGE : page * A_PAGE],
        shown=len(found),
        sight=_sight(found),
        looked=looked,
        page=page,
        pages=pages,
        shows=list(Show),
        orders=list(Order),
        size=_size(visit, trial),
        unlike_test=_compare(visit, trial),
        types=visit.datasets.uploads.types(trial.project),
    )


def _compare(visit: Visit, trial: Trial) -> list[str]:
    """Return in which ways the images of a trial are other than the test of its model."""
    if not is_judging(visit, trial):
        return []
    lot = sum(
        (
            Count.of(
                score_of(image.confidence, is_anomalous=image.is_anomalous),
                is_anomalous=image.is_anomalous,
            )
            for image in visit.service.trials.images(trial.project, trial.id)
            if image.is_anomalous is not None and image.confidence is not None
        ),
        Count(),
    )
    return compare_lot(visit.service, trial.project, str(trial.version), lot)


def _size(visit: Visit, trial: Trial) -> tuple[int, int] | None:
    """Return what images the trial's model takes; None where the model is no more."""
    if not is_judging(visit, trial):
        return None
    return visit.service.judge.size(trial.project, str(trial.version))


def is_judging(visit: Visit, trial: Trial) -> bool:
    """Say whether the trial's model is still there."""
    known = find_project(visit.client, trial.project).models
    trained = {each["ModelVersion"] for each in known if each["Status"] in MODEL_TRAINED}
    return str(trial.version) in trained


def _bring(visit: Visit) -> Response:
    """Judge one file that a script sends."""
    image = work.bring(visit.service, find_trial(visit), visit.query.get("name", ""), visit.body)
    return _tell(visit, image)


def _next(visit: Visit) -> Response:
    """Judge one image that waits."""
    return _tell(visit, work.judge_next(visit.service, find_trial(visit)))


def _tell(visit: Visit, image: TrialImage | None) -> Response:
    """Return an image as the page shows it, and what is counted now."""
    trial = find_trial(visit)
    tile = image and render("trial_tile.html.j2", visit=visit, trial=trial, image=image)
    counts = render("trial_counts.html.j2", trial=trial)
    return JSONResponse({"tile": tile, "counts": counts, "waiting": trial.waiting})


def _thumbnail(visit: Visit) -> Response:
    return give_thumbnail(visit, find_image(visit).source)


def _open(visit: Visit) -> Response:
    return give_image(visit, find_image(visit).source)


def find_image(visit: Visit) -> TrialImage:
    """Return the image of the trial that the path names; raises Fault and Refusal."""
    trial = find_trial(visit)
    places = [read_number(visit.path["place"]) or 0]
    for image in visit.service.trials.find(trial.project, trial.id, places):
        return image
    raise Refusal(say("datasets.no_image"), 404)


def _verify(visit: Visit) -> Response:
    trial, said = find_trial(visit), visit.form.get("verified", "")
    if said and said not in set(Verified):
        raise Refusal(say("frame.no_form"))
    verified = Verified(said) if said else None
    asked, unseen = _chosen(visit, trial)
    chosen = [image for image in asked if image.is_anomalous is not None]
    places = [image.place for image in chosen]
    count = visit.service.trials.verify(trial.project, trial.id, places, verified)
    said = say(f"trials.verified_{verified or 'not'}", count=count)
    if count < len(chosen):
        said = f"{said} {say('trials.stays_marked', count=len(chosen) - count)}"
    if unseen:
        said = f"{said} {say('trials.unseen', count=unseen)}"
    return JSONResponse({"text": said}) if visit.wants_json else _go_back(visit, trial, said)


def _add(visit: Visit) -> Response:
    """Give verified images to a data set."""
    trial, to = find_trial(visit), visit.form.get("to", "")
    kind = next((each for each in DATASET_TYPES if each == to), None)
    if kind is None:
        raise Refusal(say("frame.no_form"))
    defect = visit.form.get("type", "").strip()
    defect = read_type(defect) if defect else ""
    asked, unseen = _chosen(visit, trial)
    remarks = [say("trials.unseen", count=unseen)] if unseen else []
    chosen = [each for each in asked if each.truth is not None and each.added is None]
    dataset, left = DatasetName(trial.project, kind), len(asked) - len(chosen)
    if visit.wants_json:
        return _add_part(visit, trial, dataset, chosen, left, defect, remarks)
    if not chosen:
        raise Refusal(say("trials.none_verified"))
    given = work.give(visit.datasets, visit.service, trial, dataset, chosen, defect)
    told = [say(f"trials.added_{kind}", count=given.added)]
    if given.had:
        told.append(say("trials.had", count=given.had))
    if left:
        told.append(say("trials.left", count=left))
    if given.refused:
        told.append(say("trials.unfit"))
    told += [f"{name}: {why}" for name, why in given.refused]
    return _go_back(visit, trial, " ".join((*told, *given.remarks, *remarks)))


def _add_part(
    visit: Visit,
    trial: Trial,
    dataset: DatasetName,
    chosen: list[TrialImage],
    left: int,
    defect: str,
    remarks: list[str],
) -> Response:
    """Give the first images behind a place to a data set; a script asks until none remains."""
    after = read_number(visit.form.get("after", "")) or 0
    if not chosen and not after:
        raise Refusal(say("trials.none_verified"))
    waiting = sorted((each for each in chosen if each.place > after), key=lambda each: each.place)
    part = waiting[: work.A_PART]
    given = work.give(visit.datasets, visit.service, trial, dataset, part, defect)
    told = {
        "added": given.added,
        "had": given.had,
        "refused": given.refused,
        "remarks": [*given.remarks, *([] if after else remarks)],
        "left": left,
        "after": part[-1].place if part else after,
        "remaining": len(waiting) - len(part),
    }
    return JSONResponse(told)


def _chosen(visit: Visit, trial: Trial) -> tuple[list[TrialImage], int]:
    """Return the images that a form names: single ones, or all that are shown over all pages.

    Beside them, how many would be shown by now that the page with the form did not show so.
    """
    if "all" in visit.form:
        looked, sight = Looked.read(visit.form), visit.form.get("sight", "")
        now = visit.service.trials.images(trial.project, trial.id, looked.show, looked.order)
        found = [image for image in now if _was_seen(image, sight)]
        return found, len(now) - len(found)
    places = [read_number(value) or 0 for name, value in visit.fields if name == "place"]
    found = visit.service.trials.find(trial.project, trial.id, places)
    if not found:
        raise Refusal(say("trials.none_chosen"))
    return found, 0


def _go_back(visit: Visit, trial: Trial, notice: str) -> Response:
    answer = visit.go("projects", trial.project, "trials", str(trial.id), notice=notice)
    looked = Looked.read(visit.form)
    answer.headers["location"] += looked.query(looked.page)
    return answer


def _delete(visit: Visit) -> Response:
    trial = find_trial(visit)
    if " ".join(visit.form.get("name", "").split()) != trial.name:
        raise Refusal.of_field("name", say("models.type_its_name", name=trial.name))
    visit.service.trials.delete(trial.project, trial.id)
    work.sweep(visit.service)
    notice = say("trials.deleted", name=trial.name)
    return visit.go("projects", trial.project, "trials", notice=notice)


_TRIALS: Final = "/projects/{project}/trials"
_ONE: Final = f"{_TRIALS}/{{trial}}"
PAGES = (
    Page("GET", _TRIALS, _show_all),
    Page("POST", _TRIALS, _create),
    Page("GET", _ONE, _show),
    Page("GET", f"{_ONE}/thumbnails/{{place}}", _thumbnail),
    Page("GET", f"{_ONE}/images/{{place}}", _open),
    Page("POST", f"{_ONE}/images", _bring, LARGEST),
    Page("POST", f"{_ONE}/next", _next),
    Page("POST", f"{_ONE}/verify", _verify),
    Page("POST", f"{_ONE}/add", _add),
    Page("POST", f"{_ONE}/delete", _delete),
)
