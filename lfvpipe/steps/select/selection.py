"""How images are selected: archives are divided, then what people decided is applied."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.candidates import SelectionError, archive_candidates, label_candidates
from lfvpipe.dataset.corrections import read_corrections
from lfvpipe.dataset.evaluation_images import evaluation_images
from lfvpipe.dataset.lines import write_lines
from lfvpipe.dataset.sampling import divide, rank, sample_size
from lfvpipe.dataset.selection import LabelCounts, selection_line
from lfvpipe.dataset.sources import archive_stem
from lfvpipe.engine.outcome import Outcome
from lfvpipe.steps.fetch import FetchOutcome, source_location
from lfvpipe.steps.select.exported import read_exported
from lfvpipe.steps.select.outcome import SelectOutcome

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lfvpipe.config.spec import Label, Pipeline
    from lfvpipe.dataset.candidates import Candidate
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.corrections import Corrections
    from lfvpipe.dataset.selection import SelectedImage, Split
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.context import Context


@dataclass
class _Division:
    """What the archives or manifests hold, divided as if nobody had reviewed anything.

    Attributes:
        candidates: All there is, those that `include` leaves out as well.
        images: What the splits got, all unused images among them.
        available: How many images of each label there were to choose from.
        findings: What the sources hold that was left out or had to be decided.
    """

    candidates: Sequence[Candidate]
    images: list[SelectedImage]
    available: Counter[str] = field(default_factory=Counter)
    findings: Sequence[Finding] = ()


def select(context: Context, work: Work) -> Outcome:
    """Read the archives' directories and write the selection.

    Raises:
        SelectionError: The sources do not hold what the pipeline asks for.
        LabelsError: The reviewed labels cannot be used.
        ArchiveError: An archive is damaged.
    """
    pipeline = context.pipeline
    from_archives = pipeline.sources.manifest is None
    division = _divide_archives(context, work) if from_archives else _take_splits(context, work)
    division.images += _evaluation_archives(context, work)
    corrections = read_corrections(pipeline)
    corrections.check([*division.candidates, *division.images], work.warn)
    images = _correct(division.images, corrections, pipeline.evaluate.unused_per_label)
    name, sha256 = write_lines(context.state_dir / "selection", map(selection_line, images))
    counts, findings = _counts(division, images), tuple(division.findings) or None
    facts = SelectOutcome(f"selection/{name}", sha256, counts, findings)
    return Outcome("created", facts.as_json(), {"digest": sha256})


def _divide_archives(context: Context, work: Work) -> _Division:
    """Divide each label's archive by the shares that the pipeline gives."""
    pipeline = context.pipeline
    by_label: dict[Label, list[Candidate]] = {}
    stems: dict[str, str] = {}
    for label in LABELS:
        source = pipeline.sources.by_label.get(label)
        if source is None:
            continue
        archive = source_location(context, work.upstream, label)
        masks = FetchOutcome.of(work.upstream, f"{label}-masks")
        by_label[label] = label_candidates(
            label, source, archive, masks.location(context) if masks else None, work.warn
        )
        stems[label] = archive_stem(source.archive)
        work.progress(len(by_label[label]), None, "images", label)
    members = [candidate for found in by_label.values() for candidate in found]
    withheld = evaluation_images(pipeline, members, stems)
    division = _Division(members, [one.select("evaluate") for one in withheld.values()])
    for label, found in by_label.items():
        division.images += _divide_label(pipeline, work, label, found, withheld)
        division.available[label] = sum(candidate.included for candidate in found)
    return division


def _divide_label(
    pipeline: Pipeline,
    work: Work,
    label: Label,
    found: Sequence[Candidate],
    withheld: Collection[str],
) -> list[SelectedImage]:
    """Divide what `include` leaves of a label; the ids of evaluation images are `withheld`."""
    included = {one.name: one for one in found if one.included}
    free = [name for name, one in included.items() if one.id not in withheld]
    share = pipeline.sample.shares[label]
    if share.count is not None and share.count > len(free):
        work.warn(f"sample: {share.count} {label} images were asked for; there are {len(free)}.")
    test = pipeline.split.test
    division = divide(
        rank(free, seed=pipeline.sample.seed, label=label),
        sample_size(share, len(included), len(included) - len(free)),
        pipeline.split.train[label],
        test[label] if test else None,
    )
    splits: dict[Split, tuple[str, ...]] = {
        "train": division.train,
        "test": division.test,
        "unused": division.unused,
    }
    return [included[name].select(split) for split, names in splits.items() for name in names]


def _take_splits(context: Context, work: Work) -> _Division:
    """Take the splits as the exported manifests have them."""
    exported = read_exported(context, work)
    for finding in exported.findings:
        work.warn(finding.message)
    everything = [candidate for found in exported.candidates.values() for candidate in found]
    withheld = evaluation_images(context.pipeline, everything, {})
    division = _Division(everything, [one.select("evaluate") for one in withheld.values()])
    division.findings = exported.findings
    for split, found in exported.candidates.items():
        for candidate in found:
            division.available[str(candidate.label)] += 1
            if candidate.id not in withheld:
                division.images.append(candidate.select(split, prefix=f"{split}/"))
    if not division.available:
        raise SelectionError(
            " ".join(
                [
                    "sources.manifest: no line has a class-name of normal or anomaly.",
                    *(finding.message for finding in exported.findings),
                ]
            ),
            hint="Label the images, or name the manifest that holds the labels.",
        )
    return division


def _evaluation_archives(context: Context, work: Work) -> list[SelectedImage]:
    images: list[SelectedImage] = []
    for number, archive in enumerate(context.pipeline.evaluate.archives):
        source = f"evaluate-{number}"
        path = source_location(context, work.upstream, source)
        found = archive_candidates(path, source, archive.key, archive.include, archive.label)
        images += [one.select("evaluate", prefix=f"{source}/") for one in found]
    return images


def _correct(
    images: Sequence[SelectedImage], corrections: Corrections, unused_per_label: int
) -> list[SelectedImage]:
    """Apply what people decided, and keep the first unused images that nobody decided about."""
    kept = []
    unused: Counter[Label | None] = Counter()
    for each in images:
        image = corrections.apply(each)
        if image is None:
            continue
        if image.split == "unused":
            unused[image.label] += 1
            if unused[image.label] > unused_per_label:
                continue
        kept.append(image)
    return sorted(kept, key=lambda image: image.id)


def _counts(division: _Division, images: Sequence[SelectedImage]) -> dict[str, LabelCounts]:
    """Return the counts of each label that has any image to learn from, in any split."""
    found = Counter((str(image.label), image.split) for image in images)
    return {
        label: LabelCounts(
            train=found[label, "train"],
            test=found[label, "test"],
            evaluate=found[label, "evaluate"],
            unused=found[label, "unused"],
            available=division.available[label],
        )
        for label in LABELS
        if division.available[label] or found[label, "train"] or found[label, "test"]
    }
