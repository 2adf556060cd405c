"""The report page's images: which ones, their thumbnails, and what is laid over them."""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from lfvpipe import detector, report
from lfvpipe.detector.facts import BACKGROUND
from lfvpipe.report.larger import larger
from lfvpipe.report.masks import Painting, agreement, view_masks
from lfvpipe.report.records import wrong_first
from lfvpipe.report.thumbnails import path_thumbnail, thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lfvpipe.dataset.index import Mask
    from lfvpipe.report.heat_maps import Sight
    from lfvpipe.report.masks import Agreement, MaskView
    from lfvpipe.report.records import Lookalike, RunRecord, Suspect, Verdict
    from lfvpipe.report.thumbnails import Thumbnail

MOST_IMAGES = 1000  # shown; with thumbnails of 6 kB and 2 kB over each they take about 10 MB


@dataclass(frozen=True)
class Card:
    """One image of the gallery.

    Attributes:
        set: Whose verdict it is: ``test`` or ``evaluation``.
        verdict: The verdict.
        thumbnail: The picture; None where the image is gone.
        heat: Its heat map as a data URI.
        larger: The picture for the larger view, where the thumbnail shows less than there is.
        masks: Where the defect is, truly and by the model; None where neither is known.
    """

    set: str
    verdict: Verdict
    thumbnail: Thumbnail | None
    heat: str | None = None
    larger: Thumbnail | None = None
    masks: MaskView | None = None


@dataclass(frozen=True)
class SuspectCard:
    """A training image whose label is worth a second look.

    Attributes:
        picture: None where the image is gone.
        alike: Images that look nearly the same under the other label, with their pictures.
    """

    suspect: Suspect
    picture: Thumbnail | None
    alike: Sequence[tuple[Lookalike, Thumbnail | None]] = ()

    @property
    def said(self) -> str:
        """What the model holds it for."""
        return "anomaly" if self.suspect.probability >= 0.5 else "normal"

    @property
    def sure(self) -> float:
        """How sure it is of that, 0.5 to 1."""
        return max(self.suspect.probability, 1 - self.suspect.probability)


@dataclass(frozen=True)
class Gallery:
    """The images to show.

    Attributes:
        cards: Wrong verdicts of both sets first, then the doubtful ones.
        hidden: How many more verdicts there are.
        notes: Why there are no heat maps or larger pictures, or not for all.
        suspects: Training images whose labels are doubted, strongest contradiction first.
        agreements: How well predicted masks agree with the true ones, by set.
    """

    cards: Sequence[Card]
    hidden: int = 0
    notes: Sequence[str] = ()
    suspects: Sequence[SuspectCard] = ()
    agreements: Mapping[str, Agreement] = field(default_factory=dict)

    @property
    def has_heat(self) -> bool:
        """Whether any image has a heat map."""
        return any(card.heat for card in self.cards)

    @property
    def has_truth(self) -> bool:
        """Whether any image has a true mask."""
        return any(card.masks and card.masks.truth for card in self.cards)

    @property
    def has_masks(self) -> bool:
        """Whether any image has a predicted mask."""
        return any(card.masks and card.masks.predicted for card in self.cards)


def gallery(
    state_dir: Path,
    run: RunRecord,
    model_file: Path | None,
    true_masks: Mapping[str, Mask],
    on_done: Callable[[int, int, str], None],
) -> Gallery:
    """Return the images to show, with heat maps where the trained model is at hand.

    Args:
        state_dir: Where the images are.
        run: The run, with its verdicts.
        model_file: The trained model, if this machine has it.
        true_masks: By the images' ids.
        on_done: Told how many are done, of how many, and of what; what it raises ends the work.
    """
    sets = {id(verdict): name for name, rows in run.verdicts.items() for verdict in rows}
    chosen = list(islice(wrong_first(chain.from_iterable(run.verdicts.values())), MOST_IMAGES))
    seen, seen_note = _seen(state_dir, run, model_file, chosen, on_done)
    made = thumbnails(state_dir, chosen, lambda done: on_done(done, len(chosen), "pictures"))
    pictures = list(made)
    sights = [seen.get(verdict.sha256 or "") for verdict in chosen]
    masks = [
        _masks(state_dir, verdict, picture, true_masks.get(verdict.id), sight)
        for verdict, picture, sight in zip(chosen, pictures, sights, strict=True)
    ]
    spent = sum(len(sight.heat or "") for sight in sights if sight)
    spent += sum(len(view.truth) + len(view.predicted) for view in masks if view)
    large, large_note = larger(state_dir, chosen, pictures, spent, on_done)
    cards = [
        Card(sets[id(row)], row, picture, sight.heat if sight else None, large.get(place), view)
        for place, (row, picture, sight, view) in enumerate(
            zip(chosen, pictures, sights, masks, strict=True)
        )
    ]
    return Gallery(
        cards=cards,
        hidden=len(sets) - len(cards),
        notes=tuple(filter(None, [seen_note, large_note])),
        suspects=_suspect_cards(state_dir, run),
        agreements=_agreements(cards),
    )


def _masks(
    state_dir: Path,
    verdict: Verdict,
    picture: Thumbnail | None,
    truth: Mask | None,
    sight: Sight | None,
) -> MaskView | None:
    """Return an image's true mask, and the predicted one: the service's, or else the model's."""
    if picture is None:
        return None
    predicted = None
    if verdict.mask:
        classes = {
            each["Name"]: each["PixelAnomaly"]["Color"]
            for each in verdict.anomalies
            if each["Name"] != BACKGROUND
        }
        predicted = Painting(state_dir / verdict.mask, classes)
    elif sight and sight.mask:
        predicted = Painting(base64.b64decode(sight.mask), sight.classes)
    return view_masks(
        (picture.width, picture.height),
        Painting(state_dir / truth.path, truth.classes) if truth else None,
        predicted,
        is_normal=verdict.label == "normal",
    )


def _agreements(cards: Sequence[Card]) -> dict[str, Agreement]:
    views: defaultdict[str, list[MaskView]] = defaultdict(list)
    for card in cards:
        if card.masks:
            views[card.set].append(card.masks)
    return {name: found for name, each in views.items() if (found := agreement(each))}


def _suspect_cards(state_dir: Path, run: RunRecord) -> list[SuspectCard]:
    def picture(path: str | None) -> Thumbnail | None:
        return path_thumbnail(state_dir, path) if path else None

    return [
        SuspectCard(
            each, picture(each.path), [(other, picture(other.path)) for other in each.alike]
        )
        for each in run.suspects or ()
    ]


def _seen(
    state_dir: Path,
    run: RunRecord,
    model_file: Path | None,
    chosen: Sequence[Verdict],
    on_done: Callable[[int, int, str], None],
) -> tuple[Mapping[str, Sight], str]:
    """Return what the model sees by image digest, and what is to be said of it."""
    if not chosen:
        return {}, ""
    service = run.versions.get("service", "embedded")
    if service != "embedded":
        return {}, f"No heat maps: the service at {service} tells verdicts, not where it looked."
    if model_file is None:
        return {}, "No heat maps: the trained model is no longer on this machine."
    looked_at = chosen[: report.heat_maps.MOST]
    try:
        found = report.heat_maps.heat_maps(
            state_dir,
            model_file,
            looked_at,
            lambda done: on_done(done, len(looked_at), "heat maps"),
        )
    except detector.DetectorError as error:
        return {}, f"No heat maps: {error.message}"
    few = f"Heat maps for the first {len(looked_at)} images only: the wrong and doubtful ones."
    return found, few if len(looked_at) < len(chosen) else ""
