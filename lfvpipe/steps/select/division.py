"""What the sources hold, divided: counted here alone, for a run and for what foretells one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.dataset.candidates import SelectionError, archive_candidates
from lfvpipe.dataset.checks.findings import Finding, warning
from lfvpipe.dataset.dividing import divide_candidates
from lfvpipe.dataset.evaluation_images import evaluation_images
from lfvpipe.dataset.gathering import gather, judged_candidates, stems
from lfvpipe.dataset.parts import part_findings
from lfvpipe.dataset.sources import public_address
from lfvpipe.engine.phrases import count_of
from lfvpipe.steps.select.exported import read_exported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lfvpipe.config.spec import Pipeline
    from lfvpipe.dataset.candidates import Candidate
    from lfvpipe.dataset.gathering import Locate
    from lfvpipe.dataset.inventory import Inventory
    from lfvpipe.dataset.selection import SelectedImage
    from lfvpipe.steps.select.exported import Progress


@dataclass
class Division:
    """What the archives or manifests hold, divided as if nobody had reviewed anything.

    Attributes:
        candidates: All there is, those that `include` leaves out as well.
        images: What the splits got, all unused images among them.
        available: How many images of each label there were to choose from.
    """

    candidates: Sequence[Candidate]
    images: list[SelectedImage]
    available: Counter[str] = field(default_factory=Counter)


def divide_sources(
    pipeline: Pipeline,
    locate: Locate,
    inventory: Inventory,
    found: list[Finding],
    progress: Progress = lambda _done, _unit, _detail: None,
) -> Division:
    """Divide the images of all sources but the archives of `evaluate`, as the pipeline says.

    Args:
        pipeline: Says what is divided, and how.
        locate: Where each source lies.
        inventory: Every archive that is looked into is entered, and what is used of it.
        found: What a person should know is added to it; an error is to stop the run.
        progress: Told how many images were found.

    Raises:
        ArchiveError: An archive cannot be used.
        UserError: The sources do not hold what the pipeline asks for.
    """
    if pipeline.sources.manifest is not None:
        return _take_splits(pipeline, locate, found, progress)
    candidates = gather(pipeline, locate, inventory, found)
    progress(len(candidates), "images", "")
    judged = judged_candidates(candidates, inventory)
    withheld = evaluation_images(pipeline, judged, stems(pipeline))
    for one in withheld.values():
        inventory.use(one.source, one.member)
    found += _judged_though_excluded(withheld.values(), inventory)
    # What a list names without a label is there to be judged.
    withheld |= {one.id: one for one in candidates if one.label is None}
    included = [one for one in candidates if one.included and one.label is not None]
    division = Division(
        candidates,
        [one.select("evaluate") for one in withheld.values()],
        Counter(str(one.label) for one in included),
    )
    division.images += [
        one.select(part) for one, part in divide_candidates(pipeline, included, withheld, found)
    ]
    return division


def _judged_though_excluded(withheld: Iterable[Candidate], inventory: Inventory) -> list[Finding]:
    """Return a warning where `evaluate.images` names what `exclude` leaves out.

    Both are meant: an image that is not to be learnt from may well be judged. But who excludes a
    folder later may not remember that some of it is named there.
    """
    excluded = [
        one.id
        for one in withheld
        if not one.included and inventory.is_excluded(one.source, one.member)
    ]
    if not excluded:
        return []
    text = (
        f"evaluate.images names {count_of(len(excluded), 'image')} that `exclude` leaves out:"
        f" {'it is' if len(excluded) == 1 else 'they are'} judged all the same, without a label"
    )
    return [warning("judged-though-excluded", text, excluded)]


def _take_splits(
    pipeline: Pipeline, locate: Locate, found: list[Finding], progress: Progress
) -> Division:
    """Take the splits as the exported manifests have them."""
    exported = read_exported(pipeline, locate, progress)
    found += exported.findings
    everything = [each for of_split in exported.candidates.values() for each in of_split]
    if any(each.level == "error" for each in exported.findings):
        return Division(everything, [])
    withheld = evaluation_images(pipeline, everything, {})
    division = Division(everything, [one.select("evaluate") for one in withheld.values()])
    for split, of_split in exported.candidates.items():
        for candidate in of_split:
            division.available[str(candidate.label)] += 1
            if candidate.id not in withheld:
                division.images.append(candidate.select(split, prefix=f"{split}/"))
    divided = [(each, split) for split, them in exported.candidates.items() for each in them]
    found += part_findings(
        divided,
        is_single="test" not in exported.candidates,
        remedy="have all photographs of each in one manifest",
    )
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


def evaluation_archive(
    pipeline: Pipeline, number: int, locate: Locate, inventory: Inventory
) -> list[SelectedImage]:
    """Return the images of an archive of `evaluate.images`.

    Args:
        pipeline: Names the archives.
        number: Which of them.
        locate: Where it lies, by the fetch step's member.
        inventory: It is entered.

    Raises:
        ArchiveError: It cannot be used.
        SelectionError: It holds none that is wanted.
    """
    archive = pipeline.evaluate.archives[number]
    source = f"evaluate-{number}"
    holding = inventory.open(
        source, public_address(archive.archive), locate(source), archive.encoding
    )
    return [
        # Without a label its id begins with the source already.
        one.select("evaluate", prefix=f"{source}/" if one.label else "")
        for one in archive_candidates(holding, archive)
    ]
