"""What a trial detection does with photographs: store, judge, give to a data set, remove."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from lfvpipe.console.bucket import console_bucket
from lfvpipe.console.datasets.calls import Call, name_call
from lfvpipe.console.datasets.colouring import colours_of
from lfvpipe.console.datasets.marking import ONE_TYPE, Mask, Sheet, read_painting
from lfvpipe.console.datasets.uploads import Brought, UnfitUpload, Upload, fit_name
from lfvpipe.console.outlines import predicted_by
from lfvpipe.console.use import data_uri
from lfvpipe.console.wording import say, words_of
from lfvpipe.detector.facts import BACKGROUND
from lfvpipe.errors import UserError
from lfvpipe.images import SERVED, ImageError, inspect
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.report import masks
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.roles import check_labelling
from lfvpipe.service.trials import MOST_IMAGES, Facts, Outline, Painting
from lfvpipe.storage import NoSuchObject, StorageError, TooLarge, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lfvpipe.console.datasets.desk import Desk
    from lfvpipe.console.datasets.updates import DatasetName
    from lfvpipe.service import Service
    from lfvpipe.service.judging import Judged
    from lfvpipe.service.trials import Trial, TrialImage

A_PART: Final = 100
"""Images that are added to a data set at once, and synced to the disk together."""
_FOLDER: Final = "console/trials/"
_LARGEST: Final = 64 * 1024 * 1024  # bytes of an image that is read; the service allows fewer


@dataclass(frozen=True)
class Given:
    """What became of images that were to be given to a data set.

    Attributes:
        added: How many it has now.
        had: How many the project had already, by their digests.
        refused: Names of those that it cannot have, with the reason.
        remarks: What else a person should know.
    """

    added: int
    had: int
    refused: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    def __add__(self, other: Given) -> Given:
        return Given(
            self.added + other.added,
            self.had + other.had,
            self.refused + other.refused,
            (*self.remarks, *(each for each in other.remarks if each not in self.remarks)),
        )


def bring(service: Service, trial: Trial, name: str, data: bytes) -> TrialImage:
    """Judge a file that somebody brings, and keep it; the same one again is judged again.

    Raises:
        Fault: The model cannot judge it, or there is no room for it.
        StorageError: The store does not take it.
    """
    judged = service.judge.judge(trial.project, str(trial.version), data)
    digest = hashlib.sha256(data).hexdigest()
    key = f"{_FOLDER}{trial.id}/{digest}/{fit_name(name, inspect(data, SERVED).format)}"
    bucket = console_bucket(service)
    # The row first: a file without one would count for nothing, and belong to nobody.
    source = f"s3://{bucket.name}/{key}"
    place = service.trials.add(trial.project, trial.id, source, len(data))
    bucket.put(key, data)
    _write_down(service, trial, place, judged)
    return service.trials.find(trial.project, trial.id, [place])[0]


def kept_images(service: Service, project: str) -> list[Path]:
    """Return the images that programs asked about and that are kept, the newest first."""
    if service.keeper is None:
        return []
    store = service.keeper.store(service.region, project)
    found = (store.image(each) for each in reversed(store.read()))
    return [path for path in found if path.is_file()]


def bring_kept(service: Service, project: str, trial: int) -> None:
    """Copy kept images into a trial, where they wait for their verdicts; the newest, if many.

    Raises:
        Fault: There is no room for them.
        StorageError: The store does not take them.
    """
    bucket = console_bucket(service)
    for path in kept_images(service, project)[:MOST_IMAGES]:
        try:
            data = path.read_bytes()
            form = inspect(data, SERVED).format
        except (OSError, ImageError):  # gone meanwhile, or none that a service takes
            continue
        digest = hashlib.sha256(data).hexdigest()
        name = path.name if path.suffix else f"image {digest[:12]}"
        key = f"{_FOLDER}{trial}/{digest}/{fit_name(name, form)}"
        service.trials.add(project, trial, f"s3://{bucket.name}/{key}", len(data))
        bucket.put(key, data)


def judge_next(service: Service, trial: Trial) -> TrialImage | None:
    """Judge the first image that waits, or write down why it cannot be; None where none waits."""
    image = service.trials.first_waiting(trial.project, trial.id)
    if image is None:
        return None
    try:
        data = read(service, image)
        judged = service.judge.judge(trial.project, str(trial.version), data)
    except StorageError as error:
        if not isinstance(error, NoSuchObject | TooLarge):  # another attempt may do
            raise
        service.trials.refuse(trial.id, image.place, words_of(error))
    except UserError as error:
        service.trials.refuse(trial.id, image.place, error.message)
    except Fault as fault:
        if fault.code != "ValidationException":  # it is the model that cannot be asked
            raise
        service.trials.refuse(trial.id, image.place, fault.message)
    else:
        _write_down(service, trial, image.place, judged)
    found = service.trials.find(trial.project, trial.id, [image.place])
    return found[0] if found else None


def give(
    desk: Desk,
    service: Service,
    trial: Trial,
    dataset: DatasetName,
    chosen: Sequence[TrialImage],
    kind: str = "",
) -> Given:
    """Copy verified images into a data set of the project, as what a person says they are.

    Anomalies that somebody marked bring their masks, others are of the anomaly type `kind`.

    A part at a time: what is killed between two keeps the first, and goes on where it is asked
    again. That an image was added is written down last, so that it is added again rather than
    forgotten; by its digest it is there once.

    Raises:
        Fault: Whoever asks is no admin.
        UserError: The data set cannot be changed.
    """
    given = Given(0, 0)
    for start in range(0, len(chosen), A_PART):
        given += _give_part(desk, service, trial, dataset, chosen[start : start + A_PART], kind)
    return given


def _give_part(
    desk: Desk,
    service: Service,
    trial: Trial,
    dataset: DatasetName,
    chosen: Sequence[TrialImage],
    kind: str,
) -> Given:
    files = [Brought(image.name, partial(read, service, image)) for image in chosen]
    refused: list[tuple[str, str]] = []
    brought: list[tuple[TrialImage, str]] = []
    uploads: dict[str, Upload] = {}
    places: dict[str, list[int]] = {}
    for image, stored in zip(chosen, desk.uploads.store_many(dataset, files), strict=True):
        if isinstance(stored, UnfitUpload):
            refused.append((image.name, f"{stored.message} {stored.hint}".strip()))
            continue
        mask = find_mask(service, image) if image.truth else None
        call = _call(image, "" if mask else kind)
        brought.append((image, stored.digest))
        uploads.setdefault(stored.digest, Upload(stored.digest, stored.name, call, mask))
        places.setdefault(stored.digest, []).append(image.place)
    added = desk.uploads.add(dataset, list(uploads.values()))
    there = desk.uploads.find(dataset, uploads.values())  # by now: others add the same images
    for kind in DATASET_TYPES:
        here = [d for d in places if (there[d].type if d in there else dataset.type) == kind]
        service.trials.mark_added(trial.id, [p for digest in here for p in places[digest]], kind)
    for image, digest in brought:
        call = added.had[digest].call if digest in added.had else uploads[digest].call
        truth = _call(image)
        if call.label != truth.label:
            words = {"here": name_call(truth), "there": name_call(call), "name": image.name}
            refused.append((image.name, say("trials.called_otherwise", **words)))
    done = added.done
    remarks = (done.remark,) if done.remark else ()
    return Given(done.changed, len(uploads) - done.changed, tuple(refused), remarks)


def _call(image: TrialImage, kind: str = "") -> Call:
    """Return what a person says that an image is."""
    return Call("anomaly", kind) if image.truth else Call("normal")


def read(service: Service, image: TrialImage) -> bytes:
    """Return an image's file.

    Raises:
        StorageError: It is gone, or too large.
    """
    bucket, key = parse_s3_uri(image.source)
    return service.buckets.bucket(bucket).get(key, limit=_LARGEST)


def find_mask(service: Service, image: TrialImage) -> Mask | None:
    """Return what a person marked in an image; None for nothing.

    Raises:
        StorageError: It is gone.
    """
    if image.painting is None:
        return None
    bucket, key = parse_s3_uri(image.painting.mask)
    data = service.buckets.bucket(bucket).get(key, limit=_LARGEST)
    return Mask(data, image.painting.classes)


def find_sheet(service: Service, trial: Trial, image: TrialImage) -> Sheet:
    """Return an image to be painted on, with the types of the project's data sets.

    Raises:
        StorageError: The image or its mask is gone.
        UserError: It is no image.
    """
    mask = find_mask(service, image)
    wishes = {name: colour for name, colour, _ in image.facts.types if name != BACKGROUND}
    wishes |= mask.classes if mask else {}
    there = service.images.of_project(trial.project)
    classes = colours_of(there, wishes) or colours_of((), {ONE_TYPE: ""})
    stand = image.painting.mask if image.painting else ""
    return Sheet.of(image.name, read(service, image), stand, classes, mask)


def paint(
    service: Service,
    trial: Trial,
    image: TrialImage,
    painted: bytes,
    classes: Mapping[str, str],
    stand: str,
) -> str:
    """Keep what a person painted with the trial; return the image's stand.

    It is added to a data set with the image. One mask is kept of an image, the newest.

    Args:
        service: The region's.
        trial: Whose image it is.
        image: Which one.
        painted: See `read_painting`.
        classes: Likewise.
        stand: What the sheet said that was painted on.

    Raises:
        Fault: Whoever asks may only look, or the image cannot be marked; see `Trials.paint`.
        UserError: What was painted cannot be kept.
    """
    check_labelling("mark anomalies")
    sheet = find_sheet(service, trial, image)
    mask = read_painting(painted, sheet, classes)
    bucket = console_bucket(service)
    painting = None
    if mask is not None:
        digest = hashlib.sha256(mask.data).hexdigest()[:24]
        key = f"{_FOLDER}{trial.id}/masks/{image.place}-{digest}.png"
        bucket.put(key, mask.data)
        drawn = _outline(sheet.size, masks.Painting(mask.data, mask.classes))
        painting = Painting(f"s3://{bucket.name}/{key}", mask.classes, drawn)
    service.trials.paint(trial.project, trial.id, image.place, painting, stand)
    now = painting.mask if painting else ""
    if stand not in ("", now):  # it was the image's: else somebody would have been overtaken
        bucket.delete([parse_s3_uri(stand)[1]])
    return now


def sweep(service: Service) -> None:
    """Remove the files of trials that are no more: of deleted ones, and of deleted projects.

    Raises:
        StorageError: The store does not answer.
    """
    bucket = console_bucket(service)
    keys = [found.key for found in bucket.list(_FOLDER)]
    there = {
        str(each) for each in service.trials.ids()
    }  # looked at last: no file is older than its trial
    gone = [key for key in keys if key.removeprefix(_FOLDER).partition("/")[0] not in there]
    if gone:
        bucket.delete(gone)


def _write_down(service: Service, trial: Trial, place: int, judged: Judged) -> None:
    verdict, called = judged.verdict, judged.called
    types = tuple(
        (each.name, each.color, each.fraction)
        for each in verdict.anomalies
        if each.name != BACKGROUND
    )
    outline = _outline(judged.size, predicted_by(judged))
    facts = Facts(types, verdict.is_unlike, called.to_person, data_uri(judged), outline)
    service.trials.judge(
        trial.id,
        place,
        is_anomalous=called.is_anomalous,
        confidence=called.confidence,
        facts=facts,
    )


def _outline(size: tuple[int, int], painted: masks.Painting | None) -> Outline | None:
    """Return the outline of what a mask marks in an image of a size; None for nothing."""
    view = masks.view_masks(size, None, painted, is_normal=False)
    if view is None or not view.predicted:
        return None
    return Outline(view.width, view.height, view.predicted)
