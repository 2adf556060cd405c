"""The report page: one self-contained HTML file that tells what a run showed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe import atomic
from lfvpipe.engine.phrases import count_of, doing
from lfvpipe.report import certainty, figures, run_file
from lfvpipe.report.corrected_labels import corrected_text
from lfvpipe.report.figures import METRICS, TEMPLATES, Figures, style
from lfvpipe.report.gallery import gallery
from lfvpipe.report.heat_colours import ramp
from lfvpipe.report.masks import TypeFigures
from lfvpipe.report.outlook import outlooks
from lfvpipe.report.timings_table import timings_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from markupsafe import Markup

    from lfvpipe.dataset.index import Mask
    from lfvpipe.report.gallery import Gallery
    from lfvpipe.report.masks import Agreement
    from lfvpipe.report.records import RunRecord

TITLES = {"test": "Test set", "evaluation": "Evaluation images"}
DESCRIPTIONS = {
    "test": "The service's own test of the model, on images that it was not trained on.",
    "evaluation": "Images that were withheld from training and test, judged by the hosted model.",
}


@dataclass(frozen=True)
class Setting:
    """A key of the configuration, now and in the previous run; None where it is not set."""

    key: str
    now: str | None
    before: str | None

    @property
    def changed(self) -> bool:
        """Whether the two runs differ in it."""
        return self.now != self.before


def write_page(
    state_dir: Path,
    run: RunRecord,
    on_done: Callable[[int, int, str], None] = lambda _n, _of, _what: None,
    *,
    model_file: Path | None = None,
    true_masks: Mapping[str, Mask] | None = None,
) -> Path:
    """Write ``runs/<id>.html`` and, as a copy under a name that stays, ``report.html``.

    Args:
        state_dir: Where the run file, the verdict files and the images are.
        run: The run, with its verdicts.
        on_done: Told how many are done, of how many, and of what; what it raises ends the work.
        model_file: The trained model, which draws heat maps, if this machine has it.
        true_masks: Of the judged images, by the images' ids.

    Returns:
        The page's own path, beside the run file.

    Raises:
        OSError: The page cannot be written.
    """
    images = gallery(state_dir, run, model_file, true_masks or {}, on_done)
    return put_page(state_dir, run, images)


def put_page(state_dir: Path, run: RunRecord, images: Gallery) -> Path:
    """Write a run's page, as `write_page` does, with images that are there already."""
    earlier = run_file.previous_id(state_dir, run.id)
    path = run_file.path_of(state_dir, earlier) if earlier else None
    previous = run_file.load(path, with_verdicts=False) if path else None
    page = render(run, previous, images).encode()
    beside = run_file.path_of(state_dir, run.id).with_suffix(".html")
    atomic.write_bytes(beside, page)
    atomic.write_bytes(state_dir / "report.html", page)
    return beside


def _with_code(text: str) -> Markup:
    """Return a text as HTML, with what stands between two backticks as code."""
    from markupsafe import Markup, escape

    parts = re.split("`([^`]+)`", text)
    marked = (
        escape(part) if n % 2 == 0 else Markup("<code>{}</code>").format(part)
        for n, part in enumerate(parts)
    )
    return Markup().join(marked)


def render(run: RunRecord, previous: RunRecord | None, images: Gallery) -> str:
    """Return the page as HTML; the run's texts are escaped, and its one script allowed by hash."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figures.figure
    environment.filters["share"] = _share
    environment.filters["with_code"] = _with_code
    environment.filters["counted"] = count_of
    script = "".join(
        (TEMPLATES / name).read_text(encoding="utf-8") for name in ("explore.js", "page.js")
    )
    return environment.get_template("page.html.j2").render(
        run=run,
        previous=previous,
        sets=list(_figures(run, images)),
        images=images,
        ramp=ramp(),
        settings=differences(run.config, previous.config if previous else run.config),
        timings=Markup(timings_table(run.timings)),  # noqa: S704  (escapes what it is made of)
        metric_names=METRICS,
        headline=headline(run),
        decided=run.decision.threshold if run.decision else 0.5,
        changes=changes(run, previous),
        statements=list(certainty.unknowns(run)),
        outlooks=outlooks(run),
        style=Markup(style()),  # noqa: S704  (ours)
        script=Markup(script),  # noqa: S704  (ours)
        # The page forbids all scripts but the one of this digest (Content-Security-Policy).
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _figures(run: RunRecord, images: Gallery) -> Iterator[Figures]:
    for name, scores in run.scores.items():
        verdicts = run.verdicts.get(name, ())
        decided = run.decision.threshold if run.decision else 0.5
        agreement = images.agreements.get(name)
        masks, masks_of = _masks(run, name, agreement)
        yield figures.figures_of(
            verdicts,
            scores,
            name=name,
            title=TITLES.get(name, name),
            description=DESCRIPTIONS.get(name, ""),
            costs=_costs(run.config),
            decided=decided,
            masks=masks,
            masks_of=masks_of,
            agreement=agreement,
        )


def _masks(
    run: RunRecord, name: str, agreement: Agreement | None
) -> tuple[Sequence[TypeFigures], str]:
    """Return how well a set's predicted masks are, by type, and which pixels that is of.

    The service tells it of its test images, all of them.
    """
    told = run.model.get("pixels") if name == "test" else None
    if told:
        shown = {row.type: row.images for row in agreement.types} if agreement else {}
        keys = ("f1", "iou", "precision", "recall")
        rows = [
            TypeFigures(row["type"], shown.get(row["type"]), *(row.get(key) for key in keys))
            for row in told
        ]
        return rows, "pixels of all test images together"
    if agreement:
        return agreement.types, f"pixels of {count_of(agreement.images, 'image')} together"
    return (), ""


def _costs(config: Mapping[str, Any]) -> tuple[float, float]:
    """Return what a missed anomaly and a rejected normal image cost; 1 each if nobody said."""
    accept, reject = (
        config.get(f"evaluate.decide.costs.{kind}", config.get(f"evaluate.costs.{kind}", 1))
        for kind in ("false_accept", "false_reject")
    )
    return float(accept), float(reject)


def headline(run: RunRecord) -> str:
    """Return in a sentence or two how good the model is, on all images that it was judged on."""
    counts, left = certainty.all_judged(run), certainty.all_left(run)
    if not counts.total:
        of = "how well the model decides" if left.labelled else "how good the model is"
        return f"{certainty.why_no_figure(left)}, so nothing is known of {of}."
    names = [name for name in TITLES if name in certainty.judged_sets(run)]
    title = " and ".join([TITLES[names[0]], *(TITLES[name].lower() for name in names[1:])])
    if not (counts.positive and counts.negative):
        alarms, defects = certainty.statements(counts, left)
        known, unknown, of_unknown = (alarms, defects, "defects are missed")
        if not alarms.is_known:
            known, unknown, of_unknown = (defects, alarms, "false alarms there are")
        return f"{title}: {known.text}. How many {of_unknown} {unknown.text}."
    more = f" {_more_for_person(left.labelled)}." if left.labelled else ""
    return f"{title}: {certainty.mistakes(counts)}. {certainty.bounds(counts, left)}.{more}"


def _more_for_person(count: int) -> str:
    return f"{doing(count, 'more image', 'are')} for a person to decide on"


def differences(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Setting]:
    """Return every key of either configuration with both values, those that changed first."""
    rows = [
        Setting(key, _value_text(now.get(key)), _value_text(before.get(key)))
        for key in sorted(now.keys() | before.keys())
    ]
    return sorted(rows, key=lambda row: not row.changed)


def changes(run: RunRecord, previous: RunRecord | None) -> list[Setting]:
    """Return the figures and the counts of images in which a run differs from the previous one."""
    if previous is None:
        return []
    now, before = dict(_told(run)), dict(_told(previous))
    rows = [Setting(key, now.get(key), before.get(key)) for key in {**before, **now}]
    return [row for row in rows if row.changed]


def _told(run: RunRecord) -> Iterator[tuple[str, str]]:
    yield "Model", f"version {run.model.get('version')} of {run.model.get('project')}"
    for name, scores in run.scores.items():
        title, counts = TITLES.get(name, name), scores.confusion
        if counts.total:
            yield f"{title}: mistakes", certainty.mistakes(counts)
        if scores.to_person:
            yield f"{title}: left to a person", count_of(scores.to_person, "image")
        for metric, word in METRICS.items():
            estimate = scores.estimates.get(metric)
            if estimate is not None and estimate.value is not None:
                known = estimate.low is not None and estimate.high is not None
                within = f" ({estimate.low:.2f} to {estimate.high:.2f})" if known else ""
                yield f"{title}: {word}", f"{estimate.value:.3f}{within}"
    for split, labels in run.data.items():
        counted = ", ".join(f"{count:,} {label}" for label, count in labels.items())
        yield f"Images of {split}", counted
    if run.corrected:
        yield "Labels that people decided", corrected_text(run.corrected)


def _share(value: float) -> str:
    """Return a part of an image's area; one that is there is not said to be nothing."""
    return f"{100 * value:.2f} %" if value >= 0.00005 else "under 0.01 %"


def _value_text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
