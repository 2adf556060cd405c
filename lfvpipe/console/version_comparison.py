"""Two versions of a project on the test images that both were asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lfvpipe.console.evaluations import find_evaluation
from lfvpipe.console.models import find_versions
from lfvpipe.console.visit import Page, Refusal
from lfvpipe.console.wording import say
from lfvpipe.report.comparison import compare
from lfvpipe.report.figures import METRICS
from lfvpipe.report.metrics import score_set
from lfvpipe.report.records import RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from lfvpipe.console.evaluations import Evaluation
    from lfvpipe.console.models import Version
    from lfvpipe.console.visit import Visit
    from lfvpipe.report.comparison import Change
    from lfvpipe.report.records import Estimate

_MOST: Final = 200  # images that are shown


@dataclass(frozen=True)
class Row:
    """A metric of both versions on the images that they share."""

    title: str
    first: Estimate
    second: Estimate


@dataclass(frozen=True)
class Compared:
    """Two versions on the same images.

    Attributes:
        shared: How many images both were tested on, with the same label.
        tested: How many each was tested on.
        rows: Metrics; empty without shared images.
        changes: The shared images that they call something else, the ones that got worse first.
    """

    shared: int
    tested: tuple[int, int]
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]

    def count(self, turn: str) -> int:
        """Return how many images got ``fixed`` or ``broken``."""
        return sum(change.turn == turn for change in self.changes)


def put_side_by_side(first: Evaluation, second: Evaluation) -> Compared:
    """Return how two versions do on the images that both were tested on, by address and label."""
    both = (first, second)
    labels = [{(each.id, each.label) for each in one.verdicts if each.label} for one in both]
    shared = labels[0] & labels[1]
    cut = [tuple(v for v in one.verdicts if (v.id, v.label) in shared) for one in both]
    runs = [
        RunRecord(
            id=str(number),
            created="",
            name="",
            fingerprint="",
            scores={"test": score_set(verdicts)},
            verdicts={"test": verdicts},
        )
        for number, verdicts in enumerate(cut)
    ]
    compared = compare(runs)
    estimates = [run.scores["test"].estimates for run in runs] if shared else [{}, {}]
    rows = (
        Row(title, estimates[0][name], estimates[1][name])
        for name, title in METRICS.items()
        if name in estimates[0] and name in estimates[1]
    )
    changes = sorted(compared.changes[0], key=lambda change: (change.turn, change.before.id))
    return Compared(
        len(shared), (len(first.verdicts), len(second.verdicts)), tuple(rows), tuple(changes)
    )


def _show(visit: Visit) -> Response:
    project = visit.path["project"]
    found = [each for each in find_versions(visit, project) if each.is_trained]
    first, second = (_choose(found, visit.query.get(name, "")) for name in ("first", "second"))
    evaluations = [_evaluation(visit, project, each) for each in (first, second)]
    return visit.show(
        "model_comparison.html.j2",
        project_name=project,
        first=first,
        second=second,
        compared=put_side_by_side(*evaluations),
        places=evaluations[1].places,
        most=_MOST,
    )


def _choose(found: Sequence[Version], version: str) -> Version:
    for each in found:
        if each.version == version:
            return each
    raise Refusal(say("models.none_to_compare"), 404)


def _evaluation(visit: Visit, project: str, version: Version) -> Evaluation:
    listed = visit.client.list_tags_for_resource(ResourceArn=version.arn)["Tags"]
    tags = {tag["Key"]: tag["Value"] for tag in listed}
    found = find_evaluation(visit.service.versions, project, version.version, tags)
    if found is None:
        raise Refusal(say("models.none_to_compare"), 404)
    return found


PAGES = (Page("GET", "/projects/{project}/model-comparison", _show),)
