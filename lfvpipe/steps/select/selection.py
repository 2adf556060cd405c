"""How images are selected: archives are divided, then what people decided is applied."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.checks.findings import Finding, write_names
from lfvpipe.dataset.corrections import read_corrections
from lfvpipe.dataset.inventory import JUNK, Inventory
from lfvpipe.dataset.lines import DamagedLine, write_lines
from lfvpipe.dataset.selection import LabelCounts, read_selection, selection_line
from lfvpipe.engine.outcome import Outcome
from lfvpipe.steps.fetch import source_location
from lfvpipe.steps.select.division import Division, divide_sources, evaluation_archive
from lfvpipe.steps.select.outcome import SelectOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.config.spec import Label, Pipeline
    from lfvpipe.dataset.corrections import Corrections
    from lfvpipe.dataset.selection import SelectedImage
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.context import Context


def select(context: Context, work: Work) -> Outcome:
    """Read the archives' directories and write the selection.

    Raises:
        SelectionError: The sources do not hold what the pipeline asks for.
        LabelsError: The reviewed labels cannot be used.
        ArchiveError: An archive is damaged.
    """
    pipeline = context.pipeline
    inventory, found = Inventory(), list[Finding]()
    locate = partial(source_location, context, work.upstream)

    def progress(done: int, unit: str, detail: str) -> None:
        work.progress(done, None, unit, detail)

    division = divide_sources(pipeline, locate, inventory, found, progress)
    _warn_of_small_samples(pipeline, division, work)
    for number in range(len(pipeline.evaluate.archives)):
        division.images += evaluation_archive(pipeline, number, locate, inventory)
    found += inventory.findings()
    place = write_names(context.state_dir / "selection", found)
    if faults := [finding.told(place) for finding in found if finding.level == "error"]:
        raise SelectionError("\n  ".join(faults))
    for finding in found:
        if finding.code != JUNK:  # of interest to nobody who waits; it is in the report
            work.warn(finding.told(place))
    found = [finding.shortened() for finding in found]
    corrections = read_corrections(pipeline)
    corrections.check([*division.candidates, *division.images], work.warn)
    left_out = [each for each in division.images if _is_left_out(each, corrections)]
    images = _correct(division.images, corrections, pipeline.evaluate.unused_per_label)
    images = sorted([*images, *corrections.additions(images)], key=lambda image: image.id)
    _warn_of_moved_images(context, work, images)
    folder = context.state_dir / "selection"
    name, sha256 = write_lines(folder, map(selection_line, images))
    names_left_out = write_lines(folder, map(selection_line, left_out))[0] if left_out else None
    facts = SelectOutcome(
        f"selection/{name}",
        sha256,
        _counts(division, images),
        tuple(found) or None,
        sum(image.split == "evaluate" for image in images),
        f"selection/{names_left_out}" if names_left_out else None,
    )
    return Outcome("created", facts.as_json(), {"digest": sha256} | facts.findings_identity())


def _warn_of_moved_images(context: Context, work: Work, images: Sequence[SelectedImage]) -> None:
    """Tell how many images that were tested on are now learnt from.

    Unless `split.stable` is set, shares are exact after every image of the ranking, so one that
    comes or goes moves those behind it. It is said alone, and is no finding: the selection is the
    same whatever came before.
    """
    before = SelectOutcome.from_json(work.previous.facts) if work.previous else None
    file = context.state_dir / before.selection if before else None
    if file is None or not file.is_file():
        return
    try:
        tested = {each.id for each in read_selection(file) if each.split == "test"}
    except DamagedLine:  # it is written anew
        return
    moved = [each.id for each in images if each.split == "train" and each.id in tested]
    if moved:
        work.warn(
            f"{len(moved):,} of the {len(tested):,} images that were tested on before are now"
            f" learnt from, such as {moved[0]}: metrics from before and after are of different"
            f" test sets. {_remedy(context.pipeline)}"
        )


def _remedy(pipeline: Pipeline) -> str:
    """Return how a test set is kept, as far as the pipeline does not keep it yet."""
    keep = "To keep a test set exactly, name it under `split.from`."
    if pipeline.sources.manifest or pipeline.split.own or pipeline.split.stable:
        return keep
    return (
        "An image that comes or goes moves others; with `stable: true` under `split`, at most"
        f" one. {keep}"
    )


def _warn_of_small_samples(pipeline: Pipeline, division: Division, work: Work) -> None:
    judged = Counter(each.label for each in division.images if each.split == "evaluate")
    for label, share in pipeline.sample.shares.items():
        there = division.available[label] - judged[label]
        is_named = label in pipeline.sources.by_label or pipeline.sources.listed is not None
        if is_named and share.count is not None and share.count > there:
            work.warn(f"sample: {share.count} {label} images were asked for; there are {there}.")


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


def _is_left_out(image: SelectedImage, corrections: Corrections) -> bool:
    """Tell whether a decision takes away an image that would have been learnt from or judged."""
    return image.split != "unused" and corrections.apply(image) is None


def _counts(division: Division, images: Sequence[SelectedImage]) -> dict[str, LabelCounts]:
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
