"""How images are selected: archives are divided, then what people decided is applied."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.index import (
    LabelCounts,
    Selected,
    Split,
    selected_line,
    write_lines,
)
from lfvpipe.dataset.sampling import divide, ranked, sample_size
from lfvpipe.dataset.sources import archive_stem
from lfvpipe.engine.outcome import Outcome
from lfvpipe.steps.fetch import source_location
from lfvpipe.steps.select.catalogue import (
    Candidate,
    SelectionError,
    archive_candidates,
    label_candidates,
)
from lfvpipe.steps.select.corrections import Corrections, corrections
from lfvpipe.steps.select.exported import exported_candidates
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.select.withheld import withheld

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lfvpipe.config.spec import Label, Pipeline
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.context import Context


class _Place(NamedTuple):
    """Where an image is without any review; `prefix` keeps ids of several archives apart."""

    candidate: Candidate
    split: Split
    prefix: str = ""


@dataclass
class _Chosen:
    """What the archives or manifests hold, and where it is: all unused images included."""

    candidates: Sequence[Candidate]
    places: list[_Place]
    available: Counter[str] = field(default_factory=Counter)


def selected(context: Context, work: Work) -> Outcome:
    """Read the archives' directories and write the selection.

    Raises:
        SelectionError: The sources do not hold what the pipeline asks for.
        LabelsError: The reviewed labels cannot be used.
        ArchiveError: An archive is damaged.
    """
    manifest = context.pipeline.sources.manifest
    chosen = _from_archives(context, work) if manifest is None else _from_manifests(context, work)
    chosen.places += _evaluation_archives(context, work)
    reviewed = corrections(context.pipeline)
    reviewed.check([*chosen.candidates, *(place.candidate for place in chosen.places)], work)
    images = _corrected(chosen, reviewed, context.pipeline.evaluate.unused_per_label)
    counts = _counts(chosen, images)
    folder = context.state_dir / "selection"
    name, sha256 = write_lines(folder, map(selected_line, images))
    facts = SelectOutcome(f"selection/{name}", sha256, counts)
    return Outcome("created", facts.as_json(), {"digest": sha256})


def _from_archives(context: Context, work: Work) -> _Chosen:
    pipeline = context.pipeline
    by_label: dict[Label, list[Candidate]] = {}
    for label in LABELS:
        source = pipeline.sources.by_label.get(label)
        if source is not None:
            by_label[label] = label_candidates(context, work, label, source)
            work.progress(len(by_label[label]), None, "images", label)
    stems: dict[str, str] = {
        label: archive_stem(source.archive) for label, source in pipeline.sources.by_label.items()
    }
    members = [candidate for found in by_label.values() for candidate in found]
    held = withheld(pipeline, members, stems)
    chosen = _Chosen(members, [_Place(candidate, "evaluate") for candidate in held])
    held_ids = {candidate.id for candidate in held}
    for label, found in by_label.items():
        chosen.places += _sampled(pipeline, work, label, found, held_ids)
        chosen.available[label] = sum(candidate.included for candidate in found)
    return chosen


def _sampled(
    pipeline: Pipeline, work: Work, label: Label, found: Sequence[Candidate], held: set[str]
) -> list[_Place]:
    included = {one.name: one for one in found if one.included}
    free = [name for name, one in included.items() if one.id not in held]
    ranking = ranked(free, seed=pipeline.sample.seed, label=label)
    share = pipeline.sample.shares[label]
    if share.count is not None and share.count > len(free):
        work.warn(f"sample: {share.count} {label} images were asked for; there are {len(free)}.")
    size = sample_size(share, len(included), len(included) - len(free))
    test = pipeline.split.test
    division = divide(ranking, size, pipeline.split.train[label], test[label] if test else None)
    splits: dict[Split, tuple[str, ...]] = {
        "train": division.train,
        "test": division.test,
        "unused": division.unused,
    }
    return [_Place(included[name], split) for split, names in splits.items() for name in names]


def _from_manifests(context: Context, work: Work) -> _Chosen:
    by_split = exported_candidates(context, work)
    everything = [candidate for found in by_split.values() for candidate in found]
    held = {candidate.id: candidate for candidate in withheld(context.pipeline, everything, {})}
    chosen = _Chosen(everything, [_Place(candidate, "evaluate") for candidate in held.values()])
    for split, found in by_split.items():
        for candidate in found:
            chosen.available[str(candidate.label)] += 1
            if candidate.id not in held:
                chosen.places.append(_Place(candidate, split, f"{split}/"))
    if not chosen.available:
        raise SelectionError(
            "sources.manifest: no line has a class-name of normal or anomaly.",
            hint="Label the images, or name the manifest that holds the labels.",
        )
    return chosen


def _evaluation_archives(context: Context, work: Work) -> list[_Place]:
    places = []
    for number, archive in enumerate(context.pipeline.evaluate.archives):
        source = f"evaluate-{number}"
        path = source_location(context, work.upstream, source)
        found = archive_candidates(path, source, archive.key, archive.include, archive.label)
        places += [_Place(one, "evaluate", f"{source}/") for one in found]
    return places


def _corrected(chosen: _Chosen, reviewed: Corrections, unused_per_label: int) -> list[Selected]:
    """Apply what people decided, and keep the first unused images that nobody decided about."""
    selected = []
    unused: Counter[Label | None] = Counter()
    for candidate, split, prefix in chosen.places:
        place = reviewed.applied(candidate, split)
        if place is None:
            continue
        if place[1] == "unused":
            unused[candidate.label] += 1
            if unused[candidate.label] > unused_per_label:
                continue
        selected.append(_selected(*place, prefix=prefix))
    return sorted(selected, key=lambda image: image.id)


def _counts(chosen: _Chosen, selected: Iterable[Selected]) -> dict[str, LabelCounts]:
    """Return how many images of each label that has any are in each split, and how many exist."""
    found = Counter((str(image.label), image.split) for image in selected)
    return {
        label: LabelCounts(
            train=found[label, "train"],
            test=found[label, "test"],
            evaluate=found[label, "evaluate"],
            unused=found[label, "unused"],
            available=chosen.available[label],
        )
        for label in LABELS
        if chosen.available[label] or found[label, "train"] or found[label, "test"]
    }


def _selected(candidate: Candidate, split: Split, *, prefix: str = "") -> Selected:
    return Selected(
        id=f"{prefix}{candidate.id}",
        label=candidate.label,
        split=split,
        source=candidate.source,
        member=candidate.member,
        stamp=candidate.stamp,
        size=candidate.size,
        mask=candidate.mask,
        reviewed=candidate.reviewed,
    )
